//! `kubewright completions`: shell completions and man pages, made from the definition of the command line.

use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::load;
use crate::cli::output;
use clap::Args;
use clap_complete::Shell;
use clap_mangen::Man;
use std::path::Path;
use std::path::PathBuf;

/// Print completions for a shell, or write man pages
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CompletionsCommand {
    #[arg(required_unless_present = "man")]
    shell: Option<Shell>,

    /// Write a man page for each command into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "shell")]
    man: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  kubewright completions bash > /etc/bash_completion.d/kubewright
  kubewright completions --man /usr/local/share/man/man1";

/// Runs the command.
///
/// # Errors
/// A page cannot be written.
pub(super) fn run(command: &CompletionsCommand, mut definition: clap::Command) -> Result<Exit, CliError> {
    if let Some(shell) = command.shell {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut definition, "kubewright", &mut text);
        output::data(&String::from_utf8_lossy(&text));
    }
    if let Some(directory) = &command.man {
        definition.build();
        pages(&definition, directory)?;
    }
    Ok(Exit::Success)
}

/// A page for a command and for each below it, such as `kubewright-token-create.1`.
fn pages(command: &clap::Command, directory: &Path) -> Result<(), CliError> {
    // One phase of a workflow is as the next one; the page of `phase` lists them.
    let phases = command.get_name() == "phase";
    for inner in command.get_subcommands().filter(|_| !phases) {
        pages(inner, directory)?;
    }
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let mut page = Vec::new();
    Man::new(command.clone().name(name.clone())).render(&mut page).or_exit(Exit::Failure)?;
    let path = directory.join(format!("{name}.1"));
    load::write_file(&path.to_string_lossy(), &page, 0o644)?;
    output::data(&format!("{}\n", path.display()));
    Ok(())
}

//! `kubewright completions`: shell completions, made from the definition of the command line.

use crate::cli::exit::Exit;
use crate::cli::output;
use clap::Args;
use clap_complete::Shell;

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kubewright completions bash > /etc/bash_completion.d/kubewright")]
pub(super) struct CompletionsCommand {
    shell: Shell,
}

/// Runs the command.
pub(super) fn run(command: &CompletionsCommand, mut definition: clap::Command) -> Exit {
    let mut text = Vec::new();
    clap_complete::generate(command.shell, &mut definition, "kubewright", &mut text);
    output::data(&String::from_utf8_lossy(&text));
    Exit::Success
}

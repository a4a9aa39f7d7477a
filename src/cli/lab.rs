//! `kubewright lab`: a folder for Vagrant, and what its `Vagrantfile` asks for.

use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::load;
use crate::cli::output;
use crate::cli::settings::Settings;
use crate::config;
use crate::config::File;
use crate::host::Entry;
use crate::host::Host as _;
use crate::host::local::Local;
use crate::lab;
use crate::lab::Lab;
use crate::lab::folder;
use crate::lab::folder::Embedded;
use clap::Args;
use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use std::path::Path;
use std::path::PathBuf;

/// Write a folder with virtual machines for trying a cluster, by Vagrant
///
/// In the folder, `vagrant up` makes the machines that `lab.yaml` describes and a cluster on them, and leaves a
/// kubeconfig. A machine that was destroyed and made again is taken in again.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(super) struct LabCommand {
    /// Folder to write; what is there already stays
    #[arg(value_name = "DIR", required = true)]
    directory: Option<PathBuf>,

    /// Lab file to start from
    #[arg(long, value_name = "NAME", default_value = "small", value_parser = variants())]
    variant: String,

    #[command(subcommand)]
    command: Option<LabSub>,
}

#[derive(Debug, Subcommand)]
enum LabSub {
    /// Print the file with the cluster that the machines of a lab become
    Cluster(FileArgs),
    /// Print the machines of a lab as JSON, for the Vagrantfile
    Machines(FileArgs),
    /// Print who makes the cluster: apply, playbooks or none
    Provisioner(FileArgs),
}

#[derive(Debug, Args)]
struct FileArgs {
    /// File with the lab
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  kubewright lab try                          a control plane and a worker
  kubewright lab --variant ha try             three control planes and two workers
  kubewright lab cluster -f try/lab.yaml      what becomes of them";

fn variants() -> PossibleValuesParser {
    PossibleValuesParser::new(folder::VARIANTS.map(|(name, _)| name))
}

/// Runs the command.
///
/// # Errors
/// The lab file has problems, or the folder cannot be written.
pub(super) fn run(command: &LabCommand, settings: &Settings) -> Result<Exit, CliError> {
    match (&command.command, &command.directory) {
        (Some(LabSub::Cluster(args)), _) => output::data(&lab::cluster(&read(&args.file, settings)?)),
        (Some(LabSub::Machines(args)), _) => {
            let machines = read(&args.file, settings)?.machines();
            output::data(&(serde_json::to_string_pretty(&machines).or_exit(Exit::Failure)? + "\n"));
        }
        (Some(LabSub::Provisioner(args)), _) => {
            let value = serde_json::to_value(read(&args.file, settings)?.provision).or_exit(Exit::Failure)?;
            output::data(&format!("{}\n", value.as_str().unwrap_or_default()));
        }
        (None, directory) => write(directory.as_deref().unwrap_or(Path::new(".")), &command.variant)?,
    }
    Ok(Exit::Success)
}

fn read(path: &Path, settings: &Settings) -> Result<Lab, CliError> {
    let bytes = load::read_file(path)?;
    let name = path.display().to_string();
    let (lab, warnings) =
        config::lab(File { name: &name, bytes: &bytes }).map_err(|issues| load::refused(&issues))?;
    let reporter = settings.reporter();
    for warning in &warnings {
        reporter.tell(&load::told(warning));
    }
    Ok(lab)
}

fn write(directory: &Path, variant: &str) -> Result<(), CliError> {
    let directory = std::path::absolute(directory).or_exit(Exit::Failure)?;
    let host = Local::new("this host");
    let files = folder::files(variant).expect("the command line knows the variants");
    let path = |file: &Embedded| directory.join(file.path).to_string_lossy().into_owned();
    let mut told = Vec::new();
    for file in &files {
        match host.read(&path(file)).or_exit(Exit::Failure)? {
            Some(entry) if entry.content() == Some(file.text.as_bytes()) => {}
            Some(_) => told.push(path(file)),
            None => {}
        }
    }
    if !told.is_empty() {
        let error = anyhow::anyhow!("the folder has other files of these names: {}", told.join(", "));
        return Err(CliError::new(Exit::Usage, error)
            .hint("name another folder, or remove them; nothing was written"));
    }
    for file in &files {
        let mode = if file.executable { 0o755 } else { 0o644 };
        host.write(&path(file), &Entry::file(file.text, mode)).or_exit(Exit::Failure)?;
        output::data(&format!("{}\n", path(file)));
    }
    Ok(())
}

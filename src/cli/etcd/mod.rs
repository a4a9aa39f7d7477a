//! `kubewright etcd`: the cluster's etcd.

mod file;
mod snapshot;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::settings::Settings;
use clap::Args;
use clap::Subcommand;

/// Look after the cluster's etcd
#[derive(Debug, Args)]
pub(super) struct EtcdCommand {
    #[command(subcommand)]
    command: EtcdSub,
}

#[derive(Debug, Subcommand)]
enum EtcdSub {
    Snapshot(SnapshotCommand),
}

/// Copies of all that etcd stores
#[derive(Debug, Args)]
struct SnapshotCommand {
    #[command(subcommand)]
    command: SnapshotSub,
}

#[derive(Debug, Subcommand)]
enum SnapshotSub {
    Save(snapshot::SaveArgs),
}

/// Runs the command.
///
/// # Errors
/// As the exit codes say.
pub(super) fn run(command: &EtcdCommand, settings: &Settings) -> Result<Exit, CliError> {
    match &command.command {
        EtcdSub::Snapshot(SnapshotCommand { command: SnapshotSub::Save(args) }) => {
            snapshot::save(args, settings)
        }
    }
}

//! `kubewright network`: the network of the pods.

mod args;
mod test;
mod trial;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::settings::Settings;
use clap::Args;
use clap::Subcommand;

/// Look after the network of the pods
#[derive(Debug, Args)]
pub(super) struct NetworkCommand {
    #[command(subcommand)]
    command: NetworkSub,
}

#[derive(Debug, Subcommand)]
enum NetworkSub {
    Test(args::TestArgs),
}

/// Runs the command.
///
/// # Errors
/// As the exit codes say.
pub(super) fn run(command: &NetworkCommand, settings: &Settings) -> Result<Exit, CliError> {
    match &command.command {
        NetworkSub::Test(args) => test::run(args, settings),
    }
}

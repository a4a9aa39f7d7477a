//! `kubewright endpoint`: the address by which clients reach the API.

mod args;
mod course;
mod down;
mod machines;
mod test;
mod watch;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::settings::Settings;
use clap::Args;
use clap::Subcommand;

/// Look after the endpoint, by which clients reach the API
#[derive(Debug, Args)]
pub(super) struct EndpointCommand {
    #[command(subcommand)]
    command: EndpointSub,
}

#[derive(Debug, Subcommand)]
enum EndpointSub {
    Test(args::TestArgs),
}

/// Runs the command.
///
/// # Errors
/// As the exit codes say.
pub(super) fn run(command: &EndpointCommand, settings: &Settings) -> Result<Exit, CliError> {
    match &command.command {
        EndpointSub::Test(args) => test::run(args, settings),
    }
}

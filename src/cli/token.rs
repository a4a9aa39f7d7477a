//! `kubewright token`: bootstrap tokens.

use crate::cli::exit::Exit;
use crate::cli::output;
use crate::pki::random;
use crate::pki::random::SystemRandom;
use clap::Args;
use clap::Subcommand;

/// Handle bootstrap tokens
#[derive(Debug, Args)]
pub(super) struct TokenCommand {
    #[command(subcommand)]
    command: TokenSub,
}

#[derive(Debug, Subcommand)]
enum TokenSub {
    /// Print a fresh token; it is not stored anywhere
    #[command(after_help = "Examples:\n  kubewright token generate")]
    Generate,
}

/// Runs the command.
pub(super) fn run(command: &TokenCommand) -> Exit {
    match command.command {
        TokenSub::Generate => {
            let (id, secret) = random::token(&mut SystemRandom);
            output::data(&format!("{id}.{}\n", secret.expose()));
            Exit::Success
        }
    }
}

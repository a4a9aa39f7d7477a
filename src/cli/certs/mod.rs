//! `kubewright certs`: keys and signing requests, and when certificates expire.

mod approve;
mod check_expiration;
mod generate_csr;
mod own;
mod renew;
mod restart;
mod verdicts;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::settings::Settings;
use crate::pki::random;
use crate::pki::random::SystemRandom;
use clap::Args;
use clap::Subcommand;

/// Handle certificates
#[derive(Debug, Args)]
#[command(alias = "certificates")]
pub(super) struct CertsCommand {
    #[command(subcommand)]
    command: CertsSub,
}

#[derive(Debug, Subcommand)]
enum CertsSub {
    Approve(approve::ApproveArgs),
    CheckExpiration(check_expiration::CheckExpirationArgs),
    GenerateCsr(generate_csr::GenerateCsrArgs),
    Renew(renew::RenewArgs),
    /// Print a fresh key for encrypting uploaded certificates
    #[command(after_help = "Examples:\n  kubewright certs certificate-key")]
    CertificateKey,
}

/// Runs the command.
///
/// # Errors
/// As the exit codes say.
pub(super) fn run(command: &CertsCommand, settings: &Settings) -> Result<Exit, CliError> {
    match &command.command {
        CertsSub::Approve(args) => approve::run(args, settings),
        CertsSub::CheckExpiration(args) => check_expiration::run(args, settings),
        CertsSub::GenerateCsr(args) => generate_csr::run(args, settings),
        CertsSub::Renew(args) => renew::run(args, settings),
        CertsSub::CertificateKey => {
            let key = random::certificate_key(&mut SystemRandom);
            output::data(&format!("{}\n", key.expose()));
            Ok(Exit::Success)
        }
    }
}

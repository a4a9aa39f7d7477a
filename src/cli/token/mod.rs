//! `kubewright token`: bootstrap tokens, by which hosts join and know the cluster.

mod create;
mod delete;
mod list;

use crate::api::Api;
use crate::api::DryRun;
use crate::cli::access::Access;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::settings::Settings;
use crate::pki::random;
use crate::pki::random::SystemRandom;
use clap::Args;
use clap::Subcommand;
use std::path::PathBuf;
use std::sync::Arc;

/// Handle bootstrap tokens
#[derive(Debug, Args)]
pub(super) struct TokenCommand {
    #[command(subcommand)]
    command: TokenSub,

    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Clone, Args)]
struct CommonArgs {
    /// Kubeconfig to use; else the first of $KUBECONFIG or ~/.kube/config, and /etc/kubernetes/admin.conf
    #[arg(long, global = true, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Show what would be done; change nothing
    #[arg(long, global = true)]
    dry_run: bool,
}

#[derive(Debug, Subcommand)]
enum TokenSub {
    Create(create::CreateArgs),
    List(list::ListArgs),
    Delete(delete::DeleteArgs),
    /// Print a fresh token; it is not stored anywhere
    #[command(after_help = "Examples:\n  kubewright token generate")]
    Generate,
}

/// Runs the command.
///
/// # Errors
/// As the exit codes say.
pub(super) fn run(command: &TokenCommand, settings: &Settings) -> Result<Exit, CliError> {
    let common = &command.common;
    match &command.command {
        TokenSub::Create(args) => create::run(args, common, settings),
        TokenSub::List(args) => list::run(args, common, settings),
        TokenSub::Delete(args) => delete::run(args, common, settings),
        TokenSub::Generate => {
            let (id, secret) = random::token(&mut SystemRandom);
            output::data(&format!("{id}.{}\n", secret.expose()));
            Ok(Exit::Success)
        }
    }
}

impl CommonArgs {
    /// The kubeconfig, and the API that changes go to, or seem to go to in a dry run.
    fn open(&self, settings: &Settings) -> Result<(Access, Arc<dyn Api>), CliError> {
        let access = Access::find(self.kubeconfig.as_deref(), settings)?;
        let api: Arc<dyn Api> = Arc::new(access.api()?);
        let api = if self.dry_run { Arc::new(DryRun::new(Some(api))) } else { api };
        Ok((access, api))
    }
}

//! `kubewright version`: this program, and the Kubernetes versions that it sets up.

use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cluster::version;
use clap::Args;
use clap::ValueEnum;
use serde_json::json;

/// Print the version of this program and of the Kubernetes that it sets up
#[derive(Debug, Args)]
pub(super) struct VersionCommand {
    /// Form of the versions
    #[arg(short, long, value_enum, default_value_t)]
    output: VersionOutput,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum VersionOutput {
    #[default]
    Text,
    /// The bare version
    Short,
    Json,
}

/// Runs the command.
///
/// # Errors
/// Never in practice.
pub(super) fn run(command: &VersionCommand) -> Result<Exit, CliError> {
    let own = env!("CARGO_PKG_VERSION");
    let oldest = format!("v1.{}", version::OLDEST_MINOR);
    let newest = format!("v1.{}", version::NEWEST_MINOR);
    output::data(&match command.output {
        VersionOutput::Short => format!("v{own}\n"),
        VersionOutput::Text => {
            format!("kubewright v{own}\nKubernetes {} by default; {oldest} to {newest}\n", version::DEFAULT)
        }
        VersionOutput::Json => {
            let value = json!({
                "kubewright": format!("v{own}"),
                "kubernetes": {"default": version::DEFAULT, "oldest": oldest, "newest": newest},
            });
            serde_json::to_string_pretty(&value).or_exit(Exit::Failure)? + "\n"
        }
    });
    Ok(Exit::Success)
}

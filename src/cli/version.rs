//! `kubewright version`: this program, the Kubernetes versions that it sets up, and the one that runs.

use crate::api::Api as _;
use crate::cli::access;
use crate::cli::access::Access;
use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::settings::Settings;
use crate::cluster::version;
use crate::kube::yaml;
use clap::Args;
use clap::ValueEnum;
use serde_json::Value;
use serde_json::json;
use std::path::PathBuf;

/// Print the version of this program and of the Kubernetes that it sets up
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct VersionCommand {
    /// Form of the versions
    #[arg(short, long, value_enum, default_value_t)]
    output: VersionOutput,

    /// Ask the cluster of this kubeconfig for its version, too
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  kubewright version -o short
  kubewright version --kubeconfig /etc/kubernetes/admin.conf -o json";

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum VersionOutput {
    #[default]
    Text,
    /// The bare version of this program
    Short,
    /// `clientVersion` as kubeadm has it, and what this program sets up
    Json,
    Yaml,
}

const OWN: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// Runs the command.
///
/// # Errors
/// The cluster that was named does not say its version.
pub(super) fn run(command: &VersionCommand, settings: &Settings) -> Result<Exit, CliError> {
    let server = command.kubeconfig.as_ref().map(|path| -> Result<Value, CliError> {
        let api = Access::find(Some(path), settings)?.api()?;
        serde_json::from_str(&api.raw("/version").map_err(access::refused)?).or_exit(Exit::Api)
    });
    let server = server.transpose()?;
    output::data(&match command.output {
        VersionOutput::Short => format!("{OWN}\n"),
        VersionOutput::Text => text(server.as_ref()),
        VersionOutput::Json => {
            serde_json::to_string_pretty(&value(server.as_ref())).or_exit(Exit::Failure)? + "\n"
        }
        VersionOutput::Yaml => yaml::to_string(&value(server.as_ref())),
    });
    Ok(Exit::Success)
}

fn range() -> [String; 2] {
    [version::OLDEST_MINOR, version::NEWEST_MINOR].map(|minor| format!("v1.{minor}"))
}

fn text(server: Option<&Value>) -> String {
    let [oldest, newest] = range();
    let server = server.map_or_else(String::new, |server| {
        format!("Server {}\n", server["gitVersion"].as_str().unwrap_or("unknown"))
    });
    format!("kubewright {OWN}\nKubernetes {} by default; {oldest} to {newest}\n{server}", version::DEFAULT)
}

fn value(server: Option<&Value>) -> Value {
    let [oldest, newest] = range();
    let mut value = json!({
        "clientVersion": {
            "major": env!("CARGO_PKG_VERSION_MAJOR"),
            "minor": env!("CARGO_PKG_VERSION_MINOR"),
            "gitVersion": OWN,
            "compiler": "rustc",
            "platform": format!("{}/{}", std::env::consts::OS, go_arch(std::env::consts::ARCH)),
        },
        "kubewright": OWN,
        "kubernetes": {"default": version::DEFAULT, "oldest": oldest, "newest": newest},
    });
    if let Some(server) = server {
        value["serverVersion"] = server.clone();
    }
    value
}

/// An architecture by the name that Go, and so Kubernetes, gives it.
fn go_arch(arch: &str) -> &str {
    match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

//! `kubewright addon`: the add-ons of a cluster, without its hosts.

mod apply;
mod list;

use crate::cli::error::CliError;
use crate::cli::error::OrExit as _;
use crate::cli::exit::Exit;
use crate::cli::fleet;
use crate::cli::fleet::Connected;
use crate::cli::fleet::FleetSession;
use crate::cli::settings::Settings;
use crate::cluster::Cluster;
use crate::cluster::Cni;
use crate::cluster::Node;
use crate::report::Event;
use crate::report::Reporter;
use clap::Args;
use clap::Subcommand;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Handle the add-ons of a cluster
#[derive(Debug, Args)]
pub(super) struct AddonCommand {
    #[command(subcommand)]
    command: AddonSub,
}

#[derive(Debug, Subcommand)]
enum AddonSub {
    Apply(apply::ApplyArgs),
    List(list::ListArgs),
}

/// Where the cluster is described, and how it is asked.
#[derive(Debug, Args)]
struct ClusterArgs {
    /// File with the cluster
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: PathBuf,

    /// How many control planes are asked at the same time
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    parallel: u16,
}

/// Runs the command.
///
/// # Errors
/// As the exit codes say.
pub(super) fn run(command: &AddonCommand, settings: &Settings) -> Result<Exit, CliError> {
    match &command.command {
        AddonSub::Apply(args) => apply::run(args, settings),
        AddonSub::List(args) => list::run(args, settings),
    }
}

/// Connects to the control planes, through which the API is reached; nothing is asked of other hosts.
fn connect(cluster: &mut Cluster, args: &ClusterArgs, settings: &Settings, reporter: &Reporter) -> Connected {
    cluster.nodes.retain(Node::is_control_plane);
    fleet::connect(cluster, usize::from(args.parallel), settings, reporter)
}

/// Asks them. One that is silent is told and left out.
///
/// # Errors
/// No API server answers.
fn open(
    cluster: Cluster,
    connected: Connected,
    args: &ClusterArgs,
    reporter: &Reporter,
) -> Result<FleetSession, CliError> {
    let (session, silent) =
        FleetSession::open_to_look(cluster, connected, usize::from(args.parallel), reporter)?;
    for (host, why) in &silent {
        let message = format!("it cannot be asked, and is left out: {why}");
        reporter.tell(&Event::Warning { host: Some(host.clone()), message, hint: None });
    }
    if !session.running.runs {
        let error = CliError::new(Exit::Api, anyhow::anyhow!("no API server of the cluster answers"));
        return Err(
            error.hint("`kubewright apply -f` makes a cluster, `kubewright status -f` says how one is")
        );
    }
    Ok(session)
}

/// The names of all that this file may install.
fn names(cluster: &Cluster) -> Vec<String> {
    let configuration = &cluster.configuration;
    let own = [
        ("coredns", !configuration.dns.disabled),
        ("kube-proxy", !configuration.proxy.disabled),
        ("cni", !matches!(cluster.site.cni, Cni::None | Cni::Bridge(_))),
    ];
    let own = own.into_iter().filter(|(_, wanted)| *wanted).map(|(name, _)| name.to_owned());
    own.chain(cluster.site.addons.iter().map(|addon| addon.name.clone())).collect()
}

/// Ctrl-C ends a run after the step at hand.
fn interrupt() -> Result<Arc<AtomicBool>, CliError> {
    crate::cli::interrupt::flag().or_exit(Exit::Failure)
}

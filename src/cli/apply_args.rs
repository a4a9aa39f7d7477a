//! What can be said to `apply`.

use crate::cli::fleet::FleetArgs;
use crate::cluster::GoDuration;
use clap::Args;
use std::path::PathBuf;

/// Make a cluster what a file says, on all its hosts at once
///
/// Asks every host over SSH, shows what will be done, and does it after a confirmation: hosts side by side, control
/// planes all at the same time. What is as wanted is left alone, so the same command goes on where an earlier run
/// stopped, adds hosts that are new in the file, and puts right what was changed by hand.
///
/// While it works it holds a lock on every host, and keeps a journal on this machine (`kubewright journal`). Ctrl-C
/// lets the steps at hand come to their end and says what is left; a second one ends it at once.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[command(after_help = EXAMPLES)]
pub(super) struct ApplyCommand {
    #[command(flatten)]
    pub fleet: FleetArgs,

    /// Do not ask for confirmation
    #[arg(short = 'y', long)]
    pub yes: bool,

    /// Only look what would be done
    #[arg(long)]
    pub dry_run: bool,

    /// Show the difference of every file and object that is changed
    #[arg(long)]
    pub diff: bool,

    /// Leave kernel, container runtime, programs and firewall of the hosts as they are, and only complain
    #[arg(long)]
    pub no_prepare: bool,

    /// Apply exactly this plan, which `plan --out` wrote, without asking; refuse when anything changed since
    #[arg(long, value_name = "FILE", conflicts_with_all = ["no_prepare", "limit", "dry_run"])]
    pub plan: Option<PathBuf>,

    /// Change only these hosts; names of hosts, or the roles control-plane, worker, load-balancer and etcd
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    pub limit: Vec<String>,

    /// Drain and remove nodes that the cluster has and the file has not
    #[arg(long)]
    pub prune: bool,

    /// How long the draining of one node may take
    #[arg(long, value_name = "DURATION", default_value = "5m0s")]
    pub drain_timeout: GoDuration,

    /// How long what an add-on runs may take to come up
    #[arg(long, value_name = "DURATION", default_value = "10m0s")]
    pub addon_timeout: GoDuration,

    /// How often a step is tried again after its connection was lost
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub retries: u32,

    /// Take over fields of add-ons' objects that somebody else has set to something else
    #[arg(long)]
    pub force_conflicts: bool,

    /// Follow the run of this name, which holds the lock and has not been heard of for minutes
    #[arg(long, value_name = "RUN")]
    pub break_lock: Option<String>,

    /// Write the administrator's kubeconfig to a file that only its owner can read
    #[arg(long, value_name = "FILE")]
    pub kubeconfig_out: Option<String>,

    /// Add the administrator's access to the first file of `KUBECONFIG`, or to ~/.kube/config, as the context
    /// kubernetes-admin@CLUSTER
    #[arg(long)]
    pub merge_kubeconfig: bool,
}

const EXAMPLES: &str = "\
Examples:
  kubewright apply -f cluster.yaml
  kubewright apply -f cluster.yaml --yes
  kubewright apply -f cluster.yaml --dry-run --diff
  kubewright apply -f cluster.yaml --plan reviewed.json
  kubewright apply -f cluster.yaml --limit worker --merge-kubeconfig
  kubewright apply -f cluster.yaml --prune      nodes that were taken out of the file leave the cluster";

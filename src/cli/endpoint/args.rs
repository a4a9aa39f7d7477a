//! What can be said to `endpoint test`.

use crate::cli::tested::TestOutput;
use crate::cluster::GoDuration;
use crate::endpoint::Part;
use clap::Args;
use clap::ValueEnum;
use std::path::PathBuf;

/// Fail the endpoint on purpose, measure the gap, and report two holders or flapping
///
/// Stops what keeps the virtual address on the host that has it, mends it, and then does the same to the HAProxy of the
/// host that has it by then. Meanwhile hosts of the cluster, and this machine where it can, ask the endpoint for
/// /readyz ten times a second and verify its certificate, and every host that balances is looked at for the address.
/// They need curl. kube-vip has no HAProxy; with node-local balancers there is no address, and the HAProxy of a node is
/// killed and the node itself asks. An endpoint that somebody else keeps is only measured.
///
/// Nothing is failed while the endpoint is not well or nobody could take over. A host is told to mend itself some time
/// later before anything is stopped on it, so that it does when this machine dies; Ctrl-C mends it at once. The hosts
/// are locked meanwhile. What is stopped in good order says that it goes: a host that loses its power is noticed
/// later, with keepalived after three more adverts.
///
/// The exit code is 0 when all is well, and 9 when a gap was longer than --max-gap, when two hosts had the address at
/// once, when it flapped, or when something could not be tested.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct TestArgs {
    /// File with the cluster
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub file: PathBuf,

    /// What is failed
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub fail: Fail,

    /// Fail only these hosts; names of hosts, or the roles control-plane, worker and load-balancer. With node-local
    /// balancers each of them, otherwise the first one
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    pub limit: Vec<String>,

    /// How long to look for flapping after each failure, and again after it was mended
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    pub observe: GoDuration,

    /// The longest time without an answer that is no finding
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    pub max_gap: GoDuration,

    /// Form of the report
    #[arg(short, long, value_enum, default_value_t)]
    pub output: TestOutput,

    /// Do not ask for confirmation
    #[arg(short = 'y', long)]
    pub yes: bool,

    /// Follow the run of this name, which holds the lock and has not been heard of for minutes
    #[arg(long, value_name = "RUN")]
    pub break_lock: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Fail {
    /// The holder, and then the proxy
    #[default]
    Both,
    /// keepalived or kube-vip on the host that has the address
    Holder,
    /// HAProxy on the host that has the address, or on a node
    Proxy,
    /// Nothing: only measure
    None,
}

const EXAMPLES: &str = "\
Examples:
  kubewright endpoint test -f cluster.yaml
  kubewright endpoint test -f cluster.yaml --fail none --observe 1m0s
  kubewright endpoint test -f cluster.yaml --yes --max-gap 3s -o json
  kubewright endpoint test -f cluster.yaml --fail proxy --limit worker";

impl Fail {
    pub(super) fn parts(self) -> &'static [Part] {
        match self {
            Self::Both => &[Part::Holder, Part::Proxy],
            Self::Holder => &[Part::Holder],
            Self::Proxy => &[Part::Proxy],
            Self::None => &[],
        }
    }
}

//! What can be said to `network test`.

use crate::cli::tested::TestOutput;
use crate::cluster::GoDuration;
use clap::Args;
use std::path::PathBuf;

/// Let pods on every node talk to each other, to a service and to the name service, and report who reaches whom
///
/// Two pods are started on every node, of the image that holds the namespaces of every pod, so that nothing is pulled:
/// one that everybody may reach, and one that a network policy closes. Over SSH, processes of this program then listen
/// and ask with the network of these pods; hosts need perl or Python for it. It is tried over TCP and UDP from pods to
/// pods of other nodes, over TCP from control planes to pods (the way of webhooks and extension servers), from all of them
/// to a service, and from pods to the name service over UDP and TCP. The largest packet that arrives is told too.
///
/// All objects are in the namespace kubewright-network-test, which is deleted at the end, also after Ctrl-C. Every node
/// of more than 30 asks eight others.
///
/// The exit code is 0 when all is well, and 9 when something wants attention.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct TestArgs {
    /// File with the cluster
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub file: PathBuf,

    /// Only these nodes; names of hosts, or the roles control-plane and worker
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    pub limit: Vec<String>,

    /// How long the pods may take to start
    #[arg(long, value_name = "DURATION", default_value = "1m30s")]
    pub timeout: GoDuration,

    /// How long to try again what does not work: rules of a service or a policy may be on their way
    #[arg(long, value_name = "DURATION", default_value = "15s")]
    pub patience: GoDuration,

    /// Leave the pods where they are
    #[arg(long)]
    pub keep: bool,

    /// Form of the report
    #[arg(short, long, value_enum, default_value_t)]
    pub output: TestOutput,

    /// How many hosts are worked on at the same time
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    pub parallel: u16,
}

const EXAMPLES: &str = "\
Examples:
  kubewright network test -f cluster.yaml
  kubewright network test -f cluster.yaml --limit w1,w2 -o json
  kubewright network test -f cluster.yaml --keep --patience 0s";

//! Flags of every command that works on all hosts of a cluster.

use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct FleetArgs {
    /// File with the cluster: a document `kind: Cluster`, and kubeadm's where wanted
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub file: PathBuf,

    /// How many hosts are worked on at the same time
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    pub parallel: u16,

    /// Checks whose errors are shown as warnings; `all` ignores every one
    #[arg(long, value_name = "CHECKS", value_delimiter = ',')]
    pub ignore_preflight_errors: Vec<String>,
}

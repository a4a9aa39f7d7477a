//! Connecting to every host of a cluster.

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::settings::Settings;
use crate::cluster::Cluster;
use crate::host::Fleet;
use crate::report::Reporter;

/// Connects to all hosts side by side; every host that cannot be reached is in the error.
///
/// # Errors
/// A host cannot be reached.
pub(in crate::cli) fn connect(
    cluster: &Cluster,
    parallel: usize,
    settings: &Settings,
    reporter: &Reporter,
) -> Result<Fleet, CliError> {
    let _ = (cluster, parallel, settings, reporter);
    Err(CliError::new(Exit::Host, anyhow::anyhow!("soon")))
}

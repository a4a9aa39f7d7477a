//! What a running cluster says of its own configuration.

use crate::api::Api;
use crate::cli::access;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::load;
use crate::cluster::Cluster;
use crate::plan::ObjectRef;
use crate::report::Reporter;

/// The configuration that `init` stored in the cluster. Of its nodes it knows none: the one in it stands for this host.
///
/// # Errors
/// The API does not answer or refuses, or there is no such record.
pub(super) fn read(api: &dyn Api, reporter: &Reporter) -> Result<Cluster, CliError> {
    let name = ObjectRef::new("v1", "ConfigMap", "kube-system", "kubeadm-config");
    let stored = api.get(&name).map_err(access::refused)?;
    let text = stored.as_ref().and_then(|map| map.pointer("/data/ClusterConfiguration")?.as_str());
    let missing =
        || CliError::new(Exit::Api, anyhow::anyhow!("the cluster has no {name} with a ClusterConfiguration"));
    load::stored(text.ok_or_else(missing)?, reporter)
}

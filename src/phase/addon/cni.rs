//! The pod network among the add-ons.

use super::bundle::Bundle;
use crate::cluster::Cluster;
use crate::kube::objects::pod_network;
use crate::plan::Object;

/// Its objects; `None` where it has none, or somebody else's.
///
/// # Errors
/// What others wrote is not what it was taken for.
pub(super) fn bundle(cluster: &Cluster) -> anyhow::Result<Option<Bundle>> {
    let reason = "pods on different nodes reach each other".to_owned();
    let bundle = |objects: Vec<serde_json::Value>| Bundle {
        name: "cni".to_owned(),
        objects: objects.into_iter().map(Object::plain).collect(),
        afterwards: Vec::new(),
        reason,
    };
    Ok(pod_network::objects(cluster)?.map(bundle))
}

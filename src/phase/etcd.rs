//! Stacked etcd: its data directory and its static pod.

use crate::cluster::Cluster;
use crate::cluster::HostPort;
use crate::cluster::Node;
use crate::kube::static_pod;
use crate::kube::static_pod::InitialCluster;
use crate::phase::Context;
use crate::phase::Draft;
use crate::phase::control_plane::manifest;
use crate::plan::Action;

/// Plans the etcd member of a control plane; nothing when somebody else runs etcd.
pub fn plan(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    let Some(local) = &cx.cluster.configuration.etcd.local else { return Ok(Vec::new()) };
    if cx.cluster.configuration.etcd.external.is_some() {
        return Ok(Vec::new());
    }
    let pod = static_pod::etcd(cx.cluster, node, cx.facts_of(node), &initial_cluster(cx.cluster))?;
    Ok(vec![
        Draft::new(
            "etcd data directory",
            "etcd refuses a data directory that others can read",
            Action::Directory { path: local.data_dir.clone(), mode: 0o700 },
        ),
        manifest("etcd", &pod),
    ])
}

/// All members of a new cluster: known before the first one starts, so they can all start at once.
fn initial_cluster(cluster: &Cluster) -> InitialCluster {
    let peer = |node: &Node| {
        let address = HostPort::new(node.advertise_address.to_string(), 2380);
        (node.name.clone(), format!("https://{address}"))
    };
    InitialCluster { members: cluster.control_planes().map(peer).collect(), existing: false }
}

//! Waiting until the etcd of a host of its own takes part.

use crate::cluster::Node;
use crate::kube::patch::Target;
use crate::kube::static_pod::etcd;
use crate::phase::Context;
use crate::phase::Draft;
use crate::phase::wait_control_plane;
use crate::plan::Probe;

/// Plans the waits: the kubelet first, then the member, which is well when it has found a majority.
pub fn plan(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    let (at, tls) = etcd::health(cx.cluster, node);
    let probe = Probe::Http { tls, host: at.host, port: at.port, path: etcd::READY.to_owned() };
    let member = wait_control_plane::component(cx, node, Target::Etcd.as_str(), probe);
    let before = wait_control_plane::replaced(cx, node).into_iter().chain(wait_control_plane::kubelet(cx));
    Ok(before.chain([member]).collect())
}

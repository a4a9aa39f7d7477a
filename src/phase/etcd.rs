//! The cluster's own etcd: its data directory and its static pod.

use crate::cluster::Node;
use crate::cluster::kubeadm::LocalEtcd;
use crate::kube::patch::Target;
use crate::kube::static_pod;
use crate::kube::static_pod::InitialCluster;
use crate::phase::Context;
use crate::phase::Draft;
use crate::phase::control_plane::manifest;
use crate::phase::control_plane::manifests_directory;
use crate::phase::control_plane::site;
use crate::phase::rootless;
use crate::plan::Action;

/// Plans the etcd member of a host; nothing when somebody else runs etcd. All members of a new cluster are
/// known before the first one starts, so they can all start at once.
pub fn plan(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    let Some(local) = local(cx) else { return Ok(Vec::new()) };
    let initial = initial(cx, node);
    let rootless = cx.rootless(node)?;
    let site = site(cx, node, rootless.as_ref());
    let pod = manifest(cx, Target::Etcd, static_pod::etcd(&site, &initial))?;
    let mut drafts = data_directory(cx, node, local)?;
    drafts.extend([manifests_directory(), pod]);
    Ok(drafts)
}

/// A member that has data goes on with what it was started with: etcd looks at it no more, and a change of the static
/// pod would restart it for nothing. One that has not waits for the others that start with the cluster, which a member
/// that has data knows.
fn initial(cx: &Context<'_>, node: &Node) -> InitialCluster {
    let founders = || cx.cluster.etcd_members().filter(|node| !cx.options.joiners.contains(&node.name));
    let start = |node: &Node| cx.facts.get(&node.name).and_then(|facts| facts.etcd_start.as_ref());
    let founding = || founders().filter_map(start).find(|start| !start.existing);
    let kept = start(node).or_else(|| founding().filter(|_| cx.running.runs || cx.running.etcd.is_some()));
    match kept {
        Some(start) => InitialCluster::kept(&start.members, start.existing),
        None => InitialCluster::new(founders()),
    }
}

/// How the cluster's own etcd is configured; `None` when somebody else runs etcd.
pub fn local<'a>(cx: &Context<'a>) -> Option<&'a LocalEtcd> {
    let etcd = &cx.cluster.configuration.etcd;
    etcd.local.as_ref().filter(|_| etcd.external.is_none())
}

/// The directory of a member's data, and its owner where etcd does not run as root.
///
/// # Errors
/// The host has accounts that do not fit.
pub fn data_directory(cx: &Context<'_>, node: &Node, local: &LocalEtcd) -> anyhow::Result<Vec<Draft>> {
    let directory = Draft::new(
        "etcd data directory",
        "etcd refuses a data directory that others can read",
        Action::Directory { path: local.data_dir.clone(), mode: 0o700 },
    );
    let owned = cx.rootless(node)?.map(|ids| rootless::data_directory(&local.data_dir, ids.etcd));
    Ok(std::iter::once(directory).chain(owned).collect())
}

//! Stacked etcd: its data directory and its static pod.

use crate::cluster::Node;
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

/// Plans the etcd member of a control plane; nothing when somebody else runs etcd. All members of a new cluster are
/// known before the first one starts, so they can all start at once.
pub fn plan(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    let Some(local) = &cx.cluster.configuration.etcd.local else { return Ok(Vec::new()) };
    if cx.cluster.configuration.etcd.external.is_some() {
        return Ok(Vec::new());
    }
    let initial = InitialCluster::new(cx.cluster.control_planes());
    let rootless = cx.rootless(node)?;
    let site = site(cx, node, rootless.as_ref());
    let directory = Draft::new(
        "etcd data directory",
        "etcd refuses a data directory that others can read",
        Action::Directory { path: local.data_dir.clone(), mode: 0o700 },
    );
    let owned = rootless.map(|ids| rootless::data_directory(&local.data_dir, ids.etcd));
    let pod = manifest(cx, Target::Etcd, static_pod::etcd(&site, &initial))?;
    Ok(std::iter::once(directory).chain(owned).chain([manifests_directory(), pod]).collect())
}

//! The configuration, stored in the cluster for joining nodes and later runs.

use crate::cluster::Node;
use crate::kube::objects::upload_config;
use crate::phase::Context;
use crate::phase::Draft;
use crate::phase::objects;

/// Plans the ConfigMap that the sub-phase is named after, and who may read it.
pub fn plan(cx: &Context<'_>, _: &Node, phase: &str) -> anyhow::Result<Vec<Draft>> {
    Ok(match phase {
        "kubeadm" => objects::replaced(
            upload_config::kubeadm_config(cx.cluster),
            "joining nodes and upgrades read the cluster's configuration here",
        ),
        _ => objects::replaced(
            upload_config::kubelet_config(cx.cluster),
            "joining kubelets take their configuration from here",
        ),
    })
}

//! The certificates, encrypted, for further control planes.

use crate::cluster::Node;
use crate::kube::objects::upload_certs;
use crate::phase::Context;
use crate::phase::Draft;
use crate::phase::objects;

/// Plans the Secret `kubeadm-certs`, when it was asked for.
pub fn plan(cx: &Context<'_>, _: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    if !cx.cluster.upload_certs {
        return Ok(Vec::new());
    }
    Ok(objects::replaced(
        upload_certs::objects(cx.cluster, &cx.options.ttl_token_id),
        "a joining control plane fetches the authorities here; they expire after two hours",
    ))
}

//! The last touch on the kubelet: its kubeconfig points to the certificate that it renews.

use crate::cluster::Node;
use crate::phase::Context;
use crate::phase::Draft;
use crate::phase::kubeconfig::ENTRIES;
use crate::phase::kubeconfig::kubeconfig;
use crate::pki::Ca;
use crate::pki::CertName;
use crate::pki::spec::spec;
use crate::plan::Action;
use crate::plan::ClientCredential;
use crate::plan::Content;
use crate::plan::FileSpec;
use crate::plan::KubeconfigSpec;

/// Plans `kubelet.conf` without its embedded certificate. With an external CA the operator's file stays.
pub fn plan(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    Ok(stored(cx, node).into_iter().collect())
}

/// `kubelet.conf` with the certificate in the kubelet's own store; `None` where the operator made the file.
pub fn stored(cx: &Context<'_>, node: &Node) -> Option<Draft> {
    if cx.external.contains(&Ca::Kubernetes) {
        return None;
    }
    let entry = ENTRIES.iter().find(|entry| entry.cert == CertName::KubeletClient).expect("the table has it");
    let current = spec(cx.cluster, node, CertName::KubeletClient).paths.store?;
    let rotated =
        KubeconfigSpec { client: ClientCredential::File(current), ..kubeconfig(cx.cluster, node, entry) };
    Some(Draft::new(
        "kubelet.conf points to the renewed certificate",
        "an embedded certificate would expire while the kubelet renews another one",
        Action::File(FileSpec {
            path: format!("{}/kubelet.conf", cx.kubeconfig_dir()),
            mode: 0o600,
            owner: None,
            content: Content::Kubeconfig(rotated),
            keep_existing: false,
        }),
    ))
}

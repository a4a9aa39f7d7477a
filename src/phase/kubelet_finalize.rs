//! The last touch on the kubelet: its kubeconfig points to the certificate that it renews.

use crate::cluster::Node;
use crate::kube::kubelet;
use crate::phase::Context;
use crate::phase::Draft;
use crate::phase::kubeconfig::ENTRIES;
use crate::phase::kubeconfig::spec;
use crate::pki::Ca;
use crate::pki::CertName;
use crate::plan::Action;
use crate::plan::ClientCredential;
use crate::plan::Content;
use crate::plan::FileSpec;
use crate::plan::KubeconfigSpec;

/// Plans `kubelet.conf` without its embedded certificate. With an external CA the operator's file stays.
pub fn plan(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    if cx.decisions.is_external(node, CertName::Ca(Ca::Kubernetes)) {
        return Ok(Vec::new());
    }
    let entry = ENTRIES.iter().find(|entry| entry.cert == CertName::KubeletClient).expect("the table has it");
    let current = format!("{}/kubelet-client-current.pem", kubelet::cert_dir(node));
    let spec = KubeconfigSpec { client: ClientCredential::File(current), ..spec(cx.cluster, node, entry) };
    Ok(vec![Draft::new(
        "kubelet.conf points to the renewed certificate",
        "an embedded certificate would expire while the kubelet renews another one",
        Action::File(FileSpec {
            path: format!("{}/kubelet.conf", cx.kubeconfig_dir()),
            mode: 0o600,
            owner: None,
            content: Content::Kubeconfig(spec),
            keep_existing: false,
        }),
    )])
}

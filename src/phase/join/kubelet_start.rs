//! The kubelet of a joining host: how it proves itself, its settings, and its start.

use super::BOOTSTRAP_KUBECONFIG;
use super::bootstraps;
use super::signs_itself;
use crate::cluster::Node;
use crate::phase::Context;
use crate::phase::Draft;
use crate::phase::kubelet_finalize;
use crate::phase::kubelet_start;
use crate::pki::Ca;
use crate::pki::CertName;
use crate::pki::spec;
use crate::plan::Action;
use crate::plan::Content;
use crate::plan::FileSpec;

/// Plans the kubelet's credentials, its files and its start.
pub fn plan(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    let mut credentials = Vec::new();
    if signs_itself(cx, node) {
        credentials.extend(kubelet_finalize::stored(cx, node));
        credentials.extend(kubelet_start::stored_pairs(cx, node));
    }
    if bootstraps(cx, node) {
        credentials.push(bootstrap_kubeconfig(cx, node));
    }
    if !node.is_control_plane() {
        credentials.push(authority(cx));
    }
    kubelet_start::start(cx, node, credentials)
}

/// The cluster's own authority, as discovery found it; the operator may want it at another path (`caCertPath`).
fn authority(cx: &Context<'_>) -> Draft {
    let ca = CertName::Ca(Ca::Kubernetes);
    let default = || spec::authority_paths(cx.cluster, Ca::Kubernetes).certificate;
    let path = cx.options.ca_cert_path.clone().or_else(default).unwrap_or_default();
    Draft::new(
        format!("{ca} certificate"),
        ca.long_name(),
        Action::File(FileSpec {
            path: path.clone(),
            mode: 0o644,
            owner: None,
            content: Content::Downloaded { path },
            keep_existing: false,
        }),
    )
}

/// On a control plane the kubelet asks the API server of its own host, so that it works while the endpoint does not.
fn bootstrap_kubeconfig(cx: &Context<'_>, node: &Node) -> Draft {
    let server =
        if node.is_control_plane() { cx.cluster.local_url(node) } else { cx.cluster.control_plane_url(node) };
    Draft::new(
        "kubeconfig bootstrap-kubelet.conf",
        "the kubelet asks for its first certificate with it; it is removed when the kubelet has one",
        Action::File(FileSpec {
            path: BOOTSTRAP_KUBECONFIG.to_owned(),
            mode: 0o600,
            owner: None,
            content: Content::BootstrapKubeconfig { server },
            keep_existing: false,
        }),
    )
}

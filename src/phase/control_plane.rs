//! The static pods of the control plane.

use crate::cluster::Node;
use crate::kube::static_pod;
use crate::kube::yaml;
use crate::phase::Context;
use crate::phase::Draft;
use crate::pki::Ca;
use crate::pki::CertName;
use crate::plan::Action;
use crate::plan::Content;
use crate::plan::FileSpec;
use serde_json::Value;

pub const MANIFESTS: &str = "/etc/kubernetes/manifests";

/// Plans the static pod that the sub-phase is named after.
pub fn plan(cx: &Context<'_>, node: &Node, phase: &str) -> anyhow::Result<Vec<Draft>> {
    let facts = cx.facts_of(node);
    let (name, pod) = match phase {
        "apiserver" => ("kube-apiserver", static_pod::apiserver(cx.cluster, node, facts)?),
        "controller-manager" => {
            let external_ca = cx.decisions.is_external(node, CertName::Ca(Ca::Kubernetes));
            ("kube-controller-manager", static_pod::controller_manager(cx.cluster, node, facts, external_ca)?)
        }
        _ => ("kube-scheduler", static_pod::scheduler(cx.cluster, node, facts)?),
    };
    Ok(vec![directory(), manifest(name, &pod)])
}

fn directory() -> Draft {
    Draft::new(
        "directory of static pods",
        "the kubelet runs whatever manifests it finds there",
        Action::Directory { path: MANIFESTS.to_owned(), mode: 0o700 },
    )
}

/// A static pod's manifest in the kubelet's directory.
pub fn manifest(name: &str, pod: &Value) -> Draft {
    Draft::new(
        format!("static pod {name}"),
        "the kubelet starts it without an API server",
        Action::File(FileSpec {
            path: format!("{MANIFESTS}/{name}.yaml"),
            mode: 0o600,
            owner: None,
            content: Content::Text(yaml::to_string(pod)),
            keep_existing: false,
        }),
    )
}

//! Waiting for the kubelet: healthy, with a certificate of its own, and registered.

use super::BOOTSTRAP_KUBECONFIG;
use super::KUBELET_KUBECONFIG;
use super::bootstraps;
use super::signs_itself;
use crate::cluster::GoDuration;
use crate::cluster::Node;
use crate::cluster::kubeadm::Timeouts;
use crate::phase::Context;
use crate::phase::Draft;
use crate::phase::UndoDraft;
use crate::phase::wait_control_plane;
use crate::plan::Action;
use crate::plan::Identity;
use crate::plan::Probe;
use crate::plan::Wait;

/// Plans the waits, and the end of the bootstrap kubeconfig. A control plane registers when its own API server
/// answers, which is waited for later.
pub fn plan(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    let mut drafts: Vec<Draft> = wait_control_plane::kubelet(cx).into_iter().collect();
    let limit = cx.cluster.timeouts.tls_bootstrap;
    if bootstraps(cx, node) {
        drafts.push(certificate(limit));
    }
    if !signs_itself(cx, node) {
        drafts.push(no_bootstrap_kubeconfig());
    }
    if !node.is_control_plane() {
        drafts.push(registered(node, limit));
    }
    Ok(drafts)
}

/// A kubelet that gets no certificate leaves no token behind either; the next run writes it again.
pub fn undo(cx: &Context<'_>, node: &Node) -> Option<UndoDraft> {
    bootstraps(cx, node).then(|| UndoDraft {
        drafts: vec![no_bootstrap_kubeconfig()],
        mend: vec![format!("`rm -f {BOOTSTRAP_KUBECONFIG}`")],
    })
}

fn no_bootstrap_kubeconfig() -> Draft {
    Draft::new(
        "bootstrap-kubelet.conf removed",
        "the token in it has served, and would admit others until it expires",
        Action::Absent { path: BOOTSTRAP_KUBECONFIG.to_owned() },
    )
}

fn certificate(limit: GoDuration) -> Draft {
    Draft::new(
        "kubelet has its certificate",
        "the cluster signs it when the token is good",
        Action::Wait(Wait {
            probe: Probe::Path { path: KUBELET_KUBECONFIG.to_owned() },
            limit,
            setting: Some(Timeouts::TLS_BOOTSTRAP),
            advice: vec![
                "journalctl -xeu kubelet".to_owned(),
                "on a control plane: kubectl get certificatesigningrequests".to_owned(),
            ],
            container: None,
        }),
    )
}

fn registered(node: &Node, limit: GoDuration) -> Draft {
    let name = node.registered_name();
    Draft::new(
        format!("node {name} registered"),
        "the kubelet creates the Node object",
        Action::Wait(Wait {
            probe: Probe::NodeRegistered { node: name.to_owned(), identity: Identity::Node },
            limit,
            setting: Some(Timeouts::TLS_BOOTSTRAP),
            advice: vec!["journalctl -xeu kubelet".to_owned()],
            container: None,
        }),
    )
}

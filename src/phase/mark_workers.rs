//! Workers: registered, and labelled as the configuration says.

use crate::cluster::Node;
use crate::cluster::kubeadm::Timeouts;
use crate::phase::Context;
use crate::phase::Draft;
use crate::phase::mark_control_plane::mark;
use crate::plan::Action;
use crate::plan::ApplyHow;
use crate::plan::Identity;
use crate::plan::ObjectSpec;
use crate::plan::Probe;
use crate::plan::Wait;

/// Plans the wait for the worker's registration, its labels and its taints. It registers with the taints itself, but
/// only for the first time.
pub fn plan(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    let name = node.registered_name();
    let registered = Draft::new(
        format!("node {name} registered"),
        "the kubelet creates the Node object",
        Action::Wait(Wait {
            probe: Probe::NodeRegistered { node: name.to_owned(), identity: Identity::Admin },
            limit: cx.cluster.timeouts.tls_bootstrap,
            setting: Some(Timeouts::TLS_BOOTSTRAP),
            advice: vec!["journalctl -xeu kubelet".to_owned()],
            container: None,
        }),
    );
    let labelled = mark(cx, node)?.map(|object| {
        Draft::new(
            format!("node {name} labelled"),
            "a kubelet may not choose most labels itself",
            Action::Object(ObjectSpec { object, how: ApplyHow::MarkNode, identity: Identity::Admin }),
        )
    });
    Ok(std::iter::once(registered).chain(labelled).collect())
}

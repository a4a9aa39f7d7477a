//! Marking a node as a control plane: labels and taints.

use crate::cluster::Node;
use crate::cluster::kubeadm::Timeouts;
use crate::kube::objects;
use crate::phase::Context;
use crate::phase::Draft;
use crate::phase::pod_networks;
use crate::plan::Action;
use crate::plan::ApplyHow;
use crate::plan::Identity;
use crate::plan::Object;
use crate::plan::ObjectSpec;
use crate::plan::Probe;
use crate::plan::Wait;

/// Plans the wait for the node's registration and its marks.
pub fn plan(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    let Some(mark) = mark(cx, node)? else { return Ok(Vec::new()) };
    let timeouts = &cx.cluster.timeouts;
    // One that joins registers with the API server of its own host, which may still be on its way.
    let (limit, setting) = if cx.cluster.joining {
        (timeouts.control_plane_component_health_check, Timeouts::COMPONENT)
    } else {
        (timeouts.kubernetes_api_call, Timeouts::KUBERNETES_API)
    };
    Ok(vec![
        Draft::new(
            format!("node {} registered", node.registered_name()),
            "the kubelet creates the Node object",
            Action::Wait(Wait {
                probe: Probe::NodeRegistered {
                    node: node.registered_name().to_owned(),
                    identity: Identity::Admin,
                },
                limit,
                setting: Some(setting),
                advice: vec!["journalctl -xeu kubelet".to_owned()],
                container: None,
            }),
        ),
        Draft::new(
            format!("node {} marked as control plane", node.registered_name()),
            "workloads stay off it, and load balancers leave it out",
            Action::Object(ObjectSpec { object: mark, how: ApplyHow::MarkNode, identity: Identity::Admin }),
        ),
    ])
}

/// What a Node is marked with. Of hosts that the operator lists, what an earlier list set and this one does not goes.
///
/// # Errors
/// No network can be chosen for its pods.
pub fn mark(cx: &Context<'_>, node: &Node) -> anyhow::Result<Option<Object>> {
    let mark = if cx.cluster.site.declared_hosts {
        objects::node::reconciled(node, cx.running.node(node.registered_name()))
    } else {
        objects::node::mark(node)
    };
    pod_networks::noted(cx, &node.name, mark)
}

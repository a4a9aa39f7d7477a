//! What a Node object is marked with.

use crate::cluster::Node;
use crate::plan::Object;
use serde_json::json;

/// The label of a control plane.
pub const CONTROL_PLANE_LABEL: &str = "node-role.kubernetes.io/control-plane";

const NO_LOAD_BALANCING_LABEL: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// The labels that a node gets, and a control plane's taints, as a Node that names nothing else; for
/// [`ApplyHow::MarkNode`](crate::plan::ApplyHow::MarkNode). `None` where there is nothing to mark.
///
/// A worker's taints are not here: its kubelet registers with them.
pub fn mark(node: &Node) -> Option<Object> {
    let mut labels = node.labels.clone();
    let mut taints = Vec::new();
    if node.is_control_plane() {
        labels.extend(
            [CONTROL_PLANE_LABEL, NO_LOAD_BALANCING_LABEL].map(|key| (key.to_owned(), String::new())),
        );
        taints = node.effective_taints();
    }
    if labels.is_empty() {
        return None;
    }
    let mut value = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.registered_name(), "labels": labels},
    });
    if !taints.is_empty() {
        value["spec"] = json!({ "taints": taints });
    }
    Some(Object::plain(value))
}

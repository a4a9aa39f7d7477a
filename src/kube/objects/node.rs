//! What a Node object is marked with.

use crate::cluster::Node;
use crate::facts::NodeFacts;
use crate::facts::nodes::APPLIED_ANNOTATION;
use crate::facts::nodes::Applied;
use crate::facts::nodes::taint_text;
use crate::plan::Object;
use serde_json::Value;
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

/// What [`mark`] sets and the taints of a worker, with a note of what of it is the operator's, and without what an
/// earlier file set and this one does not: such a label is `null`, and such a taint has `$patch: delete`, as in a
/// strategic merge patch. Labels and taints of others do not appear. `None` where there is nothing to mark or to take
/// away.
pub fn reconciled(node: &Node, live: Option<&NodeFacts>) -> Option<Object> {
    let before = live.map(|live| live.applied.clone()).unwrap_or_default();
    let wanted = node.effective_taints();
    let now = Applied {
        labels: node.labels.keys().cloned().collect(),
        taints: wanted.iter().map(taint_text).collect(),
    };
    let mark = mark(node).map(|mark| mark.value);
    if mark.is_none() && now.is_empty() && before.is_empty() {
        return None;
    }
    let mut value = mark.unwrap_or_else(
        || json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node.registered_name()}}),
    );
    for gone in before.labels.difference(&now.labels) {
        // A label that comes with the role stays although the file has dropped it.
        if value["metadata"]["labels"].get(gone).is_none() {
            value["metadata"]["labels"][gone] = Value::Null;
        }
    }
    let mut taints: Vec<Value> = wanted.iter().map(|taint| json!(taint)).collect();
    taints.extend(before.taints.difference(&now.taints).filter_map(|text| removed(text)));
    if !taints.is_empty() {
        value["spec"]["taints"] = taints.into();
    }
    if !now.is_empty() || !before.is_empty() {
        let remembered = if now.is_empty() { Value::Null } else { json!(json!(now).to_string()) };
        value["metadata"]["annotations"] = json!({ APPLIED_ANNOTATION: remembered });
    }
    Some(Object::plain(value))
}

/// The taint that [`taint_text`] wrote, to be taken away.
fn removed(text: &str) -> Option<Value> {
    let (rest, effect) = text.rsplit_once(':')?;
    let (key, value) = rest.split_once('=').unwrap_or((rest, ""));
    let mut taint = json!({"$patch": "delete", "key": key, "effect": effect});
    if !value.is_empty() {
        taint["value"] = value.into();
    }
    Some(taint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::kubeadm::Taint;
    use std::collections::BTreeMap;

    fn node(labels: &[(&str, &str)], taints: Option<&[&str]>) -> Node {
        let taint = |text: &&str| {
            let parsed = removed(text).unwrap();
            serde_json::from_value::<Taint>(parsed).unwrap()
        };
        Node {
            name: "w1".to_owned(),
            roles: vec![crate::cluster::Role::Worker],
            advertise_address: "192.0.2.7".parse().unwrap(),
            bind_port: 6443,
            cri_socket: "unix:///run/x.sock".to_owned(),
            taints: taints.map(|taints| taints.iter().map(taint).collect()),
            labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            kubelet_extra_args: Vec::new(),
            ignore_preflight_errors: Vec::new(),
            image_pull_policy: crate::cluster::node::ImagePullPolicy::default(),
            image_pull_serial: true,
            access: None,
        }
    }

    fn live(labels: &[&str], taints: &[&str]) -> NodeFacts {
        let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
        let applied = Applied { labels: owned(labels), taints: owned(taints) };
        NodeFacts { name: "w1".to_owned(), labels: BTreeMap::new(), applied, ..NodeFacts::default() }
    }

    #[test]
    fn what_an_earlier_file_set_goes() {
        let annotation = |note: Value| json!({ APPLIED_ANNOTATION: note });
        let note = r#"{"labels":["disk"],"taints":["db=x:NoSchedule"]}"#;
        let cases = [
            (node(&[], None), None, None),
            (node(&[], None), Some(live(&[], &[])), None),
            (
                node(&[("disk", "ssd")], Some(&["db=x:NoSchedule"])),
                None,
                Some((
                    json!({"name": "w1", "labels": {"disk": "ssd"}, "annotations": annotation(json!(note))}),
                    json!({"taints": [{"key": "db", "value": "x", "effect": "NoSchedule"}]}),
                )),
            ),
            (
                node(&[], None),
                Some(live(&["disk"], &["db=x:NoSchedule", "gpu:NoExecute"])),
                Some((
                    json!({"name": "w1", "labels": {"disk": null}, "annotations": annotation(Value::Null)}),
                    json!({"taints": [
                        {"$patch": "delete", "key": "db", "value": "x", "effect": "NoSchedule"},
                        {"$patch": "delete", "key": "gpu", "effect": "NoExecute"},
                    ]}),
                )),
            ),
        ];
        for (node, live, expected) in cases {
            let found = reconciled(&node, live.as_ref()).map(|object| object.value);
            let parts = found.map(|value| (value["metadata"].clone(), value["spec"].clone()));
            assert_eq!(parts, expected);
        }
    }

    #[test]
    fn a_control_plane_keeps_its_own_label_and_default_taint() {
        let mut node = node(&[], None);
        node.roles = vec![crate::cluster::Role::ControlPlane];
        let default = "node-role.kubernetes.io/control-plane:NoSchedule";
        let live = live(&[CONTROL_PLANE_LABEL], &[default]);
        let mark = |node: &Node| reconciled(node, Some(&live)).unwrap().value;
        assert_eq!(mark(&node)["metadata"]["labels"][CONTROL_PLANE_LABEL], "");
        assert_eq!(mark(&node)["spec"]["taints"].as_array().unwrap().len(), 1);
        // Until the operator wants workloads there.
        node.taints = Some(Vec::new());
        assert_eq!(mark(&node)["spec"]["taints"][0]["$patch"], "delete");
        assert_eq!(mark(&node)["metadata"]["annotations"][APPLIED_ANNOTATION], Value::Null);
    }
}

//! Labels and taints of a Node: the wanted ones made so, all others left alone.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

/// The label by which a registered node is known.
pub(crate) const HOSTNAME_LABEL: &str = "kubernetes.io/hostname";

pub(crate) fn is_registered(node: &Value) -> bool {
    node["metadata"]["labels"].get(HOSTNAME_LABEL).is_some()
}

/// The patch that marks a live node; `None` when it is marked already. Wanted taints come first, then the existing
/// ones that are not among them, as kubeadm has it. The resource version makes the server refuse the patch when
/// somebody else changed the taints meanwhile.
pub(crate) fn mark(wanted: &Value, live: &Value) -> Option<Value> {
    let empty = Map::new();
    let live_labels = &live["metadata"]["labels"];
    let labels = wanted["metadata"]["labels"].as_object().unwrap_or(&empty).iter();
    let labels: Map<String, Value> = labels
        .filter(|(key, value)| live_labels.get(*key) != Some(*value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let wanted_taints = list(&wanted["spec"]["taints"]);
    let live_taints = list(&live["spec"]["taints"]);
    let among = |taint: &Value, list: &[Value]| list.iter().any(|other| identity(other) == identity(taint));
    let taints_missing = wanted_taints.iter().any(|taint| !among(taint, &live_taints));
    if labels.is_empty() && !taints_missing {
        return None;
    }
    let mut patch = json!({"metadata": {"resourceVersion": live["metadata"]["resourceVersion"]}});
    if !labels.is_empty() {
        patch["metadata"]["labels"] = Value::Object(labels);
    }
    if taints_missing {
        let others = live_taints.iter().filter(|taint| !among(taint, &wanted_taints));
        patch["spec"] = json!({"taints": wanted_taints.iter().chain(others).collect::<Vec<_>>()});
    }
    Some(patch)
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn identity(taint: &Value) -> [&str; 3] {
    ["key", "value", "effect"].map(|part| taint.get(part).and_then(Value::as_str).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_only_what_is_missing_and_keeps_the_rest() {
        let control_plane = json!({"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"});
        let not_ready =
            json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule", "timeAdded": "t"});
        let wanted = json!({"metadata": {"labels": {"a": ""}}, "spec": {"taints": [control_plane]}});
        let live = |labels: Value, taints: Value| json!({"metadata": {"resourceVersion": "7", "labels": labels}, "spec": {"taints": taints}});
        assert_eq!(mark(&wanted, &live(json!({"a": "", "b": "c"}), json!([not_ready, control_plane]))), None);
        assert_eq!(
            mark(&wanted, &live(json!({"a": ""}), json!([not_ready]))),
            Some(
                json!({"metadata": {"resourceVersion": "7"}, "spec": {"taints": [control_plane, not_ready]}})
            )
        );
        assert_eq!(
            mark(&wanted, &live(json!({"b": "c"}), json!([control_plane]))),
            Some(json!({"metadata": {"resourceVersion": "7", "labels": {"a": ""}}}))
        );
        let nothing = json!({"metadata": {"labels": {}}, "spec": {"taints": []}});
        assert_eq!(mark(&nothing, &live(json!({}), json!([not_ready]))), None);
    }
}

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
    let [labels, annotations] = ["labels", "annotations"].map(|part| {
        let live = &live["metadata"][part];
        let wanted = wanted["metadata"][part].as_object().into_iter().flatten();
        let differs = |(key, value): &(&String, &Value)| live.get(*key).unwrap_or(&Value::Null) != *value;
        let differing = wanted.filter(differs).map(|(key, value)| (key.clone(), value.clone()));
        differing.collect::<Map<String, Value>>()
    });
    let (removed, wanted_taints): (Vec<Value>, Vec<Value>) =
        list(&wanted["spec"]["taints"]).into_iter().partition(|taint| taint.get("$patch").is_some());
    let live_taints = list(&live["spec"]["taints"]);
    let is_gone = |taint: &Value| among(taint, &removed) && !among(taint, &wanted_taints);
    let taints_differ =
        wanted_taints.iter().any(|taint| !among(taint, &live_taints)) || live_taints.iter().any(is_gone);
    let networks = &wanted["spec"]["podCIDRs"];
    let networks_differ = !networks.is_null() && *networks != live["spec"]["podCIDRs"];
    if labels.is_empty() && annotations.is_empty() && !taints_differ && !networks_differ {
        return None;
    }
    let mut patch = json!({"metadata": {"resourceVersion": live["metadata"]["resourceVersion"]}});
    for (part, differing) in [("labels", labels), ("annotations", annotations)] {
        if !differing.is_empty() {
            patch["metadata"][part] = Value::Object(differing);
        }
    }
    if taints_differ {
        // One key has one value for each effect.
        let replaced = |taint: &Value| wanted_taints.iter().any(|one| place(one) == place(taint));
        let others = live_taints.iter().filter(|taint| !replaced(taint) && !is_gone(taint));
        patch["spec"] = json!({"taints": wanted_taints.iter().chain(others).collect::<Vec<_>>()});
    }
    if networks_differ {
        for field in ["podCIDR", "podCIDRs"] {
            patch["spec"][field] = wanted["spec"][field].clone();
        }
    }
    Some(patch)
}

/// What a patch of [`mark`] changes, for people: `label disk=hdd to ssd, label old removed`.
pub(crate) fn told(patch: &Value, live: &Value) -> String {
    let mut parts = Vec::new();
    for (key, value) in patch["metadata"]["labels"].as_object().into_iter().flatten() {
        let was = live["metadata"]["labels"].get(key).and_then(Value::as_str);
        parts.push(match (was, value.as_str()) {
            (_, None) => format!("label {key} removed"),
            (None, Some(value)) => format!("label {key}={value} set"),
            (Some(was), Some(value)) => format!("label {key}={was} to {value}"),
        });
    }
    if let Some(after) = patch["spec"]["taints"].as_array() {
        let before = list(&live["spec"]["taints"]);
        let new = after.iter().filter(|taint| !among(taint, &before));
        parts.extend(new.map(|taint| format!("taint {} set", text(taint))));
        let gone = before.iter().filter(|taint| !among(taint, after));
        parts.extend(gone.map(|taint| format!("taint {} removed", text(taint))));
    }
    let networks = patch["spec"]["podCIDRs"].as_array().into_iter().flatten().filter_map(Value::as_str);
    parts.extend(networks.map(|network| format!("network {network} for its pods")));
    parts.join(", ")
}

fn text(taint: &Value) -> String {
    let [key, value, effect] = identity(taint);
    let equals = if value.is_empty() { "" } else { "=" };
    format!("{key}{equals}{value}:{effect}")
}

fn among(taint: &Value, list: &[Value]) -> bool {
    list.iter().any(|other| identity(other) == identity(taint))
}

fn place(taint: &Value) -> [&str; 2] {
    let [key, _, effect] = identity(taint);
    [key, effect]
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

    #[test]
    fn takes_away_what_is_to_go_and_replaces_a_value() {
        let gone = json!({"$patch": "delete", "key": "old", "value": "x", "effect": "NoSchedule"});
        let db = |value: &str| json!({"key": "db", "value": value, "effect": "NoSchedule"});
        let other = json!({"key": "other", "effect": "NoExecute"});
        let old = json!({"key": "old", "value": "x", "effect": "NoSchedule"});
        let wanted = json!({
            "metadata": {"labels": {"a": "1", "b": null}, "annotations": {"note": null}},
            "spec": {"taints": [db("new"), gone]},
        });
        let live = json!({
            "metadata": {"resourceVersion": "7", "labels": {"a": "2", "b": "x", "c": "y"}, "annotations": {"note": "n"}},
            "spec": {"taints": [old, other, db("old")]},
        });
        let patch = mark(&wanted, &live).unwrap();
        assert_eq!(
            patch,
            json!({
                "metadata": {"resourceVersion": "7", "labels": {"a": "1", "b": null}, "annotations": {"note": null}},
                "spec": {"taints": [db("new"), other]},
            })
        );
        assert_eq!(
            told(&patch, &live),
            "label a=2 to 1, label b removed, taint db=new:NoSchedule set, taint old=x:NoSchedule removed, taint \
             db=old:NoSchedule removed"
        );
        let after =
            json!({"metadata": {"labels": {"a": "1", "c": "y"}}, "spec": {"taints": [db("new"), other]}});
        assert_eq!(mark(&wanted, &after), None);
    }
}

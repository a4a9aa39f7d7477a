//! The Node objects of a cluster that runs, as far as planning looks at them.

use crate::cluster::kubeadm::Taint;
use ipnet::IpNet;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

/// Where this program writes down which labels and taints of a Node come from the operator's file, so that those which
/// the file does not have any more can go, and others' stay.
pub const APPLIED_ANNOTATION: &str = "kubewright.dev/applied";

/// One Node object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeFacts {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub taints: Vec<Taint>,
    /// What an earlier run set, as its annotation says.
    pub applied: Applied,
    /// Its addresses inside the cluster.
    pub addresses: Vec<IpAddr>,
    /// Those of its pods; empty where nobody has given it any.
    pub pod_networks: Vec<IpNet>,
    pub ready: bool,
    /// Nothing new is scheduled there.
    pub cordoned: bool,
    pub kubelet_version: String,
    /// RFC 3339.
    pub created: String,
    /// Its pods; asked for only where the node is to go.
    pub pods: Vec<PodFacts>,
}

/// Labels by key and taints as `key=value:effect`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Applied {
    pub labels: BTreeSet<String>,
    pub taints: BTreeSet<String>,
}

/// A pod of a node that is to go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodFacts {
    pub namespace: String,
    pub name: String,
    pub kind: PodKind,
}

/// What becomes of a pod when its node is drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PodKind {
    /// It is evicted, and whoever made it makes another one elsewhere.
    Evicted,
    /// It is evicted, and nobody makes it anew.
    Lone,
    /// It stays: the kubelet has it from a file, a `DaemonSet` would make it again at once, or it has ended.
    Stays,
}

impl NodeFacts {
    /// Reads a Node object.
    pub fn of(node: &Value) -> Self {
        let text =
            |pointer: &str| node.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let list =
            |pointer: &str| node.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
        let labels = node.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
        let labels = labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        let internal = |address: Value| {
            (address["type"] == "InternalIP").then(|| address["address"].as_str()?.parse().ok()).flatten()
        };
        Self {
            name: text("/metadata/name"),
            labels: labels.collect(),
            taints: list("/spec/taints")
                .into_iter()
                .filter_map(|taint| serde_json::from_value(taint).ok())
                .collect(),
            applied: Applied::of(node),
            pod_networks: list("/spec/podCIDRs")
                .into_iter()
                .filter_map(|network| network.as_str()?.parse().ok())
                .collect(),
            addresses: list("/status/addresses").into_iter().filter_map(internal).collect(),
            ready: is_ready(node),
            cordoned: node.pointer("/spec/unschedulable") == Some(&Value::Bool(true)),
            kubelet_version: text("/status/nodeInfo/kubeletVersion"),
            created: text("/metadata/creationTimestamp"),
            pods: Vec::new(),
        }
    }

    /// The words after `node-role.kubernetes.io/`, as kubectl shows them.
    pub fn roles(&self) -> Vec<&str> {
        self.labels.keys().filter_map(|key| key.strip_prefix("node-role.kubernetes.io/")).collect()
    }
}

/// Whether a Node or a Pod says that it is ready.
pub fn is_ready(object: &Value) -> bool {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|one| one["type"] == "Ready" && one["status"] == "True")
}

impl Applied {
    fn of(node: &Value) -> Self {
        let text = node["metadata"]["annotations"].get(APPLIED_ANNOTATION).and_then(Value::as_str);
        // What somebody else made of it is not ours.
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.taints.is_empty()
    }
}

/// A taint as kubectl writes it: `key=value:effect`.
pub fn taint_text(taint: &Taint) -> String {
    let equals = if taint.value.is_empty() { "" } else { "=" };
    format!("{}{equals}{}:{}", taint.key, taint.value, taint.effect)
}

impl PodFacts {
    /// Reads a Pod object.
    pub fn of(pod: &Value) -> Self {
        let text =
            |pointer: &str| pod.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self { namespace: text("/metadata/namespace"), name: text("/metadata/name"), kind: PodKind::of(pod) }
    }
}

impl PodKind {
    /// As `kubectl drain --ignore-daemonsets --force` has it.
    pub fn of(pod: &Value) -> Self {
        let metadata = &pod["metadata"];
        let owners = metadata["ownerReferences"].as_array();
        let owner = owners.into_iter().flatten().find(|owner| owner["controller"] == true);
        let ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        let mirror = metadata["annotations"].get("kubernetes.io/config.mirror").is_some();
        match owner.and_then(|owner| owner["kind"].as_str()) {
            _ if mirror || ended => Self::Stays,
            Some("DaemonSet") => Self::Stays,
            Some(_) => Self::Evicted,
            None => Self::Lone,
        }
    }
}

impl fmt::Display for PodFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_a_node() {
        let node = json!({
            "metadata": {
                "name": "w1",
                "labels": {"node-role.kubernetes.io/edge": "", "disk": "ssd"},
                "annotations": {APPLIED_ANNOTATION: r#"{"labels":["disk"],"taints":["a=b:NoSchedule"]}"#},
                "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "spec": {"unschedulable": true, "podCIDRs": ["10.244.1.0/24"], "taints": [{"key": "a", "value": "b", "effect": "NoSchedule"}]},
            "status": {
                "addresses": [{"type": "Hostname", "address": "w1"}, {"type": "InternalIP", "address": "192.0.2.7"}],
                "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": "True"}],
                "nodeInfo": {"kubeletVersion": "v1.36.2"},
            },
        });
        let found = NodeFacts::of(&node);
        assert_eq!((found.roles(), found.ready, found.cordoned), (vec!["edge"], true, true));
        assert_eq!(found.pod_networks, ["10.244.1.0/24".parse::<IpNet>().unwrap()]);
        assert_eq!(found.addresses, ["192.0.2.7".parse::<IpAddr>().unwrap()]);
        assert_eq!(found.taints.iter().map(taint_text).collect::<Vec<_>>(), ["a=b:NoSchedule"]);
        assert!(found.applied.labels.contains("disk") && found.applied.taints.contains("a=b:NoSchedule"));
        let foreign = json!({"metadata": {"annotations": {APPLIED_ANNOTATION: "yes"}}});
        assert!(NodeFacts::of(&foreign).applied.is_empty());
    }

    #[test]
    fn knows_what_a_drain_takes_away() {
        let owned =
            |kind: &str| json!({"metadata": {"ownerReferences": [{"kind": kind, "controller": true}]}});
        for (pod, expected) in [
            (owned("ReplicaSet"), PodKind::Evicted),
            (owned("DaemonSet"), PodKind::Stays),
            (owned("Node"), PodKind::Evicted),
            (json!({"metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}}}), PodKind::Stays),
            (json!({"metadata": {}, "status": {"phase": "Succeeded"}}), PodKind::Stays),
            (json!({"metadata": {}}), PodKind::Lone),
            (json!({"metadata": {"ownerReferences": [{"kind": "X", "controller": false}]}}), PodKind::Lone),
        ] {
            assert_eq!(PodKind::of(&pod), expected, "{pod}");
        }
    }
}

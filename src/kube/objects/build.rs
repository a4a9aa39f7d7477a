//! The small parts that API objects are made of.

use crate::plan::Object;
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use std::fmt::Write as _;

/// Tells a configuration that kubeadm generated from one that the operator wrote.
pub const HASH_ANNOTATION: &str = "kubeadm.kubernetes.io/component-config.hash";

const RBAC: &str = "rbac.authorization.k8s.io";
const RBAC_V1: &str = "rbac.authorization.k8s.io/v1";

/// Who a role is given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject<'a> {
    Group(&'a str),
    User(&'a str),
    /// Of the namespace `kube-system`.
    ServiceAccount(&'a str),
    /// Of this namespace.
    AccountOf(&'a str, &'a str),
}

impl Subject<'_> {
    fn value(self) -> Value {
        match self {
            Self::Group(name) => json!({"kind": "Group", "name": name}),
            Self::User(name) => json!({"kind": "User", "name": name}),
            Self::ServiceAccount(name) => Self::AccountOf(super::KUBE_SYSTEM, name).value(),
            Self::AccountOf(namespace, name) => {
                json!({"kind": "ServiceAccount", "name": name, "namespace": namespace})
            }
        }
    }
}

pub(super) fn cluster_role(name: &str, rules: &Value) -> Object {
    Object::plain(json!({
        "apiVersion": RBAC_V1, "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules,
    }))
}

pub(super) fn cluster_role_binding(name: &str, role: &str, subject: Subject) -> Object {
    Object::plain(json!({
        "apiVersion": RBAC_V1,
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [subject.value()],
    }))
}

/// A role that reads one object, and its binding of the same name.
pub(super) fn reader(
    namespace: &str,
    name: &str,
    resource: &str,
    object: &str,
    subjects: &[Subject],
) -> [Object; 2] {
    let metadata = json!({"name": name, "namespace": namespace});
    let role = json!({
        "apiVersion": RBAC_V1,
        "kind": "Role",
        "metadata": metadata,
        "rules": [{"apiGroups": [""], "resources": [resource], "resourceNames": [object], "verbs": ["get"]}],
    });
    let binding = json!({
        "apiVersion": RBAC_V1,
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": name},
        "subjects": subjects.iter().map(|subject| subject.value()).collect::<Vec<_>>(),
    });
    [Object::plain(role), Object::plain(binding)]
}

pub(super) fn service_account(name: &str) -> Object {
    account(super::KUBE_SYSTEM, name)
}

pub(super) fn account(namespace: &str, name: &str) -> Object {
    Object::plain(json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": namespace},
    }))
}

pub(super) fn role(namespace: &str, name: &str, rules: &Value) -> Object {
    Object::plain(json!({
        "apiVersion": RBAC_V1,
        "kind": "Role",
        "metadata": {"name": name, "namespace": namespace},
        "rules": rules,
    }))
}

pub(super) fn role_binding(namespace: &str, name: &str, role: &str, subject: Subject) -> Object {
    Object::plain(json!({
        "apiVersion": RBAC_V1,
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": role},
        "subjects": [subject.value()],
    }))
}

pub(super) fn plain_namespace(name: &str) -> Object {
    Object::plain(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
}

/// A namespace, and what its pods may be (`privileged`, `baseline` or `restricted`).
pub(super) fn namespace(name: &str, level: &str) -> Object {
    let mut namespace = plain_namespace(name);
    namespace.value["metadata"]["labels"] = json!({"pod-security.kubernetes.io/enforce": level});
    namespace
}

/// What a container is kept from that needs nothing of the host.
pub(super) fn confined(user: u32) -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": true,
        "runAsNonRoot": true,
        "runAsUser": user,
        "seccompProfile": {"type": "RuntimeDefault"},
    })
}

/// A cluster may have no other nodes.
pub(super) fn tolerates_control_planes() -> Value {
    json!([{"key": super::node::CONTROL_PLANE_LABEL, "operator": "Exists", "effect": "NoSchedule"}])
}

pub(super) fn config_map(namespace: &str, name: &str, data: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    })
}

/// Marks a generated configuration as such.
pub(super) fn annotate_with_hash(config_map: &mut Value) {
    let hash = config_map["data"].as_object().map(component_config_hash).unwrap_or_default();
    config_map["metadata"]["annotations"] = json!({ HASH_ANNOTATION: hash });
}

/// kubeadm's hash of a `ConfigMap`'s data: SHA-256 over the values in the order of their keys.
pub fn component_config_hash(data: &Map<String, Value>) -> String {
    let mut entries: Vec<_> = data.iter().filter_map(|(key, value)| Some((key, value.as_str()?))).collect();
    entries.sort_unstable();
    let mut context = digest::Context::new(&digest::SHA256);
    for (_, value) in entries {
        context.update(value.as_bytes());
    }
    let mut hash = String::from("sha256:");
    for byte in context.finish().as_ref() {
        write!(hash, "{byte:02x}").expect("writing to a string cannot fail");
    }
    hash
}

/// A value of a Secret's `data`.
pub(super) fn encoded(text: &str) -> String {
    STANDARD.encode(text)
}

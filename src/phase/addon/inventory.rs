//! What belongs to an add-on, noted in the cluster: what it no longer contains goes, and nothing else does.
//!
//! Kubernetes' own proposal for that (KEP-3659) marks the members and searches all kinds for them. Here a
//! `ConfigMap` lists them one by one, so that nothing must be searched for, and a member that lost its label is found.

use crate::facts::addons::ADDON_LABEL;
use crate::facts::addons::INVENTORY_KEY;
use crate::facts::addons::INVENTORY_LABEL;
use crate::plan::Object;
use crate::plan::ObjectRef;
use serde_json::Value;
use serde_json::json;

const NAMESPACE: &str = "kube-system";

/// Where the members of an add-on are listed.
pub(super) fn name(addon: &str) -> ObjectRef {
    ObjectRef::new("v1", "ConfigMap", NAMESPACE, &format!("kubewright-addon-{addon}"))
}

/// The list of an add-on's members, in the order in which they are applied.
pub(super) fn object(addon: &str, members: &[ObjectRef]) -> Object {
    let lines: Vec<String> = members.iter().map(line).chain([String::new()]).collect();
    Object::plain(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name(addon).name,
            "namespace": NAMESPACE,
            "labels": {ADDON_LABEL: addon, INVENTORY_LABEL: "true"},
        },
        "data": {INVENTORY_KEY: lines.join("\n")},
    }))
}

/// `apps/v1 DaemonSet kube-flannel/kube-flannel-ds`.
fn line(member: &ObjectRef) -> String {
    let slash = if member.namespace.is_empty() { "" } else { "/" };
    format!("{} {} {}{slash}{}", member.api_version, member.kind, member.namespace, member.name)
}

/// The member of a line; `None` for what nobody here has written.
pub(super) fn member(line: &str) -> Option<ObjectRef> {
    let mut words = line.split_whitespace();
    let (api_version, kind, name) = (words.next()?, words.next()?, words.next()?);
    let (namespace, name) = name.split_once('/').unwrap_or(("", name));
    words.next().is_none().then(|| ObjectRef::new(api_version, kind, namespace, name))
}

/// Marks an object as a member, for whoever looks at it.
pub(super) fn mark(object: &mut Value, addon: &str) {
    if !object["metadata"]["labels"].is_object() {
        object["metadata"]["labels"] = json!({});
    }
    object["metadata"]["labels"][ADDON_LABEL] = addon.into();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for member_ref in [
            ObjectRef::new("apps/v1", "DaemonSet", "kube-flannel", "kube-flannel-ds"),
            ObjectRef::new("v1", "Namespace", "", "kube-flannel"),
            ObjectRef::new("rbac.authorization.k8s.io/v1", "ClusterRole", "", "system:a:b"),
        ] {
            assert_eq!(member(&line(&member_ref)), Some(member_ref));
        }
        for strange in ["", "v1 Pod", "v1 Pod a/b c"] {
            assert_eq!(member(strange), None, "{strange}");
        }
    }
}

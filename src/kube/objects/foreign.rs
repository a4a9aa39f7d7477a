//! Objects that somebody else wrote, changed as little as possible.

use crate::cluster::Cni;
use serde_json::Value;

/// Kinds that live outside of namespaces, of the groups that every server has.
const CLUSTER_WIDE: [&str; 24] = [
    "APIService",
    "CSIDriver",
    "CSINode",
    "CertificateSigningRequest",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "FlowSchema",
    "IngressClass",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "RuntimeClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VolumeAttachment",
    "VolumeAttributesClass",
];

/// Where kubectl puts what says no namespace.
pub const DEFAULT_NAMESPACE: &str = "default";

/// The objects, each in its namespace, with images from another registry where one is named. What says no namespace is in
/// `namespace`; of kinds that only definitions know, those of the same objects say whether there is one, and else the
/// server decides. What only a server writes is left out.
pub fn placed(objects: &[Value], namespace: &str, registry: Option<&str>) -> Vec<Value> {
    let place = |object: &Value| {
        let mut object = object.clone();
        if object["metadata"]["namespace"].is_null() && is_namespaced(&object, objects) {
            object["metadata"]["namespace"] = namespace.into();
        }
        if let Some(metadata) = object["metadata"].as_object_mut() {
            for field in ["creationTimestamp", "managedFields", "resourceVersion", "uid", "generation"] {
                metadata.remove(field);
            }
        }
        if let Some(map) = object.as_object_mut() {
            map.remove("status");
        }
        rehost(&mut object, registry);
        object
    };
    objects.iter().map(place).collect()
}

fn is_namespaced(object: &Value, objects: &[Value]) -> bool {
    let (api_version, kind) = (object["apiVersion"].as_str().unwrap_or_default(), &object["kind"]);
    if is_built_in(api_version) {
        return !CLUSTER_WIDE.contains(&kind.as_str().unwrap_or_default());
    }
    let group = api_version.split('/').next().unwrap_or_default();
    let defines = |one: &&Value| {
        one["kind"] == "CustomResourceDefinition"
            && one["spec"]["group"] == group
            && one["spec"]["names"]["kind"] == *kind
    };
    objects.iter().find(defines).is_some_and(|definition| definition["spec"]["scope"] == "Namespaced")
}

/// Groups without a dot, and those of Kubernetes itself.
fn is_built_in(api_version: &str) -> bool {
    match api_version.split_once('/') {
        None => true,
        Some((group, _)) => !group.contains('.') || BUILT_IN.contains(&group),
    }
}

const BUILT_IN: [&str; 12] = [
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "rbac.authorization.k8s.io",
    "scheduling.k8s.io",
];

/// Every image of every container.
pub fn rehost(value: &mut Value, registry: Option<&str>) {
    if registry.is_none() {
        return;
    }
    for_each_container(value, &mut |container| {
        if let Some(image) = container["image"].as_str() {
            container["image"] = Cni::from_registry(image, registry).into();
        }
    });
}

/// The images that objects name, each once, in their order.
pub fn images(objects: &[Value]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for object in objects {
        for_each_container(&mut object.clone(), &mut |container| {
            let image = container["image"].as_str().unwrap_or_default().to_owned();
            if !image.is_empty() && !found.contains(&image) {
                found.push(image);
            }
        });
    }
    found
}

/// The containers of a pod, or of whatever makes pods of a template.
pub fn for_each_container(value: &mut Value, act: &mut impl FnMut(&mut Value)) {
    let spec = match value["kind"].as_str() {
        Some("Pod") => "/spec",
        Some("CronJob") => "/spec/jobTemplate/spec/template/spec",
        Some("DaemonSet" | "Deployment" | "StatefulSet" | "ReplicaSet" | "Job") => "/spec/template/spec",
        _ => return,
    };
    for list in ["initContainers", "containers"] {
        let containers = value.pointer_mut(&format!("{spec}/{list}")).and_then(Value::as_array_mut);
        containers.into_iter().flatten().for_each(&mut *act);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn says_where_each_object_is() {
        let object = |api_version: &str, kind: &str| json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}});
        for (api_version, kind, expected) in [
            ("v1", "ConfigMap", Some("default")),
            ("v1", "Namespace", None),
            ("apps/v1", "Deployment", Some("default")),
            ("networking.k8s.io/v1", "NetworkPolicy", Some("default")),
            ("rbac.authorization.k8s.io/v1", "ClusterRole", None),
            ("metallb.io/v1beta1", "IPAddressPool", None),
        ] {
            let placed = placed(&[object(api_version, kind)], DEFAULT_NAMESPACE, None);
            assert_eq!(placed[0]["metadata"]["namespace"].as_str(), expected, "{kind}");
        }
    }

    #[test]
    fn a_definition_says_whether_its_kind_has_a_namespace() {
        let definition = |scope: &str| {
            json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "a.example.com"}, "spec": {"group": "example.com", "names": {"kind": "A"}, "scope": scope}})
        };
        let object = json!({"apiVersion": "example.com/v1", "kind": "A", "metadata": {"name": "x"}});
        for (scope, expected) in [("Namespaced", Some("n")), ("Cluster", None)] {
            let placed = placed(&[definition(scope), object.clone()], "n", None);
            assert_eq!(placed[1]["metadata"]["namespace"].as_str(), expected, "{scope}");
        }
    }

    #[test]
    fn images_come_from_another_registry() {
        let container = |image: &str| json!({"name": "c", "image": image});
        let pod = json!({"initContainers": [container("quay.io/a/b:1")],
            "containers": [container("busybox"), container("localhost/c@sha256:0"), container("rancher/d:2")]});
        let objects = [
            json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "x", "namespace": "y"},
            "spec": {"template": {"spec": pod}}}),
        ];
        assert_eq!(
            images(&placed(&objects, DEFAULT_NAMESPACE, Some("r.example/m"))),
            [
                "r.example/m/a/b:1",
                "r.example/m/library/busybox",
                "r.example/m/c@sha256:0",
                "r.example/m/rancher/d:2"
            ]
        );
        assert_eq!(placed(&objects, DEFAULT_NAMESPACE, None), objects);
    }
}

//! Where objects live: from a kind to the path of its collection.

use crate::api::ApiError;
use crate::plan::ObjectRef;
use std::fmt::Write;

/// One row of the table of kinds that this program writes or reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource {
    pub kind: &'static str,
    /// As in `apiVersion`.
    pub api_version: &'static str,
    pub plural: &'static str,
    pub namespaced: bool,
}

const fn row(
    kind: &'static str,
    api_version: &'static str,
    plural: &'static str,
    namespaced: bool,
) -> Resource {
    Resource { kind, api_version, plural, namespaced }
}

pub const RESOURCES: [Resource; 36] = [
    row("ConfigMap", "v1", "configmaps", true),
    row("Endpoints", "v1", "endpoints", true),
    row("Namespace", "v1", "namespaces", false),
    row("Node", "v1", "nodes", false),
    row("Pod", "v1", "pods", true),
    row("Secret", "v1", "secrets", true),
    row("Service", "v1", "services", true),
    row("ServiceAccount", "v1", "serviceaccounts", true),
    row("LimitRange", "v1", "limitranges", true),
    row("PersistentVolume", "v1", "persistentvolumes", false),
    row("PersistentVolumeClaim", "v1", "persistentvolumeclaims", true),
    row("ResourceQuota", "v1", "resourcequotas", true),
    row(
        "MutatingWebhookConfiguration",
        "admissionregistration.k8s.io/v1",
        "mutatingwebhookconfigurations",
        false,
    ),
    row("ValidatingAdmissionPolicy", "admissionregistration.k8s.io/v1", "validatingadmissionpolicies", false),
    row(
        "ValidatingAdmissionPolicyBinding",
        "admissionregistration.k8s.io/v1",
        "validatingadmissionpolicybindings",
        false,
    ),
    row(
        "ValidatingWebhookConfiguration",
        "admissionregistration.k8s.io/v1",
        "validatingwebhookconfigurations",
        false,
    ),
    row("CustomResourceDefinition", "apiextensions.k8s.io/v1", "customresourcedefinitions", false),
    row("APIService", "apiregistration.k8s.io/v1", "apiservices", false),
    row("DaemonSet", "apps/v1", "daemonsets", true),
    row("Deployment", "apps/v1", "deployments", true),
    row("StatefulSet", "apps/v1", "statefulsets", true),
    row("CronJob", "batch/v1", "cronjobs", true),
    row("Job", "batch/v1", "jobs", true),
    row("CertificateSigningRequest", "certificates.k8s.io/v1", "certificatesigningrequests", false),
    row("Lease", "coordination.k8s.io/v1", "leases", true),
    row("Ingress", "networking.k8s.io/v1", "ingresses", true),
    row("IngressClass", "networking.k8s.io/v1", "ingressclasses", false),
    row("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies", true),
    row("RuntimeClass", "node.k8s.io/v1", "runtimeclasses", false),
    row("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets", true),
    row("ClusterRole", "rbac.authorization.k8s.io/v1", "clusterroles", false),
    row("ClusterRoleBinding", "rbac.authorization.k8s.io/v1", "clusterrolebindings", false),
    row("Role", "rbac.authorization.k8s.io/v1", "roles", true),
    row("RoleBinding", "rbac.authorization.k8s.io/v1", "rolebindings", true),
    row("PriorityClass", "scheduling.k8s.io/v1", "priorityclasses", false),
    row("StorageClass", "storage.k8s.io/v1", "storageclasses", false),
];

/// The row of a kind, where it has one.
pub(super) fn known(object: &ObjectRef) -> Option<&'static Resource> {
    RESOURCES.iter().find(|row| row.kind == object.kind && row.api_version == object.api_version)
}

/// The path to an object of a kind that only the server knows. One that is namespaced and says no namespace is in
/// `default`, as for kubectl.
pub(super) fn discovered_path(object: &ObjectRef, plural: &str, namespaced: bool) -> String {
    let mut path = format!("/apis/{}", object.api_version);
    if namespaced {
        let namespace = if object.namespace.is_empty() { "default" } else { &object.namespace };
        let _ = write!(path, "/namespaces/{}", escaped(namespace));
    }
    let _ = write!(path, "/{plural}/{}", escaped(&object.name));
    path
}

/// The path to an object: `/api/v1/namespaces/kube-system/configmaps/coredns`.
///
/// # Errors
/// The kind is not in the table, or the name is missing.
pub fn object_path(object: &ObjectRef) -> Result<String, ApiError> {
    if object.name.is_empty() {
        return Err(ApiError::Invalid { what: format!("{} without a name", object.kind) });
    }
    Ok(format!("{}/{}", collection_path(object)?, escaped(&object.name)))
}

/// The path to all objects of a kind, in one namespace or in all of them.
///
/// # Errors
/// The kind is not in the table, or it lives outside of namespaces and one is given.
pub fn list_path(collection: &ObjectRef) -> Result<String, ApiError> {
    let found =
        RESOURCES.iter().find(|row| row.kind == collection.kind && row.api_version == collection.api_version);
    match found.filter(|row| row.namespaced && collection.namespace.is_empty()) {
        Some(resource) => Ok(format!("{}/{}", root(resource), resource.plural)),
        None => collection_path(collection),
    }
}

/// The path to the collection that an object belongs to.
///
/// # Errors
/// The kind is not in the table, or the namespace does not fit it.
pub fn collection_path(object: &ObjectRef) -> Result<String, ApiError> {
    let resource =
        RESOURCES.iter().find(|row| row.kind == object.kind && row.api_version == object.api_version);
    let Some(resource) = resource else {
        let what =
            format!("kind {} of {}, which this program does not know", object.kind, object.api_version);
        return Err(ApiError::Invalid { what });
    };
    if resource.namespaced == object.namespace.is_empty() {
        let what = format!("{object}: a {} lives {}", object.kind, home(resource));
        return Err(ApiError::Invalid { what });
    }
    let mut path = root(resource);
    if resource.namespaced {
        let _ = write!(path, "/namespaces/{}", escaped(&object.namespace));
    }
    let _ = write!(path, "/{}", resource.plural);
    Ok(path)
}

fn root(resource: &Resource) -> String {
    let root = if resource.api_version.contains('/') { "/apis" } else { "/api" };
    format!("{root}/{}", resource.api_version)
}

fn home(resource: &Resource) -> &'static str {
    if resource.namespaced { "in a namespace" } else { "outside of namespaces" }
}

/// RFC 3986: what may not stand in a path segment is percent-encoded. RBAC names may hold nearly anything.
fn escaped(segment: &str) -> String {
    percent_encoded(segment, b"-._~:@")
}

/// The same for a value of a query, in which fewer characters stand for themselves.
pub(super) fn encoded(value: &str) -> String {
    percent_encoded(value, b"-._~")
}

fn percent_encoded(value: &str, plain: &[u8]) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || plain.contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_paths() {
        let rbac = "rbac.authorization.k8s.io/v1";
        for (object, path) in [
            (("v1", "Node", "", "cp1"), "/api/v1/nodes/cp1"),
            (
                ("apps/v1", "Deployment", "kube-system", "coredns"),
                "/apis/apps/v1/namespaces/kube-system/deployments/coredns",
            ),
            (
                (rbac, "ClusterRole", "", "system:coredns"),
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:coredns",
            ),
            ((rbac, "ClusterRole", "", "a/b c"), "/apis/rbac.authorization.k8s.io/v1/clusterroles/a%2Fb%20c"),
        ] {
            let (api_version, kind, namespace, name) = object;
            assert_eq!(object_path(&ObjectRef::new(api_version, kind, namespace, name)).unwrap(), path);
        }
    }

    #[test]
    fn lists_over_all_namespaces() {
        let path = |namespace: &str| list_path(&ObjectRef::new("v1", "Pod", namespace, "")).unwrap();
        assert_eq!((path(""), path("a")), ("/api/v1/pods".into(), "/api/v1/namespaces/a/pods".into()));
        assert_eq!(list_path(&ObjectRef::new("v1", "Node", "", "")).unwrap(), "/api/v1/nodes");
        assert!(list_path(&ObjectRef::new("v1", "Gadget", "", "")).is_err());
    }

    #[test]
    fn refuses_what_has_no_path() {
        for (api_version, kind, namespace, name) in [
            ("v1", "Gadget", "", "x"),
            ("apps/v1", "Node", "", "x"),
            ("v1", "Node", "kube-system", "x"),
            ("v1", "Secret", "", "x"),
            ("v1", "Node", "", ""),
        ] {
            let object = ObjectRef::new(api_version, kind, namespace, name);
            assert!(object_path(&object).is_err(), "{object:?}");
        }
    }
}

//! What a test of the pod network needs in the cluster: two pods on every node that do nothing, one of which nobody may
//! connect to, and a service. Their image is the one that holds every pod's namespaces, so that nothing is pulled.

use crate::cluster::Cluster;
use crate::kube::images;
use serde_json::Value;
use serde_json::json;

pub const NAMESPACE: &str = "kubewright-network-test";
/// The label that tells both kinds of pod apart.
pub const LABEL: &str = "kubewright.dev/network-test";
/// Pods that everybody may connect to.
pub const OPEN: &str = "open";
/// Pods that a `NetworkPolicy` closes.
pub const GUARDED: &str = "guarded";
/// The service's name, and its port.
pub const SERVICE: &str = "open";
pub const SERVICE_PORT: u16 = 80;
/// Ports of the pods. Listeners are made there for the moment.
pub const TCP_PORT: u16 = 10080;
pub const UDP_PORT: u16 = 10081;

/// The objects, in the order in which they are to be applied.
pub fn objects(cluster: &Cluster) -> Vec<Value> {
    vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
        policy(),
        daemon_set(cluster, OPEN),
        daemon_set(cluster, GUARDED),
        service(),
    ]
}

/// No way in is named, so there is none.
fn policy() -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": GUARDED, "namespace": NAMESPACE},
        "spec": {"podSelector": {"matchLabels": {LABEL: GUARDED}}, "policyTypes": ["Ingress"]},
    })
}

fn daemon_set(cluster: &Cluster, name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "selector": {"matchLabels": {LABEL: name}},
            "template": {
                "metadata": {"labels": {LABEL: name}},
                "spec": {
                    "automountServiceAccountToken": false,
                    "containers": [{
                        "name": name,
                        "image": images::pause(cluster),
                        "imagePullPolicy": "IfNotPresent",
                        "resources": {"limits": {"memory": "32Mi"}, "requests": {"cpu": "1m", "memory": "8Mi"}},
                        "securityContext": {
                            "allowPrivilegeEscalation": false,
                            "capabilities": {"drop": ["ALL"]},
                            "readOnlyRootFilesystem": true,
                        },
                    }],
                    "nodeSelector": {"kubernetes.io/os": "linux"},
                    "securityContext": {
                        "runAsGroup": 65535,
                        "runAsNonRoot": true,
                        "runAsUser": 65535,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "terminationGracePeriodSeconds": 0,
                    "tolerations": [{"operator": "Exists"}],
                },
            },
        },
    })
}

fn service() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": SERVICE, "namespace": NAMESPACE},
        "spec": {
            "ipFamilyPolicy": "PreferDualStack",
            "ports": [{"name": "tcp", "port": SERVICE_PORT, "protocol": "TCP", "targetPort": TCP_PORT}],
            "selector": {LABEL: OPEN},
        },
    })
}

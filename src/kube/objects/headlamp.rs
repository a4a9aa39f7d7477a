//! Headlamp: a user interface that may do what whoever logs in may do.

use crate::cluster::addon::Headlamp;
use crate::kube::objects::build::Subject;
use crate::kube::objects::build::account;
use crate::kube::objects::build::cluster_role_binding;
use crate::kube::objects::build::namespace;
use crate::kube::objects::build::tolerates_control_planes;
use crate::plan::Object;
use serde_json::Value;
use serde_json::json;

/// Also its namespace.
const NAME: &str = "headlamp";
/// The user and the group of its image.
const USER: u32 = 100;
const GROUP: u32 = 101;

/// Everything of Headlamp. Its project binds its service account to `cluster-admin`; here it has no rights unless a role
/// is named.
pub fn objects(headlamp: &Headlamp) -> Vec<Object> {
    let mut objects = vec![namespace(NAME, "restricted"), account(NAME, NAME)];
    if let Some(role) = &headlamp.cluster_role {
        objects.push(cluster_role_binding(&format!("{NAME}-{role}"), role, Subject::AccountOf(NAME, NAME)));
    }
    objects.push(service());
    objects.push(Object::plain(deployment(headlamp)));
    objects.extend(headlamp.host.as_deref().map(|host| ingress(headlamp, host)));
    objects
}

fn metadata() -> Value {
    json!({"name": NAME, "namespace": NAME, "labels": {"app": NAME}})
}

fn service() -> Object {
    Object::plain(json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(),
        "spec": {
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}],
            "selector": {"app": NAME},
        },
    }))
}

fn deployment(headlamp: &Headlamp) -> Value {
    let probe = json!({"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 10});
    let container = json!({
        "name": NAME,
        "image": headlamp.image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["-in-cluster", "-plugins-dir=/headlamp/plugins"],
        "ports": [{"name": "http", "containerPort": 4466, "protocol": "TCP"}],
        "livenessProbe": probe,
        "readinessProbe": probe,
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}},
        // It writes beside its own program, so that its root is not read-only.
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "runAsGroup": GROUP,
            "runAsNonRoot": true,
            "runAsUser": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(),
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": NAME}},
            "template": {
                "metadata": {"labels": {"app": NAME}},
                "spec": {
                    "containers": [container],
                    "nodeSelector": {"kubernetes.io/os": "linux"},
                    "serviceAccountName": NAME,
                    "tolerations": tolerates_control_planes(),
                },
            },
        },
    })
}

fn ingress(headlamp: &Headlamp, host: &str) -> Object {
    let backend = json!({"service": {"name": NAME, "port": {"name": "http"}}});
    let path = json!({"path": "/", "pathType": "Prefix", "backend": backend});
    let mut spec = json!({"rules": [{"host": host, "http": {"paths": [path]}}]});
    if let Some(class) = &headlamp.ingress_class {
        spec["ingressClassName"] = json!(class);
    }
    if let Some(secret) = &headlamp.tls_secret {
        spec["tls"] = json!([{"hosts": [host], "secretName": secret}]);
    }
    Object::plain(json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": metadata(),
        "spec": spec,
    }))
}

//! local-path-provisioner: a volume is a directory of the node on which its first pod runs.

use crate::cluster::addon::LocalPath;
use crate::kube::DocumentError;
use crate::kube::objects::build::Subject;
use crate::kube::objects::build::account;
use crate::kube::objects::build::cluster_role;
use crate::kube::objects::build::cluster_role_binding;
use crate::kube::objects::build::config_map;
use crate::kube::objects::build::namespace;
use crate::kube::objects::build::role;
use crate::kube::objects::build::role_binding;
use crate::kube::objects::build::tolerates_control_planes;
use crate::kube::yaml;
use crate::plan::Object;
use crate::template;
use serde_json::Value;
use serde_json::json;

const NAMESPACE: &str = "local-path-storage";
const NAME: &str = "local-path-provisioner";
const ACCOUNT: &str = "local-path-provisioner-service-account";
const ROLE: &str = "local-path-provisioner-role";
const BINDING: &str = "local-path-provisioner-bind";
const CONFIGURATION: &str = "local-path-config";
const CLASS: &str = "local-path";
const FOLDER: &str = "/etc/config/";
const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";
const WRITES: [&str; 7] = ["get", "list", "watch", "create", "patch", "update", "delete"];

/// Everything of local-path-provisioner, named as its project names it. Its helper pods look into the host, so that the
/// namespace lets them.
///
/// # Errors
/// A template is wrong.
pub fn objects(local_path: &LocalPath) -> Result<Vec<Object>, DocumentError> {
    let subject = Subject::AccountOf(NAMESPACE, ACCOUNT);
    Ok(vec![
        namespace(NAMESPACE, "privileged"),
        account(NAMESPACE, ACCOUNT),
        role(NAMESPACE, ROLE, &json!([{"apiGroups": [""], "resources": ["pods"], "verbs": WRITES}])),
        role_binding(NAMESPACE, BINDING, ROLE, subject),
        cluster_role(ROLE, &rules()),
        cluster_role_binding(BINDING, ROLE, subject),
        Object::plain(configuration(local_path)?),
        Object::plain(deployment(local_path)),
        class(local_path),
    ])
}

fn rules() -> Value {
    let read = ["get", "list", "watch"];
    let looked_at = ["nodes", "persistentvolumeclaims", "configmaps", "pods", "pods/log"];
    json!([
        {"apiGroups": [""], "resources": looked_at, "verbs": read},
        {"apiGroups": [""], "resources": ["persistentvolumes"], "verbs": WRITES},
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
        {"apiGroups": ["storage.k8s.io"], "resources": ["storageclasses"], "verbs": read},
    ])
}

/// It is read again when it changes.
fn configuration(local_path: &LocalPath) -> Result<Value, DocumentError> {
    let paths =
        json!({"nodePathMap": [{"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": [local_path.path]}]});
    let data = json!({
        "config.json": format!("{paths:#}\n"),
        "helperPod.yaml": yaml::to_string(&helper_pod(local_path)),
        "setup": template::render("addons/local-path/setup", &json!({}))?,
        "teardown": template::render("addons/local-path/teardown", &json!({}))?,
    });
    Ok(config_map(NAMESPACE, CONFIGURATION, &data))
}

/// A node whose disk is full must still be able to remove something.
fn helper_pod(local_path: &LocalPath) -> Value {
    let full =
        json!({"key": "node.kubernetes.io/disk-pressure", "operator": "Exists", "effect": "NoSchedule"});
    let mut tolerations = tolerates_control_planes();
    if let Some(list) = tolerations.as_array_mut() {
        list.push(full);
    }
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "helper-pod"},
        "spec": {
            "priorityClassName": "system-node-critical",
            "tolerations": tolerations,
            "containers": [{
                "name": "helper-pod",
                "image": local_path.helper_image,
                "imagePullPolicy": "IfNotPresent",
            }],
        },
    })
}

fn deployment(local_path: &LocalPath) -> Value {
    let labels = json!({"app": NAME});
    let probe = |path: &str| json!({"httpGet": {"path": path, "port": "health"}, "periodSeconds": 10});
    let container = json!({
        "name": NAME,
        "image": local_path.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["local-path-provisioner", "start", "--config", format!("{FOLDER}config.json")],
        "env": [
            {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            {"name": "CONFIG_MOUNT_PATH", "value": FOLDER},
            {"name": "HEALTH_PORT", "value": "8080"},
        ],
        "ports": [{"name": "health", "containerPort": 8080, "protocol": "TCP"}],
        "livenessProbe": probe("/health"),
        "readinessProbe": probe("/ready"),
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
        "volumeMounts": [{"name": "configuration", "mountPath": FOLDER}],
    });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [container],
                    "nodeSelector": {"kubernetes.io/os": "linux"},
                    "serviceAccountName": ACCOUNT,
                    "tolerations": tolerates_control_planes(),
                    "volumes": [{"name": "configuration", "configMap": {"name": CONFIGURATION}}],
                },
            },
        },
    })
}

/// The node is only known when a pod has been given one.
fn class(local_path: &LocalPath) -> Object {
    let mut class = json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": CLASS},
        "provisioner": "rancher.io/local-path",
        "reclaimPolicy": if local_path.retain { "Retain" } else { "Delete" },
        "volumeBindingMode": "WaitForFirstConsumer",
    });
    if local_path.default_class {
        class["metadata"]["annotations"] = json!({DEFAULT_CLASS: "true"});
    }
    Object::plain(class)
}

//! From `kubeadm.k8s.io/v1beta3` to v1beta4.

use crate::config::documents::Object;
use serde_json::Value;
use serde_json::json;

/// The same in v1beta4. What has moved to another kind is handed back separately.
pub(crate) fn from_v1beta3(kind: &str, mut object: Object, timeout: &mut Option<Value>) -> Object {
    match kind {
        "ClusterConfiguration" => {
            *timeout = cluster(&mut object);
        }
        "JoinConfiguration" => join(&mut object),
        _ => {}
    }
    at(&mut object, "nodeRegistration", |node| list_args(node, "kubeletExtraArgs"));
    object
}

fn cluster(object: &mut Object) -> Option<Value> {
    for component in ["apiServer", "controllerManager", "scheduler"] {
        at(object, component, |component| list_args(component, "extraArgs"));
    }
    at(object, "etcd", |etcd| at(etcd, "local", |local| list_args(local, "extraArgs")));
    object.get_mut("apiServer")?.as_object_mut()?.remove("timeoutForControlPlane")
}

fn join(object: &mut Object) {
    let timeout =
        object.get_mut("discovery").and_then(|discovery| discovery.as_object_mut()?.remove("timeout"));
    if let Some(timeout) = timeout {
        object.insert("timeouts".to_owned(), json!({"discovery": timeout}));
    }
}

fn at(object: &mut Object, field: &str, change: impl FnOnce(&mut Object)) {
    if let Some(Value::Object(inner)) = object.get_mut(field) {
        change(inner);
    }
}

/// A mapping of flags becomes a list in the order of the names.
fn list_args(object: &mut Object, field: &str) {
    if let Some(Value::Object(args)) = object.get(field) {
        let mut pairs: Vec<(&String, &Value)> = args.iter().collect();
        pairs.sort_by_key(|(name, _)| *name);
        let list: Value =
            pairs.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        object.insert(field.to_owned(), list);
    }
}

//! What every controller of Ingresses has in common: its pods, its service and its class.

use crate::cluster::addon::Expose;
use crate::cluster::addon::Ingress;
use crate::kube::objects::build;
use crate::kube::objects::build::tolerates_control_planes;
use crate::plan::Object;
use serde_json::Value;
use serde_json::json;

/// Where controllers listen in their pods, whom low ports would need a right for.
pub(super) const HTTP_PORT: u16 = 8000;
pub(super) const HTTPS_PORT: u16 = 8443;

const DEFAULT_CLASS: &str = "ingressclass.kubernetes.io/is-default-class";

/// A controller of Ingresses.
pub(super) struct Controller {
    /// Also its namespace, its service account, and its class unless that is named otherwise.
    pub name: &'static str,
    /// What its class calls it.
    pub served_by: &'static str,
    pub container: Value,
    pub volumes: Value,
}

/// Ports of the host are more than `baseline` allows.
pub(super) fn namespace(name: &str, options: &Ingress) -> Object {
    build::namespace(name, if options.expose == Expose::Host { "privileged" } else { "baseline" })
}

/// The ports of a controller's container, on the host where it is reached there.
pub(super) fn ports(options: &Ingress) -> Value {
    let port = |name: &str, number: u16, host: u16| {
        let mut port = json!({"name": name, "containerPort": number, "protocol": "TCP"});
        if options.expose == Expose::Host {
            port["hostPort"] = host.into();
        }
        port
    };
    json!([port("http", HTTP_PORT, 80), port("https", HTTPS_PORT, 443)])
}

/// The service, the pods and the class of a controller.
pub(super) fn objects(options: &Ingress, controller: &Controller) -> Vec<Object> {
    let name = controller.name;
    vec![
        service(options, name),
        Object::plain(pods(options, controller)),
        class(options, name, controller.served_by),
    ]
}

/// The same with another name of the class.
pub(super) fn named(class: &str, mut objects: Vec<Object>) -> Vec<Object> {
    for object in objects.iter_mut().filter(|object| object.value["kind"] == "IngressClass") {
        object.value["metadata"]["name"] = class.into();
    }
    objects
}

fn metadata(name: &str) -> Value {
    json!({"name": name, "namespace": name, "labels": {"app": name}})
}

fn service(options: &Ingress, name: &str) -> Object {
    let kind = match options.expose {
        Expose::LoadBalancer => "LoadBalancer",
        Expose::NodePort => "NodePort",
        Expose::Host => "ClusterIP",
    };
    let port = |name: &str, number: u16| json!({"name": name, "port": number, "protocol": "TCP", "targetPort": name});
    Object::plain(json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(name),
        "spec": {"type": kind, "ports": [port("http", 80), port("https", 443)], "selector": {"app": name}},
    }))
}

fn pods(options: &Ingress, controller: &Controller) -> Value {
    let name = controller.name;
    let labels = json!({"app": name});
    let mut pod = json!({
        "containers": [controller.container],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "serviceAccountName": name,
        "tolerations": tolerates_control_planes(),
    });
    if controller.volumes.as_array().is_some_and(|volumes| !volumes.is_empty()) {
        pod["volumes"] = controller.volumes.clone();
    }
    let template = json!({"metadata": {"labels": labels}, "spec": pod});
    let selector = json!({"matchLabels": labels});
    if options.expose == Expose::Host {
        return json!({
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": metadata(name),
            "spec": {"selector": selector, "template": template},
        });
    }
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(name),
        "spec": {"replicas": options.replicas, "selector": selector, "template": spread(template, name)},
    })
}

/// Its pods rather run on different hosts.
fn spread(mut template: Value, name: &str) -> Value {
    let term =
        json!({"labelSelector": {"matchLabels": {"app": name}}, "topologyKey": "kubernetes.io/hostname"});
    let weighted = json!({"weight": 100, "podAffinityTerm": term});
    template["spec"]["affinity"] =
        json!({"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [weighted]}});
    template
}

fn class(options: &Ingress, name: &str, controller: &str) -> Object {
    let mut class = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": name},
        "spec": {"controller": controller},
    });
    if options.default_class {
        class["metadata"]["annotations"] = json!({DEFAULT_CLASS: "true"});
    }
    Object::plain(class)
}

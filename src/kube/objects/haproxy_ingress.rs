//! HAProxy's own controller of Ingresses.

use crate::cluster::addon::Expose;
use crate::cluster::addon::Ingress;
use crate::kube::objects::build::Subject;
use crate::kube::objects::build::account;
use crate::kube::objects::build::cluster_role;
use crate::kube::objects::build::cluster_role_binding;
use crate::kube::objects::build::config_map;
use crate::kube::objects::ingress;
use crate::kube::objects::ingress::Controller;
use crate::plan::Object;
use serde_json::Value;
use serde_json::json;

/// Also its namespace.
const NAME: &str = "haproxy-ingress";
const CLASS: &str = "haproxy";
const CONTROLLER: &str = "haproxy.org/ingress-controller/haproxy";
const CONFIGURATION: &str = "haproxy-ingress";
/// Where it tells how it is.
const HEALTH_PORT: u16 = 1042;
/// The user of its image.
const USER: u32 = 1000;

/// Everything of the controller, without the kinds of its own, which it does without.
pub fn objects(options: &Ingress) -> Vec<Object> {
    let controller =
        Controller { name: NAME, served_by: CONTROLLER, container: container(options), volumes: json!([]) };
    let configuration = config_map(NAME, CONFIGURATION, &json!({"ssl-redirect-port": "443"}));
    let mut objects = vec![
        ingress::namespace(NAME, options),
        account(NAME, NAME),
        cluster_role(NAME, &rules()),
        cluster_role_binding(NAME, NAME, Subject::AccountOf(NAME, NAME)),
        Object::plain(configuration),
    ];
    objects.extend(ingress::named(CLASS, ingress::objects(options, &controller)));
    objects
}

/// What it must see, as its project lists it.
fn rules() -> Value {
    let see = ["get", "list", "watch"];
    let core =
        ["configmaps", "endpoints", "events", "namespaces", "nodes", "pods", "serviceaccounts", "services"];
    json!([
        {"apiGroups": [""], "resources": core, "verbs": see},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "get", "list", "patch", "update", "watch"]},
        {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": see},
        {"apiGroups": ["apps"], "resources": ["daemonsets", "deployments", "replicasets"], "verbs": ["get", "list"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": see},
        {"apiGroups": ["networking.k8s.io"], "resources": ["ingressclasses", "ingresses"], "verbs": see},
        {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses/status"], "verbs": ["update"]},
    ])
}

fn container(options: &Ingress) -> Value {
    let field =
        |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    let mut args = vec![
        format!("--configmap={NAME}/{CONFIGURATION}"),
        format!("--ingress.class={CLASS}"),
        format!("--http-bind-port={}", ingress::HTTP_PORT),
        format!("--https-bind-port={}", ingress::HTTPS_PORT),
    ];
    if options.expose == Expose::LoadBalancer {
        args.push(format!("--publish-service={NAME}/{NAME}"));
    }
    let probe = json!({"httpGet": {"path": "/healthz", "port": HEALTH_PORT}});
    json!({
        "name": NAME,
        "image": options.image,
        "imagePullPolicy": "IfNotPresent",
        "args": args,
        "env": [
            field("POD_NAME", "metadata.name"),
            field("POD_NAMESPACE", "metadata.namespace"),
            field("POD_IP", "status.podIP"),
        ],
        "ports": ingress::ports(options),
        "livenessProbe": probe,
        "readinessProbe": probe,
        "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}},
        // HAProxy's program in its image may bind low ports, which the kernel refuses to start without the right.
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
            "runAsGroup": USER,
            "runAsNonRoot": true,
            "runAsUser": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    })
}

//! Traefik as what lets requests in: it serves Ingresses, and where they are there the kinds of the Gateway API.

use crate::cluster::addon::Expose;
use crate::cluster::addon::Ingress;
use crate::kube::objects::build::Subject;
use crate::kube::objects::build::account;
use crate::kube::objects::build::cluster_role;
use crate::kube::objects::build::cluster_role_binding;
use crate::kube::objects::build::confined;
use crate::kube::objects::ingress;
use crate::kube::objects::ingress::Controller;
use crate::plan::Object;
use serde_json::Value;
use serde_json::json;

/// Also its namespace, and its class.
const NAME: &str = "traefik";
const USER: u32 = 65_532;
const CONTROLLER: &str = "traefik.io/ingress-controller";
const GATEWAY_CONTROLLER: &str = "traefik.io/gateway-controller";
const GATEWAY: &str = "gateway.networking.k8s.io";
/// Of the Gateway API: what it looks at, and of most of that it says how it is.
const ROUTES: [&str; 7] = [
    "backendtlspolicies",
    "gatewayclasses",
    "gateways",
    "grpcroutes",
    "httproutes",
    "tcproutes",
    "tlsroutes",
];

/// Everything of Traefik.
pub fn objects(options: &Ingress) -> Vec<Object> {
    let controller =
        Controller { name: NAME, served_by: CONTROLLER, container: container(options), volumes: volumes() };
    let mut objects = vec![
        ingress::namespace(NAME, options),
        account(NAME, NAME),
        cluster_role(NAME, &Value::Array(rules(options))),
        cluster_role_binding(NAME, NAME, Subject::AccountOf(NAME, NAME)),
    ];
    objects.extend(ingress::objects(options, &controller));
    if options.gateway_api {
        objects.push(Object::plain(json!({
            "apiVersion": format!("{GATEWAY}/v1"),
            "kind": "GatewayClass",
            "metadata": {"name": NAME},
            "spec": {"controllerName": GATEWAY_CONTROLLER},
        })));
    }
    objects
}

/// What it must see, as its project lists it for version 3.
fn rules(options: &Ingress) -> Vec<Value> {
    let see = ["get", "list", "watch"];
    let mut rules = vec![
        json!({"apiGroups": [""], "resources": ["nodes", "secrets", "services"], "verbs": see}),
        json!({"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]}),
        json!({"apiGroups": ["networking.k8s.io"], "resources": ["ingressclasses", "ingresses"], "verbs": see}),
        json!({"apiGroups": ["networking.k8s.io"], "resources": ["ingresses/status"], "verbs": ["update"]}),
    ];
    if options.gateway_api {
        let status: Vec<String> = ROUTES.iter().map(|route| format!("{route}/status")).collect();
        let seen: Vec<&str> = ROUTES.into_iter().chain(["referencegrants"]).collect();
        rules.extend([
            json!({"apiGroups": [""], "resources": ["configmaps", "namespaces"], "verbs": see}),
            json!({"apiGroups": [GATEWAY], "resources": seen, "verbs": see}),
            json!({"apiGroups": [GATEWAY], "resources": status, "verbs": ["update"]}),
        ]);
    }
    rules
}

fn container(options: &Ingress) -> Value {
    let mut args = vec![
        "--global.checknewversion=false".to_owned(),
        "--global.sendanonymoususage=false".to_owned(),
        "--entrypoints.traefik.address=:8080/tcp".to_owned(),
        format!("--entrypoints.web.address=:{}/tcp", ingress::HTTP_PORT),
        format!("--entrypoints.websecure.address=:{}/tcp", ingress::HTTPS_PORT),
        "--entrypoints.websecure.http.tls=true".to_owned(),
        "--ping=true".to_owned(),
        "--providers.kubernetesingress=true".to_owned(),
        format!("--providers.kubernetesingress.ingressclass={NAME}"),
    ];
    if options.expose == Expose::LoadBalancer {
        args.push(format!("--providers.kubernetesingress.ingressendpoint.publishedservice={NAME}/{NAME}"));
    }
    if options.gateway_api {
        args.push("--providers.kubernetesgateway=true".to_owned());
    }
    let probe = |period: u8| json!({"httpGet": {"path": "/ping", "port": 8080}, "initialDelaySeconds": 2, "periodSeconds": period, "timeoutSeconds": 2});
    json!({
        "name": NAME,
        "image": options.image,
        "imagePullPolicy": "IfNotPresent",
        "args": args,
        "ports": ingress::ports(options),
        "livenessProbe": probe(10),
        "readinessProbe": probe(10),
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
        "securityContext": confined(USER),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    })
}

fn volumes() -> Value {
    json!([{"name": "tmp", "emptyDir": {}}])
}

//! The cluster's name service.

use crate::cluster::Cluster;
use crate::cluster::addon::Coredns;
use crate::facts::addons::COREFILE_ANNOTATION;
use crate::kube::DocumentError;
use crate::kube::images;
use crate::kube::objects::KUBE_SYSTEM;
use crate::kube::objects::build::Subject;
use crate::kube::objects::build::cluster_role;
use crate::kube::objects::build::cluster_role_binding;
use crate::kube::objects::build::component_config_hash;
use crate::kube::objects::build::config_map;
use crate::kube::objects::build::service_account;
use crate::kube::patch;
use crate::kube::patch::Target;
use crate::plan::Object;
use crate::template;
use serde_json::Value;
use serde_json::json;
use std::net::IpAddr;

/// How many pods a new cluster starts with; an existing Deployment keeps its own number.
pub const DEFAULT_REPLICAS: u32 = 2;

/// The label that the Deployment, its pods and its Service have carried since `kube-dns`.
const APP: &str = "kube-dns";
const NAME: &str = "coredns";
const ROLE: &str = "system:coredns";

/// Everything of the name service, the operator's patches on the Deployment included.
pub fn objects(cluster: &Cluster, replicas: u32) -> Result<Vec<Object>, DocumentError> {
    let corefile = corefile(cluster)?;
    let deployment =
        patch::apply(&cluster.patches, Target::CorednsDeployment, deployment(cluster, replicas))?;
    let read = |group: &str, resources: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": ["list", "watch"]});
    let rules = json!([
        read("", &["endpoints", "services", "pods", "namespaces"]),
        read("discovery.k8s.io", &["endpointslices"]),
    ]);
    Ok(vec![
        Object::plain(configuration(cluster, &corefile)),
        cluster_role(ROLE, &rules),
        cluster_role_binding(ROLE, ROLE, Subject::ServiceAccount(NAME)),
        service_account(NAME),
        Object::plain(deployment),
        Object::plain(service(cluster)),
    ])
}

/// The configuration for this cluster; one that an operator changed in the cluster is theirs to keep.
pub fn corefile(cluster: &Cluster) -> Result<String, DocumentError> {
    rendered(cluster, &cluster.site.coredns)
}

/// kubeadm's.
pub fn stock(cluster: &Cluster) -> Result<String, DocumentError> {
    rendered(cluster, &Coredns::default())
}

/// By which a Corefile of ours is known again.
pub fn mark(corefile: &str) -> String {
    component_config_hash(&[("Corefile".to_owned(), corefile.into())].into_iter().collect())
}

fn rendered(cluster: &Cluster, options: &Coredns) -> Result<String, DocumentError> {
    let host =
        |(address, names): &(IpAddr, Vec<String>)| json!({"address": address, "names": names.join(" ")});
    let forward =
        if options.forward.is_empty() { "/etc/resolv.conf".to_owned() } else { options.forward.join(" ") };
    let values = json!({
        "dns_domain": cluster.networking.dns_domain,
        "extra": options.extra.as_deref().map(str::trim_end),
        "forward": forward,
        "hosts": options.hosts.iter().map(host).collect::<Vec<Value>>(),
    });
    Ok(template::render("addons/coredns/Corefile", &values)?)
}

/// kubeadm's own carries no mark, since everybody knows it.
fn configuration(cluster: &Cluster, corefile: &str) -> Value {
    let mut map = config_map(KUBE_SYSTEM, NAME, &json!({ "Corefile": corefile }));
    if cluster.site.coredns.changes_corefile() {
        map["metadata"]["annotations"] = json!({COREFILE_ANNOTATION: mark(corefile)});
    }
    map
}

fn deployment(cluster: &Cluster, replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": KUBE_SYSTEM, "labels": {"k8s-app": APP}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"k8s-app": APP}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
            "template": {
                "metadata": {"labels": {"k8s-app": APP}},
                "spec": {
                    "affinity": {"podAntiAffinity": spread()},
                    "containers": [container(cluster)],
                    "dnsPolicy": "Default",
                    "nodeSelector": {"kubernetes.io/os": "linux"},
                    "priorityClassName": "system-cluster-critical",
                    "serviceAccountName": NAME,
                    "tolerations": [
                        {"key": "CriticalAddonsOnly", "operator": "Exists"},
                        {"key": super::node::CONTROL_PLANE_LABEL, "effect": "NoSchedule"},
                    ],
                    "volumes": [{
                        "name": "config-volume",
                        "configMap": {"name": NAME, "items": [{"key": "Corefile", "path": "Corefile"}]},
                    }],
                },
            },
        },
    })
}

/// Its pods rather run on different hosts.
fn spread() -> Value {
    json!({"preferredDuringSchedulingIgnoredDuringExecution": [{
        "weight": 100,
        "podAffinityTerm": {
            "labelSelector": {"matchExpressions": [{"key": "k8s-app", "operator": "In", "values": [APP]}]},
            "topologyKey": "kubernetes.io/hostname",
        },
    }]})
}

fn container(cluster: &Cluster) -> Value {
    let port = |name: &str, number: u16, protocol: &str| json!({"name": name, "containerPort": number, "protocol": protocol});
    let get = |path: &str, port: &str| json!({"path": path, "port": port, "scheme": "HTTP"});
    json!({
        "name": NAME,
        "image": images::coredns(cluster),
        "imagePullPolicy": "IfNotPresent",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "livenessProbe": {
            "httpGet": get("/health", "liveness-probe"),
            "initialDelaySeconds": 60,
            "timeoutSeconds": 5,
            "successThreshold": 1,
            "failureThreshold": 5,
        },
        "ports": [
            port("dns", 53, "UDP"),
            port("dns-tcp", 53, "TCP"),
            port("metrics", 9153, "TCP"),
            port("liveness-probe", 8080, "TCP"),
            port("readiness-probe", 8181, "TCP"),
        ],
        "readinessProbe": {"httpGet": get("/ready", "readiness-probe")},
        "resources": {"limits": {"memory": "170Mi"}, "requests": {"cpu": "100m", "memory": "70Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
            "readOnlyRootFilesystem": true,
        },
        "volumeMounts": [{"name": "config-volume", "mountPath": "/etc/coredns", "readOnly": true}],
    })
}

fn service(cluster: &Cluster) -> Value {
    let port = |name: &str, number: u16, protocol: &str| json!({"name": name, "port": number, "protocol": protocol, "targetPort": number});
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": APP,
            "namespace": KUBE_SYSTEM,
            "annotations": {"prometheus.io/port": "9153", "prometheus.io/scrape": "true"},
            "labels": {
                "k8s-app": APP,
                "kubernetes.io/cluster-service": "true",
                "kubernetes.io/name": "CoreDNS",
            },
        },
        "spec": {
            "clusterIP": cluster.dns_address(),
            "ports": [port("dns", 53, "UDP"), port("dns-tcp", 53, "TCP"), port("metrics", 9153, "TCP")],
            "selector": {"k8s-app": APP},
        },
    })
}

//! `NodeLocal DNSCache`: pods ask on their own node, and only what is not known there goes further.

use crate::cluster::Cluster;
use crate::cluster::addon::NodeLocalDns;
use crate::kube::DocumentError;
use crate::kube::objects::KUBE_SYSTEM;
use crate::kube::objects::build::config_map;
use crate::kube::objects::build::service_account;
use crate::plan::Object;
use crate::template;
use serde_json::Value;
use serde_json::json;

const NAME: &str = "node-local-dns";
/// The DNS service once more, at an address that nobody takes over.
const UPSTREAM: &str = "kube-dns-upstream";
const CONFIGURATION: &str = "kubewright.dev/configuration";

/// Everything of `NodeLocal DNSCache`, named as its project names it.
///
/// # Errors
/// The template is wrong.
pub fn objects(cluster: &Cluster, cache: &NodeLocalDns) -> Result<Vec<Object>, DocumentError> {
    let corefile = corefile(cluster, cache)?;
    let daemon_set = daemon_set(cluster, cache, &corefile);
    Ok(vec![
        service_account(NAME),
        upstream(),
        Object::plain(config_map(KUBE_SYSTEM, NAME, &json!({ "Corefile": corefile }))),
        Object::plain(daemon_set),
        metrics(),
    ])
}

/// The addresses that it takes on every node.
fn addresses(cluster: &Cluster, cache: &NodeLocalDns) -> Vec<String> {
    let service = (!cache.asked_by_address).then(|| cluster.dns_address().to_string());
    std::iter::once(cache.address.to_string()).chain(service).collect()
}

/// The program fills in the two holes that are left when it starts: the address of [`UPSTREAM`], and the host's name
/// servers.
fn corefile(cluster: &Cluster, cache: &NodeLocalDns) -> Result<String, DocumentError> {
    let cluster_dns = if cache.asked_by_address {
        cluster.dns_address().to_string()
    } else {
        "__PILLAR__CLUSTER__DNS__".to_owned()
    };
    let v6 = cache.address.is_ipv6();
    let values = json!({
        "bind": addresses(cluster, cache).join(" "),
        "cluster_dns": cluster_dns,
        "dns_domain": cluster.networking.dns_domain,
        "health": if v6 { format!("[{}]", cache.address) } else { cache.address.to_string() },
    });
    Ok(template::render("addons/node-local-dns/Corefile", &values)?)
}

fn upstream() -> Object {
    let port = |name: &str, protocol: &str| json!({"name": name, "port": 53, "protocol": protocol, "targetPort": 53});
    Object::plain(json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": UPSTREAM, "namespace": KUBE_SYSTEM, "labels": {"k8s-app": NAME}},
        "spec": {"ports": [port("dns", "UDP"), port("dns-tcp", "TCP")], "selector": {"k8s-app": "kube-dns"}},
    }))
}

fn daemon_set(cluster: &Cluster, cache: &NodeLocalDns, corefile: &str) -> Value {
    let labels = json!({"k8s-app": NAME});
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": NAME, "namespace": KUBE_SYSTEM, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}},
            "template": {
                "metadata": {
                    "labels": labels,
                    // The holes are only filled at the start.
                    "annotations": {CONFIGURATION: corefile},
                },
                "spec": {
                    "containers": [container(cluster, cache)],
                    "dnsPolicy": "Default",
                    "hostNetwork": true,
                    "nodeSelector": {"kubernetes.io/os": "linux"},
                    "priorityClassName": "system-node-critical",
                    "serviceAccountName": NAME,
                    "tolerations": [{"operator": "Exists"}],
                    "volumes": [
                        {
                            "name": "configuration",
                            "configMap": {"name": NAME, "items": [{"key": "Corefile", "path": "Corefile.base"}]},
                        },
                        {
                            "name": "xtables-lock",
                            "hostPath": {"path": "/run/xtables.lock", "type": "FileOrCreate"},
                        },
                    ],
                },
            },
        },
    })
}

fn container(cluster: &Cluster, cache: &NodeLocalDns) -> Value {
    let mut args = vec![
        "-localip".to_owned(),
        addresses(cluster, cache).join(","),
        "-conf".to_owned(),
        "/etc/Corefile".to_owned(),
        "-upstreamsvc".to_owned(),
        UPSTREAM.to_owned(),
    ];
    if cache.asked_by_address {
        // Its rules keep packets to the service's address from being tracked, and none go there.
        args.push("-setupiptables=false".to_owned());
    }
    let port = |name: &str, number: u16, protocol: &str| json!({"name": name, "containerPort": number, "protocol": protocol});
    json!({
        "name": "node-cache",
        "image": cache.image,
        "imagePullPolicy": "IfNotPresent",
        "args": args,
        "ports": [port("dns", 53, "UDP"), port("dns-tcp", 53, "TCP"), port("metrics", 9253, "TCP")],
        "livenessProbe": {
            "httpGet": {"host": cache.address, "path": "/health", "port": 8080},
            "initialDelaySeconds": 60,
            "timeoutSeconds": 5,
        },
        "resources": {"requests": {"cpu": "25m", "memory": "25Mi"}},
        // It makes the interface with its addresses.
        "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}},
        "volumeMounts": [
            {"name": "configuration", "mountPath": "/etc/coredns"},
            {"name": "xtables-lock", "mountPath": "/run/xtables.lock"},
        ],
    })
}

fn metrics() -> Object {
    Object::plain(json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": NAME,
            "namespace": KUBE_SYSTEM,
            "annotations": {"prometheus.io/port": "9253", "prometheus.io/scrape": "true"},
            "labels": {"k8s-app": NAME},
        },
        "spec": {
            "clusterIP": "None",
            "ports": [{"name": "metrics", "port": 9253, "protocol": "TCP", "targetPort": 9253}],
            "selector": {"k8s-app": NAME},
        },
    }))
}

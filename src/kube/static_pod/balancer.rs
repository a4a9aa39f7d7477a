//! Pods that keep the API's endpoint alive: HAProxy, keepalived, kube-vip.
//!
//! They refer to nothing in the API (Kubernetes 1.37 refuses static pods that do): their files are the host's, in
//! directories, since a file that is replaced keeps its old content in a pod that has mounted it.

use crate::cluster::HostPort;
use crate::cluster::Node;
use crate::cluster::endpoint::KubeVip;
use crate::cluster::endpoint::KubeVipMode;
use serde_json::Value;
use serde_json::json;

/// Changes with the configuration: the kubelet then starts the pod anew.
const CONFIG_ANNOTATION: &str = "kubewright.dev/config";
/// The priority of `system-node-critical`.
const PRIORITY: u64 = 2_000_001_000;
/// Where kube-vip looks for a kubeconfig.
const KUBE_VIP_KUBECONFIG: &str = "/etc/kubernetes/admin.conf";
/// Where kube-vip tells figures; by itself it would do so on every address.
const KUBE_VIP_METRICS: &str = "127.0.0.1:2112";
/// How kube-vip finds the API server beside it.
const OWN_API_SERVER: &str = "kubernetes";

/// A directory of the host, and where its pod sees it.
#[derive(Debug, Clone, Copy)]
pub struct Mounted<'a> {
    pub on_host: &'a str,
    pub in_pod: &'a str,
}

/// HAProxy with its configuration, of which `digest` tells changes. It is well when it answers at `monitor`.
pub fn haproxy(image: &str, config: Mounted<'_>, digest: &str, monitor: &HostPort) -> Value {
    let file = format!("{}/haproxy.cfg", config.in_pod);
    let container = json!({
        "name": "haproxy",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        // Neither in the background, nor without the process that starts workers.
        "command": ["haproxy", "-W", "-db", "-f", file],
        "livenessProbe": {
            "httpGet": {"host": monitor.host, "path": "/healthz", "port": monitor.port, "scheme": "HTTP"},
            "failureThreshold": 8,
            "initialDelaySeconds": 5,
            "periodSeconds": 10,
            "timeoutSeconds": 5,
        },
        "resources": {"requests": {"cpu": "25m", "memory": "64Mi"}},
        "volumeMounts": [{"name": "config", "mountPath": config.in_pod, "readOnly": true}],
    });
    // Longer than HAProxy itself gives its connections.
    pod("haproxy", Some(digest), 40, &container, &directory(config))
}

/// keepalived with its configuration, of which `digest` tells changes.
pub fn keepalived(image: &str, config: Mounted<'_>, digest: &str) -> Value {
    let file = format!("{}/keepalived.conf", config.in_pod);
    let container = json!({
        "name": "keepalived",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["keepalived", "--dont-fork", "--log-console", "--vrrp", "--use-file", file],
        "resources": {"requests": {"cpu": "25m", "memory": "32Mi"}},
        "securityContext": {"capabilities": {"add": ["NET_ADMIN", "NET_BROADCAST", "NET_RAW"]}},
        "volumeMounts": [{"name": "config", "mountPath": config.in_pod, "readOnly": true}],
    });
    // A keepalived that is killed leaves the address where it was.
    pod("keepalived", Some(digest), 20, &container, &directory(config))
}

/// kube-vip on a control plane, with a kubeconfig of its own and the Kubernetes CA.
pub fn kube_vip(said: &KubeVip, node: &Node, interface: Option<&str>, kubeconfig: &str, ca: &str) -> Value {
    let mut mounts = vec![json!({"name": "kubeconfig", "mountPath": KUBE_VIP_KUBECONFIG, "readOnly": true})];
    let file = |name: &str, path: &str| json!({"name": name, "hostPath": {"path": path, "type": "File"}});
    let mut volumes = vec![file("kubeconfig", kubeconfig)];
    if matches!(said.mode, KubeVipMode::Bgp { .. }) {
        mounts.push(json!({"name": "ca", "mountPath": ca, "readOnly": true}));
        volumes.push(file("ca", ca));
    }
    let container = json!({
        "name": "kube-vip",
        "image": said.image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["manager"],
        "env": environment(said, node, interface, ca),
        "resources": {"requests": {"cpu": "25m", "memory": "32Mi"}},
        "securityContext": {"capabilities": {"add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"]}},
        "volumeMounts": mounts,
    });
    let mut pod = pod("kube-vip", None, 30, &container, &json!(volumes));
    pod["spec"]["hostAliases"] = json!([{"ip": "127.0.0.1", "hostnames": [OWN_API_SERVER]}]);
    pod
}

fn environment(said: &KubeVip, node: &Node, interface: Option<&str>, ca: &str) -> Vec<Value> {
    let text = |name: &str, value: String| json!({"name": name, "value": value});
    let prefix = if said.address.is_ipv6() { 128 } else { 32 };
    let mut env = vec![
        json!({"name": "vip_nodename", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}),
        text("address", said.address.to_string()),
        text("port", said.port.to_string()),
        text("vip_subnet", prefix.to_string()),
        text("cp_enable", "true".to_owned()),
        text("cp_namespace", "kube-system".to_owned()),
        text("svc_enable", "false".to_owned()),
        text("prometheus_server", KUBE_VIP_METRICS.to_owned()),
    ];
    match &said.mode {
        KubeVipMode::Arp { lease_duration, renew_deadline, retry_period } => {
            env.push(text("vip_arp", "true".to_owned()));
            env.extend(interface.map(|name| text("vip_interface", name.to_owned())));
            env.push(text("vip_leaderelection", "true".to_owned()));
            env.push(text("vip_leasename", "plndr-cp-lock".to_owned()));
            for (name, duration) in [
                ("vip_leaseduration", lease_duration),
                ("vip_renewdeadline", renew_deadline),
                ("vip_retryperiod", retry_period),
            ] {
                env.push(text(name, duration.as_secs().to_string()));
            }
        }
        KubeVipMode::Bgp { asn, peers } => {
            let peer = |peer: &crate::cluster::endpoint::BgpPeer| {
                format!("{}:{}::{}", peer.address, peer.asn, peer.multihop)
            };
            let health = HostPort::new(node.advertise_address.to_string(), node.bind_port);
            env.push(text("bgp_enable", "true".to_owned()));
            // The address is nobody's on the link: routers know the way.
            env.push(text("vip_interface", interface.unwrap_or("lo").to_owned()));
            env.push(text("vip_leaderelection", "false".to_owned()));
            env.push(text("bgp_routerid", node.advertise_address.to_string()));
            env.push(text("bgp_as", asn.to_string()));
            env.push(text("bgp_peers", peers.iter().map(peer).collect::<Vec<_>>().join(",")));
            // Otherwise a host whose API server is dead goes on attracting its share.
            env.push(text("control_plane_health_check_address", format!("https://{health}/readyz")));
            env.push(text("control_plane_health_check_ca_path", ca.to_owned()));
        }
    }
    if said.load_balancer {
        env.push(text("lb_enable", "true".to_owned()));
        env.push(text("lb_port", node.bind_port.to_string()));
        env.push(text("lb_fwdmethod", "local".to_owned()));
    }
    env
}

fn directory(config: Mounted<'_>) -> Value {
    json!([{"name": "config", "hostPath": {"path": config.on_host, "type": "Directory"}}])
}

fn pod(name: &str, digest: Option<&str>, grace: u32, container: &Value, volumes: &Value) -> Value {
    let mut metadata = json!({
        "name": name,
        "namespace": "kube-system",
        "labels": {"component": name, "tier": "control-plane"},
    });
    if let Some(digest) = digest {
        metadata["annotations"] = json!({ CONFIG_ANNOTATION: digest });
    }
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "containers": [container],
            "hostNetwork": true,
            "priority": PRIORITY,
            "priorityClassName": "system-node-critical",
            "terminationGracePeriodSeconds": grace,
            "volumes": volumes,
        },
        "status": {},
    })
}

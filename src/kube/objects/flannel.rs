//! flannel: addresses from each Node's network, and packets between nodes by one of its backends.

use crate::cluster::Cluster;
use crate::cluster::cni::Flannel;
use crate::cluster::cni::FlannelBackend;
use serde_json::Value;
use serde_json::json;

const NAMESPACE: &str = "kube-flannel";
const NAME: &str = "flannel";
const CONFIGURATION: &str = "kube-flannel-cfg";
const DAEMON_SET: &str = "kube-flannel-ds";

/// Everything of flannel, named as its project names it.
pub fn objects(cluster: &Cluster, flannel: &Flannel) -> Vec<Value> {
    let metadata = |name: &str| json!({"name": name, "namespace": NAMESPACE, "labels": {"k8s-app": NAME}});
    let mut objects = vec![
        // Its pods need the host's network and rights over it.
        json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": NAMESPACE,
                "labels": {"k8s-app": NAME, "pod-security.kubernetes.io/enforce": "privileged"},
            },
        }),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(NAME)}),
    ];
    objects.extend(rights());
    objects.push(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(CONFIGURATION),
        "data": {"cni-conf.json": pretty(&plugin()), "net-conf.json": pretty(&net_conf(cluster, flannel))},
    }));
    objects.push(json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": metadata(DAEMON_SET),
        "spec": {
            "selector": {"matchLabels": {"app": NAME}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
            "template": {
                "metadata": {
                    "labels": {"app": NAME, "k8s-app": NAME},
                    // flanneld reads its configuration when it starts.
                    "annotations": {"kubewright.dev/configuration": net_conf(cluster, flannel).to_string()},
                },
                "spec": pod(cluster, flannel),
            },
        },
    }));
    objects
}

fn rights() -> [Value; 2] {
    let group = "rbac.authorization.k8s.io";
    [
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": NAME, "labels": {"k8s-app": NAME}},
            "rules": [
                {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
                {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]},
                {"apiGroups": [""], "resources": ["nodes/status"], "verbs": ["patch"]},
            ],
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": NAME, "labels": {"k8s-app": NAME}},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": NAME},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
        }),
    ]
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// What is put on each host: flannel's plugin asks flanneld for the node's network and hands over to `bridge`.
fn plugin() -> Value {
    json!({
        "name": "cbr0",
        "cniVersion": "0.3.1",
        "plugins": [
            {"type": "flannel", "delegate": {"hairpinMode": true, "isDefaultGateway": true}},
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

fn net_conf(cluster: &Cluster, flannel: &Flannel) -> Value {
    let mut conf = json!({"EnableNFTables": false, "Backend": backend(flannel)});
    let pods = &cluster.networking.pods;
    let (v4, v6) = families(cluster);
    conf["EnableIPv4"] = v4.into();
    conf["EnableIPv6"] = v6.into();
    for network in pods {
        let key = if network.addr().is_ipv4() { "Network" } else { "IPv6Network" };
        conf[key] = json!(network);
    }
    conf
}

fn families(cluster: &Cluster) -> (bool, bool) {
    let pods = &cluster.networking.pods;
    (pods.iter().any(|pod| pod.addr().is_ipv4()), pods.iter().any(|pod| pod.addr().is_ipv6()))
}

fn backend(flannel: &Flannel) -> Value {
    let mut backend = match flannel.backend {
        FlannelBackend::Vxlan { vni, port, direct } => {
            json!({"Type": "vxlan", "VNI": vni, "Port": port, "DirectRouting": direct})
        }
        FlannelBackend::HostGw => json!({"Type": "host-gw"}),
        FlannelBackend::Wireguard { port, port_v6 } => {
            json!({"Type": "wireguard", "ListenPort": port, "ListenPortV6": port_v6, "Mode": "separate"})
        }
    };
    // host-gw takes that of the interface, whatever is said.
    if let Some(mtu) = flannel.mtu.filter(|_| flannel.backend != FlannelBackend::HostGw) {
        backend["MTU"] = mtu.into();
    }
    backend
}

fn pod(cluster: &Cluster, flannel: &Flannel) -> Value {
    let host = |name: &str, path: &str| json!({"name": name, "hostPath": {"path": path}});
    json!({
        "hostNetwork": true,
        "priorityClassName": "system-node-critical",
        "serviceAccountName": NAME,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        // A node is tainted until it has a network.
        "tolerations": [{"operator": "Exists", "effect": "NoSchedule"}],
        "initContainers": [
            {
                "name": "install-cni-plugin",
                "image": flannel.plugin_image,
                "command": ["cp"],
                "args": ["-f", "/flannel", "/opt/cni/bin/flannel"],
                "volumeMounts": [{"name": "cni-plugin", "mountPath": "/opt/cni/bin"}],
            },
            {
                "name": "install-cni",
                "image": flannel.image,
                "command": ["/opt/bin/install-conf"],
                "args": ["/etc/kube-flannel/cni-conf.json", "/etc/cni/net.d/10-flannel.conflist"],
                "volumeMounts": [
                    {"name": "cni", "mountPath": "/etc/cni/net.d"},
                    {"name": "configuration", "mountPath": "/etc/kube-flannel"},
                ],
            },
        ],
        "containers": [container(cluster, flannel)],
        "volumes": [
            host("run", "/run/flannel"),
            host("cni-plugin", "/opt/cni/bin"),
            host("cni", "/etc/cni/net.d"),
            {"name": "configuration", "configMap": {"name": CONFIGURATION}},
            {"name": "xtables-lock", "hostPath": {"path": "/run/xtables.lock", "type": "FileOrCreate"}},
        ],
    })
}

fn container(cluster: &Cluster, flannel: &Flannel) -> Value {
    let field =
        |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    let mut env = vec![
        field("POD_NAME", "metadata.name"),
        field("POD_NAMESPACE", "metadata.namespace"),
        field("HOST_IP", "status.hostIP"),
        json!({"name": "EVENT_QUEUE_DEPTH", "value": "5000"}),
        json!({"name": "CONT_WHEN_CACHE_NOT_READY", "value": "false"}),
    ];
    env.extend(api_server(cluster));
    let mut args = vec!["--ip-masq".to_owned(), "--kube-subnet-mgr".to_owned()];
    args.extend(interface(cluster, flannel).map(|interface| format!("--iface={interface}")));
    if v6_first(cluster) {
        // It listens on 0.0.0.0 by itself, and the kubelet asks at the node's own address.
        args.push("--healthz-ip=::".to_owned());
    }
    args.push(format!("--healthz-port={}", flannel.health_port));
    let probe = |path: &str, delay: u8, period: u8| json!({"httpGet": {"path": path, "port": "healthz"}, "initialDelaySeconds": delay, "periodSeconds": period});
    json!({
        "name": "kube-flannel",
        "image": flannel.image,
        "command": ["/opt/bin/flanneld"],
        "args": args,
        "env": env,
        "ports": [{"name": "healthz", "containerPort": flannel.health_port, "protocol": "TCP"}],
        "livenessProbe": probe("/healthz", 10, 30),
        "readinessProbe": probe("/readyz", 5, 10),
        "resources": {"requests": {"cpu": "100m", "memory": "50Mi"}},
        "securityContext": {"privileged": false, "capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}},
        "volumeMounts": [
            {"name": "run", "mountPath": "/run/flannel"},
            {"name": "configuration", "mountPath": "/etc/kube-flannel"},
            {"name": "xtables-lock", "mountPath": "/run/xtables.lock"},
        ],
    })
}

/// The interface with the Node's address: on a host with several, the one with the default route may be another.
/// flanneld cannot be told an IPv6 address where it has both families (its `pkg/ipmatch`), and chooses itself.
fn interface(cluster: &Cluster, flannel: &Flannel) -> Option<String> {
    if let Some(interface) = &flannel.interface {
        return Some(interface.clone());
    }
    let dual = families(cluster) == (true, true);
    (!dual || !v6_first(cluster)).then(|| "$(HOST_IP)".to_owned())
}

fn v6_first(cluster: &Cluster) -> bool {
    cluster.networking.pods.first().is_some_and(|pod| pod.addr().is_ipv6())
}

/// Where the API is, for whom nobody serves the address of its Service.
pub(super) fn api_server(cluster: &Cluster) -> Vec<Value> {
    if !cluster.configuration.proxy.disabled {
        return Vec::new();
    }
    let url = cluster.every_nodes_url();
    let place = url.trim_start_matches("https://");
    let (host, port) = place.rsplit_once(':').unwrap_or((place, "443"));
    let host = host.trim_matches(['[', ']']);
    [("KUBERNETES_SERVICE_HOST", host), ("KUBERNETES_SERVICE_PORT", port)]
        .map(|(name, value)| json!({"name": name, "value": value}))
        .to_vec()
}

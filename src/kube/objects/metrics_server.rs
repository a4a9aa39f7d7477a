//! metrics-server: it asks every kubelet, verifies whom it asks, and is verified by the API server.

use crate::cluster::Cluster;
use crate::cluster::addon::MetricsServer;
use crate::kube::objects::KUBE_SYSTEM;
use crate::kube::objects::build::Subject;
use crate::kube::objects::build::cluster_role;
use crate::kube::objects::build::cluster_role_binding;
use crate::kube::objects::build::config_map;
use crate::kube::objects::build::confined;
use crate::kube::objects::build::role_binding;
use crate::kube::objects::build::service_account;
use crate::kube::objects::build::tolerates_control_planes;
use crate::pki::Ca;
use crate::plan::Fill;
use crate::plan::Object;
use serde_json::Value;
use serde_json::json;

const NAME: &str = "metrics-server";
const ROLE: &str = "system:metrics-server";
/// The label of its pods.
const APP: &str = "k8s-app";
/// The authority of kubelets, where that is not the cluster's own.
const KUBELET_CA: &str = "metrics-server-kubelet-ca";
/// What it serves with: certificate and key in one file, which the container reads again when it changes.
const SERVING: &str = "metrics-server-serving";
const SERVING_KEY: &str = "tls.pem";
/// Mounted into every pod with the service account: the cluster's own authority.
const CLUSTER_CA: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
const KUBELET_CA_FOLDER: &str = "/etc/metrics-server/kubelet-ca";
const SERVING_FOLDER: &str = "/etc/metrics-server/serving";
/// Of its image, which has no other.
const USER: u32 = 1000;

/// Everything of metrics-server, named as its project names it. Where no authority `signs` for it, it serves with a
/// certificate of its own making, which the API server cannot verify.
pub fn objects(cluster: &Cluster, metrics: &MetricsServer, signs: bool) -> Vec<Object> {
    let mut objects = rights();
    if cluster.five_chains() {
        let map = Object::plain(config_map(KUBE_SYSTEM, KUBELET_CA, &json!({})));
        objects.push(map.hole("/data/ca.crt", Fill::Authority { ca: Ca::Kubelet, encoded: false }));
    }
    if signs {
        objects.push(serving(cluster));
    }
    objects.push(service());
    objects.push(Object::plain(deployment(cluster, metrics, signs)));
    if metrics.replicas > 1 {
        objects.push(disruption_budget());
    }
    objects.push(api_service(signs));
    objects
}

fn metadata(name: &str) -> Value {
    json!({"name": name, "namespace": KUBE_SYSTEM, "labels": {APP: NAME}})
}

fn rights() -> Vec<Object> {
    let account = Subject::ServiceAccount(NAME);
    let read = |group: &str, resources: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": ["get", "list", "watch"]});
    let mut reader = cluster_role(
        "system:aggregated-metrics-reader",
        &json!([read("metrics.k8s.io", &["pods", "nodes"])]),
    );
    // Who may look at pods may look at what they take.
    let aggregates = ["admin", "edit", "view"]
        .map(|role| (format!("rbac.authorization.k8s.io/aggregate-to-{role}"), "true".into()));
    reader.value["metadata"]["labels"] = Value::Object(aggregates.into_iter().collect());
    let asks = json!({"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]});
    vec![
        service_account(NAME),
        reader,
        cluster_role(ROLE, &json!([asks, read("", &["pods", "nodes"])])),
        cluster_role_binding(ROLE, ROLE, account),
        cluster_role_binding("metrics-server:system:auth-delegator", "system:auth-delegator", account),
        role_binding(
            KUBE_SYSTEM,
            "metrics-server-auth-reader",
            "extension-apiserver-authentication-reader",
            account,
        ),
    ]
}

/// The names by which the API server, and others in the cluster, ask for it.
fn names(cluster: &Cluster) -> Vec<String> {
    let service = format!("{NAME}.{KUBE_SYSTEM}.svc");
    let domain = &cluster.networking.dns_domain;
    vec![service.clone(), format!("{service}.{domain}")]
}

fn serving(cluster: &Cluster) -> Object {
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(SERVING),
        "type": "Opaque",
        "data": {},
    });
    let fill = Fill::Serving { ca: Ca::FrontProxy, common_name: NAME.to_owned(), names: names(cluster) };
    Object::plain(secret).hole(format!("/data/{SERVING_KEY}"), fill)
}

fn service() -> Object {
    let port = json!({"name": "https", "port": 443, "protocol": "TCP", "targetPort": "https", "appProtocol": "https"});
    Object::plain(json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(NAME),
        "spec": {"ports": [port], "selector": {APP: NAME}},
    }))
}

fn deployment(cluster: &Cluster, metrics: &MetricsServer, signs: bool) -> Value {
    let mut volumes = vec![json!({"name": "tmp", "emptyDir": {}})];
    let mut mounts = vec![json!({"name": "tmp", "mountPath": "/tmp"})];
    if cluster.five_chains() {
        volumes.push(json!({"name": "kubelet-ca", "configMap": {"name": KUBELET_CA}}));
        mounts.push(json!({"name": "kubelet-ca", "mountPath": KUBELET_CA_FOLDER, "readOnly": true}));
    }
    if signs {
        volumes.push(json!({"name": "serving", "secret": {"secretName": SERVING}}));
        mounts.push(json!({"name": "serving", "mountPath": SERVING_FOLDER, "readOnly": true}));
    }
    let mut pod = json!({
        "containers": [container(cluster, metrics, signs, &mounts)],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "priorityClassName": "system-cluster-critical",
        "serviceAccountName": NAME,
        "tolerations": tolerates_control_planes(),
        "volumes": volumes,
    });
    if metrics.replicas > 1 {
        let others =
            json!({"labelSelector": {"matchLabels": {APP: NAME}}, "topologyKey": "kubernetes.io/hostname"});
        pod["affinity"] =
            json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [others]}});
    }
    // With a node for each, a new pod has none before an old one has gone.
    let unavailable = u8::from(metrics.replicas > 1);
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(NAME),
        "spec": {
            "replicas": metrics.replicas,
            "selector": {"matchLabels": {APP: NAME}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": unavailable}},
            "template": {"metadata": {"labels": {APP: NAME}}, "spec": pod},
        },
    })
}

fn container(cluster: &Cluster, metrics: &MetricsServer, signs: bool, mounts: &[Value]) -> Value {
    let kubelet_ca =
        if cluster.five_chains() { format!("{KUBELET_CA_FOLDER}/ca.crt") } else { CLUSTER_CA.to_owned() };
    let mut args = vec![
        "--secure-port=10250".to_owned(),
        "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname".to_owned(),
        "--kubelet-use-node-status-port".to_owned(),
        format!("--kubelet-certificate-authority={kubelet_ca}"),
        format!("--metric-resolution={}", metrics.resolution),
    ];
    if signs {
        let file = format!("{SERVING_FOLDER}/{SERVING_KEY}");
        args.extend([format!("--tls-cert-file={file}"), format!("--tls-private-key-file={file}")]);
    } else {
        args.push("--cert-dir=/tmp".to_owned());
    }
    let probe = |path: &str| json!({"httpGet": {"path": path, "port": "https", "scheme": "HTTPS"}, "periodSeconds": 10, "failureThreshold": 3});
    let mut ready = probe("/readyz");
    // It is ready when it has asked twice.
    ready["initialDelaySeconds"] = json!(20);
    json!({
        "name": NAME,
        "image": metrics.image,
        "imagePullPolicy": "IfNotPresent",
        "args": args,
        "ports": [{"name": "https", "containerPort": 10250, "protocol": "TCP"}],
        "livenessProbe": probe("/livez"),
        "readinessProbe": ready,
        "resources": metrics.resources,
        "securityContext": confined(USER),
        "volumeMounts": mounts,
    })
}

fn disruption_budget() -> Object {
    Object::plain(json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(NAME),
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {APP: NAME}}},
    }))
}

/// Tells the API server to hand on what is asked of the group.
fn api_service(signs: bool) -> Object {
    let mut object = Object::plain(json!({
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta1.metrics.k8s.io", "labels": {APP: NAME}},
        "spec": {
            "group": "metrics.k8s.io",
            "groupPriorityMinimum": 100,
            "service": {"name": NAME, "namespace": KUBE_SYSTEM},
            "version": "v1beta1",
            "versionPriority": 100,
        },
    }));
    if signs {
        return object.hole("/spec/caBundle", Fill::Authority { ca: Ca::FrontProxy, encoded: true });
    }
    object.value["spec"]["insecureSkipTLSVerify"] = true.into();
    object
}

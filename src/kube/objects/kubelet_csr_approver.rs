//! kubelet-csr-approver: kubelets get the serving certificates that they may have.

use crate::cluster::addon::KubeletCsrApprover;
use crate::kube::objects::KUBE_SYSTEM;
use crate::kube::objects::build::Subject;
use crate::kube::objects::build::cluster_role;
use crate::kube::objects::build::cluster_role_binding;
use crate::kube::objects::build::confined;
use crate::kube::objects::build::service_account;
use crate::kube::objects::build::tolerates_control_planes;
use crate::plan::Object;
use serde_json::Value;
use serde_json::json;

const NAME: &str = "kubelet-csr-approver";
const SIGNER: &str = "kubernetes.io/kubelet-serving";
/// Nobody of the system; its image says none.
const USER: u32 = 65_532;

/// Everything of kubelet-csr-approver.
pub fn objects(approver: &KubeletCsrApprover) -> Vec<Object> {
    vec![
        service_account(NAME),
        cluster_role(NAME, &rules()),
        cluster_role_binding(NAME, NAME, Subject::ServiceAccount(NAME)),
        Object::plain(deployment(approver)),
    ]
}

fn rules() -> Value {
    let csr = "certificates.k8s.io";
    json!([
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create", "get", "update"]},
        {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
        {"apiGroups": [csr], "resources": ["certificatesigningrequests"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [csr], "resources": ["certificatesigningrequests/approval"], "verbs": ["update"]},
        {"apiGroups": [csr], "resources": ["signers"], "resourceNames": [SIGNER], "verbs": ["approve"]},
    ])
}

fn deployment(approver: &KubeletCsrApprover) -> Value {
    let labels = json!({"app": NAME});
    let mut pod = json!({
        "containers": [container(approver)],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "priorityClassName": "system-cluster-critical",
        "serviceAccountName": NAME,
        "tolerations": tolerates_control_planes(),
    });
    if !approver.hosts.is_empty() && !approver.bypass_dns_resolution {
        // It looks up the name of a node before it believes in its addresses, and DNS need not know the nodes.
        let alias =
            |(address, names): (&std::net::IpAddr, &Vec<String>)| json!({"ip": address, "hostnames": names});
        pod["hostAliases"] = approver.hosts.iter().map(alias).collect();
    }
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": KUBE_SYSTEM, "labels": labels},
        "spec": {
            "replicas": approver.replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    })
}

fn container(approver: &KubeletCsrApprover) -> Value {
    let variable = |name: &str, value: String| json!({"name": name, "value": value});
    let probe = |path: &str| json!({"httpGet": {"path": path, "port": "probes"}});
    json!({
        "name": NAME,
        "image": approver.image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["-metrics-bind-address=:8080", "-health-probe-bind-address=:8081", "-leader-election"],
        "env": [
            variable("PROVIDER_REGEX", approver.provider_regex.clone()),
            variable("PROVIDER_IP_PREFIXES", approver.provider_ip_prefixes.join(",")),
            variable("MAX_EXPIRATION_SEC", approver.max_expiration_seconds.to_string()),
            variable("BYPASS_DNS_RESOLUTION", approver.bypass_dns_resolution.to_string()),
        ],
        "ports": [
            {"name": "metrics", "containerPort": 8080, "protocol": "TCP"},
            {"name": "probes", "containerPort": 8081, "protocol": "TCP"},
        ],
        "livenessProbe": probe("/healthz"),
        "resources": {"limits": {"memory": "128Mi"}, "requests": {"cpu": "10m", "memory": "32Mi"}},
        "securityContext": confined(USER),
    })
}

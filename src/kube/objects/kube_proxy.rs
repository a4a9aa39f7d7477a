//! kube-proxy.

use crate::cluster::Cluster;
use crate::cluster::token::DEFAULT_GROUP;
use crate::facts::HostFacts;
use crate::kube::DocumentError;
use crate::kube::args;
use crate::kube::images;
use crate::kube::objects::KUBE_SYSTEM;
use crate::kube::objects::build::Subject;
use crate::kube::objects::build::annotate_with_hash;
use crate::kube::objects::build::cluster_role_binding;
use crate::kube::objects::build::config_map;
use crate::kube::objects::build::reader;
use crate::kube::objects::build::service_account;
use crate::kube::yaml;
use crate::plan::Object;
use crate::template;
use serde_json::Value;
use serde_json::json;

const NAME: &str = "kube-proxy";

/// Everything of kube-proxy. `facts` are those of the host that installs it, whose proxy variables it gets.
pub fn objects(cluster: &Cluster, facts: &HostFacts) -> Result<Vec<Object>, DocumentError> {
    let account = Subject::ServiceAccount(NAME);
    let mut objects = vec![
        Object::plain(configuration(cluster)?),
        Object::plain(daemon_set(cluster, facts)),
        service_account(NAME),
        cluster_role_binding("kubeadm:node-proxier", "system:node-proxier", account),
    ];
    objects.extend(reader(KUBE_SYSTEM, NAME, "configmaps", NAME, &[Subject::Group(DEFAULT_GROUP)]));
    Ok(objects)
}

/// Neither document ends in a newline, which is part of what kubeadm hashes.
fn configuration(cluster: &Cluster) -> Result<Value, DocumentError> {
    let server = cluster.every_nodes_url();
    let kubeconfig = template::render("addons/kube-proxy/kubeconfig.conf", &json!({ "server": server }))?;
    let data = json!({
        "config.conf": yaml::to_string(&cluster.kube_proxy.value).trim_end(),
        "kubeconfig.conf": kubeconfig.trim_end(),
    });
    let mut map = config_map(KUBE_SYSTEM, NAME, &data);
    if !cluster.kube_proxy.user_supplied {
        annotate_with_hash(&mut map);
    }
    map["metadata"]["labels"] = json!({"app": NAME});
    Ok(map)
}

fn daemon_set(cluster: &Cluster, facts: &HostFacts) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": NAME, "namespace": KUBE_SYSTEM, "labels": {"k8s-app": NAME}},
        "spec": {
            "selector": {"matchLabels": {"k8s-app": NAME}},
            "updateStrategy": {"type": "RollingUpdate"},
            "template": {
                "metadata": {"labels": {"k8s-app": NAME}},
                "spec": {
                    "containers": [container(cluster, facts)],
                    "hostNetwork": true,
                    "nodeSelector": {"kubernetes.io/os": "linux"},
                    "priorityClassName": "system-node-critical",
                    "serviceAccountName": NAME,
                    "tolerations": [{"operator": "Exists"}],
                    "volumes": [
                        {"name": NAME, "configMap": {"name": NAME}},
                        {
                            "name": "xtables-lock",
                            "hostPath": {"path": "/run/xtables.lock", "type": "FileOrCreate"},
                        },
                        {"name": "lib-modules", "hostPath": {"path": "/lib/modules"}},
                    ],
                },
            },
        },
    })
}

fn container(cluster: &Cluster, facts: &HostFacts) -> Value {
    let node_name = json!({"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}});
    let env: Vec<Value> = std::iter::once(node_name).chain(args::env(&facts.proxy_env, &[])).collect();
    json!({
        "name": NAME,
        "image": images::component(cluster, NAME),
        "imagePullPolicy": "IfNotPresent",
        "command": [
            "/usr/local/bin/kube-proxy",
            "--config=/var/lib/kube-proxy/config.conf",
            "--hostname-override=$(NODE_NAME)",
        ],
        "env": env,
        "securityContext": {"privileged": true},
        "volumeMounts": [
            {"name": NAME, "mountPath": "/var/lib/kube-proxy"},
            {"name": "xtables-lock", "mountPath": "/run/xtables.lock"},
            {"name": "lib-modules", "mountPath": "/lib/modules", "readOnly": true},
        ],
    })
}

//! The kubelet's three files: its configuration, this host's part of it, and its flags.

use crate::cluster::Cluster;
use crate::cluster::Node;
use crate::cluster::endpoint::loopback;
use crate::cluster::kubeadm::Taint;
use crate::facts::HostFacts;
use crate::kube::args::Flags;
use crate::kube::patch;
use crate::kube::patch::PatchError;
use crate::kube::patch::Target;
use crate::kube::yaml;
use serde_json::Value;
use serde_json::json;
use std::fmt::Write as _;

pub const CONFIG_PATH: &str = "/var/lib/kubelet/config.yaml";
pub const INSTANCE_CONFIG_PATH: &str = "/var/lib/kubelet/instance-config.yaml";
pub const FLAGS_PATH: &str = "/var/lib/kubelet/kubeadm-flags.env";

/// Where systemd-resolved keeps the list of real name servers; the usual file names only itself.
const RESOLVED: &str = "/run/systemd/resolve/resolv.conf";

/// The kubelet's `config.yaml` on one host: the shared configuration, then the host's name servers, the operator's
/// patches and, last, the host's container runtime, and on a host that is no node what follows from that.
pub fn config(cluster: &Cluster, node: &Node, facts: &HostFacts) -> Result<String, PatchError> {
    let mut value = cluster.kubelet.value.clone();
    if facts.systemd_resolved {
        set_if_absent(&mut value, "resolvConf", json!(RESOLVED));
    }
    let mut value = patch::apply(&cluster.patches, Target::KubeletConfiguration, value)?;
    if keeps_socket_in_file(cluster) {
        value["containerRuntimeEndpoint"] = json!(node.cri_socket);
    }
    if !node.becomes_node() {
        stand_alone(&mut value, loopback(node.advertise_address));
    }
    Ok(yaml::to_string(&value))
}

/// Without an API server nobody tells who may ask what, so nobody may, from nowhere else; no certificate comes from
/// the cluster, and no pod looks for the cluster's DNS. From kubeadm's documentation of etcd on hosts of its own.
fn stand_alone(value: &mut Value, address: &str) {
    let Value::Object(fields) = value else { return };
    for cluster_only in ["clusterDNS", "clusterDomain", "rotateCertificates", "serverTLSBootstrap"] {
        fields.remove(cluster_only);
    }
    let authentication = json!({"anonymous": {"enabled": false}, "webhook": {"enabled": false}});
    fields.insert("authentication".to_owned(), authentication);
    fields.insert("authorization".to_owned(), json!({"mode": "AlwaysAllow"}));
    fields.insert("address".to_owned(), json!(address));
}

/// The kubelet's `instance-config.yaml`: what is this host's own. `None` where the feature gate
/// `NodeLocalCRISocket` is off.
pub fn instance_config(cluster: &Cluster, node: &Node) -> Option<String> {
    keeps_socket_in_file(cluster).then(|| format!("containerRuntimeEndpoint: {}\n", quoted(&node.cri_socket)))
}

/// The kubelet's `kubeadm-flags.env`, which its systemd unit reads. Workers register with their taints; a control
/// plane is marked through the API later, and who is no node does not register.
pub fn flags_env(cluster: &Cluster, node: &Node, facts: &HostFacts) -> String {
    let mut flags = Flags::default();
    if !keeps_socket_in_file(cluster) {
        flags = flags.with("container-runtime-endpoint", node.cri_socket.as_str());
    }
    if node.registered_name() != facts.hostname {
        flags = flags.with("hostname-override", node.registered_name());
    }
    let taints = node.effective_taints();
    if node.becomes_node() && !node.is_control_plane() && !taints.is_empty() {
        let taints: Vec<String> = taints.iter().map(taint).collect();
        flags = flags.with("register-with-taints", taints.join(","));
    }
    let flags = flags.overlaid(&node.kubelet_extra_args).join(" ");
    format!("KUBELET_KUBEADM_ARGS={}\n", quoted(&flags))
}

/// Whether the container runtime's socket stands in the host's file rather than in a flag and the Node object.
fn keeps_socket_in_file(cluster: &Cluster) -> bool {
    cluster.configuration.feature_gates.get("NodeLocalCRISocket") != Some(&false)
}

fn set_if_absent(value: &mut Value, field: &str, wanted: Value) {
    if let Value::Object(fields) = value {
        fields.entry(field).or_insert(wanted);
    }
}

fn taint(taint: &Taint) -> String {
    if taint.value.is_empty() {
        format!("{}:{}", taint.key, taint.effect)
    } else {
        format!("{}={}:{}", taint.key, taint.value, taint.effect)
    }
}

/// Text in double quotes, escaped as Go's `%q` does it.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                write!(out, "\\u{:04x}", u32::from(c)).expect("writing to a string cannot fail");
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_as_go_does() {
        for (text, expected) in [
            ("", r#""""#),
            ("--v=4", r#""--v=4""#),
            (r#"--x="a b"\"#, r#""--x=\"a b\"\\""#),
            ("a\tb\u{85}", r#""a\tb\u0085""#),
        ] {
            assert_eq!(quoted(text), expected);
        }
    }

    #[test]
    fn a_taint_without_value_has_no_sign_for_one() {
        let with = |value: &str| Taint {
            key: "k".to_owned(),
            value: value.to_owned(),
            effect: "NoExecute".to_owned(),
        };
        assert_eq!(taint(&with("")), "k:NoExecute");
        assert_eq!(taint(&with("v")), "k=v:NoExecute");
    }
}

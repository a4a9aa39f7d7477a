//! A cluster's hosts as a dynamic inventory of Ansible.
//!
//! The form is that of Ansible's inventory scripts: an object of groups, and the variables of all hosts under `_meta`,
//! so that nobody has to ask for each. Names of groups have underscores, which is what Ansible takes.

use crate::cluster::Cluster;
use crate::cluster::Node;
use crate::cluster::Role;
use crate::cluster::site::Access;
use crate::cluster::site::HostKeyChecking;
use crate::cluster::site::Sudo;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeMap;

/// A group for each role.
const GROUPS: [(&str, Role); 4] = [
    ("control_plane", Role::ControlPlane),
    ("worker", Role::Worker),
    ("etcd", Role::Etcd),
    ("load_balancer", Role::LoadBalancer),
];

/// What the inventory says beside the cluster: variables of every host.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The file with the cluster, absolute.
    pub file: &'a str,
    /// The program that is put on the hosts.
    pub program: &'a str,
    /// Who logs in, by host, where the file does not say it; root on all others.
    pub users: &'a BTreeMap<String, String>,
}

/// The whole inventory, as `--list` prints it. A group without hosts is there too: playbooks name it.
pub fn list(cluster: &Cluster, around: &Surroundings<'_>) -> Value {
    let hostvars: Map<String, Value> =
        cluster.nodes.iter().map(|node| (node.name.clone(), variables(node, around))).collect();
    let mut all = Map::new();
    all.insert("_meta".to_owned(), json!({ "hostvars": hostvars }));
    let children = GROUPS.map(|(group, _)| group);
    let vars = json!({
        // Whichever Python there is will do, and no warning is due for that.
        "ansible_python_interpreter": "auto_silent",
        "kubewright_cluster": cluster.name,
        "kubewright_config": around.file,
        "kubewright_program": around.program,
        "kubewright_server_tls_bootstrap": asks_for_serving_certificates(cluster),
        "kubewright_version": cluster.version.to_string(),
    });
    all.insert("all".to_owned(), json!({ "children": children, "vars": vars }));
    for (group, role) in GROUPS {
        let members = cluster.nodes.iter().filter(|node| node.roles.contains(&role));
        let members: Vec<&str> = members.map(|node| node.name.as_str()).collect();
        all.insert(group.to_owned(), json!({ "hosts": members }));
    }
    Value::Object(all)
}

/// The variables of one host, as `--host` prints them; `None` for one that the cluster has not.
pub fn host(cluster: &Cluster, name: &str, around: &Surroundings<'_>) -> Option<Value> {
    cluster.node(name).map(|node| variables(node, around))
}

/// Whether kubelets get their serving certificates by requests that somebody has to approve.
fn asks_for_serving_certificates(cluster: &Cluster) -> bool {
    cluster.kubelet.value.get("serverTLSBootstrap").and_then(Value::as_bool) == Some(true)
}

/// What of the file Ansible has no word for, in words for people; it looks for these things in its own places.
pub fn left_out(cluster: &Cluster) -> Vec<String> {
    let accesses = || cluster.nodes.iter().filter_map(|node| Some((&node.name, node.access.as_ref()?)));
    let hosts = |with: fn(&Access) -> bool| -> Vec<&str> {
        accesses().filter(|(_, access)| with(access)).map(|(name, _)| name.as_str()).collect()
    };
    let rows = [
        ("hostKey", "Ansible goes by ~/.ssh/known_hosts", hosts(|access| !access.host_keys.is_empty())),
        ("passwordFile", "Ansible asks with --ask-pass", hosts(|access| access.password_file.is_some())),
        (
            "sudoPasswordFile",
            "Ansible asks with --ask-become-pass",
            hosts(|access| access.sudo_password_file.is_some()),
        ),
    ];
    let told = rows.into_iter().filter(|(_, _, hosts)| !hosts.is_empty());
    told.map(|(field, instead, hosts)| format!("{field} of {} is left out: {instead}", hosts.join(", ")))
        .collect()
}

fn variables(node: &Node, around: &Surroundings<'_>) -> Value {
    let mut vars = Map::new();
    vars.insert("kubewright_address".to_owned(), json!(node.advertise_address));
    vars.insert("kubewright_roles".to_owned(), json!(node.roles));
    if let Some(access) = &node.access {
        let other = around.users.get(&node.name);
        let user = access.user.as_ref().or(other).map_or("root", String::as_str);
        reached(&mut vars, access, user);
    }
    Value::Object(vars)
}

/// How Ansible reaches a host.
fn reached(vars: &mut Map<String, Value>, access: &Access, user: &str) {
    let become_root = match access.sudo {
        Sudo::Auto => user != "root",
        Sudo::Always => true,
        Sudo::Never => false,
    };
    let mut set = |name: &str, value: Value| {
        vars.insert(format!("ansible_{name}"), value);
    };
    set("host", json!(access.host));
    set("user", json!(user));
    set("become", json!(become_root));
    if let Some(port) = access.port {
        set("port", json!(port));
    }
    if let Some(key) = &access.identity_file {
        set("ssh_private_key_file", json!(key));
    }
    set("ssh_common_args", json!(options(access).join(" ")));
}

/// Options of OpenSSH, which Ansible runs.
fn options(access: &Access) -> Vec<String> {
    let mut options = Vec::new();
    if let Some(file) = &access.config_file {
        options.push(format!("-F {file}"));
    }
    if !access.bastions.is_empty() {
        options.push(format!("-o ProxyJump={}", access.bastions.join(",")));
    }
    let checking = match access.host_key_checking.unwrap_or_default() {
        HostKeyChecking::Strict => "yes",
        HostKeyChecking::AcceptNew => "accept-new",
    };
    options.push(format!("-o StrictHostKeyChecking={checking}"));
    if let Some(timeout) = access.connect_timeout {
        options.push(format!("-o ConnectTimeout={}", timeout.as_secs().max(1)));
    }
    options
}

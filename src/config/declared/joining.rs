//! What the `Cluster` document says of a host that joins by itself: which of the hosts it is, and what it does for all.

use super::Declared;
use super::KIND;
use crate::cluster::Node;
use crate::cluster::Prepare;
use crate::cluster::Site;
use crate::cluster::kubeadm::InitConfiguration;
use crate::cluster::site::CniProvider;
use crate::config::defaults;
use crate::config::documents::Object;
use crate::config::environment::Environment;
use crate::config::load::INIT;
use crate::config::load::typed;
use crate::config::overrides::put;
use crate::config::path::Path;
use crate::config::report::Report;
use crate::config::single::JOIN;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeMap;

/// What a join takes over from the document; of one without hosts, how the host is prepared.
#[derive(Debug, Default)]
pub(crate) struct Declaration {
    pub prepare: Prepare,
    pub site: Site,
    /// Of the Node, where the host becomes a control plane and so may set them.
    pub labels: BTreeMap<String, String>,
}

impl Declared {
    /// Fills into a `JoinConfiguration` what the hosts of the document say of this one and it leaves open. `common` is
    /// the `InitConfiguration` beside the document, whose registration holds for all hosts.
    pub(crate) fn joining(
        &self,
        report: &mut Report,
        common: Option<Object>,
        join: &mut Object,
        env: &Environment,
    ) -> Declaration {
        if self.names_no_hosts() {
            self.validate_prepare(report);
            return Declaration { prepare: self.prepare(), ..Declaration::default() };
        }
        let mut init: InitConfiguration = typed(report, INIT, common.unwrap_or_default());
        defaults::init(&mut init);
        let path = Path::of(INIT, "nodeRegistration.criSocket");
        let registration = &mut init.node_registration;
        // Sockets that answer here say nothing of other hosts.
        let elsewhere = Environment::default();
        registration.cri_socket = defaults::socket(report, &elsewhere, &registration.cri_socket, &path);
        let bind_port = init.local_api_endpoint.bind_port;
        self.validate(report, bind_port);
        self.refuse_bridge(report);
        let nodes = self.nodes(report, registration, bind_port);
        let Some(node) = self.this_one(report, &nodes, join, env) else { return Declaration::default() };
        fill_registration(join, node);
        fill_control_plane(report, join, node);
        self.mention_labels(report, node);
        Declaration {
            prepare: self.prepare(),
            labels: node.labels.clone(),
            site: Site {
                declared_hosts: true,
                endpoint_provider: self.provider(),
                balancing: self.setting(bind_port).and_then(|setting| setting.balancing()),
                container_runtime: self.spec.container_runtime.provider(),
                hosts: nodes,
                ..Site::default()
            },
        }
    }

    /// The host by its name; `None` is reported.
    fn this_one<'a>(
        &self,
        report: &mut Report,
        nodes: &'a [Node],
        join: &Object,
        env: &Environment,
    ) -> Option<&'a Node> {
        let given = join.get("nodeRegistration").and_then(|registration| registration.get("name"));
        let given = given.and_then(Value::as_str).filter(|name| !name.trim().is_empty());
        let name = given.unwrap_or(&env.hostname).trim().to_lowercase();
        let path = Path::of(KIND, "spec.hosts");
        let Some(node) = nodes.iter().find(|node| node.name == name) else {
            let names: Vec<&str> = self.spec.hosts.iter().map(|host| host.name.as_str()).collect();
            let message =
                format!("this host is `{name}`, and the hosts of the file are {}", names.join(", "));
            report
                .error(&path, message)
                .hint("run `join` on one of them, or say with `--node-name` which of them this host is");
            return None;
        };
        if !node.becomes_node() {
            let role = if node.is_etcd_host() { "etcd" } else { "load-balancer" };
            report
                .error(
                    &path,
                    format!("{name} has the role {role}, and `join` makes workers and control planes"),
                )
                .hint("`kubewright apply -f FILE` sets up hosts of every role");
            return None;
        }
        Some(node)
    }

    /// Its routes lead to the networks of all nodes, and a host that joins may not ask for those.
    fn refuse_bridge(&self, report: &mut Report) {
        if self.spec.network.provider() == CniProvider::Bridge {
            report
                .error(
                    &Path::of(KIND, "spec.network.cni.provider"),
                    "the provider bridge needs the pods' networks of all nodes, which a host that joins may not ask for",
                )
                .hint("`kubewright apply -f FILE` knows them; or take another provider");
        }
    }

    /// Kubernetes lets a kubelet set few labels of its own Node.
    fn mention_labels(&self, report: &mut Report, node: &Node) {
        let index = self.spec.hosts.iter().position(|host| host.name == node.name).unwrap_or_default();
        if !node.labels.is_empty() && !node.is_control_plane() {
            let path = Path::of(KIND, "spec.hosts").index(index).key("labels");
            report
                .warning(&path, format!("a worker that joins may not label its Node {}", node.name))
                .hint("`kubewright apply -f FILE` does, or `kubectl label node`");
        }
    }
}

/// Name, runtime, taints and flags, unless the document says them itself.
fn fill_registration(join: &mut Object, node: &Node) {
    fill(join, "nodeRegistration.name", json!(node.name));
    fill(join, "nodeRegistration.criSocket", json!(node.cri_socket));
    fill(join, "nodeRegistration.kubeletExtraArgs", json!(node.kubelet_extra_args));
    fill(join, "nodeRegistration.ignorePreflightErrors", json!(node.ignore_preflight_errors));
    if let Some(taints) = &node.taints {
        fill(join, "nodeRegistration.taints", json!(taints));
    }
}

fn fill_control_plane(report: &mut Report, join: &mut Object, node: &Node) {
    let asked = join.get("controlPlane").is_some_and(|asked| !asked.is_null());
    if node.is_control_plane() {
        fill(join, "controlPlane.localAPIEndpoint.advertiseAddress", json!(node.advertise_address));
        fill(join, "controlPlane.localAPIEndpoint.bindPort", json!(node.bind_port));
    } else if asked {
        let message =
            format!("{} is to become a control plane, and is a worker by the Cluster document", node.name);
        report
            .error(&Path::of(JOIN, "controlPlane"), message)
            .hint("leave it out, or give the host the role control-plane");
    }
}

/// Puts a value where none is.
fn fill(object: &mut Object, field: &str, value: Value) {
    let pointer = format!("/{}", field.replace('.', "/"));
    let there = Value::Object(object.clone()).pointer(&pointer).is_some_and(|there| !there.is_null());
    if !there {
        put(object, field, value);
    }
}

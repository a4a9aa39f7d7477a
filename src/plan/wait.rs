//! Conditions that a plan waits for. Waiting is a step, so a plan shows where time goes.

use crate::cluster::GoDuration;
use crate::cluster::Node;
use crate::plan::Identity;
use crate::plan::ObjectRef;
use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    pub probe: Probe,
    /// How long at most.
    pub limit: GoDuration,
    /// What the operator sets where that is too little: `timeouts.tlsBootstrap`, `--addon-timeout`.
    pub setting: Option<&'static str>,
    /// What to look at when it does not come true; one command a line.
    pub advice: Vec<String>,
    /// Whose log may say why it does not come true.
    pub container: Option<Container>,
}

/// A container of a static pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub cri_socket: String,
    /// `kube-system/etcd-cp2`.
    pub pod: String,
    pub name: String,
}

impl Container {
    /// The container of a control plane's component, and its pod, named as the kubelet names them.
    pub fn of_component(node: &Node, component: &str) -> Self {
        let pod = format!("kube-system/{component}-{}", node.registered_name());
        Self { cri_socket: node.cri_socket.clone(), pod, name: component.to_owned() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// Status 200 on the host's own HTTP endpoint. TLS is not verified: the component made its certificate itself.
    Http { tls: bool, host: String, port: u16, path: String },
    /// Status 200 from the API server.
    Api { path: String, identity: Identity },
    /// The node is registered, that is, has its hostname label.
    NodeRegistered { node: String, identity: Identity },
    /// Something stands at this path of the host, and where it is a link, also where it leads.
    Path { path: String },
    /// The member of the cluster's own etcd has started: it has a name, or a vote. Its data is at this path by then.
    EtcdStarted { peer_url: String, data: String },
    /// Objects of the kind that this `CustomResourceDefinition` defines can be written.
    Established { definition: String, identity: Identity },
    /// The pods of a `DaemonSet`, a Deployment or a `StatefulSet` run as it says.
    RolledOut { object: ObjectRef, identity: Identity },
    /// Whoever serves this `APIService` answers the API server.
    Available { service: String, identity: Identity },
    /// More than half of etcd's voters answer without errors.
    EtcdHealthy,
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { tls, host, port, path } => {
                let scheme = if *tls { "https" } else { "http" };
                let host = crate::cluster::HostPort::new(host.clone(), *port);
                write!(f, "{scheme}://{host}{path}")
            }
            Self::Api { path, .. } => write!(f, "API server {path}"),
            Self::NodeRegistered { node, .. } => write!(f, "node {node} registered"),
            Self::Path { path } => f.write_str(path),
            Self::EtcdStarted { peer_url, .. } => write!(f, "etcd member {peer_url} started"),
            Self::Established { definition, .. } => write!(f, "{definition} established"),
            Self::RolledOut { object, .. } => write!(f, "{object} rolled out"),
            Self::Available { service, .. } => write!(f, "{service} available"),
            Self::EtcdHealthy => f.write_str("etcd healthy"),
        }
    }
}

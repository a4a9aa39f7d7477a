//! Conditions that a plan waits for. Waiting is a step, so a plan shows where time goes.

use crate::cluster::GoDuration;
use crate::plan::Identity;
use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    pub probe: Probe,
    /// How long at most.
    pub limit: GoDuration,
    /// What to look at when it does not come true; one command a line.
    pub advice: Vec<String>,
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
    /// The member of the cluster's own etcd has started: it has a name, or a vote.
    EtcdStarted { peer_url: String },
    /// More than half of etcd's voters answer without errors.
    EtcdHealthy,
    /// The container runtime runs no pod of this name in `kube-system`.
    PodGone { cri_socket: String, name: String },
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
            Self::EtcdStarted { peer_url } => write!(f, "etcd member {peer_url} started"),
            Self::EtcdHealthy => f.write_str("etcd healthy"),
            Self::PodGone { name, .. } => write!(f, "pod {name} gone"),
        }
    }
}

//! What the `Cluster` document says beyond kubeadm's words.

use crate::cluster::addon::Addon;
use crate::cluster::addon::Coredns;
use crate::cluster::cni::Cni;
use crate::cluster::endpoint::Balancing;
use crate::cluster::node::Node;
use serde::Deserialize;
use serde::Serialize;
use std::time::Duration;

/// Choices for the whole cluster; without a `Cluster` document, what kubeadm does: nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Site {
    /// Whether the nodes come from a `Cluster` document; otherwise the one node is this host.
    pub declared_hosts: bool,
    pub endpoint_provider: EndpointProvider,
    /// What this program does for the endpoint; always what the provider says.
    pub balancing: Option<Balancing>,
    pub cni: Cni,
    pub coredns: Coredns,
    /// In the order in which they are installed.
    pub addons: Vec<Addon>,
    /// `None` leaves the runtime alone.
    pub container_runtime: Option<RuntimeProvider>,
    /// The hosts of the file, where `nodes` of the cluster is only the one that a run is about: who balances has to know
    /// the others. Control planes first.
    pub hosts: Vec<Node>,
    /// The version came from the CI bucket, so control plane images come from [`CI_IMAGE_REPOSITORY`] unless the
    /// operator named a repository.
    pub ci_build: bool,
}

/// Where kubeadm takes control plane images of CI builds from.
pub const CI_IMAGE_REPOSITORY: &str = "gcr.io/k8s-staging-ci-images";

/// Who keeps the API endpoint alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndpointProvider {
    KeepalivedHaproxy,
    KubeVip,
    /// A balancer on every node.
    NodeLocal,
    /// Somebody else.
    External,
    #[default]
    None,
}

impl EndpointProvider {
    /// As the document has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeepalivedHaproxy => "keepalived-haproxy",
            Self::KubeVip => "kube-vip",
            Self::NodeLocal => "node-local",
            Self::External => "external",
            Self::None => "none",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CniProvider {
    Flannel,
    Calico,
    Canal,
    Cilium,
    Bridge,
    #[default]
    None,
    Custom,
}

impl CniProvider {
    /// As the document has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flannel => "flannel",
            Self::Calico => "calico",
            Self::Canal => "canal",
            Self::Cilium => "cilium",
            Self::Bridge => "bridge",
            Self::None => "none",
            Self::Custom => "custom",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuntimeProvider {
    Containerd,
    CriO,
    Docker,
}

impl RuntimeProvider {
    /// Where the kubelet finds it.
    pub fn socket(self) -> &'static str {
        match self {
            Self::Containerd => "unix:///var/run/containerd/containerd.sock",
            Self::CriO => "unix:///var/run/crio/crio.sock",
            Self::Docker => "unix:///var/run/cri-dockerd.sock",
        }
    }
}

/// How the operator's machine reaches a host. What is not said here, `~/.ssh/config` may say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// Name or address for SSH.
    pub host: String,
    /// Without one: root.
    pub user: Option<String>,
    pub port: Option<u16>,
    /// A private key on the operator's machine; a leading `~` stands for the home directory.
    pub identity_file: Option<String>,
    /// A file on the operator's machine with the user's password.
    pub password_file: Option<String>,
    /// Fingerprints (`SHA256:…`) of the host's keys; where there are any, nothing else vouches for the host.
    pub host_keys: Vec<String>,
    pub host_key_checking: Option<HostKeyChecking>,
    /// The hosts to go through, `user@host:port`, the first one first.
    pub bastions: Vec<String>,
    pub sudo: Sudo,
    /// A file on the operator's machine with the password that sudo asks for; without one, the user's own.
    pub sudo_password_file: Option<String>,
    /// On the operator's machine; stands for `~/.ssh/config`.
    pub config_file: Option<String>,
    /// For each attempt to reach it.
    pub connect_timeout: Option<Duration>,
}

/// Whether a host that nobody vouches for is taken for what it says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostKeyChecking {
    #[default]
    Strict,
    /// The key of a host that is seen for the first time is added to the known hosts.
    AcceptNew,
}

/// When commands go through sudo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sudo {
    /// For every user but root.
    #[default]
    Auto,
    Always,
    Never,
}

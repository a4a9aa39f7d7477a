//! The meaning of a configuration: a cluster that is valid by construction.
//!
//! Only `config` makes one (and test builders). A phase never meets an `Option` that validation could settle.

pub mod addon;
pub mod cni;
pub mod duration;
pub mod endpoint;
pub mod hop;
pub mod kubeadm;
pub mod network;
pub mod node;
pub mod prepare;
pub mod secret;
pub mod site;
pub mod token;
pub mod version;

pub use addon::Addon;
pub use cni::Cni;
pub use duration::GoDuration;
pub use endpoint::Balancing;
pub use network::HostPort;
pub use network::Networking;
pub use node::Node;
pub use node::Role;
pub use prepare::Prepare;
pub use prepare::SelinuxMode;
pub use secret::Secret;
pub use site::Site;
pub use token::BootstrapToken;
pub use version::KubeVersion;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use std::net::IpAddr;

/// Where images come from unless the operator says otherwise.
pub const DEFAULT_IMAGE_REPOSITORY: &str = "registry.k8s.io";

/// Everything that planning must know about what is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// `metadata.name` of the `Cluster` document, or kubeadm's `clusterName`.
    pub name: String,
    /// kubeadm's own document with all defaults filled in, as it is stored in the cluster.
    pub configuration: kubeadm::ClusterConfiguration,
    pub version: KubeVersion,
    pub layout: Layout,
    /// The cluster runs already, and the nodes listed here join it.
    pub joining: bool,
    pub networking: Networking,
    /// Where clients find the API; `None` means the first control plane's own address.
    pub endpoint: Option<HostPort>,
    pub kubelet: ComponentConfig,
    pub kube_proxy: ComponentConfig,
    /// In the order of the document; the first control plane comes first.
    pub nodes: Vec<Node>,
    pub tokens: Vec<BootstrapToken>,
    pub upload_certs: bool,
    /// Encrypts the `kubeadm-certs` Secret: 64 hexadecimal digits.
    pub certificate_key: Option<Secret>,
    pub timeouts: kubeadm::Timeouts,
    /// The operator's patches in the order in which they apply.
    pub patches: Vec<Patch>,
    pub prepare: Prepare,
    pub site: Site,
}

/// Who signs what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Five chains: kubernetes, kubelet, etcd, etcd peer, front proxy.
    #[default]
    Five,
    /// kubeadm's three, so that kubeadm itself can go on with the cluster.
    Kubeadm,
}

/// A document of another component (kubelet, kube-proxy) that is passed through with kubeadm's defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentConfig {
    pub value: Value,
    /// Whether the operator wrote the document: then no hash is stored, and an upgrade never regenerates it.
    pub user_supplied: bool,
}

/// One patch of the operator, read from the patches directory.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    /// `etcd`, `kube-apiserver`, `kube-controller-manager`, `kube-scheduler`, `kubeletconfiguration`,
    /// `corednsdeployment`, `containerd`.
    pub target: String,
    pub kind: PatchKind,
    pub value: Value,
    /// Where it came from, for messages.
    pub source: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchKind {
    Strategic,
    /// RFC 7386.
    Merge,
    /// RFC 6902.
    Json,
}

impl Cluster {
    pub fn control_planes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.is_control_plane())
    }

    /// The hosts of the whole cluster, also where `nodes` is only the one that a run is about.
    pub fn hosts(&self) -> &[Node] {
        if self.site.hosts.is_empty() { &self.nodes } else { &self.site.hosts }
    }

    /// Leaves of the nodes only the one that a run is about; the others stay known as hosts.
    pub fn keep_only(&mut self, name: &str) {
        self.site.hosts.clone_from(&self.nodes);
        self.nodes.retain(|node| node.name == name);
    }

    /// The nodes that run no control plane.
    pub fn workers(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.becomes_node() && !node.is_control_plane())
    }

    /// The hosts that run etcd and nothing else.
    pub fn etcd_hosts(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.is_etcd_host())
    }

    /// Whether the cluster's own etcd runs on hosts of its own, and not beside the API servers.
    pub fn has_etcd_hosts(&self) -> bool {
        self.etcd_hosts().next().is_some()
    }

    /// Whether control planes run the cluster's own etcd.
    pub fn has_stacked_etcd(&self) -> bool {
        self.has_local_etcd() && !self.has_etcd_hosts()
    }

    /// The hosts of the cluster's own etcd; none where somebody else runs it.
    pub fn etcd_members(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| self.runs_etcd(node))
    }

    /// Whether `node` runs a member of the cluster's own etcd.
    pub fn runs_etcd(&self, node: &Node) -> bool {
        let role = if self.has_etcd_hosts() { node.is_etcd_host() } else { node.is_control_plane() };
        self.has_local_etcd() && role
    }

    /// The control plane that the API objects are written through.
    ///
    /// # Panics
    /// Never for a cluster from `config`, which refuses one without a control plane.
    pub fn first_control_plane(&self) -> &Node {
        self.control_planes().next().expect("a valid cluster has a control plane")
    }

    /// The node that a run on one host is about.
    ///
    /// # Panics
    /// Never for a cluster from `config`, which refuses one without nodes.
    pub fn this_node(&self) -> &Node {
        self.nodes.first().expect("a valid cluster has a node")
    }

    /// Whether the cluster begins on this node: there, and nowhere else, the super-administrator is made.
    pub fn begins_on(&self, node: &Node) -> bool {
        !self.joining && self.first_control_plane().name == node.name
    }

    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    pub fn certificates_dir(&self) -> &str {
        &self.configuration.certificates_dir
    }

    /// The URL that clients on `node` use: `https://endpoint`, or where there is none or every node has its own, the
    /// balancer or the API server of the node itself; without either, that of the first control plane.
    pub fn control_plane_url(&self, node: &Node) -> String {
        match (self.node_local(), &self.endpoint) {
            _ if self.uses_own_server(node) => self.local_url(node),
            (Some(local), _) => local.url(node),
            (None, Some(endpoint)) => format!("https://{endpoint}"),
            (None, None) => self.local_url(self.first_control_plane()),
        }
    }

    fn uses_own_server(&self, node: &Node) -> bool {
        node.is_control_plane() && (self.endpoint.is_none() || self.node_local().is_some())
    }

    /// The URL that everybody can use, also a host that is not in the cluster yet.
    pub fn public_url(&self) -> String {
        match &self.endpoint {
            Some(endpoint) => format!("https://{endpoint}"),
            None => self.local_url(self.first_control_plane()),
        }
    }

    /// The URL that is right on every node, whatever it is for: pods of one kind run on all of them.
    pub fn every_nodes_url(&self) -> String {
        match self.node_local() {
            Some(local) => local.url(self.first_control_plane()),
            None => self.public_url(),
        }
    }

    /// The URL of the API server on `node` itself.
    pub fn local_url(&self, node: &Node) -> String {
        format!("https://{}", self.local_host_port(node))
    }

    /// Where the API server of `node` listens for others.
    pub fn local_host_port(&self, node: &Node) -> HostPort {
        HostPort::new(node.advertise_address.to_string(), node.bind_port)
    }

    /// Where the images of the control plane and of kube-proxy come from.
    pub fn control_plane_repository(&self) -> &str {
        if self.site.ci_build && self.configuration.image_repository == DEFAULT_IMAGE_REPOSITORY {
            site::CI_IMAGE_REPOSITORY
        } else {
            &self.configuration.image_repository
        }
    }

    /// Whether the cluster brings its own etcd, wherever that runs.
    pub fn has_local_etcd(&self) -> bool {
        self.configuration.etcd.external.is_none()
    }

    pub fn five_chains(&self) -> bool {
        self.layout == Layout::Five
    }

    /// Whether the kubelet refuses to start while swap is on, as it does unless told otherwise.
    pub fn kubelet_refuses_swap(&self) -> bool {
        self.kubelet.value.get("failSwapOn").and_then(Value::as_bool) != Some(false)
    }

    /// Whether the components of the control plane run as users of their own (feature gate `RootlessControlPlane`).
    pub fn is_rootless(&self) -> bool {
        self.configuration.feature_gates.get("RootlessControlPlane") == Some(&true)
    }

    /// The address of the cluster DNS service: index 10 of the first service network.
    pub fn dns_address(&self) -> IpAddr {
        self.networking.service_address(10)
    }
}

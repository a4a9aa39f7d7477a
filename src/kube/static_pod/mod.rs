//! The control plane as static pods: kube-apiserver, kube-controller-manager, kube-scheduler and etcd; and what keeps
//! the API's endpoint alive ([`balancer`]).
//!
//! Of the former, with [`Layout::Kubeadm`](crate::cluster::Layout::Kubeadm) each equals what kubeadm v1.36.2 writes, byte by byte;
//! what five chains change is listed in [`crate::kube::differences`].

pub mod apiserver;
pub mod balancer;
pub mod controller_manager;
pub mod etcd;
mod pod;
mod probe;
pub mod rootless;
pub mod scheduler;
mod volume;

pub use apiserver::kube_apiserver;
pub use controller_manager::kube_controller_manager;
pub use etcd::InitialCluster;
pub use etcd::Member;
pub use etcd::URL_ANNOTATION as ETCD_URL_ANNOTATION;
pub use etcd::etcd;
pub use rootless::RootlessIds;
pub use scheduler::kube_scheduler;

use crate::cluster::Cluster;
use crate::cluster::Node;
use crate::facts::HostFacts;
use crate::kube::patch;
use crate::kube::patch::PatchError;
use crate::kube::patch::Target;
use crate::kube::yaml;
use serde_json::Value;

/// Where the kubelet looks for static pods.
pub const MANIFESTS_DIR: &str = "/etc/kubernetes/manifests";

/// A control plane host, seen by those who write its static pods.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    pub cluster: &'a Cluster,
    pub node: &'a Node,
    pub facts: &'a HostFacts,
    pub signing: SigningKeys,
    /// The users of the `RootlessControlPlane` feature gate; `None` runs everything as root.
    pub rootless: Option<&'a RootlessIds>,
}

/// Which authorities the controller-manager can sign for: those whose key is on the host. An authority without
/// its key is an external one (kubeadm's external-CA mode).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SigningKeys {
    pub kubernetes: bool,
    /// Of no account to kubeadm's layout, which has no such authority.
    pub kubelet: bool,
}

impl Default for SigningKeys {
    fn default() -> Self {
        Self { kubernetes: true, kubelet: true }
    }
}

impl<'a> Site<'a> {
    /// A host that holds all signing keys and runs its control plane as root.
    pub fn new(cluster: &'a Cluster, node: &'a Node, facts: &'a HostFacts) -> Self {
        Self { cluster, node, facts, signing: SigningKeys::default(), rootless: None }
    }

    /// A file under the certificates directory.
    fn pki(&self, file: &str) -> String {
        format!("{}/{file}", self.cluster.certificates_dir())
    }

    /// The loopback address of the family in which the control plane talks.
    fn loopback(&self) -> &'static str {
        if self.node.advertise_address.is_ipv6() { "::1" } else { "127.0.0.1" }
    }
}

/// The text of a pod's manifest, with the operator's patches on it.
pub fn manifest(cluster: &Cluster, component: Target, pod: Value) -> Result<String, PatchError> {
    patch::apply(&cluster.patches, component, pod).map(|pod| yaml::to_string(&pod))
}

/// The manifest's path on the host.
pub fn manifest_path(component: &str) -> String {
    format!("{MANIFESTS_DIR}/{component}.yaml")
}

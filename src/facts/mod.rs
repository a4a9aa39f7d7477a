//! What is so on a host: plain data, gathered once, before anything is planned.

pub mod accounts;
pub mod addons;
pub mod api_servers;
pub mod baseline;
pub mod checks;
pub mod etcd;
pub mod etcd_data;
pub mod etcd_start;
pub mod exchange;
pub mod footprint;
pub mod gather;
pub mod links;
mod local;
pub mod nodes;
mod parse;
pub mod platform;
pub mod question;
pub mod runtime;
pub mod swap;
pub mod sync;
mod tool;

pub use crate::etcd::Membership as EtcdMembership;
pub use accounts::Accounts;
pub use checks::PreflightFacts;
pub use etcd::EtcdVersions;
pub use etcd_start::EtcdStart;
pub use links::Links;
pub use nodes::NodeFacts;
pub use platform::Family;
pub use platform::Platform;
pub use question::Questions;
pub use runtime::RuntimeFacts;

use crate::cluster::KubeVersion;
use crate::cluster::Layout;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Facts that planning needs. What only preflight judges is in [`HostFacts::checks`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostFacts {
    /// The kernel's host name, lower case.
    pub hostname: String,
    pub init_system: InitSystem,
    /// systemd-resolved runs, so the kubelet must read its real `resolv.conf`.
    pub systemd_resolved: bool,
    /// Which of the optional directories with root certificates exist.
    pub ca_directories: BTreeSet<String>,
    /// The variables whose name ends in `_proxy`, for the static pods.
    pub proxy_env: BTreeMap<String, String>,
    /// Paths that exist among those the plan asks about.
    pub existing_paths: BTreeSet<String>,
    /// Addresses on the host's interfaces.
    pub addresses: Vec<IpAddr>,
    /// The same with their interfaces, where those are known.
    #[serde(default)]
    pub interface_addresses: Vec<InterfaceAddress>,
    /// Users and groups; asked for only where the control plane is to run without root.
    #[serde(default)]
    pub accounts: Accounts,
    #[serde(default)]
    pub platform: Platform,
    /// The text of files that a plan changes in part, by path; absent ones are missing.
    #[serde(default)]
    pub texts: BTreeMap<String, String>,
    /// What the etcd of this host was started with, by its static pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etcd_start: Option<EtcdStart>,
    /// The etcd that the API server of this host uses, by its static pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub etcd_servers: Vec<String>,
    /// What only preflight and host preparation ask.
    #[serde(default)]
    pub checks: PreflightFacts,
}

/// An address, where it is, and its network.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InterfaceAddress {
    pub interface: String,
    pub address: IpAddr,
    /// The length of the network's prefix, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InitSystem {
    Systemd,
    OpenRc,
    None,
}

/// The directories that hold root certificates on one distribution or another; mounted where they exist.
pub const CA_DIRECTORIES: [&str; 5] = [
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
];

impl HostFacts {
    /// The interface that has an address, and the length of its network's prefix.
    pub fn interface_of(&self, address: IpAddr) -> Option<&InterfaceAddress> {
        self.interface_addresses.iter().find(|found| found.address == address)
    }

    /// What is assumed of a host that nobody asked: systemd, no resolved, no optional directories, no proxy.
    pub fn assumed(hostname: &str) -> Self {
        Self {
            hostname: hostname.to_owned(),
            init_system: InitSystem::Systemd,
            systemd_resolved: false,
            ca_directories: BTreeSet::new(),
            proxy_env: BTreeMap::new(),
            existing_paths: BTreeSet::new(),
            addresses: Vec::new(),
            interface_addresses: Vec::new(),
            accounts: Accounts::default(),
            platform: Platform::default(),
            texts: BTreeMap::new(),
            etcd_start: None,
            etcd_servers: Vec::new(),
            checks: PreflightFacts::default(),
        }
    }
}

/// What the API of a running cluster says; empty where there is none yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClusterFacts {
    /// Whether its API answered.
    pub runs: bool,
    /// How many CoreDNS pods the operator wants by now.
    pub coredns_replicas: Option<u32>,
    /// The Corefile in use.
    pub corefile: Option<String>,
    /// By which the Corefile is known that this program wrote last, where it is not kubeadm's.
    pub corefile_mark: Option<String>,
    /// The members of the cluster's own etcd; `None` where nobody asked, or somebody else runs it.
    pub etcd: Option<EtcdMembership>,
    /// Why the members could not be asked for.
    pub etcd_trouble: Option<String>,
    /// The layout of the PKI that the control planes run with.
    pub layout: Option<Layout>,
    /// The versions of its API servers, by the names of their nodes; see [`api_servers`].
    pub api_servers: BTreeMap<String, KubeVersion>,
    /// Its Node objects, where somebody asked for them.
    pub nodes: Vec<NodeFacts>,
    /// What earlier runs have installed in it.
    pub addons: Vec<addons::Installed>,
    /// The Node object of the name that a joining host will register with, where there is one.
    pub namesake: Option<NodeFacts>,
}

impl ClusterFacts {
    /// The Node object of this name.
    pub fn node(&self, name: &str) -> Option<&NodeFacts> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// The version of the kubelet that runs on the node of this name.
    pub fn kubelet(&self, name: &str) -> Option<KubeVersion> {
        let namesake = self.namesake.as_ref().filter(|namesake| namesake.name == name);
        self.node(name).or(namesake)?.kubelet_version.parse().ok()
    }
}

//! One host and what it is for.

use crate::cluster::kubeadm::Arg;
use crate::cluster::kubeadm::Taint;
use crate::cluster::site::Access;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The name of the Node object: a DNS-1123 subdomain.
    pub name: String,
    pub roles: Vec<Role>,
    /// What the API server and etcd of this host announce; for a worker, its own address.
    pub advertise_address: IpAddr,
    pub bind_port: u16,
    /// `unix://` and a path.
    pub cri_socket: String,
    /// `None` means the role's default.
    pub taints: Option<Vec<Taint>>,
    pub labels: BTreeMap<String, String>,
    pub kubelet_extra_args: Vec<Arg>,
    pub ignore_preflight_errors: Vec<String>,
    pub image_pull_policy: ImagePullPolicy,
    pub image_pull_serial: bool,
    /// How to reach it over SSH; `None` for the host that this runs on.
    pub access: Option<Access>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    ControlPlane,
    Worker,
    LoadBalancer,
    Etcd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ImagePullPolicy {
    Always,
    #[default]
    IfNotPresent,
    Never,
}

impl Node {
    pub fn is_control_plane(&self) -> bool {
        self.roles.contains(&Role::ControlPlane)
    }

    /// Whether it becomes a node of the cluster; a host that only balances load or only runs etcd does not.
    pub fn becomes_node(&self) -> bool {
        self.is_control_plane() || self.roles.contains(&Role::Worker)
    }

    /// Whether it runs etcd and nothing else; no host has this role and another one.
    pub fn is_etcd_host(&self) -> bool {
        self.roles.contains(&Role::Etcd)
    }

    /// Whether a part of the control plane runs there, as static pods: all of it, or etcd alone.
    pub fn is_server(&self) -> bool {
        self.is_control_plane() || self.is_etcd_host()
    }

    /// Whether a kubelet runs there: that of a node, or one by itself that runs etcd.
    pub fn has_kubelet(&self) -> bool {
        self.becomes_node() || self.is_etcd_host()
    }

    /// The last value that the operator gave a kubelet flag.
    pub fn kubelet_arg(&self, name: &str) -> Option<&str> {
        self.kubelet_extra_args.iter().rev().find(|arg| arg.name == name).map(|arg| arg.value.as_str())
    }

    /// The name under which the kubelet registers.
    pub fn registered_name(&self) -> &str {
        self.kubelet_arg("hostname-override").unwrap_or(&self.name)
    }

    /// The taints to set, with the role's default where the operator said nothing.
    pub fn effective_taints(&self) -> Vec<Taint> {
        match &self.taints {
            Some(taints) => taints.clone(),
            None if self.is_control_plane() => vec![Taint {
                key: "node-role.kubernetes.io/control-plane".to_owned(),
                value: String::new(),
                effect: "NoSchedule".to_owned(),
            }],
            None => Vec::new(),
        }
    }
}

//! A lab of virtual machines, described in one small file: which machines there are, and the cluster that they become.
//!
//! Vagrant makes the machines. Its `Vagrantfile` asks this program for them, so that names and addresses are decided
//! once.

mod cluster;
pub mod folder;

pub use cluster::cluster;

use crate::cluster::Role;
use crate::cluster::network::nth_address;
use ipnet::IpNet;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What is wanted, complete.
#[derive(Debug, Clone, PartialEq)]
pub struct Lab {
    pub name: String,
    pub control_planes: u32,
    pub workers: u32,
    pub load_balancers: u32,
    pub etcds: u32,
    pub cpus: u32,
    /// In MiB.
    pub memory: u32,
    /// In GiB.
    pub disk: u32,
    pub default_box: String,
    /// By the name of the machine.
    pub boxes: BTreeMap<String, String>,
    /// One, or two of different families.
    pub networks: Vec<IpNet>,
    pub kubernetes_version: String,
    pub cni: String,
    pub pod_subnet: String,
    pub service_subnet: String,
    pub artifacts: String,
    pub provision: Provision,
    /// Of the cluster, as the lab file has them; where it says nothing, the fields above hold.
    pub configuration: Map<String, Value>,
    /// Further documents of the cluster, whole.
    pub documents: Vec<Value>,
}

/// Who makes a cluster of the machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provision {
    /// `kubewright apply`, from this machine.
    #[default]
    Apply,
    /// `kubewright init` and `join` on the machines, by Ansible.
    Playbooks,
    /// Nobody.
    None,
}

/// One virtual machine, in the form that the `Vagrantfile` reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    pub name: String,
    #[serde(skip)]
    pub role: Role,
    #[serde(rename = "box")]
    pub image: String,
    pub cpus: u32,
    pub memory: u32,
    pub disk: u32,
    pub addresses: Vec<Address>,
}

/// An address with what Vagrant says of its network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Address {
    pub ip: IpAddr,
    /// A mask for IPv4, a length for IPv6.
    pub netmask: String,
}

/// A role: how its machines are called, and the number from which their addresses count.
const ROLES: [(Role, &str, u32); 4] = [
    (Role::ControlPlane, "cp", 10),
    (Role::Worker, "w", 20),
    (Role::LoadBalancer, "lb", 30),
    (Role::Etcd, "etcd", 40),
];

/// The number of the endpoint's address.
const ENDPOINT: u32 = 100;

impl Lab {
    /// In the order in which they come up.
    pub fn machines(&self) -> Vec<Machine> {
        let all = ROLES.iter().flat_map(|(role, prefix, from)| {
            (1..=self.count(*role))
                .map(move |number| self.machine(*role, format!("{prefix}{number}"), from + number))
        });
        all.collect()
    }

    /// The address that stands for all API servers; one control plane needs none.
    pub fn endpoint(&self) -> Option<IpAddr> {
        let shared = self.control_planes > 1 || self.load_balancers > 0;
        self.networks.first().filter(|_| shared).map(|network| nth_address(network, ENDPOINT))
    }

    fn count(&self, role: Role) -> u32 {
        match role {
            Role::ControlPlane => self.control_planes,
            Role::Worker => self.workers,
            Role::LoadBalancer => self.load_balancers,
            Role::Etcd => self.etcds,
        }
    }

    fn machine(&self, role: Role, name: String, number: u32) -> Machine {
        let address = |network: &IpNet| Address {
            ip: nth_address(network, number),
            netmask: match network {
                IpNet::V4(network) => network.netmask().to_string(),
                IpNet::V6(network) => network.prefix_len().to_string(),
            },
        };
        Machine {
            image: self.boxes.get(&name).unwrap_or(&self.default_box).clone(),
            role,
            cpus: self.cpus,
            memory: self.memory,
            disk: self.disk,
            addresses: self.networks.iter().map(address).collect(),
            name,
        }
    }
}

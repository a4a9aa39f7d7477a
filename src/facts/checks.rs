//! What preflight judges. Everything may be unknown: a host without a tool is no error here.

use crate::cluster::KubeVersion;
use crate::facts::RuntimeFacts;
use ipnet::IpNet;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The default is a host of which nothing is known, so no check has anything to say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PreflightFacts {
    pub uid: Option<u32>,
    /// CPUs that the process may use (its affinity), as kubeadm counts them.
    pub cpus: Option<u32>,
    /// Memory as the kernel's `sysinfo` tells it, in bytes.
    pub memory: Option<u64>,
    pub kernel: Kernel,
    pub cgroups: Cgroups,
    pub swap: Swap,
    pub selinux: Selinux,
    pub modules: Modules,
    /// Kernel parameters by path under `/proc/sys`: `net/ipv4/ip_forward`.
    pub sysctls: BTreeMap<String, String>,
    pub listeners: Vec<Listener>,
    pub firewall: Firewall,
    pub default_routes: Vec<DefaultRoute>,
    /// Addresses of the interfaces with a default route, those of the best route first, IPv4 before IPv6.
    pub default_addresses: Vec<IpAddr>,
    pub interfaces: BTreeSet<String>,
    /// What is known of each interface.
    pub nics: BTreeMap<String, Nic>,
    /// The main routing table without default routes, and without what the kernel makes for itself.
    pub routes: Vec<Route>,
    /// Services by name without `.service`; absent ones are missing.
    pub services: BTreeMap<String, Service>,
    /// Which of the programs asked about are in `PATH`; `None` when nobody asked.
    pub programs: Option<BTreeSet<String>>,
    pub kubelet: Kubelet,
    pub runtime: RuntimeFacts,
    pub time: TimeSync,
    /// Free and total space where the directories asked about are, or would be.
    pub disks: BTreeMap<String, DiskSpace>,
    /// Names asked about and what they resolve to; an empty list is a name that does not resolve.
    pub names: BTreeMap<String, Vec<IpAddr>>,
    /// What stands at the paths asked about; absent ones are missing.
    pub paths: BTreeMap<String, PathState>,
    pub leftovers: Leftovers,
    /// Duration of the slowest of 100 synchronous writes (99th percentile) in microseconds; only on request.
    pub etcd_sync_micros: Option<u64>,
    pub machine_id: Option<String>,
    pub product_uuid: Option<String>,
    /// The public halves of sshd's host keys: type and key, without the comment.
    pub ssh_host_keys: BTreeSet<String>,
    /// `PRETTY_NAME` of `/etc/os-release`.
    pub os: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Kernel {
    /// `uname -s`.
    pub name: String,
    /// `uname -r`; empty when unknown.
    pub release: String,
    /// `uname -m`; empty when unknown.
    pub machine: String,
    pub config: KernelConfig,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KernelConfig {
    /// Nobody asked.
    #[default]
    Unknown,
    /// None of the places where a configuration is kept has one.
    Unavailable,
    /// Options without `CONFIG_`, each `y`, `m` or `n`; only those that preflight knows.
    Options(BTreeMap<String, char>),
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Cgroups {
    pub version: CgroupVersion,
    pub controllers: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CgroupVersion {
    #[default]
    Unknown,
    /// Asked for, and no control group is mounted.
    NotMounted,
    V1,
    V2,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Swap {
    /// Active swap devices and files.
    pub active: Vec<String>,
    /// The text of `/etc/fstab`.
    pub fstab: String,
    /// systemd's loaded swap units with a file of their own.
    pub units: BTreeSet<String>,
    /// Swap units masked under `/etc/systemd/system`.
    pub masked: BTreeSet<String>,
    /// The zram generator's effective configuration file, when it has one that says something.
    pub zram_generator: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Selinux {
    /// What the kernel does now; `None` in a kernel without it.
    pub enforcing: Option<bool>,
    /// The text of `/etc/selinux/config`; empty without one.
    pub config: String,
    /// The policy for containers (package `container-selinux`) is installed.
    pub container_policy: bool,
    /// The policy's switch that lets HAProxy connect to any port; `None` where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub haproxy_connect_any: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Modules {
    /// Whether anyone looked.
    pub known: bool,
    /// In the kernel now, loaded or built in: of `overlay`, `br_netfilter`, and those of IPVS.
    pub present: BTreeSet<String>,
    /// `modprobe` and a directory of modules for this kernel are there.
    pub loadable: bool,
    /// Named in a modules-load.d file, or in `/etc/modules`, that is not ours.
    pub persistent: BTreeSet<String>,
}

/// A listening TCP socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    pub port: u16,
    /// The process that holds it, as far as it can be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub id: u32,
    /// The kernel's name of it, at most 15 characters.
    pub name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Firewall {
    /// Ports, services and protocols (`protocol/vrrp`) that firewalld's default zone opens, `6443/tcp`; `None` when its files cannot be read.
    pub firewalld_open: Option<BTreeSet<String>>,
    pub ufw_enabled: bool,
    /// ufw's incoming default lets everything in.
    pub ufw_default_allow: bool,
    /// What ufw's own rules allow, `6443/tcp`.
    pub ufw_open: BTreeSet<String>,
    /// Some packet filter drops what comes in unless a rule allows it.
    pub input_dropped: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultRoute {
    pub interface: String,
    pub metric: u32,
    pub ipv6: bool,
}

/// A network interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Nic {
    /// Six bytes, `52:54:00:12:34:56`; empty for what has none.
    pub mac: String,
    /// The largest packet that it sends, in bytes.
    pub mtu: u32,
}

/// A route of the main table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    pub network: IpNet,
    pub interface: String,
    /// The next hop; without one the network is on the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<IpAddr>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Service {
    /// `None` when the init system does not run and cannot be asked.
    pub active: Option<bool>,
    pub enabled: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kubelet {
    /// Nobody asked.
    #[default]
    Unknown,
    /// No kubelet in `PATH`.
    Missing,
    /// It cannot run; what it said.
    Failed(String),
    /// What `kubelet --version` printed.
    Says(String),
}

impl Kubelet {
    /// The version of the program in `PATH`, where it tells one.
    pub fn version(&self) -> Option<KubeVersion> {
        let Self::Says(said) = self else { return None };
        said.trim().strip_prefix("Kubernetes v")?.parse().ok()
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TimeSync {
    #[default]
    Unknown,
    /// No service keeps the clock.
    Nobody,
    /// The service that keeps the clock, and whether it says that the clock is right.
    By { service: String, synchronised: Option<bool> },
}

/// Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSpace {
    pub free: u64,
    pub total: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PathState {
    /// A file, or anything else that is no directory.
    File,
    EmptyDirectory,
    Directory,
    UnreadableDirectory,
}

/// What an earlier cluster left behind, beside the paths.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Leftovers {
    pub static_pods: BTreeSet<String>,
    pub cni_configs: BTreeSet<String>,
    /// Chains of kube-proxy or of a pod network in the packet filter.
    pub chains: BTreeSet<String>,
    /// Mounts under `/var/lib/kubelet`.
    pub mounts: Vec<String>,
}

impl PreflightFacts {
    /// The value of a kernel parameter, named as sysctl names it: `net.ipv4.ip_forward`.
    pub fn sysctl(&self, name: &str) -> Option<&str> {
        self.sysctls.get(&name.replace('.', "/")).map(String::as_str)
    }

    pub fn listener(&self, port: u16) -> Option<&Listener> {
        self.listeners.iter().find(|listener| listener.port == port)
    }

    /// The interface on whose link an address is, by the longest prefix.
    pub fn link_of(&self, address: IpAddr) -> Option<&str> {
        let on_link =
            self.routes.iter().filter(|route| route.via.is_none() && route.network.contains(&address));
        on_link.max_by_key(|route| route.network.prefix_len()).map(|route| route.interface.as_str())
    }

    pub fn is_active(&self, service: &str) -> bool {
        self.services.get(service).is_some_and(|service| service.active == Some(true))
    }
}

impl Selinux {
    /// The mode that `/etc/selinux/config` names for the next start.
    pub fn at_boot(&self) -> Option<&str> {
        self.config.lines().rev().find_map(|line| line.trim().strip_prefix("SELINUX=")).map(str::trim)
    }
}

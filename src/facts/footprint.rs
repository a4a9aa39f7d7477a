//! What a cluster may change on a host: its files, interfaces, packet filters, mounts, kernel parameters, modules and
//! services. One look tells both what must be the same after a reset ([`Snapshot`]) and what helps to tell whose
//! something is ([`Traces`]).

use crate::cluster::Cluster;
use crate::facts::parse::Answers;
use crate::facts::parse::footprint;
use crate::facts::question::CNI_DIRECTORIES;
use crate::host::Command;
use crate::host::Host;
use crate::host::HostError;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

const SCRIPT: &str = include_str!("footprint.sh");
const TIMEOUT: Duration = Duration::from_secs(30);

/// Directories of which everything below is noted.
const DIRECTORIES: [&str; 9] = [
    "/etc/kubernetes",
    "/var/lib/kubelet",
    "/var/lib/etcd",
    "/etc/cni",
    "/var/lib/cni",
    "/var/log/pods",
    "/var/log/containers",
    "/run/netns",
    "/usr/libexec/kubernetes",
];

/// Paths of which only the presence matters: nobody but a cluster makes them, or they are made for it.
const PATHS: [&str; 12] = [
    "/lib/modules",
    "/opt/cni",
    "/opt/cni/bin",
    "/run/calico",
    "/run/cilium",
    "/run/flannel",
    "/run/xtables.lock",
    "/var/lib/calico",
    "/var/lib/weave",
    "/var/log/calico",
    "/var/run/kubernetes",
    "/var/lib/kube-router",
];

/// Plugins that pods of a network put on the host, or that are linked to those.
const NETWORK_PLUGINS: [&str; 4] = ["calico", "calico-ipam", "cilium-cni", "flannel"];

/// What the kubelet, kube-proxy, network plugins and `--prepare` set, below `/proc/sys`. From the sources of
/// Kubernetes v1.36 (`pkg/kubelet/cm`, `pkg/proxy`), of the CNI plugins `bridge` and `portmap`, and of Calico's Felix.
const SYSCTLS: [&str; 32] = [
    "fs/inotify/max_user_instances",
    "fs/inotify/max_user_watches",
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "net/bridge/bridge-nf-call-ip6tables",
    "net/bridge/bridge-nf-call-iptables",
    "net/ipv4/conf/all/arp_announce",
    "net/ipv4/conf/all/arp_ignore",
    "net/ipv4/conf/all/route_localnet",
    "net/ipv4/conf/all/rp_filter",
    "net/ipv4/conf/default/rp_filter",
    "net/ipv4/ip_forward",
    "net/ipv4/vs/conn_reuse_mode",
    "net/ipv4/vs/conntrack",
    "net/ipv4/vs/expire_nodest_conn",
    "net/ipv4/vs/expire_quiescent_template",
    "net/ipv4/vs/sloppy_tcp",
    "net/ipv6/conf/all/disable_ipv6",
    "net/ipv6/conf/all/forwarding",
    "net/ipv6/conf/default/forwarding",
    "net/netfilter/nf_conntrack_buckets",
    "net/netfilter/nf_conntrack_max",
    "net/netfilter/nf_conntrack_tcp_be_liberal",
    "net/netfilter/nf_conntrack_tcp_timeout_close_wait",
    "net/netfilter/nf_conntrack_tcp_timeout_established",
    "net/netfilter/nf_conntrack_udp_timeout",
    "net/netfilter/nf_conntrack_udp_timeout_stream",
    "net/core/bpf_jit_enable",
];

/// Services that a cluster needs.
const SERVICES: [&str; 3] = ["kubelet", "containerd", "crio"];

/// Which directories and paths to look at, beyond what every host has in common.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Watch {
    /// Those of the cluster's own choice: of certificates, of etcd's data.
    pub directories: BTreeSet<String>,
}

/// The state of a host as far as a cluster may change it. It holds no secret: digests and names only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Snapshot {
    pub version: u32,
    /// RFC 3339; empty for one that is not kept.
    pub taken: String,
    /// Directories and paths that were looked at; what is not among [`Snapshot::entries`] was not there.
    pub watched: BTreeSet<String>,
    pub entries: BTreeMap<String, FileState>,
    pub interfaces: BTreeSet<String>,
    /// By program (`iptables-nft`, `ip6tables-legacy`) and table (`nat`).
    pub filters: BTreeMap<String, BTreeMap<String, Table>>,
    /// Chains by family and name of their table: `ip kube-proxy`.
    pub nft_tables: BTreeMap<String, BTreeSet<String>>,
    pub ip_sets: BTreeSet<String>,
    /// Virtual servers of IPVS: `tcp 10.96.0.1:443`.
    pub virtual_servers: BTreeSet<String>,
    pub mounts: BTreeSet<String>,
    /// Kernel parameters that exist: `net.ipv4.ip_forward`.
    pub sysctls: BTreeMap<String, String>,
    /// Loaded modules; `None` where the kernel does not tell.
    pub modules: Option<BTreeSet<String>>,
    /// Services, without `.service`, and whether they start at boot.
    pub services: BTreeMap<String, bool>,
    pub cgroups: BTreeSet<String>,
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileState {
    pub kind: FileKind,
    /// Permission bits in octal, as `chmod` takes them.
    pub mode: String,
    pub owner: (u32, u32),
    /// SHA-256, of configuration files only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    File,
    Directory,
    Link,
    /// A socket, a pipe, a device.
    Other,
}

/// A table of a packet filter as `iptables-save` prints it, without counters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Table {
    /// Built-in chains and what they do with a packet that no rule decides on.
    pub policies: BTreeMap<String, String>,
    /// Chains that somebody made.
    pub chains: BTreeSet<String>,
    /// `-A INPUT -j KUBE-FIREWALL`, in order.
    pub rules: Vec<String>,
}

/// What tells whose something is; of this moment, never kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Traces {
    /// Where `/var/lib/kubelet` leads.
    pub kubelet_directory: String,
    /// The interfaces that each bridge connects.
    pub ports: BTreeMap<String, BTreeSet<String>>,
    /// Addresses of `kube-ipvs0`.
    pub virtual_addresses: BTreeSet<String>,
    /// Network namespaces of containers, and whether a process is in it.
    pub namespaces: BTreeMap<String, bool>,
    /// Services that run, or that are started again and again.
    pub running: BTreeSet<String>,
    /// How many processes run in the control groups of pods.
    pub pod_processes: usize,
    /// Networks of the files in `/etc/cni/net.d`, by path.
    pub networks: BTreeMap<String, String>,
    /// The container for which each file below `/var/lib/cni/networks` reserves an address.
    pub leases: BTreeMap<String, String>,
    /// How many users each loaded module has.
    pub module_users: BTreeMap<String, u32>,
    /// Which of `nft` and `ipvsadm` there are.
    pub programs: BTreeSet<String>,
}

impl Watch {
    /// What a cluster has for itself on its hosts.
    pub fn of(cluster: &Cluster) -> Self {
        let etcd = cluster.configuration.etcd.local.as_ref().map(|etcd| etcd.data_dir.clone());
        Self::directories([cluster.certificates_dir().to_owned()].into_iter().chain(etcd))
    }

    /// These directories, beside those of every host.
    pub fn directories(directories: impl IntoIterator<Item = String>) -> Self {
        let usual = |path: &str| DIRECTORIES.iter().any(|known| is_below(path, known));
        let absolute = directories.into_iter().filter(|path| path.starts_with('/') && path != "/");
        let plain = absolute.map(|path| path.trim_end_matches('/').to_owned());
        Self { directories: plain.filter(|path| !usual(path)).collect() }
    }

    fn all_directories(&self) -> impl Iterator<Item = &str> {
        DIRECTORIES.into_iter().chain(self.directories.iter().map(String::as_str))
    }
}

impl Snapshot {
    /// Whether something was at a path; `None` for a path that nobody looked at.
    pub fn has(&self, path: &str) -> Option<bool> {
        if self.entries.contains_key(path) {
            return Some(true);
        }
        let under = |watched: &String| is_below(path, watched);
        // Of these only the top was looked at.
        let shallow = |watched: &String| watched != path && single_paths().any(|one| one == *watched);
        self.watched.iter().any(|watched| under(watched) && !shallow(watched)).then_some(false)
    }

    /// Everything noted below a directory, itself included.
    pub fn below<'a>(&'a self, directory: &'a str) -> impl Iterator<Item = (&'a str, &'a FileState)> {
        let inside = move |path: &str| is_below(path, directory);
        self.entries.iter().filter(move |(path, _)| inside(path)).map(|(path, state)| (path.as_str(), state))
    }

    /// Whether the host serves a cluster: its kubelet is configured, or static pods are there.
    pub fn serves_a_cluster(&self) -> bool {
        let manifest = |path: &String| {
            path.starts_with("/etc/kubernetes/manifests/")
                && path.rsplit('.').next().is_some_and(|end| ["yaml", "yml", "json"].contains(&end))
        };
        self.entries.contains_key("/var/lib/kubelet/config.yaml") || self.entries.keys().any(manifest)
    }
}

impl Table {
    /// Whether it does nothing at all, as if it were not there.
    pub fn is_idle(&self) -> bool {
        self.chains.is_empty()
            && self.rules.is_empty()
            && self.policies.values().all(|policy| policy == "ACCEPT")
    }
}

/// Where a plugin of a pod network may lie.
pub fn network_plugins() -> impl Iterator<Item = String> {
    CNI_DIRECTORIES.iter().flat_map(|at| NETWORK_PLUGINS.map(|name| format!("{at}/{name}")))
}

fn single_paths() -> impl Iterator<Item = String> {
    PATHS.into_iter().map(str::to_owned).chain(network_plugins())
}

/// Whether a path is a directory or below it.
pub fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Looks at a host; nothing is changed.
///
/// # Errors
/// The host cannot be reached, or has no POSIX shell.
pub fn look(host: &dyn Host, watch: &Watch) -> Result<(Snapshot, Traces), HostError> {
    let command = Command::query("sh").arg("-s").stdin(script(watch)).timeout(TIMEOUT);
    Ok(interpret(&host.run(&command)?.text(), watch))
}

fn script(watch: &Watch) -> String {
    let sysctls: Vec<String> = SYSCTLS.iter().map(|name| format!("/proc/sys/{name}")).collect();
    let directories: Vec<&str> = watch.all_directories().collect();
    let mut script = String::new();
    for (name, value) in [
        ("directories", directories.join("\n")),
        ("paths", single_paths().collect::<Vec<_>>().join("\n")),
        ("sysctls", sysctls.join("\n")),
        ("services", SERVICES.join("\n")),
    ] {
        let _ = writeln!(script, "{name}='{}'", value.replace('\'', r"'\''"));
    }
    script + SCRIPT
}

/// From the text of a look to what it says; pure.
pub fn interpret(text: &str, watch: &Watch) -> (Snapshot, Traces) {
    let answers = Answers::new(text);
    let watched = watch.all_directories().map(str::to_owned).chain(single_paths()).collect();
    (footprint::snapshot(&answers, watched), footprint::traces(&answers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_was_looked_at() {
        let watch = Watch::directories(["/srv/pki/".to_owned(), "/etc/kubernetes/pki".to_owned()]);
        assert_eq!(watch.directories, ["/srv/pki".to_owned()].into());
        let (snapshot, _) = interpret("entry:755 0 0 directory:/etc/kubernetes\n", &watch);
        for (path, expected) in [
            ("/etc/kubernetes", Some(true)),
            ("/etc/kubernetes/pki/ca.crt", Some(false)),
            ("/etc/kubernetes2", None),
            ("/srv/pki", Some(false)),
            ("/run/flannel", Some(false)),
            ("/run/flannel/subnet.env", None),
            ("/etc/fstab", None),
        ] {
            assert_eq!(snapshot.has(path), expected, "{path}");
        }
    }

    #[test]
    fn quotes_what_it_asks_about() {
        let watch = Watch::directories(["/srv/it's".to_owned()]);
        assert!(script(&watch).contains(r"/srv/it'\''s'"));
    }
}

//! What to ask a host, derived from what is wanted.

use crate::cluster::Balancing;
use crate::cluster::Cluster;
use crate::cluster::Node;
use crate::cluster::site::RuntimeProvider;
use crate::facts::CA_DIRECTORIES;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// Where runtimes listen, in kubeadm's order of preference.
pub const CRI_SOCKETS: [&str; 3] = [
    "unix:///var/run/containerd/containerd.sock",
    "unix:///var/run/crio/crio.sock",
    "unix:///var/run/cri-dockerd.sock",
];

/// Programs that kubeadm, the kubelet or we need.
pub const PROGRAMS: [&str; 16] = [
    "conntrack",
    "losetup",
    "mount",
    "cp",
    "modprobe",
    "sysctl",
    "swapoff",
    "setenforce",
    "systemctl",
    "crictl",
    "haproxy",
    "keepalived",
    "nft",
    "docker",
    "podman",
    "skopeo",
];

/// Services whose state matters, without `.service`.
pub const SERVICES: [&str; 17] = [
    "kubelet",
    "NetworkManager",
    "docker",
    "cri-docker",
    "firewalld",
    "ufw",
    "nftables",
    "systemd-resolved",
    "containerd",
    "crio",
    "chronyd",
    "chrony",
    "ntpd",
    "ntp",
    "ntpsec",
    "openntpd",
    "systemd-timesyncd",
];

/// Every kernel option that is asked about, without `CONFIG_`.
pub const KERNEL_OPTIONS: [&str; 25] = [
    "NAMESPACES",
    "NET_NS",
    "PID_NS",
    "IPC_NS",
    "UTS_NS",
    "CPUSETS",
    "MEMCG",
    "INET",
    "EXT4_FS",
    "PROC_FS",
    "NETFILTER_XT_TARGET_REDIRECT",
    "IP_NF_TARGET_REDIRECT",
    "NETFILTER_XT_MATCH_COMMENT",
    "FAIR_GROUP_SCHED",
    "CGROUPS",
    "CGROUP_CPUACCT",
    "CGROUP_DEVICE",
    "CGROUP_FREEZER",
    "CGROUP_PIDS",
    "CGROUP_SCHED",
    "CGROUP_BPF",
    "OVERLAY_FS",
    "OVERLAYFS_FS",
    "CFS_BANDWIDTH",
    "SECCOMP",
];

/// Where a cluster keeps its things; what stands here makes a host used.
pub const CLUSTER_PATHS: [&str; 9] = [
    "/etc/kubernetes/admin.conf",
    "/etc/kubernetes/super-admin.conf",
    "/etc/kubernetes/kubelet.conf",
    "/etc/kubernetes/bootstrap-kubelet.conf",
    "/etc/kubernetes/controller-manager.conf",
    "/etc/kubernetes/scheduler.conf",
    "/var/lib/kubelet/config.yaml",
    "/var/lib/kubelet/pki/kubelet-client-current.pem",
    "/var/lib/etcd/member",
];

/// Names of the components whose static pods a control plane runs.
pub const STATIC_PODS: [&str; 4] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"];

pub const CONTAINERD_CONFIG: &str = "/etc/containerd/config.toml";
pub const DOCKER_CONFIG: &str = "/etc/docker/daemon.json";
pub const HOSTS_FILE: &str = "/etc/hosts";

/// What the pod network `bridge` is made of on a host.
pub const BRIDGE_CONFLIST: &str = "/etc/cni/net.d/10-kubewright.conflist";
pub const BRIDGE_SCRIPT: &str = "/usr/local/share/kubewright/pod-network";
pub const BRIDGE_UNIT: &str = "/etc/systemd/system/kubewright-pods.service";

/// Where CNI plugins lie: where everybody brings them, and where the packages of Debian and of Fedora have them with a
/// containerd or CRI-O of their own.
pub const CNI_DIRECTORIES: [&str; 3] = ["/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"];

/// Those of the basic plugins that a network calls on.
pub const CNI_PLUGINS: [&str; 4] = ["bridge", "host-local", "loopback", "portmap"];

/// Our own list of kernel modules.
pub const MODULES_FILE: &str = "/etc/modules-load.d/kubewright.conf";

pub const KUBELET_PORT: u16 = 10250;
pub const SCHEDULER_PORT: u16 = 10259;
pub const CONTROLLER_MANAGER_PORT: u16 = 10257;
pub const ETCD_CLIENT_PORT: u16 = 2379;
pub const ETCD_PEER_PORT: u16 = 2380;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Questions {
    /// Whether the machine is the one we run on, so that the kernel can be asked without a command.
    pub local: bool,
    pub paths: BTreeSet<String>,
    pub names: BTreeSet<String>,
    /// Directories whose free space matters; they need not exist.
    pub directories: BTreeSet<String>,
    pub ports: BTreeSet<u16>,
    /// The runtime to talk to; `None` leaves all of [`RuntimeFacts`](crate::facts::RuntimeFacts) unknown.
    pub cri_socket: Option<String>,
    pub images: BTreeSet<String>,
    /// Ask the kubelet for its version. It takes the kubelet some 40 ms to say it.
    pub kubelet: bool,
    /// Ask for users and groups.
    pub accounts: bool,
    /// Try how long a synchronous write takes in this directory (nearest existing parent). Takes up to a second.
    pub measure_sync: Option<String>,
    /// Files whose text is wanted.
    pub texts: BTreeSet<String>,
    /// The process environment in which the cluster is made; only `*_proxy` is kept.
    pub environment: BTreeMap<String, String>,
}

impl Questions {
    /// What every host is asked, before anything is known of a cluster.
    pub fn general() -> Self {
        let fixed = CA_DIRECTORIES.iter().chain(&CLUSTER_PATHS);
        Self { paths: fixed.map(|&path| path.to_owned()).collect(), kubelet: true, ..Self::default() }
    }

    /// What `init` asks of `node`. `images` are those that the node will run.
    pub fn for_node(cluster: &Cluster, node: &Node, images: &[String]) -> Self {
        let mut questions = Self::general();
        questions.paths.extend(cluster_paths(cluster));
        questions.names.insert(node.name.clone());
        questions.directories = directories(cluster, node);
        questions.ports = ports(cluster, node);
        questions.kubelet = node.has_kubelet();
        questions.cri_socket = node.has_kubelet().then(|| node.cri_socket.clone());
        questions.accounts = cluster.is_rootless();
        questions.images = images.iter().cloned().collect();
        questions.texts = texts(cluster);
        questions
    }

    /// The same for the machine that we run on, with its environment.
    #[must_use]
    pub fn local(mut self, environment: BTreeMap<String, String>) -> Self {
        self.local = true;
        self.environment = environment;
        self
    }
}

/// The manifest of a static pod.
pub fn manifest_path(component: &str) -> String {
    format!("/etc/kubernetes/manifests/{component}.yaml")
}

fn cluster_paths(cluster: &Cluster) -> BTreeSet<String> {
    let mut paths: BTreeSet<String> = STATIC_PODS.iter().map(|name| manifest_path(name)).collect();
    paths.extend([BRIDGE_CONFLIST, BRIDGE_SCRIPT, BRIDGE_UNIT].map(str::to_owned));
    paths.extend(CNI_DIRECTORIES.iter().flat_map(|at| CNI_PLUGINS.map(|name| format!("{at}/{name}"))));
    let pki = cluster.certificates_dir();
    for file in ["ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "etcd/ca.crt", "etcd/ca.key"]
    {
        paths.insert(format!("{pki}/{file}"));
    }
    let etcd = &cluster.configuration.etcd;
    if let Some(local) = &etcd.local {
        paths.extend([local.data_dir.clone(), format!("{}/member", local.data_dir.trim_end_matches('/'))]);
    }
    if let Some(external) = &etcd.external {
        let files = [&external.ca_file, &external.cert_file, &external.key_file];
        paths.extend(files.into_iter().filter(|file| !file.is_empty()).cloned());
    }
    paths
}

/// Files of which preparation changes a part.
fn texts(cluster: &Cluster) -> BTreeSet<String> {
    let mut texts = BTreeSet::new();
    if cluster.prepare.runtime.provider == Some(RuntimeProvider::Containerd) {
        texts.insert(CONTAINERD_CONFIG.to_owned());
    }
    if cluster.prepare.runtime.provider == Some(RuntimeProvider::Docker) {
        texts.insert(DOCKER_CONFIG.to_owned());
    }
    if cluster.prepare.etc_hosts {
        texts.insert(HOSTS_FILE.to_owned());
    }
    texts
}

fn directories(cluster: &Cluster, node: &Node) -> BTreeSet<String> {
    let images = match &node.cri_socket {
        socket if socket.contains("crio") => "/var/lib/containers",
        socket if socket.contains("cri-dockerd") => "/var/lib/docker",
        _ => "/var/lib/containerd",
    };
    let of_kubelet = ["/var/lib/kubelet", images].into_iter().filter(|_| node.has_kubelet());
    let mut directories: BTreeSet<String> = of_kubelet.chain(["/var/log"]).map(str::to_owned).collect();
    let etcd = cluster.configuration.etcd.local.iter().filter(|_| node.has_kubelet());
    directories.extend(etcd.map(|local| local.data_dir.clone()));
    directories
}

fn ports(cluster: &Cluster, node: &Node) -> BTreeSet<u16> {
    let mut ports = BTreeSet::new();
    if node.has_kubelet() {
        ports.insert(KUBELET_PORT);
    }
    if cluster.balances(node) {
        ports.extend(balanced_ports(cluster));
    }
    if node.is_control_plane() {
        ports.extend([node.bind_port, SCHEDULER_PORT, CONTROLLER_MANAGER_PORT]);
    }
    if cluster.runs_etcd(node) {
        ports.extend([ETCD_CLIENT_PORT, ETCD_PEER_PORT]);
    }
    ports
}

/// Those of HAProxy.
pub fn balanced_ports(cluster: &Cluster) -> Vec<u16> {
    match &cluster.site.balancing {
        Some(Balancing::Keepalived(said)) => vec![said.port, said.haproxy.monitor_port],
        Some(Balancing::NodeLocal(said)) => vec![said.port, said.haproxy.monitor_port],
        Some(Balancing::KubeVip(_)) | None => Vec::new(),
    }
}

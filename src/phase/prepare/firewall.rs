//! What the cluster needs of a host's firewall, and how firewalld and ufw are told.

use super::Preparing;
use super::file;
use super::rendered;
use super::run;
use super::sh;
use crate::cluster::Addon;
use crate::cluster::Cluster;
use crate::cluster::Cni;
use crate::cluster::Node;
use crate::cluster::addon::Expose;
use crate::cluster::addon::What;
use crate::cluster::cni::Transport;
use crate::cluster::endpoint::Balancing;
use crate::cluster::prepare::FirewallMode;
use crate::facts::question::ETCD_CLIENT_PORT;
use crate::facts::question::ETCD_PEER_PORT;
use crate::facts::question::KUBELET_PORT;
use crate::host::Command;
use crate::plan::Remember;
use crate::plan::Step;
use serde::Serialize;
use std::net::IpAddr;

const HOST_POLICY: &str = "/etc/firewalld/policies/kubewright.xml";
const POD_POLICY: &str = "/etc/firewalld/policies/kubewright-pods.xml";

/// Of its speakers (memberlist).
const METALLB_PORT: u16 = 7946;

/// What Calico, Cilium and flannel send between hosts, where nobody says which of them it is.
const USUAL: [(&str, &str); 6] = [
    ("179", "tcp"),
    ("4240", "tcp"),
    ("4789", "udp"),
    ("6081", "udp"),
    ("8472", "udp"),
    ("51820-51821", "udp"),
];

/// Something that is let in. An empty source is anybody, an empty port with a protocol all of that protocol, and
/// without either everything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Opening {
    /// An address or a network.
    pub source: String,
    /// Of the source: `ipv4` or `ipv6`.
    pub family: &'static str,
    /// `6443`, `30000-32767`.
    pub port: String,
    /// `tcp`, `udp`, `vrrp`.
    pub protocol: &'static str,
}

#[derive(Serialize)]
struct HostPolicy<'a> {
    openings: &'a [Opening],
}

#[derive(Serialize)]
struct PodPolicy<'a> {
    networks: &'a [Opening],
}

/// All that must be let in on `node`, for each role what others come to it for.
pub fn openings(cluster: &Cluster, node: &Node) -> Vec<Opening> {
    let mut all = Vec::new();
    if node.is_control_plane() {
        all.push(anybody(&node.bind_port.to_string(), "tcp"));
    }
    if cluster.runs_etcd(node) {
        let peers = cluster.nodes.iter().filter(|other| other.is_server());
        all.extend(from(peers, &format!("{ETCD_CLIENT_PORT}-{ETCD_PEER_PORT}"), "tcp"));
    }
    all.extend(balancer(cluster, node));
    if node.becomes_node() {
        all.extend(from(cluster.nodes.iter(), &KUBELET_PORT.to_string(), "tcp"));
        all.extend([anybody("30000-32767", "tcp"), anybody("30000-32767", "udp")]);
        for (port, protocol) in pod_network(&cluster.site.cni) {
            let others = cluster.nodes.iter().filter(|other| other.becomes_node());
            all.extend(from(others, &port, protocol));
        }
        all.extend(addons(cluster));
        // Pods talk to the kubelet, to the API and to whatever else serves on their host.
        all.extend(pods(cluster));
    }
    all.sort();
    all.dedup();
    all
}

/// Where several hosts share an address, they tell each other with VRRP who has it.
fn balancer(cluster: &Cluster, node: &Node) -> Vec<Opening> {
    if !cluster.balances(node) {
        return Vec::new();
    }
    match &cluster.site.balancing {
        Some(Balancing::Keepalived(said)) => {
            let mut all = from(cluster.balancers().into_iter(), "", "vrrp");
            all.push(anybody(&said.port.to_string(), "tcp"));
            all
        }
        Some(Balancing::KubeVip(said)) => vec![anybody(&said.port.to_string(), "tcp")],
        // It listens on loopback.
        Some(Balancing::NodeLocal(_)) | None => Vec::new(),
    }
}

/// What pod networks send between hosts. Of a network that nobody named, the usual ones.
fn pod_network(cni: &Cni) -> Vec<(String, &'static str)> {
    if matches!(cni, Cni::None | Cni::Custom(_)) {
        return USUAL.iter().map(|(port, protocol)| ((*port).to_owned(), *protocol)).collect();
    }
    let (needed, others) = cni.transports();
    let opening = |transport| match transport {
        Transport::Tcp(port) => (u16::to_string(&port), "tcp"),
        Transport::Udp(port) => (u16::to_string(&port), "udp"),
        Transport::IpInIp => (String::new(), "ipip"),
    };
    needed.into_iter().chain(others).map(opening).collect()
}

/// What add-ons are come to for: an ingress on ports of the host, and `MetalLB` among nodes, which agree on who answers.
fn addons(cluster: &Cluster) -> Vec<Opening> {
    let opening = |addon: &Addon| match &addon.what {
        What::Ingress(ingress) if ingress.expose == Expose::Host => {
            ["80", "443"].map(|port| anybody(port, "tcp")).to_vec()
        }
        What::Metallb(_) => {
            let nodes = || cluster.nodes.iter().filter(|node| node.becomes_node());
            let both = ["tcp", "udp"].map(|protocol| from(nodes(), &METALLB_PORT.to_string(), protocol));
            both.concat()
        }
        _ => Vec::new(),
    };
    cluster.site.addons.iter().flat_map(opening).collect()
}

fn anybody(port: &str, protocol: &'static str) -> Opening {
    Opening { source: String::new(), family: "", port: port.to_owned(), protocol }
}

fn from<'a>(nodes: impl Iterator<Item = &'a Node>, port: &str, protocol: &'static str) -> Vec<Opening> {
    let opening = |node: &Node| Opening {
        source: node.advertise_address.to_string(),
        family: family(node.advertise_address),
        port: port.to_owned(),
        protocol,
    };
    nodes.map(opening).collect()
}

fn pods(cluster: &Cluster) -> Vec<Opening> {
    let opening = |network: &ipnet::IpNet| Opening {
        source: network.to_string(),
        family: family(network.addr()),
        port: String::new(),
        protocol: "",
    };
    cluster.networking.pods.iter().map(opening).collect()
}

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "ipv4" } else { "ipv6" }
}

impl Preparing<'_> {
    pub(super) fn firewall(&self) -> Vec<Step> {
        let (firewalld, ufw) = (self.checks.is_active("firewalld"), self.checks.firewall.ufw_enabled);
        match self.cluster.prepare.firewall {
            FirewallMode::Off if firewalld => vec![self.firewalld_off()],
            FirewallMode::Off if ufw => vec![self.ufw_off()],
            FirewallMode::Open if firewalld => self.firewalld(),
            FirewallMode::Open if ufw => vec![self.ufw()],
            FirewallMode::Off | FirewallMode::Open | FirewallMode::None => Vec::new(),
        }
    }

    /// In policies of our own, which let in whatever zone it comes from, and leave the zones as they are.
    fn firewalld(&self) -> Vec<Step> {
        let openings = openings(self.cluster, self.node);
        let reason = "what the cluster needs of this host is let in";
        let host = rendered("etc/firewalld/policies/kubewright.xml", &HostPolicy { openings: &openings });
        let mut steps =
            vec![self.step("firewall", "firewalld lets the cluster in", reason, file(HOST_POLICY, host))];
        let mut names = vec!["kubewright"];
        let networks = pods(self.cluster);
        if self.node.becomes_node() && !networks.is_empty() {
            let text =
                rendered("etc/firewalld/policies/kubewright-pods.xml", &PodPolicy { networks: &networks });
            steps.push(self.step("firewall", "firewalld lets pods through", reason, file(POD_POLICY, text)));
            names.push("kubewright-pods");
        }
        // What is in force is compared with what is on the disk.
        let condition = r#"now=$(firewall-cmd --info-policy="$it" 2>/dev/null | tail -n +2) && [ -n "$now" ] && [ "$now" = "$(firewall-cmd --permanent --info-policy="$it" 2>/dev/null | tail -n +2)" ]"#;
        let in_force = super::all(condition, &names);
        let reload = run(Command::change("firewall-cmd").arg("--reload"), in_force, Vec::new());
        steps.push(self.step("firewall", "firewalld works with it", reason, reload));
        steps
    }

    fn ufw(&self) -> Step {
        let rules: Vec<String> = openings(self.cluster, self.node)
            .iter()
            .filter_map(ufw_rule)
            .chain(pods(self.cluster).iter().flat_map(|network| {
                [format!("route allow from {}", network.source), format!("route allow to {}", network.source)]
            }))
            .collect();
        let words: Vec<&str> = rules.iter().map(String::as_str).collect();
        let add = "for it; do ufw $it comment kubewright >/dev/null || exit 1; done";
        let command = Command::change("sh").args(["-c", add, "sh"]).args(words.clone());
        let there = r#"added=$(ufw show added) || exit 1
for it; do case "$added
" in *"ufw $it comment 'kubewright'
"*) ;; *) exit 1 ;; esac; done"#;
        let there = sh(there).args(words);
        let before = Remember { key: "ufw".to_owned(), query: Command::query("ufw").args(["show", "added"]) };
        let reason = "what the cluster needs of this host is let in";
        self.step("firewall", "ufw lets the cluster in", reason, run(command, there, vec![before]))
    }

    fn firewalld_off(&self) -> Step {
        let command = Command::change("systemctl").args(["disable", "--now", "firewalld"]);
        let off = sh("! systemctl is-active -q firewalld && ! systemctl is-enabled -q firewalld");
        let state = sh("systemctl is-enabled firewalld; systemctl is-active firewalld");
        let before = Remember { key: "firewall firewalld".to_owned(), query: state };
        self.step("firewall", "firewalld off", "it is configured so", run(command, off, vec![before]))
    }

    fn ufw_off(&self) -> Step {
        let command = Command::change("ufw").args(["--force", "disable"]);
        let off = sh("grep -qx 'ENABLED=no' /etc/ufw/ufw.conf");
        let before = Remember {
            key: "firewall ufw".to_owned(),
            query: Command::query("grep").args(["ENABLED", "/etc/ufw/ufw.conf"]),
        };
        self.step("firewall", "ufw off", "it is configured so", run(command, off, vec![before]))
    }
}

/// In the words and the order in which ufw itself prints it; `None` for what ufw lets in without a rule, or cannot
/// name.
fn ufw_rule(opening: &Opening) -> Option<String> {
    let port = opening.port.replace('-', ":");
    let Opening { source, protocol, .. } = opening;
    Some(match (source.as_str(), port.as_str(), *protocol) {
        ("", port, protocol) => format!("allow {port}/{protocol}"),
        (source, "", "") => format!("allow from {source}"),
        (source, "", "vrrp") => format!("allow from {source} proto vrrp"),
        (_, "", _) => return None,
        (source, port, protocol) => format!("allow from {source} to any port {port} proto {protocol}"),
    })
}

//! What the operator wants in the cluster beside what every cluster has; complete, and valid by construction.

use crate::cluster::cni::Manifest;
use ipnet::IpNet;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Objects under one name: they come together, and go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addon {
    /// A DNS label.
    pub name: String,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    NodeLocalDns(NodeLocalDns),
    KubeletCsrApprover(KubeletCsrApprover),
    MetricsServer(MetricsServer),
    GatewayApi(Manifest),
    Metallb(Metallb),
    LocalPath(LocalPath),
    Ingress(Ingress),
    Headlamp(Headlamp),
    Chart(Chart),
    /// Objects that somebody else wrote, in this order.
    Manifests(Vec<Manifest>),
}

/// Names of the add-ons that this program knows, in the order in which they are installed.
pub const NODE_LOCAL_DNS: &str = "node-local-dns";
pub const KUBELET_CSR_APPROVER: &str = "kubelet-csr-approver";
pub const METRICS_SERVER: &str = "metrics-server";
pub const GATEWAY_API: &str = "gateway-api";
pub const METALLB: &str = "metallb";
pub const LOCAL_PATH: &str = "local-path";
pub const INGRESS: &str = "ingress";
pub const HEADLAMP: &str = "headlamp";
pub const KUBERNETES_DASHBOARD: &str = "kubernetes-dashboard";
pub const NAMED: [&str; 9] = [
    NODE_LOCAL_DNS,
    KUBELET_CSR_APPROVER,
    METRICS_SERVER,
    GATEWAY_API,
    METALLB,
    LOCAL_PATH,
    INGRESS,
    HEADLAMP,
    KUBERNETES_DASHBOARD,
];

/// What CoreDNS does beyond kubeadm's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coredns {
    /// `None` keeps what is there.
    pub replicas: Option<u32>,
    /// Name servers for everything outside of the cluster; without any, those of the host.
    pub forward: Vec<String>,
    /// Addresses with their names, answered before anybody else is asked.
    pub hosts: Vec<(IpAddr, Vec<String>)>,
    /// Server blocks of the operator, after ours.
    pub extra: Option<String>,
}

/// A cache of names on every node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeLocalDns {
    pub image: String,
    /// On every node, of a family that pods have.
    pub address: IpAddr,
    /// Pods ask at `address`. Otherwise they ask at the address of the cluster's DNS service, which the cache takes over.
    pub asked_by_address: bool,
}

/// Approves what kubelets ask for to serve with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeletCsrApprover {
    pub image: String,
    pub replicas: u32,
    /// A regular expression of Go.
    pub provider_regex: String,
    pub provider_ip_prefixes: Vec<String>,
    pub max_expiration_seconds: u32,
    pub bypass_dns_resolution: bool,
    /// Names of nodes by address, for whom DNS does not know them.
    pub hosts: BTreeMap<IpAddr, Vec<String>>,
}

/// What nodes and pods take of processors and memory, for `kubectl top` and autoscaling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsServer {
    pub image: String,
    pub replicas: u32,
    /// How often kubelets are asked, as Go writes durations.
    pub resolution: String,
    /// Of the container.
    pub resources: Value,
}

/// Volumes in a directory of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalPath {
    pub image: String,
    /// Makes and removes the directories.
    pub helper_image: String,
    pub path: String,
    /// Claims that name no class get this one.
    pub default_class: bool,
    pub retain: bool,
}

/// A user interface; it shows what whoever logs in may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headlamp {
    pub image: String,
    /// Of the service account that one can log in with; without one it may do nothing.
    pub cluster_role: Option<String>,
    /// By which it is reached through the ingress.
    pub host: Option<String>,
    /// `None` leaves that to whoever is the default.
    pub ingress_class: Option<String>,
    pub tls_secret: Option<String>,
}

/// Addresses for services of the type `LoadBalancer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metallb {
    pub manifest: Manifest,
    /// Stands for the registries of the images.
    pub registry: Option<String>,
    pub pools: Vec<Pool>,
    /// Nodes answer for the addresses on their link.
    pub layer2: Option<Layer2>,
    pub peers: Vec<BgpPeer>,
    /// Also control planes, which carry a label that forbids it.
    pub from_control_planes: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    pub name: String,
    /// Networks, or `first-last`.
    pub addresses: Vec<String>,
    pub auto_assign: bool,
    /// Not those that end in 0 or 255.
    pub avoid_buggy_ips: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layer2 {
    /// All without any.
    pub interfaces: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BgpPeer {
    pub address: IpAddr,
    pub asn: u32,
    pub own_asn: u32,
    pub port: Option<u16>,
    /// More than one hop away.
    pub multihop: bool,
    /// A Secret of `MetalLB`'s namespace, of the type `kubernetes.io/basic-auth`.
    pub password_secret: Option<String>,
}

/// What lets requests from outside in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingress {
    pub provider: IngressProvider,
    pub image: String,
    pub expose: Expose,
    /// Not with [`Expose::Host`], where every node has one.
    pub replicas: u32,
    /// Ingresses that name no class are its own.
    pub default_class: bool,
    /// The kinds of the Gateway API are there, and it is to serve them.
    pub gateway_api: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IngressProvider {
    Traefik,
    Haproxy,
}

/// How an ingress is reached from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expose {
    /// A service of the type `LoadBalancer`.
    LoadBalancer,
    NodePort,
    /// Ports 80 and 443 of every node.
    Host,
}

/// A chart that `helm template` renders before planning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    /// A path, an `oci://` URL, or a name within `repository`.
    pub chart: String,
    pub repository: Option<String>,
    pub version: Option<String>,
    pub namespace: String,
    /// A file of the operator's machine; what `values` says is over it.
    pub values_file: Option<String>,
    pub values: Map<String, Value>,
    /// What helm made of it; rendered when the configuration is read.
    pub rendered: Vec<Value>,
}

impl Coredns {
    /// Whether its configuration is another than kubeadm's.
    pub fn changes_corefile(&self) -> bool {
        !self.forward.is_empty() || !self.hosts.is_empty() || self.extra.is_some()
    }
}

impl Addon {
    /// What somebody else wrote and must be read before anything is planned.
    pub fn manifests_mut(&mut self) -> Vec<&mut Manifest> {
        match &mut self.what {
            What::GatewayApi(manifest) => vec![manifest],
            What::Metallb(metallb) => vec![&mut metallb.manifest],
            What::Manifests(manifests) => manifests.iter_mut().collect(),
            _ => Vec::new(),
        }
    }

    pub fn chart_mut(&mut self) -> Option<&mut Chart> {
        match &mut self.what {
            What::Chart(chart) => Some(chart),
            _ => None,
        }
    }
}

impl IngressProvider {
    /// As the document has it, and the name of its class.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Traefik => "traefik",
            Self::Haproxy => "haproxy",
        }
    }
}

/// The first and the last address of a network, or of `first-last`; `None` for what is neither.
pub fn range(text: &str) -> Option<(IpAddr, IpAddr)> {
    if let Some((first, last)) = text.split_once('-') {
        let (first, last) = (first.trim().parse::<IpAddr>().ok()?, last.trim().parse::<IpAddr>().ok()?);
        return (first.is_ipv4() == last.is_ipv4() && first <= last).then_some((first, last));
    }
    let network: IpNet = text.trim().parse().ok()?;
    Some((network.network(), network.broadcast()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_two_ends() {
        for (text, expected) in [
            ("192.0.2.8/30", Some(("192.0.2.8", "192.0.2.11"))),
            ("192.0.2.8-192.0.2.20", Some(("192.0.2.8", "192.0.2.20"))),
            ("192.0.2.8 - 192.0.2.8", Some(("192.0.2.8", "192.0.2.8"))),
            ("fd00::10-fd00::20", Some(("fd00::10", "fd00::20"))),
            ("192.0.2.8-192.0.2.1", None),
            ("192.0.2.8-fd00::1", None),
            ("192.0.2.8", None),
        ] {
            let found = range(text).map(|(first, last)| (first.to_string(), last.to_string()));
            assert_eq!(found, expected.map(|(a, b)| (a.to_owned(), b.to_owned())), "{text}");
        }
    }
}

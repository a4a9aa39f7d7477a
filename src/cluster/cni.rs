//! The pod network: which one, and its options; complete, and valid by construction.

use crate::cluster::Node;
use crate::cluster::site::CniProvider;
use ipnet::IpNet;
use serde_json::Map;
use serde_json::Value;
use std::net::IpAddr;

/// flannel's own choice, and the kernel's: not the assigned port, which Calico takes.
pub const FLANNEL_VXLAN_PORT: u16 = 8472;
/// Where flannel tells how it is, on every address of the host.
pub const FLANNEL_HEALTH_PORT: u16 = 8081;
/// Where the pods of a network put its own plugins on each host: containerd's default, and everybody's.
pub const PLUGIN_DIRECTORY: &str = "/opt/cni/bin";
/// The first version of Calico that follows an nftables kube-proxy by itself.
pub const CALICO_FOLLOWS_NFTABLES: (u64, u64) = (3, 32);

/// The network of the pods. Without a word of the operator there is none, and somebody else installs it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Cni {
    #[default]
    None,
    Bridge(Bridge),
    Flannel(Flannel),
    Calico(Calico),
    Canal(Canal),
    Cilium(Cilium),
    /// Objects of the operator, in this order.
    Custom(Vec<Manifest>),
}

/// The `bridge` plugin of CNI on every node, and routes between the nodes: no image, and no pod.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bridge {
    pub mtu: Option<u16>,
    /// The length of a node's own network within each of the cluster's pod networks.
    pub masks: Vec<u8>,
    /// Every node of the file: a host that works on itself has to know them all.
    pub peers: Vec<Peer>,
}

/// A node, as the others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Of the host.
    pub name: String,
    /// Of the Node object.
    pub registered: String,
    /// By which the others reach it: one, or one of each family.
    pub addresses: Vec<IpAddr>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flannel {
    pub backend: FlannelBackend,
    /// What flannel finds out itself, unless said.
    pub mtu: Option<u16>,
    /// `None` is the one that has the host's address: the Node's own.
    pub interface: Option<String>,
    pub health_port: u16,
    pub image: String,
    pub plugin_image: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlannelBackend {
    Vxlan {
        vni: u32,
        port: u16,
        /// Nodes of the same link send each other packets as they are.
        direct: bool,
    },
    HostGw,
    Wireguard {
        port: u16,
        port_v6: u16,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calico {
    pub version: semver::Version,
    pub encapsulation: Encapsulation,
    /// Only between links; on a link packets are sent as they are.
    pub across_links: bool,
    /// What Calico finds out itself, unless said.
    pub mtu: Option<u16>,
    /// Addresses that pods of the network have outside of it are the node's.
    pub nat_outgoing: bool,
    /// Stands for the registries of the images.
    pub registry: Option<String>,
    /// What the project publishes.
    pub manifest: Manifest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encapsulation {
    #[default]
    Vxlan,
    Ipip,
    /// Routes over BGP, packets as they are.
    None,
}

/// flannel for addresses and routes, Calico for policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canal {
    /// Of Calico.
    pub version: semver::Version,
    pub mtu: Option<u16>,
    /// `None` is the one that has the host's address.
    pub interface: Option<String>,
    pub flannel_image: String,
    pub registry: Option<String>,
    pub manifest: Manifest,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cilium {
    pub version: semver::Version,
    pub mtu: Option<u16>,
    pub routing: CiliumRouting,
    /// Services are its own work, and kube-proxy's nobody's.
    pub replaces_kube_proxy: bool,
    pub registry: Option<String>,
    /// Of the chart, over what this program computes.
    pub values: Map<String, Value>,
    pub source: CiliumSource,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CiliumRouting {
    #[default]
    Vxlan,
    Geneve,
    /// Packets as they are; the nodes share a link and tell each other the routes.
    Native,
}

/// Where Cilium's objects come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CiliumSource {
    /// A chart that `helm template` renders before planning: a path, or an `oci://` URL.
    Chart { chart: String, rendered: Vec<Value> },
    /// What the operator has rendered.
    Manifest(Manifest),
}

/// Objects that somebody else wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub from: ManifestFrom,
    /// Hexadecimal; of a file it may be left out.
    pub sha256: Option<String>,
    /// What is in it; read when the configuration is.
    pub objects: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManifestFrom {
    Url(String),
    /// Of the operator's machine.
    File(String),
}

/// Something that nodes send each other so that pods reach each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    Tcp(u16),
    Udp(u16),
    IpInIp,
}

/// The assigned port of VXLAN (RFC 7348), which Calico takes.
const VXLAN_PORT: u16 = 4789;
const GENEVE_PORT: u16 = 6081;
const BGP_PORT: u16 = 179;
/// Of Cilium: whether nodes reach each other, what Hubble sees on others, and `WireGuard`.
const CILIUM_HEALTH_PORT: u16 = 4240;
const CILIUM_HUBBLE_PORT: u16 = 4244;
const CILIUM_WIREGUARD_PORT: u16 = 51_871;

impl Cni {
    /// Whether pods that a `NetworkPolicy` closes cannot be reached; `None` where somebody else says so.
    pub fn enforces_policies(&self) -> Option<bool> {
        match self {
            Self::Bridge(_) | Self::Flannel(_) => Some(false),
            Self::Calico(_) | Self::Canal(_) | Self::Cilium(_) => Some(true),
            Self::None | Self::Custom(_) => None,
        }
    }

    /// What nodes must let each other send: without the first group pods do not reach each other, without the second
    /// something of the network is missing. Of a network that somebody else installs nobody here knows.
    pub fn transports(&self) -> (Vec<Transport>, Vec<Transport>) {
        use Transport::IpInIp;
        use Transport::Tcp;
        use Transport::Udp;
        match self {
            Self::None | Self::Bridge(_) | Self::Custom(_) => (Vec::new(), Vec::new()),
            Self::Flannel(flannel) => match flannel.backend {
                FlannelBackend::Vxlan { port, .. } => (vec![Udp(port)], Vec::new()),
                FlannelBackend::HostGw => (Vec::new(), Vec::new()),
                FlannelBackend::Wireguard { port, port_v6 } => (vec![Udp(port)], vec![Udp(port_v6)]),
            },
            Self::Canal(_) => (vec![Udp(FLANNEL_VXLAN_PORT)], Vec::new()),
            Self::Calico(calico) => match calico.encapsulation {
                Encapsulation::Vxlan => (vec![Udp(VXLAN_PORT)], Vec::new()),
                Encapsulation::Ipip => (vec![Tcp(BGP_PORT), IpInIp], Vec::new()),
                Encapsulation::None => (vec![Tcp(BGP_PORT)], Vec::new()),
            },
            Self::Cilium(cilium) => {
                let packets = match cilium.routing {
                    CiliumRouting::Vxlan => vec![Udp(FLANNEL_VXLAN_PORT)],
                    CiliumRouting::Geneve => vec![Udp(GENEVE_PORT)],
                    CiliumRouting::Native => Vec::new(),
                };
                let mut others = vec![Tcp(CILIUM_HEALTH_PORT), Tcp(CILIUM_HUBBLE_PORT)];
                if cilium.values.contains_key("encryption") {
                    others.push(Udp(CILIUM_WIREGUARD_PORT));
                }
                (packets, others)
            }
        }
    }

    /// Modules of the kernel that carry its packets from node to node, beside what every node has.
    pub fn modules(&self) -> &'static [&'static str] {
        match self {
            Self::None | Self::Bridge(_) | Self::Custom(_) => &[],
            Self::Flannel(flannel) => match flannel.backend {
                FlannelBackend::Vxlan { .. } => &["vxlan"],
                FlannelBackend::HostGw => &[],
                FlannelBackend::Wireguard { .. } => &["wireguard"],
            },
            Self::Canal(_) => &["vxlan"],
            Self::Calico(calico) => match calico.encapsulation {
                Encapsulation::Vxlan => &["vxlan"],
                Encapsulation::Ipip => &["ipip"],
                Encapsulation::None => &[],
            },
            Self::Cilium(cilium) => match (cilium.routing, cilium.encrypts()) {
                (CiliumRouting::Vxlan, false) => &["vxlan"],
                (CiliumRouting::Vxlan, true) => &["vxlan", "wireguard"],
                (CiliumRouting::Geneve, false) => &["geneve"],
                (CiliumRouting::Geneve, true) => &["geneve", "wireguard"],
                (CiliumRouting::Native, false) => &[],
                (CiliumRouting::Native, true) => &["wireguard"],
            },
        }
    }

    /// The plugins that pods of the network put into [`PLUGIN_DIRECTORY`].
    pub fn own_plugins(&self) -> &'static [&'static str] {
        match self {
            Self::None | Self::Bridge(_) | Self::Custom(_) => &[],
            Self::Flannel(_) => &["flannel"],
            Self::Calico(_) | Self::Canal(_) => &["calico", "calico-ipam"],
            Self::Cilium(_) => &["cilium-cni"],
        }
    }

    pub fn provider(&self) -> CniProvider {
        match self {
            Self::None => CniProvider::None,
            Self::Bridge(_) => CniProvider::Bridge,
            Self::Flannel(_) => CniProvider::Flannel,
            Self::Calico(_) => CniProvider::Calico,
            Self::Canal(_) => CniProvider::Canal,
            Self::Cilium(_) => CniProvider::Cilium,
            Self::Custom(_) => CniProvider::Custom,
        }
    }

    /// An image's name with another registry, or as it is without one: what follows the first host stays.
    pub fn from_registry(image: &str, registry: Option<&str>) -> String {
        let Some(registry) = registry else { return image.to_owned() };
        match image.split_once('/') {
            Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => {
                format!("{registry}/{rest}")
            }
            Some(_) => format!("{registry}/{image}"),
            None => format!("{registry}/library/{image}"),
        }
    }

    /// The bridge of every node, where that is the network.
    pub fn bridge(&self) -> Option<&Bridge> {
        match self {
            Self::Bridge(bridge) => Some(bridge),
            _ => None,
        }
    }

    /// What somebody else wrote and must be read before anything is planned.
    pub fn manifests_mut(&mut self) -> Vec<&mut Manifest> {
        match self {
            Self::None | Self::Bridge(_) | Self::Flannel(_) => Vec::new(),
            Self::Calico(calico) => vec![&mut calico.manifest],
            Self::Canal(canal) => vec![&mut canal.manifest],
            Self::Cilium(cilium) => match &mut cilium.source {
                CiliumSource::Manifest(manifest) => vec![manifest],
                CiliumSource::Chart { .. } => Vec::new(),
            },
            Self::Custom(manifests) => manifests.iter_mut().collect(),
        }
    }
}

impl Cilium {
    /// Whether the operator's values switch `WireGuard` on.
    fn encrypts(&self) -> bool {
        self.values.get("encryption").is_some_and(|encryption| {
            encryption["enabled"] == true
                && encryption["type"].as_str().is_none_or(|kind| kind == "wireguard")
        })
    }
}

impl Manifest {
    pub fn new(from: ManifestFrom, sha256: Option<String>) -> Self {
        Self { from, sha256, objects: Vec::new() }
    }

    /// For messages: the URL, or the path.
    pub fn name(&self) -> &str {
        match &self.from {
            ManifestFrom::Url(name) | ManifestFrom::File(name) => name,
        }
    }
}

impl Peer {
    /// A node as its document has it: of dual-stack nodes `node-ip` names the other family's address.
    pub fn of(node: &Node) -> Self {
        let told = node.kubelet_arg("node-ip").unwrap_or_default().split(',');
        let mut addresses = vec![node.advertise_address];
        for address in told.filter_map(|text| text.trim().parse::<IpAddr>().ok()) {
            if addresses.iter().all(|known| known.is_ipv4() != address.is_ipv4()) {
                addresses.push(address);
            }
        }
        Self { name: node.name.clone(), registered: node.registered_name().to_owned(), addresses }
    }

    /// The address of a family.
    pub fn address(&self, like: &IpNet) -> Option<IpAddr> {
        self.addresses.iter().copied().find(|address| address.is_ipv4() == like.addr().is_ipv4())
    }
}

/// The `index`th network of this length within another, as the controller manager counts them; `None` past the last.
pub fn nth_network(network: &IpNet, mask: u8, index: u32) -> Option<IpNet> {
    let bits = mask.checked_sub(network.prefix_len())?;
    if bits < 32 && index >> bits != 0 {
        return None;
    }
    let host_bits = network.max_prefix_len().checked_sub(mask)?;
    let address: IpAddr = match network.network() {
        IpAddr::V4(base) => {
            let offset = index.checked_shl(host_bits.into()).unwrap_or(0);
            std::net::Ipv4Addr::from_bits(base.to_bits() | offset).into()
        }
        IpAddr::V6(base) => {
            let offset = u128::from(index).checked_shl(host_bits.into()).unwrap_or(0);
            std::net::Ipv6Addr::from_bits(base.to_bits() | offset).into()
        }
    };
    IpNet::new(address, mask).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_networks_as_the_controller_manager_does() {
        for (network, mask, index, expected) in [
            ("10.244.0.0/16", 24, 0, Some("10.244.0.0/24")),
            ("10.244.0.0/16", 24, 255, Some("10.244.255.0/24")),
            ("10.244.0.0/16", 24, 256, None),
            ("10.244.0.0/24", 24, 0, Some("10.244.0.0/24")),
            ("10.244.0.0/24", 24, 1, None),
            ("10.244.0.0/25", 24, 0, None),
            ("fd00:10:100::/56", 64, 1, Some("fd00:10:100:1::/64")),
            ("fd00:10:100::/56", 64, 256, None),
        ] {
            let found = nth_network(&network.parse().unwrap(), mask, index);
            assert_eq!(found.map(|network| network.to_string()).as_deref(), expected, "{network} {index}");
        }
    }
}

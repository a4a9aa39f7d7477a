//! Who keeps the API's endpoint alive, and how: complete, and valid by construction.

use crate::cluster::Cluster;
use crate::cluster::GoDuration;
use crate::cluster::HostPort;
use crate::cluster::Node;
use crate::cluster::Role;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The frontend's port where HAProxy shares its host with an API server, which has the usual port.
pub const SHARED_PORT: u16 = 8443;
/// Where HAProxy tells how it is, on loopback.
pub const MONITOR_PORT: u16 = 8404;
/// How many hosts VRRP priorities can tell apart: see [`Ranking`].
pub const MAX_BALANCERS: usize = 50;

/// What this program does for the endpoint; nothing where somebody else does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Balancing {
    /// A virtual address that moves between hosts, each with an HAProxy towards all API servers.
    Keepalived(Keepalived),
    /// A virtual address, or routes, kept by a pod beside each API server.
    KubeVip(KubeVip),
    /// An HAProxy on every node that needs one, reached at loopback.
    NodeLocal(NodeLocal),
}

/// How keepalived and HAProxy run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunAs {
    /// From the distribution's package.
    #[default]
    Service,
    /// By the kubelet, from an image.
    StaticPod,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keepalived {
    pub run_as: RunAs,
    /// The one that VRRP is spoken for; of the family of the balancers' own addresses.
    pub address: VirtualAddress,
    /// Moves with it; of the other family.
    pub other: Option<VirtualAddress>,
    /// The frontend's.
    pub port: u16,
    pub virtual_router_id: u8,
    /// Where the host's own says nothing else; `None` is the one that has the host's address.
    pub interface: Option<String>,
    /// By host.
    pub interfaces: BTreeMap<String, String>,
    pub advert_interval: GoDuration,
    /// Whether the address returns to the host that is first in line. Otherwise it stays where it is.
    pub preempt: bool,
    pub unicast: bool,
    pub image: String,
    pub haproxy: Haproxy,
}

/// A virtual address and the length of the prefix that it is configured with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VirtualAddress {
    pub address: IpAddr,
    pub prefix: u8,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Haproxy {
    pub max_connections: u32,
    /// How long a connection may be idle; watches are.
    pub timeout: GoDuration,
    pub monitor_port: u16,
    /// Where a page of statistics is served: host and port.
    pub stats: Option<(String, u16)>,
    pub image: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeLocal {
    pub run_as: RunAs,
    /// At loopback. The API servers' own port means that control planes need no balancer.
    pub port: u16,
    pub haproxy: Haproxy,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeVip {
    pub mode: KubeVipMode,
    pub address: IpAddr,
    pub port: u16,
    /// `None` is the one that has the host's address.
    pub interface: Option<String>,
    pub image: String,
    /// Share connections between API servers with the kernel's IPVS.
    pub load_balancer: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KubeVipMode {
    /// The holder of a Lease announces the address on the link.
    Arp { lease_duration: GoDuration, renew_deadline: GoDuration, retry_period: GoDuration },
    /// Every control plane whose API server is well announces a route.
    Bgp { asn: u32, peers: Vec<BgpPeer> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BgpPeer {
    pub address: IpAddr,
    pub asn: u32,
    pub multihop: bool,
}

/// Priorities and weights of VRRP for a number of hosts.
///
/// A host whose API server fails must lose to each of the others, wherever it stands in line, and the host that holds
/// the address must keep it against each that is as well. `nopreempt` cannot be used for that: with it, keepalived
/// takes no address over from a host whose priority has fallen (tried with 2.2.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ranking {
    hosts: u8,
    step: u8,
}

impl Ranking {
    const FIRST: u8 = 150;

    /// # Panics
    /// For more than [`MAX_BALANCERS`] hosts, which `config` refuses.
    pub fn of(hosts: usize) -> Self {
        assert!((1..=MAX_BALANCERS).contains(&hosts), "config checks the number of balancers");
        let hosts = u8::try_from(hosts).expect("it was compared");
        Self { hosts, step: 10.min(149 / (3 * hosts - 1)) }
    }

    /// Of the host at this place in line, counted from zero.
    pub fn priority(self, place: usize) -> u8 {
        Self::FIRST - u8::try_from(place).unwrap_or(u8::MAX).min(self.hosts - 1) * self.step
    }

    /// Added while a host holds the address: more than any two hosts differ.
    pub fn holder(self) -> u8 {
        self.hosts * self.step
    }

    /// Taken away while a host's own API server fails: more than any two hosts differ, of which one is the holder.
    pub fn api_server(self) -> u8 {
        2 * self.hosts * self.step
    }
}

impl Cluster {
    /// The hosts that balance, in line for a virtual address.
    pub fn balancers(&self) -> Vec<&Node> {
        let Some(balancing) = &self.site.balancing else { return Vec::new() };
        let control_planes = || self.hosts().iter().filter(|node| node.is_control_plane()).collect();
        match balancing {
            Balancing::Keepalived(_) => {
                let dedicated: Vec<&Node> =
                    self.hosts().iter().filter(|node| node.roles.contains(&Role::LoadBalancer)).collect();
                if dedicated.is_empty() { control_planes() } else { dedicated }
            }
            Balancing::KubeVip(_) => control_planes(),
            Balancing::NodeLocal(local) => {
                let needs = |node: &&Node| {
                    node.becomes_node() && (!node.is_control_plane() || node.bind_port != local.port)
                };
                self.hosts().iter().filter(needs).collect()
            }
        }
    }

    pub fn balances(&self, node: &Node) -> bool {
        self.balancers().iter().any(|balancer| balancer.name == node.name)
    }

    /// Addresses by which clients reach the API beside those of the API servers.
    pub fn virtual_addresses(&self) -> Vec<IpAddr> {
        match &self.site.balancing {
            Some(Balancing::Keepalived(keepalived)) => {
                let both = std::iter::once(keepalived.address).chain(keepalived.other);
                both.map(|address| address.address).collect()
            }
            Some(Balancing::KubeVip(kube_vip)) => vec![kube_vip.address],
            Some(Balancing::NodeLocal(_)) | None => Vec::new(),
        }
    }

    /// The balancer of every node, where there is one.
    pub fn node_local(&self) -> Option<&NodeLocal> {
        match &self.site.balancing {
            Some(Balancing::NodeLocal(local)) => Some(local),
            _ => None,
        }
    }
}

impl NodeLocal {
    /// Where a node finds its balancer, or a control plane its API server.
    pub fn url(&self, node: &Node) -> String {
        format!("https://{}", self.host_port(node))
    }

    pub fn host_port(&self, node: &Node) -> HostPort {
        HostPort::new(loopback(node.advertise_address), self.port)
    }
}

/// The address of the host itself in the family of another.
pub fn loopback(like: IpAddr) -> &'static str {
    if like.is_ipv6() { "::1" } else { "127.0.0.1" }
}

/// A number for VRRP that clusters of one network are not likely to share: the last octet of the address, or what
/// its octets come to where that is zero.
pub fn virtual_router_id(address: IpAddr) -> u8 {
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let mixed = octets.iter().fold(0, |all, octet| all ^ octet);
    let found = octets.last().copied().into_iter().chain([mixed]).find(|number| *number != 0);
    found.unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What keepalived makes of scripts that fail: the host that ends up with the address, seen from `holder`.
    fn winner(hosts: usize, proxies: u32, api_servers: u32, holder: Option<usize>) -> Option<usize> {
        let ranking = Ranking::of(hosts);
        let failing = |set: u32, host: usize| set >> host & 1 == 1;
        let priority = |host: usize| {
            let holds = if holder == Some(host) { i32::from(ranking.holder()) } else { 0 };
            let fails = if failing(api_servers, host) { i32::from(ranking.api_server()) } else { 0 };
            i32::from(ranking.priority(host)) + holds - fails
        };
        // Without its HAProxy a host takes no part.
        (0..hosts).filter(|host| !failing(proxies, *host)).max_by_key(|host| priority(*host))
    }

    #[test]
    fn the_address_moves_where_it_should_and_stays_where_it_can() {
        for hosts in 1..=5 {
            let sets = 0..1_u32 << hosts;
            for (proxies, api_servers) in
                sets.clone().flat_map(|one| sets.clone().map(move |other| (one, other)))
            {
                let (proxy, api) = (|host| proxies >> host & 1 == 0, |host| api_servers >> host & 1 == 0);
                let best = (0..hosts).find(|host| proxy(*host) && api(*host));
                let expected = best.or_else(|| (0..hosts).find(|host| proxy(*host)));
                for holder in (0..hosts).map(Some).chain([None]) {
                    let found = winner(hosts, proxies, api_servers, holder);
                    let as_well = |host| proxy(host) && (api(host) || best.is_none());
                    let stays = holder.filter(|host| as_well(*host));
                    let case = format!("{hosts} hosts, {proxies:b}, {api_servers:b}, {holder:?}");
                    assert_eq!(found, stays.or(expected), "{case}");
                    // Once there, it stays there.
                    assert_eq!(winner(hosts, proxies, api_servers, found), found, "{case}");
                }
            }
        }
    }

    #[test]
    fn priorities_are_distinct_and_within_what_vrrp_can_say() {
        for hosts in 1..=MAX_BALANCERS {
            let ranking = Ranking::of(hosts);
            let priorities: Vec<u8> = (0..hosts).map(|place| ranking.priority(place)).collect();
            assert!(priorities.is_sorted_by(|one, next| one > next), "{priorities:?}");
            let lowest = i32::from(priorities[hosts - 1]) - i32::from(ranking.api_server());
            let highest = i32::from(priorities[0]) + i32::from(ranking.holder());
            assert!(lowest >= 1 && highest <= 254, "{hosts}: {lowest} to {highest}");
            let spread = priorities[0] - priorities[hosts - 1];
            assert!(ranking.holder() > spread && ranking.api_server() > spread + ranking.holder());
        }
    }

    #[test]
    fn router_ids_come_from_the_address() {
        for (address, expected) in
            [("10.77.0.180", 180), ("10.77.1.0", 70), ("fd00::1:100", 0xfd), ("0.0.0.0", 255)]
        {
            assert_eq!(virtual_router_id(address.parse().unwrap()), expected, "{address}");
        }
    }
}

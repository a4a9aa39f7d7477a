//! What is so between hosts: which ports are reached from where, how far away hosts are, how large packets may be,
//! how far clocks are apart.
//!
//! [`wanted`] says what must be known, [`measure()`] asks the hosts; judging is the business of `preflight`.

mod agent;
pub mod clock;
pub mod measure;
pub mod wanted;
mod wire;

pub use clock::Offset;
pub use measure::measure;
pub use wanted::Wanted;

use crate::cluster::HostPort;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// What was measured. A host or pair that is not in here was not measured, which is not the same as being well.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Links {
    pub reached: Vec<Reached>,
    pub mtus: Vec<PathMtu>,
    /// The clock of each host, relative to the operator's machine.
    pub clocks: BTreeMap<String, Offset>,
    pub vip: Option<Vip>,
    /// Hosts that took no part, or not fully, and why.
    pub trouble: BTreeMap<String, String>,
}

/// One question: does `to` hear what `from` sends?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    pub from: String,
    pub to: String,
    /// The address of `to` that is used.
    pub address: IpAddr,
    pub protocol: Protocol,
    pub purpose: Purpose,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    pub probe: Probe,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    Tcp(u16),
    Udp(u16),
    /// A protocol beside TCP and UDP, by its number.
    Ip(u8),
}

/// VRRP, RFC 9568.
pub const VRRP: Protocol = Protocol::Ip(112);
/// IP in IP, RFC 2003.
pub const IP_IN_IP: Protocol = Protocol::Ip(4);

/// Who will use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    ApiServer,
    EtcdClient,
    EtcdPeer,
    Kubelet,
    /// The port at which balancers serve the API.
    Balancer,
    /// The endpoint that somebody else provides.
    Endpoint,
    Vrrp,
    /// What pods of different hosts cannot talk without.
    PodNetwork,
    /// What pods use with some settings of the network plugin, which are not known here.
    PodNetworkMaybe,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It arrived; for TCP with the round trip as the kernel measured it while connecting.
    Open(Option<Duration>),
    /// It was refused, although somebody listened.
    Refused,
    /// Nothing came back, or nothing arrived.
    Silent,
    /// The network said that it does not lead there.
    Unreachable(String),
    /// It could not be tried, and why.
    NotDone(String),
}

/// The largest packet that arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathMtu {
    pub from: String,
    pub to: String,
    /// Bytes of a whole IP packet; `None` when not even the smallest one arrived.
    pub largest: Option<u32>,
    /// Sizes that were tried, ascending.
    pub tried: Vec<u32>,
}

/// Who answers at the address that is to be the endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vip {
    pub endpoint: HostPort,
    /// By the host that looked: whether its connection got any answer, and the hardware address that the link names.
    pub seen: BTreeMap<String, Seen>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    pub answers: bool,
    pub mac: Option<String>,
}

impl Links {
    /// The shortest round trip between two hosts, in either direction.
    pub fn latency(&self, one: &str, other: &str) -> Option<Duration> {
        let between = |probe: &Probe| {
            (probe.from == one && probe.to == other) || (probe.from == other && probe.to == one)
        };
        let round_trips = self.reached.iter().filter(|reached| between(&reached.probe));
        round_trips
            .filter_map(|reached| match reached.outcome {
                Outcome::Open(round_trip) => round_trip,
                _ => None,
            })
            .min()
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(port) => write!(f, "{port}/tcp"),
            Self::Udp(port) => write!(f, "{port}/udp"),
            Self::Ip(112) => f.write_str("VRRP (IP protocol 112)"),
            Self::Ip(4) => f.write_str("IP in IP (IP protocol 4)"),
            Self::Ip(number) => write!(f, "IP protocol {number}"),
        }
    }
}

impl Purpose {
    pub fn text(self) -> &'static str {
        match self {
            Self::ApiServer => "the API server",
            Self::EtcdClient => "etcd's clients",
            Self::EtcdPeer => "etcd's members among each other",
            Self::Kubelet => "the kubelet",
            Self::Balancer => "the balanced API endpoint",
            Self::Endpoint => "the API endpoint",
            Self::Vrrp => "the balancers' election",
            Self::PodNetwork | Self::PodNetworkMaybe => "the pod network",
        }
    }
}

//! Networks, addresses and endpoints.

use ipnet::IpNet;
use std::fmt;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

/// The networks of a cluster; one of a family, or two of different families with the primary first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Networking {
    pub services: Vec<IpNet>,
    /// Empty when the pod network chooses for itself.
    pub pods: Vec<IpNet>,
    pub dns_domain: String,
}

impl Networking {
    /// The address at `index` of the primary service network.
    pub fn service_address(&self, index: u32) -> IpAddr {
        nth_address(&self.services[0], index)
    }
}

/// The address at `index` of a network, counted from its network address.
pub fn nth_address(network: &IpNet, index: u32) -> IpAddr {
    match network.network() {
        IpAddr::V4(base) => Ipv4Addr::from_bits(base.to_bits().wrapping_add(index)).into(),
        IpAddr::V6(base) => Ipv6Addr::from_bits(base.to_bits().wrapping_add(u128::from(index))).into(),
    }
}

/// A host (name or address) and a port; an IPv6 address prints in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    pub host: String,
    pub port: u16,
}

impl HostPort {
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_from_the_network_address() {
        for (network, index, expected) in [
            ("10.96.0.0/12", 1, "10.96.0.1"),
            ("10.200.0.0/16", 10, "10.200.0.10"),
            ("fd00:10:200::/112", 10, "fd00:10:200::a"),
        ] {
            assert_eq!(nth_address(&network.parse().unwrap(), index).to_string(), expected);
        }
    }

    #[test]
    fn brackets_ipv6() {
        assert_eq!(HostPort::new("2001:db8::1", 6443).to_string(), "[2001:db8::1]:6443");
        assert_eq!(HostPort::new("api.example.com", 6443).to_string(), "api.example.com:6443");
    }
}

//! `spec.addons.nodeLocalDns`: a cache of names on every node.

use super::Around;
use super::Surroundings;
use crate::cluster::Networking;
use crate::cluster::addon;
use crate::config::declared::manifest::some;
use crate::config::name;
use crate::config::path::Path;
use crate::config::report::Report;
use serde::Deserialize;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

const IMAGE: &str = "registry.k8s.io/dns/k8s-dns-node-cache:1.26.7";
/// Link-local, as its documentation has it.
const ADDRESS_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 20, 10);
/// A unique local address (RFC 4193): of link-local ones IPv6 would have to know the interface.
const ADDRESS_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x169, 0x254, 0x20, 0, 0, 0, 0x10);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeLocalDns {
    pub enabled: Option<bool>,
    address: Option<String>,
    image: Option<String>,
}

/// With ipvs the service's address is bound already, and with nftables nobody would take packets away from kube-proxy's
/// rules: pods must ask elsewhere.
pub(super) fn asked_by_address(proxy_mode: &str) -> bool {
    ["ipvs", "nftables"].contains(&proxy_mode)
}

impl NodeLocalDns {
    pub(super) fn address(&self, networking: &Networking) -> IpAddr {
        let given = some(self.address.as_ref()).and_then(|text| name::parse_ip(&text));
        let v6 = networking.services.first().is_some_and(|services| services.addr().is_ipv6());
        given.unwrap_or(if v6 { ADDRESS_V6.into() } else { ADDRESS_V4.into() })
    }

    pub(super) fn meaning(&self, around: &Around<'_>) -> addon::NodeLocalDns {
        addon::NodeLocalDns {
            image: around.image(self.image.as_ref(), IMAGE),
            address: self.address(around.networking),
            asked_by_address: asked_by_address(around.proxy_mode),
        }
    }

    pub(super) fn validate(&self, report: &mut Report, path: &Path) {
        super::image(report, self.image.as_ref(), &path.key("image"));
        let address = some(self.address.as_ref()).unwrap_or_default();
        if !address.is_empty() && name::parse_ip(&address).is_none() {
            report
                .error(&path.key("address"), format!("`{address}` is not an IPv4 or IPv6 address"))
                .hint("one that nobody else has: 169.254.20.10");
        }
    }

    pub(super) fn validate_against(&self, report: &mut Report, around: &Surroundings<'_>, path: &Path) {
        if around.proxy_disabled {
            report
                .error(
                    path,
                    "kube-proxy is switched off, and what takes its place answers at the DNS service's address before the cache could",
                )
                .hint("leave nodeLocalDns out; Cilium has a CiliumLocalRedirectPolicy for it");
        }
        if around.dns_disabled {
            report
                .error(path, "CoreDNS is switched off, so that there is nobody for the cache to ask")
                .hint("leave nodeLocalDns out, or `dns.disabled` of ClusterConfiguration");
        }
        let address = self.address(around.networking);
        let networks = around.networking.services.iter().chain(&around.networking.pods);
        if let Some(network) = networks.clone().find(|network| network.contains(&address)) {
            report
                .error(
                    &path.key("address"),
                    format!("{address} lies within {network}, where services or pods are"),
                )
                .hint("one that nobody else has: 169.254.20.10");
        }
        if let Some((_, who)) = around.taken.iter().find(|(taken, _)| *taken == address) {
            report.error(&path.key("address"), format!("{address} is the address of {who}"));
        }
    }
}

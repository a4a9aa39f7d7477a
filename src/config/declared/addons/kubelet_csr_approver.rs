//! `spec.addons.kubeletCsrApprover`: who approves what kubelets ask for.

use super::Around;
use crate::cluster::addon;
use crate::cluster::cni::Peer;
use crate::config::declared::manifest::some;
use crate::config::name;
use crate::config::path::Path;
use crate::config::report::Report;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

const IMAGE: &str = "ghcr.io/postfinance/kubelet-csr-approver:v1.2.15";
/// The longest that it knows: 367 days.
const LONGEST_EXPIRATION: u32 = 31_708_800;
/// Its own defaults, for nodes that the file does not know.
const ANY_NAME: &str = ".*";
const ANY_ADDRESS: [&str; 2] = ["0.0.0.0/0", "::/0"];

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct KubeletCsrApprover {
    pub enabled: Option<bool>,
    replicas: Option<u32>,
    provider_regex: Option<String>,
    provider_ip_prefixes: Vec<String>,
    max_expiration_seconds: Option<u32>,
    bypass_dns_resolution: Option<bool>,
    image: Option<String>,
}

impl KubeletCsrApprover {
    /// Of the file's hosts it approves exactly what is theirs, and knows their addresses without DNS.
    pub(super) fn meaning(&self, around: &Around<'_>) -> addon::KubeletCsrApprover {
        let nodes = around.nodes.iter().filter(|node| node.becomes_node() && around.declared);
        let peers: Vec<Peer> = nodes.map(Peer::of).collect();
        let regex = || match peers.as_slice() {
            [] => ANY_NAME.to_owned(),
            peers => {
                let names = peers.iter().map(|peer| peer.registered.replace('.', r"\."));
                format!("^({})$", names.collect::<Vec<_>>().join("|"))
            }
        };
        let mut hosts: BTreeMap<IpAddr, Vec<String>> = BTreeMap::new();
        for peer in &peers {
            for address in &peer.addresses {
                hosts.entry(*address).or_default().push(peer.registered.clone());
            }
        }
        let single = |address: &IpAddr| format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 });
        let prefixes = || -> Vec<String> {
            let of_hosts: Vec<String> = hosts.keys().map(single).collect();
            if of_hosts.is_empty() { ANY_ADDRESS.map(str::to_owned).to_vec() } else { of_hosts }
        };
        addon::KubeletCsrApprover {
            image: around.image(self.image.as_ref(), IMAGE),
            replicas: self.replicas.unwrap_or(1),
            provider_regex: some(self.provider_regex.as_ref()).unwrap_or_else(regex),
            provider_ip_prefixes: match self.provider_ip_prefixes.as_slice() {
                [] => prefixes(),
                given => given.to_vec(),
            },
            max_expiration_seconds: self.max_expiration_seconds.unwrap_or(LONGEST_EXPIRATION),
            bypass_dns_resolution: self.bypass_dns_resolution.unwrap_or(false),
            hosts,
        }
    }

    pub(super) fn validate(&self, report: &mut Report, path: &Path) {
        super::image(report, self.image.as_ref(), &path.key("image"));
        for (index, prefix) in self.provider_ip_prefixes.iter().enumerate() {
            if name::parse_cidr(prefix).is_none() {
                report
                    .error(
                        &path.key("providerIpPrefixes").index(index),
                        format!("`{prefix}` is not a network"),
                    )
                    .hint("ADDRESS/LENGTH, such as 192.0.2.0/24");
            }
        }
    }
}

//! Which network each node's pods have, where that is ours to choose.
//!
//! Routes to a node's pods lead from every other node, so its network must be known before anything is done. It is the
//! one that its Node object names, since that cannot be changed; for a node that has none yet the first free one, in the
//! order of the file. The controller manager is told to choose none (`--allocate-node-cidrs=false`), and the Node
//! objects get what was chosen, so that the next plan finds it there.

use crate::cluster::Networking;
use crate::cluster::cni::Bridge;
use crate::cluster::cni::Peer;
use crate::cluster::cni::nth_network;
use crate::facts::ClusterFacts;
use crate::facts::NodeFacts;
use crate::phase::Context;
use crate::plan::Object;
use anyhow::Context as _;
use anyhow::bail;
use anyhow::ensure;
use ipnet::IpNet;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The networks of each host's pods, in the order of the cluster's pod networks.
///
/// # Errors
/// A Node has a network outside of the cluster's, or there is none left.
pub fn of_hosts(
    bridge: &Bridge,
    networking: &Networking,
    running: &ClusterFacts,
) -> anyhow::Result<BTreeMap<String, Vec<IpNet>>> {
    let mut chosen: BTreeMap<String, Vec<IpNet>> = BTreeMap::new();
    let nodes: BTreeMap<&str, &NodeFacts> =
        running.nodes.iter().map(|node| (node.name.as_str(), node)).collect();
    let taken: Vec<IpNet> = running.nodes.iter().flat_map(|node| node.pod_networks.iter().copied()).collect();
    let overlaps = |network: &IpNet| {
        taken.iter().any(|other| other.contains(&network.network()) || network.contains(&other.network()))
    };
    for (pods, mask) in networking.pods.iter().zip(&bridge.masks) {
        // Never the same twice: it is asked for every node, and each time goes through all of them.
        let mut free = (0..).map_while(|index| nth_network(pods, *mask, index)).filter(|one| !overlaps(one));
        for peer in &bridge.peers {
            let node = nodes.get(peer.registered.as_str()).copied();
            let network = match node.map_or(Ok(None), |node| existing(node, pods))? {
                Some(network) => network,
                None => free.next().with_context(|| {
                    format!("no network of /{mask} is left within {pods} for the pods of {}", peer.name)
                })?,
            };
            chosen.entry(peer.name.clone()).or_default().push(network);
        }
    }
    Ok(chosen)
}

/// What the Node object names.
fn existing(node: &NodeFacts, pods: &IpNet) -> anyhow::Result<Option<IpNet>> {
    let of_family = |network: &&IpNet| network.addr().is_ipv4() == pods.addr().is_ipv4();
    let Some(found) = node.pod_networks.iter().find(of_family) else {
        ensure!(
            node.pod_networks.is_empty(),
            "the node {} has a network for its pods, and none within {pods}; a Node's networks cannot be changed: \
             remove it from the cluster and let it join again",
            node.name
        );
        return Ok(None);
    };
    ensure!(
        pods.contains(found),
        "the pods of node {} have the network {found}, which is not within {pods}; a Node's network cannot be changed: \
         keep networking.podSubnet, or remove the node from the cluster and let it join again",
        node.name
    );
    Ok(Some(*found))
}

/// A Node that names its networks, beside what else it is to be; for
/// [`ApplyHow::MarkNode`](crate::plan::ApplyHow::MarkNode).
///
/// # Errors
/// As for [`of_hosts`].
pub fn noted(cx: &Context<'_>, host: &str, mark: Option<Object>) -> anyhow::Result<Option<Object>> {
    let Some(bridge) = cx.cluster.site.cni.bridge() else { return Ok(mark) };
    let chosen = of_hosts(bridge, &cx.cluster.networking, cx.running)?;
    let (Some(networks), Some(peer)) = (chosen.get(host), bridge.peers.iter().find(|peer| peer.name == host))
    else {
        return Ok(mark);
    };
    let bare =
        || Object::plain(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": peer.registered}}));
    let mut mark = mark.unwrap_or_else(bare);
    mark.value["spec"]["podCIDR"] = json!(networks.first());
    mark.value["spec"]["podCIDRs"] = json!(networks);
    Ok(Some(mark))
}

/// By which address a host reaches another, in the family of a network: what the file says, what the host's own
/// interface has, or what its Node tells.
///
/// # Errors
/// Nobody knows one.
pub fn gateway(cx: &Context<'_>, peer: &Peer, network: &IpNet) -> anyhow::Result<IpAddr> {
    let fits = |address: &IpAddr| {
        address.is_ipv4() == network.addr().is_ipv4() && !address.is_loopback() && !is_link_local(address)
    };
    let of_interface = || {
        let facts = cx.facts.get(&peer.name)?;
        let interface = &facts.interface_of(*peer.addresses.first()?)?.interface;
        let same = facts.interface_addresses.iter().filter(|found| found.interface == *interface);
        same.map(|found| found.address).find(fits)
    };
    let of_node = || cx.running.node(&peer.registered)?.addresses.iter().copied().find(fits);
    match peer.address(network).or_else(of_interface).or_else(of_node) {
        Some(address) => Ok(address),
        None => bail!(
            "nobody knows an address of {} by which the pods' network {network} is reached; name both of its addresses \
             with kubeletExtraArgs: [{{name: node-ip, value: \"IPV4,IPV6\"}}]",
            peer.name
        ),
    }
}

fn is_link_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bridge(names: &[&str]) -> Bridge {
        let peer = |name: &&str| Peer {
            name: (*name).to_owned(),
            registered: (*name).to_owned(),
            addresses: vec!["192.0.2.1".parse().unwrap()],
        };
        Bridge { mtu: None, masks: vec![24, 64], peers: names.iter().map(peer).collect() }
    }

    fn networking(pods: &[&str]) -> Networking {
        Networking {
            services: Vec::new(),
            pods: pods.iter().map(|text| text.parse().unwrap()).collect(),
            dns_domain: String::new(),
        }
    }

    fn running(nodes: &[(&str, &[&str])]) -> ClusterFacts {
        let node = |(name, networks): &(&str, &[&str])| NodeFacts {
            name: (*name).to_owned(),
            pod_networks: networks.iter().map(|text| text.parse().unwrap()).collect(),
            ..NodeFacts::default()
        };
        ClusterFacts { runs: true, nodes: nodes.iter().map(node).collect(), ..ClusterFacts::default() }
    }

    fn shown(chosen: &BTreeMap<String, Vec<IpNet>>) -> Vec<String> {
        let join =
            |networks: &Vec<IpNet>| networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        chosen.iter().map(|(name, networks)| format!("{name} {}", join(networks))).collect()
    }

    #[test]
    fn a_node_keeps_its_network_and_a_new_one_gets_the_first_that_is_free() {
        let dual = networking(&["10.244.0.0/16", "fd00:10:244::/56"]);
        let new = of_hosts(&bridge(&["a", "b"]), &dual, &ClusterFacts::default()).unwrap();
        assert_eq!(shown(&new), ["a 10.244.0.0/24,fd00:10:244::/64", "b 10.244.1.0/24,fd00:10:244:1::/64"]);
        // The first host has left the file and not yet the cluster.
        let nodes: &[(&str, &[&str])] = &[
            ("gone", &["10.244.0.0/24", "fd00:10:244::/64"]),
            ("b", &["10.244.7.0/24", "fd00:10:244:1::/64"]),
            ("c", &[]),
        ];
        let grown = of_hosts(&bridge(&["a", "b", "c"]), &dual, &running(nodes)).unwrap();
        assert_eq!(
            shown(&grown),
            [
                "a 10.244.1.0/24,fd00:10:244:2::/64",
                "b 10.244.7.0/24,fd00:10:244:1::/64",
                "c 10.244.2.0/24,fd00:10:244:3::/64",
            ]
        );
    }

    #[test]
    fn says_what_cannot_be() {
        let small = networking(&["10.244.0.0/23"]);
        let said = |pods, nodes: &[(&str, &[&str])]| {
            of_hosts(&bridge(&["a", "b", "c"]), pods, &running(nodes)).unwrap_err().to_string()
        };
        assert!(
            said(&small, &[]).contains("no network of /24 is left within 10.244.0.0/23 for the pods of c")
        );
        assert!(said(&small, &[("a", &["10.0.0.0/24"])]).contains("10.0.0.0/24, which is not within"));
        assert!(said(&small, &[("a", &["fd00::/64"])]).contains("and none within 10.244.0.0/23"));
    }
}

//! The check `NetworkOverlap`: an address of a pod or a service must not lead somewhere else on any host.

use crate::cluster::Node;
use crate::facts::checks::Route;
use crate::facts::links::Protocol;
use crate::preflight::Problem;
use crate::preflight::fleet::Between;
use crate::preflight::fleet::Found;
use crate::preflight::fleet::listed;
use crate::preflight::ours::POD_INTERFACES;
use ipnet::IpNet;
use std::collections::BTreeMap;

/// How interfaces that pod networks make for pods begin.
const POD_PREFIXES: [&str; 7] = ["cali", "veth", "lxc", "tunl", "flannel", "cilium", "wireguard."];

pub(super) fn find(between: &Between, _: Option<Protocol>) -> Found {
    let networking = &between.cluster.networking;
    let pods = networking.pods.iter().map(|network| ("pod", network));
    let wanted: Vec<(&str, &IpNet)> =
        pods.chain(networking.services.iter().map(|network| ("service", network))).collect();
    let mut found: BTreeMap<(String, bool), Vec<&str>> = BTreeMap::new();
    for (node, facts) in between.hosts() {
        for route in facts.checks.routes.iter().filter(|route| !is_of_pods(between, node, route)) {
            for (what, network) in wanted.iter().filter(|(_, network)| overlap(network, &route.network)) {
                let leads = match route.via {
                    None => format!("a network of interface {}", route.interface),
                    Some(via) => format!("reached over {via}"),
                };
                let text = format!("the {what} subnet {network} overlaps {}, {leads}", route.network);
                found.entry((text, route.via.is_none())).or_default().push(&node.name);
            }
        }
    }
    let problem = |((text, on_link), hosts): ((String, bool), Vec<&str>)| {
        let text = format!("{text} on {}", listed(&hosts));
        let problem = if on_link { Problem::error(text) } else { Problem::warning(text) };
        problem.repair("choose another `networking.podSubnet` or `networking.serviceSubnet`").between(hosts)
    };
    found.into_iter().map(problem).collect::<Vec<_>>().into()
}

fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(&other.network()) || other.contains(&one.network())
}

/// Routes that a pod network of this cluster has made: over its interfaces, or over another of its hosts.
fn is_of_pods(between: &Between, node: &Node, route: &Route) -> bool {
    let name = route.interface.as_str();
    let is_host = |via| {
        between.cluster.nodes.iter().any(|other| other.advertise_address == via && other.name != node.name)
    };
    POD_INTERFACES.contains(&name)
        || POD_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || route.via.is_some_and(is_host)
}

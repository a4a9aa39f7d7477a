//! The check `FlatNetwork`: where nodes send each other packets of pods as they are, they must share a link.

use crate::cluster::Cni;
use crate::cluster::cni::FlannelBackend;
use crate::facts::links::Protocol;
use crate::preflight::Problem;
use crate::preflight::fleet::Between;
use crate::preflight::fleet::Found;
use crate::preflight::fleet::listed;

pub(super) fn find(between: &Between, _: Option<Protocol>) -> Found {
    let what = match &between.cluster.site.cni {
        Cni::Bridge(_) => "the pod network bridge",
        Cni::Flannel(flannel) if flannel.backend == FlannelBackend::HostGw => "flannel's backend host-gw",
        _ => return Found::default(),
    };
    let mut problems = Vec::new();
    for (node, facts) in between.nodes() {
        if facts.checks.routes.is_empty() {
            continue;
        }
        let elsewhere = |other: &&crate::cluster::Node| {
            other.becomes_node()
                && other.name != node.name
                && other.advertise_address.is_ipv4() == node.advertise_address.is_ipv4()
                && facts.checks.link_of(other.advertise_address).is_none()
        };
        let others: Vec<&str> =
            between.cluster.nodes.iter().filter(elsewhere).map(|other| other.name.as_str()).collect();
        if !others.is_empty() {
            let message = format!(
                "{what} needs nodes that share a link, and {} reaches {} through a router",
                node.name,
                listed(&others)
            );
            let names = std::iter::once(node.name.as_str()).chain(others);
            problems.push(
                Problem::error(message)
                    .repair("choose one that encapsulates: flannel with vxlan")
                    .between(names),
            );
        }
    }
    problems.into()
}

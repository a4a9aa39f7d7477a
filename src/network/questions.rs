//! Who is asked by whom.

use crate::facts::links::Probe;
use crate::facts::links::Protocol;
use crate::facts::links::Purpose;
use crate::facts::links::Wanted;
use crate::kube::objects::network_test::SERVICE;
use crate::kube::objects::network_test::SERVICE_PORT;
use crate::kube::objects::network_test::TCP_PORT;
use crate::kube::objects::network_test::UDP_PORT;
use crate::network::Pod;
use std::net::IpAddr;

/// Up to so many nodes every pair is tried; of more, each node and those that follow it in the file.
const EVERY_PAIR_UP_TO: usize = 30;
const FOLLOWERS: usize = 8;

/// What is between the name of a node and that of what takes part for it.
const GUARDED: &str = " (guarded)";
const HOST: &str = " (host)";

/// How the guarded pod of a node is called among those that take part; the open one bears the node's name.
pub fn guarded(node: &str) -> String {
    format!("{node}{GUARDED}")
}

/// How a host itself is called among those that take part.
pub fn host(node: &str) -> String {
    format!("{node}{HOST}")
}

/// The node of whoever takes part.
pub fn node_of(member: &str) -> &str {
    member.strip_suffix(GUARDED).or_else(|| member.strip_suffix(HOST)).unwrap_or(member)
}

/// All that is tried between pods, from the hosts of control planes to pods, and to the service.
pub fn wanted(pods: &[Pod], control_planes: &[String], service: &[IpAddr]) -> Wanted {
    let open: Vec<&Pod> = pods.iter().filter(|pod| !pod.guarded).collect();
    let mut probes = Vec::new();
    for (at, from) in open.iter().enumerate() {
        for to in others(&open, at) {
            probes.extend(to.addresses.iter().filter(|address| speaks(from, address)).flat_map(|address| {
                [Protocol::Tcp(TCP_PORT), Protocol::Udp(UDP_PORT)]
                    .map(|protocol| probe(from.node.clone(), to.node.clone(), *address, protocol))
            }));
        }
    }
    for from in control_planes {
        for to in &open {
            let address = to.addresses.first().into_iter();
            probes.extend(
                address.map(|address| probe(host(from), to.node.clone(), *address, Protocol::Tcp(TCP_PORT))),
            );
        }
    }
    let clients = open.iter().map(|pod| pod.node.clone()).chain(control_planes.iter().map(|name| host(name)));
    for from in clients {
        probes.extend(service.iter().map(|address| Probe {
            purpose: Purpose::Endpoint,
            ..probe(from.clone(), SERVICE.to_owned(), *address, Protocol::Tcp(SERVICE_PORT))
        }));
    }
    for (from, to) in guards(&open, pods) {
        let address = to.addresses.iter().find(|address| speaks(from, address)).into_iter();
        probes.extend(
            address.map(|address| {
                probe(from.node.clone(), guarded(&to.node), *address, Protocol::Tcp(TCP_PORT))
            }),
        );
    }
    Wanted { probes, vip: None }
}

fn probe(from: String, to: String, address: IpAddr, protocol: Protocol) -> Probe {
    Probe { from, to, address, protocol, purpose: Purpose::PodNetwork }
}

fn speaks(pod: &Pod, address: &IpAddr) -> bool {
    pod.addresses.iter().any(|own| own.is_ipv4() == address.is_ipv4())
}

/// Whom a pod asks: all others, or some of many.
fn others<'a>(open: &[&'a Pod], at: usize) -> Vec<&'a Pod> {
    let count = if open.len() <= EVERY_PAIR_UP_TO { open.len().saturating_sub(1) } else { FOLLOWERS };
    (1..=count).map(|step| open[(at + step) % open.len()]).collect()
}

/// Each guarded pod is asked from its own node and from the next one: who closes it works where it runs.
fn guards<'a>(open: &[&'a Pod], pods: &'a [Pod]) -> Vec<(&'a Pod, &'a Pod)> {
    let mut pairs = Vec::new();
    for to in pods.iter().filter(|pod| pod.guarded) {
        let own = open.iter().position(|from| from.node == to.node);
        let next = own.map_or(0, |own| own + 1);
        let mut from: Vec<&&Pod> = own.map(|own| &open[own]).into_iter().collect();
        from.extend(open.get(next % open.len().max(1)).filter(|next| next.node != to.node));
        pairs.extend(from.into_iter().map(|from| (*from, to)));
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(node: &str, guarded: bool, addresses: &[&str]) -> Pod {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Pod { node: node.to_owned(), uid: format!("{node}{guarded}"), addresses, guarded }
    }

    fn lines(wanted: &Wanted) -> Vec<String> {
        let line =
            |probe: &Probe| format!("{} > {} {} {}", probe.from, probe.to, probe.address, probe.protocol);
        wanted.probes.iter().map(line).collect()
    }

    #[test]
    fn everybody_asks_everybody_in_each_family() {
        let pods = [
            pod("cp1", false, &["10.1.0.1", "fd00::1"]),
            pod("cp1", true, &["10.1.0.2"]),
            pod("w1", false, &["10.1.1.1", "fd00:1::1"]),
        ];
        let wanted = wanted(&pods, &["cp1".to_owned()], &["10.96.0.9".parse().unwrap()]);
        let expected = [
            "cp1 > w1 10.1.1.1 10080/tcp",
            "cp1 > w1 10.1.1.1 10081/udp",
            "cp1 > w1 fd00:1::1 10080/tcp",
            "cp1 > w1 fd00:1::1 10081/udp",
            "w1 > cp1 10.1.0.1 10080/tcp",
            "w1 > cp1 10.1.0.1 10081/udp",
            "w1 > cp1 fd00::1 10080/tcp",
            "w1 > cp1 fd00::1 10081/udp",
            "cp1 (host) > cp1 10.1.0.1 10080/tcp",
            "cp1 (host) > w1 10.1.1.1 10080/tcp",
            "cp1 > open 10.96.0.9 80/tcp",
            "w1 > open 10.96.0.9 80/tcp",
            "cp1 (host) > open 10.96.0.9 80/tcp",
            "cp1 > cp1 (guarded) 10.1.0.2 10080/tcp",
            "w1 > cp1 (guarded) 10.1.0.2 10080/tcp",
        ];
        assert_eq!(lines(&wanted), expected);
    }

    #[test]
    fn of_many_nodes_each_asks_some() {
        let pods: Vec<Pod> =
            (0..200).map(|n| pod(&format!("n{n}"), false, &[&format!("10.1.{n}.1")])).collect();
        assert_eq!(wanted(&pods, &[], &[]).probes.len(), 200 * FOLLOWERS * 2);
        assert_eq!(wanted(&pods[..1], &[], &[]).probes, Vec::new());
    }
}

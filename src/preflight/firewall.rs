//! The check `FirewallPorts`: does a firewall of the host keep the cluster apart? As far as it can be told.

use crate::cluster::Balancing;
use crate::cluster::prepare::FirewallMode;
use crate::facts::question::ETCD_CLIENT_PORT;
use crate::facts::question::ETCD_PEER_PORT;
use crate::facts::question::KUBELET_PORT;
use crate::preflight::Problem;
use crate::preflight::Subject;
use std::collections::BTreeSet;

/// firewalld's services that open one of our ports.
const SERVICES: [(&str, u16); 6] = [
    ("kube-apiserver", 6443),
    ("kube-control-plane", 6443),
    ("kubelet", KUBELET_PORT),
    ("kube-worker", KUBELET_PORT),
    ("etcd-client", ETCD_CLIENT_PORT),
    ("etcd-server", ETCD_PEER_PORT),
];

pub(super) fn find(subject: &Subject, _: &str) -> Vec<Problem> {
    let checks = &subject.facts.checks;
    let firewall = &checks.firewall;
    let mut problems = Vec::new();
    if checks.is_active("firewalld") {
        problems.extend(firewall.firewalld_open.as_ref().and_then(|open| firewalld(subject, open)));
    } else if firewall.ufw_enabled && !firewall.ufw_default_allow {
        problems.extend(ufw(subject, &firewall.ufw_open));
    } else if firewall.input_dropped {
        let ports = list(&wanted(subject));
        problems.push(
            Problem::warning(format!(
                "the packet filter drops what no rule lets in; ports {ports} must be open"
            ))
            .repair("look at `nft list ruleset` (or `iptables -S INPUT`) and let them in"),
        );
    }
    // Of a packet filter without a manager nobody knows who loads it.
    let managed = checks.is_active("firewalld") || firewall.ufw_enabled;
    let told = managed && subject.cluster.prepare.firewall != FirewallMode::None;
    problems.into_iter().map(|problem: Problem| problem.preparable_when(told)).collect()
}

fn firewalld(subject: &Subject, open: &BTreeSet<String>) -> Option<Problem> {
    let by_service = |port: u16| SERVICES.iter().any(|(name, of)| *of == port && open.contains(*name));
    let closed = closed(subject, |port| by_service(port) || covers(open, port));
    let vrrp = speaks_vrrp(subject) && !open.contains("protocol/vrrp") && !open.contains("protocol/112");
    if closed.is_empty() && !vrrp {
        return None;
    }
    let mut options: Vec<String> = closed.iter().map(|port| format!("--add-port={port}/tcp")).collect();
    options.extend(vrrp.then(|| "--add-protocol=vrrp".to_owned()));
    let ports = (!closed.is_empty()).then(|| format!("ports {}", list(&closed)));
    let protocol = vrrp.then(|| "the protocol vrrp".to_owned());
    let what: Vec<String> = ports.into_iter().chain(protocol).collect();
    Some(
        Problem::warning(format!("firewalld does not let in {}", what.join(" and ")))
            .repair(format!("`firewall-cmd --permanent {} && firewall-cmd --reload`", options.join(" "))),
    )
}

fn ufw(subject: &Subject, open: &BTreeSet<String>) -> Option<Problem> {
    let closed = closed(subject, |port| covers(open, port));
    if closed.is_empty() {
        return None;
    }
    let ports = closed.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
    Some(
        Problem::warning(format!("ufw does not let in ports {}", list(&closed)))
            .repair(format!("`ufw allow {ports}/tcp`")),
    )
}

/// What other hosts come to; the scheduler and the controller manager listen on loopback.
fn wanted(subject: &Subject) -> Vec<u16> {
    let mut ports = Vec::new();
    if subject.node.is_control_plane() {
        ports.push(subject.node.bind_port);
    }
    let alone = subject.cluster.nodes.iter().filter(|node| node.is_server()).count() < 2;
    if subject.cluster.runs_etcd(subject.node) && !alone {
        ports.extend([ETCD_CLIENT_PORT, ETCD_PEER_PORT]);
    }
    if subject.node.becomes_node() {
        ports.push(KUBELET_PORT);
    }
    if let (true, Some(port)) = (speaks_vrrp(subject), &subject.cluster.endpoint) {
        ports.push(port.port);
    }
    ports
}

/// Whether the host and others agree on who has a virtual address.
fn speaks_vrrp(subject: &Subject) -> bool {
    matches!(subject.cluster.site.balancing, Some(Balancing::Keepalived(_)))
        && subject.cluster.balances(subject.node)
}

fn closed(subject: &Subject, is_open: impl Fn(u16) -> bool) -> Vec<u16> {
    wanted(subject).into_iter().filter(|port| !is_open(*port)).collect()
}

/// `6443/tcp`, `6440-6450/tcp`, `6443/any`.
fn covers(open: &BTreeSet<String>, port: u16) -> bool {
    open.iter().filter_map(|entry| entry.split_once('/')).any(|(ports, protocol)| {
        let (from, to) = ports.split_once('-').unwrap_or((ports, ports));
        let range = from.parse::<u16>().ok().zip(to.parse::<u16>().ok());
        ["tcp", "any"].contains(&protocol) && range.is_some_and(|(from, to)| (from..=to).contains(&port))
    })
}

fn list(ports: &[u16]) -> String {
    ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")
}

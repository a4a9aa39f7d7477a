//! Which ports will be used from which host: the matrix by role, endpoint and network plugin.

use crate::cluster::Cluster;
use crate::cluster::HostPort;
use crate::cluster::Node;
use crate::cluster::cni::Transport;
use crate::cluster::endpoint::Balancing;
use crate::cluster::endpoint::KubeVipMode;
use crate::cluster::site::EndpointProvider;
use crate::facts::links::IP_IN_IP;
use crate::facts::links::Probe;
use crate::facts::links::Protocol;
use crate::facts::links::Purpose;
use crate::facts::links::VRRP;
use crate::facts::question::ETCD_CLIENT_PORT;
use crate::facts::question::ETCD_PEER_PORT;
use crate::facts::question::KUBELET_PORT;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Up to so many nodes every pair is tried. In a larger cluster control planes are still tried with everybody, and
/// each worker with the next one in the order of the document, so that the number of pairs grows with the nodes and
/// not with their square, and no worker goes untried in either direction.
pub const EVERY_PAIR_UP_TO: usize = 16;

/// What is to be measured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// At most one for each pair and protocol.
    pub probes: Vec<Probe>,
    /// The address that is to be the endpoint, where we provide it, and who is asked whether it is free.
    pub vip: Option<(HostPort, Vec<String>)>,
}

impl Wanted {
    /// All that a cluster will use, in the order of the document.
    pub fn of(cluster: &Cluster) -> Self {
        let mut matrix = Matrix::default();
        api(cluster, &mut matrix);
        etcd(cluster, &mut matrix);
        kubelets(cluster, &mut matrix);
        endpoint(cluster, &mut matrix);
        pods(cluster, &mut matrix);
        Self { probes: matrix.probes, vip: vip(cluster) }
    }
}

#[derive(Default)]
struct Matrix {
    probes: Vec<Probe>,
    known: BTreeSet<(String, IpAddr, Protocol)>,
}

impl Matrix {
    /// The first purpose counts.
    fn add(&mut self, from: &Node, to: &Node, protocol: Protocol, purpose: Purpose) {
        let address = to.advertise_address;
        if from.name != to.name && self.known.insert((from.name.clone(), address, protocol)) {
            let (from, to) = (from.name.clone(), to.name.clone());
            self.probes.push(Probe { from, to, address, protocol, purpose });
        }
    }
}

fn api(cluster: &Cluster, matrix: &mut Matrix) {
    let clients = cluster.nodes.iter().filter(|node| node.becomes_node());
    for from in clients.chain(balancers(cluster)) {
        for to in cluster.control_planes() {
            matrix.add(from, to, Protocol::Tcp(to.bind_port), Purpose::ApiServer);
        }
    }
}

fn etcd(cluster: &Cluster, matrix: &mut Matrix) {
    let members: Vec<&Node> = cluster.etcd_members().collect();
    for to in &members {
        for from in &members {
            matrix.add(from, to, Protocol::Tcp(ETCD_PEER_PORT), Purpose::EtcdPeer);
        }
        for from in cluster.control_planes().chain(members.iter().copied()) {
            matrix.add(from, to, Protocol::Tcp(ETCD_CLIENT_PORT), Purpose::EtcdClient);
        }
    }
}

fn kubelets(cluster: &Cluster, matrix: &mut Matrix) {
    for from in cluster.control_planes() {
        for to in cluster.nodes.iter().filter(|node| node.becomes_node()) {
            matrix.add(from, to, Protocol::Tcp(KUBELET_PORT), Purpose::Kubelet);
        }
    }
}

/// The hosts that hold the endpoint for others, one at a time; a balancer that serves its own host is none.
pub fn balancers(cluster: &Cluster) -> Vec<&Node> {
    match &cluster.site.balancing {
        Some(Balancing::Keepalived(_) | Balancing::KubeVip(_)) => cluster.balancers(),
        Some(Balancing::NodeLocal(_)) | None => Vec::new(),
    }
}

fn endpoint(cluster: &Cluster, matrix: &mut Matrix) {
    let Some(endpoint) = &cluster.endpoint else { return };
    let balancers = balancers(cluster);
    for to in &balancers {
        for from in cluster.nodes.iter().filter(|node| node.becomes_node()) {
            matrix.add(from, to, Protocol::Tcp(endpoint.port), Purpose::Balancer);
        }
        if matches!(cluster.site.balancing, Some(Balancing::Keepalived(_))) {
            for from in &balancers {
                matrix.add(from, to, VRRP, Purpose::Vrrp);
            }
        }
    }
    if cluster.site.endpoint_provider == EndpointProvider::External
        && let Ok(address) = endpoint.host.parse()
    {
        for from in cluster.nodes.iter().filter(|node| node.becomes_node()) {
            matrix.probes.push(Probe {
                from: from.name.clone(),
                to: endpoint.to_string(),
                address,
                protocol: Protocol::Tcp(endpoint.port),
                purpose: Purpose::Endpoint,
            });
        }
    }
}

fn pods(cluster: &Cluster, matrix: &mut Matrix) {
    let nodes: Vec<&Node> = cluster.nodes.iter().filter(|node| node.becomes_node()).collect();
    let (needed, others) = cluster.site.cni.transports();
    let needed = needed.into_iter().map(|transport| (transport, Purpose::PodNetwork));
    let others = others.into_iter().map(|transport| (transport, Purpose::PodNetworkMaybe));
    for (transport, purpose) in needed.chain(others) {
        let protocol = match transport {
            Transport::Tcp(port) => Protocol::Tcp(port),
            Transport::Udp(port) => Protocol::Udp(port),
            Transport::IpInIp => IP_IN_IP,
        };
        for (from, to) in pairs(&nodes) {
            matrix.add(from, to, protocol, purpose);
        }
    }
}

/// The pairs of nodes, in both directions, that stand for all of them.
fn pairs<'a>(nodes: &[&'a Node]) -> Vec<(&'a Node, &'a Node)> {
    let workers: Vec<&&Node> = nodes.iter().filter(|node| !node.is_control_plane()).collect();
    let next = |at: usize| workers[(at + 1) % workers.len()];
    let mut ring: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (at, worker) in workers.iter().enumerate() {
        ring.insert((&worker.name, &next(at).name));
        ring.insert((&next(at).name, &worker.name));
    }
    let all = nodes.len() <= EVERY_PAIR_UP_TO;
    let tried = |from: &Node, to: &Node| {
        all || from.is_control_plane()
            || to.is_control_plane()
            || ring.contains(&(from.name.as_str(), to.name.as_str()))
    };
    let every = nodes.iter().flat_map(|from| nodes.iter().map(move |to| (*from, *to)));
    every.filter(|(from, to)| from.name != to.name && tried(from, to)).collect()
}

/// An address that is announced on a link. One that routers learn of may be known to them already.
fn vip(cluster: &Cluster) -> Option<(HostPort, Vec<String>)> {
    let (address, port) = match cluster.site.balancing.as_ref()? {
        Balancing::Keepalived(keepalived) => (keepalived.address.address, keepalived.port),
        Balancing::KubeVip(kube_vip) if matches!(kube_vip.mode, KubeVipMode::Arp { .. }) => {
            (kube_vip.address, kube_vip.port)
        }
        Balancing::KubeVip(_) | Balancing::NodeLocal(_) => return None,
    };
    let watchers = balancers(cluster).into_iter().map(|node| node.name.clone()).collect();
    Some((HostPort::new(address.to_string(), port), watchers))
}

//! All hosts of a cluster at once: what each of them is judged by alone, in its role, and what only shows between them.

mod address;
mod clock;
mod distance;
mod endpoint;
mod flat;
mod hosts;
mod identity;
mod mix;
mod overlap;
mod reach;
pub mod report;

pub use report::FleetReport;

use crate::cluster::Cluster;
use crate::facts::ClusterFacts;
use crate::facts::HostFacts;
use crate::facts::Links;
use crate::facts::links::IP_IN_IP;
use crate::facts::links::Protocol;
use crate::facts::links::VRRP;
use crate::facts::links::Wanted;
use crate::preflight::EtcdVersions;
use crate::preflight::Ignore;
use crate::preflight::Problem;
use crate::preflight::Report;
use crate::preflight::version;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// What is judged.
#[derive(Debug, Clone, Copy)]
pub struct FleetSubject<'a> {
    pub cluster: &'a Cluster,
    /// By the name in the file: what is known of a host, or why nothing is. A host that is not in here was left out on
    /// purpose, and is not judged.
    pub hosts: &'a BTreeMap<String, Result<HostInput, Unreachable>>,
    /// `None` where nobody measured: then checks between hosts that need it are told as not done.
    pub links: Option<&'a Links>,
    /// The hosts will be prepared first, so what preparation mends is no error.
    pub prepare: bool,
    /// What the external etcd answered.
    pub etcd: &'a EtcdVersions,
    /// What the running cluster says; the default where there is none yet.
    pub running: &'a ClusterFacts,
}

/// What is known of one host.
#[derive(Debug, Clone)]
pub struct HostInput {
    pub facts: HostFacts,
    /// The images that it will run, in kubeadm's order.
    pub images: Vec<String>,
    /// Paths that its receipt says are ours.
    pub ours: BTreeSet<String>,
}

/// A host that cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreachable {
    /// The error with its causes.
    pub why: String,
    /// How to mend it, where the error knows; otherwise something general is said.
    pub repair: String,
}

/// A check that looks at several hosts.
struct Check {
    /// The name that `--ignore-preflight-errors` takes.
    name: String,
    /// What the check is about; a protocol where there is one.
    protocol: Option<Protocol>,
    find: fn(&Between, Option<Protocol>) -> Found,
}

/// What a check came to: what is wrong, and what it could not look at.
#[derive(Debug, Default)]
struct Found {
    problems: Vec<Problem>,
    not_done: Vec<String>,
}

impl From<Vec<Problem>> for Found {
    fn from(problems: Vec<Problem>) -> Self {
        Self { problems, not_done: Vec::new() }
    }
}

/// What checks between hosts look at: the hosts that answered.
struct Between<'a> {
    cluster: &'a Cluster,
    facts: BTreeMap<&'a str, &'a HostFacts>,
    unreachable: BTreeMap<&'a str, &'a Unreachable>,
    links: Option<&'a Links>,
    running: &'a ClusterFacts,
}

impl<'a> Between<'a> {
    fn of(subject: &FleetSubject<'a>) -> Self {
        let mut facts = BTreeMap::new();
        let mut unreachable = BTreeMap::new();
        for (name, host) in subject.hosts {
            match host {
                Ok(input) => {
                    facts.insert(name.as_str(), &input.facts);
                }
                Err(why) => {
                    unreachable.insert(name.as_str(), why);
                }
            }
        }
        Self { cluster: subject.cluster, facts, unreachable, links: subject.links, running: subject.running }
    }

    /// The hosts that answered, with their facts, in the order of the document.
    fn hosts(&self) -> impl Iterator<Item = (&'a crate::cluster::Node, &'a HostFacts)> + '_ {
        self.cluster.nodes.iter().filter_map(|node| Some((node, *self.facts.get(node.name.as_str())?)))
    }

    /// Those of them that become nodes.
    fn nodes(&self) -> impl Iterator<Item = (&'a crate::cluster::Node, &'a HostFacts)> + '_ {
        self.hosts().filter(|(node, _)| node.becomes_node())
    }

    /// Hosts by what `value` says of them, where it says something.
    fn grouped<V: Ord>(&self, value: impl Fn(&HostFacts) -> Option<V>) -> BTreeMap<V, Vec<&'a str>> {
        let mut groups: BTreeMap<V, Vec<&str>> = BTreeMap::new();
        for (node, facts) in self.hosts() {
            if let Some(value) = value(facts) {
                groups.entry(value).or_default().push(&node.name);
            }
        }
        groups
    }
}

/// The table of what is checked between hosts.
fn checks(between: &Between) -> Vec<Check> {
    let check = |name: &str, find| Check { name: name.to_owned(), protocol: None, find };
    let mut checks = vec![
        check(report::UNREACHABLE, hosts::reachable),
        check("HostClones", identity::clones),
        check("UniqueHostname", identity::hostnames),
        check("NodeHostname", identity::names_in_the_file),
        check("ClockSkew", clock::skew),
        check("MixedArchitectures", mix::architectures),
        check("MixedSystems", mix::systems),
        check("MixedRuntimes", mix::runtimes),
        check("MixedKubelets", mix::kubelets),
        check(version::DOWNGRADE, |between, _| version::back(between.cluster, between.running).into()),
        check(version::STEP, |between, _| version::step(between.cluster, between.running).into()),
        check(version::KUBELET_SKEW, |between, _| version::kubelets(between.cluster, between.running).into()),
        check("NodeAddress", address::on_the_host),
        check("NodeAddressRoute", address::of_the_default_route),
        check("NetworkOverlap", overlap::find),
        check("FlatNetwork", flat::find),
        check("VIPSubnet", endpoint::subnet),
        check("VIPAvailable", endpoint::available),
    ];
    let protocols: BTreeSet<Protocol> =
        Wanted::of(between.cluster).probes.iter().map(|probe| probe.protocol).collect();
    checks.extend(protocols.into_iter().map(|protocol| Check {
        name: reach_name(protocol),
        protocol: Some(protocol),
        find: reach::find,
    }));
    checks.extend([check("PathMTU", distance::mtu), check("EtcdLatency", distance::etcd)]);
    checks
}

fn reach_name(protocol: Protocol) -> String {
    match protocol {
        Protocol::Tcp(port) => format!("TCPReachable-{port}"),
        Protocol::Udp(port) => format!("UDPReachable-{port}"),
        VRRP => "VRRPReachable".to_owned(),
        IP_IN_IP => "IPIPReachable".to_owned(),
        Protocol::Ip(number) => format!("IPReachable-{number}"),
    }
}

/// Judges all hosts of a cluster, each in its role and all together; pure. Nothing is left out because something else
/// was found: one report tells everything.
pub fn fleet_preflight(subject: &FleetSubject, ignore: &Ignore) -> FleetReport {
    let between = Between::of(subject);
    let mut shared = Report::new(report::BETWEEN);
    let mut not_done = Vec::new();
    for check in checks(&between) {
        let found = (check.find)(&between, check.protocol);
        let open = found.problems.is_empty() && !found.not_done.is_empty();
        not_done.extend(found.not_done.into_iter().map(|why| (check.name.clone(), why)));
        if open {
            shared.not_run.push(check.name);
        } else {
            shared.add(&check.name, found.problems, subject.prepare, ignore);
        }
    }
    let hosts = subject.cluster.nodes.iter().filter_map(|node| hosts::judge(subject, node, ignore)).collect();
    FleetReport::new(shared, not_done, hosts)
}

/// `a`, `a and b`, `a, b and 3 more`.
pub(super) fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 6;
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] if names.len() <= SHOWN => format!("{} and {last}", first.join(", ")),
        names => format!("{} and {} more", names[..SHOWN - 1].join(", "), names.len() - SHOWN + 1),
    }
}

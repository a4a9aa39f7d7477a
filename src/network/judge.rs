//! What was seen, judged: what came to what it should, and what wants attention.

use crate::cluster::Cluster;
use crate::facts::links::Links;
use crate::facts::links::Outcome;
use crate::facts::links::Probe;
use crate::facts::links::Reached;
use crate::kube::objects::network_test::SERVICE;
use crate::network::Packet;
use crate::network::Report;
use crate::network::SCHEMA;
use crate::network::Tried;
use crate::network::questions::guarded;
use crate::network::questions::host;
use crate::network::questions::node_of;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// What is known beforehand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expected {
    /// Whether the network keeps to a `NetworkPolicy`; `None` where nobody knows.
    pub enforces_policies: Option<bool>,
}

impl Expected {
    pub fn of(cluster: &Cluster) -> Self {
        Self { enforces_policies: cluster.site.cni.enforces_policies() }
    }
}

/// All that was seen.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Seen {
    pub links: Links,
    /// Questions for names, judged where they were read.
    pub dns: Vec<Tried>,
    /// Who could not take part, and why.
    pub absent: BTreeMap<String, String>,
}

impl Report {
    /// Sorts what was seen by what it says, and lists what is not as it should be.
    #[must_use]
    pub fn judged(mut self, seen: &Seen, expected: &Expected) -> Self {
        self.schema = SCHEMA;
        for reached in &seen.links.reached {
            let Probe { from, to, .. } = &reached.probe;
            if *to == SERVICE {
                self.service.push(tried(reached, open(reached)));
            } else if *to == guarded(node_of(to)) {
                let ok = expected.enforces_policies != Some(true) || closed(reached);
                self.policy.push(tried(reached, ok));
            } else if *from == host(node_of(from)) {
                self.host_to_pod.push(tried(reached, open(reached)));
            } else {
                self.pod_to_pod.push(tried(reached, open(reached)));
            }
        }
        self.dns.clone_from(&seen.dns);
        self.packets = seen.links.mtus.iter().map(packet).collect();
        self.findings.extend(seen.absent.iter().map(|(name, why)| format!("{name} took no part: {why}")));
        let ways = ways(&self);
        self.findings.extend(ways);
        self.notes.extend(policy_note(&self, expected));
        self.healthy = self.findings.is_empty() && !self.interrupted;
        self
    }
}

fn open(reached: &Reached) -> bool {
    matches!(reached.outcome, Outcome::Open(_))
}

/// Packets are thrown away, or sent back: both is closed.
fn closed(reached: &Reached) -> bool {
    matches!(reached.outcome, Outcome::Silent | Outcome::Refused | Outcome::Unreachable(_))
}

fn tried(reached: &Reached, ok: bool) -> Tried {
    let Probe { from, to, address, protocol, .. } = &reached.probe;
    let outcome = match &reached.outcome {
        Outcome::Open(_) => "open".to_owned(),
        Outcome::Refused => "refused".to_owned(),
        Outcome::Silent => "silent".to_owned(),
        Outcome::Unreachable(why) => format!("unreachable: {why}"),
        Outcome::NotDone(why) => format!("not tried: {why}"),
    };
    Tried {
        from: from.clone(),
        to: node_of(to).to_owned(),
        address: address.to_string(),
        port: protocol.to_string(),
        ok,
        outcome,
    }
}

fn packet(mtu: &crate::facts::links::PathMtu) -> Packet {
    Packet { from: mtu.from.clone(), to: mtu.to.clone(), largest: mtu.largest }
}

/// Who asks whom, in words.
type Ends = fn(&Tried) -> (String, String);

/// A line for each way that does not lead where it should.
fn ways(report: &Report) -> Vec<String> {
    let mut lines: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    let kinds: [(&[Tried], Ends); 5] = [
        (&report.pod_to_pod, |tried| (format!("pods of {}", tried.from), format!("those of {}", tried.to))),
        (&report.host_to_pod, |tried| (node_of(&tried.from).to_owned(), format!("pods of {}", tried.to))),
        (&report.service, |tried| (asker(&tried.from), "the service".to_owned())),
        (&report.dns, |tried| (asker(&tried.from), "the name service".to_owned())),
        (&report.policy, |tried| (String::new(), tried.to.clone())),
    ];
    for (all, ends) in kinds {
        for tried in all.iter().filter(|tried| !tried.ok) {
            let said = format!("{} port {}: {}", tried.address, tried.port, tried.outcome);
            lines.entry(ends(tried)).or_default().insert(said);
        }
    }
    let line = |((from, to), said): ((String, String), BTreeSet<String>)| {
        let said = said.into_iter().collect::<Vec<_>>().join("; ");
        if from.is_empty() {
            return format!("a NetworkPolicy closes a pod of {to}, and it can be reached: {said}");
        }
        format!("{from} {} not reach {to}: {said}", if from.starts_with("pods") { "do" } else { "does" })
    };
    lines.into_iter().map(line).collect()
}

fn asker(member: &str) -> String {
    let node = node_of(member);
    if member == node { format!("pods of {node}") } else { node.to_owned() }
}

/// What is so by the nature of the network.
fn policy_note(report: &Report, expected: &Expected) -> Option<String> {
    let reachable = report.policy.iter().filter(|tried| tried.outcome == "open").count();
    let network = &report.network;
    match expected.enforces_policies {
        Some(false) if !report.policy.is_empty() => {
            Some(format!("{network} does not enforce NetworkPolicies: pods that one closes can be reached"))
        }
        None if reachable > 0 => Some(format!(
            "{reachable} of {} pods that a NetworkPolicy closes can be reached: the network does not enforce it",
            report.policy.len()
        )),
        None if !report.policy.is_empty() => Some("NetworkPolicies are enforced".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::links::PathMtu;
    use crate::facts::links::Protocol;
    use crate::facts::links::Purpose;

    fn reached(from: &str, to: &str, protocol: Protocol, outcome: Outcome) -> Reached {
        let address = "10.244.1.2".parse().unwrap();
        let probe = Probe {
            from: from.to_owned(),
            to: to.to_owned(),
            address,
            protocol,
            purpose: Purpose::PodNetwork,
        };
        Reached { probe, outcome }
    }

    fn seen() -> Seen {
        let links = Links {
            reached: vec![
                reached("w1", "w2", Protocol::Tcp(10080), Outcome::Open(None)),
                reached("w1", "w2", Protocol::Udp(10081), Outcome::Silent),
                reached("w2", "w1", Protocol::Tcp(10080), Outcome::Open(None)),
                reached("w2", "w1", Protocol::Udp(10081), Outcome::Open(None)),
                reached(
                    "w1 (host)",
                    "w2",
                    Protocol::Tcp(10080),
                    Outcome::Unreachable("No route to host".into()),
                ),
                reached("w1", "open", Protocol::Tcp(80), Outcome::Refused),
                reached("w2", "open", Protocol::Tcp(80), Outcome::Open(None)),
                reached("w1", "w1 (guarded)", Protocol::Tcp(10080), Outcome::Silent),
                reached("w2", "w1 (guarded)", Protocol::Tcp(10080), Outcome::Open(None)),
            ],
            mtus: vec![PathMtu { from: "w1".into(), to: "w2".into(), largest: Some(1450), tried: vec![] }],
            ..Links::default()
        };
        let asked = |from: &str, ok: bool, outcome: &str| Tried {
            from: from.to_owned(),
            to: "kubernetes.default.svc.cluster.local".to_owned(),
            address: "10.96.0.10".to_owned(),
            port: "53/udp".to_owned(),
            ok,
            outcome: outcome.to_owned(),
        };
        Seen {
            links,
            dns: vec![asked("w1", false, "silent"), asked("w2", true, "answered")],
            absent: BTreeMap::from([("w3".to_owned(), "ImagePullBackOff".to_owned())]),
        }
    }

    fn report() -> Report {
        let nodes = ["w1", "w2"].map(str::to_owned).to_vec();
        Report { cluster: "prod".into(), network: "calico".into(), nodes, ..Report::default() }
    }

    #[test]
    fn what_is_not_as_it_should_be_is_listed() {
        let report = report().judged(&seen(), &Expected { enforces_policies: Some(true) });
        let expected = [
            "w3 took no part: ImagePullBackOff",
            "a NetworkPolicy closes a pod of w1, and it can be reached: 10.244.1.2 port 10080/tcp: open",
            "pods of w1 do not reach the name service: 10.96.0.10 port 53/udp: silent",
            "pods of w1 do not reach the service: 10.244.1.2 port 80/tcp: refused",
            "pods of w1 do not reach those of w2: 10.244.1.2 port 10081/udp: silent",
            "w1 does not reach pods of w2: 10.244.1.2 port 10080/tcp: unreachable: No route to host",
        ];
        assert_eq!(report.findings, expected);
        assert!(!report.healthy && report.notes.is_empty());
        let text = report.text();
        let expected = "\
pod network calico of prod: TCP and UDP from pods of each node to those of the others

FROM  w1  w2          SERVICE  DNS         CLOSED BY POLICY
w1    -   udp silent  refused  udp silent  silent, open
w2    ok  -           ok       ok          -

the largest packet between pods: 1450 bytes
wants attention:
  w3 took no part: ImagePullBackOff
  a NetworkPolicy closes a pod of w1, and it can be reached: 10.244.1.2 port 10080/tcp: open
  pods of w1 do not reach the name service: 10.96.0.10 port 53/udp: silent
  pods of w1 do not reach the service: 10.244.1.2 port 80/tcp: refused
  pods of w1 do not reach those of w2: 10.244.1.2 port 10081/udp: silent
  w1 does not reach pods of w2: 10.244.1.2 port 10080/tcp: unreachable: No route to host
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_network_without_policies_is_no_finding() {
        let mut seen = seen();
        seen.absent.clear();
        seen.dns.retain(|tried| tried.ok);
        seen.links.reached.retain(|reached| open(reached) || reached.probe.to == "w1 (guarded)");
        let own = |enforces_policies| report().judged(&seen, &Expected { enforces_policies });
        assert!(own(Some(false)).healthy);
        assert_eq!(own(Some(false)).notes.len(), 1);
        let unknown = own(None);
        assert!(unknown.healthy && unknown.notes[0].starts_with("1 of 2 pods"), "{:?}", unknown.notes);
        assert!(!own(Some(true)).healthy);
    }
}

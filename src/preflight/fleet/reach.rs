//! Ports: whatever will be used must be reached by whoever will use it.

use crate::facts::links::IP_IN_IP;
use crate::facts::links::Outcome;
use crate::facts::links::Protocol;
use crate::facts::links::Purpose;
use crate::facts::links::Reached;
use crate::facts::links::VRRP;
use crate::preflight::Problem;
use crate::preflight::fleet::Between;
use crate::preflight::fleet::Found;
use crate::preflight::fleet::listed;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// What happened, as far as it decides on words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum How {
    Dropped,
    Refused,
    Unreachable(String),
}

pub(super) fn find(between: &Between, protocol: Option<Protocol>) -> Found {
    let Some(protocol) = protocol else { return Found::default() };
    let Some(links) = between.links else {
        return Found { problems: Vec::new(), not_done: vec!["nobody tried".to_owned()] };
    };
    let of_protocol = links.reached.iter().filter(|reached| reached.probe.protocol == protocol);
    let mut blocked: BTreeMap<(&str, Purpose, How), Vec<&Reached>> = BTreeMap::new();
    let mut open: BTreeMap<&str, usize> = BTreeMap::new();
    let mut not_done: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut not_asked: BTreeSet<&str> = BTreeSet::new();
    for reached in of_protocol {
        let probe = &reached.probe;
        // That such a host cannot be asked is told already, and what becomes of packets to it proves nothing.
        let ends = [&probe.from, &probe.to];
        let hosts = if probe.purpose == Purpose::Endpoint { &ends[..1] } else { &ends[..] };
        let missing = hosts.iter().find(|name| !between.facts.contains_key(name.as_str()));
        if let Some(missing) = missing {
            not_asked.insert(missing);
            continue;
        }
        let how = match &reached.outcome {
            Outcome::Open(_) => {
                *open.entry(&probe.to).or_default() += 1;
                continue;
            }
            Outcome::NotDone(why) => {
                not_done.entry(why).or_default().push(&probe.to);
                continue;
            }
            Outcome::Silent => How::Dropped,
            Outcome::Refused => How::Refused,
            Outcome::Unreachable(why) => How::Unreachable(why.clone()),
        };
        blocked.entry((&probe.to, probe.purpose, how)).or_default().push(reached);
    }
    let problems = blocked
        .into_iter()
        .map(|((to, purpose, how), all)| {
            let nobody = !open.contains_key(to);
            problem(between, protocol, Blocked { to, purpose, how, all: &all, nobody })
        })
        .collect();
    let told = |(why, hosts): (&str, Vec<&str>)| {
        let mut hosts = hosts;
        hosts.dedup();
        format!("{} of {}: {why}", protocol, listed(&hosts))
    };
    let mut not_done: Vec<String> = not_done.into_iter().map(told).collect();
    if !not_asked.is_empty() {
        let names: Vec<&str> = not_asked.into_iter().collect();
        not_done.push(format!("not tried with {}, which nobody asked", listed(&names)));
    }
    Found { problems, not_done }
}

struct Blocked<'a> {
    to: &'a str,
    purpose: Purpose,
    how: How,
    all: &'a [&'a Reached],
    /// Not one host reaches it.
    nobody: bool,
}

fn problem(between: &Between, protocol: Protocol, blocked: Blocked) -> Problem {
    let Blocked { to, purpose, how, all, nobody } = blocked;
    let from: Vec<&str> = all.iter().map(|reached| reached.probe.from.as_str()).collect();
    let way = match &how {
        How::Dropped => "packets vanish on the way".to_owned(),
        How::Refused => "it is refused".to_owned(),
        How::Unreachable(why) => why.to_lowercase(),
    };
    let what = match protocol {
        _ if purpose == Purpose::Endpoint => to.to_owned(),
        Protocol::Tcp(_) | Protocol::Udp(_) => format!("port {protocol} of {to}"),
        Protocol::Ip(_) => format!("{to} by {protocol}"),
    };
    let text = format!("{} cannot reach {what}, {}: {way}", listed(&from), purpose.text());
    let problem = match purpose {
        Purpose::PodNetworkMaybe => {
            Problem::warning(format!("{text}; some settings of the network plugin need it"))
        }
        // Nothing stands behind it before the cluster does, so a balancer may refuse.
        Purpose::Endpoint => Problem::warning(text),
        _ => Problem::error(text),
    };
    let problem = problem.repair(repair(between, protocol, to, purpose, &from, nobody));
    let problem = if opens_by_preparing(between, to) { problem.preparable() } else { problem };
    let hosts = from.iter().copied().chain((purpose != Purpose::Endpoint).then_some(to));
    problem.between(hosts)
}

/// Preparation opens the ports of the two firewalls that it knows.
fn opens_by_preparing(between: &Between, to: &str) -> bool {
    let Some(facts) = between.facts.get(to) else { return false };
    facts.checks.is_active("firewalld") || facts.checks.firewall.ufw_enabled
}

fn repair(
    between: &Between,
    protocol: Protocol,
    to: &str,
    purpose: Purpose,
    from: &[&str],
    nobody: bool,
) -> String {
    if purpose == Purpose::Endpoint {
        return "see that the balancer listens and that the hosts may connect to it".to_owned();
    }
    let checks = between.facts.get(to).map(|facts| &facts.checks);
    if checks.is_some_and(|checks| checks.is_active("firewalld")) {
        return match protocol {
            VRRP => format!(
                "on {to}: `firewall-cmd --permanent --add-rich-rule='rule protocol value=\"vrrp\" accept' && firewall-cmd \
                 --reload`"
            ),
            Protocol::Tcp(_) | Protocol::Udp(_) => {
                format!("on {to}: `firewall-cmd --permanent --add-port={protocol} && firewall-cmd --reload`")
            }
            Protocol::Ip(number) => format!(
                "on {to}: `firewall-cmd --permanent --add-rich-rule='rule protocol value=\"{number}\" accept' && \
                 firewall-cmd --reload`"
            ),
        };
    }
    if checks.is_some_and(|checks| checks.firewall.ufw_enabled)
        && matches!(protocol, Protocol::Tcp(_) | Protocol::Udp(_))
    {
        return format!("on {to}: `ufw allow {protocol}`");
    }
    let rules = "`nft list ruleset`, or `iptables -S`";
    let looking = if nobody {
        format!("let it in on {to} (see {rules}), and on what stands between the hosts")
    } else {
        format!(
            "others reach it, so look for a rule about {}: on {to} ({rules}), or on the way",
            listed(from)
        )
    };
    match protocol {
        VRRP | IP_IN_IP => format!("{looking}; many clouds and virtual switches pass only TCP, UDP and ICMP"),
        _ => looking,
    }
}

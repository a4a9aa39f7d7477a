//! How large packets may be on their way, and how long they take.

use crate::cluster::Node;
use crate::facts::Links;
use crate::facts::links::PathMtu;
use crate::facts::links::Protocol;
use crate::facts::links::Purpose;
use crate::preflight::Problem;
use crate::preflight::fleet::Between;
use crate::preflight::fleet::Found;
use crate::preflight::fleet::listed;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

/// etcd's `heartbeat-interval` unless the operator says otherwise, in milliseconds.
const HEARTBEAT: u64 = 100;
/// Where writes become slow enough to be felt: every one waits for a round trip.
const SLOW: Duration = Duration::from_millis(10);

/// Pod networks take the size of packets from the interface that a host uses, so that size must pass.
pub(super) fn mtu(between: &Between, _: Option<Protocol>) -> Found {
    let Some(links) = between.links else { return not_done("nobody tried") };
    let missing = untried(between, links);
    if links.mtus.is_empty() && missing.is_empty() {
        return not_done("no pair has a UDP port of the pod network to send large packets to");
    }
    let mut narrow: BTreeMap<(&str, u32, u32), Vec<&str>> = BTreeMap::new();
    for PathMtu { from, to, largest, tried } in &links.mtus {
        // Where nothing arrives the port is blocked, which is another finding.
        if let (Some(largest), Some(sent)) = (largest, tried.last())
            && largest < sent
        {
            narrow.entry((to, *largest, *sent)).or_default().push(from);
        }
    }
    let problem = |((to, largest, sent), from): ((&str, u32, u32), Vec<&str>)| {
        let text = format!(
            "packets of {sent} bytes from {} to {to} get lost, and the largest that arrive have {largest}: the network of \
             the pods sends as large ones as the interface",
            listed(&from)
        );
        Problem::error(text)
            .repair(format!(
                "set the MTU of the hosts' interfaces to {largest}, or let the network between them pass {sent} bytes"
            ))
            .between(from.iter().copied().chain([to]))
    };
    let told =
        (!missing.is_empty()).then(|| format!("no large packets could be sent to {}", listed(&missing)));
    Found { problems: narrow.into_iter().map(problem).collect(), not_done: told.into_iter().collect() }
}

/// Hosts of the pod network that somebody could not send large packets to, although both were asked.
fn untried<'a>(between: &Between<'a>, links: &'a Links) -> Vec<&'a str> {
    let known: BTreeSet<(&str, &str)> =
        links.mtus.iter().map(|mtu| (mtu.from.as_str(), mtu.to.as_str())).collect();
    let probes = links.reached.iter().map(|reached| &reached.probe);
    let of_pods = probes.filter(|probe| {
        matches!(probe.purpose, Purpose::PodNetwork | Purpose::PodNetworkMaybe)
            && matches!(probe.protocol, Protocol::Udp(_))
    });
    let asked = |name: &String| between.facts.contains_key(name.as_str());
    let open = of_pods
        .filter(|probe| asked(&probe.from) && asked(&probe.to))
        .filter(|probe| !known.contains(&(probe.from.as_str(), probe.to.as_str())));
    open.map(|probe| probe.to.as_str()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// etcd's tuning guide: heartbeats about as often as a round trip between members takes, elections ten times that.
pub(super) fn etcd(between: &Between, _: Option<Protocol>) -> Found {
    let members: Vec<&Node> = between.cluster.etcd_members().collect();
    if members.len() < 2 {
        return Found::default();
    }
    let Some(links) = between.links else { return not_done("nobody measured") };
    let heartbeat = Duration::from_millis(heartbeat(between));
    let mut found = Found::default();
    for (index, one) in members.iter().enumerate() {
        for other in &members[index + 1..] {
            let Some(latency) = links.latency(&one.name, &other.name) else {
                found
                    .not_done
                    .push(format!("no round trip between {} and {} is known", one.name, other.name));
                continue;
            };
            found.problems.extend(judge(&one.name, &other.name, latency, heartbeat));
        }
    }
    found
}

fn judge(one: &str, other: &str, latency: Duration, heartbeat: Duration) -> Option<Problem> {
    let text =
        format!("a round trip between {one} and {other} takes {:.1} ms", latency.as_secs_f64() * 1000.0);
    let problem = if latency > heartbeat {
        let limit = heartbeat.as_millis();
        Problem::error(format!(
            "{text}, longer than etcd's heartbeat interval of {limit} ms: etcd would lose its leader"
        ))
        .repair(
            "put the members nearer to each other, or raise `heartbeat-interval` and `election-timeout` in \
                     `etcd.local.extraArgs`",
        )
    } else if latency > SLOW {
        Problem::warning(format!("{text}, and every write to etcd waits for one"))
            .repair("put etcd's members within 10 ms of each other")
    } else {
        return None;
    };
    Some(problem.between([one, other]))
}

fn heartbeat(between: &Between) -> u64 {
    let local = between.cluster.configuration.etcd.local.iter();
    let mut args = local.flat_map(|local| &local.extra_args).filter(|arg| arg.name == "heartbeat-interval");
    args.next_back().and_then(|arg| arg.value.parse().ok()).unwrap_or(HEARTBEAT)
}

fn not_done(why: &str) -> Found {
    Found { problems: Vec::new(), not_done: vec![why.to_owned()] }
}

//! The address that moves between balancers: on their link, and nobody else's.

use crate::facts::links::Protocol;
use crate::facts::links::Seen;
use crate::facts::links::Wanted;
use crate::preflight::Problem;
use crate::preflight::fleet::Between;
use crate::preflight::fleet::Found;
use crate::preflight::fleet::listed;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What VRRP routers take for the addresses that they hold, RFC 9568.
const VRRP_MAC: &str = "00:00:5e:00:0";

/// The address and who is to hold it.
fn vip(between: &Between) -> Option<(IpAddr, Vec<String>)> {
    let (endpoint, holders) = Wanted::of(between.cluster).vip?;
    Some((endpoint.host.parse().ok()?, holders))
}

/// It is announced by ARP (or neighbour discovery), which reaches no further than a link.
pub(super) fn subnet(between: &Between, _: Option<Protocol>) -> Found {
    let Some((vip, holders)) = vip(between) else { return Found::default() };
    let off_link = |name: &&String| {
        let facts = between.facts.get(name.as_str());
        facts.is_some_and(|facts| !facts.checks.routes.is_empty() && facts.checks.link_of(vip).is_none())
    };
    let off: Vec<&str> = holders.iter().filter(off_link).map(String::as_str).collect();
    if off.is_empty() {
        return Found::default();
    }
    let text =
        format!("the endpoint's address {vip} is on no network of {}, which could not hold it", listed(&off));
    let repair =
        "choose an address of the network that all balancers are on, or provider `node-local` or `external`";
    vec![Problem::error(text).repair(repair).between(off)].into()
}

pub(super) fn available(between: &Between, _: Option<Protocol>) -> Found {
    let Some((vip, balancers)) = vip(between) else { return Found::default() };
    let holders: Vec<&str> = between
        .hosts()
        .filter(|(_, facts)| facts.addresses.contains(&vip))
        .map(|(node, _)| node.name.as_str())
        .collect();
    match holders[..] {
        [holder] if balancers.iter().any(|name| name == holder) => return Found::default(),
        [holder] => {
            let text = format!("the endpoint's address {vip} is {holder}'s, which is no balancer");
            let repair = format!("`ip address del {vip} dev …` on {holder}, or choose another address");
            return vec![Problem::error(text).repair(repair).between([holder])].into();
        }
        [] => {}
        _ => {
            let text = format!("{} hold the endpoint's address {vip} at the same time", listed(&holders));
            let repair = "see that VRRP passes between them; `systemctl restart keepalived` on all but one";
            return vec![Problem::error(text).repair(repair).between(holders)].into();
        }
    }
    let Some(seen) = between.links.and_then(|links| links.vip.as_ref()) else {
        return Found {
            problems: Vec::new(),
            not_done: vec![format!("nobody looked whether {vip} is free")],
        };
    };
    held_by_others(between, vip, &balancers, &seen.seen)
}

fn held_by_others(
    between: &Between,
    vip: IpAddr,
    balancers: &[String],
    seen: &BTreeMap<String, Seen>,
) -> Found {
    let macs: Vec<&str> = seen.values().filter_map(|seen| seen.mac.as_deref()).collect();
    let answered: Vec<&str> = seen
        .iter()
        .filter(|(_, seen)| seen.answers || seen.mac.is_some())
        .map(|(name, _)| name.as_str())
        .collect();
    let is_balancer =
        |mac: &&str| host_with(between, mac).is_some_and(|host| balancers.iter().any(|name| name == host));
    // A run that was cut off may have started keepalived there since the host was asked.
    let ours = !macs.is_empty() && macs.iter().all(is_balancer);
    if answered.is_empty() || ours {
        return Found::default();
    }
    let owner = macs.first().map(|mac| match host_with(between, mac) {
        Some(host) => format!(" (hardware address {mac}, of {host})"),
        None if mac.to_lowercase().starts_with(VRRP_MAC) => {
            format!(" (hardware address {mac}: another VRRP router)")
        }
        None => format!(" (hardware address {mac})"),
    });
    let text =
        format!("somebody answers at the endpoint's address {vip} already{}", owner.unwrap_or_default());
    let repair =
        "choose an address that is free, or find who has it: `ip neigh show` on a host of that network";
    vec![Problem::error(text).repair(repair).between(answered)].into()
}

fn host_with<'a>(between: &Between<'a>, mac: &str) -> Option<&'a str> {
    let has = |facts: &crate::facts::HostFacts| {
        facts.checks.nics.values().any(|nic| nic.mac.eq_ignore_ascii_case(mac))
    };
    between.hosts().find(|(_, facts)| has(facts)).map(|(node, _)| node.name.as_str())
}

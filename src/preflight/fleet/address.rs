//! The addresses in the file: are they the hosts'?

use crate::facts::links::Protocol;
use crate::preflight::Problem;
use crate::preflight::fleet::Between;
use crate::preflight::fleet::Found;
use std::net::IpAddr;

/// etcd and the kubelet bind to it; only an API server alone may stand behind a translation.
pub(super) fn on_the_host(between: &Between, _: Option<Protocol>) -> Found {
    let mut problems = Vec::new();
    for (node, facts) in between.hosts() {
        let address = node.advertise_address;
        if facts.addresses.is_empty() || facts.addresses.contains(&address) {
            continue;
        }
        let whose = between.hosts().find(|(_, other)| other.addresses.contains(&address));
        let text = match whose {
            Some((other, _)) => {
                format!("{} has not the address {address}: it is {}'s", node.name, other.name)
            }
            None => format!("no interface of {} has the address {address}", node.name),
        };
        let own = facts.checks.default_addresses.first();
        let own = own.map_or_else(|| "see `ip address`".to_owned(), |own| format!("it has {own}"));
        let repair = format!("correct `address` of {} in the file ({own})", node.name);
        problems.push(Problem::error(text).repair(repair).between([node.name.as_str()]));
    }
    problems.into()
}

/// What the host takes for connections that nobody gave an address for; network plugins look there first.
pub(super) fn of_the_default_route(between: &Between, _: Option<Protocol>) -> Found {
    let mut problems = Vec::new();
    for (node, facts) in between.hosts() {
        let address = node.advertise_address;
        let same = |other: &&IpAddr| other.is_ipv4() == address.is_ipv4();
        let default: Vec<&IpAddr> = facts.checks.default_addresses.iter().filter(same).collect();
        if let [first, ..] = default[..]
            && !default.contains(&&address)
            && facts.addresses.contains(&address)
        {
            let text = format!("{} uses {address}, and its default route leaves from {first}", node.name);
            problems.push(Problem::note(text).between([node.name.as_str()]));
        }
    }
    problems.into()
}

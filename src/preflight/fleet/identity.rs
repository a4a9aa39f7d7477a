//! Hosts that were copied from one another: Kubernetes needs unique host names, MAC addresses and product UUIDs
//! (kubeadm's installation guide), systemd and network plugins unique machine ids.

use crate::facts::HostFacts;
use crate::facts::links::Protocol;
use crate::preflight::Problem;
use crate::preflight::fleet::Between;
use crate::preflight::fleet::Found;
use crate::preflight::fleet::listed;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// What may be the same on two hosts and should not.
struct Identity {
    name: &'static str,
    of: fn(&HostFacts) -> BTreeSet<String>,
    /// Whether two hosts that share it disturb each other.
    fatal: bool,
    repair: &'static str,
}

const IDENTITIES: [Identity; 4] = [
    Identity {
        name: "machine id",
        of: machine_id,
        fatal: true,
        repair: "`rm -f /etc/machine-id /var/lib/dbus/machine-id && systemd-machine-id-setup`, then reboot",
    },
    Identity {
        name: "MAC address",
        of: macs,
        fatal: true,
        repair: "give each virtual machine a network card with an address of its own",
    },
    Identity {
        name: "SSH host key",
        of: ssh_keys,
        fatal: false,
        repair: "`rm /etc/ssh/ssh_host_*_key* && ssh-keygen -A && systemctl restart ssh` (`sshd` on some systems)",
    },
    Identity {
        name: "product UUID",
        of: product_uuid,
        fatal: false,
        repair: "let the hypervisor give each machine a UUID of its own (hardware that has none of its own can be ignored)",
    },
];

/// Words of makers who left the field empty.
const NO_UUIDS: [&str; 4] = ["00000000", "ffffffff", "03000200-0400-0500-0006-000700080009", "not s"];

fn machine_id(facts: &HostFacts) -> BTreeSet<String> {
    facts.checks.machine_id.iter().filter(|id| *id != "uninitialized").cloned().collect()
}

fn product_uuid(facts: &HostFacts) -> BTreeSet<String> {
    let uuid = facts.checks.product_uuid.iter().map(|uuid| uuid.to_lowercase());
    uuid.filter(|uuid| !NO_UUIDS.iter().any(|none| uuid.starts_with(none))).collect()
}

/// Only of interfaces that lead to other hosts: bridges and tunnels of container runtimes may look the same everywhere.
fn macs(facts: &HostFacts) -> BTreeSet<String> {
    let checks = &facts.checks;
    let by_default = checks.default_routes.iter().map(|route| route.interface.as_str());
    let by_link = facts.addresses.iter().filter(|address| !address.is_loopback());
    let of_default: BTreeSet<&str> = by_default.collect();
    let names = by_link
        .filter(|address| checks.default_addresses.contains(address))
        .filter_map(|address| checks.link_of(*address))
        .chain(of_default);
    let macs = names.filter_map(|name| checks.nics.get(name)).map(|nic| nic.mac.to_lowercase());
    macs.filter(|mac| !mac.is_empty()).collect()
}

fn ssh_keys(facts: &HostFacts) -> BTreeSet<String> {
    facts.checks.ssh_host_keys.clone()
}

/// One finding for all hosts that are copies of one another, whatever shows it.
pub(super) fn clones(between: &Between, _: Option<Protocol>) -> Found {
    let mut shared: BTreeMap<usize, BTreeSet<Vec<&str>>> = BTreeMap::new();
    for (index, identity) in IDENTITIES.iter().enumerate() {
        let mut holders: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (node, facts) in between.hosts() {
            for value in (identity.of)(facts) {
                holders.entry(value).or_default().push(&node.name);
            }
        }
        let several = holders.into_values().filter(|hosts| hosts.len() > 1);
        shared.entry(index).or_default().extend(several);
    }
    let groups = united(shared.values().flatten());
    groups.iter().map(|group| clone_of(group, &shared)).collect::<Vec<_>>().into()
}

/// Groups that have a host in common are one.
fn united<'a: 'b, 'b>(groups: impl Iterator<Item = &'b Vec<&'a str>>) -> Vec<BTreeSet<&'a str>> {
    let mut united: Vec<BTreeSet<&str>> = Vec::new();
    for group in groups {
        let mut whole: BTreeSet<&str> = group.iter().copied().collect();
        let (touching, mut apart): (Vec<_>, Vec<_>) =
            united.into_iter().partition(|other| !other.is_disjoint(&whole));
        whole.extend(touching.into_iter().flatten());
        apart.push(whole);
        united = apart;
    }
    united
}

fn clone_of(group: &BTreeSet<&str>, shared: &BTreeMap<usize, BTreeSet<Vec<&str>>>) -> Problem {
    let of_group = |index: usize| shared[&index].iter().find(|hosts| group.contains(hosts[0]));
    let found: Vec<(&Identity, &Vec<&str>)> = IDENTITIES
        .iter()
        .enumerate()
        .filter_map(|(index, identity)| Some((identity, of_group(index)?)))
        .collect();
    let what: Vec<String> = found
        .iter()
        .map(|(identity, hosts)| {
            let of = if hosts.len() == group.len() { String::new() } else { format!(" ({})", listed(hosts)) };
            format!("{}{of}", identity.name)
        })
        .collect();
    let names: Vec<&str> = group.iter().copied().collect();
    let what: Vec<&str> = what.iter().map(String::as_str).collect();
    let text = format!("{} look like copies of one host: the same {}", listed(&names), listed(&what));
    let fatal = found.iter().any(|(identity, _)| identity.fatal);
    let problem = if fatal { Problem::error(text) } else { Problem::warning(text) };
    let repairs: Vec<String> =
        found.iter().map(|(identity, _)| format!("{}: {}", identity.name, identity.repair)).collect();
    let all_but_one = format!("on all of them but one: {}", repairs.join("; "));
    problem.repair(all_but_one).between(group.iter().copied())
}

pub(super) fn hostnames(between: &Between, _: Option<Protocol>) -> Found {
    let groups = between.grouped(|facts| Some(facts.hostname.clone()).filter(|name| !name.is_empty()));
    let several = groups.into_iter().filter(|(_, hosts)| hosts.len() > 1);
    let problem = |(name, hosts): (String, Vec<&str>)| {
        Problem::error(format!("{} all call themselves \"{name}\"", listed(&hosts)))
            .repair("`hostnamectl set-hostname NAME` on each of them, with the name in the file")
            .between(hosts)
    };
    several.map(problem).collect::<Vec<_>>().into()
}

/// The kubelet is told its node's name, so this only surprises people.
pub(super) fn names_in_the_file(between: &Between, _: Option<Protocol>) -> Found {
    let differs = between.nodes().filter(|(node, facts)| {
        let short = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
        !facts.hostname.is_empty()
            && facts.hostname != node.registered_name()
            && short(&facts.hostname) != short(node.registered_name())
    });
    let problem = |(node, facts): (&crate::cluster::Node, &HostFacts)| {
        let name = node.registered_name();
        Problem::warning(format!("{name} calls itself \"{}\"", facts.hostname))
            .repair(format!(
                "`hostnamectl set-hostname {name}`, or correct the name or the address in the file"
            ))
            .between([node.name.as_str()])
    };
    differs.map(problem).collect::<Vec<_>>().into()
}

//! Addresses, routes, listening sockets, firewalls, names.

use super::Answers;
use super::assigned;
use crate::facts::InterfaceAddress;
use crate::facts::checks::DefaultRoute;
use crate::facts::checks::Firewall;
use crate::facts::checks::Listener;
use crate::facts::checks::Nic;
use crate::facts::checks::Process;
use crate::facts::checks::Route;
use ipnet::Ipv4Net;
use ipnet::Ipv6Net;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

const NET_CLASS: &str = "/sys/class/net/";
/// Of an interface that has none, such as `lo`.
const NO_MAC: &str = "00:00:00:00:00:00";
const MAC_LENGTH: usize = NO_MAC.len();

/// Every address and the interface that has it, where that is known.
pub(in crate::facts) fn addresses(answers: &Answers) -> Vec<InterfaceAddress> {
    let by_tool: Vec<_> = answers.all("ip").filter_map(ip_line).collect();
    if !by_tool.is_empty() {
        return by_tool;
    }
    let of_trie = |address: Ipv4Addr| {
        let route = route_to(answers, address);
        InterfaceAddress {
            interface: route.as_ref().map(|route| route.interface.to_owned()).unwrap_or_default(),
            address: address.into(),
            prefix: route.map(|route| u8::try_from(route.mask.count_ones()).expect("an address has 32 bits")),
        }
    };
    let fourth = trie_addresses(answers).into_iter().map(of_trie);
    fourth.chain(answers.all("/proc/net/if_inet6").filter_map(inet6_line)).collect()
}

/// `4: eth0    inet 192.0.2.2/24 brd … scope global eth0`.
fn ip_line(line: &str) -> Option<InterfaceAddress> {
    let mut words = line.split_whitespace().skip(1);
    let interface = words.next()?;
    words.find(|word| word.starts_with("inet"))?;
    let word = words.next()?;
    // An address of a point-to-point link is followed by its peer's, which has the length.
    let (address, length) = word.split_once('/').unwrap_or((word, ""));
    let (address, prefix) = (address.parse().ok()?, length.parse().ok());
    Some(InterfaceAddress { interface: interface.to_owned(), address, prefix })
}

/// `fd000000000000000000000000000002 04 40 00 82     eth0`.
fn inet6_line(line: &str) -> Option<InterfaceAddress> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let address = u128::from_str_radix(words.first()?, 16).ok()?;
    Some(InterfaceAddress {
        interface: (*words.get(5)?).to_owned(),
        address: Ipv6Addr::from_bits(address).into(),
        prefix: u8::from_str_radix(words.get(2)?, 16).ok(),
    })
}

/// The kernel's routing trie names an address of the host by `/32 host LOCAL` below it.
fn trie_addresses(answers: &Answers) -> BTreeSet<Ipv4Addr> {
    let mut addresses = BTreeSet::new();
    let mut last: Option<Ipv4Addr> = None;
    for line in answers.all("/proc/net/fib_trie") {
        if let Some(address) = line.trim().strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line.trim().starts_with("/32 host LOCAL") {
            addresses.extend(last);
        }
    }
    addresses
}

/// A line of `/proc/net/route`: addresses are in the machine's byte order.
struct Row<'a> {
    interface: &'a str,
    destination: u32,
    gateway: u32,
    metric: u32,
    mask: u32,
}

fn route(line: &str) -> Option<Row<'_>> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let hex = |at: usize| Some(u32::from_str_radix(fields.get(at)?, 16).ok()?.swap_bytes());
    Some(Row {
        interface: fields.first()?,
        destination: hex(1)?,
        gateway: hex(2)?,
        metric: fields.get(6)?.parse().ok()?,
        mask: hex(7)?,
    })
}

fn route_to<'a>(answers: &Answers<'a>, address: Ipv4Addr) -> Option<Row<'a>> {
    let routes = answers.all("/proc/net/route").filter_map(route);
    routes
        .filter(|route| route.mask != 0 && address.to_bits() & route.mask == route.destination)
        .max_by_key(|route| route.mask)
}

/// Default routes, the preferred ones first.
pub(in crate::facts) fn default_routes(answers: &Answers) -> Vec<DefaultRoute> {
    let fourth =
        answers.all("/proc/net/route").filter_map(route).filter(|route| route.mask == 0).map(|route| {
            DefaultRoute { interface: route.interface.to_owned(), metric: route.metric, ipv6: false }
        });
    let mut routes: Vec<DefaultRoute> =
        fourth.chain(answers.all("/proc/net/ipv6_route").filter_map(default_route6)).collect();
    routes.sort_by_key(|route| (route.ipv6, route.metric));
    routes
}

/// Fields: destination, its length, source, its length, next hop, metric, …, interface. A route without a next
/// hop on `lo` is the kernel's "unreachable".
fn default_route6(line: &str) -> Option<DefaultRoute> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let interface = *fields.get(9)?;
    let is_default = fields[0].bytes().all(|byte| byte == b'0') && fields[1] == "00" && interface != "lo";
    let metric = u32::from_str_radix(fields[5], 16).ok()?;
    is_default.then(|| DefaultRoute { interface: interface.to_owned(), metric, ipv6: true })
}

/// What the main table says beside default routes. Of IPv6 the kernel also shows what it keeps for itself: its own
/// addresses, loopback, link-local and multicast networks.
pub(in crate::facts) fn routes(answers: &Answers) -> Vec<Route> {
    let fourth =
        answers.all("/proc/net/route").filter_map(route).filter(|row| row.mask != 0).filter_map(|row| {
            let prefix = Ipv4Net::with_netmask(row.destination.into(), row.mask.into()).ok()?;
            let via = (row.gateway != 0).then(|| Ipv4Addr::from_bits(row.gateway).into());
            Some(Route { network: prefix.into(), interface: row.interface.to_owned(), via })
        });
    let mut routes: Vec<Route> =
        fourth.chain(answers.all("/proc/net/ipv6_route").filter_map(route6)).collect();
    routes.sort_by(|a, b| (a.network, &a.interface).cmp(&(b.network, &b.interface)));
    routes.dedup();
    routes
}

fn route6(line: &str) -> Option<Route> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let address = |at: usize| Some(Ipv6Addr::from_bits(u128::from_str_radix(fields.get(at)?, 16).ok()?));
    let (network, length) = (address(0)?, u8::from_str_radix(fields.get(1)?, 16).ok()?);
    let own =
        *fields.get(9)? == "lo" || length == 0 || network.is_multicast() || network.is_unicast_link_local();
    let via = address(4).filter(|via| !via.is_unspecified());
    let network = Ipv6Net::new(network, length).ok()?;
    (!own).then(|| Route {
        network: network.into(),
        interface: fields[9].to_owned(),
        via: via.map(IpAddr::from),
    })
}

/// Addresses that others can use, of the interfaces with a default route.
pub(in crate::facts) fn default_addresses(
    routes: &[DefaultRoute],
    addresses: &[InterfaceAddress],
) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for route in routes {
        let of_route = addresses.iter().filter(|found| {
            found.interface == route.interface
                && found.address.is_ipv6() == route.ipv6
                && is_global(found.address)
        });
        found.extend(of_route.map(|found| found.address));
    }
    found.dedup();
    found
}

/// What Go calls a global unicast address (private ranges are), without loopback.
fn is_global(address: IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !(link_local || address.is_unspecified() || address.is_loopback() || address.is_multicast())
}

pub(in crate::facts) fn interfaces(answers: &Answers) -> BTreeSet<String> {
    answers.all("interface").map(str::to_owned).collect()
}

/// `/sys/class/net/eth0/address:52:54:00:12:34:56` and `…/mtu:1500`.
pub(in crate::facts) fn nics(answers: &Answers) -> BTreeMap<String, Nic> {
    let mut nics: BTreeMap<String, Nic> = BTreeMap::new();
    for (path, value) in answers.under(NET_CLASS) {
        let Some((name, what)) = path[NET_CLASS.len()..].split_once('/') else { continue };
        let nic = nics.entry(name.to_owned()).or_default();
        match what {
            "address" if value.len() == MAC_LENGTH && value != NO_MAC => value.clone_into(&mut nic.mac),
            "mtu" => nic.mtu = value.parse().unwrap_or_default(),
            _ => {}
        }
    }
    nics
}

/// One listener for each port; one whose process is known is preferred.
pub(in crate::facts) fn listeners(answers: &Answers) -> Vec<Listener> {
    let kernel = ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().flat_map(|file| answers.all(file));
    let mut by_port: BTreeMap<u16, Option<Process>> = BTreeMap::new();
    for (port, process) in answers.all("ss").filter_map(ss_line).chain(kernel.filter_map(proc_line)) {
        let known = by_port.entry(port).or_default();
        *known = known.take().or(process);
    }
    by_port.into_iter().map(|(port, process)| Listener { port, process }).collect()
}

/// `LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=1,fd=3))`.
fn ss_line(line: &str) -> Option<(u16, Option<Process>)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let port = fields.get(3)?.rsplit(':').next()?.parse().ok()?;
    Some((port, fields.get(5).and_then(|users| process(users))))
}

fn process(users: &str) -> Option<Process> {
    let (name, rest) = users.strip_prefix("users:((\"")?.split_once('"')?;
    let id = rest.strip_prefix(",pid=")?.split(',').next()?.parse().ok()?;
    Some(Process { id, name: name.to_owned() })
}

/// `0: 00000000:192B 00000000:0000 0A …` of `/proc/net/tcp`, where state 0A is listening.
fn proc_line(line: &str) -> Option<(u16, Option<Process>)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let port = u16::from_str_radix(fields.get(1)?.split(':').nth(1)?, 16).ok()?;
    (*fields.get(3)? == "0A").then_some((port, None))
}

pub(in crate::facts) fn firewall(answers: &Answers) -> Firewall {
    let drops = answers.all("chain").any(|line| line.contains("hook input") && line.contains("policy drop"));
    let ufw = |name| assigned(answers.all("/etc/ufw/ufw.conf"), name);
    let policy = assigned(answers.all("/etc/default/ufw"), "DEFAULT_INPUT_POLICY");
    Firewall {
        firewalld_open: firewalld_open(answers),
        ufw_enabled: ufw("ENABLED") == Some("yes"),
        ufw_default_allow: policy == Some("ACCEPT"),
        ufw_open: ufw_open(answers),
        input_dropped: drops || answers.all("iptables").any(|line| line.starts_with(":INPUT DROP")),
    }
}

/// What the default zone opens for good; firewalld's own file of the zone `public` counts until there is a local one.
fn firewalld_open(answers: &Answers) -> Option<BTreeSet<String>> {
    let zone = assigned(answers.all("/etc/firewalld/firewalld.conf"), "DefaultZone")?;
    let local = format!("/etc/firewalld/zones/{zone}.xml");
    let file =
        if answers.first(&local).is_some() { local } else { format!("/usr/lib/firewalld/zones/{zone}.xml") };
    Some(answers.all(&file).filter_map(opened).collect())
}

/// `<port port="6443" protocol="tcp"/>` or `<service name="kube-apiserver"/>`.
fn opened(line: &str) -> Option<String> {
    let attribute = |name: &str| {
        let (_, rest) = line.split_once(&format!(" {name}=\""))?;
        rest.split('"').next()
    };
    if line.trim_start().starts_with("<service") {
        return attribute("name").map(str::to_owned);
    }
    if line.trim_start().starts_with("<protocol") {
        return attribute("value").map(|name| format!("protocol/{name}"));
    }
    Some(format!("{}/{}", attribute("port")?, attribute("protocol")?))
}

/// `### tuple ### allow tcp 6443 0.0.0.0/0 any 0.0.0.0/0 in`: only rules open to everybody count.
fn ufw_open(answers: &Answers) -> BTreeSet<String> {
    let lines =
        ["/etc/ufw/user.rules", "/etc/ufw/user6.rules"].into_iter().flat_map(|file| answers.all(file));
    let opened = lines.filter_map(|line| {
        let words: Vec<&str> = line.strip_prefix("### tuple ### ")?.split_whitespace().collect();
        let [action, protocol, ports, "0.0.0.0/0" | "::/0", "any", "0.0.0.0/0" | "::/0", ..] = words[..]
        else {
            return None;
        };
        let ports = ports.replace(':', "-");
        (action == "allow")
            .then(|| ports.split(',').map(|port| format!("{port}/{protocol}")).collect::<Vec<_>>())
    });
    opened.flatten().collect()
}

pub(in crate::facts) fn names(answers: &Answers) -> BTreeMap<String, Vec<IpAddr>> {
    let mut names: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
    for line in answers.all("name") {
        let mut words = line.split_whitespace();
        let Some(name) = words.next() else { continue };
        let found = names.entry(name.to_owned()).or_default();
        let address = words.next().and_then(|word| word.parse().ok());
        found.extend(address.filter(|address| !found.contains(address)).into_iter().collect::<Vec<_>>());
    }
    names
}

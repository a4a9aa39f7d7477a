//! What the look at a cluster's footprint says.

use super::Answers;
use super::system;
use crate::facts::footprint::FileKind;
use crate::facts::footprint::FileState;
use crate::facts::footprint::Snapshot;
use crate::facts::footprint::Table;
use crate::facts::footprint::Traces;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::net::Ipv4Addr;

/// The programs that tell a packet filter, one for each interface of the kernel that a host's tools use.
const FILTERS: [&str; 6] =
    ["iptables-nft", "ip6tables-nft", "iptables-legacy", "ip6tables-legacy", "iptables", "ip6tables"];

pub(in crate::facts) fn snapshot(answers: &Answers, watched: BTreeSet<String>) -> Snapshot {
    let set = |key| answers.all(key).map(str::to_owned).collect::<BTreeSet<String>>();
    let modules = module_users(answers);
    Snapshot {
        version: 0,
        taken: String::new(),
        watched,
        entries: entries(answers),
        interfaces: set("interface"),
        filters: FILTERS
            .iter()
            .map(|program| ((*program).to_owned(), tables(answers.all(program))))
            .filter(|(_, tables)| !tables.is_empty())
            .collect(),
        nft_tables: nft_tables(answers),
        ip_sets: set("ipset"),
        virtual_servers: answers.all("/proc/net/ip_vs").filter_map(virtual_server).collect(),
        mounts: answers.all("mountinfo").filter_map(mount_point).collect(),
        sysctls: sysctls(answers),
        modules: answers.has("modules", "known").then(|| modules.into_keys().collect()),
        services: system::services(answers)
            .into_iter()
            .map(|(name, service)| (name, service.enabled))
            .collect(),
        cgroups: set("cgroup"),
    }
}

pub(in crate::facts) fn traces(answers: &Answers) -> Traces {
    let mut ports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (bridge, port) in answers.all("port").filter_map(|line| line.split_once(' ')) {
        ports.entry(bridge.to_owned()).or_default().insert(port.to_owned());
    }
    Traces {
        kubelet_directory: answers.first("kubelet").unwrap_or("/var/lib/kubelet").to_owned(),
        ports,
        virtual_addresses: answers.all("virtual-address").filter_map(address).collect(),
        namespaces: namespaces(answers),
        running: system::services(answers)
            .into_iter()
            .filter(|(_, service)| service.active == Some(true))
            .map(|(name, _)| name)
            .collect(),
        pod_processes: answers.all("process").count(),
        networks: networks(answers),
        leases: answers
            .all("lease")
            .filter_map(|line| line.split_once(':'))
            .map(|(container, path)| (path.to_owned(), container.trim().to_owned()))
            .collect(),
        flannel_networks: answers.all("flannel-network").filter_map(|text| text.parse().ok()).collect(),
        routes: answers.all("route").map(|line| line.trim().to_owned()).collect(),
        module_users: module_users(answers),
        programs: answers.all("program").map(str::to_owned).collect(),
    }
}

/// `755 0 0 directory:/etc/kubernetes`, as `stat` prints it.
fn entries(answers: &Answers) -> BTreeMap<String, FileState> {
    let digests: BTreeMap<&str, &str> = answers
        .all("digest")
        .filter_map(|line| line.split_once("  "))
        .map(|(sum, path)| (path, sum))
        .collect();
    let parse = |line: &str| {
        let (said, path) = line.split_once(':')?;
        let mut words = said.splitn(4, ' ');
        let mode = words.next()?.to_owned();
        let owner = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let kind = match words.next()? {
            "directory" => FileKind::Directory,
            "symbolic link" => FileKind::Link,
            "regular file" | "regular empty file" => FileKind::File,
            _ => FileKind::Other,
        };
        let digest = digests.get(path).map(|sum| format!("sha256:{sum}"));
        Some((path.to_owned(), FileState { kind, mode, owner, digest }))
    };
    answers.all("entry").filter_map(parse).collect()
}

/// The lines of `nft list chains`: `table ip nat {`, and the chains of it indented.
fn nft_tables(answers: &Answers) -> BTreeMap<String, BTreeSet<String>> {
    let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut name = String::new();
    for line in answers.all("nft").filter_map(|line| line.strip_suffix('{')) {
        if let Some(table) = line.strip_prefix("table ") {
            table.trim().clone_into(&mut name);
            tables.entry(name.clone()).or_default();
        } else if let (Some(chain), Some(chains)) =
            (line.trim().strip_prefix("chain "), tables.get_mut(&name))
        {
            chains.insert(chain.trim().to_owned());
        }
    }
    tables
}

/// The tables in what `iptables-save` prints.
pub(in crate::facts) fn tables<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeMap<String, Table> {
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    let mut name = String::new();
    for line in lines {
        if let Some(table) = line.strip_prefix('*') {
            table.trim().clone_into(&mut name);
            tables.entry(name.clone()).or_default();
            continue;
        }
        let Some(table) = tables.get_mut(&name) else { continue };
        if let Some(chain) = line.strip_prefix(':') {
            let mut words = chain.split_whitespace();
            match (words.next(), words.next()) {
                (Some(chain), Some("-")) => drop(table.chains.insert(chain.to_owned())),
                (Some(chain), Some(policy)) => {
                    table.policies.insert(chain.to_owned(), policy.to_owned());
                }
                _ => {}
            }
        } else if let Some(at) = line.find("-A ").filter(|at| *at == 0 || line.starts_with('[')) {
            table.rules.push(line[at..].trim_end().to_owned());
        }
    }
    tables
}

/// `TCP  0A600001:01BB rr`, or `TCP  [fd00:0000:…:0001]:01BB rr`. Marks of the packet filter have no address.
fn virtual_server(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let protocol = words.next().filter(|word| ["TCP", "UDP", "SCTP"].contains(word))?.to_lowercase();
    let (address, port) = words.next()?.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    if let Some(address) = address.strip_prefix('[') {
        let address: IpAddr = address.trim_end_matches(']').parse().ok()?;
        return Some(format!("{protocol} [{address}]:{port}"));
    }
    let address = Ipv4Addr::from(u32::from_str_radix(address, 16).ok()?);
    Some(format!("{protocol} {address}:{port}"))
}

/// The fifth field; a blank in it is written as `\040`.
fn mount_point(line: &str) -> Option<String> {
    let field = line.split(' ').nth(4)?;
    Some(
        ["\\040", "\\011", "\\012", "\\134"]
            .iter()
            .zip([" ", "\t", "\n", "\\"])
            .fold(field.to_owned(), |text, (written, meant)| text.replace(written, meant)),
    )
}

fn sysctls(answers: &Answers) -> BTreeMap<String, String> {
    let names = answers.under("/proc/sys/");
    names
        .map(|(path, value)| {
            (path.trim_start_matches("/proc/sys/").replace('/', "."), value.trim().replace('\t', " "))
        })
        .collect()
}

/// `overlay 151552 6 - Live 0x0`.
fn module_users(answers: &Answers) -> BTreeMap<String, u32> {
    let parse = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.nth(1)?.parse().ok()?))
    };
    answers.all("/proc/modules").filter_map(parse).collect()
}

/// `3: kube-ipvs0    inet 10.96.0.1/32 scope global kube-ipvs0`.
fn address(line: &str) -> Option<String> {
    let mut words = line.split_whitespace().skip_while(|word| !["inet", "inet6"].contains(word));
    let address = words.nth(1)?;
    Some(address.split('/').next().unwrap_or(address).to_owned())
}

fn namespaces(answers: &Answers) -> BTreeMap<String, bool> {
    let used: BTreeSet<&str> = answers.all("namespace-used").collect();
    let parse = |line: &str| {
        let (inode, path) = line.split_once(' ')?;
        Some((path.to_owned(), used.contains(inode)))
    };
    answers.all("namespace").filter_map(parse).collect()
}

/// The names of the networks that the files of the CNI describe.
fn networks(answers: &Answers) -> BTreeMap<String, String> {
    let paths: BTreeSet<&str> = answers.under("/etc/cni/net.d/").map(|(path, _)| path).collect();
    let name = |path: &str| {
        let value: Value = serde_json::from_str(&answers.text(path)).ok()?;
        Some(value.get("name")?.as_str()?.to_owned())
    };
    paths.into_iter().map(|path| (path.to_owned(), name(path).unwrap_or_default())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_tables_of_packet_filters() {
        let text = "# Generated by iptables-save\n*filter\n:INPUT ACCEPT [10:20]\n:FORWARD DROP [0:0]\n:KUBE-A - [0:0]\n\
                    [3:4] -A INPUT -j KUBE-A\n-A KUBE-A -m comment --comment \"a -A b\" -j DROP\nCOMMIT\n*nat\nCOMMIT\n";
        let tables = tables(text.lines());
        let filter = &tables["filter"];
        assert_eq!(filter.policies["FORWARD"], "DROP");
        assert_eq!(filter.chains, ["KUBE-A".to_owned()].into());
        assert_eq!(
            filter.rules,
            ["-A INPUT -j KUBE-A", "-A KUBE-A -m comment --comment \"a -A b\" -j DROP"].map(str::to_owned)
        );
        assert!(!filter.is_idle() && tables["nat"].is_idle());
    }

    #[test]
    fn reads_single_answers() {
        for (line, expected) in [
            ("TCP  0A600001:01BB rr", Some("tcp 10.96.0.1:443")),
            (
                "UDP  [fd00:0000:0000:0000:0000:0000:0000:000a]:0035 rr persistent 10800",
                Some("udp [fd00::a]:53"),
            ),
            ("  -> 0A4D0042:192B      Masq    1      0          0", None),
            ("FWM  00000001 rr", None),
        ] {
            assert_eq!(virtual_server(line).as_deref(), expected, "{line}");
        }
        let mount = r"36 35 98:0 / /var/lib/kubelet/a\040b rw - tmpfs tmpfs rw";
        assert_eq!(mount_point(mount).as_deref(), Some("/var/lib/kubelet/a b"));
        let line = "9: kube-ipvs0    inet 10.96.0.10/32 scope global kube-ipvs0\\       valid_lft forever";
        assert_eq!(address(line).as_deref(), Some("10.96.0.10"));
    }

    #[test]
    fn reads_a_whole_look() {
        let answers = Answers::new(
            "/proc/modules:overlay 1 6 - Live 0x0\nmodules:known\nentry:644 0 0 regular file:/etc/cni/net.d/10-a.conf\n\
             digest:abc  /etc/cni/net.d/10-a.conf\nentry:777 0 0 symbolic link:/etc/kubernetes/x\n\
             /etc/cni/net.d/10-a.conf:{\n/etc/cni/net.d/10-a.conf:\"name\": \"cbr0\"}\n\
             /proc/sys/net/ipv4/ip_forward:1\nport:cni0 veth1\nnft:table ip kube-proxy {\nnft:\tchain services {\nnft:\t}\nnft:}\n\
             namespace:12 /run/netns/cni-a\nnamespace:13 /run/netns/cni-b\nnamespace-used:12\n\
             lease:0b9d:/var/lib/cni/networks/cbr0/10.244.0.2\nunit:Id=kubelet.service\nunit:LoadState=loaded\n\
             unit:ActiveState=activating\nunit:UnitFileState=enabled\nunit:\n",
        );
        let snapshot = snapshot(&answers, BTreeSet::new());
        assert_eq!(snapshot.entries["/etc/cni/net.d/10-a.conf"].digest.as_deref(), Some("sha256:abc"));
        assert_eq!(snapshot.entries["/etc/kubernetes/x"].kind, FileKind::Link);
        assert_eq!(snapshot.sysctls["net.ipv4.ip_forward"], "1");
        assert_eq!(snapshot.nft_tables["ip kube-proxy"], ["services".to_owned()].into());
        assert_eq!(snapshot.modules, Some(["overlay".to_owned()].into()));
        assert!(snapshot.services["kubelet"]);
        let traces = traces(&answers);
        assert!(traces.running.contains("kubelet"));
        assert_eq!(traces.networks["/etc/cni/net.d/10-a.conf"], "cbr0");
        assert_eq!(
            (traces.namespaces["/run/netns/cni-a"], traces.namespaces["/run/netns/cni-b"]),
            (true, false)
        );
        assert_eq!(traces.leases["/var/lib/cni/networks/cbr0/10.244.0.2"], "0b9d");
        assert_eq!(traces.module_users["overlay"], 6);
    }
}

//! Whose something is. What has a name that only a cluster gives is the cluster's; what was there before it is not.

use super::Facts;
use super::Pod;
use crate::facts::footprint::Table;
use std::collections::BTreeSet;

/// How the names of chains begin that Kubernetes and network plugins make.
const CHAINS: [&str; 8] =
    ["KUBE-", "cali-", "FLANNEL-", "CILIUM_", "OLD_CILIUM_", "WEAVE", "ANTREA-", "KUBE_"];

/// Chains of the CNI plugins, which other programs use too; see [`Facts::cni_chains`].
const CNI_CHAIN: &str = "CNI-";

/// How the comments of rules begin that network plugins put into chains of others.
const COMMENTS: [&str; 4] = ["cali:", "flanneld ", "cilium: ", "cilium-feeder: "];

/// Interfaces by their whole name.
const INTERFACES: [&str; 17] = [
    "antrea-gw0",
    "cbr0",
    "cilium_geneve",
    "cilium_host",
    "cilium_net",
    "cilium_vxlan",
    "cilium_wg0",
    "cni0",
    "kube-bridge",
    "kube-dummy-if",
    "kube-ipvs0",
    "lxc_health",
    "nodelocaldns",
    "vxlan.calico",
    "vxlan-v6.calico",
    "weave",
    "wireguard.cali",
];

/// Interfaces by the beginning of their name.
const INTERFACE_FAMILIES: [&str; 5] = ["cali", "flannel.", "flannel-", "vethwe", "wg-v6.cali"];

const IP_SETS: [&str; 5] = ["KUBE-", "cali40", "cali60", "weave-", "inet6:KUBE"];

/// Tables of nftables by name, of any family.
const NFT_TABLES: [&str; 7] = [
    "kube-proxy",
    "kubewright-pods",
    "calico",
    "flannel-ipv4",
    "flannel-ipv6",
    "kube-network-policies",
    "kindnet-network-policies",
];

/// Tables of nftables that the CNI plugins share between all programs that use them.
pub(super) const SHARED_NFT_TABLES: [&str; 2] = ["cni_hostport", "cni_plugins_masquerade"];

/// Files of `/etc/cni/net.d` that network plugins for Kubernetes write, by what their name has in it.
const CNI_FILES: [&str; 15] = [
    "kubewright",
    "flannel",
    "calico",
    "canal",
    "cilium",
    "weave",
    "kuberouter",
    "kube-router",
    "kindnet",
    "multus",
    "antrea",
    "kube-ovn",
    "aws",
    "azure",
    "ovn-kubernetes",
];

/// Files of `/etc/cni/net.d` that other programs write.
const FOREIGN_CNI_FILES: [&str; 3] = ["podman", "nerdctl", "docker"];

/// What those network plugins call their network.
const NETWORKS: [&str; 10] = [
    "kubewright",
    "cbr0",
    "k8s-pod-network",
    "cilium",
    "weave",
    "kubernetes",
    "kindnet",
    "multus-cni-network",
    "antrea",
    "aws-cni",
];

/// What the kubelet, kube-proxy, network plugins and `--prepare` load: by the beginning of the name, and by the whole.
const MODULE_FAMILIES: [&str; 12] = [
    "ip_vs",
    "nf_conntrack",
    "nf_nat",
    "nf_reject",
    "nf_defrag",
    "xt_",
    "ipt_",
    "ip6t_",
    "iptable_",
    "ip6table_",
    "ip_set",
    "nft_",
];
const MODULES: [&str; 19] = [
    "br_netfilter",
    "bridge",
    "dummy",
    "geneve",
    "ip6_tables",
    "ip6_udp_tunnel",
    "ip_tables",
    "ip_tunnel",
    "ipip",
    "llc",
    "nf_tables",
    "nfnetlink_acct",
    "overlay",
    "stp",
    "tunnel4",
    "udp_tunnel",
    "veth",
    "vxlan",
    "wireguard",
];

/// The ports at which kube-proxy serves on a node's own addresses, unless told otherwise.
const NODE_PORTS: std::ops::RangeInclusive<u16> = 30000..=32767;

/// Chains and rules of one table that belong to the cluster.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Owned {
    pub chains: BTreeSet<String>,
    /// In chains that stay.
    pub rules: Vec<String>,
}

impl Facts {
    /// Whether something was at a path before; `None` when nobody knows.
    pub(super) fn was_there(&self, path: &str) -> Option<bool> {
        self.baseline.as_ref().and_then(|baseline| baseline.has(path))
    }

    /// Pods that a kubelet made, the ones first that need the others to go in order: network plugins talk to the API.
    pub(super) fn cluster_pods(&self) -> Vec<&Pod> {
        let mut pods: Vec<&Pod> = self.runtime.pods.iter().filter(|pod| pod.of_kubelet).collect();
        let network = |pod: &Pod| {
            let names = CNI_FILES.iter().chain(&["kube-proxy"]);
            names.into_iter().any(|name| pod.name.contains(name))
        };
        let turn = |pod: &&Pod| if pod.from_file { 2 } else { u8::from(network(pod)) };
        pods.sort_by_key(|pod| (turn(pod), pod.namespace.clone(), pod.name.clone()));
        pods
    }

    /// Pods that somebody else made.
    pub(super) fn bystanders(&self) -> impl Iterator<Item = &Pod> {
        self.runtime.pods.iter().filter(|pod| !pod.of_kubelet)
    }

    pub(super) fn is_bystander(&self, container: &str) -> bool {
        !container.is_empty() && self.bystanders().any(|pod| pod.id == container)
    }

    /// The networks of the cluster's pods.
    pub(super) fn networks(&self) -> BTreeSet<String> {
        let known = NETWORKS.iter().map(|name| (*name).to_owned());
        let configured = self.traces.networks.iter().filter(|(path, _)| !is_foreign_cni_file(path));
        known.chain(configured.map(|(_, name)| name.clone())).filter(|name| !name.is_empty()).collect()
    }

    /// Files in `/etc/cni/net.d` that came with the cluster, and that nobody else needs to take a network down.
    pub(super) fn is_cni_file(&self, path: &str) -> bool {
        let network = self.traces.networks.get(path);
        if network.is_some_and(|network| self.is_used_by_others(network)) {
            return false;
        }
        match self.was_there(path) {
            Some(there) => !there && !is_foreign_cni_file(path),
            None => CNI_FILES.iter().any(|name| file_name(path).contains(name)),
        }
    }

    /// Whether a pod that no kubelet made has an address in a network.
    pub(super) fn is_used_by_others(&self, network: &str) -> bool {
        let directory = format!("/var/lib/cni/networks/{network}/");
        let mut leases = self.traces.leases.iter().filter(|(path, _)| path.starts_with(&directory));
        leases.any(|(_, container)| self.is_bystander(container))
    }

    /// Whether a file below `/var/lib/cni` is of the cluster's pods or networks.
    pub(super) fn is_cni_state(&self, path: &str) -> bool {
        if self.was_there(path) == Some(true) {
            return false;
        }
        let of_bystander = self.bystanders().any(|pod| path.contains(&pod.id))
            || self.traces.leases.get(path).is_some_and(|container| self.is_bystander(container));
        if of_bystander {
            return false;
        }
        let networks = self.networks();
        let below =
            |folder: &str| path.strip_prefix("/var/lib/cni/")?.strip_prefix(folder)?.strip_prefix('/');
        if let Some(rest) = below("networks") {
            let network = rest.split('/').next().unwrap_or_default();
            let shared = self.is_used_by_others(network);
            // The lock and the last address are used by whoever is still there.
            return networks.contains(network) && (!shared || self.traces.leases.contains_key(path));
        }
        if let Some(rest) = below("results") {
            return rest.starts_with("cni-loopback-")
                || networks.iter().any(|name| rest.starts_with(&format!("{name}-")));
        }
        below("flannel").is_some() || below("multus").is_some()
    }

    /// What belongs to the cluster in a table of the packet filter.
    pub(super) fn owned(&self, program: &str, name: &str, table: &Table) -> Owned {
        let before = self.baseline.as_ref().and_then(|baseline| baseline.filters.get(program)?.get(name));
        let is_new = |chain: &String| before.is_none_or(|before| !before.chains.contains(chain));
        let ours = |chain: &&String| is_chain(chain);
        let new: Vec<&String> = table.chains.iter().filter(|chain| is_new(chain)).collect();
        let mut chains: BTreeSet<String> = new.iter().copied().filter(ours).cloned().collect();
        chains.extend(self.cni_chains(table, &new));
        let was = |rule: &String| before.is_some_and(|before| before.rules.contains(rule));
        let goes = |rule: &&String| {
            let chain = rule.split(' ').nth(1).unwrap_or_default();
            let target = target(rule).unwrap_or_default();
            !chains.contains(chain)
                && !was(rule)
                && (chains.contains(target) || comment(rule).is_some_and(|text| is_plugins_comment(&text)))
        };
        let rules = table.rules.iter().filter(goes).cloned().collect();
        Owned { chains, rules }
    }

    /// Chains of the CNI plugins: one for each container, whose rules name the network and the container, and some
    /// that all of them share. The shared ones go when nobody else is left in them.
    fn cni_chains(&self, table: &Table, new: &[&String]) -> BTreeSet<String> {
        let networks = self.networks();
        let is_shared = |chain: &str| {
            ["CNI-HOSTPORT-", "CNI-FORWARD", "CNI-ADMIN"].iter().any(|start| chain.starts_with(start))
        };
        let candidates = || new.iter().copied().filter(|chain| chain.starts_with(CNI_CHAIN));
        let of_cluster = |chain: &String| {
            let said = table.rules.iter().filter(|rule| rule.split(' ').any(|word| word == chain.as_str()));
            let owners: Vec<(String, String)> = said.filter_map(|rule| owner(&comment(rule)?)).collect();
            !owners.is_empty()
                && owners.iter().all(|(network, id)| networks.contains(network) && !self.is_bystander(id))
        };
        let mut chains: BTreeSet<String> =
            candidates().filter(|chain| !is_shared(chain) && of_cluster(chain)).cloned().collect();
        let foreign =
            |chain: &String| chain.starts_with(CNI_CHAIN) && !is_shared(chain) && !chains.contains(chain);
        if !table.chains.iter().any(foreign) {
            chains.extend(candidates().filter(|chain| is_shared(chain)).cloned());
        }
        chains
    }

    /// A virtual server at an address of `kube-ipvs0`, or at a port of a node.
    pub(super) fn is_virtual_server(&self, server: &str) -> bool {
        let was = self.baseline.as_ref().is_some_and(|baseline| baseline.virtual_servers.contains(server));
        let Some((address, port)) = server.split(' ').nth(1).and_then(|text| text.rsplit_once(':')) else {
            return false;
        };
        let address = address.trim_matches(['[', ']']);
        let node_port = port.parse::<u16>().is_ok_and(|port| NODE_PORTS.contains(&port));
        let proxied = !self.traces.virtual_addresses.is_empty();
        !was && proxied && (node_port || self.traces.virtual_addresses.contains(address))
    }
}

/// An interface that only a cluster makes.
pub(super) fn is_interface(name: &str) -> bool {
    // Cilium's, one for each pod: `lxc` and some hexadecimal digits. Those of LXC are called otherwise.
    let cilium = name
        .strip_prefix("lxc")
        .is_some_and(|id| id.len() >= 8 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    cilium || INTERFACES.contains(&name) || INTERFACE_FAMILIES.iter().any(|start| name.starts_with(start))
}

/// A chain that only a cluster makes.
pub(super) fn is_chain(name: &str) -> bool {
    CHAINS.iter().any(|start| name.starts_with(start))
}

pub(super) fn is_ip_set(name: &str) -> bool {
    IP_SETS.iter().any(|start| name.starts_with(start))
}

/// A table of nftables, given with its family.
pub(super) fn is_nft_table(table: &str) -> bool {
    table.split_once(' ').is_some_and(|(_, name)| NFT_TABLES.contains(&name))
}

pub(super) fn is_module(name: &str) -> bool {
    MODULES.contains(&name) || MODULE_FAMILIES.iter().any(|start| name.starts_with(start))
}

fn is_foreign_cni_file(path: &str) -> bool {
    FOREIGN_CNI_FILES.iter().any(|name| file_name(path).contains(name))
}

fn file_name(path: &str) -> &str {
    // A directory below counts by its own name: `/etc/cni/net.d/multus.d/x`.
    path.strip_prefix("/etc/cni/net.d/").unwrap_or(path)
}

/// Where a rule sends its packets.
fn target(rule: &str) -> Option<&str> {
    let mut words = rule.rsplit(' ');
    let mut last = words.next()?;
    for word in words {
        if ["-j", "-g"].contains(&word) {
            return Some(last);
        }
        last = word;
    }
    None
}

/// The first comment of a rule, without the quotes that `iptables-save` puts around it.
fn comment(rule: &str) -> Option<String> {
    let rest = rule.split_once("--comment ")?.1;
    let Some(quoted) = rest.strip_prefix('"') else { return rest.split(' ').next().map(str::to_owned) };
    let mut text = String::new();
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => text.extend(chars.next()),
            c => text.push(c),
        }
    }
    Some(text)
}

fn is_plugins_comment(text: &str) -> bool {
    COMMENTS.iter().any(|start| text.starts_with(start))
}

/// Network and container in a comment of the CNI plugins: `name: "cbr0" id: "0b9d…"`.
fn owner(comment: &str) -> Option<(String, String)> {
    let quoted = |key: &str| {
        let rest = comment.split_once(key)?.1.trim_start().strip_prefix('"')?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    Some((quoted("name:")?, quoted("id:")?))
}

/// The paths of a set that nothing else of the set leads to.
pub(super) fn tops<'a>(paths: &BTreeSet<&'a str>) -> Vec<&'a str> {
    let led = |path: &str| path.match_indices('/').any(|(end, _)| paths.contains(&path[..end]));
    paths.iter().copied().filter(|path| !led(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_whose_an_interface_is() {
        for (name, expected) in [
            ("cni0", true),
            ("flannel.1", true),
            ("flannel-v6.1", true),
            ("cali0123456789a", true),
            ("lxc0a1b2c3d4e5f", true),
            ("lxcbr0", false),
            ("lxc-web", false),
            ("docker0", false),
            ("dummy0", false),
            ("tunl0", false),
            ("eth0", false),
        ] {
            assert_eq!(is_interface(name), expected, "{name}");
        }
    }

    #[test]
    fn reads_rules() {
        let rule = r#"-A POSTROUTING -s 10.244.0.2/32 -m comment --comment "name: \"cbr0\" id: \"0b9d\"" -j CNI-4fc1"#;
        assert_eq!(target(rule), Some("CNI-4fc1"));
        assert_eq!(owner(&comment(rule).unwrap()), Some(("cbr0".to_owned(), "0b9d".to_owned())));
        assert_eq!(target("-A FORWARD -m mark --mark 0x1"), None);
        assert_eq!(
            comment("-A FORWARD -m comment --comment cali:S93hc -j ACCEPT").as_deref(),
            Some("cali:S93hc")
        );
        assert_eq!(target("-A A -j DNAT --to-destination 10.0.0.1"), Some("DNAT"));
    }

    #[test]
    fn finds_the_tops() {
        let paths = ["/a", "/a/b", "/a-b", "/c/d", "/c/d/e"].into();
        assert_eq!(tops(&paths), ["/a", "/a-b", "/c/d"]);
    }
}

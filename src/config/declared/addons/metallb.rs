//! `spec.addons.metallb`: addresses for services of the type `LoadBalancer`.

use super::Around;
use super::Surroundings;
use crate::cluster::addon;
use crate::cluster::addon::range;
use crate::cluster::cni::Manifest as ManifestModel;
use crate::cluster::cni::ManifestFrom;
use crate::config::declared::manifest::Manifest;
use crate::config::declared::manifest::some;
use crate::config::name;
use crate::config::path::Path;
use crate::config::report::Report;
use serde::Deserialize;
use std::net::IpAddr;

const VERSION: &str = "0.16.1";
/// SHA-256 of its manifests, from its repository at the tag of the version.
const MANIFESTS: [(&str, &str, &str); 3] = [
    ("native", "0.16.1", "bf25feebb7582ca7df845efd52ffbc2960d6cbf4cfc972f47fded9f788b67f0b"),
    ("frr", "0.16.1", "2b3574f8a257270117f1ab58c4268c99c56cf3e92f2525e6b88aff0b2208f131"),
    ("frr-k8s", "0.16.1", "19313e5031714cc1489b3b0ed0ae6e58be0e92538b4a5ed9c529c847ef2bac62"),
];

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metallb {
    pub enabled: Option<bool>,
    version: Option<String>,
    mode: Option<String>,
    manifest: Option<Manifest>,
    pools: Vec<Pool>,
    layer2: Option<Layer2>,
    bgp: Option<Bgp>,
    from_control_planes: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Pool {
    name: String,
    addresses: Vec<String>,
    auto_assign: Option<bool>,
    #[serde(rename = "avoidBuggyIPs")]
    avoid_buggy_ips: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Layer2 {
    interfaces: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Bgp {
    asn: Option<u32>,
    peers: Vec<Peer>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Peer {
    address: String,
    asn: Option<u32>,
    port: Option<u16>,
    multihop: bool,
    password_secret: Option<String>,
}

impl Metallb {
    fn mode(&self) -> String {
        some(self.mode.as_ref()).unwrap_or_else(|| "native".to_owned())
    }

    fn version(&self) -> String {
        some(self.version.as_ref()).unwrap_or_else(|| VERSION.to_owned()).trim_start_matches('v').to_owned()
    }

    /// What its project publishes, with its checksum where it is known.
    fn published(&self) -> (String, Option<&'static str>) {
        let (mode, version) = (self.mode(), self.version());
        let known = MANIFESTS.iter().find(|row| row.0 == mode && row.1 == version).map(|row| row.2);
        let url = format!(
            "https://raw.githubusercontent.com/metallb/metallb/v{version}/config/manifests/metallb-{mode}.yaml"
        );
        (url, known)
    }

    /// Nodes answer for addresses themselves, unless only routers are spoken of.
    fn layer2(&self) -> Option<addon::Layer2> {
        match (&self.layer2, &self.bgp) {
            (Some(layer2), _) => Some(addon::Layer2 { interfaces: layer2.interfaces.clone() }),
            (None, None) => Some(addon::Layer2::default()),
            (None, Some(_)) => None,
        }
    }

    pub(super) fn meaning(&self, around: &Around<'_>) -> addon::Metallb {
        let (url, known) = self.published();
        let published = || ManifestModel::new(ManifestFrom::Url(url), known.map(str::to_owned));
        let pool = |pool: &Pool| addon::Pool {
            name: pool.name.clone(),
            addresses: pool.addresses.clone(),
            auto_assign: pool.auto_assign.unwrap_or(true),
            avoid_buggy_ips: pool.avoid_buggy_ips,
        };
        let own_asn = self.bgp.as_ref().and_then(|bgp| bgp.asn).unwrap_or_default();
        let peer = |peer: &Peer| {
            Some(addon::BgpPeer {
                address: name::parse_ip(&peer.address)?,
                asn: peer.asn.unwrap_or_default(),
                own_asn,
                port: peer.port.filter(|port| *port != 0),
                multihop: peer.multihop,
                password_secret: some(peer.password_secret.as_ref()),
            })
        };
        let works = around.nodes.iter().any(|node| node.becomes_node() && !node.is_control_plane());
        addon::Metallb {
            manifest: self.manifest.as_ref().and_then(Manifest::meaning).unwrap_or_else(published),
            registry: around.registry.clone(),
            pools: self.pools.iter().map(pool).collect(),
            layer2: self.layer2(),
            peers: self.bgp.iter().flat_map(|bgp| &bgp.peers).filter_map(peer).collect(),
            from_control_planes: self.from_control_planes.unwrap_or(!works),
        }
    }

    pub(super) fn validate(&self, report: &mut Report, path: &Path) {
        version(report, self.version.as_ref(), &path.key("version"));
        match &self.manifest {
            Some(manifest) => manifest.validate(report, &path.key("manifest")),
            None if self.published().1.is_none() => {
                let versions: Vec<&str> =
                    MANIFESTS.iter().filter(|row| row.0 == self.mode()).map(|row| row.1).collect();
                let hint =
                    format!("manifest: {{url: {}, sha256: …}}, after a look at it", self.published().0);
                report.missing(
                    &path.key("version"),
                    format!(
                        "the SHA-256 of metallb-{}.yaml of version {} is not known (known: {})",
                        self.mode(),
                        self.version(),
                        versions.join(", ")
                    ),
                    &hint,
                );
            }
            None => {}
        }
        self.validate_pools(report, &path.key("pools"));
        self.validate_bgp(report, &path.key("bgp"));
    }

    fn validate_pools(&self, report: &mut Report, path: &Path) {
        if self.pools.is_empty() {
            report.missing(
                path,
                "without a pool there is no address to give",
                "pools: [{name: default, addresses: [192.0.2.200-192.0.2.250]}]",
            );
        }
        let mut seen: Vec<(IpAddr, IpAddr, &str)> = Vec::new();
        for (index, pool) in self.pools.iter().enumerate() {
            let path = path.index(index);
            if !name::is_subdomain(&pool.name) {
                report
                    .error(&path.key("name"), format!("`{}` cannot be the name of a pool", pool.name))
                    .hint("lower-case letters, digits and `-`");
            } else if self.pools[..index].iter().any(|earlier| earlier.name == pool.name) {
                report
                    .error(&path.key("name"), format!("the pool {} is named twice", pool.name))
                    .hint("put them together");
            }
            if pool.addresses.is_empty() {
                report.missing(
                    &path.key("addresses"),
                    "the pool is empty",
                    "addresses: [192.0.2.200-192.0.2.250]",
                );
            }
            for (at, text) in pool.addresses.iter().enumerate() {
                let path = path.key("addresses").index(at);
                let Some((first, last)) = range(text) else {
                    report
                        .error(&path, format!("`{text}` is neither a network nor a range of addresses"))
                        .hint("192.0.2.192/27, or 192.0.2.200-192.0.2.250");
                    continue;
                };
                if let Some((_, _, other)) = seen.iter().find(|(a, b, _)| meet((first, last), (*a, *b))) {
                    report
                        .error(&path, format!("`{text}` and `{other}` have addresses in common"))
                        .hint("keep each in one pool");
                }
                seen.push((first, last, text));
            }
        }
    }

    fn validate_bgp(&self, report: &mut Report, path: &Path) {
        let Some(bgp) = &self.bgp else { return };
        if bgp.asn.is_none() {
            report.missing(&path.key("asn"), "the cluster's autonomous system has no number", "asn: 64512");
        }
        if bgp.peers.is_empty() {
            report.missing(
                &path.key("peers"),
                "there is no router to tell",
                "peers: [{address: 192.0.2.1, asn: 64513}]",
            );
        }
        for (index, peer) in bgp.peers.iter().enumerate() {
            let path = path.key("peers").index(index);
            if name::parse_ip(&peer.address).is_none() {
                report
                    .error(&path.key("address"), format!("`{}` is not an IPv4 or IPv6 address", peer.address))
                    .hint("{address: 192.0.2.1, asn: 64513}");
            }
            if peer.asn.is_none() {
                report.missing(
                    &path.key("asn"),
                    "the router's autonomous system has no number",
                    "asn: 64513",
                );
            }
        }
    }

    pub(super) fn validate_against(&self, report: &mut Report, around: &Surroundings<'_>, path: &Path) {
        let networks = [("services", &around.networking.services), ("pods", &around.networking.pods)];
        for (index, pool) in self.pools.iter().enumerate() {
            for (at, text) in pool.addresses.iter().enumerate() {
                let Some((first, last)) = range(text) else { continue };
                let path = path.key("pools").index(index).key("addresses").index(at);
                let holds = |address: &IpAddr| meet((first, last), (*address, *address));
                for (address, who) in around.taken.iter().filter(|(address, _)| holds(address)) {
                    report
                        .error(&path, format!("`{text}` holds {address}, the address of {who}"))
                        .hint("a service would get it, and whoever has it now would lose it; leave it out of the pool");
                }
                for (what, network) in
                    networks.iter().flat_map(|(what, all)| all.iter().map(move |one| (what, one)))
                {
                    if meet((first, last), (network.network(), network.broadcast())) {
                        report
                            .error(&path, format!("`{text}` lies within {network}, the network of {what}"))
                            .hint("addresses of the hosts' network that nobody else has");
                    }
                }
            }
        }
        if around.proxy_mode == "ipvs" && !around.strict_arp && self.layer2().is_some() {
            report
                .error(
                    &path.key("layer2"),
                    "with ipvs every node answers for every service's address, unless kube-proxy keeps it from that",
                )
                .hint("KubeProxyConfiguration: ipvs: {strictARP: true}");
        }
        if self.from_control_planes == Some(false) && around.workers == 0 {
            report
                .warning(
                    &path.key("fromControlPlanes"),
                    "all nodes are control planes, whose label node.kubernetes.io/exclude-from-external-load-balancers keeps them from announcing an address",
                )
                .hint("leave fromControlPlanes out");
        }
    }
}

/// Whether two ranges have an address in common.
fn meet((first, last): (IpAddr, IpAddr), (a, b): (IpAddr, IpAddr)) -> bool {
    first.is_ipv4() == a.is_ipv4() && first <= b && a <= last
}

/// Complains of what is no version.
pub(super) fn version(report: &mut Report, version: Option<&String>, path: &Path) {
    let version = some(version).unwrap_or_default();
    if !version.is_empty() && semver::Version::parse(version.trim_start_matches('v')).is_err() {
        report.error(path, format!("`{version}` is not a version")).hint(format!("such as {VERSION}"));
    }
}

//! `spec.network`: what is said there, what is meant where nothing is said, and what cannot be.

use super::KIND;
use crate::cluster::Cni as CniModel;
use crate::cluster::Networking;
use crate::cluster::Node;
use crate::cluster::cni::Bridge;
use crate::cluster::cni::CALICO_FOLLOWS_NFTABLES;
use crate::cluster::cni::Calico as CalicoModel;
use crate::cluster::cni::Canal as CanalModel;
use crate::cluster::cni::Cilium as CiliumModel;
use crate::cluster::cni::CiliumRouting;
use crate::cluster::cni::CiliumSource;
use crate::cluster::cni::Encapsulation;
use crate::cluster::cni::FLANNEL_HEALTH_PORT;
use crate::cluster::cni::FLANNEL_VXLAN_PORT;
use crate::cluster::cni::Flannel as FlannelModel;
use crate::cluster::cni::FlannelBackend;
use crate::cluster::cni::Manifest as ManifestModel;
use crate::cluster::cni::ManifestFrom;
use crate::cluster::cni::Peer;
use crate::cluster::kubeadm::ClusterConfiguration;
use crate::cluster::site::CniProvider;
use crate::config::declared::manifest::Manifest;
use crate::config::declared::manifest::some;
use crate::config::documents::Object;
use crate::config::name;
use crate::config::path::Path;
use crate::config::report::Report;
use crate::config::validate::network;
use serde::Deserialize;
use serde_json::Value;

/// Versions that this program was written for, and what their projects publish.
const FLANNEL_VERSION: &str = "v0.28.9";
const FLANNEL_IMAGE: &str = "ghcr.io/flannel-io/flannel";
const FLANNEL_PLUGIN_IMAGE: &str = "ghcr.io/flannel-io/flannel-cni-plugin:v1.9.1-flannel3";
const CALICO_VERSION: &str = "3.32.1";
const CILIUM_VERSION: &str = "1.20.2";
const CILIUM_CHART: &str = "oci://quay.io/cilium/charts/cilium";
const WIREGUARD_PORT: u16 = 51_820;
/// What an IPv6 link must at least carry (RFC 8200).
const LEAST_IPV6_MTU: u16 = 1280;

/// SHA-256 of manifests of Calico, from its repository at the tag of the version.
const CALICO_MANIFESTS: [(&str, &str, &str); 4] = [
    ("calico", "3.32.1", "a1df919d9721cf667accdc3e72848911b0cb25cfab7d2478ad0c996302c95744"),
    ("canal", "3.32.1", "aa58a7b245586a90d75d969b9184326f6218acea7e4951ce2931113cd8e91e39"),
    ("calico", "3.31.7", "d6d8a489a4ed8e5b8efd8b339047b496ca657b55ee2e3618e791507b0a853e8d"),
    ("canal", "3.31.7", "f3320f85a4ee78893ad2b60f223a76b4ecc9ba4b0bbdfb2d501f01d69a3fdefb"),
];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Network {
    cni: Cni,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cni {
    provider: CniProvider,
    version: Option<String>,
    mtu: Option<u16>,
    registry: Option<String>,
    flannel: Option<Flannel>,
    calico: Option<Calico>,
    canal: Option<Canal>,
    cilium: Option<Cilium>,
    manifest: Option<Manifest>,
    manifests: Option<Vec<Manifest>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Flannel {
    backend: Option<Backend>,
    vni: Option<u32>,
    port: Option<u16>,
    direct_routing: Option<bool>,
    interface: Option<String>,
    health_port: Option<u16>,
    image: Option<String>,
    plugin_image: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Backend {
    #[default]
    Vxlan,
    HostGw,
    Wireguard,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Calico {
    encapsulation: Option<EncapsulationWord>,
    across_links: Option<bool>,
    nat_outgoing: Option<bool>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum EncapsulationWord {
    Vxlan,
    Ipip,
    None,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Canal {
    interface: Option<String>,
    flannel_image: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Cilium {
    routing: Option<RoutingWord>,
    kube_proxy_replacement: bool,
    chart: Option<String>,
    values: Object,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RoutingWord {
    Vxlan,
    Geneve,
    Native,
}

impl Network {
    pub(super) fn provider(&self) -> CniProvider {
        self.cni.provider
    }

    /// What the part means for these nodes.
    pub(super) fn meaning(
        &self,
        cluster: &ClusterConfiguration,
        pods: &Networking,
        nodes: &[Node],
    ) -> CniModel {
        let cni = &self.cni;
        match cni.provider {
            CniProvider::None => CniModel::None,
            CniProvider::Bridge => CniModel::Bridge(Bridge {
                mtu: cni.mtu,
                masks: pods.pods.iter().filter_map(|pod| network::node_mask(cluster, pod)).collect(),
                peers: nodes.iter().filter(|node| node.becomes_node()).map(Peer::of).collect(),
            }),
            CniProvider::Flannel => CniModel::Flannel(cni.flannel()),
            CniProvider::Calico => CniModel::Calico(cni.calico()),
            CniProvider::Canal => CniModel::Canal(cni.canal()),
            CniProvider::Cilium => CniModel::Cilium(cni.cilium()),
            CniProvider::Custom => {
                let manifests = cni.manifests.iter().flatten();
                CniModel::Custom(manifests.filter_map(Manifest::meaning).collect())
            }
        }
    }

    pub(super) fn validate(&self, report: &mut Report) {
        let path = Path::of(KIND, "spec.network.cni");
        self.cni.validate_parts(report, &path);
        self.cni.validate_version(report, &path);
        self.cni.validate_manifests(report, &path);
        let registry = some(self.cni.registry.as_ref()).unwrap_or_default();
        if !registry.is_empty() && !name::is_image_repository(&registry) {
            report
                .error(&path.key("registry"), format!("`{registry}` is not the beginning of an image's name"))
                .hint("a host and folders, such as registry.example.com/mirror");
        }
    }

    /// What the network and the other documents have to do with each other.
    pub(super) fn validate_against(
        &self,
        report: &mut Report,
        networking: &Networking,
        cluster: &ClusterConfiguration,
        kube_proxy: Option<&Object>,
        nodes: usize,
    ) {
        let path = Path::of(KIND, "spec.network.cni");
        let provider = self.cni.provider;
        if [CniProvider::None, CniProvider::Custom].contains(&provider) {
            return;
        }
        if networking.pods.is_empty() {
            report
                .error(
                    &path.key("provider"),
                    format!("{} needs to know the pods' network, and there is none", provider.as_str()),
                )
                .hint("ClusterConfiguration: networking: {podSubnet: 10.244.0.0/16}");
        }
        self.cni.validate_families(report, networking, &path);
        self.cni.validate_proxy(report, cluster, kube_proxy, &path);
        self.cni.validate_allocation(report, networking, cluster, nodes, &path);
    }
}

impl Cni {
    fn version(&self) -> Option<semver::Version> {
        semver::Version::parse(some(self.version.as_ref())?.trim_start_matches('v')).ok()
    }

    fn version_or(&self, ours: &str) -> semver::Version {
        self.version().unwrap_or_else(|| semver::Version::parse(ours).expect("our own version is one"))
    }

    /// An image of ours, from where the operator has the images.
    fn image(&self, given: Option<&String>, ours: &str) -> String {
        some(given).unwrap_or_else(|| CniModel::from_registry(ours, some(self.registry.as_ref()).as_deref()))
    }

    fn flannel_image(&self, given: Option<&String>) -> String {
        self.image(given, &format!("{FLANNEL_IMAGE}:{FLANNEL_VERSION}"))
    }

    fn flannel(&self) -> FlannelModel {
        let said = self.flannel.clone().unwrap_or_default();
        let port = |usual| said.port.filter(|port| *port != 0).unwrap_or(usual);
        let backend = match said.backend.unwrap_or_default() {
            Backend::Vxlan => FlannelBackend::Vxlan {
                vni: said.vni.unwrap_or(1),
                port: port(FLANNEL_VXLAN_PORT),
                direct: said.direct_routing.unwrap_or(false),
            },
            Backend::HostGw => FlannelBackend::HostGw,
            Backend::Wireguard => {
                let port = port(WIREGUARD_PORT);
                FlannelBackend::Wireguard { port, port_v6: port.saturating_add(1) }
            }
        };
        FlannelModel {
            backend,
            mtu: self.mtu,
            interface: some(said.interface.as_ref()),
            health_port: said.health_port.filter(|port| *port != 0).unwrap_or(FLANNEL_HEALTH_PORT),
            image: self.flannel_image(said.image.as_ref()),
            plugin_image: self.image(said.plugin_image.as_ref(), FLANNEL_PLUGIN_IMAGE),
        }
    }

    fn calico(&self) -> CalicoModel {
        let said = self.calico.clone().unwrap_or_default();
        let version = self.version_or(CALICO_VERSION);
        CalicoModel {
            encapsulation: match said.encapsulation {
                Some(EncapsulationWord::Ipip) => Encapsulation::Ipip,
                Some(EncapsulationWord::None) => Encapsulation::None,
                Some(EncapsulationWord::Vxlan) | None => Encapsulation::Vxlan,
            },
            across_links: said.across_links.unwrap_or(true),
            mtu: self.mtu,
            nat_outgoing: said.nat_outgoing.unwrap_or(true),
            registry: some(self.registry.as_ref()),
            manifest: self.published("calico", &version),
            version,
        }
    }

    fn canal(&self) -> CanalModel {
        let said = self.canal.clone().unwrap_or_default();
        let version = self.version_or(CALICO_VERSION);
        CanalModel {
            mtu: self.mtu,
            interface: some(said.interface.as_ref()),
            flannel_image: self.flannel_image(said.flannel_image.as_ref()),
            registry: some(self.registry.as_ref()),
            manifest: self.published("canal", &version),
            version,
        }
    }

    /// The operator's word, or what the project publishes.
    fn published(&self, file: &str, version: &semver::Version) -> ManifestModel {
        if let Some(given) = self.manifest.as_ref().and_then(Manifest::meaning) {
            return given;
        }
        let url = format!(
            "https://raw.githubusercontent.com/projectcalico/calico/v{version}/manifests/{file}.yaml"
        );
        ManifestModel::new(ManifestFrom::Url(url), pinned(file, version).map(str::to_owned))
    }

    fn cilium(&self) -> CiliumModel {
        let said = self.cilium.clone().unwrap_or_default();
        let chart = || CiliumSource::Chart {
            chart: some(said.chart.as_ref()).unwrap_or_else(|| CILIUM_CHART.to_owned()),
            rendered: Vec::new(),
        };
        CiliumModel {
            version: self.version_or(CILIUM_VERSION),
            mtu: self.mtu,
            routing: match said.routing {
                Some(RoutingWord::Geneve) => CiliumRouting::Geneve,
                Some(RoutingWord::Native) => CiliumRouting::Native,
                Some(RoutingWord::Vxlan) | None => CiliumRouting::Vxlan,
            },
            replaces_kube_proxy: said.kube_proxy_replacement,
            registry: some(self.registry.as_ref()),
            source: match self.manifest.as_ref().and_then(Manifest::meaning) {
                Some(manifest) => CiliumSource::Manifest(manifest),
                None => chart(),
            },
            values: said.values,
        }
    }

    /// Each provider has its own part, and the parts of the others have no meaning.
    fn validate_parts(&self, report: &mut Report, path: &Path) {
        use CniProvider as P;
        let provider = self.provider;
        let parts: [(&str, bool, &[P]); 9] = [
            ("flannel", self.flannel.is_some(), &[P::Flannel]),
            ("calico", self.calico.is_some(), &[P::Calico]),
            ("canal", self.canal.is_some(), &[P::Canal]),
            ("cilium", self.cilium.is_some(), &[P::Cilium]),
            ("manifests", self.manifests.is_some(), &[P::Custom]),
            ("manifest", self.manifest.is_some(), &[P::Calico, P::Canal, P::Cilium]),
            ("version", some(self.version.as_ref()).is_some(), &[P::Calico, P::Canal, P::Cilium]),
            (
                "registry",
                some(self.registry.as_ref()).is_some(),
                &[P::Flannel, P::Calico, P::Canal, P::Cilium],
            ),
            ("mtu", self.mtu.is_some(), &[P::Flannel, P::Calico, P::Canal, P::Cilium, P::Bridge]),
        ];
        for (field, given, providers) in parts {
            if !given || providers.contains(&provider) {
                continue;
            }
            let names: Vec<&str> = providers.iter().map(|provider| provider.as_str()).collect();
            report
                .error(
                    &path.key(field),
                    format!("{field} has no meaning with the provider {}", provider.as_str()),
                )
                .hint(format!("leave it out, or `provider: {}`", names.join("`, `provider: ")));
        }
        self.validate_flannel(report, &path.key("flannel"));
        if let Some(cilium) = self.cilium.as_ref().filter(|_| self.manifest.is_some()) {
            let given =
                [("chart", some(cilium.chart.as_ref()).is_some()), ("values", !cilium.values.is_empty())];
            for (field, _) in given.into_iter().filter(|(_, given)| *given) {
                report
                    .error(
                        &path.key("cilium").key(field),
                        format!("{field} is for helm, and with `manifest` nothing is left to render"),
                    )
                    .hint("keep one of them");
            }
        }
    }

    fn validate_flannel(&self, report: &mut Report, path: &Path) {
        let Some(flannel) = &self.flannel else { return };
        let backend = flannel.backend.unwrap_or_default();
        let of_vxlan = [("vni", flannel.vni.is_some()), ("directRouting", flannel.direct_routing.is_some())];
        for (field, given) in of_vxlan {
            if given && backend != Backend::Vxlan {
                report
                    .error(&path.key(field), format!("{field} is about VXLAN"))
                    .hint("leave it out, or `backend: vxlan`");
            }
        }
        if backend == Backend::HostGw && flannel.port.is_some() {
            report
                .error(&path.key("port"), "host-gw sends packets as they are, through no port")
                .hint("leave it out, or choose the backend vxlan or wireguard");
        }
    }

    fn validate_version(&self, report: &mut Report, path: &Path) {
        let Some(text) = some(self.version.as_ref()) else { return };
        let path = path.key("version");
        let Some(version) = self.version() else {
            report.error(&path, format!("`{text}` is not a version")).hint("such as 3.32.1");
            return;
        };
        let file = self.provider.as_str();
        let of_calico = [CniProvider::Calico, CniProvider::Canal].contains(&self.provider);
        if of_calico && (version.major, version.minor) >= (3, 33) {
            report
                .error(
                    &path,
                    format!(
                        "Calico {version} has its programs in other images than those that are known here"
                    ),
                )
                .hint(format!("{CALICO_VERSION}, or `provider: custom` with its manifests"));
        } else if of_calico && self.manifest.is_none() && pinned(file, &version).is_none() {
            let known: Vec<&str> =
                CALICO_MANIFESTS.iter().filter(|row| row.0 == file).map(|row| row.1).collect();
            report
                .error(
                    &path,
                    format!(
                        "the SHA-256 of {file}.yaml of version {version} is not known (known: {})",
                        known.join(", ")
                    ),
                )
                .hint("look at it, and say manifest: {url: …, sha256: …}");
        }
    }

    fn validate_manifests(&self, report: &mut Report, path: &Path) {
        if let Some(manifest) = &self.manifest {
            manifest.validate(report, &path.key("manifest"));
        }
        let path = path.key("manifests");
        let manifests = self.manifests.as_deref().unwrap_or_default();
        for (index, manifest) in manifests.iter().enumerate() {
            manifest.validate(report, &path.index(index));
        }
        if self.provider == CniProvider::Custom && manifests.is_empty() {
            report.missing(
                &path,
                "the provider custom needs manifests",
                "manifests: [{file: network.yaml}], or {url: …, sha256: …}",
            );
        }
    }

    fn validate_families(&self, report: &mut Report, networking: &Networking, path: &Path) {
        let ipv6 = networking.pods.iter().any(|pod| pod.addr().is_ipv6());
        let ipv4 = networking.pods.iter().any(|pod| pod.addr().is_ipv4());
        let ipip = matches!(self.calico, Some(Calico { encapsulation: Some(EncapsulationWord::Ipip), .. }));
        if self.provider == CniProvider::Calico && ipip && ipv6 {
            let message = if ipv4 {
                "IPIP carries IPv4 only, and the pods have IPv6 addresses too"
            } else {
                "IPIP carries IPv4 only, and the pods have IPv6 addresses"
            };
            report
                .error(&path.key("calico").key("encapsulation"), message)
                .hint("vxlan carries both; none needs BGP between all nodes");
        }
        if let Some(mtu) = self.mtu.filter(|mtu| ipv6 && *mtu < LEAST_IPV6_MTU) {
            report
                .error(&path.key("mtu"), format!("an IPv6 link must carry {LEAST_IPV6_MTU} bytes, not {mtu}"))
                .hint(format!("at least {LEAST_IPV6_MTU}"));
        }
    }

    /// Who serves Service addresses, and whether the network goes along with that.
    fn validate_proxy(
        &self,
        report: &mut Report,
        cluster: &ClusterConfiguration,
        kube_proxy: Option<&Object>,
        path: &Path,
    ) {
        let mode = kube_proxy.and_then(|proxy| proxy.get("mode")).and_then(Value::as_str).unwrap_or_default();
        let of_calico = [CniProvider::Calico, CniProvider::Canal].contains(&self.provider);
        let version = self.version_or(CALICO_VERSION);
        if of_calico
            && !cluster.proxy.disabled
            && mode == "nftables"
            && (version.major, version.minor) < CALICO_FOLLOWS_NFTABLES
        {
            report
                .error(
                    &path.key("version"),
                    format!("Calico {version} does not notice that kube-proxy uses nftables, and writes rules for iptables"),
                )
                .hint("3.32 and later do; or `mode: iptables` in KubeProxyConfiguration");
        }
        let replaces = self.provider == CniProvider::Cilium
            && self.cilium.as_ref().is_some_and(|cilium| cilium.kube_proxy_replacement);
        if replaces && !cluster.proxy.disabled {
            report
                .error(
                    &path.key("cilium").key("kubeProxyReplacement"),
                    "Cilium is to serve Service addresses, and kube-proxy is not switched off",
                )
                .hint("ClusterConfiguration: proxy: {disabled: true}");
        }
        if !replaces && cluster.proxy.disabled {
            let message = format!(
                "kube-proxy is switched off, and {} does not serve Service addresses in its place",
                self.provider.as_str()
            );
            let hint = "leave `proxy.disabled` out, or use Cilium with kubeProxyReplacement: true";
            report.warning(&path.key("provider"), message).hint(hint);
        }
    }

    /// Whether every node gets a network of its own, from the one who is to give it.
    fn validate_allocation(
        &self,
        report: &mut Report,
        networking: &Networking,
        cluster: &ClusterConfiguration,
        nodes: usize,
        path: &Path,
    ) {
        let allocates = network::allocates(cluster);
        let provider = path.key("provider");
        if self.provider == CniProvider::Bridge {
            if allocates == Some(true) {
                report
                    .error(
                        &provider,
                        "the networks of nodes are chosen while planning, since routes lead to them, and the controller \
                         manager is told to choose them too",
                    )
                    .hint("leave allocate-node-cidrs out of controllerManager.extraArgs");
            }
            for pod in &networking.pods {
                let Some(mask) = network::node_mask(cluster, pod) else { continue };
                let bits = u32::from(mask.saturating_sub(pod.prefix_len()));
                let room = 1_usize.checked_shl(bits).unwrap_or(usize::MAX);
                if nodes > room {
                    report
                        .error(
                            &provider,
                            format!("the pod subnet {pod} has room for the networks of {room} nodes, and the file has {nodes}"),
                        )
                        .hint("a shorter prefix of the pod subnet, or a larger node-cidr-mask-size");
                }
            }
        } else if self.provider != CniProvider::Calico && allocates == Some(false) {
            report
                .error(
                    &provider,
                    format!(
                        "{} takes each node's network from its Node, and the controller manager is told to give it none",
                        self.provider.as_str()
                    ),
                )
                .hint("leave allocate-node-cidrs out of controllerManager.extraArgs");
        }
    }
}

fn pinned(file: &str, version: &semver::Version) -> Option<&'static str> {
    let version = version.to_string();
    CALICO_MANIFESTS.iter().find(|row| row.0 == file && row.1 == version).map(|row| row.2)
}

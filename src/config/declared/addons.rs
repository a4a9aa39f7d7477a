//! `spec.addons`: what is installed in the cluster beside what every cluster has.

mod chart;
mod coredns;
mod gateway_api;
mod headlamp;
mod ingress;
mod kubelet_csr_approver;
mod kubernetes_dashboard;
mod local_path;
mod metallb;
mod metrics_server;
mod node_local_dns;
mod own;

use super::KIND;
use crate::cluster::Addon;
use crate::cluster::Networking;
use crate::cluster::Node;
use crate::cluster::addon;
use crate::cluster::addon::What;
use crate::cluster::cni::Cni;
use crate::config::declared::manifest::some;
use crate::config::name;
use crate::config::path::Path;
use crate::config::report::Report;
use crate::config::yaml;
use serde::Deserialize;
use serde_json::Value;
use std::net::IpAddr;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Addons {
    registry: Option<String>,
    coredns: Option<coredns::Coredns>,
    node_local_dns: Option<node_local_dns::NodeLocalDns>,
    kubelet_csr_approver: Option<kubelet_csr_approver::KubeletCsrApprover>,
    metrics_server: Option<metrics_server::MetricsServer>,
    gateway_api: Option<gateway_api::GatewayApi>,
    metallb: Option<metallb::Metallb>,
    local_path: Option<local_path::LocalPath>,
    ingress: Option<ingress::Ingress>,
    headlamp: Option<headlamp::Headlamp>,
    kubernetes_dashboard: Option<kubernetes_dashboard::KubernetesDashboard>,
    ingress_nginx: Option<Switch>,
    charts: Vec<chart::Chart>,
    manifests: Vec<own::Own>,
}

/// Of an add-on that has no other word.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Switch {
    enabled: Option<bool>,
}

/// Fields of the add-ons that this program knows.
const NAMED: [&str; 10] = [
    "nodeLocalDns",
    "kubeletCsrApprover",
    "metricsServer",
    "gatewayApi",
    "metallb",
    "localPath",
    "ingress",
    "headlamp",
    "kubernetesDashboard",
    "ingressNginx",
];

/// Further names under which this program keeps what it installs itself.
const RESERVED: [&str; 3] = ["cni", "coredns", "kube-proxy"];

/// Runs nowhere but on a node, so that more of its pods than nodes would wait for ever.
const MOST_PODS: &str = "each of its pods wants a node of its own";

/// What the meaning of an add-on depends on, beside its own words.
pub(super) struct Around<'a> {
    pub networking: &'a Networking,
    pub nodes: &'a [Node],
    /// The nodes are those of the file, and not this host alone.
    pub declared: bool,
    /// Of kube-proxy; empty is its default, iptables.
    pub proxy_mode: &'a str,
    registry: Option<String>,
}

/// What an add-on must go along with.
pub(super) struct Surroundings<'a> {
    pub networking: &'a Networking,
    /// Who has which address already.
    pub taken: &'a [(IpAddr, String)],
    pub nodes: usize,
    /// Nodes without a control plane.
    pub workers: usize,
    pub dns_disabled: bool,
    pub proxy_disabled: bool,
    /// Of kube-proxy; empty is its default, iptables.
    pub proxy_mode: &'a str,
    /// kube-proxy with ipvs answers ARP only for addresses of the interface that is asked.
    pub strict_arp: bool,
}

impl Around<'_> {
    /// An image of ours, from where the operator has the images, unless the operator names one.
    fn image(&self, given: Option<&String>, ours: &str) -> String {
        some(given).unwrap_or_else(|| Cni::from_registry(ours, self.registry.as_deref()))
    }
}

impl Addons {
    pub(super) fn around<'a>(
        &self,
        networking: &'a Networking,
        nodes: &'a [Node],
        declared: bool,
        proxy_mode: &'a str,
    ) -> Around<'a> {
        Around { networking, nodes, declared, proxy_mode, registry: some(self.registry.as_ref()) }
    }

    pub(super) fn coredns(&self) -> addon::Coredns {
        self.coredns.as_ref().map(coredns::Coredns::meaning).unwrap_or_default()
    }

    /// Where pods ask for names, if that is not the cluster's DNS service.
    pub(super) fn dns_address(&self, networking: &Networking, proxy_mode: &str) -> Option<IpAddr> {
        let cache = on(self.node_local_dns.as_ref(), |cache| cache.enabled)?;
        node_local_dns::asked_by_address(proxy_mode).then(|| cache.address(networking))
    }

    /// What is switched on, in the order in which it is installed.
    pub(super) fn meaning(&self, around: &Around<'_>) -> Vec<Addon> {
        let cache = on(self.node_local_dns.as_ref(), |one| one.enabled);
        let approver = on(self.kubelet_csr_approver.as_ref(), |one| one.enabled);
        let metrics = on(self.metrics_server.as_ref(), |one| one.enabled);
        let gateway_api = on(self.gateway_api.as_ref(), |one| one.enabled);
        let metallb = on(self.metallb.as_ref(), |one| one.enabled);
        let local_path = on(self.local_path.as_ref(), |one| one.enabled);
        let ingress = on(self.ingress.as_ref(), |one| one.enabled);
        let headlamp = on(self.headlamp.as_ref(), |one| one.enabled);
        let dashboard = on(self.kubernetes_dashboard.as_ref(), |one| one.enabled);
        let class = ingress.map(ingress::Ingress::class);
        let let_in = |one: &ingress::Ingress| one.meaning(around, metallb.is_some(), gateway_api.is_some());
        let named = [
            (addon::NODE_LOCAL_DNS, cache.map(|one| What::NodeLocalDns(one.meaning(around)))),
            (addon::KUBELET_CSR_APPROVER, approver.map(|one| What::KubeletCsrApprover(one.meaning(around)))),
            (addon::METRICS_SERVER, metrics.map(|one| What::MetricsServer(one.meaning(around)))),
            (addon::GATEWAY_API, gateway_api.map(|one| What::GatewayApi(one.meaning()))),
            (addon::METALLB, metallb.map(|one| What::Metallb(one.meaning(around)))),
            (addon::LOCAL_PATH, local_path.map(|one| What::LocalPath(one.meaning(around)))),
            (addon::INGRESS, ingress.map(|one| What::Ingress(let_in(one)))),
            (addon::HEADLAMP, headlamp.map(|one| What::Headlamp(one.meaning(around, class)))),
            (
                addon::KUBERNETES_DASHBOARD,
                dashboard.and_then(kubernetes_dashboard::KubernetesDashboard::meaning),
            ),
        ];
        let named = named.into_iter().filter_map(|(name, what)| what.map(|what| (name.to_owned(), what)));
        let charts = self.charts.iter().map(|chart| (chart.name.clone(), What::Chart(chart.meaning())));
        let own = self.manifests.iter().map(|own| (own.name.clone(), What::Manifests(own.meaning())));
        named.chain(charts).chain(own).map(|(name, what)| Addon { name, what }).collect()
    }

    pub(super) fn validate(&self, report: &mut Report) {
        let path = Path::of(KIND, "spec.addons");
        refuse_silence(report, &path);
        registry(report, self.registry.as_ref(), &path.key("registry"));
        if let Some(coredns) = &self.coredns {
            coredns.validate(report, &path.key("coredns"));
        }
        if let Some(cache) = &self.node_local_dns {
            cache.validate(report, &path.key("nodeLocalDns"));
        }
        if let Some(approver) = &self.kubelet_csr_approver {
            approver.validate(report, &path.key("kubeletCsrApprover"));
        }
        if let Some(metrics) = &self.metrics_server {
            metrics.validate(report, &path.key("metricsServer"));
        }
        if let Some(gateway_api) = on(self.gateway_api.as_ref(), |one| one.enabled) {
            gateway_api.validate(report, &path.key("gatewayApi"));
        }
        if let Some(metallb) = on(self.metallb.as_ref(), |one| one.enabled) {
            metallb.validate(report, &path.key("metallb"));
        }
        if let Some(local_path) = &self.local_path {
            local_path.validate(report, &path.key("localPath"));
        }
        if let Some(ingress) = on(self.ingress.as_ref(), |one| one.enabled) {
            ingress.validate(report, &path.key("ingress"));
        }
        if let Some(headlamp) = &self.headlamp {
            headlamp.validate(report, &path.key("headlamp"), self.ingress.is_some());
        }
        if let Some(dashboard) = on(self.kubernetes_dashboard.as_ref(), |one| one.enabled) {
            dashboard.validate(report, &path.key("kubernetesDashboard"));
        }
        if on(self.ingress_nginx.as_ref(), |one| one.enabled).is_some() {
            report
                .error(
                    &path.key("ingressNginx"),
                    "ingress-nginx is retired: its repository is archived, and nobody mends its vulnerabilities",
                )
                .hint("ingress: {provider: traefik} or {provider: haproxy}; a fork that somebody maintains goes under charts");
        }
        self.validate_lists(report, &path);
    }

    fn validate_lists(&self, report: &mut Report, path: &Path) {
        let mut names: Vec<&str> = Vec::new();
        let (charts, own) = (path.key("charts"), path.key("manifests"));
        for (index, chart) in self.charts.iter().enumerate() {
            addon_name(report, &chart.name, &mut names, &charts.index(index).key("name"));
            chart.validate(report, &charts.index(index));
        }
        for (index, addon) in self.manifests.iter().enumerate() {
            addon_name(report, &addon.name, &mut names, &own.index(index).key("name"));
            addon.validate(report, &own.index(index));
        }
    }

    /// What add-ons and the rest of the file have to do with each other.
    pub(super) fn validate_against(&self, report: &mut Report, around: &Surroundings<'_>) {
        let path = Path::of(KIND, "spec.addons");
        if self.coredns.is_some() && around.dns_disabled {
            report
                .error(&path.key("coredns"), "CoreDNS is switched off, so that nobody reads its options")
                .hint("leave coredns out, or `dns.disabled` of ClusterConfiguration");
        }
        if let Some(cache) = on(self.node_local_dns.as_ref(), |one| one.enabled) {
            cache.validate_against(report, around, &path.key("nodeLocalDns"));
        }
        if let Some(metrics) = on(self.metrics_server.as_ref(), |one| one.enabled) {
            metrics.validate_against(report, around, &path.key("metricsServer"));
        }
        if let Some(metallb) = on(self.metallb.as_ref(), |one| one.enabled) {
            metallb.validate_against(report, around, &path.key("metallb"));
        }
        if let Some(ingress) = on(self.ingress.as_ref(), |one| one.enabled) {
            let metallb = on(self.metallb.as_ref(), |one| one.enabled).is_some();
            ingress.validate_against(report, metallb, &path.key("ingress"));
        }
    }

    /// Whether kubelets serve with certificates that somebody can verify, and ask for them where somebody is to approve
    /// that. `five` is the layout with a chain for them.
    pub(super) fn validate_kubelets(&self, report: &mut Report, five: bool, kubelet: &Value) {
        let path = Path::of(KIND, "spec.addons");
        let asks = kubelet["serverTLSBootstrap"] == true;
        let metrics = on(self.metrics_server.as_ref(), |one| one.enabled).is_some();
        if metrics && !five && !asks {
            report
                .error(
                    &path.key("metricsServer"),
                    "with the layout kubeadm, kubelets serve with certificates that they sign themselves, and metrics-server cannot verify those",
                )
                .hint("KubeletConfiguration: serverTLSBootstrap: true, and kubeletCsrApprover: {}; or the layout five");
        }
        let approver = on(self.kubelet_csr_approver.as_ref(), |one| one.enabled).is_some();
        if approver && !asks {
            report
                .warning(
                    &path.key("kubeletCsrApprover"),
                    "no kubelet asks for a serving certificate, so that there is nothing to approve",
                )
                .hint("KubeletConfiguration: serverTLSBootstrap: true");
        }
    }
}

/// An add-on that is there and not switched off.
fn on<T>(addon: Option<&T>, enabled: impl Fn(&T) -> Option<bool>) -> Option<&T> {
    addon.filter(|addon| enabled(addon).unwrap_or(true))
}

/// `metricsServer:` with nothing after it is easily meant as a switch, and means nothing.
fn refuse_silence(report: &mut Report, path: &Path) {
    let silent = |report: &Report| -> Vec<&'static str> {
        let root = report.roots.iter().find(|(kind, _)| kind == KIND).map(|(_, root)| root);
        let addons = root.and_then(|root| root.get("spec")?.get("addons"));
        let is_silent = |name: &&str| {
            addons.and_then(|addons| addons.get(name)).is_some_and(|node| node.value == yaml::Value::Null)
        };
        NAMED.into_iter().filter(is_silent).collect()
    };
    for name in silent(report) {
        report
            .error(&path.key(name), format!("{name} says nothing"))
            .hint(format!("`{name}: {{}}` installs it; leave it out otherwise"));
    }
}

/// Complains of what cannot be the beginning of an image's name.
fn registry(report: &mut Report, registry: Option<&String>, path: &Path) {
    let registry = some(registry).unwrap_or_default();
    if !registry.is_empty() && !name::is_image_repository(&registry) {
        report
            .error(path, format!("`{registry}` is not the beginning of an image's name"))
            .hint("a host and folders, such as registry.example.com/mirror");
    }
}

/// Complains of what cannot be an image's name.
fn image(report: &mut Report, image: Option<&String>, path: &Path) {
    let Some(image) = some(image) else { return };
    let place = image.split_once('@').map_or(image.as_str(), |(place, _)| place);
    let repository = match place.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => place,
    };
    if !name::is_image_repository(repository) {
        report
            .error(path, format!("`{image}` is not the name of an image"))
            .hint("such as registry.example.com/folder/name:v1.2.3");
    }
}

fn addon_name<'a>(report: &mut Report, name: &'a str, names: &mut Vec<&'a str>, path: &Path) {
    if name.is_empty() {
        report.missing(path, "the add-on has no name", "name: monitoring");
    } else if !name::is_subdomain(name) || name.contains('.') || name.len() > 50 {
        report
            .error(path, format!("`{name}` cannot be the name of an add-on"))
            .hint("lower-case letters, digits and `-`, at most 50");
    } else if RESERVED.contains(&name) || addon::NAMED.contains(&name) {
        report
            .error(path, format!("`{name}` is the name of something that is installed otherwise"))
            .hint("choose another name");
    } else if names.contains(&name) {
        report
            .error(path, format!("the add-on {name} is named twice"))
            .hint("put its sources together, or choose another name");
    }
    names.push(name);
}

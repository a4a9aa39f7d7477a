//! The configuration that a running cluster keeps of itself, as far as a joining node needs it.

use crate::cluster::Cluster;
use crate::cluster::ComponentConfig;
use crate::cluster::HostPort;
use crate::cluster::Layout;
use crate::cluster::Networking;
use crate::cluster::Node;
use crate::cluster::Role;
use crate::cluster::Secret;
use crate::cluster::Site;
use crate::cluster::kubeadm::ClusterConfiguration;
use crate::cluster::kubeadm::JoinConfiguration;
use crate::config::Issue;
use crate::config::Issues;
use crate::config::Strictness;
use crate::config::component;
use crate::config::declared::pull_policy;
use crate::config::defaults;
use crate::config::documents;
use crate::config::documents::Object;
use crate::config::documents::Unrelated;
use crate::config::environment::Environment;
use crate::config::issue::Severity;
use crate::config::load::CLUSTER;
use crate::config::load::networking;
use crate::config::load::typed;
use crate::config::name;
use crate::config::path::Path;
use crate::config::release;
use crate::config::release::Release;
use crate::config::report::Report;
use crate::config::schema::KUBE_PROXY_VERSION;
use crate::config::schema::KUBELET_VERSION;
use crate::config::yaml;
use crate::kube::objects::build::HASH_ANNOTATION;
use crate::kube::objects::build::component_config_hash;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::net::Ipv4Addr;

/// The `ConfigMap`s of `kube-system` that a joining node reads, as the API gives them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stored {
    pub kubeadm_config: Value,
    pub kubelet_config: Value,
    /// `None` where kube-proxy was not installed, or may not be looked at.
    pub kube_proxy: Option<Value>,
}

/// What is known of a join beside the stored configuration.
#[derive(Debug, Clone, Copy)]
pub struct Joining<'a> {
    pub join: &'a JoinConfiguration,
    /// The URL of the API that discovery found; it stands for a `controlPlaneEndpoint` that the cluster has not.
    pub server: &'a str,
    pub layout: Layout,
    pub env: &'a Environment,
}

/// Where one of the documents is kept.
struct Place {
    map: &'static str,
    key: &'static str,
    kind: &'static str,
    api_version: &'static str,
}

const KUBEADM: Place = Place {
    map: "kubeadm-config",
    key: "ClusterConfiguration",
    kind: CLUSTER,
    api_version: crate::cluster::kubeadm::API_VERSION,
};
const KUBELET: Place = Place {
    map: "kubelet-config",
    key: "kubelet",
    kind: "KubeletConfiguration",
    api_version: KUBELET_VERSION,
};
const KUBE_PROXY: Place = Place {
    map: "kube-proxy",
    key: "config.conf",
    kind: "KubeProxyConfiguration",
    api_version: KUBE_PROXY_VERSION,
};

/// The cluster that the host joins, with the host as its only node. Every problem is reported at once, under the
/// name of its `ConfigMap`; what nobody knows is a warning, since the cluster runs with it.
pub fn cluster(stored: &Stored, joining: Joining<'_>) -> Result<(Cluster, Vec<Issue>), Issues> {
    let mut issues = Vec::new();
    let basis = take(&mut issues, |report| basis(report, &stored.kubeadm_config, joining));
    let kubelet = take(&mut issues, |report| component(report, &KUBELET, Some(&stored.kubelet_config)));
    let kube_proxy = take(&mut issues, |report| component(report, &KUBE_PROXY, stored.kube_proxy.as_ref()));
    let issues = Issues(issues);
    match (basis, kubelet, kube_proxy) {
        (Some(basis), Some(kubelet), Some(kube_proxy)) if !issues.has_errors() => {
            Ok((assemble(basis, kubelet, kube_proxy, joining), issues.0))
        }
        _ => Err(issues),
    }
}

impl Place {
    fn name(&self) -> String {
        format!("ConfigMap kube-system/{}", self.map)
    }
}

/// Runs one part with a report of its own, and keeps what it found.
fn take<T>(issues: &mut Vec<Issue>, part: impl FnOnce(&mut Report) -> Option<T>) -> Option<T> {
    let mut report = Report::new("");
    let value = part(&mut report);
    issues.append(&mut Issues(report.issues).sorted().0);
    value
}

/// The text under a key; its absence is reported.
fn text<'a>(report: &mut Report, place: &Place, map: &'a Value) -> Option<&'a str> {
    report.file = place.name();
    let text = map.get("data").and_then(|data| data.get(place.key)).and_then(Value::as_str);
    if text.is_none_or(|text| text.trim().is_empty()) {
        report
            .whole(Severity::Error, format!("it has no `{}`", place.key))
            .hint("on a control plane, `kubewright init phase upload-config all` writes it again");
        return None;
    }
    text
}

/// The one document of a text; older versions are converted. `None` when it cannot be read, which is reported.
fn read(report: &mut Report, place: &Place, text: &str) -> Option<Object> {
    let mut documents =
        documents::read(report, text.as_bytes(), &[place.kind], Unrelated::Ignored, Strictness::Lenient);
    let found = documents.take(place.kind);
    if found.is_none() && !report.has_errors() {
        report.whole(Severity::Error, format!("`{}` holds no {}", place.key, place.kind));
    }
    for issue in report.issues.iter_mut().filter(|issue| issue.path.ends_with(".apiVersion")) {
        // The hints for files would have the operator rewrite one.
        issue.hint(if issue.is_error() {
            format!("this release reads {}: an older cluster must be upgraded first, a newer one needs a newer kubewright", place.api_version)
        } else {
            "it is converted here; the next upgrade of the cluster rewrites it".to_owned()
        });
    }
    found
}

/// What the cluster's own document comes to.
struct Basis {
    configuration: ClusterConfiguration,
    release: Release,
    endpoint: HostPort,
    networking: Networking,
    node: Node,
}

fn basis(report: &mut Report, map: &Value, joining: Joining<'_>) -> Option<Basis> {
    let text = text(report, &KUBEADM, map)?;
    let object = read(report, &KUBEADM, text)?;
    let mut configuration: ClusterConfiguration = typed(report, CLUSTER, object);
    defaults::cluster(&mut configuration);
    let release = version(report, &mut configuration, joining.env);
    let networking = networking(&configuration);
    if networking.services.is_empty() {
        let message = format!("`{}` is not a network", configuration.networking.service_subnet);
        report.missing(&Path::of(CLUSTER, "networking.serviceSubnet"), message, "such as 10.96.0.0/12");
    }
    let node = node(&networking, joining);
    let endpoint = endpoint(report, &configuration, &node, joining.server)?;
    Some(Basis { configuration, release, endpoint, networking, node })
}

/// A component's document (`None`: there is none to use, so the defaults are), and whether the operator wrote it.
type Component = (Option<Object>, bool);

fn component(report: &mut Report, place: &Place, map: Option<&Value>) -> Option<Component> {
    let Some(map) = map else { return Some((None, false)) };
    let text = text(report, place, map)?;
    let generated = is_generated(map);
    if generated && is_of_another_version(place, text) {
        report
            .whole(
                Severity::Warning,
                format!(
                    "its {} is of another version and was generated, so it is generated anew",
                    place.kind
                ),
            )
            .hint("the next upgrade of the cluster rewrites it");
        return Some((None, false));
    }
    read(report, place, text).map(|object| (Some(object), !generated))
}

/// Whether nobody has changed the `ConfigMap` since it was generated: its annotation says what it was then.
fn is_generated(map: &Value) -> bool {
    let annotation = map.pointer("/metadata/annotations").and_then(|all| all.get(HASH_ANNOTATION));
    let data = map.get("data").and_then(Value::as_object);
    let hash = data.map(component_config_hash);
    annotation.and_then(Value::as_str).is_some_and(|annotation| hash.as_deref() == Some(annotation))
}

fn is_of_another_version(place: &Place, text: &str) -> bool {
    let (documents, _) = yaml::read("", text.as_bytes());
    let group = place.api_version.split('/').next().unwrap_or_default();
    documents
        .iter()
        .filter_map(|document| document.root.get("apiVersion")?.text())
        .any(|version| version.split('/').next() == Some(group) && version != place.api_version)
}

fn assemble(basis: Basis, kubelet: Component, kube_proxy: Component, joining: Joining<'_>) -> Cluster {
    let Basis { configuration, release, endpoint, networking, node } = basis;
    let control_plane = joining.join.control_plane.as_ref();
    let key = control_plane.map(|control_plane| &control_plane.certificate_key);
    Cluster {
        name: configuration.cluster_name.clone(),
        version: release.version,
        layout: joining.layout,
        joining: true,
        networking,
        endpoint: Some(endpoint),
        kubelet: settled(kubelet, |report, given| {
            // A stored document is the cluster's own, and what it does not say it does not want.
            let layout = if given.is_some() { Layout::Kubeadm } else { joining.layout };
            component::kubelet(report, given, &configuration, layout, None)
        }),
        kube_proxy: settled(kube_proxy, |report, given| {
            component::kube_proxy(report, given, &configuration, Some(node.advertise_address))
        }),
        nodes: vec![node],
        tokens: Vec::new(),
        upload_certs: false,
        certificate_key: key.filter(|key| !key.is_empty()).map(Secret::new),
        timeouts: joining.join.timeouts.clone(),
        patches: Vec::new(),
        prepare: crate::cluster::Prepare::default(),
        site: Site { ci_build: release.ci, ..Site::default() },
        configuration,
    }
}

/// Fills in what kubeadm sets. Where the stored document differs from it, the operator was told when it was made.
fn settled(
    (given, user_supplied): Component,
    fill: impl FnOnce(&mut Report, Option<Object>) -> ComponentConfig,
) -> ComponentConfig {
    let mut unheard = Report::new("");
    ComponentConfig { user_supplied, ..fill(&mut unheard, given) }
}

fn version(report: &mut Report, configuration: &mut ClusterConfiguration, env: &Environment) -> Release {
    let path = Path::of(CLUSTER, "kubernetesVersion");
    if configuration.kubernetes_version.is_empty() {
        report.error(&path, "it does not say which version the cluster has");
    }
    let release = release::resolve(report, env, &configuration.kubernetes_version, &path);
    let prefix = if release.ci { "ci/" } else { "" };
    configuration.kubernetes_version = format!("{prefix}{}", release.version);
    release
}

/// Where clients find the API: as the cluster says, or else where it was found.
fn endpoint(
    report: &mut Report,
    configuration: &ClusterConfiguration,
    node: &Node,
    server: &str,
) -> Option<HostPort> {
    let stored = configuration.control_plane_endpoint.as_str();
    if !stored.is_empty() {
        let Some((host, port)) = name::parse_host_port(stored) else {
            let path = Path::of(CLUSTER, "controlPlaneEndpoint");
            report.error(&path, format!("`{stored}` is not host:port"));
            return None;
        };
        return Some(HostPort::new(host, port.unwrap_or(node.bind_port)));
    }
    let address = server.strip_prefix("https://").unwrap_or(server).trim_end_matches('/');
    let Some((host, port)) = name::parse_host_port(address) else {
        "discovery".clone_into(&mut report.file);
        report.whole(Severity::Error, format!("the API server's URL `{server}` is not https://host:port"));
        return None;
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some(HostPort::new(host, port.unwrap_or(443)))
}

fn node(networking: &Networking, joining: Joining<'_>) -> Node {
    let registration = &joining.join.node_registration;
    let local = joining.join.control_plane.as_ref().map(|control_plane| &control_plane.local_api_endpoint);
    let given = local.and_then(|endpoint| name::parse_ip(&endpoint.advertise_address));
    let node_ip = registration.kubelet_extra_args.iter().rev().find(|arg| arg.name == "node-ip");
    let node_ip = node_ip.and_then(|arg| name::parse_ip(arg.value.split(',').next()?));
    let v6_first = networking.services.first().is_some_and(|net| net.addr().is_ipv6());
    let own = given.or(node_ip).or_else(|| joining.env.address(v6_first));
    Node {
        name: registration.name.clone(),
        roles: vec![if local.is_some() { Role::ControlPlane } else { Role::Worker }],
        // A worker announces nothing: one without a default route can join all the same.
        advertise_address: own.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        bind_port: local.map_or(defaults::BIND_PORT, |endpoint| endpoint.bind_port),
        cri_socket: registration.cri_socket.clone(),
        taints: registration.taints.clone(),
        labels: BTreeMap::new(),
        kubelet_extra_args: registration.kubelet_extra_args.clone(),
        ignore_preflight_errors: registration.ignore_preflight_errors.clone(),
        image_pull_policy: pull_policy(registration),
        image_pull_serial: registration.image_pull_serial.unwrap_or(true),
        access: None,
    }
}

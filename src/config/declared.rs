//! The `Cluster` document: hosts, how to reach them, and the few choices that kubeadm has no word for.

mod addons;
mod endpoint;
mod joining;
mod manifest;
mod network;
mod ssh;

use crate::cluster::Layout;
use crate::cluster::Networking;
use crate::cluster::Role;
use crate::cluster::kubeadm::Arg;
use crate::cluster::kubeadm::ClusterConfiguration;
use crate::cluster::kubeadm::NodeRegistration;
use crate::cluster::kubeadm::Taint;
use crate::cluster::node::ImagePullPolicy;
use crate::cluster::node::Node;
use crate::cluster::site::Access;
use crate::cluster::site::EndpointProvider;
use crate::cluster::site::RuntimeProvider;
use crate::cluster::site::Site;
use crate::config::declared::ssh::Ssh;
use crate::config::defaults;
use crate::config::documents::Object;
use crate::config::environment::CONTAINERD_SOCKET;
use crate::config::environment::Environment;
use crate::config::load::networking;
use crate::config::name;
use crate::config::path::Path;
use crate::config::report::Report;
use crate::config::validate;
use addons::Surroundings;
use endpoint::Endpoint;
use endpoint::Setting;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;

mod prepare;

pub(crate) use joining::Declaration;

pub(crate) const KIND: &str = "Cluster";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Declared {
    pub metadata: Metadata,
    pub spec: Spec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Metadata {
    pub name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Spec {
    ssh: Ssh,
    pub hosts: Vec<Host>,
    endpoint: Option<Endpoint>,
    pki: Pki,
    network: network::Network,
    addons: addons::Addons,
    prepare: prepare::Prepare,
    container_runtime: prepare::Runtime,
    artifacts: prepare::Artifacts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Host {
    pub name: String,
    pub address: String,
    ssh_address: Option<String>,
    pub roles: Vec<Role>,
    labels: BTreeMap<String, String>,
    taints: Option<Vec<Taint>>,
    cri_socket: Option<String>,
    kubelet_extra_args: Vec<Arg>,
    ssh: Ssh,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pki {
    layout: Option<Layout>,
}

impl Declared {
    pub(crate) fn layout(&self) -> Option<Layout> {
        self.spec.pki.layout
    }

    pub(crate) fn prepare(&self) -> crate::cluster::Prepare {
        prepare::meaning(&self.spec.prepare, &self.spec.container_runtime, &self.spec.artifacts)
    }

    /// `nodes` are those of the file; the pod network and add-ons may have to know them all.
    pub(crate) fn site(
        &self,
        bind_port: u16,
        cluster: &ClusterConfiguration,
        nodes: &[Node],
        proxy_mode: &str,
    ) -> Site {
        let declared_hosts = !self.spec.hosts.is_empty();
        let networking = networking(cluster);
        let around = self.spec.addons.around(&networking, nodes, declared_hosts, proxy_mode);
        Site {
            declared_hosts,
            endpoint_provider: self.provider(),
            balancing: self.setting(bind_port).and_then(|setting| setting.balancing()),
            cni: self.spec.network.meaning(cluster, &networking, nodes),
            coredns: self.spec.addons.coredns(),
            addons: self.spec.addons.meaning(&around),
            container_runtime: self.spec.container_runtime.provider(),
            hosts: Vec::new(),
            ci_build: false,
        }
    }

    pub(crate) fn names_no_hosts(&self) -> bool {
        self.spec.hosts.is_empty()
    }

    pub(crate) fn container_runtime(&self) -> Option<RuntimeProvider> {
        self.spec.container_runtime.provider()
    }

    /// Where pods ask for names, if that is not the cluster's DNS service.
    pub(crate) fn dns_address(&self, cluster: &ClusterConfiguration, proxy_mode: &str) -> Option<IpAddr> {
        self.spec.addons.dns_address(&networking(cluster), proxy_mode)
    }

    /// What can only be said of kubelets once the layout is known.
    pub(crate) fn validate_kubelets(&self, report: &mut Report, five: bool, kubelet: &Value) {
        self.spec.addons.validate_kubelets(report, five, kubelet);
    }

    fn provider(&self) -> EndpointProvider {
        self.spec.endpoint.as_ref().map_or(EndpointProvider::None, Endpoint::provider)
    }

    fn setting(&self, bind_port: u16) -> Option<Setting<'_>> {
        let endpoint = self.spec.endpoint.as_ref()?;
        Some(Setting { endpoint, hosts: &self.spec.hosts, bind_port })
    }

    pub(crate) fn first_control_plane(&self) -> Option<&Host> {
        self.spec.hosts.iter().find(|host| host.roles.contains(&Role::ControlPlane))
    }

    /// The endpoint, in the form of kubeadm's `controlPlaneEndpoint`.
    pub(crate) fn endpoint(&self, bind_port: u16) -> Option<String> {
        self.setting(bind_port)?.control_plane_endpoint()
    }

    /// Everything that can be said without the networks.
    pub(crate) fn validate(&self, report: &mut Report, bind_port: u16) {
        let name_path = Path::of(KIND, "metadata.name");
        if self.metadata.name.is_empty() {
            report.missing(&name_path, "the cluster has no name", "metadata: {name: prod}");
        } else if !name::is_subdomain(&self.metadata.name) {
            let message = format!("`{}` cannot be a cluster's name", self.metadata.name);
            report.error(&name_path, message).hint("lower-case letters, digits and `-`");
        }
        if let Some(setting) = self.setting(bind_port) {
            setting.validate(report, &Path::of(KIND, "spec.endpoint"));
        }
        self.validate_prepare(report);
        self.spec.network.validate(report);
        self.spec.addons.validate(report);
        self.spec.ssh.validate(report, &Path::of(KIND, "spec.ssh"));
        let hosts = Path::of(KIND, "spec.hosts");
        for (index, host) in self.spec.hosts.iter().enumerate() {
            host.validate(report, &hosts.index(index));
            self.repeated(report, host, index, &hosts.index(index));
        }
        let roles_are_known =
            (0..self.spec.hosts.len()).all(|index| !report.blames(&hosts.index(index).key("roles")));
        if !self.spec.hosts.is_empty() && self.first_control_plane().is_none() && roles_are_known {
            report
                .error(&hosts, "no host has the role control-plane")
                .hint("give at least one host roles: [control-plane]");
        }
    }

    pub(crate) fn validate_prepare(&self, report: &mut Report) {
        prepare::validate(report, &self.spec.container_runtime, &self.spec.artifacts);
    }

    fn repeated(&self, report: &mut Report, host: &Host, index: usize, path: &Path) {
        let earlier = &self.spec.hosts[..index];
        if !host.name.is_empty() && earlier.iter().any(|other| other.name == host.name) {
            report
                .error(&path.key("name"), format!("the host {} is named twice", host.name))
                .hint("each host once");
        }
        let address = name::parse_ip(&host.address);
        let same = |other: &&Host| address.is_some() && name::parse_ip(&other.address) == address;
        if let Some(other) = earlier.iter().find(same) {
            report.error(
                &path.key("address"),
                format!("{} has the address of host {} too", host.name, other.name),
            );
        }
    }

    /// What the hosts' addresses and the other documents have to do with each other.
    pub(crate) fn validate_against(
        &self,
        report: &mut Report,
        networking: &Networking,
        cluster: &ClusterConfiguration,
        kube_proxy: Option<&Object>,
    ) {
        let endpoint = &cluster.control_plane_endpoint;
        let is_node =
            |host: &&Host| host.roles.iter().any(|role| [Role::ControlPlane, Role::Worker].contains(role));
        let nodes = self.spec.hosts.iter().filter(is_node).count().max(1);
        self.spec.network.validate_against(report, networking, cluster, kube_proxy, nodes);
        self.validate_addons(report, networking, cluster, kube_proxy, nodes);
        let hosts = Path::of(KIND, "spec.hosts");
        if let Some(setting) = self.setting(0) {
            setting.validate_against(report, networking, &Path::of(KIND, "spec.endpoint"));
        }
        for (index, host) in self.spec.hosts.iter().enumerate() {
            let Some(address) = name::parse_ip(&host.address) else { continue };
            let path = hosts.index(index).key("address");
            for (what, networks) in [("service", &networking.services), ("pod", &networking.pods)] {
                if let Some(network) = networks.iter().find(|network| network.contains(&address)) {
                    report
                        .error(&path, format!("{address} lies within the {what} subnet {network}"))
                        .hint("hosts, pods and services need networks of their own");
                }
            }
        }
        let control_planes =
            self.spec.hosts.iter().filter(|host| host.roles.contains(&Role::ControlPlane)).count();
        if control_planes > 1 && endpoint.is_empty() && self.provider() != EndpointProvider::NodeLocal {
            report
                .error(
                    &hosts,
                    format!("{control_planes} control planes need an endpoint that stands for all of them"),
                )
                .hint("spec.endpoint: {host: ADDRESS, provider: keepalived-haproxy}");
        }
        self.validate_etcd(report, control_planes, cluster.etcd.external.is_some());
    }

    fn validate_addons(
        &self,
        report: &mut Report,
        networking: &Networking,
        cluster: &ClusterConfiguration,
        kube_proxy: Option<&Object>,
        nodes: usize,
    ) {
        let hosts = self.spec.hosts.iter();
        let of_hosts = hosts
            .filter_map(|host| Some((name::parse_ip(&host.address)?, format!("the host {}", host.name))));
        let of_endpoint = self.spec.endpoint.iter().flat_map(Endpoint::virtual_addresses);
        let taken: Vec<(IpAddr, String)> =
            of_hosts.chain(of_endpoint.map(|address| (address, "the API's endpoint".to_owned()))).collect();
        let control_plane = |host: &&Host| host.roles.contains(&Role::ControlPlane);
        let proxy = |pointer: &str| kube_proxy.and_then(|proxy| proxy.get(pointer));
        self.spec.addons.validate_against(
            report,
            &Surroundings {
                networking,
                taken: &taken,
                nodes,
                workers: nodes.saturating_sub(self.spec.hosts.iter().filter(control_plane).count().max(1)),
                dns_disabled: cluster.dns.disabled,
                proxy_disabled: cluster.proxy.disabled,
                proxy_mode: proxy("mode").and_then(Value::as_str).unwrap_or_default(),
                strict_arp: proxy("ipvs").is_some_and(|ipvs| ipvs["strictARP"] == true),
            },
        );
    }

    /// How many members etcd has, and whether they are ours at all.
    fn validate_etcd(&self, report: &mut Report, control_planes: usize, external: bool) {
        let hosts = Path::of(KIND, "spec.hosts");
        let is_etcd = |host: &Host| host.roles.contains(&Role::Etcd);
        let etcds = self.spec.hosts.iter().filter(|host| is_etcd(host)).count();
        if external {
            if let Some(index) = self.spec.hosts.iter().position(is_etcd) {
                let path = hosts.index(index).key("roles");
                let message = "the file has hosts with the role etcd, and `etcd.external` says that somebody else runs it";
                report.error(&path, message).hint(
                    "leave out `etcd.external`, whose place these hosts take, or the hosts with the role etcd",
                );
            }
            return;
        }
        let members = if etcds > 0 { etcds } else { control_planes };
        if members > 0 && members.is_multiple_of(2) {
            let message =
                format!("{members} etcd members survive no more failures than {} would", members - 1);
            report.warning(&hosts, message).hint("an odd number is better");
        }
        if etcds == 1 {
            let message = "with one host of etcd, the cluster's data is lost when that host is";
            report.warning(&hosts, message).hint("three survive the loss of one");
        }
    }

    /// The nodes, in the order of the document but control planes first.
    pub(crate) fn nodes(&self, report: &mut Report, common: &NodeRegistration, bind_port: u16) -> Vec<Node> {
        let hosts = Path::of(KIND, "spec.hosts");
        let mut nodes: Vec<Node> = Vec::new();
        for (index, host) in self.spec.hosts.iter().enumerate() {
            let Some(address) = name::parse_ip(&host.address) else { continue };
            let cri_socket = match host.cri_socket.as_deref().filter(|socket| !socket.is_empty()) {
                Some(given) => {
                    let path = hosts.index(index).key("criSocket");
                    let socket = defaults::socket(report, &Environment::default(), given, &path);
                    validate::socket(report, &socket, &path);
                    socket
                }
                // The runtime that is yet to be installed does not answer at its socket.
                None => match self.spec.container_runtime.socket() {
                    Some(socket) if common.cri_socket == CONTAINERD_SOCKET => socket.to_owned(),
                    _ => common.cri_socket.clone(),
                },
            };
            nodes.push(self.node(host, common, address, bind_port, cri_socket));
        }
        nodes.sort_by_key(|node| !node.is_control_plane());
        nodes
    }

    fn node(
        &self,
        host: &Host,
        common: &NodeRegistration,
        advertise_address: IpAddr,
        bind_port: u16,
        cri_socket: String,
    ) -> Node {
        let both = host.roles.contains(&Role::ControlPlane) && host.roles.contains(&Role::Worker);
        let role_taints = || both.then(Vec::new);
        Node {
            name: host.name.clone(),
            roles: host.roles.clone(),
            advertise_address,
            bind_port,
            cri_socket,
            taints: host.taints.clone().or_else(|| common.taints.clone()).or_else(role_taints),
            labels: host.labels.clone(),
            kubelet_extra_args: [common.kubelet_extra_args.as_slice(), &host.kubelet_extra_args].concat(),
            ignore_preflight_errors: common.ignore_preflight_errors.clone(),
            image_pull_policy: pull_policy(common),
            image_pull_serial: common.image_pull_serial.unwrap_or(true),
            access: Some(self.access(host)),
        }
    }

    fn access(&self, host: &Host) -> Access {
        let address = host.ssh_address.clone().filter(|text| !text.is_empty());
        host.ssh.access(&self.spec.ssh, address.unwrap_or_else(|| host.address.clone()))
    }
}

pub(crate) fn pull_policy(registration: &NodeRegistration) -> ImagePullPolicy {
    match registration.image_pull_policy.as_str() {
        "Always" => ImagePullPolicy::Always,
        "Never" => ImagePullPolicy::Never,
        _ => ImagePullPolicy::IfNotPresent,
    }
}

impl Host {
    fn validate(&self, report: &mut Report, path: &Path) {
        if self.name.is_empty() {
            report.missing(&path.key("name"), "the host has no name", "it becomes the name of its Node");
        } else if !name::is_subdomain(&self.name) {
            report
                .error(&path.key("name"), format!("`{}` cannot be a node's name", self.name))
                .hint("lower-case letters, digits, `-` and `.`");
        }
        self.validate_address(report, &path.key("address"));
        if self.roles.is_empty() {
            report.missing(
                &path.key("roles"),
                format!("the host {} has no role", self.name),
                "roles: [control-plane], [worker], [load-balancer] or [etcd]",
            );
        }
        self.validate_roles(report, path);
        self.ssh.validate(report, &path.key("ssh"));
        for (key, value) in &self.labels {
            let path = path.key("labels").key(key);
            if !name::is_qualified(key) {
                report
                    .error(&path, format!("`{key}` cannot be a label"))
                    .hint("[prefix/]name, such as example.com/disk");
            }
            if !name::is_label_value(value) {
                report
                    .error(&path, format!("`{value}` cannot be the value of a label"))
                    .hint("at most 63 letters, digits, `-`, `_` and `.`");
            }
        }
        for (index, taint) in self.taints.iter().flatten().enumerate() {
            validate_taint(report, taint, &path.key("taints").index(index));
        }
        validate::args(report, &self.kubelet_extra_args, &path.key("kubeletExtraArgs"));
    }

    /// An etcd that shares its host with something else shares its disk and its fate with that too.
    fn validate_roles(&self, report: &mut Report, path: &Path) {
        let other = self.roles.iter().find(|role| **role != Role::Etcd);
        if let Some(other) = other.filter(|_| self.roles.contains(&Role::Etcd)) {
            let message = format!("the host {} has the role etcd and another one", self.name);
            report.error(&path.key("roles"), message).hint(match other {
                Role::ControlPlane => {
                    "roles: [etcd], for a host that runs nothing else; without such hosts, control planes run etcd \
                     themselves"
                }
                _ => "roles: [etcd], for a host that runs nothing else",
            });
        }
        let node = self.roles.iter().any(|role| [Role::ControlPlane, Role::Worker].contains(role));
        if !node && !self.roles.is_empty() && (!self.labels.is_empty() || self.taints.is_some()) {
            let message = format!("{} becomes no node, so that nothing has its labels and taints", self.name);
            report.warning(path, message).hint("leave them out");
        }
    }

    fn validate_address(&self, report: &mut Report, path: &Path) {
        let hint = "the address by which the other hosts reach it";
        match name::parse_ip(&self.address) {
            None if self.address.is_empty() => {
                report.missing(path, format!("the host {} has no address", self.name), hint);
            }
            None => {
                report
                    .error(path, format!("`{}` is not an IPv4 or IPv6 address", self.address))
                    .hint("a name for SSH belongs into sshAddress");
            }
            Some(address) if !name::is_global_unicast(address) => {
                report
                    .error(path, format!("{address} is not an address that other hosts can reach"))
                    .hint(hint);
            }
            Some(_) => {}
        }
    }
}

fn validate_taint(report: &mut Report, taint: &Taint, path: &Path) {
    if taint.key.is_empty() {
        report.missing(&path.key("key"), "the taint has no key", "[prefix/]name, such as example.com/gpu");
    } else if !name::is_qualified(&taint.key) {
        let message = format!("`{}` cannot be the key of a taint", taint.key);
        report.error(&path.key("key"), message).hint("[prefix/]name, such as example.com/gpu");
    }
    if !name::is_label_value(&taint.value) {
        report.error(&path.key("value"), format!("`{}` cannot be the value of a taint", taint.value));
    }
    if taint.effect.is_empty() {
        report.missing(
            &path.key("effect"),
            "the taint has no effect",
            "NoSchedule, PreferNoSchedule or NoExecute",
        );
    }
}

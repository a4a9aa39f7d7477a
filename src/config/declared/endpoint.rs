//! `spec.endpoint`: what is said there, what is meant where nothing is said, and what cannot be.

use super::Host;
use crate::cluster::Balancing;
use crate::cluster::GoDuration;
use crate::cluster::HostPort;
use crate::cluster::Networking;
use crate::cluster::Role;
use crate::cluster::endpoint::BgpPeer;
use crate::cluster::endpoint::Haproxy as HaproxyModel;
use crate::cluster::endpoint::Keepalived as KeepalivedModel;
use crate::cluster::endpoint::KubeVip as KubeVipModel;
use crate::cluster::endpoint::KubeVipMode;
use crate::cluster::endpoint::MAX_BALANCERS;
use crate::cluster::endpoint::MONITOR_PORT;
use crate::cluster::endpoint::NodeLocal as NodeLocalModel;
use crate::cluster::endpoint::RunAs;
use crate::cluster::endpoint::SHARED_PORT;
use crate::cluster::endpoint::VirtualAddress;
use crate::cluster::endpoint::virtual_router_id;
use crate::cluster::site::EndpointProvider;
use crate::config::name;
use crate::config::path::Path;
use crate::config::report::Report;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A long-term release of HAProxy; its project publishes the image.
const HAPROXY_IMAGE: &str = "docker.io/library/haproxy:3.2.19-alpine";
/// The image that kubeadm's documentation names. Nobody publishes one that is maintained.
const KEEPALIVED_IMAGE: &str = "docker.io/osixia/keepalived:2.0.20";
const KUBE_VIP_IMAGE: &str = "ghcr.io/kube-vip/kube-vip:v1.2.3";
/// Idle watches are not to be cut off.
const IDLE: GoDuration = GoDuration::from_hours(4);
const IDLE_LEAST: GoDuration = GoDuration::from_hours(1);
const ADVERT_INTERVAL: GoDuration = GoDuration::from_secs(1);
/// What VRRP version 3 can say, RFC 9568 section 5.2.7: hundredths of a second in twelve bits.
const CENTISECOND: i64 = 10_000_000;
const LONGEST_ADVERT: i64 = 4095 * CENTISECOND;
const MAX_CONNECTIONS: u32 = 20_000;
const PRIVATE_ASN: u32 = 65_000;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Endpoint {
    pub host: String,
    port: Option<u16>,
    provider: Option<EndpointProvider>,
    addresses: Vec<String>,
    run_as: Option<RunAs>,
    keepalived: Option<Keepalived>,
    haproxy: Option<Haproxy>,
    kube_vip: Option<KubeVip>,
    node_local: Option<NodeLocal>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Keepalived {
    interface: Option<String>,
    interfaces: BTreeMap<String, String>,
    virtual_router_id: Option<u8>,
    prefix_length: Option<u8>,
    advert_interval: Option<GoDuration>,
    preempt: bool,
    unicast: Option<bool>,
    image: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Haproxy {
    max_connections: Option<u32>,
    timeout: Option<GoDuration>,
    monitor_port: Option<u16>,
    stats_address: Option<String>,
    image: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct KubeVip {
    mode: Option<Mode>,
    interface: Option<String>,
    image: Option<String>,
    lease_duration: Option<GoDuration>,
    renew_deadline: Option<GoDuration>,
    retry_period: Option<GoDuration>,
    load_balancer: bool,
    bgp: Option<Bgp>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Arp,
    Bgp,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Bgp {
    asn: Option<u32>,
    peers: Vec<Peer>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Peer {
    address: String,
    asn: Option<u32>,
    multihop: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct NodeLocal {
    port: Option<u16>,
}

/// The document's endpoint among its hosts.
pub(super) struct Setting<'a> {
    pub endpoint: &'a Endpoint,
    pub hosts: &'a [Host],
    pub bind_port: u16,
}

fn some(text: Option<&String>) -> Option<&String> {
    text.filter(|text| !text.is_empty())
}

fn image(given: Option<&String>, default: &str) -> String {
    some(given).map_or_else(|| default.to_owned(), Clone::clone)
}

impl Endpoint {
    /// An endpoint that nobody is named for is somebody else's.
    pub(super) fn provider(&self) -> EndpointProvider {
        self.provider.unwrap_or(EndpointProvider::External)
    }

    fn run_as(&self) -> RunAs {
        self.run_as.unwrap_or_default()
    }

    fn keepalived(&self) -> Keepalived {
        self.keepalived.clone().unwrap_or_default()
    }

    fn kube_vip(&self) -> KubeVip {
        self.kube_vip.clone().unwrap_or_default()
    }

    /// The virtual addresses that can be read, `host` first where it is one.
    pub(super) fn virtual_addresses(&self) -> Vec<IpAddr> {
        let mut addresses: Vec<IpAddr> = Vec::new();
        for text in std::iter::once(&self.host).chain(&self.addresses) {
            addresses.extend(name::parse_ip(text).filter(|address| !addresses.contains(address)));
        }
        addresses
    }
}

impl Setting<'_> {
    fn balancers(&self) -> Vec<&Host> {
        let with = |role: Role| self.hosts.iter().filter(move |host| host.roles.contains(&role));
        if with(Role::LoadBalancer).next().is_some() {
            with(Role::LoadBalancer).collect()
        } else {
            with(Role::ControlPlane).collect()
        }
    }

    /// Whether a balancer shares its host with an API server, which has the usual port.
    fn shares_hosts(&self) -> bool {
        self.endpoint.provider() == EndpointProvider::KeepalivedHaproxy
            && self.balancers().iter().any(|host| host.roles.contains(&Role::ControlPlane))
    }

    pub(super) fn port(&self) -> u16 {
        let usual = if self.shares_hosts() && self.bind_port != SHARED_PORT {
            SHARED_PORT
        } else if self.shares_hosts() {
            6443
        } else {
            self.bind_port
        };
        self.endpoint.port.filter(|port| *port > 0).unwrap_or(usual)
    }

    /// In the form of kubeadm's `controlPlaneEndpoint`. A balancer at loopback is of no use to a host that joins, so
    /// without a host of its own the first control plane stands for the cluster.
    pub(super) fn control_plane_endpoint(&self) -> Option<String> {
        if !self.endpoint.host.is_empty() {
            return Some(HostPort::new(&self.endpoint.host, self.port()).to_string());
        }
        let first = self.hosts.iter().find(|host| host.roles.contains(&Role::ControlPlane))?;
        let local = self.endpoint.provider() == EndpointProvider::NodeLocal;
        local.then(|| HostPort::new(&first.address, self.bind_port).to_string())
    }

    /// What it comes to; for an endpoint in which something is wrong, nothing.
    pub(super) fn balancing(&self) -> Option<Balancing> {
        match self.endpoint.provider() {
            EndpointProvider::KeepalivedHaproxy => self.keepalived().map(Balancing::Keepalived),
            EndpointProvider::KubeVip => self.kube_vip().map(Balancing::KubeVip),
            EndpointProvider::NodeLocal => Some(Balancing::NodeLocal(self.node_local())),
            EndpointProvider::External | EndpointProvider::None => None,
        }
    }

    /// The family of the balancers' own addresses.
    fn is_ipv6(&self) -> Option<bool> {
        self.balancers().first().and_then(|host| name::parse_ip(&host.address)).map(|own| own.is_ipv6())
    }

    fn keepalived(&self) -> Option<KeepalivedModel> {
        let said = self.endpoint.keepalived();
        let addresses = self.endpoint.virtual_addresses();
        let ipv6 = self.is_ipv6()?;
        let address = *addresses.iter().find(|address| address.is_ipv6() == ipv6)?;
        let other = addresses.iter().copied().find(|address| address.is_ipv6() != ipv6);
        let whole =
            |address: IpAddr| VirtualAddress { address, prefix: if address.is_ipv6() { 128 } else { 32 } };
        let given = |address: VirtualAddress| VirtualAddress {
            prefix: said.prefix_length.unwrap_or(address.prefix),
            ..address
        };
        Some(KeepalivedModel {
            run_as: self.endpoint.run_as(),
            address: given(whole(address)),
            other: other.map(whole),
            port: self.port(),
            virtual_router_id: said.virtual_router_id.unwrap_or_else(|| virtual_router_id(address)),
            interface: some(said.interface.as_ref()).cloned(),
            interfaces: said.interfaces,
            advert_interval: said.advert_interval.unwrap_or(ADVERT_INTERVAL),
            preempt: said.preempt,
            unicast: said.unicast.unwrap_or(true),
            image: image(said.image.as_ref(), KEEPALIVED_IMAGE),
            haproxy: self.haproxy(),
        })
    }

    fn haproxy(&self) -> HaproxyModel {
        let said = self.endpoint.haproxy.clone().unwrap_or_default();
        let stats = some(said.stats_address.as_ref()).and_then(|text| name::parse_host_port(text));
        HaproxyModel {
            max_connections: said.max_connections.unwrap_or(MAX_CONNECTIONS),
            timeout: said.timeout.unwrap_or(IDLE),
            monitor_port: said.monitor_port.filter(|port| *port > 0).unwrap_or(MONITOR_PORT),
            stats: stats.and_then(|(host, port)| Some((host, port?))),
            image: image(said.image.as_ref(), HAPROXY_IMAGE),
        }
    }

    fn node_local(&self) -> NodeLocalModel {
        let port = self.endpoint.node_local.as_ref().and_then(|local| local.port);
        NodeLocalModel {
            run_as: self.endpoint.run_as(),
            port: port.filter(|port| *port > 0).unwrap_or(self.bind_port),
            haproxy: self.haproxy(),
        }
    }

    fn kube_vip(&self) -> Option<KubeVipModel> {
        let said = self.endpoint.kube_vip();
        let own = said.bgp.as_ref().and_then(|bgp| bgp.asn).unwrap_or(PRIVATE_ASN);
        let peer = |peer: Peer| {
            let address = name::parse_ip(&peer.address)?;
            Some(BgpPeer { address, asn: peer.asn.unwrap_or(own), multihop: peer.multihop })
        };
        let secs = GoDuration::from_secs;
        let mode = match said.mode.unwrap_or_default() {
            Mode::Arp => KubeVipMode::Arp {
                lease_duration: said.lease_duration.unwrap_or(secs(5)),
                renew_deadline: said.renew_deadline.unwrap_or(secs(3)),
                retry_period: said.retry_period.unwrap_or(secs(1)),
            },
            Mode::Bgp => {
                let peers = said.bgp.map(|bgp| bgp.peers).unwrap_or_default();
                KubeVipMode::Bgp { asn: own, peers: peers.into_iter().filter_map(peer).collect() }
            }
        };
        Some(KubeVipModel {
            mode,
            address: *self.endpoint.virtual_addresses().first()?,
            port: self.port(),
            interface: some(said.interface.as_ref()).cloned(),
            image: image(said.image.as_ref(), KUBE_VIP_IMAGE),
            load_balancer: said.load_balancer,
        })
    }

    /// Everything that can be said without the networks.
    pub(super) fn validate(&self, report: &mut Report, path: &Path) {
        self.validate_host(report, path);
        self.validate_sections(report, path);
        match self.endpoint.provider() {
            EndpointProvider::KeepalivedHaproxy => self.validate_keepalived(report, path),
            EndpointProvider::KubeVip => self.validate_kube_vip(report, path),
            EndpointProvider::NodeLocal => self.validate_node_local(report, path),
            EndpointProvider::External | EndpointProvider::None => {}
        }
        if self.endpoint.haproxy.is_some() {
            self.validate_haproxy(report, &path.key("haproxy"));
        }
    }

    fn validate_host(&self, report: &mut Report, path: &Path) {
        let endpoint = self.endpoint;
        let provider = endpoint.provider();
        let needs_host = !matches!(provider, EndpointProvider::None | EndpointProvider::NodeLocal);
        if endpoint.host.is_empty() && needs_host {
            report.missing(
                &path.key("host"),
                "the endpoint has no host",
                "an address or a DNS name that all hosts reach",
            );
        } else if !endpoint.host.is_empty()
            && !name::is_subdomain(&endpoint.host)
            && name::parse_ip(&endpoint.host).is_none()
        {
            let message = format!("`{}` is neither an address nor a DNS name", endpoint.host);
            report.error(&path.key("host"), message).hint("the port has a field of its own");
        }
        for (index, text) in endpoint.addresses.iter().enumerate() {
            let path = path.key("addresses").index(index);
            if name::parse_ip(text).is_none_or(|address| !name::is_global_unicast(address)) {
                report
                    .error(&path, format!("`{text}` is not an address that other hosts can reach"))
                    .hint("a free IPv4 or IPv6 address of the hosts' network");
            }
        }
        if matches!(provider, EndpointProvider::KeepalivedHaproxy | EndpointProvider::KubeVip) {
            self.validate_virtual(report, path);
        }
    }

    /// A virtual address moves between hosts.
    fn validate_virtual(&self, report: &mut Report, path: &Path) {
        let named = name::parse_ip(&self.endpoint.host).is_none();
        let addresses = self.endpoint.virtual_addresses();
        for address in &addresses {
            let taken = self.hosts.iter().find(|host| name::parse_ip(&host.address) == Some(*address));
            if let Some(host) = taken {
                let field = if named { "addresses" } else { "host" };
                let message = format!("the endpoint {address} is the address of host {}", host.name);
                report
                    .error(&path.key(field), message)
                    .hint("a virtual address must be free: it moves between hosts");
            }
        }
        if addresses.is_empty() && !self.endpoint.host.is_empty() {
            report.missing(
                &path.key("addresses"),
                format!("nobody knows the address behind `{}`", self.endpoint.host),
                "addresses: [ADDRESS], the one that the name resolves to",
            );
        }
        let of_family = |ipv6| addresses.iter().filter(|address| address.is_ipv6() == ipv6).count();
        if of_family(true) > 1 || of_family(false) > 1 {
            report
                .error(&path.key("addresses"), "several virtual addresses of one family")
                .hint("one of IPv4, one of IPv6, or one of each; `host` counts where it is an address");
        }
    }

    /// A section of another provider does nothing, which nobody wants.
    fn validate_sections(&self, report: &mut Report, path: &Path) {
        use EndpointProvider::KeepalivedHaproxy;
        use EndpointProvider::KubeVip;
        use EndpointProvider::NodeLocal;
        let endpoint = self.endpoint;
        for (field, there, providers) in [
            ("addresses", !endpoint.addresses.is_empty(), &[KeepalivedHaproxy, KubeVip][..]),
            ("runAs", endpoint.run_as.is_some(), &[KeepalivedHaproxy, NodeLocal]),
            ("keepalived", endpoint.keepalived.is_some(), &[KeepalivedHaproxy]),
            ("haproxy", endpoint.haproxy.is_some(), &[KeepalivedHaproxy, NodeLocal]),
            ("kubeVip", endpoint.kube_vip.is_some(), &[KubeVip]),
            ("nodeLocal", endpoint.node_local.is_some(), &[NodeLocal]),
        ] {
            if there && !providers.contains(&endpoint.provider()) {
                let names: Vec<&str> = providers.iter().map(|provider| provider.as_str()).collect();
                let message = format!(
                    "`{field}` has no meaning with provider {}: it belongs to {}",
                    endpoint.provider().as_str(),
                    names.join(" and ")
                );
                report.error(&path.key(field), message).hint("leave it out, or name that provider");
            }
        }
    }

    fn validate_keepalived(&self, report: &mut Report, path: &Path) {
        let balancers = self.balancers();
        self.validate_port(report, &path.key("port"));
        if balancers.len() > MAX_BALANCERS {
            let message =
                format!("{} balancers are more than VRRP priorities can tell apart", balancers.len());
            report.error(path, message).hint(format!(
                "give at most {MAX_BALANCERS} hosts the role load-balancer, or take provider node-local"
            ));
        }
        self.validate_families(report, path, &balancers);
        self.validate_static_pods(report, path, &balancers);
        let Some(said) = &self.endpoint.keepalived else { return };
        let path = path.key("keepalived");
        if let Some(interface) = &said.interface {
            validate_interface(report, interface, &path.key("interface"));
        }
        for (host, interface) in &said.interfaces {
            let path = path.key("interfaces").key(host);
            validate_interface(report, interface, &path);
            if !balancers.iter().any(|balancer| balancer.name == *host) {
                report
                    .error(&path, format!("{host} is no host that balances"))
                    .hint("name a host with the role load-balancer, or without any, a control plane");
            }
        }
        let interval = said.advert_interval.unwrap_or(ADVERT_INTERVAL).as_nanos();
        if !(CENTISECOND..=LONGEST_ADVERT).contains(&interval) || interval % CENTISECOND != 0 {
            report
                .error(&path.key("advertInterval"), "VRRP cannot say this interval")
                .hint("from 10ms to 40.95s, in steps of 10ms; 1s is usual");
        }
        if self.is_ipv6() == Some(false) && said.prefix_length.is_some_and(|length| length > 32) {
            report
                .error(&path.key("prefixLength"), "an IPv4 address has 32 bits")
                .hint("1 to 32; the default 32 is best");
        }
    }

    /// HAProxy and an API server cannot listen at the same port of one host.
    fn validate_port(&self, report: &mut Report, path: &Path) {
        let monitor = self.haproxy().monitor_port;
        if self.shares_hosts() && self.port() == self.bind_port {
            report
                .error(
                    path,
                    format!(
                        "HAProxy and the API server of the same host cannot both have port {}",
                        self.bind_port
                    ),
                )
                .hint(format!(
                    "leave it out for {SHARED_PORT}, or give the role load-balancer to hosts without an API server"
                ));
        }
        if monitor == self.port() || (monitor == self.bind_port && self.shares_hosts()) {
            report
                .error(path, format!("port {monitor} is HAProxy's own, where it tells how it is"))
                .hint("choose another one, or another haproxy.monitorPort");
        }
    }

    fn validate_families(&self, report: &mut Report, path: &Path, balancers: &[&Host]) {
        let families = balancers.iter().filter_map(|host| name::parse_ip(&host.address));
        let ipv6: Vec<bool> = families.map(|address| address.is_ipv6()).collect();
        let addresses = self.endpoint.virtual_addresses();
        let one = ipv6.iter().all(|family| Some(family) == ipv6.first());
        let Some(&first) = ipv6.first() else { return };
        if !one {
            report
                .error(path, "the hosts that balance have addresses of different families")
                .hint("they speak VRRP with each other, so give all of them addresses of one family");
        } else if !addresses.is_empty() && addresses.iter().all(|address| address.is_ipv6() != first) {
            let (have, lack) = if first { ("IPv6", "IPv4") } else { ("IPv4", "IPv6") };
            report
                .error(
                    path,
                    format!("the hosts that balance have {have} addresses, and the endpoint only {lack}"),
                )
                .hint(format!("add a virtual {have} address under `addresses`"));
        }
    }

    fn validate_static_pods(&self, report: &mut Report, path: &Path, balancers: &[&Host]) {
        if self.endpoint.run_as() != RunAs::StaticPod {
            return;
        }
        let kubelet =
            |host: &Host| host.roles.iter().any(|role| matches!(role, Role::ControlPlane | Role::Worker));
        if let Some(host) = balancers.iter().find(|host| !kubelet(host)) {
            report
                .error(
                    &path.key("runAs"),
                    format!("{} runs no kubelet, so nobody would start its pods", host.name),
                )
                .hint("runAs: service");
        }
        if self.port() < 1024 {
            report
                .error(
                    &path.key("port"),
                    "HAProxy's image does not run as root and cannot have a port below 1024",
                )
                .hint("choose a higher one, or runAs: service");
        }
        let own = |image: Option<&String>| some(image).is_some();
        if self.endpoint.provider() == EndpointProvider::KeepalivedHaproxy
            && !own(self.endpoint.keepalived().image.as_ref())
        {
            report
                .warning(&path.key("runAs"), format!("the image {KEEPALIVED_IMAGE} is of 2020 and not maintained"))
                .hint("build one of your distribution's packages keepalived and curl, and name it in keepalived.image");
        }
    }

    fn validate_haproxy(&self, report: &mut Report, path: &Path) {
        let said = self.endpoint.haproxy.clone().unwrap_or_default();
        if said.timeout.is_some_and(|timeout| timeout < IDLE_LEAST) {
            report
                .error(
                    &path.key("timeout"),
                    "a shorter timeout cuts off watches, logs and shells that are idle",
                )
                .hint("at least 1h; 4h is the default");
        }
        let stats = some(said.stats_address.as_ref());
        let readable = |text: &&String| name::parse_host_port(text).is_some_and(|(_, port)| port.is_some());
        if let Some(text) = stats.filter(|text| !readable(text)) {
            report
                .error(&path.key("statsAddress"), format!("`{text}` is not HOST:PORT"))
                .hint("such as 127.0.0.1:8405");
        }
    }

    fn validate_kube_vip(&self, report: &mut Report, path: &Path) {
        let said = self.endpoint.kube_vip();
        if self.port() != self.bind_port {
            report
                .error(
                    &path.key("port"),
                    "kube-vip hands the address to API servers, which have another port",
                )
                .hint(format!("leave it out for {}", self.bind_port));
        }
        if self.endpoint.virtual_addresses().len() > 1 {
            report
                .error(&path.key("addresses"), "kube-vip keeps one address here")
                .hint("take provider keepalived-haproxy for one of each family");
        }
        let path = path.key("kubeVip");
        if let Some(interface) = &said.interface {
            validate_interface(report, interface, &path.key("interface"));
        }
        let Some(model) = self.kube_vip() else { return };
        match model.mode {
            KubeVipMode::Arp { lease_duration, renew_deadline, retry_period } => {
                let order = retry_period >= GoDuration::from_secs(1)
                    && renew_deadline > retry_period
                    && lease_duration > renew_deadline;
                if !order {
                    report
                        .error(&path.key("leaseDuration"), "these durations keep no lease")
                        .hint("leaseDuration is more than renewDeadline, that is more than retryPeriod, at least 1s");
                }
                if said.bgp.is_some() {
                    report.error(&path.key("bgp"), "`bgp` belongs to mode bgp").hint("mode: bgp");
                }
            }
            KubeVipMode::Bgp { .. } => self.validate_bgp(report, &path, &said),
        }
    }

    fn validate_bgp(&self, report: &mut Report, path: &Path, said: &KubeVip) {
        let peers = said.bgp.iter().flat_map(|bgp| &bgp.peers);
        for (index, peer) in peers.enumerate() {
            let path = path.key("bgp").key("peers").index(index).key("address");
            if name::parse_ip(&peer.address).is_none() {
                report
                    .error(&path, format!("`{}` is not the address of a router", peer.address))
                    .hint("an IPv4 or IPv6 address");
            }
        }
        if said.bgp.as_ref().is_none_or(|bgp| bgp.peers.is_empty()) {
            report.missing(
                &path.key("bgp").key("peers"),
                "there is no router to announce the address to",
                "bgp: {peers: [{address: ADDRESS, asn: 65001}]}",
            );
        }
        if self.is_ipv6() == Some(true) {
            report
                .error(&path.key("mode"), "kube-vip takes its BGP identity from a host's IPv4 address")
                .hint("take mode arp, or provider node-local");
        }
    }

    fn validate_node_local(&self, report: &mut Report, path: &Path) {
        let model = self.node_local();
        let nodes: Vec<&Host> = self.hosts.iter().filter(|host| host.roles.contains(&Role::Worker)).collect();
        self.validate_static_pods(report, path, &nodes);
        if model.haproxy.monitor_port == model.port {
            report
                .error(
                    &path.key("nodeLocal").key("port"),
                    format!("port {} is HAProxy's own, where it tells how it is", model.port),
                )
                .hint("choose another one, or another haproxy.monitorPort");
        }
        if self.endpoint.host.is_empty() {
            let hosts = self.hosts.iter().filter(|host| host.roles.contains(&Role::ControlPlane)).count();
            if hosts > 1 {
                report
                    .warning(path, "hosts that join by token will ask the first control plane only")
                    .hint("host: a DNS name with the addresses of all control planes, where there is one");
            }
        }
    }

    /// A virtual address is of the hosts' network.
    pub(super) fn validate_against(&self, report: &mut Report, networking: &Networking, path: &Path) {
        for address in self.endpoint.virtual_addresses() {
            for (what, networks) in [("service", &networking.services), ("pod", &networking.pods)] {
                if let Some(network) = networks.iter().find(|network| network.contains(&address)) {
                    report
                        .error(
                            &path.key("host"),
                            format!("the endpoint {address} lies within the {what} subnet {network}"),
                        )
                        .hint("hosts, pods and services need networks of their own");
                }
            }
        }
    }
}

/// What Linux takes for the name of an interface.
fn validate_interface(report: &mut Report, interface: &str, path: &Path) {
    let fits = interface.len() <= 15
        && !matches!(interface, "" | "." | "..")
        && interface.bytes().all(|byte| byte.is_ascii_graphic() && !b"/:\"'#!{}".contains(&byte));
    if !fits {
        report
            .error(path, format!("`{interface}` cannot be the name of an interface"))
            .hint("as `ip link` shows it, such as eth0");
    }
}

//! `spec.addons.coredns`: what CoreDNS does beyond kubeadm's configuration.

use crate::cluster::addon;
use crate::config::declared::manifest::some;
use crate::config::name;
use crate::config::path::Path;
use crate::config::report::Report;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Coredns {
    replicas: Option<u32>,
    forward: Vec<String>,
    hosts: Vec<Host>,
    extra: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Host {
    address: String,
    names: Vec<String>,
}

/// How the plugin `forward` names other transports than plain DNS.
const TRANSPORTS: [&str; 2] = ["dns://", "tls://"];

impl Coredns {
    pub(super) fn meaning(&self) -> addon::Coredns {
        let host = |host: &Host| Some((name::parse_ip(&host.address)?, host.names.clone()));
        addon::Coredns {
            replicas: self.replicas,
            forward: self.forward.clone(),
            hosts: self.hosts.iter().filter_map(host).collect(),
            extra: some(self.extra.as_ref()),
        }
    }

    pub(super) fn validate(&self, report: &mut Report, path: &Path) {
        for (index, server) in self.forward.iter().enumerate() {
            if !is_server(server) {
                report
                    .error(&path.key("forward").index(index), format!("`{server}` is not a name server"))
                    .hint("an address, with a port where it is not 53: 192.0.2.53, [2001:db8::53]:5353, tls://192.0.2.53");
            }
        }
        for (index, host) in self.hosts.iter().enumerate() {
            let path = path.key("hosts").index(index);
            if name::parse_ip(&host.address).is_none() {
                report
                    .error(&path.key("address"), format!("`{}` is not an IPv4 or IPv6 address", host.address))
                    .hint("{address: 192.0.2.7, names: [registry.example.com]}");
            }
            if host.names.is_empty() {
                report.missing(
                    &path.key("names"),
                    "the address has no names",
                    "names: [registry.example.com]",
                );
            }
            for (index, name) in host.names.iter().enumerate().filter(|(_, name)| !name::is_subdomain(name)) {
                report
                    .error(&path.key("names").index(index), format!("`{name}` is not a name of a host"))
                    .hint("lower-case, such as registry.example.com");
            }
        }
        let extra = some(self.extra.as_ref()).unwrap_or_default();
        if extra.matches('{').count() != extra.matches('}').count() {
            report
                .error(&path.key("extra"), "the braces of the server blocks do not match")
                .hint("each block begins with its zone and `{`, and ends with `}`: example.com:53 { … }");
        }
    }
}

fn is_server(text: &str) -> bool {
    let place = TRANSPORTS.iter().find_map(|start| text.strip_prefix(start)).unwrap_or(text);
    let place = place.strip_suffix('.').unwrap_or(place);
    let host_port = || name::split_host_port(place).filter(|(_, port)| port.parse::<u16>().is_ok());
    name::parse_ip(place).is_some() || host_port().is_some_and(|(host, _)| name::parse_ip(host).is_some())
}

//! etcd, where the cluster brings its own.

use crate::cluster::Cluster;
use crate::cluster::HostPort;
use crate::cluster::Node;
use crate::cluster::endpoint::loopback;
use crate::cluster::kubeadm::Arg;
use crate::cluster::kubeadm::ExternalEtcd;
use crate::cluster::kubeadm::LocalEtcd;
use crate::kube::args;
use crate::kube::args::Flags;
use crate::kube::images;
use crate::kube::static_pod::Site;
use crate::kube::static_pod::pod::Blueprint;
use crate::kube::static_pod::pod::ProbePaths;
use crate::kube::static_pod::probe::Endpoint;
use crate::kube::static_pod::rootless::Security;
use crate::kube::static_pod::volume::DIRECTORY;
use crate::kube::static_pod::volume::Volumes;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Names the client URL of the member in this pod; kubeadm finds the members by it.
pub const URL_ANNOTATION: &str = "kubeadm.kubernetes.io/etcd.advertise-client-urls";

const NAME: &str = "etcd";
const CLIENT_PORT: u16 = 2379;
const PEER_PORT: u16 = 2380;
const METRICS_PORT: u16 = 2381;
/// Answers when the member takes part in a majority.
pub const READY: &str = "/readyz";

/// The members that an etcd looks for when it starts without data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitialCluster {
    /// The flag's value: the members in order, the starting one among them.
    value: String,
    /// They run already (`--initial-cluster-state=existing`); a member of a new cluster says nothing.
    existing: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub name: String,
    pub peer_url: String,
}

impl Member {
    /// The member that a host runs.
    pub fn of(node: &Node) -> Self {
        Self { name: node.name.clone(), peer_url: url(node.advertise_address, PEER_PORT) }
    }
}

impl InitialCluster {
    /// A new cluster of these hosts, all started together; of one host for `init`.
    pub fn new<'a>(nodes: impl IntoIterator<Item = &'a Node>) -> Self {
        Self { value: joined(nodes.into_iter().map(Member::of)), existing: false }
    }

    /// A running cluster that a member joins, as etcd itself lists it.
    pub fn existing(members: Vec<Member>) -> Self {
        Self { value: joined(members), existing: true }
    }

    /// What a member was started with, and what it does not look at any more since it has data.
    pub fn kept(value: &str, existing: bool) -> Self {
        Self { value: value.to_owned(), existing }
    }

    /// The same before etcd has listed its members: `hole` stands for them.
    pub fn joining(hole: &str) -> Self {
        Self { value: hole.to_owned(), existing: true }
    }
}

fn joined(members: impl IntoIterator<Item = Member>) -> String {
    let member = |member: Member| format!("{}={}", member.name, member.peer_url);
    members.into_iter().map(member).collect::<Vec<_>>().join(",")
}

/// The client URLs of the members, as etcd's pods announce them in their annotations.
///
/// # Errors
/// A pod lacks the annotation; its name is the error.
pub fn client_urls(pods: &[Value]) -> Result<Vec<String>, String> {
    let key = URL_ANNOTATION.replace('~', "~0").replace('/', "~1");
    let url = |pod: &Value| {
        let url = pod.pointer(&format!("/metadata/annotations/{key}")).and_then(Value::as_str);
        url.filter(|url| !url.is_empty()).map(str::to_owned).ok_or_else(|| {
            pod.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned()
        })
    };
    pods.iter().map(url).collect()
}

/// Where the member of a host serves others.
pub fn client_url(node: &Node) -> String {
    url(node.advertise_address, CLIENT_PORT)
}

/// etcd on hosts of its own, as kubeadm is told of it: to kubeadm it is one that somebody else runs. `None` where
/// control planes run it, or really somebody else.
pub fn apart(cluster: &Cluster) -> Option<ExternalEtcd> {
    if !cluster.has_local_etcd() || cluster.has_stacked_etcd() {
        return None;
    }
    let endpoints: Vec<String> = cluster.etcd_members().map(client_url).collect();
    let file = |name: &str| format!("{}/{name}", cluster.certificates_dir());
    Some(ExternalEtcd {
        http_endpoints: endpoints.clone(),
        endpoints,
        ca_file: file("etcd/ca.crt"),
        cert_file: file("apiserver-etcd-client.crt"),
        key_file: file("apiserver-etcd-client.key"),
    })
}

/// Where the member of a host tells on it how it is, and whether over TLS.
pub fn health(cluster: &Cluster, node: &Node) -> (HostPort, bool) {
    let extra = cluster.configuration.etcd.local.as_ref().map_or(&[][..], |local| &local.extra_args);
    let own = loopback(node.advertise_address);
    let Endpoint { scheme, host, port } = metrics_endpoint(own, extra);
    let host = if ["0.0.0.0", "::"].contains(&host.as_str()) { own.to_owned() } else { host };
    (HostPort::new(host, port), scheme == "HTTPS")
}

/// The pod as kubeadm writes it, before the operator's patches.
pub fn etcd(site: &Site, initial: &InitialCluster) -> Value {
    let configuration = &site.cluster.configuration;
    let assumed = LocalEtcd { data_dir: "/var/lib/etcd".to_owned(), ..Default::default() };
    let local = configuration.etcd.local.as_ref().unwrap_or(&assumed);
    Blueprint {
        name: NAME,
        annotation: Some((URL_ANNOTATION, client_url(site.node))),
        image: images::etcd(site.cluster),
        flags: flags(site, initial, &local.data_dir).overlaid(&local.extra_args),
        env: args::env(&BTreeMap::new(), &local.extra_envs),
        endpoint: metrics_endpoint(site.loopback(), &local.extra_args),
        paths: ProbePaths { liveness: "/livez", readiness: Some(READY), startup: READY },
        start_limit: site.cluster.timeouts.control_plane_component_health_check,
        requests: json!({"cpu": "100m", "memory": "100Mi"}),
        volumes: Volumes::default().writable("etcd-data", &local.data_dir, DIRECTORY).writable(
            "etcd-certs",
            &site.pki("etcd"),
            DIRECTORY,
        ),
        security: Security::new(site.rootless.map(|ids| ids.etcd)),
    }
    .pod()
}

fn flags(site: &Site, initial: &InitialCluster, data_dir: &str) -> Flags {
    let address = site.node.advertise_address;
    let client_url = client_url(site.node);
    let local = |port| HostPort::new(site.loopback(), port);
    let peer_ca = if site.cluster.five_chains() { "etcd/peer-ca.crt" } else { "etcd/ca.crt" };
    let flags = Flags::default()
        .with_all([
            ("client-cert-auth", "true"),
            ("data-dir", data_dir),
            ("feature-gates", "InitialCorruptCheck=true"),
            ("name", site.node.name.as_str()),
            ("peer-client-cert-auth", "true"),
            ("snapshot-count", "10000"),
            ("watch-progress-notify-interval", "5s"),
        ])
        .with_all([
            ("cert-file", site.pki("etcd/server.crt")),
            ("key-file", site.pki("etcd/server.key")),
            ("peer-cert-file", site.pki("etcd/peer.crt")),
            ("peer-key-file", site.pki("etcd/peer.key")),
            ("peer-trusted-ca-file", site.pki(peer_ca)),
            ("trusted-ca-file", site.pki("etcd/ca.crt")),
        ])
        .with_all([
            ("initial-advertise-peer-urls", url(address, PEER_PORT)),
            ("initial-cluster", initial.value.clone()),
            ("listen-client-urls", format!("https://{},{client_url}", local(CLIENT_PORT))),
            ("listen-metrics-urls", format!("http://{}", local(METRICS_PORT))),
            ("listen-peer-urls", url(address, PEER_PORT)),
            ("advertise-client-urls", client_url),
        ]);
    if initial.existing { flags.with("initial-cluster-state", "existing") } else { flags }
}

fn url(address: IpAddr, port: u16) -> String {
    format!("https://{}", HostPort::new(address.to_string(), port))
}

/// Where etcd answers probes: the first URL that the operator gave, and the defaults for what it leaves out.
fn metrics_endpoint(loopback: &str, extra: &[Arg]) -> Endpoint {
    let given = args::last(extra, "listen-metrics-urls").unwrap_or_default();
    let given = given.split(',').next().unwrap_or_default();
    let (scheme, rest) = given.split_once("://").unwrap_or(("", given));
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = host_and_port(authority);
    Endpoint {
        scheme: if scheme == "https" { "HTTPS" } else { "HTTP" },
        host: if host.is_empty() { loopback } else { host }.to_owned(),
        port: port.parse().ok().filter(|port| *port > 0).unwrap_or(METRICS_PORT),
    }
}

/// The parts of `host:port`; either may be missing, and an IPv6 address is in brackets.
fn host_and_port(authority: &str) -> (&str, &str) {
    if let Some((host, rest)) = authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, rest.strip_prefix(':').unwrap_or_default());
    }
    authority.split_once(':').unwrap_or((authority, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_members_by_their_annotation() {
        let pod = |name: &str, url: Option<&str>| {
            let annotations = url.map(|url| json!({URL_ANNOTATION: url}));
            json!({"metadata": {"name": name, "annotations": annotations}})
        };
        let two = [pod("a", Some("https://192.0.2.1:2379")), pod("b", Some("https://[2001:db8::1]:2379"))];
        let urls = ["https://192.0.2.1:2379", "https://[2001:db8::1]:2379"].map(str::to_owned);
        assert_eq!(client_urls(&two), Ok(urls.to_vec()));
        assert_eq!(client_urls(&[two[0].clone(), pod("c", None)]), Err("c".to_owned()));
    }

    #[test]
    fn probes_go_to_the_first_metrics_url() {
        for (urls, scheme, host, port) in [
            (None, "HTTP", "127.0.0.1", 2381),
            (Some("https://192.0.2.10:2399,http://127.0.0.1:2381"), "HTTPS", "192.0.2.10", 2399),
            (Some("http://[2001:db8::1]:9000/metrics"), "HTTP", "2001:db8::1", 9000),
            (Some("https://192.0.2.10"), "HTTPS", "192.0.2.10", 2381),
            (Some("http://:9"), "HTTP", "127.0.0.1", 9),
        ] {
            let arg = |value: &str| Arg { name: "listen-metrics-urls".to_owned(), value: value.to_owned() };
            let extra: Vec<Arg> = urls.map(arg).into_iter().collect();
            let endpoint = metrics_endpoint("127.0.0.1", &extra);
            assert_eq!(
                (endpoint.scheme, endpoint.host.as_str(), endpoint.port),
                (scheme, host, port),
                "{urls:?}"
            );
        }
    }
}

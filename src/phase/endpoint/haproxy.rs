//! HAProxy's configuration, and the authority by which it knows the API servers.

use super::Part;
use super::directory;
use super::file;
use super::pods::Pod;
use super::rendered;
use crate::apply::receipt::sha256;
use crate::cluster::Cluster;
use crate::cluster::GoDuration;
use crate::cluster::HostPort;
use crate::cluster::Node;
use crate::cluster::endpoint::Haproxy;
use crate::cluster::endpoint::Keepalived;
use crate::cluster::endpoint::NodeLocal;
use crate::cluster::endpoint::RunAs;
use crate::cluster::endpoint::loopback;
use crate::kube::static_pod::balancer as static_pod;
use crate::kube::static_pod::balancer::Mounted;
use crate::phase::Context;
use crate::phase::Draft;
use crate::pki::Ca;
use crate::pki::CertName;
use crate::pki::Part as PkiPart;
use crate::plan::Action;
use crate::plan::Content;
use crate::plan::FileSpec;
use serde::Serialize;
use serde_json::json;

const DIRECTORY: &str = "/etc/haproxy";
/// For a pod: one that also the package's service would read is not the pod's own.
const DIRECTORY_OF_POD: &str = "/etc/kubernetes/haproxy";
const CA: &str = "kubernetes-ca.crt";
/// Where the image looks for its configuration.
const DIRECTORY_IN_IMAGE: &str = "/usr/local/etc/haproxy";

/// How often API servers are checked, by the few balancers of a cluster: one that dies without a word is out of the way
/// before the address has moved (1 s, a connection that is not answered for 1 s, half a second, and 1 s again), and one
/// that is ready is used within half a second.
const FEW: &str = "inter 1s fastinter 500ms downinter 500ms rise 1 fall 2";

/// The same by each of many nodes: seldom, but a connection that fails counts as a check that has.
const MANY: &str =
    "inter 10s fastinter 1s downinter 1s rise 1 fall 2 observe layer4 error-limit 2 on-error mark-down";

/// One HAProxy.
pub(super) struct Balancer<'a> {
    pub haproxy: &'a Haproxy,
    pub run_as: RunAs,
    pub binds: Vec<String>,
    pub pace: &'static str,
}

/// The template's variables.
#[derive(Serialize)]
struct Values {
    max_connections: u32,
    open_files: u32,
    service: bool,
    idle: String,
    binds: Vec<String>,
    expect: &'static str,
    ca_file: String,
    pace: &'static str,
    servers: Vec<Server>,
    monitor: String,
    own: Option<String>,
    stats: Option<String>,
}

#[derive(Serialize)]
struct Server {
    name: String,
    address: String,
}

/// The HAProxy beside a keepalived. It listens at every address, since the virtual one comes and goes.
pub(super) fn of_keepalived<'a>(cx: &Context<'_>, node: &Node, said: &'a Keepalived) -> Balancer<'a> {
    let ipv6 = node.advertise_address.is_ipv6()
        || cx.cluster.virtual_addresses().iter().any(std::net::IpAddr::is_ipv6);
    let bind = if ipv6 { format!("[::]:{} v4v6", said.port) } else { format!("*:{}", said.port) };
    Balancer { haproxy: &said.haproxy, run_as: said.run_as, binds: vec![bind], pace: FEW }
}

/// The HAProxy of a node for itself.
pub(super) fn of_node<'a>(node: &Node, said: &'a NodeLocal) -> Balancer<'a> {
    let bind = HostPort::new(loopback(node.advertise_address), said.port).to_string();
    Balancer { haproxy: &said.haproxy, run_as: said.run_as, binds: vec![bind], pace: MANY }
}

/// An HAProxy with its files.
pub(super) fn part(cx: &Context<'_>, node: &Node, balancer: &Balancer<'_>) -> anyhow::Result<Part> {
    let on_host = if balancer.run_as == RunAs::Service { DIRECTORY } else { DIRECTORY_OF_POD };
    let authority = FileSpec {
        path: format!("{on_host}/{CA}"),
        mode: 0o644,
        owner: None,
        content: Content::Pki {
            node: node.name.clone(),
            cert: CertName::Ca(Ca::Kubernetes),
            part: PkiPart::Certificate,
        },
        keep_existing: false,
    };
    let text = rendered("etc/haproxy/haproxy.cfg", &values(cx.cluster, node, balancer))?;
    let digest = sha256(text.as_bytes());
    let reason = "shares connections between API servers";
    let files = vec![
        directory(on_host, "HAProxy's directory", "its configuration"),
        Draft::new(
            "HAProxy's copy of the Kubernetes CA",
            "its health checks verify the API servers; HAProxy's user may not look into the PKI",
            Action::File(authority),
        ),
        file(format!("{on_host}/haproxy.cfg"), 0o644, "HAProxy's configuration", reason, text),
    ];
    let config = Mounted { on_host, in_pod: DIRECTORY_IN_IMAGE };
    let image = balancer.haproxy.image.clone();
    let value = static_pod::haproxy(&image, config, &digest, &monitor(balancer.haproxy, node));
    Ok(Part {
        unit: "haproxy",
        run_as: balancer.run_as,
        files,
        settings: json!({"open_files": open_files(balancer.haproxy)}),
        pod: Pod { name: "haproxy", image, value },
        reason,
    })
}

fn values(cluster: &Cluster, node: &Node, balancer: &Balancer<'_>) -> Values {
    let service = balancer.run_as == RunAs::Service;
    let haproxy = balancer.haproxy;
    let server = |node: &Node| Server { name: node.name.clone(), address: api_server(node) };
    Values {
        max_connections: haproxy.max_connections,
        open_files: open_files(haproxy),
        service,
        idle: seconds(haproxy.timeout),
        binds: balancer.binds.clone(),
        expect: expected(cluster),
        ca_file: format!("{}/{CA}", if service { DIRECTORY } else { DIRECTORY_IN_IMAGE }),
        pace: balancer.pace,
        servers: cluster.hosts().iter().filter(|node| node.is_control_plane()).map(server).collect(),
        monitor: monitor(haproxy, node).to_string(),
        own: node.is_control_plane().then(|| node.name.clone()),
        stats: haproxy.stats.as_ref().map(|(host, port)| HostPort::new(host, *port).to_string()),
    }
}

fn api_server(node: &Node) -> String {
    HostPort::new(node.advertise_address.to_string(), node.bind_port).to_string()
}

/// Where HAProxy tells how it is.
pub(super) fn monitor(haproxy: &Haproxy, node: &Node) -> HostPort {
    HostPort::new(loopback(node.advertise_address), haproxy.monitor_port)
}

/// Two for each connection, and some for checks and listeners.
fn open_files(haproxy: &Haproxy) -> u32 {
    haproxy.max_connections * 2 + 10_000
}

/// What a server that can be used answers. One that knows no anonymous users says 401 to everybody without a
/// certificate; whether it is ready, it then does not tell.
fn expected(cluster: &Cluster) -> &'static str {
    if super::tells_strangers(cluster) { "status 200" } else { "rstatus ^(200|401)$" }
}

/// HAProxy knows no `4h0m0s`.
fn seconds(duration: GoDuration) -> String {
    let seconds = duration.as_secs();
    if seconds % 3600 == 0 { format!("{}h", seconds / 3600) } else { format!("{seconds}s") }
}

//! keepalived's configuration: who has the virtual address.
//!
//! How long the API cannot be reached at most, with the default interval of 1 s between adverts: the holder dies: three
//! adverts and less than half a second (3.4 s). Its HAProxy dies: two checks, and the holder says that it leaves (2.5 s).
//! Its API server dies: HAProxy takes another one at once; the address follows when HAProxy has noticed (1.5 s), the check
//! has twice (4 s), and three adverts of too low a priority have passed (3.4 s).

use super::Part;
use super::directory;
use super::file;
use super::haproxy;
use super::pods::Pod;
use super::rendered;
use crate::apply::receipt::sha256;
use crate::cluster::Node;
use crate::cluster::endpoint::Keepalived;
use crate::cluster::endpoint::Ranking;
use crate::cluster::endpoint::RunAs;
use crate::cluster::endpoint::VirtualAddress;
use crate::facts::HostFacts;
use crate::kube::static_pod::balancer;
use crate::kube::static_pod::balancer::Mounted;
use crate::phase::Context;
use serde::Serialize;
use serde_json::json;

const DIRECTORY: &str = "/etc/keepalived";
/// For a pod: see that of HAProxy. The pod sees it as the other.
const DIRECTORY_OF_POD: &str = "/etc/kubernetes/keepalived";
const SCRIPT: &str = "/etc/keepalived/check-endpoint.sh";
/// What stands for an interface that nobody knows.
const ASSUMED: &str = "eth0";

/// The template's variables.
#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question of the template")]
struct Values<'a> {
    router_id: &'a str,
    script: &'static str,
    /// A host alone keeps the address whatever happens.
    tracked: bool,
    own_api_server: bool,
    api_server: u8,
    preempt: bool,
    holder: u8,
    interface: &'a str,
    assumed: bool,
    virtual_router_id: u8,
    priority: u8,
    advert_interval: String,
    unicast: bool,
    source: String,
    peers: Vec<String>,
    address: String,
    other: Option<String>,
}

#[derive(Serialize)]
struct Check {
    monitor: String,
    host: String,
    port: u16,
    address: String,
}

/// A keepalived with its files.
pub(super) fn part(cx: &Context<'_>, node: &Node, said: &Keepalived) -> anyhow::Result<Part> {
    let on_host = if said.run_as == RunAs::Service { DIRECTORY } else { DIRECTORY_OF_POD };
    let monitor = haproxy::monitor(&said.haproxy, node);
    let check = Check {
        monitor: monitor.to_string(),
        host: monitor.host,
        port: monitor.port,
        address: said.address.address.to_string(),
    };
    let script = rendered("etc/keepalived/check-endpoint.sh", &check)?;
    let config = rendered("etc/keepalived/keepalived.conf", &values(cx, node, said))?;
    let digest = sha256(format!("{script}{config}").as_bytes());
    let reason = "decides which host has the virtual address";
    let files = vec![
        directory(on_host, "keepalived's directory", "its configuration"),
        file(
            format!("{on_host}/check-endpoint.sh"),
            0o755,
            "keepalived's check",
            "tells whether this host can serve the API",
            script,
        ),
        file(format!("{on_host}/keepalived.conf"), 0o644, "keepalived's configuration", reason, config),
    ];
    let value = balancer::keepalived(&said.image, Mounted { on_host, in_pod: DIRECTORY }, &digest);
    Ok(Part {
        unit: "keepalived",
        run_as: said.run_as,
        files,
        settings: json!({}),
        pod: Pod { name: "keepalived", image: said.image.clone(), value },
        reason,
    })
}

fn values<'a>(cx: &'a Context<'_>, node: &'a Node, said: &'a Keepalived) -> Values<'a> {
    let balancers = cx.cluster.balancers();
    let ranking = Ranking::of(balancers.len());
    let place = balancers.iter().position(|other| other.name == node.name).unwrap_or_default();
    let others = balancers.iter().filter(|other| other.name != node.name);
    let (interface, assumed) = interface(said, node, cx.facts_of(node));
    Values {
        router_id: &node.name,
        script: SCRIPT,
        tracked: balancers.len() > 1,
        own_api_server: node.is_control_plane(),
        api_server: ranking.api_server(),
        preempt: said.preempt,
        holder: ranking.holder(),
        interface,
        assumed,
        virtual_router_id: said.virtual_router_id,
        priority: ranking.priority(place),
        advert_interval: seconds(said.advert_interval.as_nanos()),
        unicast: said.unicast,
        source: node.advertise_address.to_string(),
        peers: others.map(|other| other.advertise_address.to_string()).collect(),
        address: with_prefix(said.address),
        other: said.other.map(with_prefix),
    }
}

/// The interface of the virtual address on a host, and whether that is only assumed since nobody asked the host.
pub fn interface<'a>(said: &'a Keepalived, node: &Node, facts: &'a HostFacts) -> (&'a str, bool) {
    let configured = said.interfaces.get(&node.name).or(said.interface.as_ref());
    let found = || facts.interface_of(node.advertise_address).map(|found| &found.interface);
    match configured.or_else(found) {
        Some(interface) => (interface, false),
        None => (ASSUMED, true),
    }
}

fn with_prefix(address: VirtualAddress) -> String {
    format!("{}/{}", address.address, address.prefix)
}

/// VRRP counts in hundredths.
fn seconds(nanos: i64) -> String {
    let (whole, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000 / 10_000_000);
    if rest == 0 { whole.to_string() } else { format!("{whole}.{rest:02}") }
}

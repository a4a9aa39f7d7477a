//! What the pod network needs on each host before a kubelet starts there.
//!
//! With the provider `bridge` that is all of it: the plugin's configuration, which makes the node ready, routes to the
//! pods of the other nodes, and one address for what pods send elsewhere. A unit sets the routes, so that they outlive a
//! restart whatever else manages the host's network.

use crate::cluster::Node;
use crate::cluster::cni::Bridge;
use crate::facts::InitSystem;
use crate::facts::question::BRIDGE_CONFLIST;
use crate::facts::question::BRIDGE_SCRIPT;
use crate::facts::question::BRIDGE_UNIT;
use crate::phase::Context;
use crate::phase::Draft;
use crate::phase::pod_networks;
use crate::plan::Action;
use crate::plan::Content;
use crate::plan::FileSpec;
use crate::plan::ServiceSpec;
use crate::plan::StopSpec;
use crate::template;
use anyhow::ensure;
use ipnet::IpNet;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeMap;

/// Of rtnetlink, `/etc/iproute2/rt_protos`: a number that nobody else is known to use.
const ROUTE_PROTOCOL: u8 = 177;
const UNIT_NAME: &str = "kubewright-pods";

/// Plans the host's part of the pod network, or takes away what an earlier one has left.
///
/// # Errors
/// The host cannot bring routes back after a restart, or an address by which a node is reached is not known.
pub fn plan(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    match cx.cluster.site.cni.bridge() {
        Some(bridge) => bridged(cx, node, bridge),
        None => Ok(left(cx, node)),
    }
}

fn bridged(cx: &Context<'_>, node: &Node, bridge: &Bridge) -> anyhow::Result<Vec<Draft>> {
    ensure!(
        cx.facts_of(node).init_system == InitSystem::Systemd,
        "the provider bridge needs systemd on {}, which brings routes back after a restart",
        node.name
    );
    let chosen = pod_networks::of_hosts(bridge, &cx.cluster.networking, cx.running)?;
    let own = chosen.get(&node.name).cloned().unwrap_or_default();
    let script = script(cx, node, bridge, &chosen)?;
    let unit = template::render(BRIDGE_UNIT.trim_start_matches('/'), &json!({ "script": BRIDGE_SCRIPT }))?;
    Ok(vec![
        Draft::new(
            "configuration of the pod network",
            "the container runtime gives pods addresses as it says, and the node becomes ready",
            file(BRIDGE_CONFLIST, 0o644, conflist(bridge, &own)),
        ),
        Draft::new(
            "routes to the pods of the other nodes",
            "each node has a network for its pods, and the others send there what is for them",
            file(BRIDGE_SCRIPT, 0o755, script),
        ),
        Draft::new(
            "unit that sets them",
            "they must be there after a restart",
            file(BRIDGE_UNIT, 0o644, unit),
        ),
        Draft::new(
            "routes set",
            "pods of different nodes reach each other",
            Action::Service(ServiceSpec {
                unit: UNIT_NAME.to_owned(),
                enabled: Some(true),
                restart_on: vec![BRIDGE_SCRIPT.to_owned(), BRIDGE_UNIT.to_owned()],
                ..ServiceSpec::default()
            }),
        ),
    ])
}

/// The configuration of CNI 1.0.0. The plugin does not translate addresses: it would do so between nodes too.
fn conflist(bridge: &Bridge, own: &[IpNet]) -> String {
    let everywhere = |network: &IpNet| if network.addr().is_ipv4() { "0.0.0.0/0" } else { "::/0" };
    let ranges: Vec<Value> = own.iter().map(|network| json!([{ "subnet": network }])).collect();
    let routes: Vec<Value> = own.iter().map(|network| json!({ "dst": everywhere(network) })).collect();
    let mut plugin = json!({
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": true,
        "hairpinMode": true,
        "ipMasq": false,
        "ipam": {"type": "host-local", "ranges": ranges, "routes": routes},
    });
    if let Some(mtu) = bridge.mtu {
        plugin["mtu"] = mtu.into();
    }
    let value = json!({
        "cniVersion": "1.0.0",
        "name": "kubewright",
        "plugins": [plugin, {"type": "portmap", "capabilities": {"portMappings": true}}],
    });
    format!("{value:#}\n")
}

#[derive(Serialize)]
struct Script {
    protocol: u8,
    routes: Vec<Route>,
    families: Vec<Family>,
}

#[derive(Serialize)]
struct Route {
    family: &'static str,
    network: IpNet,
    gateway: std::net::IpAddr,
}

#[derive(Serialize)]
struct Family {
    option: &'static str,
    table: &'static str,
    /// The pods' network as a whole.
    pods: IpNet,
    multicast: &'static str,
    /// Those of the other nodes, as a pattern of the shell.
    networks: String,
}

fn script(
    cx: &Context<'_>,
    node: &Node,
    bridge: &Bridge,
    chosen: &BTreeMap<String, Vec<IpNet>>,
) -> anyhow::Result<String> {
    let mut routes = Vec::new();
    for peer in bridge.peers.iter().filter(|peer| peer.name != node.name) {
        for network in chosen.get(&peer.name).into_iter().flatten() {
            let gateway = pod_networks::gateway(cx, peer, network)?;
            routes.push(Route { family: option(network), network: *network, gateway });
        }
    }
    let family = |pods: &IpNet| {
        let others = routes.iter().filter(|route| route.family == option(pods));
        Family {
            option: option(pods),
            table: if pods.addr().is_ipv4() { "ip" } else { "ip6" },
            pods: *pods,
            multicast: if pods.addr().is_ipv4() { "224.0.0.0/4" } else { "ff00::/8" },
            networks: others.map(|route| route.network.to_string()).collect::<Vec<_>>().join(" | "),
        }
    };
    let families = cx.cluster.networking.pods.iter().map(family).collect();
    let values = Script { protocol: ROUTE_PROTOCOL, families, routes };
    Ok(template::render(BRIDGE_SCRIPT.trim_start_matches('/'), &values)?)
}

fn option(network: &IpNet) -> &'static str {
    if network.addr().is_ipv4() { "-4" } else { "-6" }
}

/// Another network has taken the bridge's place.
fn left(cx: &Context<'_>, node: &Node) -> Vec<Draft> {
    let there: Vec<&str> = [BRIDGE_CONFLIST, BRIDGE_UNIT, BRIDGE_SCRIPT]
        .into_iter()
        .filter(|path| cx.exists(node, path))
        .collect();
    let mut drafts = Vec::new();
    if there.contains(&BRIDGE_UNIT) {
        let action = Action::Stop(StopSpec { unit: UNIT_NAME.to_owned(), enabled: Some(false) });
        drafts.push(Draft::new("routes gone", "the cluster has another pod network now", action));
    }
    drafts.extend(there.into_iter().map(|path| {
        let name = path.rsplit('/').next().unwrap_or_default();
        let reason = "the cluster has another pod network now";
        Draft::new(format!("{name} gone"), reason, Action::Absent { path: path.to_owned() })
    }));
    drafts
}

fn file(path: &str, mode: u32, text: String) -> Action {
    let content = Content::Text(text);
    Action::File(FileSpec { path: path.to_owned(), mode, owner: None, content, keep_existing: false })
}

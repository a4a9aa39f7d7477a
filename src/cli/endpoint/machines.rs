//! Who asks the endpoint: hosts of the cluster, and this machine where it can.

use crate::cli::endpoint::watch::Machine;
use crate::cluster::Cluster;
use crate::cluster::HostPort;
use crate::cluster::Node;
use crate::endpoint::measure;
use crate::host::Fleet;
use crate::host::Host as _;
use crate::host::Local;
use std::sync::Arc;

/// How this machine is called in a report.
const HERE: &str = "this machine";

/// Where clients find the API: the endpoint, with balancers of their own each at loopback; or the first API server of a
/// cluster without one.
pub(super) fn endpoint(cluster: &Cluster) -> HostPort {
    if let (Some(local), Some(node)) = (cluster.node_local(), cluster.balancers().first()) {
        return local.host_port(node);
    }
    cluster.endpoint.clone().unwrap_or_else(|| cluster.local_host_port(cluster.first_control_plane()))
}

/// Those who ask at an endpoint that is one for all: a host, best one that does not itself balance, and this machine.
///
/// # Errors
/// Nobody can ask; why not, by name.
pub(super) fn of_endpoint(
    cluster: &Cluster,
    hosts: &Fleet,
    authority: &[u8],
) -> Result<Vec<Machine>, String> {
    let url = url(&endpoint(cluster));
    let (balance, others): (Vec<&Node>, Vec<&Node>) =
        cluster.nodes.iter().partition(|node| cluster.balances(node));
    // The last in line is the last to have the address.
    let candidates = others.into_iter().chain(balance.into_iter().rev());
    let mut without = Vec::new();
    let mut machines = Vec::new();
    for node in candidates {
        let Some(host) = hosts.get(&node.name) else { continue };
        let machine = Machine { name: node.name.clone(), host: Arc::clone(host), url: url.clone() };
        match can_ask(&machine, authority) {
            Ok(_) => {
                machines.push(machine);
                break;
            }
            Err(why) => without.push(format!("{}: {why}", node.name)),
        }
    }
    let here = Machine { name: HERE.to_owned(), host: Arc::new(Local::new(HERE)), url };
    // It need not be in the network of the hosts.
    if can_ask(&here, authority) == Ok(true) {
        machines.push(here);
    }
    if machines.is_empty() { Err(without.join("; ")) } else { Ok(machines) }
}

/// A node that asks its own balancer.
///
/// # Errors
/// It cannot ask.
pub(super) fn of_node(
    cluster: &Cluster,
    node: &Node,
    hosts: &Fleet,
    authority: &[u8],
) -> Result<Machine, String> {
    let host = hosts.get(&node.name).ok_or("it cannot be reached")?;
    let local = cluster.node_local().ok_or("it has no balancer of its own")?;
    let url = url(&local.host_port(node));
    let machine = Machine { name: node.name.clone(), host: Arc::clone(host), url };
    can_ask(&machine, authority).map(|_| machine)
}

fn url(endpoint: &HostPort) -> String {
    format!("https://{endpoint}/readyz")
}

/// Whether it gets an answer.
///
/// # Errors
/// It has no means to ask.
fn can_ask(machine: &Machine, authority: &[u8]) -> Result<bool, String> {
    let output = machine.host.run(&measure::ask(&machine.url, authority, 1));
    let output = output.map_err(|error| error.to_string())?;
    if output.status == measure::NO_CURL {
        return Err("it has no curl".to_owned());
    }
    let requests = measure::requests(&machine.name, 0, &output.text());
    let requests = requests.filter(|requests| !requests.is_empty()).ok_or_else(|| output.error_tail())?;
    Ok(requests.iter().all(|request| request.trouble.is_none()))
}

//! Control planes of a cluster that runs, and hosts that run etcd alone, are changed one after the other: the next one
//! when the one before it answers again, so that the API goes on answering, etcd keeps its majority, and what does not
//! start stops one of them only.

use crate::cluster::Node;
use crate::kube::patch::Target;
use crate::kube::static_pod;
use crate::phase::Context;
use crate::plan::At;
use crate::plan::Gate;
use crate::plan::Lane;
use crate::plan::Step;

/// Write what a running control plane is restarted for.
const CHANGES: [&str; 4] =
    ["etcd/local", "control-plane/apiserver", "control-plane/controller-manager", "control-plane/scheduler"];
/// Comes to its end on a host when the control plane of that host answers.
const ANSWERS: &str = "wait-control-plane";
/// The same on a host that runs etcd alone.
const ETCD_ANSWERS: &str = "etcd-hosts/wait";

/// The gates between the control planes that run, in the order of the file.
pub fn gates(cx: &Context<'_>, steps: &[Step]) -> Vec<Gate> {
    if !cx.running.runs {
        return Vec::new();
    }
    let control_planes = between(cx, steps, cx.cluster.control_planes(), (Target::KubeApiserver, ANSWERS));
    let etcd_hosts = between(cx, steps, cx.cluster.etcd_hosts(), (Target::Etcd, ETCD_ANSWERS));
    control_planes.into_iter().chain(etcd_hosts).collect()
}

/// The gates between those of `nodes` that run this component, each open when the phase has come to its end on the one
/// before.
fn between<'a>(
    cx: &Context<'_>,
    steps: &[Step],
    nodes: impl Iterator<Item = &'a Node>,
    (component, answers): (Target, &str),
) -> Vec<Gate> {
    let manifest = static_pod::manifest_path(component.as_str());
    let runs = |node: &&Node| cx.begins_with(node) && cx.exists(node, &manifest);
    let hosts: Vec<&str> = nodes.filter(runs).map(|node| node.name.as_str()).collect();
    let planned = |phase: &str, host: &str| {
        let here = Lane::Host(host.to_owned());
        steps.iter().any(|step| step.phase == phase && Lane::of(step) == here)
    };
    let pairs = hosts.windows(2).flat_map(|pair| CHANGES.map(|phase| (phase, pair[0], pair[1])));
    pairs
        .filter(|(phase, _, host)| planned(phase, host))
        .map(|(phase, before, host)| Gate {
            phase: phase.to_owned(),
            lane: Some(Lane::Host(host.to_owned())),
            after: answers.to_owned(),
            at: At::Host(before.to_owned()),
        })
        .collect()
}

//! Control planes of a cluster that runs are changed one after the other: the next one when the one before it answers
//! again, so that the API goes on answering, etcd keeps its majority, and what does not start stops one of them only.

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

/// The gates between the control planes that run, in the order of the file.
pub fn gates(cx: &Context<'_>, steps: &[Step]) -> Vec<Gate> {
    if !cx.running.runs {
        return Vec::new();
    }
    let manifest = static_pod::manifest_path(Target::KubeApiserver.as_str());
    let runs = |node: &&Node| cx.begins_with(node) && cx.exists(node, &manifest);
    let hosts: Vec<&str> = cx.cluster.control_planes().filter(runs).map(|node| node.name.as_str()).collect();
    let pairs = hosts.windows(2).flat_map(|pair| CHANGES.map(|phase| (phase, pair[0], pair[1])));
    let planned = |phase: &str| steps.iter().any(|step| step.phase == phase);
    pairs
        .filter(|(phase, ..)| planned(phase))
        .map(|(phase, before, host)| Gate {
            phase: phase.to_owned(),
            lane: Some(Lane::Host(host.to_owned())),
            after: ANSWERS.to_owned(),
            at: At::Host(before.to_owned()),
        })
        .collect()
}

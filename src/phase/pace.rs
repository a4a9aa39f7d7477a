//! What waits for what when the hosts of a cluster go at their own pace.

use crate::plan::At;
use crate::plan::Gate;
use crate::plan::Lane;
use crate::plan::Order;
use crate::plan::Step;
use std::collections::BTreeSet;

/// Comes to its end on a host when the API server of that host answers.
const API_ANSWERS: &str = "wait-control-plane";
/// Comes to its end on a host that keeps the endpoint alive when it does.
const BALANCES: &str = "endpoint";
/// Start the kubelet, without which there is no Node to ask for.
const KUBELET_STARTS: [&str; 2] = ["kubelet-start", WORKERS_START];
/// A kubelet without static pods that starts before an API server answers backs off, and costs twenty seconds.
const WORKERS_START: &str = "workers/kubelet-start";

/// Starts etcd on hosts of its own. An API server that has found nobody for a minute ends, and is started again ever
/// later, so that those of a new cluster start when etcd does.
const ETCD_STARTS: &str = "etcd-hosts/kubelet-start";
const CONTROL_PLANE_STARTS: &str = "kubelet-start";

/// The last of the authorities and keys that control planes keep.
const KEPT: &str = "certs/sa";

/// How the phases begin that place certificates.
const IDENTITIES: [&str; 2] = ["certs/", "kubeconfig/"];

/// Asks from a worker for the API at its endpoint.
const WORKERS_LOOK: &str = "workers/endpoint";
/// Takes rights away that are only for the time before the first thing is written.
const RIGHTS_END: &str = "kube-vip-finalize";

/// The order of a cluster's steps: control planes start at the same time, workers and whatever goes through the API
/// when the first of them answers.
pub fn order(steps: &[Step]) -> Order {
    let mut gates = identities_wait(steps);
    if steps.iter().any(|step| step.phase == WORKERS_LOOK) {
        gates.push(gate(WORKERS_LOOK, None, API_ANSWERS, At::AnyHost));
    }
    if steps.iter().any(|step| step.phase == WORKERS_START) {
        gates.push(gate(WORKERS_START, None, API_ANSWERS, At::AnyHost));
        // Control planes that balance have set that up before they start.
        let apart = |step: &Step| step.phase == BALANCES && !answers_at(steps, Lane::of(step).host());
        if steps.iter().any(apart) {
            gates.push(gate(WORKERS_START, None, BALANCES, At::AnyHost));
        }
    }
    if [ETCD_STARTS, CONTROL_PLANE_STARTS].iter().all(|phase| steps.iter().any(|step| step.phase == *phase)) {
        gates.push(gate(CONTROL_PLANE_STARTS, None, ETCD_STARTS, At::AnyHost));
    }
    let first = steps.iter().find(|step| Lane::of(step) == Lane::Api).map(|step| step.phase.as_str());
    if let Some(first) = first {
        gates.push(gate(first, Some(Lane::Api), API_ANSWERS, At::AnyHost));
        if steps.iter().any(|step| step.phase == RIGHTS_END) {
            gates.push(gate(RIGHTS_END, None, first, At::Api));
        }
    }
    for phase in phases_about_nodes(steps) {
        gates.push(gate(phase, None, API_ANSWERS, At::AnyHost));
        // The first thing written gives the administrator its rights.
        gates.extend(first.map(|first| gate(phase, None, first, At::Api)));
        gates.extend(KUBELET_STARTS.map(|start| gate(phase, None, start, At::SameHost)));
    }
    Order::Paced(gates)
}

/// Hosts that keep no authority get what one has signed when a control plane has it: a run that ended before would leave
/// them with certificates of an authority that nobody has, and the next run makes another one.
fn identities_wait(steps: &[Step]) -> Vec<Gate> {
    let mut seen: BTreeSet<Lane> = steps.iter().filter(|step| step.phase == KEPT).map(Lane::of).collect();
    let identities = steps.iter().filter(|step| IDENTITIES.iter().any(|start| step.phase.starts_with(start)));
    let first = identities.filter(|step| {
        let lane = Lane::of(step);
        matches!(lane, Lane::Host(_)) && seen.insert(lane)
    });
    first.map(|step| gate(&step.phase, Some(Lane::of(step)), KEPT, At::AnyHost)).collect()
}

/// Whether an API server is waited for on this host.
fn answers_at(steps: &[Step], host: Option<&str>) -> bool {
    steps.iter().any(|step| step.phase == API_ANSWERS && Lane::of(step).host() == host)
}

/// The phases that ask or write something through the API for one Node each.
fn phases_about_nodes(steps: &[Step]) -> Vec<&str> {
    let mut phases: Vec<&str> = Vec::new();
    for step in steps.iter().filter(|step| matches!(Lane::of(step), Lane::ApiFor(_))) {
        if !phases.contains(&step.phase.as_str()) {
            phases.push(&step.phase);
        }
    }
    phases
}

fn gate(phase: &str, lane: Option<Lane>, after: &str, at: At) -> Gate {
    Gate { phase: phase.to_owned(), lane, after: after.to_owned(), at }
}

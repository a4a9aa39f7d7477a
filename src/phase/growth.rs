//! Which hosts of etcd start with the cluster, and which join one that runs.

use crate::cluster::Cluster;
use crate::cluster::Node;
use crate::facts::ClusterFacts;
use crate::facts::HostFacts;
use crate::kube::static_pod::Member;
use crate::phase::Context;
use crate::phase::Draft;
use crate::phase::Options;
use crate::phase::build;
use crate::phase::etcd_join::data_of_member;
use crate::phase::join::ETCD_HOST;
use crate::phase::join::JOIN;
use crate::phase::keeps_data;
use crate::phase::prune;
use crate::phase::prune::Leaver;
use crate::phase::rolling;
use crate::phase::select;
use crate::phase::select::Selected;
use crate::phase::skew;
use crate::phase::workflow::CLUSTER;
use crate::plan::Action;
use crate::plan::At;
use crate::plan::Gate;
use crate::plan::Lane;
use crate::plan::MemberChange;
use crate::plan::MemberSpec;
use crate::plan::Order;
use crate::plan::Place;
use crate::plan::Plan;
use crate::plan::Step;
use anyhow::ensure;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// The member of a host that was lost goes before anybody joins: etcd takes in nobody while a voter is down.
const REPLACE: &str = "etcd-replace";
const ETCD_JOIN: &str = "etcd-join";
/// Comes to its end on a host of etcd alone when its member takes part.
const ETCD_SERVES: &str = "etcd-hosts/wait";
const API_SERVER: &str = "control-plane/apiserver";
const KUBE_VIP: &str = "kube-vip";
const ENDPOINT: &str = "endpoint";

/// A control plane, or a host that runs etcd alone, that joins the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joiner {
    pub host: String,
    /// etcd still has the member of an earlier host at this address, whose data is gone.
    pub replaces: bool,
}

/// The hosts that join, in the order of the file; all others start with the cluster, or run already. A control plane
/// without etcd needs nobody's leave: it starts as the first ones did.
///
/// A member that etcd has never seen running may start with the rest, since etcd waits for it; one that it does not
/// know must be let in; and one whose data is gone must not come back with its old vote (etcd's operations guide,
/// "runtime reconfiguration").
pub fn joiners(
    cluster: &Cluster,
    facts: &BTreeMap<String, HostFacts>,
    running: &ClusterFacts,
) -> Vec<Joiner> {
    let (Some(etcd), Some(local)) = (&running.etcd, &cluster.configuration.etcd.local) else {
        return Vec::new();
    };
    let data = data_of_member(&local.data_dir);
    let joins = |node: &Node| {
        let has_data = facts.get(&node.name).is_some_and(|facts| facts.existing_paths.contains(&data));
        let member = etcd.by_peer_url(&Member::of(node).peer_url);
        let (joins, replaces) = match member {
            None => (true, false),
            Some(member) if member.is_learner => (true, member.has_run() && !has_data),
            Some(member) => (member.has_run() && !has_data, member.has_run() && !has_data),
        };
        joins.then(|| Joiner { host: node.name.clone(), replaces })
    };
    cluster.etcd_members().filter_map(joins).collect()
}

/// The plan of a whole cluster: what founds or runs it, and one after the other the hosts that join it. `ours` says for
/// a host what an earlier run did or made there.
///
/// # Errors
/// As for [`build::plan`]; what is wanted would cost the cluster its data, or its majority.
pub fn plan(
    cx: &Context<'_>,
    selected: &[Selected],
    ours: &BTreeMap<String, BTreeSet<String>>,
) -> anyhow::Result<Plan> {
    keeps_data::check(cx, ours)?;
    skew::check(cx)?;
    let leavers = leavers(cx)?;
    let running = without_lost(cx.running, &leavers);
    let cx = &Context { running: &running, ..*cx };
    let joiners = joiners(cx.cluster, cx.facts, cx.running);
    let apart = joiners.iter().map(|joiner| joiner.host.clone()).collect();
    let options = Options { joiners: apart, ..cx.options.clone() };
    let mut whole = build::plan(&Context { options: &options, ..*cx }, selected)?;
    if let Order::Paced(gates) = &mut whole.order {
        let cx = &Context { options: &options, ..*cx };
        gates.extend(rolling::gates(cx, &whole.steps));
        gates.extend(skew::gates(cx, &whole.steps));
    }
    let mut before: Option<&str> = None;
    let lost: Vec<&str> = joiners.iter().filter(|one| one.replaces).map(|one| one.host.as_str()).collect();
    let pruned: Vec<&str> = leavers.iter().filter(|one| one.lost).map(|one| one.name.as_str()).collect();
    whole.steps.extend(prune::lost(cx, &leavers));
    for joiner in joiners.iter().filter(|joiner| cx.includes_host(&joiner.host)) {
        let part = join(cx, joiner, ours.get(&joiner.host))?;
        if !matches!(whole.order, Order::Paced(_)) {
            whole.order = Order::Paced(Vec::new());
        }
        if let Order::Paced(gates) = &mut whole.order {
            gates.extend(gates_of(joiner, before, &lost));
            gates.extend(serves(cx.cluster, joiner));
            gates.extend(pruned.iter().map(|name| after_pruned(joiner, name)));
        }
        whole.steps.extend(part.steps);
        whole.undo.extend(part.undo);
        before = Some(&joiner.host);
    }
    if !leavers.is_empty() {
        if let Order::Paced(gates) = &mut whole.order {
            gates.extend(prune::gates(&whole.steps));
        }
        whole.steps.extend(prune::steps(cx, &leavers));
    }
    Ok(whole)
}

/// Who leaves, where the operator wants that. With a choice of hosts nobody does.
fn leavers(cx: &Context<'_>) -> anyhow::Result<Vec<Leaver>> {
    if !cx.options.prune || cx.options.only.is_some() || !cx.running.runs {
        return Ok(Vec::new());
    }
    ensure!(!cx.running.nodes.is_empty(), "the cluster does not list its nodes, so nobody can be removed");
    let leavers = prune::leavers(cx.cluster, cx.running);
    prune::check_endpoint(cx.cluster, &leavers)?;
    match (&cx.running.etcd, &cx.running.etcd_trouble) {
        (Some(etcd), _) => prune::check_quorum(etcd, &leavers)?,
        (None, trouble) => ensure!(
            !cx.cluster.has_local_etcd() || !leavers.iter().any(Leaver::is_server),
            "no control plane can be removed while etcd does not tell its members: {}",
            trouble.as_deref().unwrap_or("nobody could be asked")
        ),
    }
    Ok(leavers)
}

/// What the cluster is like once the lost members of those who leave are gone.
fn without_lost(running: &ClusterFacts, leavers: &[Leaver]) -> ClusterFacts {
    let mut running = running.clone();
    if let Some(etcd) = &mut running.etcd {
        leavers
            .iter()
            .filter(|one| one.lost)
            .filter_map(|one| one.member.as_ref())
            .for_each(|url| etcd.forget(url));
    }
    running
}

/// etcd takes in nobody while a voter is down.
fn after_pruned(joiner: &Joiner, name: &str) -> Gate {
    Gate {
        phase: ETCD_JOIN.to_owned(),
        lane: Some(Lane::Host(joiner.host.clone())),
        after: prune::LOST.to_owned(),
        at: At::About(name.to_owned()),
    }
}

/// API servers are told of a new host of etcd when it takes part.
fn serves(cluster: &Cluster, joiner: &Joiner) -> Option<Gate> {
    (cluster.has_etcd_hosts() && !joiner.replaces).then(|| Gate {
        phase: API_SERVER.to_owned(),
        lane: None,
        after: ETCD_SERVES.to_owned(),
        at: At::Host(joiner.host.clone()),
    })
}

/// The plan of one host that joins.
fn join(cx: &Context<'_>, joiner: &Joiner, ours: Option<&BTreeSet<String>>) -> anyhow::Result<Plan> {
    let mut cluster = Cluster { joining: true, ..cx.cluster.clone() };
    cluster.keep_only(&joiner.host);
    let node = cluster.this_node();
    let mut running = cx.running.clone();
    if joiner.replaces
        && let Some(etcd) = &mut running.etcd
    {
        // Gone when this part of the plan begins.
        etcd.forget(&Member::of(node).peer_url);
    }
    let nothing = BTreeSet::new();
    let options = Options { joiners: BTreeSet::new(), ..cx.options.clone() };
    let context = Context {
        cluster: &cluster,
        running: &running,
        ours: ours.unwrap_or(&nothing),
        options: &options,
        ..*cx
    };
    let mut phases = select::flatten(if node.is_etcd_host() { ETCD_HOST } else { JOIN });
    // The plan of all hosts has set it up, before the API server that it leads to.
    phases.retain(|one| one.name != ENDPOINT);
    // It takes part in keeping the endpoint alive when it has joined.
    phases.extend(select::flatten(CLUSTER).into_iter().filter(|one| one.name == KUBE_VIP));
    let mut plan = build::plan(&context, &phases)?;
    if joiner.replaces {
        plan.steps.insert(0, replaced(&cluster, node));
    }
    Ok(plan)
}

/// The old member of a host that came back without its data goes.
fn replaced(cluster: &Cluster, node: &Node) -> Step {
    let limit = cluster.timeouts.etcd_api_call;
    let spec = MemberSpec {
        peer_url: Member::of(node).peer_url,
        change: MemberChange::Remove,
        limit,
        unhealthy: limit,
        best_effort: false,
    };
    let draft = Draft::new(
        "etcd member of the lost host removed",
        "its data is gone, so it cannot come back with its vote; etcd takes in nobody while it is missing",
        Action::Member(spec),
    );
    Step {
        phase: REPLACE.to_owned(),
        place: Place::Host(node.name.clone()),
        about: None,
        title: draft.title,
        reason: draft.reason,
        action: draft.action,
    }
}

/// Members that are lost go first; etcd takes in one learner at a time; a Node is marked when its kubelet runs.
fn gates_of(joiner: &Joiner, before: Option<&str>, lost: &[&str]) -> Vec<Gate> {
    let lane = || Some(Lane::Host(joiner.host.clone()));
    let gate = |phase: &str, lane, after: &str, at| Gate {
        phase: phase.to_owned(),
        lane,
        after: after.to_owned(),
        at,
    };
    let others = lost.iter().filter(|host| **host != joiner.host);
    let mut gates: Vec<Gate> =
        others.map(|host| gate(ETCD_JOIN, lane(), REPLACE, At::Host((*host).to_owned()))).collect();
    gates.extend(before.map(|host| gate(ETCD_JOIN, lane(), ETCD_JOIN, At::Host(host.to_owned()))));
    let about = || Some(Lane::ApiFor(joiner.host.clone()));
    gates.push(gate(
        "control-plane-join/mark-control-plane",
        about(),
        "kubelet-wait-bootstrap",
        At::SameHost,
    ));
    gates
}

//! Selected phases × nodes → the plan.

use crate::cluster::Node;
use crate::kube::objects::admins;
use crate::phase::Context;
use crate::phase::Draft;
use crate::phase::Scope;
use crate::phase::UndoDraft;
use crate::phase::addon;
use crate::phase::objects;
use crate::phase::pace;
use crate::phase::prepare;
use crate::phase::rootless;
use crate::phase::select::Selected;
use crate::phase::skew;
use crate::plan::Action;
use crate::plan::ApplyHow;
use crate::plan::Identity;
use crate::plan::Order;
use crate::plan::Place;
use crate::plan::Plan;
use crate::plan::Probe;
use crate::plan::Step;
use crate::plan::Undo;
use crate::plan::check;
use crate::plan::check::Flaw;
use anyhow::Context as _;
use anyhow::ensure;
use std::collections::BTreeSet;

/// Builds the plan of the selected phases. Pure: the same input gives the same plan.
///
/// # Errors
/// A patch does not apply, a value of the configuration cannot be rendered, or the plan contradicts itself.
pub fn plan(cx: &Context<'_>, selected: &[Selected]) -> anyhow::Result<Plan> {
    let mut steps = Vec::new();
    let mut undo = Vec::new();
    if cx.options.prepare {
        let here = |node: &&Node| cx.facts.contains_key(&node.name) && cx.begins_with(node);
        for node in cx.cluster.nodes.iter().filter(here) {
            steps.extend(prepare::steps(cx.cluster, node, cx.facts_of(node))?);
        }
        by_phase(&mut steps);
    }
    if cx.cluster.is_rootless() && selected.iter().any(|one| rootless::concerns(&one.name)) {
        let serves = |node: &&Node| node.is_server() && cx.begins_with(node);
        for node in cx.cluster.nodes.iter().filter(serves) {
            let drafts = rootless::accounts(&cx.facts_of(node).accounts, node.is_etcd_host())
                .with_context(|| format!("cannot plan system accounts for {}", node.name))?;
            steps.extend(drafts.into_iter().map(|draft| settle(draft, rootless::PHASE, node)));
        }
    }
    for one in selected {
        let Some(plan_phase) = one.phase.plan else { continue };
        for node in one.phase.nodes(cx) {
            let drafts = plan_phase(cx, node, one.phase.name)
                .with_context(|| format!("cannot plan phase `{}` for {}", one.name, node.name))?;
            if !drafts.is_empty() {
                undo.extend(undoing(cx, one, node));
            }
            steps.extend(drafts.into_iter().map(|draft| settle_in(draft, one, node)));
        }
    }
    skew::kubelets_last(cx, &mut steps);
    once_each(&mut steps);
    addon::wait_at_the_end(&mut steps);
    if !cx.cluster.joining {
        grant_admin_rights(cx, &mut steps);
    }
    // A host that works on itself has nobody to wait for.
    let alone = cx.cluster.joining || cx.cluster.nodes.len() < 2;
    let order = if alone { Order::Listed } else { pace::order(&steps) };
    let plan = Plan { steps, order, undo };
    let flaws = check::contradictions(&plan, cx.cluster);
    ensure!(
        flaws.is_empty(),
        "the plan contradicts itself, which is a mistake of this program:\n{}",
        lines(&flaws)
    );
    Ok(plan)
}

/// The same phase of all hosts together, so that they are prepared side by side; within a host the order stays.
fn by_phase(steps: &mut [Step]) {
    let order = prepare::PHASES;
    let place = |step: &Step| order.iter().position(|phase| step.phase == format!("prepare/{phase}"));
    steps.sort_by_cached_key(place);
}

/// How a phase is taken back on a node.
fn undoing(cx: &Context<'_>, one: &Selected, node: &Node) -> Option<Undo> {
    let UndoDraft { drafts, mend } = one.phase.undo?(cx, node)?;
    Some(Undo {
        phase: one.name.clone(),
        place: Place::Host(node.name.clone()),
        steps: drafts.into_iter().map(|draft| settle(draft, &one.name, node)).collect(),
        mend,
    })
}

fn lines(flaws: &[Flaw]) -> String {
    flaws.iter().map(|flaw| format!("  {flaw}")).collect::<Vec<_>>().join("\n")
}

/// Phases that also run alone each ask for the directories that they need; one step for each is enough.
fn once_each(steps: &mut Vec<Step>) {
    let mut made: BTreeSet<(Place, String)> = BTreeSet::new();
    steps.retain(|step| match &step.action {
        Action::Directory { path, .. } => made.insert((step.place.clone(), path.clone())),
        _ => true,
    });
}

/// A step of a phase; what a phase does through the API for each node is about that node.
fn settle_in(draft: Draft, one: &Selected, node: &Node) -> Step {
    let step = settle(draft, &one.name, node);
    let about_node = step.place == Place::Cluster && one.phase.scope != Scope::FirstControlPlane;
    Step { about: about_node.then(|| node.name.clone()), ..step }
}

fn settle(draft: Draft, phase: &str, node: &Node) -> Step {
    let place = match &draft.action {
        Action::Object(_) | Action::Delete(_) => Place::Cluster,
        Action::Wait(wait) if is_asked_of_cluster(&wait.probe) => Place::Cluster,
        _ => Place::Host(node.name.clone()),
    };
    Step {
        phase: phase.to_owned(),
        place,
        about: None,
        title: draft.title,
        reason: draft.reason,
        action: draft.action,
    }
}

fn is_asked_of_cluster(probe: &Probe) -> bool {
    matches!(
        probe,
        Probe::NodeRegistered { .. }
            | Probe::Established { .. }
            | Probe::RolledOut { .. }
            | Probe::Available { .. }
    )
}

/// Binds the administrators' group to its role before the first object is written. Since kubeadm 1.29 `admin.conf`
/// has no rights of its own; `super-admin.conf` has, and is used for this one object. Where the operator has taken
/// that file away, the binding must already be there.
fn grant_admin_rights(cx: &Context<'_>, steps: &mut Vec<Step>) {
    let Some(first) = steps.iter().position(|step| matches!(step.action, Action::Object(_))) else { return };
    let node = cx.cluster.first_control_plane();
    let path = format!("{}/super-admin.conf", cx.kubeconfig_dir());
    let planned = steps[..first].iter().any(|step| step.subject() == path);
    let identity = if planned || cx.exists(node, &path) { Identity::SuperAdmin } else { Identity::Admin };
    let draft = objects::draft(
        admins::cluster_admins(),
        ApplyHow::CreateOnly,
        identity,
        "admin.conf names a group; this binding gives the group its role, and can be revoked",
    );
    let step = settle(draft, &steps[first].phase.clone(), node);
    steps.insert(first, step);
}

//! A new version of Kubernetes for a cluster that runs: who moves first. No kubelet and no kube-proxy may be newer than
//! an API server that it talks to (upstream's version skew policy), so control planes move first, each kubelet of theirs
//! with its own API server, then the workers and what runs on every node.

use crate::artifact::Name;
use crate::artifact::choose;
use crate::cluster::Cluster;
use crate::cluster::KubeVersion;
use crate::cluster::Node;
use crate::cluster::prepare::Source;
use crate::facts::ClusterFacts;
use crate::facts::api_servers::SOME;
use crate::kube::patch::Target;
use crate::kube::static_pod;
use crate::phase::Context;
use crate::phase::Options;
use crate::plan::Action;
use crate::plan::At;
use crate::plan::Gate;
use crate::plan::Lane;
use crate::plan::Place;
use crate::plan::Step;
use anyhow::ensure;
use std::collections::BTreeSet;

/// Comes to its end on a host when its control plane answers, in the version that is wanted.
const ANSWERS: &str = "wait-control-plane";
/// Bring the kubelet's program to a host; packages of others restart what they bring.
const KUBELET_COMES: [&str; 2] = ["prepare/packages", "prepare/binaries"];
const CONTROL_PLANES_START: &str = "kubelet-start";
const WORKERS_START: &str = "workers/kubelet-start";
const KUBE_PROXY: &str = "addon/kube-proxy";

/// Whether an API server is to get another version than it has.
fn moves(cx: &Context<'_>) -> bool {
    cx.running.api_servers.values().any(|version| *version != cx.cluster.version)
}

/// Workers and kube-proxy wait for every control plane of the run.
pub fn gates(cx: &Context<'_>, steps: &[Step]) -> Vec<Gate> {
    if !moves(cx) {
        return Vec::new();
    }
    let planned: BTreeSet<(&str, Lane)> =
        steps.iter().map(|step| (step.phase.as_str(), Lane::of(step))).collect();
    let lane = |node: &Node| Lane::Host(node.name.clone());
    let control_planes = || {
        let all = cx.cluster.control_planes().filter(|node| cx.begins_with(node));
        all.filter(|node| planned.contains(&(ANSWERS, lane(node))))
    };
    let mut waiting = vec![(WORKERS_START, None), (KUBE_PROXY, None)];
    for node in cx.cluster.workers() {
        let comes = KUBELET_COMES.into_iter().filter(|phase| planned.contains(&(*phase, lane(node))));
        waiting.extend(comes.map(|phase| (phase, Some(lane(node)))));
    }
    let gate = |phase: &str, lane: Option<Lane>, node: &Node| Gate {
        phase: phase.to_owned(),
        lane,
        after: ANSWERS.to_owned(),
        at: At::Host(node.name.clone()),
    };
    let pairs = waiting.iter().flat_map(|wait| control_planes().map(move |node| (wait, node)));
    pairs.map(|((phase, lane), node)| gate(phase, lane.clone(), node)).collect()
}

/// On control planes that run, the kubelet comes after the manifests of its own API server, and so after those of the
/// control plane before it.
pub fn kubelets_last(cx: &Context<'_>, steps: &mut Vec<Step>) {
    if !moves(cx) {
        return;
    }
    let manifest = static_pod::manifest_path(Target::KubeApiserver.as_str());
    let runs = |node: &&Node| cx.begins_with(node) && cx.exists(node, &manifest);
    for node in cx.cluster.control_planes().filter(runs) {
        let here = |step: &Step| step.place == Place::Host(node.name.clone());
        let start = steps.iter().position(|step| here(step) && step.phase == CONTROL_PLANES_START);
        let before = steps.drain(..start.unwrap_or_default());
        let (late, early): (Vec<Step>, Vec<Step>) =
            before.partition(|step| here(step) && brings_kubelet(&step.action));
        steps.splice(..0, early.into_iter().chain(late));
    }
}

fn brings_kubelet(action: &Action) -> bool {
    match action {
        Action::Artifact(spec) => spec.marker == Name::Kubelet.marker(),
        Action::Package(spec) => spec.packages.iter().any(|package| package.name == Name::Kubelet.as_str()),
        _ => false,
    }
}

/// The versions of a kubelet that is replaced by now and not restarted: what runs, and what is installed, or will be by
/// a package. Files that we bring ask for the restart themselves.
pub fn replaced_kubelet(cx: &Context<'_>, node: &Node) -> Option<(KubeVersion, KubeVersion)> {
    let runs = cx.running.kubelet(node.registered_name())?;
    let installed = if cx.options.prepare && cx.cluster.prepare.artifacts.source == Source::Packages {
        wanted_kubelet(cx.cluster)
    } else {
        cx.facts_of(node).checks.kubelet.version()
    };
    installed.filter(|installed| *installed > runs).map(|installed| (runs, installed))
}

fn wanted_kubelet(cluster: &Cluster) -> Option<KubeVersion> {
    choose::version(cluster, Name::Kubelet).parse().ok()
}

/// The API servers that are older than wanted and that the run does not move.
pub fn left_behind<'a>(
    cluster: &Cluster,
    running: &'a ClusterFacts,
    options: &Options,
) -> Vec<(&'a str, &'a KubeVersion)> {
    let included = |node: &Node| options.only.as_ref().is_none_or(|only| only.contains(&node.name));
    let moved: BTreeSet<&str> =
        cluster.control_planes().filter(|node| included(node)).map(Node::registered_name).collect();
    let older = running.api_servers.iter().filter(|(_, version)| **version < cluster.version);
    let left = older.filter(|(host, _)| {
        let somebody = host.as_str() == SOME && !moved.is_empty();
        !somebody && !moved.contains(host.as_str())
    });
    left.map(|(host, version)| (host.as_str(), version)).collect()
}

/// A choice of hosts must not let a kubelet overtake API servers.
///
/// # Errors
/// It would.
pub fn check(cx: &Context<'_>) -> anyhow::Result<()> {
    let behind = left_behind(cx.cluster, cx.running, cx.options);
    let Some((_, oldest)) = behind.iter().min_by_key(|(_, version)| *version) else { return Ok(()) };
    let overtakes = |node: &&Node| {
        let brought = cx.options.prepare && cx.cluster.prepare.artifacts.source != Source::None;
        let here = || cx.facts.get(&node.name)?.checks.kubelet.version();
        let kubelet = if brought { wanted_kubelet(cx.cluster) } else { here() };
        kubelet.is_some_and(|kubelet| (kubelet.0.major, kubelet.minor()) > (oldest.0.major, oldest.minor()))
    };
    let workers = cx.cluster.workers().filter(|node| cx.begins_with(node)).filter(overtakes);
    let workers: Vec<&str> = workers.map(|node| node.name.as_str()).collect();
    ensure!(
        workers.is_empty(),
        "the kubelets of {} would be newer than API servers: {}; move the control planes first, with `--limit \
         control-plane` or without a limit",
        workers.join(", "),
        told(&behind)
    );
    Ok(())
}

/// What is said of kube-proxy where it has to wait: what, and what to do.
pub fn mention(cluster: &Cluster, running: &ClusterFacts, options: &Options) -> Option<(String, String)> {
    let behind = left_behind(cluster, running, options);
    if behind.is_empty() || cluster.configuration.proxy.disabled {
        return None;
    }
    let message = format!(
        "kube-proxy stays as it is while API servers are older than {}: {}",
        cluster.version,
        told(&behind)
    );
    Some((message, "the same command again when they have moved".to_owned()))
}

fn told(servers: &[(&str, &KubeVersion)]) -> String {
    let each = servers.iter().map(|(host, version)| format!("{host} ({version})"));
    each.collect::<Vec<_>>().join(", ")
}

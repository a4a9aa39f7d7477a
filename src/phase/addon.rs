//! The add-ons of every cluster, CoreDNS and kube-proxy; the pod network; and what the operator wants beside.

pub mod bundle;
mod cni;
mod inventory;
mod prune;

use crate::cluster::Addon;
use crate::cluster::Cluster;
use crate::cluster::GoDuration;
use crate::cluster::Node;
use crate::cluster::addon;
use crate::cluster::addon::What;
use crate::facts::ClusterFacts;
use crate::kube::objects;
use crate::kube::objects::addon::Parts;
use crate::kube::objects::coredns;
use crate::kube::objects::kube_proxy;
use crate::phase::Context;
use crate::phase::Draft;
use crate::phase::objects::draft;
use crate::phase::objects::replaced;
use crate::phase::skew;
use crate::pki::Ca;
use crate::plan::Action;
use crate::plan::ApplyHow;
use crate::plan::Identity;
use crate::plan::Object;
use crate::plan::ObjectRef;
use crate::plan::Probe;
use crate::plan::Step;
use anyhow::Context as _;
use bundle::Bundle;

/// How long what an add-on runs may take to come up, unless somebody says otherwise: images come over the network.
const COMES_UP: GoDuration = GoDuration::from_mins(10);

/// Plans the add-on that the sub-phase is named after, unless the configuration switches it off.
pub fn plan(cx: &Context<'_>, node: &Node, phase: &str) -> anyhow::Result<Vec<Draft>> {
    let configuration = &cx.cluster.configuration;
    match phase {
        "coredns" if !configuration.dns.disabled && cx.includes_addon(phase) => {
            coredns(cx.cluster, cx.running)
        }
        // It stays as it is while an API server is older than it would be.
        "kube-proxy" if !skew::left_behind(cx.cluster, cx.running, cx.options).is_empty() => Ok(Vec::new()),
        "kube-proxy" if !configuration.proxy.disabled && cx.includes_addon(phase) => {
            let objects = kube_proxy::objects(cx.cluster, cx.facts_of(node))?;
            Ok(replaced(objects, "service addresses work on every node"))
        }
        "cni" if cx.includes_addon(phase) => match cni::bundle(cx.cluster)? {
            Some(bundle) => drafts_of(cx, &bundle),
            None => Ok(Vec::new()),
        },
        "charts" => all(cx, |addon| matches!(addon.what, What::Chart(_))),
        "manifests" => all(cx, |addon| matches!(addon.what, What::Manifests(_))),
        "prune" => Ok(prune::drafts(cx, &wanted(cx)?)),
        name => {
            let named = cx.cluster.site.addons.iter().find(|addon| addon.name == name);
            match named.filter(|_| cx.includes_addon(name)) {
                Some(addon) => drafts_of(cx, &bundle_of(cx, addon)?),
                None => Ok(Vec::new()),
            }
        }
    }
}

/// Phases whose pods others need: without a network none of theirs come up.
const FIRST: &str = "addon/cni";

/// Puts off the waits with which add-ons end until all of them are written: images come side by side then, and one that does
/// not come up keeps no other from being installed. A wait that something of the add-on follows stays before it.
pub fn wait_at_the_end(steps: &mut Vec<Step>) {
    let put_off: Vec<bool> = (0..steps.len()).map(|index| ends_with_wait(&steps[index..])).collect();
    let mut put_off = put_off.into_iter();
    let mut waits = Vec::new();
    let mut rest = Vec::new();
    for step in steps.drain(..) {
        if put_off.next() == Some(true) { waits.push(step) } else { rest.push(step) }
    }
    steps.extend(rest.into_iter().chain(waits));
}

/// Whether the first step waits for pods of an add-on, and nothing but such waits of it follows.
fn ends_with_wait(steps: &[Step]) -> bool {
    let Some(first) = steps.first() else { return false };
    let of_addon = first.phase.starts_with("addon/") && first.phase != FIRST;
    let mut rest = steps.iter().filter(|step| step.phase == first.phase);
    of_addon && rest.all(|step| waits_for_pods(&step.action))
}

/// Others go on meanwhile; kinds that are to be there are another matter.
fn waits_for_pods(action: &Action) -> bool {
    matches!(action, Action::Wait(wait) if matches!(wait.probe, Probe::RolledOut { .. } | Probe::Available { .. }))
}

/// Those of the operator, which have names of the operator's.
fn all(cx: &Context<'_>, is_such: impl Fn(&Addon) -> bool) -> anyhow::Result<Vec<Draft>> {
    let own = |addon: &&Addon| !addon::NAMED.contains(&addon.name.as_str()) && is_such(addon);
    let addons = cx.cluster.site.addons.iter().filter(own).filter(|addon| cx.includes_addon(&addon.name));
    let (mut written, mut waits) = (Vec::new(), Vec::new());
    for addon in addons {
        let mut drafts = drafts_of(cx, &bundle_of(cx, addon)?)?;
        let last = drafts.iter().rposition(|draft| !waits_for_pods(&draft.action));
        waits.extend(drafts.split_off(last.map_or(0, |last| last + 1)));
        written.extend(drafts);
    }
    Ok([written, waits].concat())
}

/// Everything that is remembered by name.
fn wanted(cx: &Context<'_>) -> anyhow::Result<Vec<Bundle>> {
    let own = cx.cluster.site.addons.iter().map(|addon| bundle_of(cx, addon));
    cni::bundle(cx.cluster)?.into_iter().map(Ok).chain(own).collect()
}

fn drafts_of(cx: &Context<'_>, bundle: &Bundle) -> anyhow::Result<Vec<Draft>> {
    bundle.drafts(cx.running, cx.options.addon_limit.unwrap_or(COMES_UP))
}

fn bundle_of(cx: &Context<'_>, addon: &Addon) -> anyhow::Result<Bundle> {
    let signs = !cx.external.contains(&Ca::FrontProxy);
    let parts = objects::addon::parts(cx.cluster, addon, signs);
    let Parts { objects, afterwards } =
        parts.with_context(|| format!("cannot make the objects of the add-on {}", addon.name))?;
    let reason = format!("the configuration names the add-on {}", addon.name);
    Ok(Bundle { name: addon.name.clone(), objects, afterwards, reason })
}

/// CoreDNS, with the number of pods and the Corefile that the operator chose meanwhile.
fn coredns(cluster: &Cluster, running: &ClusterFacts) -> anyhow::Result<Vec<Draft>> {
    let said = cluster.site.coredns.replicas;
    let replicas = said.or(running.coredns_replicas).unwrap_or(coredns::DEFAULT_REPLICAS);
    let customised = is_customised(cluster, running)?;
    let objects = coredns::objects(cluster, replicas)?;
    let applied = |object: Object| {
        let keeps = customised && ObjectRef::of(&object.value).kind == "ConfigMap";
        let (how, reason) = if keeps {
            (ApplyHow::CreateOnly, "the Corefile was changed in the cluster, and stays")
        } else {
            (ApplyHow::CreateOrReplace, "names of services and pods resolve inside the cluster")
        };
        draft(object, how, Identity::Admin, reason)
    };
    Ok(objects.into_iter().map(applied).collect())
}

/// Whether the Corefile in use is neither kubeadm's nor what this program wrote last.
fn is_customised(cluster: &Cluster, running: &ClusterFacts) -> anyhow::Result<bool> {
    let Some(corefile) = &running.corefile else { return Ok(false) };
    let known = [coredns::stock(cluster)?, coredns::corefile(cluster)?];
    Ok(!known.contains(corefile) && running.corefile_mark.as_ref() != Some(&coredns::mark(corefile)))
}

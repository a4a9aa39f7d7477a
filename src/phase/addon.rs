//! The add-ons of every cluster, CoreDNS and kube-proxy; the pod network; and what the operator wants beside.

pub mod bundle;
mod cni;
mod inventory;
mod prune;

use crate::cluster::Addon;
use crate::cluster::Cluster;
use crate::cluster::Node;
use crate::facts::ClusterFacts;
use crate::kube::objects::coredns;
use crate::kube::objects::foreign;
use crate::kube::objects::kube_proxy;
use crate::phase::Context;
use crate::phase::Draft;
use crate::phase::objects;
use crate::plan::ApplyHow;
use crate::plan::Identity;
use crate::plan::Object;
use crate::plan::ObjectRef;
use bundle::Bundle;

/// Plans the add-on that the sub-phase is named after, unless the configuration switches it off.
pub fn plan(cx: &Context<'_>, node: &Node, phase: &str) -> anyhow::Result<Vec<Draft>> {
    let configuration = &cx.cluster.configuration;
    match phase {
        "coredns" if !configuration.dns.disabled => coredns(cx.cluster, cx.running),
        "kube-proxy" if !configuration.proxy.disabled => {
            let objects = kube_proxy::objects(cx.cluster, cx.facts_of(node))?;
            Ok(objects::replaced(objects, "service addresses work on every node"))
        }
        "cni" => match cni::bundle(cx.cluster)? {
            Some(bundle) => bundle.drafts(cx.running),
            None => Ok(Vec::new()),
        },
        "manifests" => {
            let drafts = cx.cluster.site.addons.iter().map(|addon| bundle_of(addon).drafts(cx.running));
            Ok(drafts.collect::<anyhow::Result<Vec<_>>>()?.concat())
        }
        "prune" => Ok(prune::drafts(&wanted(cx.cluster)?, cx.running)),
        _ => Ok(Vec::new()),
    }
}

/// Everything that is remembered by name.
fn wanted(cluster: &Cluster) -> anyhow::Result<Vec<Bundle>> {
    let own = cluster.site.addons.iter().map(bundle_of);
    Ok(cni::bundle(cluster)?.into_iter().chain(own).collect())
}

fn bundle_of(addon: &Addon) -> Bundle {
    let objects = addon.manifests.iter().flat_map(|manifest| foreign::placed(&manifest.objects, None));
    let reason = format!("the configuration names the add-on {}", addon.name);
    Bundle { name: addon.name.clone(), objects: objects.collect(), reason }
}

/// CoreDNS, with the number of pods and the Corefile that the operator chose meanwhile.
fn coredns(cluster: &Cluster, running: &ClusterFacts) -> anyhow::Result<Vec<Draft>> {
    let replicas = running.coredns_replicas.unwrap_or(coredns::DEFAULT_REPLICAS);
    let stock = coredns::corefile(cluster)?;
    let customised = running.corefile.as_ref().is_some_and(|corefile| *corefile != stock);
    let how = |object: &Object| match ObjectRef::of(&object.value).kind.as_str() {
        "ConfigMap" if customised => ApplyHow::CreateOnly,
        _ => ApplyHow::CreateOrReplace,
    };
    let reason = "names of services and pods resolve inside the cluster";
    let objects = coredns::objects(cluster, replicas)?;
    Ok(objects
        .into_iter()
        .map(|object| {
            let how = how(&object);
            objects::draft(object, how, Identity::Admin, reason)
        })
        .collect())
}

//! The static pods of the control plane.

use crate::cluster::Node;
use crate::kube::patch;
use crate::kube::patch::Target;
use crate::kube::static_pod;
use crate::kube::static_pod::MANIFESTS_DIR;
use crate::kube::static_pod::RootlessIds;
use crate::kube::static_pod::SigningKeys;
use crate::kube::static_pod::Site;
use crate::kube::yaml;
use crate::phase::Context;
use crate::phase::Draft;
use crate::pki::Ca;
use crate::plan::Action;
use crate::plan::Content;
use crate::plan::FileSpec;
use serde_json::Value;

/// Plans the static pod that the sub-phase is named after.
pub fn plan(cx: &Context<'_>, node: &Node, phase: &str) -> anyhow::Result<Vec<Draft>> {
    let rootless = cx.rootless(node)?;
    let site = site(cx, node, rootless.as_ref());
    let (target, pod) = match phase {
        "apiserver" => (Target::KubeApiserver, static_pod::kube_apiserver(&site)),
        "controller-manager" => (Target::KubeControllerManager, static_pod::kube_controller_manager(&site)),
        _ => (Target::KubeScheduler, static_pod::kube_scheduler(&site)),
    };
    Ok(vec![manifests_directory(), manifest(cx, target, pod)?])
}

/// Whether the controller manager and the scheduler of a host start when its API server answers. Before that they can do
/// nothing but take its processors and, after ten seconds without an answer, end and be started again ever later. A
/// control plane that runs is changed as a whole.
pub fn begins_with_the_api(cx: &Context<'_>, node: &Node) -> bool {
    !cx.exists(node, &static_pod::manifest_path(Target::KubeApiserver.as_str()))
}

/// The same as [`plan`], without what starts later.
pub fn plan_first(cx: &Context<'_>, node: &Node, phase: &str) -> anyhow::Result<Vec<Draft>> {
    if phase != "apiserver" && begins_with_the_api(cx, node) {
        return Ok(Vec::new());
    }
    plan(cx, node, phase)
}

/// What [`plan_first`] leaves out.
pub fn plan_later(cx: &Context<'_>, node: &Node, phase: &str) -> anyhow::Result<Vec<Draft>> {
    if begins_with_the_api(cx, node) { plan(cx, node, phase) } else { Ok(Vec::new()) }
}

/// The host as those see it who write its static pods.
pub fn site<'a>(cx: &'a Context<'_>, node: &'a Node, rootless: Option<&'a RootlessIds>) -> Site<'a> {
    let has_key = |ca| !cx.external.contains(&ca);
    let signing = SigningKeys { kubernetes: has_key(Ca::Kubernetes), kubelet: has_key(Ca::Kubelet) };
    Site { signing, rootless, ..Site::new(cx.cluster, node, cx.facts_of(node)) }
}

/// The directory that static pods are read from.
pub fn manifests_directory() -> Draft {
    Draft::new(
        "directory of static pods",
        "the kubelet runs whatever manifests it finds there",
        Action::Directory { path: MANIFESTS_DIR.to_owned(), mode: 0o700 },
    )
}

/// A static pod's manifest, patched, in the kubelet's directory.
///
/// # Errors
/// A patch of the operator does not apply.
pub fn manifest(cx: &Context<'_>, target: Target, pod: Value) -> anyhow::Result<Draft> {
    manifest_with(cx, target, pod, Content::Text)
}

/// The same, with a content that is made from the manifest's text.
///
/// # Errors
/// A patch of the operator does not apply.
pub fn manifest_with(
    cx: &Context<'_>,
    target: Target,
    pod: Value,
    content: impl FnOnce(String) -> Content,
) -> anyhow::Result<Draft> {
    let pod = patch::apply(&cx.cluster.patches, target, pod)?;
    Ok(Draft::new(
        format!("static pod {}", target.as_str()),
        "the kubelet starts it without an API server",
        Action::File(FileSpec {
            path: static_pod::manifest_path(target.as_str()),
            mode: 0o600,
            owner: None,
            content: content(yaml::to_string(&pod)),
            keep_existing: false,
        }),
    ))
}

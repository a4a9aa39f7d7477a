//! The kubelet: its settings, its certificates, and its (re)start.

use crate::cluster::Node;
use crate::kube::kubelet;
use crate::kube::patch::Target;
use crate::kube::static_pod;
use crate::kube::static_pod::Member;
use crate::phase::Context;
use crate::phase::Draft;
use crate::phase::control_plane::manifests_directory;
use crate::phase::prepare;
use crate::phase::skew;
use crate::pki::CertName;
use crate::pki::Part;
use crate::pki::spec;
use crate::plan::Action;
use crate::plan::Content;
use crate::plan::FileSpec;
use crate::plan::ServiceSpec;
use crate::template;
use std::collections::BTreeMap;

const DIRECTORY: &str = "/var/lib/kubelet";
/// systemd's part of a kubelet that runs by itself, named as in kubeadm's documentation.
const ALONE: &str = "/etc/systemd/system/kubelet.service.d/20-etcd-service-manager.conf";

/// Plans the kubelet's files and its start.
///
/// Its certificates are put where it keeps them itself, so that it asks for none when it starts: a kubelet whose
/// client certificate is only embedded in `kubelet.conf` requests a new one at once. That of a host that is no node
/// talks to nobody, and has none.
pub fn plan(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    let credentials = if node.becomes_node() { stored_pairs(cx, node) } else { alone() };
    start(cx, node, credentials)
}

/// What keeps the kubelet from looking for an API server.
fn alone() -> Vec<Draft> {
    let directory = ALONE.rsplit_once('/').map_or(ALONE, |(directory, _)| directory).to_owned();
    let text = template::render(ALONE.trim_start_matches('/'), &BTreeMap::<&str, &str>::new())
        .expect("the template is part of the program and tested");
    let name = ALONE.rsplit('/').next().unwrap_or(ALONE);
    vec![
        Draft::new(
            "directory of the kubelet's drop-ins",
            "a reset takes it away again",
            Action::Directory { path: directory, mode: 0o755 },
        ),
        Draft::new(
            format!("kubelet's {name}"),
            "the host is no node, and its kubelet runs etcd by itself",
            text_file(ALONE.to_owned(), text),
        ),
    ]
}

/// The kubelet's certificates in its own store.
pub fn stored_pairs(cx: &Context<'_>, node: &Node) -> Vec<Draft> {
    let mut drafts = stored_pair(cx, node, CertName::KubeletClient);
    if cx.cluster.five_chains() {
        drafts.extend(stored_pair(cx, node, CertName::KubeletServing));
    }
    drafts
}

/// Plans the kubelet's settings beside its `credentials`, and its start.
///
/// # Errors
/// A patch of the operator does not apply.
pub fn start(cx: &Context<'_>, node: &Node, credentials: Vec<Draft>) -> anyhow::Result<Vec<Draft>> {
    let mut drafts = vec![Draft::new(
        "kubelet's directory",
        "holds keys of pods and of the node",
        Action::Directory { path: DIRECTORY.to_owned(), mode: 0o700 },
    )];
    if !node.is_control_plane() {
        // A worker has none, but its kubelet complains for ever where it cannot look.
        drafts.push(manifests_directory());
    }
    drafts.extend(credentials);
    let mut restart_on: Vec<String> = drafts.iter().filter_map(changed_file).collect();
    let facts = cx.facts_of(node);
    let brought = if cx.options.prepare { prepare::watched(cx.cluster, node, facts) } else { Vec::new() };
    // One that we brought is enabled by nobody else.
    let enabled = (!brought.is_empty()).then_some(true);
    restart_on.extend(brought);
    for (path, content, reason) in [
        (
            kubelet::FLAGS_PATH,
            Some(kubelet::flags_env(cx.cluster, node, facts)),
            "flags that the kubelet's unit reads",
        ),
        (
            kubelet::INSTANCE_CONFIG_PATH,
            kubelet::instance_config(cx.cluster, node).filter(|_| node.becomes_node()),
            "what is peculiar to this host: its container runtime",
        ),
        (
            kubelet::CONFIG_PATH,
            Some(kubelet::config(cx.cluster, node, facts)?),
            "the cluster's kubelet configuration, as this host uses it",
        ),
    ] {
        let Some(content) = content else { continue };
        restart_on.push(path.to_owned());
        let name = path.rsplit('/').next().unwrap_or(path);
        drafts.push(Draft::new(format!("kubelet's {name}"), reason, text_file(path.to_owned(), content)));
    }
    drafts.push(Draft::new(
        "kubelet running with this configuration",
        "it reads its configuration only when it starts",
        Action::Service(ServiceSpec {
            unit: "kubelet".to_owned(),
            enabled,
            restart_on,
            reload_on: Vec::new(),
            anew: anew(cx, node),
            best_effort: true,
        }),
    ));
    Ok(drafts)
}

/// Why it is restarted whatever has changed.
fn anew(cx: &Context<'_>, node: &Node) -> Option<String> {
    if tries_again(cx, node) {
        return Some("so that it tries again at once".to_owned());
    }
    let (runs, installed) = skew::replaced_kubelet(cx, node)?;
    Some(format!("since {runs} runs and {installed} is installed"))
}

/// A kubelet waits ever longer before it starts a failed static pod again, and a host that is to join once more would
/// have to wait with it. So it starts anew, unless the host has got as far as a Node and a member of etcd.
fn tries_again(cx: &Context<'_>, node: &Node) -> bool {
    let runs = if node.is_etcd_host() { Target::Etcd } else { Target::KubeApiserver };
    let tried_before = cx.exists(node, &static_pod::manifest_path(runs.as_str()));
    let peer_url = Member::of(node).peer_url;
    let no_member = cx.running.etcd.as_ref().is_some_and(|etcd| etcd.started(&peer_url).is_none());
    let on_its_way = cx.running.namesake.is_none() || no_member;
    cx.cluster.joining && node.is_server() && tried_before && on_its_way
}

fn changed_file(draft: &Draft) -> Option<String> {
    match &draft.action {
        Action::File(file) => Some(file.path.clone()),
        _ => None,
    }
}

fn text_file(path: String, text: String) -> Action {
    Action::File(FileSpec {
        path,
        mode: 0o644,
        owner: None,
        content: Content::Text(text),
        keep_existing: false,
    })
}

/// A certificate in the kubelet's own store: a dated file, and a link named `current` that the kubelet moves when
/// it renews. Where the link exists the kubelet is in charge, and nothing is planned.
fn stored_pair(cx: &Context<'_>, node: &Node, cert: CertName) -> Vec<Draft> {
    let Some(link) = spec::spec(cx.cluster, node, cert).paths.store else { return Vec::new() };
    let signer = cert.signer(cx.cluster);
    if cx.exists(node, &link) || signer.is_some_and(|ca| cx.external.contains(&ca)) {
        return Vec::new();
    }
    let file = link.replace("-current.pem", "-initial.pem");
    let reason =
        "the kubelet finds it in its own store, so it need not ask for one, and renews it from there";
    vec![
        Draft::new(
            format!("{cert} certificate in the kubelet's store"),
            reason,
            Action::File(FileSpec {
                path: file.clone(),
                mode: 0o600,
                owner: None,
                content: Content::Pki { node: node.name.clone(), cert, part: Part::Pair },
                keep_existing: false,
            }),
        ),
        Draft::new(
            format!("{cert} certificate is the current one"),
            reason,
            Action::Link { path: link, target: file },
        ),
    ]
}

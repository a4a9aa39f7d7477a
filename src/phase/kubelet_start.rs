//! The kubelet: its settings, its certificates, and its (re)start.

use crate::cluster::Node;
use crate::kube::kubelet;
use crate::phase::Context;
use crate::phase::Draft;
use crate::pki::CertName;
use crate::pki::Part;
use crate::plan::Action;
use crate::plan::Content;
use crate::plan::FileSpec;
use crate::plan::ServiceSpec;

const DIRECTORY: &str = "/var/lib/kubelet";

/// Plans the kubelet's files and its start.
///
/// Its certificates are put where it keeps them itself, so that it asks for none when it starts: a kubelet whose
/// client certificate is only embedded in `kubelet.conf` requests a new one at once.
pub fn plan(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    let files = kubelet::files(cx.cluster, node, cx.facts_of(node))?;
    let mut drafts = vec![Draft::new(
        "kubelet's directory",
        "holds keys of pods and of the node",
        Action::Directory { path: DIRECTORY.to_owned(), mode: 0o700 },
    )];
    drafts.extend(stored_pair(cx, node, CertName::KubeletClient, "kubelet-client"));
    if cx.cluster.five_chains() {
        drafts.extend(stored_pair(cx, node, CertName::KubeletServing, "kubelet-server"));
    }
    let mut restart_on: Vec<String> = drafts.iter().filter_map(changed_file).collect();
    for (name, content, reason) in [
        ("kubeadm-flags.env", Some(files.flags_env), "flags that the kubelet's unit reads"),
        ("instance-config.yaml", files.instance_config, "what is peculiar to this host: its container runtime"),
        ("config.yaml", Some(files.config), "the cluster's kubelet configuration, as this host uses it"),
    ] {
        let Some(content) = content else { continue };
        let path = format!("{DIRECTORY}/{name}");
        restart_on.push(path.clone());
        drafts.push(Draft::new(format!("kubelet's {name}"), reason, text_file(path, content)));
    }
    restart_on.push(format!("{}/kubelet.conf", cx.kubeconfig_dir()));
    drafts.push(Draft::new(
        "kubelet running with this configuration",
        "it reads its configuration only when it starts",
        Action::Service(ServiceSpec {
            unit: "kubelet".to_owned(),
            enabled: None,
            restart_on,
            best_effort: true,
        }),
    ));
    Ok(drafts)
}

fn changed_file(draft: &Draft) -> Option<String> {
    match &draft.action {
        Action::File(file) => Some(file.path.clone()),
        _ => None,
    }
}

fn text_file(path: String, text: String) -> Action {
    Action::File(FileSpec { path, mode: 0o644, owner: None, content: Content::Text(text), keep_existing: false })
}

/// A certificate in the kubelet's own store: a dated file, and a link named `current` that the kubelet moves when
/// it renews. Where the link exists the kubelet is in charge, and nothing is planned.
fn stored_pair(cx: &Context<'_>, node: &Node, cert: CertName, prefix: &str) -> Vec<Draft> {
    let directory = kubelet::cert_dir(node);
    let link = format!("{directory}/{prefix}-current.pem");
    if cx.exists(node, &link) || cx.decisions.is_external(node, cert) {
        return Vec::new();
    }
    let file = format!("{directory}/{prefix}-initial.pem");
    let reason = "the kubelet finds it in its own store, so it need not ask for one, and renews it from there";
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
        Draft::new(format!("{cert} certificate is the current one"), reason, Action::Link { path: link, target: file }),
    ]
}

//! What a control plane needs on its disk before it can join: authorities, leaves, kubeconfigs, static pods.

use crate::cluster::Node;
use crate::phase::Context;
use crate::phase::Draft;
use crate::phase::certs;
use crate::phase::control_plane;
use crate::phase::kubeconfig as kubeconfigs;
use crate::pki::CertName;
use crate::pki::spec;
use crate::pki::spec::CertSpec;
use crate::plan::Action;
use crate::plan::Content;
use crate::plan::FileSpec;

/// Plans what all control planes share: the authorities and the service-account keys. They come out of the Secret
/// `kubeadm-certs`, or are on the host already; and so does the client certificate of an external etcd.
pub fn download_certs(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    let mut drafts = of_certificates(cx, node, CertSpec::is_shared)?;
    let external = cx.cluster.configuration.etcd.external.as_ref();
    drafts.extend(cx.downloaded.iter().map(|path| {
        let key = external.is_some_and(|etcd| etcd.key_file == *path);
        Draft::new(
            format!("external etcd's {}", path.rsplit('/').next().unwrap_or(path)),
            "the API server reaches the external etcd with it",
            Action::File(FileSpec {
                path: path.clone(),
                mode: if key { 0o600 } else { 0o644 },
                owner: None,
                content: Content::Downloaded { path: path.clone() },
                keep_existing: false,
            }),
        )
    }));
    Ok(drafts)
}

/// Plans the certificates of this host's own components.
pub fn certs(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    let own = |spec: &CertSpec| {
        !spec.is_shared() && !spec.name.is_kubeconfig() && spec.name != CertName::KubeletServing
    };
    of_certificates(cx, node, own)
}

fn of_certificates(
    cx: &Context<'_>,
    node: &Node,
    wanted: impl Fn(&CertSpec) -> bool,
) -> anyhow::Result<Vec<Draft>> {
    let specs = spec::specs(cx.cluster, node);
    let drafts =
        specs.iter().filter(|spec| wanted(spec)).map(|spec| certs::plan(cx, node, spec.name.as_str()));
    Ok(drafts.collect::<anyhow::Result<Vec<_>>>()?.concat())
}

/// Plans the kubeconfig files; the kubelet's comes with the kubelet.
pub fn kubeconfig(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    each(&["admin", "controller-manager", "scheduler"], |name| kubeconfigs::plan(cx, node, name))
}

/// Plans the static pods. etcd's comes later, when the cluster's etcd knows of it.
pub fn control_plane(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    each(&["apiserver", "controller-manager", "scheduler"], |name| control_plane::plan(cx, node, name))
}

fn each(names: &[&str], plan: impl Fn(&str) -> anyhow::Result<Vec<Draft>>) -> anyhow::Result<Vec<Draft>> {
    Ok(names.iter().map(|name| plan(name)).collect::<anyhow::Result<Vec<_>>>()?.concat())
}

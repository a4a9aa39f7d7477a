//! Kubeconfig files: who may ask the API server, and at which address.

use crate::cluster::Cluster;
use crate::cluster::Node;
use crate::phase::Context;
use crate::phase::Draft;
use crate::phase::rootless;
use crate::phase::rootless::Rights;
use crate::pki::Ca;
use crate::pki::CertName;
use crate::pki::Part;
use crate::pki::spec::spec;
use crate::plan::Action;
use crate::plan::ClientCredential;
use crate::plan::Content;
use crate::plan::FileSpec;
use crate::plan::KubeconfigSpec;

/// One kubeconfig file.
#[derive(Debug)]
pub struct Entry {
    /// The name of the phase, and of the file without `.conf`.
    pub phase: &'static str,
    pub cert: CertName,
    /// Goes through the cluster's endpoint; the others talk to the API server of their own host, so that they work
    /// while the endpoint does not.
    pub through_endpoint: bool,
    pub reason: &'static str,
}

/// Every kubeconfig file of a control plane. A worker has only the kubelet's.
pub const ENTRIES: [Entry; 5] = [
    Entry {
        phase: "admin",
        cert: CertName::Admin,
        through_endpoint: true,
        reason: "administers the cluster; bound to its role through a group, so it can be revoked",
    },
    Entry {
        phase: "super-admin",
        cert: CertName::SuperAdmin,
        through_endpoint: true,
        reason: "bypasses RBAC, for emergencies; keep it away from this host afterwards if you can",
    },
    Entry {
        phase: "kubelet",
        cert: CertName::KubeletClient,
        through_endpoint: false,
        reason: "the kubelet reports to the API server of its own host, on a worker to the cluster's endpoint",
    },
    Entry {
        phase: "controller-manager",
        cert: CertName::ControllerManager,
        through_endpoint: false,
        reason: "the controller manager watches the API server of its own host",
    },
    Entry {
        phase: "scheduler",
        cert: CertName::Scheduler,
        through_endpoint: false,
        reason: "the scheduler watches the API server of its own host",
    },
];

/// Plans the kubeconfig file that the sub-phase is named after.
pub fn plan(cx: &Context<'_>, node: &Node, phase: &str) -> anyhow::Result<Vec<Draft>> {
    let entry = ENTRIES.iter().find(|entry| entry.phase == phase).filter(|entry| wanted(cx, node, entry));
    let rootless = cx.rootless(node)?;
    let rights = |entry: &Entry| rootless::rights(rootless.as_ref(), entry.cert, Part::Key, 0o600);
    Ok(entry.map(|entry| draft(cx, node, entry, rights(entry))).into_iter().collect())
}

/// The one that bypasses RBAC comes with the cluster, on its first control plane. Whoever has put it away from a
/// cluster that runs does not want it back.
fn wanted(cx: &Context<'_>, node: &Node, entry: &Entry) -> bool {
    let there = || cx.exists(node, &format!("{}/{}", cx.kubeconfig_dir(), entry.cert));
    entry.cert != CertName::SuperAdmin || (cx.cluster.begins_on(node) && !cx.running.runs) || there()
}

fn draft(cx: &Context<'_>, node: &Node, entry: &Entry, rights: Rights) -> Draft {
    Draft::new(
        format!("kubeconfig {}", entry.cert),
        entry.reason,
        Action::File(FileSpec {
            path: format!("{}/{}", cx.kubeconfig_dir(), entry.cert),
            mode: rights.mode,
            owner: rights.owner,
            content: Content::Kubeconfig(settled(cx, node, entry)),
            keep_existing: false,
        }),
    )
}

/// A worker's kubelet finds its certificate in its own store from the beginning, unless the certificate comes from an
/// external authority, inside a file of the operator.
fn settled(cx: &Context<'_>, node: &Node, entry: &Entry) -> KubeconfigSpec {
    let embedded = kubeconfig(cx.cluster, node, entry);
    if node.is_control_plane() || cx.external.contains(&Ca::Kubernetes) {
        return embedded;
    }
    match spec(cx.cluster, node, entry.cert).paths.store {
        Some(current) => KubeconfigSpec { client: ClientCredential::File(current), ..embedded },
        None => embedded,
    }
}

/// The kubeconfig of an entry with its client certificate embedded.
pub fn kubeconfig(cluster: &Cluster, node: &Node, entry: &Entry) -> KubeconfigSpec {
    KubeconfigSpec {
        node: node.name.clone(),
        cluster_name: cluster.configuration.cluster_name.clone(),
        server: if entry.through_endpoint || !node.is_control_plane() {
            cluster.control_plane_url(node)
        } else {
            cluster.local_url(node)
        },
        user: user(entry.cert, node),
        client: ClientCredential::Embedded(entry.cert),
    }
}

/// The user that a client certificate stands for.
pub fn user(cert: CertName, node: &Node) -> String {
    match cert {
        CertName::Admin => "kubernetes-admin".to_owned(),
        CertName::SuperAdmin => "kubernetes-super-admin".to_owned(),
        CertName::ControllerManager => "system:kube-controller-manager".to_owned(),
        CertName::Scheduler => "system:kube-scheduler".to_owned(),
        _ => format!("system:node:{}", node.registered_name()),
    }
}

//! kube-vip on every control plane.
//!
//! Since Kubernetes 1.29 `admin.conf` has no rights until a binding is written, through the address that kube-vip is to
//! bring up. So on the control plane where the cluster begins, kube-vip's own kubeconfig is at first the
//! super-administrator's, and an administrator's as soon as the binding is there; kube-vip reads it when it starts.

use super::pods::Pod;
use crate::cluster::Balancing;
use crate::cluster::Cluster;
use crate::cluster::Node;
use crate::cluster::endpoint::KubeVip;
use crate::cluster::endpoint::KubeVipMode;
use crate::cluster::kubeadm::Timeouts;
use crate::kube::static_pod::balancer;
use crate::phase::Context;
use crate::phase::Draft;
use crate::phase::kubeconfig;
use crate::pki::CertName;
use crate::plan::Action;
use crate::plan::Container;
use crate::plan::Content;
use crate::plan::FileSpec;
use crate::plan::Wait;

const KUBECONFIG: &str = "/etc/kubernetes/kube-vip.conf";

fn said(cluster: &Cluster) -> Option<&KubeVip> {
    match &cluster.site.balancing {
        Some(Balancing::KubeVip(said)) => Some(said),
        _ => None,
    }
}

/// Plans the pod, when its API server answers: one that finds nobody ends, and is started again ever later. On a
/// control plane that joins that is when it has joined.
pub fn plan(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    let here = cx.begins_with(node);
    let Some(said) = said(cx.cluster).filter(|_| here) else { return Ok(Vec::new()) };
    // With leases kube-vip asks for one; with routes it asks nobody for leave.
    let leases = matches!(said.mode, KubeVipMode::Arp { .. });
    let begins = leases && cx.cluster.begins_on(node);
    let cert = if begins { CertName::SuperAdmin } else { CertName::Admin };
    let found = cx.facts_of(node).interface_of(node.advertise_address).map(|found| found.interface.as_str());
    let interface = said.interface.as_deref().or(found.filter(|_| leases));
    let ca = cx.pki_path("ca.crt");
    let value = balancer::kube_vip(said, node, interface, KUBECONFIG, &ca);
    let mut drafts: Vec<Draft> = ready(cx, node).into_iter().collect();
    drafts.push(credentials(cx, node, cert, begins));
    drafts.extend(Pod { name: "kube-vip", image: said.image.clone(), value }.drafts(node));
    Ok(drafts)
}

/// Plans the administrator's credentials where the super-administrator's were.
pub fn finalize(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    let needed = said(cx.cluster).is_some_and(|said| matches!(said.mode, KubeVipMode::Arp { .. }))
        && cx.cluster.begins_on(node)
        && cx.begins_with(node);
    Ok(needed.then(|| credentials(cx, node, CertName::Admin, false)).into_iter().collect())
}

/// A copy: kube-vip does not go where it leads but to the API server beside it.
fn credentials(cx: &Context<'_>, node: &Node, cert: CertName, for_now: bool) -> Draft {
    let reason = if for_now {
        "an administrator has no rights yet, and gets them through the address that kube-vip brings up"
    } else {
        "kube-vip keeps a Lease"
    };
    let entry = kubeconfig::ENTRIES.iter().find(|entry| entry.cert == cert);
    let spec = kubeconfig::kubeconfig(cx.cluster, node, entry.expect("both are kubeconfigs of kubeadm"));
    Draft::new(
        format!("kube-vip's kubeconfig, as {}", cert.as_str().trim_end_matches(".conf")),
        reason,
        Action::File(FileSpec {
            path: KUBECONFIG.to_owned(),
            mode: 0o600,
            owner: None,
            content: Content::Kubeconfig(spec),
            keep_existing: for_now,
        }),
    )
}

/// The host's own API server is ready; where it tells strangers.
fn ready(cx: &Context<'_>, node: &Node) -> Option<Draft> {
    if !super::tells_strangers(cx.cluster) {
        return None;
    }
    let wait = Wait {
        probe: super::readyz(&cx.cluster.local_host_port(node)),
        limit: cx.cluster.timeouts.control_plane_component_health_check,
        setting: Some(Timeouts::COMPONENT),
        advice: vec![
            format!("crictl --runtime-endpoint {} ps -a | grep kube-apiserver", node.cri_socket),
            "journalctl -xeu kubelet".to_owned(),
        ],
        container: Some(Container::of_component(node, "kube-apiserver")),
    };
    Some(Draft::new("API server ready", "kube-vip takes part through it", Action::Wait(wait)))
}

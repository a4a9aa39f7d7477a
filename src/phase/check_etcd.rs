//! Whether the running etcd can take in another member.

use crate::cluster::Cluster;
use crate::cluster::GoDuration;
use crate::cluster::Node;
use crate::cluster::kubeadm::Timeouts;
use crate::kube::static_pod::Member;
use crate::phase::Context;
use crate::phase::Draft;
use crate::phase::etcd::local;
use crate::phase::etcd_join::data_of_member;
use crate::phase::etcd_join::is_of_a_try;
use crate::phase::etcd_join::nothing_left;
use crate::plan::Action;
use crate::plan::Probe;
use crate::plan::Wait;
use anyhow::bail;

/// Plans the check, and takes away what a try has left that was withdrawn; nothing when somebody else runs etcd.
///
/// # Errors
/// What etcd knows of this host and what the host has of etcd do not fit together.
pub fn plan(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    let Some(local) = local(cx) else { return Ok(Vec::new()) };
    let mut drafts = left_behind(cx, node, &data_of_member(&local.data_dir))?;
    let limit = cx.cluster.timeouts.etcd_api_call;
    drafts.push(healthy(
        cx.cluster,
        limit,
        "a new member is only taken in while more than half of the others answer",
    ));
    Ok(drafts)
}

/// A member that starts without its data would come back with its vote and without its memory; data of a member that
/// etcd does not have keeps a new one from starting.
fn left_behind(cx: &Context<'_>, node: &Node, data: &str) -> anyhow::Result<Vec<Draft>> {
    // Of a host that nobody asked it is not known what is there.
    let asked = !cx.facts_of(node).checks.kernel.release.is_empty();
    let Some(etcd) = cx.running.etcd.as_ref().filter(|_| asked) else { return Ok(Vec::new()) };
    match (etcd.by_peer_url(&Member::of(node).peer_url), cx.exists(node, data)) {
        (Some(member), false) if member.has_started() => bail!(
            "etcd has had this host as the member {member}, whose data is no longer in {data}; remove that member on a \
             healthy {} with `etcdctl member remove {}`, then run this again",
            holder(cx.cluster),
            member.id
        ),
        (None, true) if is_of_a_try(cx, node, data) => Ok(nothing_left(node, Some(data)).drafts),
        (None, true) => bail!(
            "{data} holds the data of a member that etcd does not have, and no new one can start with it; keep a copy \
             if it matters, then `rm -rf {data}`, and run this again"
        ),
        _ => Ok(Vec::new()),
    }
}

/// What a host of the cluster's etcd is called.
pub fn holder(cluster: &Cluster) -> &'static str {
    if cluster.has_etcd_hosts() { "etcd host" } else { "control plane" }
}

/// The wait for etcd's health.
pub fn healthy(cluster: &Cluster, limit: GoDuration, reason: &str) -> Draft {
    let pods = "kubectl -n kube-system get pods -l component=etcd -o wide".to_owned();
    let logs = format!(
        "crictl ps -a --name etcd, then crictl logs CONTAINERID, on the {}s that do not answer",
        holder(cluster)
    );
    Draft::new(
        "etcd healthy",
        reason,
        Action::Wait(Wait {
            probe: Probe::EtcdHealthy,
            limit,
            setting: Some(Timeouts::ETCD_API),
            // No API server knows the pods of hosts that are no nodes.
            advice: cluster.has_stacked_etcd().then_some(pods).into_iter().chain([logs]).collect(),
            container: None,
        }),
    )
}

//! Whether the running etcd can take in another member.

use crate::cluster::Node;
use crate::kube::static_pod::Member;
use crate::phase::Context;
use crate::phase::Draft;
use crate::phase::etcd::local;
use crate::phase::etcd_join::data_of_member;
use crate::plan::Action;
use crate::plan::Probe;
use crate::plan::Wait;
use anyhow::bail;

/// Plans the check; nothing when somebody else runs etcd.
///
/// # Errors
/// What etcd knows of this host and what the host has of etcd do not fit together.
pub fn plan(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    let Some(local) = local(cx) else { return Ok(Vec::new()) };
    fits(cx, node, &data_of_member(&local.data_dir))?;
    Ok(vec![healthy(cx, "a new member is only taken in while more than half of the others answer")])
}

/// A member that starts without its data would come back with its vote and without its memory; data of a member that
/// etcd does not have keeps a new one from starting.
fn fits(cx: &Context<'_>, node: &Node, data: &str) -> anyhow::Result<()> {
    // Of a host that nobody asked it is not known what is there.
    let asked = !cx.facts_of(node).checks.kernel.release.is_empty();
    let Some(etcd) = cx.running.etcd.as_ref().filter(|_| asked) else { return Ok(()) };
    match (etcd.by_peer_url(&Member::of(node).peer_url), cx.exists(node, data)) {
        (Some(member), false) if member.has_started() => bail!(
            "etcd has had this host as the member {member}, whose data is no longer in {data}; remove that member on a \
             healthy control plane with `etcdctl member remove {}`, then run this again",
            member.id
        ),
        (None, true) => bail!(
            "{data} holds the data of a member that etcd does not have, and no new one can start with it; keep a copy \
             if it matters, then `rm -rf {data}`, and run this again"
        ),
        _ => Ok(()),
    }
}

/// The wait for etcd's health.
pub fn healthy(cx: &Context<'_>, reason: &str) -> Draft {
    Draft::new(
        "etcd healthy",
        reason,
        Action::Wait(Wait {
            probe: Probe::EtcdHealthy,
            limit: cx.cluster.timeouts.etcd_api_call,
            advice: vec![
                "kubectl -n kube-system get pods -l component=etcd -o wide".to_owned(),
                "crictl ps -a --name etcd, then crictl logs CONTAINERID, on the control planes that do not answer"
                    .to_owned(),
            ],
        }),
    )
}

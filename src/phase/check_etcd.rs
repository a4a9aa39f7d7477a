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
/// etcd knows this host as a member whose data is no longer here: an etcd that starts without it would come back with
/// its vote and without its memory.
pub fn plan(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    let Some(local) = local(cx) else { return Ok(Vec::new()) };
    let data = data_of_member(&local.data_dir);
    // Of a host that nobody asked it is not known what is there.
    let asked = !cx.facts_of(node).checks.kernel.release.is_empty();
    let known = cx.running.etcd.as_ref();
    let member = known.and_then(|etcd| etcd.started(&Member::of(node).peer_url));
    if let Some(member) = member.filter(|_| asked && !cx.exists(node, &data)) {
        bail!(
            "etcd has had this host as the member {member}, whose data is no longer in {data}; remove that member on a \
             healthy control plane with `etcdctl member remove {}`, then run this again",
            member.id
        );
    }
    Ok(vec![healthy(cx, "a new member is only taken in while more than half of the others answer")])
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

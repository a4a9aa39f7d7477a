//! A control plane's etcd leaves the others, before its host is reset.

use crate::cluster::Cluster;
use crate::cluster::GoDuration;
use crate::cluster::Node;
use crate::kube::static_pod::Member;
use crate::phase::Draft;
use crate::plan::Action;
use crate::plan::MemberChange;
use crate::plan::MemberSpec;

/// How long to try at most: a cluster that is gone for good must not hold up a reset.
const LIMIT: GoDuration = GoDuration::from_mins(1);

/// Removes the member of `node`, found by its peer URL. One that is gone already is fine, the only one with a vote
/// stays, and a failure is a warning. `None` where the host has no member: a worker, or etcd is somebody else's.
pub fn removal(cluster: &Cluster, node: &Node) -> Option<Draft> {
    if !cluster.runs_etcd(node) {
        return None;
    }
    Some(Draft::new(
        "etcd member removed",
        "the others must not wait for a member that never comes back",
        Action::Member(MemberSpec {
            peer_url: Member::of(node).peer_url,
            change: MemberChange::Remove,
            limit: cluster.timeouts.etcd_api_call.min(LIMIT),
            unhealthy: LIMIT,
            best_effort: true,
        }),
    ))
}

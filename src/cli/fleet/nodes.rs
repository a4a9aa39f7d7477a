//! What runs on nodes that are not in the operator's file.

use crate::api::Api;
use crate::api::Selector;
use crate::cluster::Cluster;
use crate::facts::ClusterFacts;
use crate::facts::nodes::PodFacts;
use crate::phase::prune;
use crate::plan::ObjectRef;
use std::collections::BTreeSet;

/// Asks for the pods of nodes that the file does not have, so that a plan can tell them. The drain itself looks again,
/// so that no answer is none.
pub(super) fn add_pods(api: &dyn Api, cluster: &Cluster, running: &mut ClusterFacts) {
    let leaving: BTreeSet<String> =
        prune::leavers(cluster, running).into_iter().map(|leaver| leaver.name).collect();
    let everywhere = ObjectRef::new("v1", "Pod", "", "");
    for node in running.nodes.iter_mut().filter(|node| leaving.contains(&node.name)) {
        let pods = api.list(&everywhere, &Selector::all().field("spec.nodeName", &node.name));
        node.pods = pods.unwrap_or_default().iter().map(PodFacts::of).collect();
        node.pods.sort();
    }
}

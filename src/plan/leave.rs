//! What a plan can ask for when a node leaves the cluster.

use crate::cluster::GoDuration;
use crate::plan::ObjectRef;

/// A node that nothing new is scheduled on, and that runs only what belongs to it: static pods, and pods of
/// `DaemonSet`s. The others leave through the Eviction API, so that disruption budgets hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrainSpec {
    /// The name of the Node object.
    pub node: String,
    /// The pods that were there while planning, `namespace/name`, for the reader: execution looks again.
    pub pods: Vec<String>,
    /// How long at most.
    pub limit: GoDuration,
}

/// An API object that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteSpec {
    pub object: ObjectRef,
    /// A namespace stays while there is something in it that nobody else takes away.
    pub unless_used: bool,
}

//! Static pods that take up what their manifests say.

use crate::cluster::GoDuration;
use crate::plan::Container;

/// The kubelet has replaced the pods whose manifests changed, in this run or in one that ended before it could say so.
/// Where none did, nobody is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplacedSpec {
    pub pods: Vec<StaticPod>,
    /// How long the kubelet may take to notice and to end the old pods. What it has not replaced by then it sees no
    /// reason to replace.
    pub limit: GoDuration,
}

/// A pod that the kubelet runs because of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticPod {
    pub manifest: String,
    pub container: Container,
}

impl ReplacedSpec {
    /// Their name in messages, and in the record of what still has to take up a change.
    pub const SUBJECT: &str = "static pods";

    /// The names of the containers, for people.
    pub fn names(&self) -> Vec<&str> {
        self.pods.iter().map(|pod| pod.container.name.as_str()).collect()
    }
}

//! May we begin? Checks over what is wanted and what is so; pure.

pub mod check;
mod endpoint;
pub mod etcd;
mod firewall;
pub mod fleet;
mod host;
pub mod ignore;
mod joining;
mod kubeadm;
mod labels;
mod network;
mod ours;
mod proxy;
pub mod report;
pub mod system;
pub mod version;

pub use crate::facts::EtcdVersions;
pub use check::Batch;
pub use check::Check;
pub use check::Finding;
pub use check::Problem;
pub use check::Severity;
pub use fleet::FleetReport;
pub use fleet::FleetSubject;
pub use fleet::HostInput;
pub use fleet::Unreachable;
pub use fleet::fleet_preflight;
pub use ignore::Ignore;
pub use report::Report;

use crate::cluster::Cluster;
use crate::cluster::Node;
use crate::facts::ClusterFacts;
use crate::facts::HostFacts;
use crate::plan::ImageSpec;
use std::collections::BTreeSet;

/// What is judged.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub cluster: &'a Cluster,
    pub node: &'a Node,
    pub facts: &'a HostFacts,
    /// The images that this node will run, in kubeadm's order.
    pub images: &'a [String],
    /// Paths that the host's receipt says are ours; they are no obstacle to a second run.
    pub ours: &'a BTreeSet<String>,
    /// The receipt says that the components on this host were started by us.
    pub running_ours: bool,
    /// The host will be prepared first, so what preparation mends is no error.
    pub prepare: bool,
    /// What the external etcd answered; see [`crate::facts::etcd::versions`].
    pub etcd: &'a EtcdVersions,
    /// What the running cluster says.
    pub running: &'a ClusterFacts,
}

/// The checks of `init`: kubeadm's in kubeadm's order, then ours.
pub fn init_checks(subject: &Subject) -> Vec<Check> {
    let mut checks = kubeadm::init(subject);
    checks.extend(version::checks());
    checks.extend(ours::checks());
    checks.extend(network::checks());
    checks.extend(endpoint::checks(subject));
    checks.extend(kubeadm::images());
    checks
}

/// The checks of `join`: kubeadm's in kubeadm's order, then ours. A control plane is also judged as by `init`.
pub fn join_checks(subject: &Subject) -> Vec<Check> {
    let mut checks = kubeadm::join(subject);
    checks.push(Check::new("NodeName", joining::node_name));
    if subject.node.is_control_plane() {
        checks.extend(version::checks());
    } else {
        checks.push(version::check_of_worker());
    }
    checks.extend(ours::checks());
    checks.extend(network::checks());
    checks.extend(endpoint::checks(subject));
    if subject.node.is_control_plane() {
        checks.extend(kubeadm::images());
    }
    checks
}

/// Those checks of `join` that do not depend on the cluster, so that they can be made before it is found.
pub fn host_checks() -> Vec<Check> {
    kubeadm::host()
}

/// What a control plane must know of the cluster before it joins: asked when it has the cluster's authorities.
pub fn cluster_checks(_: &Subject) -> Vec<Check> {
    vec![Check::new("EtcdHealth", joining::etcd_health), Check::new("PkiLayout", joining::layout)]
}

/// Runs checks batch by batch; a batch with an error that is not ignored ends the run.
pub fn run(checks: &[Check], subject: &Subject, ignore: &Ignore) -> Report {
    let mut report = Report::new(&subject.node.name);
    for batch in [Batch::Privilege, Batch::Main, Batch::Images] {
        let of_batch = checks.iter().filter(|check| check.batch == batch);
        if report.failed() {
            report.not_run.extend(of_batch.map(|check| check.name.clone()));
            continue;
        }
        for check in of_batch {
            report.add(&check.name, (check.find)(subject, &check.argument), subject.prepare, ignore);
        }
    }
    report
}

/// The images to be pulled, as the node's policy has it; what execution does for `ImagePull`.
pub fn images_to_pull(subject: &Subject) -> Vec<ImageSpec> {
    use crate::cluster::node::ImagePullPolicy;
    let known = &subject.facts.checks.runtime.images;
    let here = |image: &String| known.get(image).copied().unwrap_or(false);
    let always = subject.node.image_pull_policy == ImagePullPolicy::Always;
    let wanted = |image: &&String| match subject.node.image_pull_policy {
        ImagePullPolicy::Always => true,
        ImagePullPolicy::IfNotPresent => !here(image),
        ImagePullPolicy::Never => false,
    };
    let cri_socket = &subject.node.cri_socket;
    let spec =
        |image: &String| ImageSpec { reference: image.clone(), cri_socket: cri_socket.clone(), always };
    subject.images.iter().filter(wanted).map(spec).collect()
}

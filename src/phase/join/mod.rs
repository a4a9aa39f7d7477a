//! Joining a cluster that runs: the table of phases, and those that `init` has not.
//!
//! A host that holds the cluster's authorities (a control plane) makes its kubelet's certificate itself; any other
//! lets its kubelet ask for one with the bootstrap token, as kubeadm has it.

pub mod control_plane_prepare;
pub mod kubelet_start;
pub mod kubelet_wait_bootstrap;

use crate::cluster::Node;
use crate::phase::Context;
use crate::phase::Phase;
use crate::phase::Scope;
use crate::phase::check_etcd;
use crate::phase::etcd_join;
use crate::phase::mark_control_plane;
use crate::phase::preflight;
use crate::phase::wait_control_plane;
use crate::phase::workflow::BASE;
use crate::phase::workflow::CERTS;
use crate::phase::workflow::ENDPOINT;
use crate::phase::workflow::ETCD_HOSTS_START;
use crate::phase::workflow::ETCD_HOSTS_WAIT;
use crate::phase::workflow::KUBE_VIP;
use crate::phase::workflow::NETWORK;
use crate::phase::workflow::leaf;
use crate::phase::workflow::of_servers;
use crate::pki::Ca;

/// Where the kubelet finds what it asks for its first certificate with.
pub const BOOTSTRAP_KUBECONFIG: &str = "/etc/kubernetes/bootstrap-kubelet.conf";
/// Where it writes down that it has one.
pub const KUBELET_KUBECONFIG: &str = "/etc/kubernetes/kubelet.conf";

const PREFLIGHT: Phase =
    of_servers("preflight", "Check the host, and on a control plane pull the images", preflight::plan);

const CONTROL_PLANE_PREPARE: Phase = Phase {
    name: "control-plane-prepare",
    summary: "Make this host ready to run a control plane",
    children: &[
        leaf(
            "download-certs",
            "Fetch the authorities from Secret kubeadm-certs",
            control_plane_prepare::download_certs,
        ),
        leaf("certs", "Make the certificates of this host's components", control_plane_prepare::certs),
        leaf(
            "kubeconfig",
            "Make kubeconfig files for the administrator and the control plane",
            control_plane_prepare::kubeconfig,
        ),
        leaf(
            "control-plane",
            "Place the static pods of the control plane",
            control_plane_prepare::control_plane,
        ),
    ],
    ..BASE
};

const CHECK_ETCD: Phase = Phase {
    scope: Scope::EtcdMembers,
    ..leaf("check-etcd", "Check that the cluster's etcd can take in a member", check_etcd::plan)
};

const ETCD_JOIN: Phase = Phase {
    scope: Scope::EtcdMembers,
    undo: Some(etcd_join::undo),
    ..leaf("etcd-join", "Let this host's etcd join the others", etcd_join::plan)
};

const KUBELET_START: Phase = Phase {
    scope: Scope::AllNodes,
    ..leaf("kubelet-start", "Write the kubelet's settings and (re)start it", kubelet_start::plan)
};

const KUBELET_WAIT_BOOTSTRAP: Phase = Phase {
    scope: Scope::AllNodes,
    undo: Some(kubelet_wait_bootstrap::undo),
    ..leaf(
        "kubelet-wait-bootstrap",
        "Wait for the kubelet to have its certificate and to register the node",
        kubelet_wait_bootstrap::plan,
    )
};

const CONTROL_PLANE_JOIN: Phase = Phase {
    name: "control-plane-join",
    summary: "Make the node a control plane of the cluster",
    children: &[leaf(
        "mark-control-plane",
        "Label and taint the node as a control plane",
        mark_control_plane::plan,
    )],
    ..BASE
};

const WAIT_CONTROL_PLANE: Phase = leaf(
    "wait-control-plane",
    "Wait for the control plane on this host to come up",
    wait_control_plane::plan,
);

/// All phases of `kubewright join`.
pub const JOIN: &[Phase] = &[
    PREFLIGHT,
    CONTROL_PLANE_PREPARE,
    CHECK_ETCD,
    NETWORK,
    ENDPOINT,
    KUBELET_START,
    KUBE_VIP,
    ETCD_JOIN,
    KUBELET_WAIT_BOOTSTRAP,
    CONTROL_PLANE_JOIN,
    WAIT_CONTROL_PLANE,
];

/// All phases of a host that runs etcd and nothing else, and joins those that run.
pub const ETCD_HOST: &[Phase] = &[
    PREFLIGHT,
    CERTS,
    CHECK_ETCD,
    Phase { name: "etcd-hosts", children: &[ETCD_HOSTS_START], ..BASE },
    ETCD_JOIN,
    Phase { name: "etcd-hosts", children: &[ETCD_HOSTS_WAIT], ..BASE },
];

/// Whether the kubelet asks the cluster for its first certificate. One that has joined already does not.
fn bootstraps(cx: &Context<'_>, node: &Node) -> bool {
    !signs_itself(cx, node) && !cx.exists(node, KUBELET_KUBECONFIG)
}

/// Whether the authority that signs kubelets is on this host with its key.
fn signs_itself(cx: &Context<'_>, node: &Node) -> bool {
    node.is_control_plane() && !cx.external.contains(&Ca::Kubernetes)
}

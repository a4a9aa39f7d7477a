//! The tables of phases, in reading order, in kubeadm's words: of `init`, and of a whole cluster. That of `join` is
//! with its phases.

use crate::cluster::Node;
use crate::phase::Context;
use crate::phase::Phase;
use crate::phase::PlanFn;
use crate::phase::Scope;
use crate::phase::addon;
use crate::phase::bootstrap_token;
use crate::phase::certs;
use crate::phase::control_plane;
use crate::phase::endpoint;
use crate::phase::etcd;
use crate::phase::kubeconfig;
use crate::phase::kubelet_finalize;
use crate::phase::kubelet_start;
use crate::phase::mark_control_plane;
use crate::phase::mark_workers;
use crate::phase::network;
use crate::phase::preflight;
use crate::phase::upload_certs;
use crate::phase::upload_config;
use crate::phase::wait_control_plane;
use crate::phase::wait_etcd;

/// What a row of the table leaves out.
pub(super) const BASE: Phase = Phase {
    name: "",
    aliases: &[],
    summary: "",
    needs: &[],
    done: None,
    scope: Scope::ControlPlanes,
    plan: None,
    undo: None,
    children: &[],
};

pub(super) const fn leaf(name: &'static str, summary: &'static str, plan: PlanFn) -> Phase {
    Phase { name, summary, plan: Some(plan), ..BASE }
}

const fn once(name: &'static str, summary: &'static str, plan: PlanFn) -> Phase {
    Phase { scope: Scope::FirstControlPlane, ..leaf(name, summary, plan) }
}

pub(super) const fn of_servers(name: &'static str, summary: &'static str, plan: PlanFn) -> Phase {
    Phase { scope: Scope::Servers, ..leaf(name, summary, plan) }
}

fn has_ca(cx: &Context<'_>, node: &Node) -> bool {
    cx.exists(node, &cx.pki_path("ca.crt"))
}

fn has_kubeconfigs(cx: &Context<'_>, node: &Node) -> bool {
    ["admin.conf", "kubelet.conf", "controller-manager.conf", "scheduler.conf"]
        .iter()
        .all(|file| cx.exists(node, &format!("{}/{file}", cx.kubeconfig_dir())))
}

fn has_manifests(cx: &Context<'_>, node: &Node) -> bool {
    cx.exists(node, "/etc/kubernetes/manifests/kube-apiserver.yaml")
}

fn has_kubelet_config(cx: &Context<'_>, node: &Node) -> bool {
    cx.exists(node, "/var/lib/kubelet/config.yaml")
}

const PREFLIGHT: Phase = of_servers("preflight", "Check the host and pull the images", preflight::plan);

pub(super) const CERTS: Phase = Phase {
    name: "certs",
    summary: "Make certificates and keys",
    done: Some(has_ca),
    children: &[
        Phase {
            scope: Scope::AllNodes,
            ..leaf("ca", "The Kubernetes CA, which vouches for every component's identity", certs::plan)
        },
        leaf("apiserver", "Certificate for serving the Kubernetes API", certs::plan),
        leaf("apiserver-kubelet-client", "Certificate for the API server to reach kubelets", certs::plan),
        leaf("kubelet-ca", "The CA of kubelets' serving certificates (five chains)", certs::plan),
        leaf("front-proxy-ca", "The CA of the front proxy", certs::plan),
        leaf("front-proxy-client", "Certificate of the front proxy's client", certs::plan),
        of_servers("etcd-ca", "The CA of etcd's servers and clients", certs::plan),
        of_servers("etcd-server", "Certificate for serving etcd", certs::plan),
        of_servers("etcd-peer-ca", "The CA of etcd's peers (five chains)", certs::plan),
        of_servers("etcd-peer", "Certificate for etcd members among themselves", certs::plan),
        of_servers("etcd-healthcheck-client", "Certificate for checking etcd's health", certs::plan),
        leaf("apiserver-etcd-client", "Certificate for the API server to reach etcd", certs::plan),
        leaf("sa", "Key pair that signs service account tokens", certs::plan),
    ],
    ..BASE
};

const KUBECONFIG: Phase = Phase {
    name: "kubeconfig",
    summary: "Make kubeconfig files for the administrator and the control plane",
    needs: &["certs"],
    done: Some(has_kubeconfigs),
    children: &[
        leaf("admin", "Kubeconfig of the administrator", kubeconfig::plan),
        Phase {
            scope: Scope::FirstControlPlane,
            ..leaf("super-admin", "Kubeconfig that bypasses RBAC, for emergencies", kubeconfig::plan)
        },
        Phase {
            scope: Scope::AllNodes,
            ..leaf("kubelet", "Kubeconfig of this host's kubelet", kubeconfig::plan)
        },
        leaf("controller-manager", "Kubeconfig of the controller manager", kubeconfig::plan),
        leaf("scheduler", "Kubeconfig of the scheduler", kubeconfig::plan),
    ],
    ..BASE
};

const ETCD: Phase = Phase {
    name: "etcd",
    summary: "Place the static pod of a local etcd",
    needs: &["certs"],
    children: &[Phase {
        scope: Scope::EtcdMembers,
        ..leaf("local", "Static pod of a local, single-member etcd", etcd::plan)
    }],
    ..BASE
};

pub(super) const ETCD_HOSTS_START: Phase = Phase {
    scope: Scope::EtcdHosts,
    ..leaf("kubelet-start", "Write the kubelet's settings and (re)start it", kubelet_start::plan)
};

pub(super) const ETCD_HOSTS_WAIT: Phase =
    Phase { scope: Scope::EtcdHosts, ..leaf("wait", "Wait for etcd to come up", wait_etcd::plan) };

/// Where etcd runs on hosts of its own, a kubelet by itself starts it there.
const ETCD_HOSTS: Phase = Phase {
    name: "etcd-hosts",
    summary: "Start etcd on hosts of its own",
    needs: &["etcd"],
    scope: Scope::EtcdHosts,
    children: &[ETCD_HOSTS_START, ETCD_HOSTS_WAIT],
    ..BASE
};

const fn apiserver(plan: PlanFn) -> Phase {
    leaf("apiserver", "Static pod of kube-apiserver", plan)
}

const fn controller_manager(plan: PlanFn) -> Phase {
    leaf("controller-manager", "Static pod of kube-controller-manager", plan)
}

const fn scheduler(plan: PlanFn) -> Phase {
    leaf("scheduler", "Static pod of kube-scheduler", plan)
}

const CONTROL_PLANE: Phase = Phase {
    name: "control-plane",
    summary: "Place the static pods of the control plane",
    needs: &["certs", "kubeconfig"],
    done: Some(has_manifests),
    children: &[
        apiserver(control_plane::plan),
        controller_manager(control_plane::plan),
        scheduler(control_plane::plan),
    ],
    ..BASE
};

/// Of a whole cluster: what the API server's companions would take from it while it comes up is left to it.
const CONTROL_PLANE_FIRST: Phase = Phase {
    children: &[
        apiserver(control_plane::plan_first),
        controller_manager(control_plane::plan_first),
        scheduler(control_plane::plan_first),
    ],
    ..CONTROL_PLANE
};

/// The same phase, as far as it waits for the API server.
const CONTROL_PLANE_LATER: Phase = Phase {
    children: &[controller_manager(control_plane::plan_later), scheduler(control_plane::plan_later)],
    ..CONTROL_PLANE
};

/// While the control plane comes up, and before anybody looks for it at its endpoint.
pub(super) const ENDPOINT: Phase = Phase {
    scope: Scope::Balancers,
    ..leaf("endpoint", "Set up what keeps the API's endpoint alive", endpoint::plan)
};

pub(super) const KUBE_VIP: Phase = Phase {
    needs: &["kubelet-start"],
    scope: Scope::Balancers,
    ..leaf("kube-vip", "Let kube-vip bring up the API's endpoint", endpoint::kube_vip)
};

const KUBE_VIP_FINALIZE: Phase = Phase {
    needs: &["kubelet-start"],
    scope: Scope::Balancers,
    ..leaf(
        "kube-vip-finalize",
        "Take the super-administrator's rights from kube-vip",
        endpoint::finalize_kube_vip,
    )
};

pub(super) const NETWORK: Phase = Phase {
    scope: Scope::AllNodes,
    ..leaf("network", "Set up the pod network's part of the host", network::plan)
};

const KUBELET_START: Phase = Phase {
    needs: &["kubeconfig"],
    done: Some(has_kubelet_config),
    ..leaf("kubelet-start", "Write the kubelet's settings and (re)start it", kubelet_start::plan)
};

const WAIT_CONTROL_PLANE: Phase = Phase {
    needs: &["kubelet-start", "control-plane"],
    done: Some(has_manifests),
    ..leaf("wait-control-plane", "Wait for the control plane to come up", wait_control_plane::plan)
};

const WAIT_CONTROL_PLANE_FIRST: Phase =
    Phase { plan: Some(wait_control_plane::plan_first), ..WAIT_CONTROL_PLANE };

/// Comes to its end after the gate of its parent's name: what needs an API server does not wait for it.
const WAIT_CONTROL_PLANE_LATER: Phase = Phase {
    name: "wait-control-plane/companions",
    summary: "Wait for the controller manager and the scheduler to come up",
    plan: Some(wait_control_plane::plan_later),
    ..WAIT_CONTROL_PLANE
};

const UPLOAD_CONFIG: Phase = Phase {
    name: "upload-config",
    aliases: &["uploadconfig"],
    summary: "Store the configuration in the cluster",
    needs: &["kubeconfig"],
    scope: Scope::FirstControlPlane,
    children: &[
        once("kubeadm", "ClusterConfiguration as ConfigMap kubeadm-config", upload_config::plan),
        once("kubelet", "KubeletConfiguration as ConfigMap kubelet-config", upload_config::plan),
    ],
    ..BASE
};

const UPLOAD_CERTS: Phase = Phase {
    needs: &["certs", "kubeconfig"],
    done: Some(has_kubeconfigs),
    ..once("upload-certs", "Store the certificates in Secret kubeadm-certs, encrypted", upload_certs::plan)
};

const MARK_CONTROL_PLANE: Phase = Phase {
    needs: &["kubeconfig"],
    ..leaf("mark-control-plane", "Label and taint the node as a control plane", mark_control_plane::plan)
};

const BOOTSTRAP_TOKEN: Phase = Phase {
    aliases: &["bootstraptoken"],
    needs: &["kubeconfig"],
    done: Some(has_kubeconfigs),
    ..once("bootstrap-token", "Create tokens and rights for joining nodes", bootstrap_token::plan)
};

const KUBELET_FINALIZE: Phase = Phase {
    name: "kubelet-finalize",
    summary: "Let the kubelet renew its own client certificate",
    needs: &["kubeconfig"],
    children: &[leaf(
        "enable-client-cert-rotation",
        "Point kubelet.conf to the certificate that the kubelet renews",
        kubelet_finalize::plan,
    )],
    ..BASE
};

const ADDON: Phase = Phase {
    name: "addon",
    summary: "Install the add-ons: those of every cluster, and those that the configuration names",
    needs: &["kubeconfig"],
    scope: Scope::FirstControlPlane,
    children: &[
        once("coredns", "The cluster's DNS", addon::plan),
        once("kube-proxy", "Service addresses on every node", addon::plan),
        once("cni", "The pod network", addon::plan),
        once("node-local-dns", "A cache of names on every node", addon::plan),
        once("kubelet-csr-approver", "Approves kubelets' serving certificates", addon::plan),
        once("metrics-server", "What nodes and pods take of processors and memory", addon::plan),
        once("gateway-api", "The kinds of the Gateway API", addon::plan),
        once("metallb", "Addresses for services of the type LoadBalancer", addon::plan),
        once("local-path", "Volumes in a directory of the node", addon::plan),
        once("ingress", "Lets requests from outside in", addon::plan),
        once("headlamp", "A user interface", addon::plan),
        once("kubernetes-dashboard", "The archived dashboard", addon::plan),
        once("charts", "The operator's charts, which helm renders", addon::plan),
        once("manifests", "The operator's own objects", addon::plan),
        once("prune", "Remove what add-ons no longer contain", addon::plan),
    ],
    ..BASE
};

const SHOW_JOIN_COMMAND: Phase = Phase {
    name: "show-join-command",
    summary: "Show the commands that join further nodes",
    needs: &["bootstrap-token", "upload-certs"],
    scope: Scope::FirstControlPlane,
    ..BASE
};

/// The kubelets of workers. They start when an API server answers: one that starts earlier backs off, and costs twenty
/// seconds.
const WORKERS: Phase = Phase {
    name: "workers",
    summary: "Start the kubelets of the workers",
    needs: &["wait-control-plane"],
    scope: Scope::Workers,
    children: &[
        Phase {
            scope: Scope::Workers,
            ..leaf("endpoint", "Wait until the API answers at its endpoint", endpoint::wait)
        },
        Phase {
            scope: Scope::Workers,
            ..leaf("kubelet-start", "Write the kubelet's settings and (re)start it", kubelet_start::plan)
        },
    ],
    ..BASE
};

const MARK_WORKERS: Phase = Phase {
    needs: &["workers"],
    scope: Scope::Workers,
    ..leaf("mark-workers", "Wait for the workers to register, and label them", mark_workers::plan)
};

/// All phases of `kubewright init`.
pub const INIT: &[Phase] = &[
    PREFLIGHT,
    CERTS,
    KUBECONFIG,
    ETCD,
    CONTROL_PLANE,
    NETWORK,
    KUBELET_START,
    ENDPOINT,
    KUBE_VIP,
    WAIT_CONTROL_PLANE,
    UPLOAD_CONFIG,
    UPLOAD_CERTS,
    MARK_CONTROL_PLANE,
    BOOTSTRAP_TOKEN,
    KUBELET_FINALIZE,
    KUBE_VIP_FINALIZE,
    ADDON,
    SHOW_JOIN_COMMAND,
];

/// All phases of a whole cluster: those of `init` on every control plane, and those of the workers.
pub const CLUSTER: &[Phase] = &[
    PREFLIGHT,
    CERTS,
    KUBECONFIG,
    ETCD,
    ETCD_HOSTS,
    CONTROL_PLANE_FIRST,
    NETWORK,
    KUBELET_START,
    ENDPOINT,
    KUBE_VIP,
    WAIT_CONTROL_PLANE_FIRST,
    CONTROL_PLANE_LATER,
    WAIT_CONTROL_PLANE_LATER,
    WORKERS,
    UPLOAD_CONFIG,
    UPLOAD_CERTS,
    MARK_CONTROL_PLANE,
    MARK_WORKERS,
    BOOTSTRAP_TOKEN,
    KUBELET_FINALIZE,
    KUBE_VIP_FINALIZE,
    ADDON,
];

/// All phases of `kubewright reset`: kubeadm's, and what kubeadm leaves to the operator. What they do is in
/// [`crate::phase::reset`].
pub const RESET: &[Phase] = &[
    Phase {
        name: "preflight",
        aliases: &["pre-flight"],
        summary: "Ask for confirmation, and check that it can be done",
        ..BASE
    },
    Phase {
        name: "remove-etcd-member",
        summary: "Remove the etcd of this host from the cluster's etcd",
        ..BASE
    },
    Phase {
        name: "cleanup-node",
        aliases: &["cleanupnode"],
        summary: "Stop the kubelet, remove pods, mounts, certificates, data and logs",
        ..BASE
    },
    Phase {
        name: "cleanup-network",
        summary: "Remove rules, interfaces, configuration and state of the cluster's network",
        ..BASE
    },
    Phase {
        name: "restore-host",
        summary: "Restore parameters, swap, modules, services and files that were changed",
        ..BASE
    },
    Phase {
        name: "forget",
        summary: "Compare the host with its state before, and remove the record of it",
        ..BASE
    },
];

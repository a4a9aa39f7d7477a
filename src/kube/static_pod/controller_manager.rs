//! kube-controller-manager.

use crate::kube::args;
use crate::kube::args::Flags;
use crate::kube::images;
use crate::kube::static_pod::Site;
use crate::kube::static_pod::pod::Blueprint;
use crate::kube::static_pod::pod::ProbePaths;
use crate::kube::static_pod::probe::Endpoint;
use crate::kube::static_pod::rootless::Security;
use crate::kube::static_pod::volume::FILE;
use crate::kube::static_pod::volume::Volumes;
use serde_json::Value;
use serde_json::json;

const NAME: &str = "kube-controller-manager";
const KUBECONFIG: &str = "/etc/kubernetes/controller-manager.conf";
/// Where it answers; kubeadm keeps to it whatever `secure-port` says.
pub const PORT: u16 = 10257;

/// The flags that name one signing authority for everything.
const SINGLE_SIGNER: [&str; 2] = ["cluster-signing-cert-file", "cluster-signing-key-file"];

/// The flags that name the authority of one signer, for the five-chain layout: certificate, key, and whether it
/// is the kubelet authority that signs (kubernetes.io/kubelet-serving) or the kubernetes one.
const SIGNERS: [(&str, &str, bool); 4] = [
    (
        "cluster-signing-kube-apiserver-client-cert-file",
        "cluster-signing-kube-apiserver-client-key-file",
        false,
    ),
    ("cluster-signing-kubelet-client-cert-file", "cluster-signing-kubelet-client-key-file", false),
    ("cluster-signing-kubelet-serving-cert-file", "cluster-signing-kubelet-serving-key-file", true),
    ("cluster-signing-legacy-unknown-cert-file", "cluster-signing-legacy-unknown-key-file", false),
];

/// The pod as kubeadm writes it, before the operator's patches.
pub fn kube_controller_manager(site: &Site) -> Value {
    let configuration = &site.cluster.configuration;
    let component = &configuration.controller_manager;
    let host = args::last(&component.extra_args, "bind-address").unwrap_or("127.0.0.1");
    Blueprint {
        name: NAME,
        annotation: None,
        image: images::component(site.cluster, NAME),
        flags: flags(site).overlaid(&component.extra_args),
        env: args::env(&site.facts.proxy_env, &component.extra_envs),
        endpoint: Endpoint::https(host, PORT),
        paths: ProbePaths { liveness: "/healthz", readiness: None, startup: "/healthz" },
        start_limit: site.cluster.timeouts.control_plane_component_health_check,
        requests: json!({"cpu": "200m"}),
        volumes: Volumes::certificates(site)
            .read_only("kubeconfig", KUBECONFIG, FILE)
            .overlaid(&component.extra_volumes),
        security: Security::new(site.rootless.map(|ids| ids.controller_manager))
            .in_group(site.rootless.map(|ids| ids.sa_key_readers)),
    }
    .pod()
}

fn flags(site: &Site) -> Flags {
    let configuration = &site.cluster.configuration;
    let networking = &configuration.networking;
    let mut flags = Flags::default()
        .with_all([
            ("authentication-kubeconfig", KUBECONFIG),
            ("authorization-kubeconfig", KUBECONFIG),
            ("bind-address", "127.0.0.1"),
            ("controllers", "*,bootstrapsigner,tokencleaner"),
            ("kubeconfig", KUBECONFIG),
            ("leader-elect", "true"),
            ("use-service-account-credentials", "true"),
        ])
        .with_all([
            ("client-ca-file", site.pki("ca.crt")),
            ("requestheader-client-ca-file", site.pki("front-proxy-ca.crt")),
            ("root-ca-file", site.pki("ca.crt")),
            ("service-account-private-key-file", site.pki("sa.key")),
        ])
        .with_all(signing(site));
    if !configuration.cluster_name.is_empty() {
        flags = flags.with("cluster-name", configuration.cluster_name.as_str());
    }
    if !networking.pod_subnet.is_empty() {
        flags = flags
            // Where routes lead to them, they are chosen while planning.
            .with(
                "allocate-node-cidrs",
                if site.cluster.site.cni.bridge().is_some() { "false" } else { "true" },
            )
            .with("cluster-cidr", networking.pod_subnet.as_str())
            .with("service-cluster-ip-range", networking.service_subnet.as_str());
    }
    flags
}

fn signing(site: &Site) -> Vec<(&'static str, String)> {
    let extra = &site.cluster.configuration.controller_manager.extra_args;
    let operator_names_one = SINGLE_SIGNER.iter().any(|name| args::last(extra, name).is_some());
    // The single pair and the pairs of signers exclude each other, so the operator's word for the one drops ours.
    if site.cluster.five_chains() && !operator_names_one {
        return signers(site);
    }
    let [cert, key] = SINGLE_SIGNER;
    let file = |name| if site.signing.kubernetes { site.pki(name) } else { String::new() };
    vec![(cert, file("ca.crt")), (key, file("ca.key"))]
}

/// A signer whose key is elsewhere is left out: the controller-manager then skips it and starts all the same.
fn signers(site: &Site) -> Vec<(&'static str, String)> {
    let pair = |(cert, key, kubelet): &(&'static str, &'static str, bool)| {
        let (here, ca) =
            if *kubelet { (site.signing.kubelet, "kubelet-ca") } else { (site.signing.kubernetes, "ca") };
        here.then(|| [(*cert, site.pki(&format!("{ca}.crt"))), (*key, site.pki(&format!("{ca}.key")))])
    };
    SIGNERS.iter().filter_map(pair).flatten().collect()
}

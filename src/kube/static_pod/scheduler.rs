//! kube-scheduler.

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

const NAME: &str = "kube-scheduler";
const KUBECONFIG: &str = "/etc/kubernetes/scheduler.conf";
/// Where it answers; kubeadm keeps to it whatever `secure-port` says.
pub const PORT: u16 = 10259;

/// The pod as kubeadm writes it, before the operator's patches.
pub fn kube_scheduler(site: &Site) -> Value {
    let configuration = &site.cluster.configuration;
    let component = &configuration.scheduler;
    let host = args::last(&component.extra_args, "bind-address").unwrap_or("127.0.0.1");
    let flags = Flags::default().with_all([
        ("authentication-kubeconfig", KUBECONFIG),
        ("authorization-kubeconfig", KUBECONFIG),
        ("bind-address", "127.0.0.1"),
        ("kubeconfig", KUBECONFIG),
        ("leader-elect", "true"),
    ]);
    Blueprint {
        name: NAME,
        annotation: None,
        image: images::component(site.cluster, NAME),
        flags: flags.overlaid(&component.extra_args),
        env: args::env(&site.facts.proxy_env, &component.extra_envs),
        endpoint: Endpoint::https(host, PORT),
        paths: ProbePaths { liveness: "/livez", readiness: Some("/readyz"), startup: "/livez" },
        start_limit: site.cluster.timeouts.control_plane_component_health_check,
        requests: json!({"cpu": "100m"}),
        volumes: Volumes::default()
            .read_only("kubeconfig", KUBECONFIG, FILE)
            .overlaid(&component.extra_volumes),
        security: Security::new(site.rootless.map(|ids| ids.scheduler)),
    }
    .pod()
}

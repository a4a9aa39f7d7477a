//! Waiting until the control plane answers.

use crate::cluster::GoDuration;
use crate::cluster::Node;
use crate::cluster::kubeadm::Timeouts;
use crate::kube::args;
use crate::kube::patch::Target;
use crate::kube::static_pod;
use crate::phase::Context;
use crate::phase::Draft;
use crate::phase::control_plane::begins_with_the_api;
use crate::plan::Action;
use crate::plan::Container;
use crate::plan::Identity;
use crate::plan::Probe;
use crate::plan::ReplacedSpec;
use crate::plan::StaticPod;
use crate::plan::Wait;
use serde_json::Value;

/// What a control plane runs, where etcd is its own.
const COMPONENTS: [Target; 4] =
    [Target::Etcd, Target::KubeApiserver, Target::KubeControllerManager, Target::KubeScheduler];

/// How often a kubelet looks at its manifests at least, in seconds, unless it is told otherwise (`fileCheckFrequency`).
const LOOKS: i64 = 20;

/// How long the old pod may take to end, and the new one to start, in seconds: the kubelet gives it thirty.
const ENDS: i64 = 40;

/// Plans the waits: the kubelet first, then the API server and its two companions. On a host that joins, the kubelet
/// was waited for earlier, and the API server is its own, not the one that the cluster's endpoint leads to.
pub fn plan(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    Ok(api_server(cx, node).into_iter().chain(companions(cx, node)).collect())
}

/// The same as [`plan`], without those that start when the API server answers.
pub fn plan_first(cx: &Context<'_>, node: &Node, phase: &str) -> anyhow::Result<Vec<Draft>> {
    if begins_with_the_api(cx, node) { Ok(api_server(cx, node)) } else { plan(cx, node, phase) }
}

/// What [`plan_first`] leaves out.
pub fn plan_later(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    Ok(if begins_with_the_api(cx, node) { companions(cx, node) } else { Vec::new() })
}

fn api_server(cx: &Context<'_>, node: &Node) -> Vec<Draft> {
    let mut drafts = Vec::from_iter(replaced(cx, node));
    let mut identity = Identity::LocalAdmin;
    if !cx.cluster.joining {
        drafts.extend(kubelet(cx));
        identity = Identity::Admin;
    }
    drafts.push(component(cx, node, "kube-apiserver", Probe::Api { path: "/livez".to_owned(), identity }));
    drafts
}

fn companions(cx: &Context<'_>, node: &Node) -> Vec<Draft> {
    let mut drafts = Vec::new();
    let configuration = &cx.cluster.configuration;
    for (name, component_args, port, path) in [
        ("kube-controller-manager", &configuration.controller_manager.extra_args, 10257, "/healthz"),
        ("kube-scheduler", &configuration.scheduler.extra_args, 10259, "/livez"),
    ] {
        let host = args::last(component_args, "bind-address").unwrap_or("127.0.0.1");
        let port =
            args::last(component_args, "secure-port").and_then(|port| port.parse().ok()).unwrap_or(port);
        let host = match host {
            "0.0.0.0" => "127.0.0.1",
            "::" => "::1",
            host => host,
        };
        let probe = Probe::Http { tls: true, host: host.to_owned(), port, path: path.to_owned() };
        drafts.push(component(cx, node, name, probe));
    }
    drafts
}

/// Where static pods run already, they must have taken up their manifests: an old one that still answers says nothing
/// of the new one, and the next control plane would be changed too early.
pub fn replaced(cx: &Context<'_>, node: &Node) -> Option<Draft> {
    let pods: Vec<StaticPod> = COMPONENTS
        .map(|target| StaticPod {
            manifest: static_pod::manifest_path(target.as_str()),
            container: Container::of_component(node, target.as_str()),
        })
        .into_iter()
        .filter(|pod| cx.exists(node, &pod.manifest))
        .collect();
    let looks = cx.cluster.kubelet.value.get("fileCheckFrequency").and_then(Value::as_str);
    let looks = looks.and_then(|text| text.parse().ok()).map_or(0, GoDuration::as_secs);
    let limit = GoDuration::from_secs(ENDS + if looks > 0 { looks } else { LOOKS });
    (!pods.is_empty()).then(|| {
        Draft::new(
            ReplacedSpec::SUBJECT,
            "a pod that is about to end answers as well as its successor",
            Action::Replaced(ReplacedSpec { pods, limit }),
        )
    })
}

/// The kubelet's own health, unless its health server is switched off.
pub fn kubelet(cx: &Context<'_>) -> Option<Draft> {
    let config = &cx.cluster.kubelet.value;
    let port = config.get("healthzPort").and_then(Value::as_u64).unwrap_or(10248);
    let port = u16::try_from(port).ok().filter(|port| *port != 0)?;
    let host = config.get("healthzBindAddress").and_then(Value::as_str).unwrap_or("127.0.0.1");
    Some(Draft::new(
        "kubelet healthy",
        "it starts the static pods",
        Action::Wait(Wait {
            probe: Probe::Http { tls: false, host: host.to_owned(), port, path: "/healthz".to_owned() },
            limit: cx.cluster.timeouts.kubelet_health_check,
            setting: Some(Timeouts::KUBELET),
            advice: vec!["systemctl status kubelet".to_owned(), "journalctl -xeu kubelet".to_owned()],
            container: None,
        }),
    ))
}

/// The health of a component that runs as a static pod.
pub fn component(cx: &Context<'_>, node: &Node, name: &str, probe: Probe) -> Draft {
    let crictl = format!("crictl --runtime-endpoint {}", node.cri_socket);
    Draft::new(
        format!("{name} healthy"),
        "the next phases need it",
        Action::Wait(Wait {
            probe,
            limit: cx.cluster.timeouts.control_plane_component_health_check,
            setting: Some(Timeouts::COMPONENT),
            advice: vec![
                format!("{crictl} ps -a | grep {name}"),
                format!("{crictl} logs CONTAINERID"),
                "journalctl -xeu kubelet".to_owned(),
            ],
            container: Some(Container::of_component(node, name)),
        }),
    )
}

//! Waiting until the control plane answers.

use crate::cluster::Node;
use crate::kube::args;
use crate::phase::Context;
use crate::phase::Draft;
use crate::plan::Action;
use crate::plan::Container;
use crate::plan::Identity;
use crate::plan::Probe;
use crate::plan::Wait;
use serde_json::Value;

/// Plans the waits: the kubelet first, then the API server and its two companions. On a host that joins, the kubelet
/// was waited for earlier, and the API server is its own, not the one that the cluster's endpoint leads to.
pub fn plan(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    let mut drafts = Vec::new();
    let mut identity = Identity::LocalAdmin;
    if !cx.cluster.joining {
        drafts.extend(kubelet(cx));
        identity = Identity::Admin;
    }
    drafts.push(component(cx, node, "kube-apiserver", Probe::Api { path: "/livez".to_owned(), identity }));
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
    Ok(drafts)
}

/// The kubelet's own health, unless its health server is switched off.
pub fn kubelet(cx: &Context<'_>) -> Option<Draft> {
    let config = &cx.cluster.kubelet.value;
    let port = config.get("healthzPort").and_then(Value::as_u64).unwrap_or(10248);
    let port = u16::try_from(port).ok().filter(|port| *port != 0)?;
    let host = config.get("healthzBindAddress").and_then(Value::as_str).unwrap_or("127.0.0.1");
    Some(Draft::new(
        "kubelet healthy",
        "it starts the control plane",
        Action::Wait(Wait {
            probe: Probe::Http { tls: false, host: host.to_owned(), port, path: "/healthz".to_owned() },
            limit: cx.cluster.timeouts.kubelet_health_check,
            advice: vec!["systemctl status kubelet".to_owned(), "journalctl -xeu kubelet".to_owned()],
            container: None,
        }),
    ))
}

fn component(cx: &Context<'_>, node: &Node, name: &str, probe: Probe) -> Draft {
    let crictl = format!("crictl --runtime-endpoint {}", node.cri_socket);
    Draft::new(
        format!("{name} healthy"),
        "the next phases need it",
        Action::Wait(Wait {
            probe,
            limit: cx.cluster.timeouts.control_plane_component_health_check,
            advice: vec![
                format!("{crictl} ps -a | grep {name}"),
                format!("{crictl} logs CONTAINERID"),
                "journalctl -xeu kubelet".to_owned(),
            ],
            container: Some(Container::of_component(node, name)),
        }),
    )
}

//! The API's endpoint: HAProxy and keepalived on the hosts that balance, as services or as pods; or kube-vip.

mod haproxy;
mod keepalived;
mod kube_vip;
mod pods;

pub use keepalived::interface;
pub use kube_vip::finalize as finalize_kube_vip;
pub use kube_vip::plan as kube_vip;

use crate::cluster::Balancing;
use crate::cluster::Cluster;
use crate::cluster::HostPort;
use crate::cluster::Node;
use crate::cluster::endpoint::RunAs;
use crate::cluster::kubeadm::Timeouts;
use crate::facts::InitSystem;
use crate::kube::args;
use crate::phase::Context;
use crate::phase::Draft;
use crate::plan::Action;
use crate::plan::Content;
use crate::plan::FileSpec;
use crate::plan::Probe;
use crate::plan::ServiceSpec;
use crate::plan::Wait;
use crate::template;
use serde::Serialize;

/// Plans what a host does for the endpoint before its kubelet starts.
pub fn plan(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    match &cx.cluster.site.balancing {
        Some(Balancing::Keepalived(said)) => {
            let balancer = haproxy::of_keepalived(cx, node, said);
            // The address comes to a host whose HAProxy answers.
            running(cx, node, [haproxy::part(cx, node, &balancer)?, keepalived::part(cx, node, said)?])
        }
        Some(Balancing::NodeLocal(said)) => {
            running(cx, node, [haproxy::part(cx, node, &haproxy::of_node(node, said))?])
        }
        // It needs an API server first.
        Some(Balancing::KubeVip(_)) | None => Ok(Vec::new()),
    }
}

/// A program that runs on a host, with its files.
struct Part {
    unit: &'static str,
    run_as: RunAs,
    files: Vec<Draft>,
    /// Variables of the template of its settings for systemd.
    settings: serde_json::Value,
    pod: pods::Pod,
    reason: &'static str,
}

/// The files of programs, and the programs running with them. All files come first: they are one write, and systemd reads
/// its own once.
fn running(
    cx: &Context<'_>,
    node: &Node,
    parts: impl IntoIterator<Item = Part>,
) -> anyhow::Result<Vec<Draft>> {
    let (mut drafts, mut services) = (Vec::new(), Vec::new());
    for part in parts {
        let mut files = part.files;
        match part.run_as {
            RunAs::Service => {
                files.extend(drop_in(cx, node, part.unit, &part.settings)?);
                services.push(service(part.unit, &files, part.reason));
            }
            RunAs::StaticPod => files.extend(part.pod.drafts(node)),
        }
        drafts.extend(files);
    }
    drafts.extend(services);
    Ok(drafts)
}

/// Plans a worker's wait for the API, before its kubelet looks for it: one that finds nobody backs off.
pub fn wait(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    let endpoint = match (&cx.cluster.site.balancing, cx.cluster.node_local(), &cx.cluster.endpoint) {
        // The kubelet itself starts it.
        (Some(_), Some(local), _) if local.run_as == RunAs::StaticPod => return Ok(Vec::new()),
        (Some(_), Some(local), _) => local.host_port(node),
        (Some(_), None, Some(endpoint)) => endpoint.clone(),
        _ => return Ok(Vec::new()),
    };
    if !tells_strangers(cx.cluster) {
        return Ok(Vec::new());
    }
    let advice = if cx.cluster.balances(node) {
        "journalctl -u haproxy".to_owned()
    } else {
        format!("curl -k https://{endpoint}/readyz")
    };
    let wait = Wait {
        probe: readyz(&endpoint),
        limit: cx.cluster.timeouts.control_plane_component_health_check,
        setting: Some(Timeouts::COMPONENT),
        advice: vec![advice],
        container: None,
    };
    let reason = "a kubelet that finds no API server backs off, and costs twenty seconds";
    Ok(vec![Draft::new("API answers at its endpoint", reason, Action::Wait(wait))])
}

/// Whether everybody may ask an API server if it is ready.
fn tells_strangers(cluster: &Cluster) -> bool {
    let flags = &cluster.configuration.api_server.component.extra_args;
    args::last(flags, "anonymous-auth").is_none_or(|value| value == "true")
        && args::last(flags, "authentication-config").is_none()
}

fn readyz(at: &HostPort) -> Probe {
    Probe::Http { tls: true, host: at.host.clone(), port: at.port, path: "/readyz".to_owned() }
}

fn rendered(name: &str, values: &impl Serialize) -> anyhow::Result<String> {
    // The last line needs an end: HAProxy refuses a file without one.
    Ok(format!("{}\n", template::render(name, values)?.trim_end()))
}

fn file(path: String, mode: u32, title: &str, reason: &str, text: String) -> Draft {
    let spec = FileSpec { path, mode, owner: None, content: Content::Text(text), keep_existing: false };
    Draft::new(title, reason, Action::File(spec))
}

fn directory(path: &str, title: impl Into<String>, reason: &str) -> Draft {
    Draft::new(title, reason, Action::Directory { path: path.to_owned(), mode: 0o755 })
}

/// How systemd treats a unit, beyond what its package says; nothing where another init system runs.
fn drop_in(cx: &Context<'_>, node: &Node, unit: &str, values: &impl Serialize) -> anyhow::Result<Vec<Draft>> {
    if cx.facts_of(node).init_system != InitSystem::Systemd {
        return Ok(Vec::new());
    }
    let folder = format!("etc/systemd/system/{unit}.service.d");
    let name = format!("{folder}/kubewright.conf");
    let text = rendered(&name, values)?;
    let (title, reason) = (format!("{unit}'s settings for systemd"), "it is started again whatever ended it");
    Ok(vec![
        directory(&format!("/{folder}"), format!("directory of {title}"), reason),
        file(format!("/{name}"), 0o644, &title, reason, text),
    ])
}

/// A unit that runs with these files: a change of its own settings needs a restart, any other a reload, which keeps
/// connections and the address.
fn service(unit: &str, files: &[Draft], reason: &str) -> Draft {
    let paths = files.iter().filter_map(|draft| match &draft.action {
        Action::File(file) => Some(file.path.clone()),
        _ => None,
    });
    let (restart_on, reload_on) = paths.partition(|path| path.starts_with("/etc/systemd/"));
    let spec = ServiceSpec {
        unit: unit.to_owned(),
        enabled: Some(true),
        restart_on,
        reload_on,
        ..ServiceSpec::default()
    };
    Draft::new(format!("{unit} running with this configuration"), reason, Action::Service(spec))
}

//! The API's endpoint: HAProxy and keepalived on the hosts that balance, as services or as pods.

mod haproxy;
mod keepalived;

pub use keepalived::interface;

use crate::cluster::Balancing;
use crate::cluster::Node;
use crate::cluster::endpoint::RunAs;
use crate::facts::InitSystem;
use crate::phase::Context;
use crate::phase::Draft;
use crate::plan::Action;
use crate::plan::Content;
use crate::plan::FileSpec;
use crate::plan::ServiceSpec;
use crate::template;
use serde::Serialize;

/// Plans what a host does for the endpoint.
pub fn plan(cx: &Context<'_>, node: &Node, _: &str) -> anyhow::Result<Vec<Draft>> {
    let Some(balancing) = &cx.cluster.site.balancing else { return Ok(Vec::new()) };
    match balancing {
        Balancing::Keepalived(said) => {
            let mut drafts = haproxy::files(cx, node, &haproxy::of_keepalived(cx, node, said))?;
            let mut of_keepalived = keepalived::files(cx, node, said)?;
            if said.run_as == RunAs::Service {
                // The address comes to a host whose HAProxy answers.
                drafts.push(service(cx, node, "haproxy", &drafts, "shares connections between API servers"));
                let draft = service(cx, node, "keepalived", &of_keepalived, "keeps the address on one host");
                of_keepalived.push(draft);
            }
            drafts.extend(of_keepalived);
            Ok(drafts)
        }
        Balancing::KubeVip(_) | Balancing::NodeLocal(_) => Ok(Vec::new()),
    }
}

fn rendered(name: &str, values: &impl Serialize) -> anyhow::Result<String> {
    // The last line needs an end: HAProxy refuses a file without one.
    Ok(format!("{}\n", template::render(name, values)?.trim_end()))
}

fn file(path: &str, mode: u32, title: &str, reason: &str, text: String) -> Draft {
    let content = Content::Text(text);
    let spec = FileSpec { path: path.to_owned(), mode, owner: None, content, keep_existing: false };
    Draft::new(title, reason, Action::File(spec))
}

/// How systemd treats a unit, beyond what its package says; nothing where another init system runs.
fn drop_in(
    cx: &Context<'_>,
    node: &Node,
    unit: &str,
    values: &impl Serialize,
) -> anyhow::Result<Option<Draft>> {
    if cx.facts_of(node).init_system != InitSystem::Systemd {
        return Ok(None);
    }
    let name = format!("etc/systemd/system/{unit}.service.d/kubewright.conf");
    let text = rendered(&name, values)?;
    let reason = "it is started again whatever ended it";
    Ok(Some(file(&format!("/{name}"), 0o644, &format!("{unit}'s settings for systemd"), reason, text)))
}

/// A unit that runs with these files: a change of its own settings needs a restart, any other a reload, which keeps
/// connections and the address.
fn service(cx: &Context<'_>, node: &Node, unit: &str, files: &[Draft], reason: &str) -> Draft {
    let paths = files.iter().filter_map(|draft| match &draft.action {
        Action::File(file) => Some(file.path.clone()),
        _ => None,
    });
    let (restart_on, reload_on) = paths.partition(|path| path.starts_with("/etc/systemd/"));
    debug_assert!(cx.cluster.balances(node), "only balancers have these units");
    let spec = ServiceSpec {
        unit: unit.to_owned(),
        enabled: Some(true),
        restart_on,
        reload_on,
        ..ServiceSpec::default()
    };
    Draft::new(format!("{unit} running with this configuration"), reason, Action::Service(spec))
}

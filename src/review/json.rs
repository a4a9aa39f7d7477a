//! A review for programs.

use crate::plan::Plan;
use crate::plan::display;
use crate::review::Change;
use crate::review::Review;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

/// The version of this form.
pub const SCHEMA: u32 = 1;

/// `schema`, `cluster`, `differs`, `hosts` with what would change on each, `api` with what would change through the
/// Kubernetes API, `interruption`, and the `plan` itself, where each step has its `outcome`.
pub fn json(cluster: &str, plan: &Plan, review: &Review) -> Value {
    let mut hosts = Map::new();
    for host in &review.hosts {
        let of_host = review.different().filter(|change| change.host.as_ref() == Some(host));
        hosts.insert(host.clone(), of_host.map(change).collect());
    }
    let api: Vec<Value> = review.different().filter(|change| change.host.is_none()).map(change).collect();
    let interruption = review
        .interruptions
        .iter()
        .map(|one| json!({"what": one.what, "hosts": one.hosts, "effect": one.effect}));
    let mut value = display::json(plan);
    for (step, change) in value["steps"].as_array_mut().into_iter().flatten().zip(&review.changes) {
        step["outcome"] = json!(change.outcome);
    }
    json!({
        "schema": SCHEMA,
        "cluster": cluster,
        "differs": !review.is_empty(),
        "hosts": hosts,
        "api": api,
        "interruption": interruption.collect::<Vec<_>>(),
        "plan": value,
    })
}

fn change(change: &Change) -> Value {
    json!({
        "phase": change.phase,
        "kind": change.kind.as_str(),
        "title": change.title,
        "subject": change.subject,
        "reason": change.reason,
        "outcome": change.outcome,
        "detail": change.detail,
        "diff": change.diff,
    })
}

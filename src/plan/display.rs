//! A plan for people (what, or what and why) and for programs. None of the forms holds a secret: contents that are
//! secret are references, and a command's secret words are masked.

use crate::pki::CertName;
use crate::plan::Action;
use crate::plan::ApplyHow;
use crate::plan::Clear;
use crate::plan::ClearSpec;
use crate::plan::ClientCredential;
use crate::plan::Content;
use crate::plan::Fill;
use crate::plan::Gate;
use crate::plan::Hole;
use crate::plan::Identity;
use crate::plan::JoiningManifest;
use crate::plan::Order;
use crate::plan::Place;
use crate::plan::Plan;
use crate::plan::ServiceSpec;
use crate::plan::Step;
use crate::plan::StopSpec;
use crate::plan::Supply;
use crate::plan::Undo;
use crate::plan::object::hide_secret_data;
use serde_json::Value;
use serde_json::json;
use std::fmt;
use std::fmt::Write;

/// The version of the JSON form.
pub const SCHEMA: u32 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    Short,
    /// With the reason of every step.
    Explained,
}

/// The steps by phase and host, one a line.
pub fn text(plan: &Plan, detail: Detail) -> String {
    lines(plan, detail, |_| String::new())
}

/// The same, each line beginning with what came of the step; `outcomes` are in the order of the plan.
pub fn with_outcomes<T: fmt::Display>(plan: &Plan, detail: Detail, outcomes: &[T]) -> String {
    lines(plan, detail, |index| match outcomes.get(index) {
        Some(outcome) => format!("{outcome:<13} "),
        None => format!("{:<13} ", "not reached"),
    })
}

fn lines(plan: &Plan, detail: Detail, lead: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    let mut heading = String::new();
    for (index, step) in plan.steps.iter().enumerate() {
        let place = place(step).unwrap_or("through the Kubernetes API");
        let next = format!("{}: {place}", step.phase);
        if next != heading {
            let gap = if heading.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{gap}{next}{}", waits(plan, step));
            heading = next;
        }
        let _ = writeln!(text, "  {}{}", lead(index), line(step));
        if detail == Detail::Explained && !step.reason.is_empty() {
            let _ = writeln!(text, "      {}", step.reason);
        }
        for undo in plan.undo.iter().filter(|undo| ends_with(plan, index, undo)) {
            text.push_str(&undone(undo, detail));
        }
    }
    text
}

/// What the steps of this phase wait for here, where every host goes at its own pace.
fn waits(plan: &Plan, step: &Step) -> String {
    let Order::Paced(gates) = &plan.order else { return String::new() };
    let there = |gate: &&Gate| plan.steps.iter().any(|other| gate.is_opened_by(other, step));
    let gates: Vec<String> =
        gates.iter().filter(|gate| gate.concerns(step)).filter(there).map(ToString::to_string).collect();
    if gates.is_empty() { String::new() } else { format!(" (after {})", gates.join(", ")) }
}

/// Whether this is the last step that `undo` takes back.
fn ends_with(plan: &Plan, index: usize, undo: &Undo) -> bool {
    plan.steps.iter().rposition(|step| undo.concerns(step)) == Some(index)
}

fn undone(undo: &Undo, detail: Detail) -> String {
    let mut text = String::from("  if this fails or is interrupted:\n");
    for step in &undo.steps {
        let _ = writeln!(text, "    {}", line(step));
        if detail == Detail::Explained && !step.reason.is_empty() {
            let _ = writeln!(text, "        {}", step.reason);
        }
    }
    text
}

/// The plan as JSON: `schema`, and `steps` with `phase`, `host`, `title`, `reason`, `subject` and an `action` whose
/// `kind` says what else is in it. `gates` say for a `phase` what it comes `after`, where every host goes at its own pace. `undo` says for a `phase` on a `host` which `steps` follow when it does not come to
/// its end, and what to do by hand (`mend`) when they fail.
pub fn json(plan: &Plan) -> Value {
    let mut value = complete(plan);
    let hide = |steps: &mut Value| {
        let actions = steps.as_array_mut().into_iter().flatten().map(|step| &mut step["action"]);
        actions.filter_map(|action| action.get_mut("object")).for_each(hide_secret_data);
    };
    hide(&mut value["steps"]);
    value["undo"].as_array_mut().into_iter().flatten().for_each(|undo| hide(&mut undo["steps"]));
    value
}

/// The same with what Secrets of the operator's hold: for digests, and for nobody to look at.
pub fn complete(plan: &Plan) -> Value {
    let steps = |steps: &[Step]| steps.iter().map(json_step).collect::<Vec<_>>();
    let undo = plan.undo.iter().map(|undo| {
        let host = undo.steps.first().and_then(place);
        json!({"phase": undo.phase, "host": host, "steps": steps(&undo.steps), "mend": undo.mend})
    });
    let mut value = json!({"schema": SCHEMA, "steps": steps(&plan.steps), "undo": undo.collect::<Vec<_>>()});
    if let Order::Paced(gates) = &plan.order {
        let gates = gates.iter().map(|gate| json!({"phase": gate.phase, "after": gate.to_string()}));
        value["gates"] = gates.collect();
    }
    value
}

fn json_step(step: &Step) -> Value {
    json!({
        "phase": step.phase,
        "host": place(step),
        "title": step.title,
        "reason": step.reason,
        "subject": step.subject(),
        "action": action(&step.action),
    })
}

fn place(step: &Step) -> Option<&str> {
    match &step.place {
        Place::Host(name) => Some(name),
        Place::Cluster => None,
    }
}

/// One step as a line: what kind of thing, what will be true, and what it is about.
fn line(step: &Step) -> String {
    let note = note(&step.action).map(|note| format!(", {note}")).unwrap_or_default();
    brief(step) + &note
}

/// The same, without the conditions under which it does something.
pub fn brief(step: &Step) -> String {
    let (verb, subject) = (verb(&step.action), step.subject());
    if step.title == subject {
        return format!("{verb:<8} {subject}");
    }
    format!("{verb:<8} {}  {subject}", step.title)
}

fn verb(action: &Action) -> &'static str {
    match action {
        Action::File(_) => "file",
        Action::Directory { .. } => "dir",
        Action::Link { .. } => "link",
        Action::Absent { .. } => "remove",
        Action::Service(_) => "service",
        Action::Run(_) => "run",
        Action::Object(_) => "object",
        Action::Wait(_) | Action::Replaced(_) => "wait",
        Action::Image(_) => "image",
        Action::Artifact(_) => "binary",
        Action::Package(_) => "package",
        Action::Key(_) => "key",
        Action::ImageArchive(_) => "images",
        Action::Clear(_) => "clear",
        Action::Stop(_) => "stop",
        Action::Pod(_) => "pod",
        Action::Rules(_) => "rules",
        Action::Member(_) => "member",
        Action::Drain(_) => "drain",
        Action::Delete(_) => "delete",
    }
}

fn note(action: &Action) -> Option<String> {
    Some(match action {
        Action::File(spec) if spec.keep_existing => format!("{:04o}, an existing one is kept", spec.mode),
        Action::File(spec) => format!("{:04o}", spec.mode),
        Action::Directory { mode, .. } => format!("{mode:04o}"),
        Action::Link { target, .. } => format!("to {target}"),
        Action::Service(spec) if spec.anew.is_some() => "restarted in any case".to_owned(),
        Action::Service(spec) => service(spec)?,
        Action::Run(spec) => format!("unless `{}` succeeds", spec.unless.as_ref()?),
        Action::Wait(wait) => format!("at most {}", wait.limit),
        Action::Replaced(spec) => {
            format!(
                "replaced where the manifest of {} changed, at most {}",
                spec.names().join(" or "),
                spec.limit
            )
        }
        Action::Artifact(spec) => {
            format!("{} sha256:{} to {}", spec.supply, spec.sha256, spec.places().join(" and "))
        }
        Action::Package(spec) => format!("with {}", spec.manager.as_str()),
        Action::Key(spec) => match &spec.fingerprint {
            Some(fingerprint) => format!("{} with the fingerprint {fingerprint}", spec.url),
            None => format!("{} as it comes", spec.url),
        },
        Action::ImageArchive(spec) => format!("from {}", spec.supply),
        Action::Member(spec) => format!("at most {}", spec.limit),
        Action::Drain(spec) if spec.pods.is_empty() => format!("none to evict, at most {}", spec.limit),
        Action::Drain(spec) => format!("evicts {}, at most {}", spec.pods.join(" and "), spec.limit),
        Action::Object(spec) => match spec.how {
            ApplyHow::CreateOrReplace => return None,
            ApplyHow::CreateOnly => "an existing one is kept".to_owned(),
            ApplyHow::ServerSide => "field by field".to_owned(),
            ApplyHow::MarkNode => "labels and taints".to_owned(),
        },
        Action::Clear(spec) => clear(spec)?,
        Action::Stop(StopSpec { enabled: Some(enabled), .. }) => {
            if *enabled { "started at boot" } else { "not started at boot" }.to_owned()
        }
        Action::Delete(spec) if spec.unless_used => "kept while something is left in it".to_owned(),
        Action::Rules(spec) => format!("{} chains, {} rules", spec.chains.len(), spec.rules.len()),
        _ => return None,
    })
}

fn service(spec: &ServiceSpec) -> Option<String> {
    let when = |verb: &str, paths: &[String]| {
        (!paths.is_empty()).then(|| format!("{verb} when {} changes", paths.join(" or ")))
    };
    let notes: Vec<String> = [when("restarted", &spec.restart_on), when("reloaded", &spec.reload_on)]
        .into_iter()
        .flatten()
        .collect();
    (!notes.is_empty()).then(|| notes.join(", "))
}

fn clear(spec: &ClearSpec) -> Option<String> {
    let empty = (spec.what == Clear::EmptyDirectories).then(|| "empty directories only".to_owned());
    let keep = (!spec.keep.is_empty()).then(|| {
        let all: Vec<&str> = spec.keep.iter().map(String::as_str).collect();
        match all.as_slice() {
            [first, .., last] if all.len() > 4 => format!("keeps {} paths from {first} to {last}", all.len()),
            all => format!("keeps {}", all.join(" and ")),
        }
    });
    let itself = spec.itself.then(|| "and the directory itself".to_owned());
    let notes: Vec<String> = [empty, keep, itself].into_iter().flatten().collect();
    (!notes.is_empty()).then(|| notes.join(", "))
}

fn action(action: &Action) -> Value {
    match action {
        Action::File(spec) => json!({
            "kind": "file", "path": spec.path, "mode": format!("{:04o}", spec.mode), "owner": spec.owner,
            "keepExisting": spec.keep_existing, "content": content(&spec.content),
        }),
        Action::Directory { path, mode } => {
            json!({"kind": "directory", "path": path, "mode": format!("{mode:04o}")})
        }
        Action::Link { path, target } => json!({"kind": "link", "path": path, "target": target}),
        Action::Absent { path } => json!({"kind": "absent", "path": path}),
        Action::Service(spec) => json!({
            "kind": "service", "unit": spec.unit, "enabled": spec.enabled, "restartOn": spec.restart_on,
            "reloadOn": spec.reload_on, "anew": spec.anew.is_some(), "bestEffort": spec.best_effort,
        }),
        Action::Run(spec) => json!({
            "kind": "run", "command": spec.command.to_string(), "bestEffort": spec.best_effort,
            "unless": spec.unless.as_ref().map(ToString::to_string),
            "remember": spec.remember.iter().map(|memory| memory.key.as_str()).collect::<Vec<_>>(),
        }),
        Action::Object(spec) => json!({
            "kind": "object", "how": how(spec.how), "identity": identity(spec.identity),
            "object": spec.object.value, "holes": spec.object.holes.iter().map(hole).collect::<Vec<_>>(),
        }),
        Action::Wait(wait) => json!({
            "kind": "wait", "for": wait.probe.to_string(), "limit": wait.limit.to_string(), "advice": wait.advice,
        }),
        Action::Replaced(spec) => json!({
            "kind": "replaced", "limit": spec.limit.to_string(),
            "manifests": spec.pods.iter().map(|pod| &pod.manifest).collect::<Vec<_>>(),
        }),
        Action::Image(spec) => json!({
            "kind": "image", "reference": spec.reference, "criSocket": spec.cri_socket, "always": spec.always,
        }),
        Action::Artifact(spec) => json!({
            "kind": "artifact", "name": spec.name, "from": supply(&spec.supply), "sha256": spec.sha256,
            "to": spec.places(), "marker": spec.marker,
        }),
        Action::Package(spec) => json!({
            "kind": "package", "manager": spec.manager.as_str(),
            "packages": spec.packages.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "held": spec.packages.iter().filter(|one| one.held).map(|one| &one.name).collect::<Vec<_>>(),
        }),
        Action::Key(spec) => {
            json!({"kind": "key", "path": spec.path, "url": spec.url, "fingerprint": spec.fingerprint})
        }
        Action::ImageArchive(spec) => json!({
            "kind": "image-archive", "from": supply(&spec.supply), "references": spec.references,
            "criSocket": spec.cri_socket,
        }),
        Action::Clear(spec) => json!({
            "kind": "clear", "path": spec.path, "keep": spec.keep, "itself": spec.itself,
            "emptyDirectoriesOnly": spec.what == Clear::EmptyDirectories,
        }),
        Action::Stop(spec) => json!({"kind": "stop", "unit": spec.unit, "enabled": spec.enabled}),
        Action::Pod(spec) => {
            json!({"kind": "pod", "id": spec.id, "name": spec.name, "criSocket": spec.cri_socket})
        }
        Action::Rules(spec) => json!({
            "kind": "rules", "program": spec.program, "table": spec.table, "chains": spec.chains,
            "rules": spec.rules,
        }),
        Action::Member(spec) => json!({
            "kind": "member", "change": spec.change.as_str(), "peerURL": spec.peer_url,
            "limit": spec.limit.to_string(), "unhealthy": spec.unhealthy.to_string(),
            "bestEffort": spec.best_effort,
        }),
        Action::Drain(spec) => json!({
            "kind": "drain", "node": spec.node, "pods": spec.pods, "limit": spec.limit.to_string(),
        }),
        Action::Delete(spec) => {
            json!({"kind": "delete", "object": spec.object.to_string(), "unlessUsed": spec.unless_used})
        }
    }
}

fn supply(supply: &Supply) -> Value {
    match supply {
        Supply::Host { url } => json!({"url": url, "by": "host"}),
        Supply::Operator { url, .. } => json!({"url": url, "by": "operator"}),
        Supply::File { path } => json!({"file": path}),
    }
}

fn content(content: &Content) -> Value {
    match content {
        Content::Text(text) => json!({"text": text}),
        Content::Joining(manifest) => json!({
            "text": manifest.text, "fill": JoiningManifest::hole(), "name": manifest.name,
            "peerURL": manifest.peer_url,
        }),
        Content::Pki { node, cert, part } => {
            json!({"pki": cert.as_str(), "part": format!("{part:?}").to_lowercase(), "node": node})
        }
        Content::Kubeconfig(spec) => json!({"kubeconfig": {
            "cluster": spec.cluster_name, "server": spec.server, "user": spec.user, "node": spec.node,
            "client": match &spec.client {
                ClientCredential::Embedded(cert) => json!({"pki": cert.as_str()}),
                ClientCredential::File(path) => json!({"file": path}),
            },
        }}),
        Content::Downloaded { path } => json!({"downloaded": path}),
        Content::BootstrapKubeconfig { server } => json!({"bootstrapKubeconfig": {"server": server}}),
    }
}

fn hole(hole: &Hole) -> Value {
    let what = match &hole.fill {
        Fill::TokenSecret(id) => format!("secret of the bootstrap token {id}"),
        Fill::Expiration(after) => format!("time of expiry, {after} after it is written"),
        Fill::ClusterInfo { server } => format!("kubeconfig with {server} and the CA"),
        Fill::Signature { token, .. } => format!("signature of that by the bootstrap token {token}"),
        Fill::Encrypted { node, cert, part } => {
            format!("{cert} of {node}, {}, encrypted", format!("{part:?}").to_lowercase())
        }
        Fill::EncryptedFile { path } => format!("{path}, encrypted"),
        Fill::Authority { ca, .. } => format!("certificates of {}", CertName::Ca(*ca)),
        Fill::Serving { ca, names, .. } => {
            format!("certificate and key for {}, signed by {}", names.join(", "), CertName::Ca(*ca))
        }
        Fill::UidOf(object) => format!("UID of {object}"),
    };
    json!({"pointer": hole.pointer, "fill": what})
}

fn how(how: ApplyHow) -> &'static str {
    match how {
        ApplyHow::CreateOrReplace => "create-or-replace",
        ApplyHow::CreateOnly => "create-only",
        ApplyHow::ServerSide => "server-side",
        ApplyHow::MarkNode => "mark-node",
    }
}

fn identity(identity: Identity) -> &'static str {
    match identity {
        Identity::Admin => "admin",
        Identity::SuperAdmin => "super-admin",
        Identity::LocalAdmin => "local-admin",
        Identity::Node => "node",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Command;
    use crate::host::command::Word;
    use crate::pki::CertName;
    use crate::pki::Part;
    use crate::plan::FileSpec;
    use crate::plan::Object;
    use crate::plan::ObjectSpec;
    use crate::plan::RunSpec;

    fn plan() -> Plan {
        let step = |phase: &str, title: &str, action| Step {
            phase: phase.to_owned(),
            place: Place::Host("cp1".to_owned()),
            about: None,
            title: title.to_owned(),
            reason: "because".to_owned(),
            action,
        };
        let mut command = Command::change("tool");
        command.args.push(Word::Secret("hunter2".to_owned()));
        let run = RunSpec { command, unless: None, remember: Vec::new(), best_effort: false };
        let key = Content::Pki { node: "cp1".into(), cert: CertName::Admin, part: Part::Key };
        let file =
            FileSpec { path: "/a.key".into(), mode: 0o600, owner: None, content: key, keep_existing: true };
        Plan {
            order: crate::plan::Order::Listed,
            steps: vec![
                step("one", "the key", Action::File(file)),
                step("two", "the tool", Action::Run(run)),
            ],
            undo: vec![Undo {
                phase: "one".to_owned(),
                place: Place::Host("cp1".to_owned()),
                steps: vec![step("one", "no key", Action::Absent { path: "/a.key".into() })],
                mend: vec!["rm /a.key".to_owned()],
            }],
        }
    }

    #[test]
    fn prints_what_and_why() {
        let short = "one: cp1\n  file     the key  /a.key, 0600, an existing one is kept\n  if this fails or is \
                     interrupted:\n    remove   no key  /a.key\n\ntwo: cp1\n  run      the tool  tool '<secret>'\n";
        assert_eq!(text(&plan(), Detail::Short), short);
        assert_eq!(text(&plan(), Detail::Explained).matches("      because\n").count(), 3);
    }

    #[test]
    fn the_json_form_names_secrets_and_holds_none() {
        let value = json(&plan());
        assert_eq!(value["steps"][0]["action"]["content"]["pki"], "admin.conf");
        assert_eq!(value["undo"][0]["steps"][0]["action"]["kind"], "absent");
        assert!(!value.to_string().contains("hunter2"));
    }

    #[test]
    fn what_a_secret_of_the_operators_holds_is_for_digests_only() {
        let object = json!({"kind": "Secret", "metadata": {"name": "a", "annotations": {"b": "c"}},
            "stringData": {"password": "hunter3"}});
        let spec = ObjectSpec {
            object: Object::plain(object),
            how: ApplyHow::ServerSide,
            identity: Identity::Admin,
        };
        let mut plan = plan();
        plan.steps[0].action = Action::Object(spec.clone());
        plan.undo[0].steps[0].action = Action::Object(spec);
        assert!(!json(&plan).to_string().contains("hunter3"));
        assert_eq!(json(&plan)["steps"][0]["action"]["object"]["metadata"]["annotations"]["b"], "c");
        assert_eq!(complete(&plan).to_string().matches("hunter3").count(), 2);
    }
}

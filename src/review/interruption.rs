//! What stops for a moment while a plan is carried out: derived from the plan and from what a dry run found.

use crate::plan::Action;
use crate::plan::At;
use crate::plan::MemberChange;
use crate::plan::Order;
use crate::plan::Plan;
use crate::plan::Step;
use crate::report::Outcome;
use crate::review::Change;
use crate::review::Seen;
use crate::review::watched::NOTHING;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// Where the kubelet looks for static pods.
const MANIFESTS: &str = "/etc/kubernetes/manifests/";

/// Something that stops, or starts anew, on some hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interruption {
    /// `kube-apiserver restarts`.
    pub what: String,
    /// Where; empty for what is about the cluster as a whole.
    pub hosts: Vec<String>,
    /// What that means to those who use it.
    pub effect: String,
}

/// What a restart of these means; by the name of the unit or of the static pod.
const EFFECTS: [(&str, &str); 9] = [
    ("kubelet", "pods go on running"),
    ("containerd", "containers go on running; `kubectl exec` and `logs -f` end"),
    ("crio", "containers go on running; `kubectl exec` and `logs -f` end"),
    ("docker", "containers stop unless live-restore is on"),
    ("cri-docker", "containers go on running"),
    ("haproxy", "connections to the API through it end, and clients connect again"),
    ("keepalived", "the address may move to another host"),
    ("kube-controller-manager", "another one takes the lead, or it goes on in a moment"),
    ("kube-scheduler", "new pods wait for a moment"),
];

/// Restarts that end containers of the operator's.
const ENDS_CONTAINERS: [&str; 1] = ["docker"];

/// Keep the endpoint's address on one of the hosts.
const KEEPERS: [&str; 2] = ["keepalived", "kube-vip"];

/// What to expect, in the order of the plan; the last lines speak of the endpoint and of workloads.
pub(super) fn expected(
    plan: &Plan,
    changes: &[Change],
    seen: &BTreeMap<String, Seen>,
    endpoint: Option<&str>,
) -> Vec<Interruption> {
    let mut found = Found::default();
    for (step, change) in plan.steps.iter().zip(changes) {
        if change.outcome == Some(Outcome::WouldChange) {
            found.look_at(step, change, seen, waits_for_another(plan, step));
        }
    }
    let existing = existing_pods(plan, seen);
    let mut all: Vec<Interruption> = found.rows.iter().map(|row| row.interruption(&existing)).collect();
    all.push(about_endpoint(&found, endpoint));
    all.push(about_workloads(&found));
    all
}

/// What happens, to which unit or pod, and where.
struct Row {
    what: String,
    name: String,
    hosts: Vec<String>,
    /// How many of the hosts wait for another one.
    waiting: usize,
}

#[derive(Default)]
struct Found {
    rows: Vec<Row>,
    /// Objects that exist and whose pods are replaced.
    rolled: Vec<String>,
}

impl Found {
    fn look_at(&mut self, step: &Step, change: &Change, seen: &BTreeMap<String, Seen>, waits: bool) {
        let detail = change.detail.as_deref().unwrap_or_default();
        match &step.action {
            Action::Service(spec) if detail.contains("restarted") => {
                self.add(unit(&spec.unit), "restarts", change);
            }
            Action::Service(spec) if detail.contains("reloaded") => {
                self.add(unit(&spec.unit), "reads its configuration again", change);
            }
            Action::Stop(spec) if detail.contains("stopped") => {
                self.add(unit(&spec.unit), "stops", change);
            }
            Action::File(spec) if was_there(seen, change, &spec.path) => {
                if let Some(pod) = static_pod(&spec.path) {
                    self.add(pod, "restarts", change).waiting += usize::from(waits);
                }
            }
            Action::Absent { path } => {
                if let Some(pod) = static_pod(path) {
                    self.add(pod, "stops", change);
                }
            }
            Action::Member(spec) if spec.change == MemberChange::Remove => {
                self.add("etcd member", "is removed", change);
            }
            Action::Object(_) if rolls(change) => self.rolled.push(change.subject.clone()),
            _ => {}
        }
    }

    fn add(&mut self, name: &str, verb: &str, change: &Change) -> &mut Row {
        let (what, host) = (format!("{name} {verb}"), change.host.clone().unwrap_or_default());
        let known = self.rows.iter().position(|row| row.what == what).unwrap_or_else(|| {
            self.rows.push(Row { what, name: name.to_owned(), hosts: Vec::new(), waiting: 0 });
            self.rows.len() - 1
        });
        let row = &mut self.rows[known];
        if !row.hosts.contains(&host) {
            row.hosts.push(host);
        }
        row
    }

    fn hosts_of(&self, names: &[&str]) -> Vec<&str> {
        let rows = self.rows.iter();
        let concerned = rows.filter(|row| names.contains(&row.name.as_str()) && !row.what.ends_with("again"));
        let mut hosts: Vec<&str> = concerned.flat_map(|row| row.hosts.iter().map(String::as_str)).collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    }
}

impl Row {
    fn interruption(&self, existing: &Pods) -> Interruption {
        let effect = if self.what.ends_with("again") {
            "open connections go on".to_owned()
        } else {
            let at_once = self.hosts.len() - self.waiting.min(self.hosts.len().saturating_sub(1));
            effect(&self.name, self.hosts.len(), at_once, existing.get(&self.name).map_or(0, BTreeSet::len))
        };
        Interruption { what: self.what.clone(), hosts: self.hosts.clone(), effect }
    }
}

/// Whether a step begins when the same is done on another host.
fn waits_for_another(plan: &Plan, step: &Step) -> bool {
    let Order::Paced(gates) = &plan.order else { return false };
    gates.iter().any(|gate| gate.concerns(step) && matches!(gate.at, At::Host(_)))
}

/// On which hosts each static pod runs, as far as the dry run looked.
type Pods = BTreeMap<String, BTreeSet<String>>;

fn existing_pods(plan: &Plan, seen: &BTreeMap<String, Seen>) -> Pods {
    let mut pods = Pods::new();
    let paths: BTreeSet<String> = plan.steps.iter().map(crate::plan::Step::subject).collect();
    for path in paths {
        let Some(pod) = static_pod(&path) else { continue };
        let hosts = seen.iter().filter(|(_, seen)| seen.get(&path).is_some_and(|state| state != NOTHING));
        pods.entry(pod.to_owned()).or_default().extend(hosts.map(|(host, _)| host.clone()));
    }
    pods
}

fn was_there(seen: &BTreeMap<String, Seen>, change: &Change, path: &str) -> bool {
    let host = change.host.as_deref().and_then(|host| seen.get(host));
    host.and_then(|seen| seen.get(path)).is_some_and(|state| state != NOTHING)
}

/// The name of the static pod whose manifest stands at a path.
fn static_pod(path: &str) -> Option<&str> {
    path.strip_prefix(MANIFESTS)?.strip_suffix(".yaml").filter(|name| !name.contains('/'))
}

fn unit(name: &str) -> &str {
    name.strip_suffix(".service").unwrap_or(name)
}

/// What it means that `restarting` of `all` instances restart in one run, `at_once` of them at the same time.
fn effect(name: &str, restarting: usize, at_once: usize, all: usize) -> String {
    let order = if restarting > 1 && at_once == 1 { "one after the other: " } else { "" };
    match name {
        "kube-apiserver" if at_once < all => format!("{order}the other API servers answer meanwhile"),
        "kube-apiserver" if all > 1 => {
            "all of them: the Kubernetes API may not answer for some seconds".to_owned()
        }
        "kube-apiserver" => "the Kubernetes API does not answer for some seconds".to_owned(),
        "etcd" if 2 * (all - at_once.min(all)) > all => format!("{order}the other members keep the majority"),
        "etcd" => "no majority for a moment: the Kubernetes API may not answer for some seconds".to_owned(),
        name => {
            let known = EFFECTS.iter().find(|(known, _)| *known == name);
            known.map_or_else(String::new, |(_, effect)| (*effect).to_owned())
        }
    }
}

/// Whether an object that is there gets pods of another kind.
fn rolls(change: &Change) -> bool {
    let kind = change.subject.split(' ').next().unwrap_or_default();
    let new = change.diff.as_ref().is_some_and(|diff| diff.starts_with("--- /dev/null"));
    ["DaemonSet", "Deployment"].contains(&kind) && !new
}

fn about_endpoint(found: &Found, endpoint: Option<&str>) -> Interruption {
    let hosts = found.hosts_of(&KEEPERS);
    let effect = match (endpoint, hosts.is_empty()) {
        (None, _) => "nobody keeps one alive: clients reach the API servers directly".to_owned(),
        (Some(endpoint), true) => format!("{endpoint} stays where it is"),
        (Some(endpoint), false) => format!("{endpoint} may move while {} is worked on", hosts.join(", ")),
    };
    Interruption { what: "API endpoint".to_owned(), hosts: Vec::new(), effect }
}

fn about_workloads(found: &Found) -> Interruption {
    let hosts = found.hosts_of(&ENDS_CONTAINERS);
    let effect = if !hosts.is_empty() {
        format!("containers on {} may stop", hosts.join(", "))
    } else if found.rolled.is_empty() {
        "none is touched".to_owned()
    } else {
        format!(
            "the pods of {} are replaced one after the other; no others are touched",
            found.rolled.join(", ")
        )
    };
    Interruption { what: "workloads".to_owned(), hosts: Vec::new(), effect }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_a_restart_means() {
        for (name, restarting, at_once, all, expected) in [
            ("kube-apiserver", 1, 1, 3, "the other API servers answer meanwhile"),
            ("kube-apiserver", 3, 1, 3, "one after the other: the other API servers answer meanwhile"),
            ("kube-apiserver", 3, 3, 3, "all of them: the Kubernetes API may not answer for some seconds"),
            ("kube-apiserver", 1, 1, 1, "the Kubernetes API does not answer for some seconds"),
            ("etcd", 1, 1, 3, "the other members keep the majority"),
            ("etcd", 3, 1, 3, "one after the other: the other members keep the majority"),
            ("etcd", 2, 1, 2, "no majority for a moment: the Kubernetes API may not answer for some seconds"),
            ("etcd", 3, 3, 3, "no majority for a moment: the Kubernetes API may not answer for some seconds"),
            ("kubelet", 1, 1, 0, "pods go on running"),
            ("unheard-of", 1, 1, 0, ""),
        ] {
            assert_eq!(effect(name, restarting, at_once, all), expected, "{name} {restarting} of {all}");
        }
    }

    #[test]
    fn knows_a_static_pod_by_its_path() {
        for (path, pod) in [
            ("/etc/kubernetes/manifests/etcd.yaml", Some("etcd")),
            ("/etc/kubernetes/manifests/a/etcd.yaml", None),
            ("/etc/kubernetes/manifests/etcd.yaml.bak", None),
            ("/etc/etcd.yaml", None),
        ] {
            assert_eq!(static_pod(path), pod);
        }
    }
}

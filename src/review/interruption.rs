//! What stops for a moment while a plan is carried out: derived from the plan and from what a dry run found.

use crate::plan::Action;
use crate::plan::MemberChange;
use crate::plan::Plan;
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
            found.look_at(&step.action, change, seen);
        }
    }
    let existing = existing_pods(plan, seen);
    let mut all: Vec<Interruption> =
        found.rows.iter().map(|(what, name, hosts)| Found::row(what, name, hosts, &existing)).collect();
    all.push(about_endpoint(&found, endpoint));
    all.push(about_workloads(&found));
    all
}

#[derive(Default)]
struct Found {
    /// What happens, to which unit or pod, and where.
    rows: Vec<(String, String, Vec<String>)>,
    /// Objects that exist and whose pods are replaced.
    rolled: Vec<String>,
}

impl Found {
    fn look_at(&mut self, action: &Action, change: &Change, seen: &BTreeMap<String, Seen>) {
        let detail = change.detail.as_deref().unwrap_or_default();
        match action {
            Action::Service(spec) if detail.contains("restarted") => {
                self.add(unit(&spec.unit), "restarts", change);
            }
            Action::Service(spec) if detail.contains("reloaded") => {
                self.add(unit(&spec.unit), "reads its configuration again", change);
            }
            Action::Stop(spec) if detail.contains("stopped") => self.add(unit(&spec.unit), "stops", change),
            Action::File(spec) if was_there(seen, change, &spec.path) => {
                if let Some(pod) = static_pod(&spec.path) {
                    self.add(pod, "restarts", change);
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

    fn add(&mut self, name: &str, verb: &str, change: &Change) {
        let (what, host) = (format!("{name} {verb}"), change.host.clone().unwrap_or_default());
        match self.rows.iter_mut().find(|(known, ..)| *known == what) {
            Some((_, _, hosts)) if hosts.contains(&host) => {}
            Some((_, _, hosts)) => hosts.push(host),
            None => self.rows.push((what, name.to_owned(), vec![host])),
        }
    }

    fn hosts_of(&self, names: &[&str]) -> Vec<&str> {
        let mut hosts: Vec<&str> = Vec::new();
        for (what, name, there) in &self.rows {
            if names.contains(&name.as_str()) && !what.ends_with("again") {
                hosts.extend(there.iter().map(String::as_str));
            }
        }
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    }

    fn row(what: &str, name: &str, hosts: &[String], existing: &Pods) -> Interruption {
        let effect = if what.ends_with("again") {
            "open connections go on".to_owned()
        } else {
            effect(name, hosts.len(), existing.get(name).map_or(0, BTreeSet::len))
        };
        Interruption { what: what.to_owned(), hosts: hosts.to_vec(), effect }
    }
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

/// What it means that `restarting` of `all` instances restart in one run.
fn effect(name: &str, restarting: usize, all: usize) -> String {
    match name {
        "kube-apiserver" if restarting < all => "the other API servers answer meanwhile".to_owned(),
        "kube-apiserver" if all > 1 => {
            "all of them: the Kubernetes API may not answer for some seconds".to_owned()
        }
        "kube-apiserver" => "the Kubernetes API does not answer for some seconds".to_owned(),
        "etcd" if 2 * (all - restarting.min(all)) > all => "the other members keep the majority".to_owned(),
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
        for (name, restarting, all, expected) in [
            ("kube-apiserver", 1, 3, "the other API servers answer meanwhile"),
            ("kube-apiserver", 3, 3, "all of them: the Kubernetes API may not answer for some seconds"),
            ("kube-apiserver", 1, 1, "the Kubernetes API does not answer for some seconds"),
            ("etcd", 1, 3, "the other members keep the majority"),
            ("etcd", 1, 2, "no majority for a moment: the Kubernetes API may not answer for some seconds"),
            ("etcd", 3, 3, "no majority for a moment: the Kubernetes API may not answer for some seconds"),
            ("kubelet", 1, 0, "pods go on running"),
            ("unheard-of", 1, 0, ""),
        ] {
            assert_eq!(effect(name, restarting, all), expected, "{name} {restarting} of {all}");
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

//! A plan that was looked at and put aside, and whether it still holds.
//!
//! The file has no secret: a plan names them only, and of what stands on the hosts it has digests.

use crate::apply::receipt::sha256;
use crate::etcd::Membership;
use crate::plan::Action;
use crate::plan::Plan;
use crate::plan::display;
use crate::review::Change;
use crate::review::Kind;
use crate::review::Review;
use crate::review::Seen;
use crate::review::watched::NOTHING;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// The version of the form.
pub const VERSION: u32 = 1;

/// A plan, and all that it was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reviewed {
    pub version: u32,
    /// The version of this program.
    pub program: String,
    pub cluster: String,
    /// RFC 3339.
    pub time: String,
    /// Digest of the configuration file.
    pub configuration: String,
    pub choices: PlanChoices,
    /// Digest of the plan.
    pub plan: String,
    /// By host, phase and subject.
    pub steps: BTreeMap<String, String>,
    /// By host.
    pub hosts: BTreeMap<String, HostSeen>,
    /// The members of the cluster's own etcd.
    pub etcd: Vec<String>,
}

/// What was chosen for the run, so that the same is planned again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlanChoices {
    pub prepare: bool,
    #[serde(default)]
    pub prune: bool,
    /// Hosts and roles as they were typed.
    pub limit: Vec<String>,
    /// The name, which is no secret, of the token that keeps the time of uploaded certificates.
    pub ttl_token_id: String,
}

/// What a host showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostSeen {
    /// Of everything in `seen`.
    pub digest: String,
    pub seen: Seen,
}

#[derive(Debug, thiserror::Error)]
pub enum ReviewedError {
    #[error("this is not a plan of kubewright")]
    Unreadable(#[source] serde_json::Error),
    #[error("this plan has version {0}, and this program knows version {VERSION}")]
    Version(u32),
}

/// What of the world a plan was made in.
#[derive(Debug)]
pub struct Made<'a> {
    pub cluster: &'a str,
    pub time: String,
    /// Digest of the configuration file.
    pub configuration: String,
    pub choices: PlanChoices,
    pub etcd: Option<&'a Membership>,
}

impl Reviewed {
    pub fn new(made: Made<'_>, plan: &Plan, review: &Review, seen: &BTreeMap<String, Seen>) -> Self {
        let kept = kept(plan);
        let hosts = seen.iter().map(|(host, seen)| {
            let seen = without_content(host, seen, &kept);
            let text = serde_json::to_vec(&seen).expect("it holds only text");
            (host.clone(), HostSeen { digest: sha256(&text), seen })
        });
        Self {
            version: VERSION,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            cluster: made.cluster.to_owned(),
            time: made.time,
            configuration: made.configuration,
            choices: made.choices,
            plan: sha256(display::complete(plan).to_string().as_bytes()),
            steps: steps(plan, review),
            hosts: hosts.collect(),
            etcd: made.etcd.map(members).unwrap_or_default(),
        }
    }

    /// Reads the file.
    ///
    /// # Errors
    /// It is none of ours, or a newer program wrote it.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReviewedError> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        let head: Head = serde_json::from_slice(bytes).map_err(ReviewedError::Unreadable)?;
        if head.version != VERSION {
            return Err(ReviewedError::Version(head.version));
        }
        serde_json::from_slice(bytes).map_err(ReviewedError::Unreadable)
    }

    /// The file.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(self).expect("it holds only text and numbers") + "\n"
    }

    /// What is not as it was when this plan was made, a line each, in words; nothing: the plan holds.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut say = |differs: bool, line: String| {
            if differs {
                lines.push(line);
            }
        };
        say(
            self.cluster != now.cluster,
            format!("the plan is for the cluster {}, not {}", self.cluster, now.cluster),
        );
        say(
            self.program != now.program,
            format!("version {} of kubewright made the plan, and this is {}", self.program, now.program),
        );
        say(self.configuration != now.configuration, "the configuration file was changed".to_owned());
        say(
            self.etcd != now.etcd,
            format!("etcd's members were {}, and are {}", listed(&self.etcd), listed(&now.etcd)),
        );
        for (name, [before, after]) in different(&self.hosts, &now.hosts) {
            match (before, after) {
                (Some(_), None) => lines.push(format!("{name}: the host is no longer part of it")),
                (None, _) => lines.push(format!("{name}: the host is new")),
                (Some(before), Some(after)) => {
                    lines.extend(of_host(name, &before.seen, &after.seen));
                }
            }
        }
        let told: BTreeSet<String> = lines.iter().cloned().collect();
        for (step, [before, after]) in different(&self.steps, &now.steps) {
            let how = match (before, after) {
                (Some(_), None) => "would not be done any more",
                (None, _) => "would be done as well",
                _ => "would be done otherwise",
            };
            let line = format!("{step}: {how}");
            // What a host shows explains its steps.
            let explained = told.iter().any(|told| {
                told.split_once(": ").is_some_and(|(host, rest)| {
                    step.starts_with(&format!("{host}: "))
                        && rest.split(' ').next().is_some_and(|subject| step.ends_with(subject))
                })
            });
            if !explained {
                lines.push(line);
            }
        }
        if lines.is_empty() && self.plan != now.plan {
            lines.push("the plan is another one".to_owned());
        }
        lines
    }
}

fn of_host(host: &str, before: &Seen, after: &Seen) -> Vec<String> {
    let line = |(what, states): (&String, [Option<&String>; 2])| {
        let how = match states.map(|state| state.map(String::as_str)) {
            [Some(NOTHING), Some(_)] => "is there now".to_owned(),
            [Some(_), Some(NOTHING)] => "is gone".to_owned(),
            [Some(a), Some(b)] if a.starts_with("sha256:") && b.starts_with("sha256:") => {
                "was changed".to_owned()
            }
            [Some(a), Some(b)] => format!("was {a}, is {b}"),
            [None, _] => "was not looked at".to_owned(),
            [_, None] => "is not looked at any more".to_owned(),
        };
        format!("{host}: {what} {how}")
    };
    different(before, after).into_iter().map(line).collect()
}

/// The entries that are not the same on both sides.
fn different<'a, K: Ord, V: PartialEq>(
    before: &'a BTreeMap<K, V>,
    after: &'a BTreeMap<K, V>,
) -> Vec<(&'a K, [Option<&'a V>; 2])> {
    let keys: BTreeSet<&K> = before.keys().chain(after.keys()).collect();
    let pairs = keys.into_iter().map(|key| (key, [before.get(key), after.get(key)]));
    pairs.filter(|(_, [a, b])| a != b).collect()
}

/// Files whose content plays no part in the plan, by host and path: they stay as they are when they are there.
fn kept(plan: &Plan) -> BTreeSet<(String, String)> {
    let kept = plan.steps.iter().filter_map(|step| match (&step.place, &step.action) {
        (crate::plan::Place::Host(host), Action::File(spec)) if spec.keep_existing => {
            Some((host.clone(), spec.path.clone()))
        }
        (crate::plan::Place::Host(host), Action::Link { path, .. }) => Some((host.clone(), path.clone())),
        _ => None,
    });
    kept.collect()
}

fn without_content(host: &str, seen: &Seen, kept: &BTreeSet<(String, String)>) -> Seen {
    let state = |(what, state): (&String, &String)| {
        let is_kept = state != NOTHING && kept.contains(&(host.to_owned(), what.clone()));
        (what.clone(), if is_kept { "there".to_owned() } else { state.clone() })
    };
    seen.iter().map(state).collect()
}

/// Steps by host, phase and subject, each with a digest of what it would do. Waits change nothing.
fn steps(plan: &Plan, review: &Review) -> BTreeMap<String, String> {
    let json = display::complete(plan);
    let steps = json["steps"].as_array().into_iter().flatten().zip(&review.changes);
    let mut all = BTreeMap::new();
    for (step, change) in steps.filter(|(_, change)| change.kind != Kind::Wait) {
        let outcome = change.outcome.map(|outcome| outcome.to_string()).unwrap_or_default();
        let text = format!("{step}{}", change.diff.as_deref().unwrap_or_default());
        let entry: &mut String = all.entry(name(change)).or_default();
        *entry = format!("{entry}{outcome} {}", sha256(text.as_bytes()));
    }
    all
}

fn name(change: &Change) -> String {
    format!("{}: {} {}", change.host.as_deref().unwrap_or("cluster"), change.phase, change.subject)
}

fn members(etcd: &Membership) -> Vec<String> {
    let mut all: Vec<String> = etcd
        .members
        .iter()
        .map(|member| {
            let learner = if member.is_learner { " (learner)" } else { "" };
            format!("{} {}{learner}", member.name, member.peer_urls.join(" "))
        })
        .collect();
    all.sort();
    all
}

fn listed(members: &[String]) -> String {
    if members.is_empty() { "unknown".to_owned() } else { members.join(", ") }
}

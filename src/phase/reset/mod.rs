//! The way back: what a cluster left on a host, taken away, and what was changed for it, restored.
//!
//! Everything is planned from what is there, so a host on which nothing of a cluster is left has an empty plan. That
//! is the proof of a reset as well: planned again afterwards, there is nothing left to do.

mod again;
mod belongs;
mod etcd;
mod filters;
mod forget;
mod network;
mod node;
mod proof;
mod restore;
mod routes;

pub use proof::Proof;
pub use proof::proof;

use crate::apply::receipt::Before;
use crate::apply::receipt::Receipt;
use crate::cluster::GoDuration;
use crate::cluster::kubeadm::Timeouts;
use crate::facts::footprint::Snapshot;
use crate::facts::footprint::Traces;
use crate::host::Command;
use crate::phase::Draft;
use crate::phase::select::Selected;
use crate::plan::Action;
use crate::plan::Place;
use crate::plan::Plan;
use crate::plan::RunSpec;
use crate::plan::Step;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeMap;

/// The phase that comes when the proof is made: it takes away what the others build on.
pub const FORGET: &str = "forget";

/// All that is known of a host before it is reset.
#[derive(Debug, Clone)]
pub struct Facts {
    /// How the host is called in events.
    pub host: String,
    /// How it was before the cluster, where that was written down.
    pub baseline: Option<Snapshot>,
    pub now: Snapshot,
    pub traces: Traces,
    pub receipt: Option<Receipt>,
    /// The paths of the receipt as they are now.
    pub paths: BTreeMap<String, Before>,
    pub runtime: Runtime,
    pub etcd: Etcd,
    pub choices: Choices,
}

/// The container runtime and its pods.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Runtime {
    pub socket: String,
    pub pods: Vec<Pod>,
    /// Why it does not answer.
    pub failure: Option<String>,
}

/// A pod as the runtime knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pod {
    pub id: String,
    pub namespace: String,
    pub name: String,
    pub uid: String,
    /// A kubelet made it: it has a kubelet's labels. Others were made with `crictl`.
    pub of_kubelet: bool,
    /// The kubelet has it from a manifest on the host.
    pub from_file: bool,
}

/// The etcd on this host, as its manifest says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Etcd {
    /// Where its data is; `None` when there is no manifest of etcd.
    pub data_dir: Option<String>,
    /// Where its peers reach it.
    pub peer_url: Option<String>,
    /// Where clients may find it, itself first.
    pub endpoints: Vec<String>,
}

/// What the operator chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choices {
    pub certificates_dir: String,
    /// `/etc/kubernetes/tmp` goes too, with the backups that upgrades made there.
    pub cleanup_tmp_dir: bool,
    /// Flags of `umount`: `-f`, `-l`.
    pub unmount_flags: Vec<String>,
    /// How long etcd is asked to let its member go.
    pub etcd_timeout: GoDuration,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            certificates_dir: "/etc/kubernetes/pki".to_owned(),
            cleanup_tmp_dir: false,
            unmount_flags: Vec::new(),
            etcd_timeout: Timeouts::default().etcd_api_call,
        }
    }
}

/// Something to take away or to restore, and how that shows.
#[derive(Debug, Clone, PartialEq)]
struct Undo {
    /// `None` for what cannot be brought back.
    draft: Option<Draft>,
    /// How it was; nothing for what was not there.
    was: Vec<String>,
    is: Vec<String>,
    /// What remains of it is a difference, and not only something to mention.
    matters: bool,
}

impl Undo {
    fn new(draft: Draft) -> Self {
        Self { draft: Some(draft), was: Vec::new(), is: Vec::new(), matters: true }
    }

    fn was(mut self, line: impl Into<String>) -> Self {
        self.was.push(line.into());
        self
    }

    fn is(mut self, line: impl Into<String>) -> Self {
        self.is.push(line.into());
        self
    }

    fn and(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.is.extend(lines);
        self
    }

    fn minor(mut self) -> Self {
        self.matters = false;
        self
    }
}

type UndoFn = fn(&Facts) -> Vec<Undo>;

/// What each phase of [`crate::phase::workflow::RESET`] does.
const PHASES: [(&str, UndoFn); 5] = [
    ("remove-etcd-member", etcd::undo),
    ("cleanup-node", node::undo),
    ("cleanup-network", network::undo),
    ("restore-host", restore::undo),
    (FORGET, forget::undo),
];

/// The steps of the selected phases. Pure: the same facts give the same plan.
pub fn plan(facts: &Facts, selected: &[Selected]) -> Plan {
    let step = |phase: &str, draft: Draft| Step {
        phase: phase.to_owned(),
        place: Place::Host(facts.host.clone()),
        about: None,
        title: draft.title,
        reason: draft.reason,
        action: draft.action,
    };
    let mut plan = Plan::default();
    for (name, undo) in PHASES.iter().filter(|(name, _)| selected.iter().any(|one| one.name == *name)) {
        plan.steps
            .extend(undo(facts).into_iter().filter_map(|undo| undo.draft).map(|draft| step(name, draft)));
    }
    plan
}

/// A command that takes something away or brings it back, unless that is done already.
fn run(command: Command, unless: Command) -> Action {
    Action::Run(RunSpec { command, unless: Some(unless), remember: Vec::new(), best_effort: true })
}

fn sh(script: &str) -> Command {
    Command::query("sh").args(["-c", script])
}

//! What a plan would change, before anything is changed: for people, for programs, and to be kept in a file.
//!
//! Everything here is made of a plan, of the events of a dry run, and of what that run looked at.

pub mod interruption;
pub mod json;
pub mod left;
pub mod reviewed;
pub mod text;
pub mod watched;

pub use interruption::Interruption;
pub use reviewed::Reviewed;
pub use watched::Seen;
pub use watched::Watched;

use crate::plan::Action;
use crate::plan::Place;
use crate::plan::Plan;
use crate::plan::Step;
use crate::report::Event;
use crate::report::Outcome;
use std::collections::BTreeMap;
use std::collections::VecDeque;

/// What would come of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Review {
    /// One for each step, in the order of the plan.
    pub changes: Vec<Change>,
    pub interruptions: Vec<Interruption>,
    /// The hosts that the run is about.
    pub hosts: Vec<String>,
}

/// What would come of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub phase: String,
    /// `None`: through the Kubernetes API.
    pub host: Option<String>,
    pub kind: Kind,
    pub title: String,
    pub subject: String,
    /// The step as a plan shows it.
    pub line: String,
    pub reason: String,
    /// `None`: the dry run did not come so far.
    pub outcome: Option<Outcome>,
    pub detail: Option<String>,
    pub diff: Option<String>,
}

/// What a change is counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    File,
    Removal,
    Command,
    Service,
    Image,
    /// A program, a package, or the key of a repository.
    Program,
    Object,
    Member,
    /// Pods that leave a node.
    Drain,
    Wait,
    Other,
}

/// What the dry run said of each step.
#[derive(Debug, Default)]
struct Said {
    steps: BTreeMap<Key, VecDeque<What>>,
}

/// Outcome, detail and difference.
type What = (Outcome, Option<String>, Option<String>);

/// Phase, host, title and subject.
type Key = (String, Option<String>, String, String);

impl Review {
    /// Puts together a plan, the events of its dry run, and what that run saw on each host. `endpoint` is the address
    /// that clients know the API by, where somebody keeps one alive.
    pub fn new(
        plan: &Plan,
        events: &[Event],
        seen: &BTreeMap<String, Seen>,
        endpoint: Option<&str>,
        hosts: Vec<String>,
    ) -> Self {
        let mut said = Said::of(events);
        let changes: Vec<Change> = plan.steps.iter().map(|step| said.change(step)).collect();
        let interruptions = interruption::expected(plan, &changes, seen, endpoint);
        Self { changes, interruptions, hosts }
    }

    /// What is not as wanted.
    pub fn different(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.differs())
    }

    /// Whether nothing would be changed.
    pub fn is_empty(&self) -> bool {
        self.different().next().is_none()
    }
}

impl Change {
    /// Whether carrying out the plan would change something here, or nobody can say.
    pub fn differs(&self) -> bool {
        match self.outcome {
            None => self.kind != Kind::Wait,
            Some(outcome) => {
                matches!(outcome, Outcome::WouldChange | Outcome::Changed | Outcome::Failed | Outcome::Warned)
            }
        }
    }
}

impl Said {
    fn of(events: &[Event]) -> Self {
        let mut said = Self::default();
        for event in events {
            let Event::StepFinished { phase, host, title, subject, outcome, detail, diff, .. } = event else {
                continue;
            };
            let key = (phase.clone(), host.clone(), title.clone(), subject.clone());
            said.steps.entry(key).or_default().push_back((*outcome, detail.clone(), diff.clone()));
        }
        said
    }

    fn change(&mut self, step: &Step) -> Change {
        let host = match &step.place {
            Place::Host(name) => Some(name.clone()),
            Place::Cluster => None,
        };
        let subject = step.subject();
        let key = (step.phase.clone(), host.clone(), step.title.clone(), subject.clone());
        let said = self.steps.get_mut(&key).and_then(VecDeque::pop_front);
        let (outcome, detail, diff) = match said {
            Some((outcome, detail, diff)) => (Some(outcome), detail, diff),
            None => (None, None, None),
        };
        Change {
            phase: step.phase.clone(),
            host,
            kind: Kind::of(&step.action),
            title: step.title.clone(),
            subject,
            line: crate::plan::display::brief(step),
            reason: step.reason.clone(),
            outcome,
            detail,
            diff,
        }
    }
}

impl Kind {
    /// What a step counts as.
    pub fn of(action: &Action) -> Self {
        match action {
            Action::File(_) | Action::Directory { .. } | Action::Link { .. } => Self::File,
            Action::Absent { .. } | Action::Clear(_) => Self::Removal,
            Action::Run(_) => Self::Command,
            Action::Service(_) | Action::Stop(_) => Self::Service,
            Action::Image(_) | Action::ImageArchive(_) => Self::Image,
            Action::Artifact(_) | Action::Package(_) | Action::Key(_) => Self::Program,
            Action::Object(_) | Action::Delete(_) => Self::Object,
            Action::Drain(_) => Self::Drain,
            Action::Member(_) => Self::Member,
            Action::Wait(_) | Action::Replaced(_) => Self::Wait,
            Action::Pod(_) | Action::Rules(_) => Self::Other,
        }
    }

    /// One and many of it, for counts.
    pub fn words(self) -> [&'static str; 2] {
        match self {
            Self::File => ["file", "files"],
            Self::Removal => ["removal", "removals"],
            Self::Command => ["command", "commands"],
            Self::Service => ["service", "services"],
            Self::Image => ["image", "images"],
            Self::Program => ["program or package", "programs and packages"],
            Self::Object => ["API object", "API objects"],
            Self::Member => ["etcd member", "etcd members"],
            Self::Drain => ["drained node", "drained nodes"],
            Self::Wait => ["wait", "waits"],
            Self::Other => ["other", "others"],
        }
    }

    /// In JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Removal => "removal",
            Self::Command => "command",
            Self::Service => "service",
            Self::Image => "image",
            Self::Program => "program",
            Self::Object => "object",
            Self::Member => "member",
            Self::Drain => "drain",
            Self::Wait => "wait",
            Self::Other => "other",
        }
    }
}

//! What happens during a run, as plain data.
//!
//! The JSON form is a promise: one object a line, each with `"schema": 1` and an `"event"`. Fields may be added
//! within a schema; a field that changes its meaning or goes away raises the number. Times are milliseconds; `host`
//! is `null` for what is done through the Kubernetes API. No event holds a secret.
//!
//! | event | when | fields |
//! |---|---|---|
//! | `run-started` | first, but for warnings and waits while a cluster is looked for | `hosts`, `steps`, `dryRun` |
//! | `phase-started` | steps of a phase begin | `phase`, `hosts`, `steps` |
//! | `step-started` | | `phase`, `host`, `title`, `subject` |
//! | `waiting` | a wait goes on (about every 5 s) | `phase`, `host`, `subject`, `elapsedMs`, `limitMs`, `last` |
//! | `retrying` | the connection to the host was lost, and the step is tried again | `phase`, `host`, `subject`, `attempt`, `limit`, `why` |
//! | `step-finished` | | `phase`, `host`, `title`, `subject`, `outcome`, `detail`, `diff`, `elapsedMs` |
//! | `phase-finished` | | `phase`, `totals`, `elapsedMs` |
//! | `warning` | anything that deserves a look | `host`, `message`, `hint` |
//! | `failed` | a step failed, and what its phase had begun was undone where the plan says how | `failure` |
//! | `run-finished` | last | `totals`, `interrupted`, `elapsedMs` |
//!
//! `outcome` is one of `ok` (already as wanted), `changed`, `would-change`, `skipped`, `warned`, `failed`.

use crate::report::summary::Totals;
use serde::Deserialize;
use serde::Serialize;
use std::fmt;

/// The version of the JSON form.
pub const SCHEMA: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Event {
    RunStarted {
        hosts: Vec<String>,
        steps: usize,
        dry_run: bool,
    },
    PhaseStarted {
        phase: String,
        hosts: Vec<String>,
        steps: usize,
    },
    StepStarted {
        phase: String,
        host: Option<String>,
        title: String,
        subject: String,
    },
    Waiting {
        phase: String,
        host: Option<String>,
        subject: String,
        elapsed_ms: u64,
        limit_ms: u64,
        /// The last answer.
        last: String,
    },
    Retrying {
        phase: String,
        host: Option<String>,
        subject: String,
        /// From 1.
        attempt: u32,
        /// How many there are at most.
        limit: u32,
        why: String,
    },
    StepFinished {
        phase: String,
        host: Option<String>,
        title: String,
        subject: String,
        outcome: Outcome,
        detail: Option<String>,
        /// A unified diff without secrets, when diffs were asked for.
        diff: Option<String>,
        elapsed_ms: u64,
    },
    PhaseFinished {
        phase: String,
        totals: Totals,
        elapsed_ms: u64,
    },
    Warning {
        host: Option<String>,
        message: String,
        hint: Option<String>,
    },
    Failed {
        failure: Failure,
    },
    RunFinished {
        totals: Totals,
        interrupted: bool,
        elapsed_ms: u64,
    },
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Already as wanted.
    Ok,
    Changed,
    WouldChange,
    /// Not done, and not needed now; the detail says why.
    Skipped,
    /// It went wrong, and the plan says that this is no reason to stop.
    Warned,
    Failed,
}

/// What kind of thing stopped a run; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// A file or a connection of a host.
    Host,
    /// A command ended with an error status.
    Command,
    /// The Kubernetes API or etcd refused or did not answer.
    Api,
    /// A condition did not come true in time.
    Timeout,
    /// Something the plan refers to cannot be made: a certificate, a key, a token.
    Content,
    /// The host's receipt cannot be read.
    Receipt,
    Interrupted,
    /// The plan contradicts itself: a mistake of this program.
    Plan,
}

/// Everything that an operator needs to know about a failed step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    pub kind: FailureKind,
    pub host: Option<String>,
    pub phase: String,
    pub title: String,
    pub subject: String,
    /// The error and its causes, outermost first.
    pub causes: Vec<String>,
    /// Labelled facts: the command, its exit status, the end of its standard error, the last answer.
    pub details: Vec<(String, String)>,
    pub hints: Vec<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Changed => "changed",
            Self::WouldChange => "would change",
            Self::Skipped => "skipped",
            Self::Warned => "warning",
            Self::Failed => "failed",
        })
    }
}

/// One screen: what, where, why, and how to go on.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.causes.join(": "))?;
        writeln!(f)?;
        let place = self.host.as_deref().unwrap_or("the Kubernetes API");
        let width = self.details.iter().map(|(label, _)| label.len()).fold(8, usize::max);
        for (label, text) in [("host", place), ("phase", &self.phase), ("step", &self.step())] {
            labelled(f, width, label, text)?;
        }
        for (label, text) in &self.details {
            labelled(f, width, label, text)?;
        }
        if !self.hints.is_empty() {
            writeln!(f)?;
        }
        for hint in &self.hints {
            writeln!(f, "hint: {hint}")?;
        }
        Ok(())
    }
}

impl Failure {
    fn step(&self) -> String {
        if self.subject.is_empty() {
            self.title.clone()
        } else {
            format!("{} ({})", self.title, self.subject)
        }
    }
}

fn labelled(f: &mut fmt::Formatter<'_>, width: usize, label: &str, text: &str) -> fmt::Result {
    for (index, line) in text.lines().enumerate() {
        let label = if index == 0 { label } else { "" };
        writeln!(f, "  {label:<width$} {line}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_fits_one_screen() {
        let failure = Failure {
            kind: FailureKind::Command,
            host: Some("cp1".into()),
            phase: "kubelet-start".into(),
            title: "kubelet is running".into(),
            subject: "kubelet.service".into(),
            causes: vec!["`systemctl restart kubelet` failed".into(), "exit status 1".into()],
            details: vec![("stderr".into(), "one\ntwo".into())],
            hints: vec!["look at `journalctl -u kubelet`".into()],
        };
        assert_eq!(
            failure.to_string(),
            "error: `systemctl restart kubelet` failed: exit status 1\n\n  host     cp1\n  phase    kubelet-start\n  \
             step     kubelet is running (kubelet.service)\n  stderr   one\n           two\n\nhint: look at \
             `journalctl -u kubelet`\n"
        );
    }

    #[test]
    fn the_json_form_is_stable() {
        let event = Event::StepFinished {
            phase: "certs/ca".into(),
            host: Some("cp1".into()),
            title: "certificate".into(),
            subject: "/etc/kubernetes/pki/ca.crt".into(),
            outcome: Outcome::WouldChange,
            detail: None,
            diff: None,
            elapsed_ms: 3,
        };
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(
            text,
            r#"{"event":"step-finished","phase":"certs/ca","host":"cp1","title":"certificate","subject":"/etc/kubernetes/pki/ca.crt","outcome":"would-change","detail":null,"diff":null,"elapsedMs":3}"#
        );
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
    }
}

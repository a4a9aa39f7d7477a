//! What a check is, and what it finds.

use crate::preflight::Subject;
use serde::Serialize;

/// A row of the table of checks.
#[derive(Debug, Clone)]
pub struct Check {
    /// The name that `--ignore-preflight-errors` takes.
    pub name: String,
    pub batch: Batch,
    /// What the check is about (a port, a path, a program); empty where the subject says it all.
    pub argument: String,
    pub find: fn(&Subject, &str) -> Vec<Problem>,
}

/// A batch must pass before the next one starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Batch {
    Privilege,
    Main,
    Images,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
    /// Good to know; nothing needs to be done.
    Note,
    /// Preparation mends it before anything else is done.
    Prepared,
}

/// What a check found, before anyone decided to ignore it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    pub message: String,
    /// How to mend it; ends the message where there is one.
    pub repair: String,
    /// `--prepare` mends it.
    pub preparable: bool,
    /// Whom it concerns, where it shows only between hosts.
    pub hosts: Vec<String>,
}

/// A problem under its check's name, with the severity that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    pub check: String,
    pub severity: Severity,
    pub message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub repair: String,
    /// It was an error, and the operator asked to ignore it.
    pub ignored: bool,
    /// Whom it concerns, where it shows only between hosts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
}

impl Check {
    pub fn new(name: impl Into<String>, find: fn(&Subject, &str) -> Vec<Problem>) -> Self {
        Self { name: name.into(), batch: Batch::Main, argument: String::new(), find }
    }

    #[must_use]
    pub fn about(mut self, argument: impl Into<String>) -> Self {
        self.argument = argument.into();
        self
    }

    #[must_use]
    pub fn batch(mut self, batch: Batch) -> Self {
        self.batch = batch;
        self
    }
}

impl Problem {
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            repair: String::new(),
            preparable: false,
            hosts: Vec::new(),
        }
    }

    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    pub fn note(message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::error(message) }
    }

    #[must_use]
    pub fn between<S: Into<String>>(mut self, hosts: impl IntoIterator<Item = S>) -> Self {
        self.hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    #[must_use]
    pub fn repair(mut self, repair: impl Into<String>) -> Self {
        self.repair = repair.into();
        self
    }

    #[must_use]
    pub fn preparable(mut self) -> Self {
        self.preparable = true;
        self
    }

    /// Preparation mends it when the operator has said so.
    #[must_use]
    pub fn preparable_when(self, said: bool) -> Self {
        Self { preparable: self.preparable || said, ..self }
    }

    /// A list with this problem, if `found`.
    pub(super) fn when(found: bool, problem: impl FnOnce() -> Self) -> Vec<Self> {
        if found { vec![problem()] } else { Vec::new() }
    }
}

impl Finding {
    /// The message and the mend in one line.
    pub fn text(&self) -> String {
        if self.repair.is_empty() {
            self.message.clone()
        } else {
            format!("{}; {}", self.message, self.repair)
        }
    }
}

//! Collects problems and finds the place of each.

use crate::config::Strictness;
use crate::config::issue::Issue;
use crate::config::issue::Issues;
use crate::config::issue::Position;
use crate::config::issue::Severity;
use crate::config::path::Path;
use crate::config::yaml::Node;

/// The name that stands for the file when flags are meant.
pub(crate) const COMMAND_LINE: &str = "command line";

/// What is known of one file while it is being read.
#[derive(Debug)]
pub(crate) struct Report {
    pub file: String,
    /// The documents by kind, for looking up places.
    pub roots: Vec<(String, Node)>,
    /// Fields that a flag set: path and flag.
    pub flags: Vec<(String, &'static str)>,
    pub issues: Vec<Issue>,
}

impl Report {
    pub(crate) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), roots: Vec::new(), flags: Vec::new(), issues: Vec::new() }
    }

    pub(crate) fn error(&mut self, path: &Path, message: impl Into<String>) -> &mut Issue {
        self.add(Severity::Error, path, message.into())
    }

    pub(crate) fn warning(&mut self, path: &Path, message: impl Into<String>) -> &mut Issue {
        self.add(Severity::Warning, path, message.into())
    }

    /// An error when strict, a warning when lenient.
    pub(crate) fn strict(
        &mut self,
        strictness: Strictness,
        path: &Path,
        message: impl Into<String>,
    ) -> &mut Issue {
        let severity = match strictness {
            Strictness::Strict => Severity::Error,
            Strictness::Lenient => Severity::Warning,
        };
        self.add(severity, path, message.into())
    }

    /// An error about something that is not there; none when what is there was already refused.
    pub(crate) fn missing(&mut self, path: &Path, message: impl Into<String>, hint: &str) {
        if !self.blames(path) {
            self.error(path, message).hint(hint);
        }
    }

    /// Whether there is an error at a path or below it.
    pub(crate) fn blames(&self, path: &Path) -> bool {
        let path = path.to_string();
        let flag = self.flag(&path);
        self.issues.iter().filter(|issue| issue.is_error()).any(|issue| {
            flag.as_ref() == Some(&issue.path)
                || issue
                    .path
                    .strip_prefix(&path)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// The flag that set a field, as it is typed; a word in brackets stands for itself.
    fn flag(&self, field: &str) -> Option<String> {
        let (_, flag) = self.flags.iter().find(|(set, _)| field.starts_with(set))?;
        Some(if flag.starts_with('[') { (*flag).to_owned() } else { format!("--{flag}") })
    }

    /// A problem at a place that no path names.
    pub(crate) fn at(
        &mut self,
        severity: Severity,
        at: Option<Position>,
        path: &Path,
        message: impl Into<String>,
    ) -> &mut Issue {
        self.push(severity, self.file.clone(), at, path.to_string(), message.into())
    }

    pub(crate) fn whole(&mut self, severity: Severity, message: impl Into<String>) -> &mut Issue {
        self.push(severity, self.file.clone(), None, String::new(), message.into())
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.issues.iter().any(Issue::is_error)
    }

    /// What was found, in order: the warnings alone, or everything when there is an error.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<(T, Vec<Issue>), Issues> {
        let issues = Issues(self.issues).sorted();
        match value {
            Some(value) if !issues.has_errors() => Ok((value, issues.0)),
            _ => Err(issues),
        }
    }

    fn add(&mut self, severity: Severity, path: &Path, message: String) -> &mut Issue {
        let text = path.to_string();
        if let Some(flag) = self.flag(&text) {
            return self.push(severity, COMMAND_LINE.to_owned(), None, flag, message);
        }
        let at = self.roots.iter().find(|(kind, _)| *kind == path.kind).map(|(_, root)| root.locate(path));
        self.push(severity, self.file.clone(), at, text, message)
    }

    fn push(
        &mut self,
        severity: Severity,
        file: String,
        at: Option<Position>,
        path: String,
        message: String,
    ) -> &mut Issue {
        self.issues.push(Issue { severity, file, at, path, message, hint: None });
        let last = self.issues.len() - 1;
        &mut self.issues[last]
    }
}

impl Issue {
    /// How to mend it.
    pub(crate) fn hint(&mut self, hint: impl Into<String>) {
        self.hint = Some(hint.into());
    }
}

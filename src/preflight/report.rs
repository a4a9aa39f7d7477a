//! What preflight found, told in three ways: as kubeadm does, as a table, as JSON.

use crate::preflight::Finding;
use crate::preflight::Ignore;
use crate::preflight::Problem;
use crate::preflight::Severity;
use serde::Serialize;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub host: String,
    /// In the order of the checks.
    pub findings: Vec<Finding>,
    /// Checks that found nothing.
    pub passed: Vec<String>,
    /// Checks of later batches, after an error.
    pub not_run: Vec<String>,
}

impl Report {
    pub fn new(host: &str) -> Self {
        Self { host: host.to_owned(), findings: Vec::new(), passed: Vec::new(), not_run: Vec::new() }
    }

    /// Takes what a check found; finding nothing is passing it.
    pub(super) fn add(&mut self, check: &str, problems: Vec<Problem>, prepare: bool, ignore: &Ignore) {
        if problems.is_empty() {
            self.passed.push(check.to_owned());
        }
        for problem in problems {
            let was_error = problem.severity == Severity::Error;
            let mended = prepare && problem.preparable;
            let ignored = was_error && !mended && ignore.covers(check);
            let severity = match problem.severity {
                _ if mended => Severity::Prepared,
                Severity::Error if ignored => Severity::Warning,
                severity => severity,
            };
            let Problem { message, repair, hosts, .. } = problem;
            let check = check.to_owned();
            self.findings.push(Finding { check, severity, message, repair, ignored, hosts });
        }
    }

    pub fn failed(&self) -> bool {
        self.errors().next().is_some()
    }

    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.of(Severity::Error)
    }

    pub fn warnings(&self) -> impl Iterator<Item = &Finding> {
        self.of(Severity::Warning)
    }

    pub fn of(&self, severity: Severity) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.severity == severity)
    }

    /// What goes to standard error, in kubeadm's form: warnings as they come, errors together at the end.
    pub fn kubeadm_text(&self) -> String {
        let line =
            |kind: &str, finding: &Finding| format!("\t[{kind} {}]: {}\n", finding.check, finding.text());
        let mut text: String = self.warnings().map(|finding| line("WARNING", finding)).collect();
        if self.failed() {
            text += "[preflight] Some fatal errors occurred:\n";
            text.extend(self.errors().map(|finding| line("ERROR", finding)));
            text +=
                "[preflight] Errors that you accept become warnings with `--ignore-preflight-errors=...`\n";
        }
        text
    }

    /// A line for each finding, errors first, and a count.
    pub fn table(&self) -> String {
        format!("{}{}", self.rows(), self.count())
    }

    /// The findings of the table, or nothing.
    pub(super) fn rows(&self) -> String {
        let label = |severity| match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
            Severity::Prepared => "prepared",
        };
        let mut findings: Vec<&Finding> = self.findings.iter().collect();
        findings.sort_by_key(|finding| finding.severity);
        let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0).max("CHECK".len());
        let mut lines = Vec::new();
        if !findings.is_empty() {
            lines.push(format!("{:<9} {:<width$} FINDING", "SEVERITY", "CHECK"));
        }
        for finding in findings {
            lines.push(format!(
                "{:<9} {:<width$} {}",
                label(finding.severity),
                finding.check,
                finding.message
            ));
            if !finding.repair.is_empty() {
                lines.push(format!("{:<9} {:<width$}   mend: {}", "", "", finding.repair));
            }
        }
        lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }

    /// The line under the table: `cp1: 1 errors, …`.
    pub(super) fn count(&self) -> String {
        let of = |severity| self.of(severity).count();
        let mut parts = vec![
            format!("{} errors", of(Severity::Error)),
            format!("{} warnings", of(Severity::Warning)),
            format!("{} checks passed", self.passed.len()),
        ];
        let more = [
            (of(Severity::Note), "notes"),
            (of(Severity::Prepared), "to be prepared"),
            (self.not_run.len(), "not run"),
        ];
        for (count, what) in more {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        format!("{}: {}\n", self.host, parts.join(", "))
    }

    /// `host`, `findings`, `passed`, `notRun`, and `ok`.
    pub fn json(&self) -> serde_json::Value {
        let mut value = serde_json::to_value(self).expect("strings and lists serialise");
        value["ok"] = serde_json::Value::Bool(!self.failed());
        value
    }
}

//! One report for all hosts: as a table grouped by host, as JSON, as lines like kubeadm's.

use crate::preflight::Report;
use crate::preflight::Severity;
use serde::Serialize;
use std::fmt::Write as _;

/// The check about hosts that cannot be asked.
pub(super) const UNREACHABLE: &str = "HostReachable";

/// How the section about several hosts is called.
pub const BETWEEN: &str = "between hosts";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetReport {
    /// What shows only between hosts, and hosts that cannot be asked; each finding names the hosts that it concerns.
    pub between: Report,
    /// What could not be looked at, with the name of the check: not passed, and no error either.
    pub not_done: Vec<NotDone>,
    /// Each host that was asked, in the order of the document.
    pub hosts: Vec<Report>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotDone {
    pub check: String,
    pub why: String,
}

impl FleetReport {
    pub(super) fn new(between: Report, not_done: Vec<(String, String)>, hosts: Vec<Report>) -> Self {
        let not_done = not_done.into_iter().map(|(check, why)| NotDone { check, why }).collect();
        Self { between, not_done, hosts }
    }

    /// Whether anything stops a run: then nothing may be changed on any host.
    pub fn failed(&self) -> bool {
        self.sections().any(Report::failed)
    }

    fn sections(&self) -> impl Iterator<Item = &Report> {
        std::iter::once(&self.between).chain(&self.hosts)
    }

    /// How many findings of a severity there are.
    pub fn count(&self, severity: Severity) -> usize {
        self.sections().map(|report| report.of(severity).count()).sum()
    }

    /// Between hosts first, then host by host, and the sum; hosts with nothing to tell are one line.
    pub fn table(&self) -> String {
        let (quiet, telling): (Vec<&Report>, Vec<&Report>) =
            self.hosts.iter().partition(|report| report.findings.is_empty() && report.not_run.is_empty());
        let mut text = section(&self.between);
        if !self.not_done.is_empty() {
            text += "NOT CHECKED\n";
            for (why, checks) in self.not_done_by_reason() {
                let _ = writeln!(text, "          {}: {why}", checks.join(", "));
            }
            text += "\n";
        }
        for report in telling {
            text += &section(report);
        }
        if !quiet.is_empty() {
            let names: Vec<&str> = quiet.iter().map(|report| report.host.as_str()).collect();
            let _ = writeln!(text, "NOTHING TO TELL OF {}\n", names.join(", "));
        }
        text + &self.sum()
    }

    /// In the order in which the reasons came up.
    fn not_done_by_reason(&self) -> Vec<(&str, Vec<&str>)> {
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for NotDone { check, why } in &self.not_done {
            match reasons.iter_mut().find(|(reason, _)| reason == why) {
                Some((_, checks)) => checks.push(check),
                None => reasons.push((why, vec![check])),
            }
        }
        reasons
    }

    fn sum(&self) -> String {
        let mut parts = vec![
            format!("{} hosts", self.hosts.len()),
            format!("{} errors", self.count(Severity::Error)),
            format!("{} warnings", self.count(Severity::Warning)),
        ];
        for (count, what) in
            [(self.count(Severity::Prepared), "to be prepared"), (self.not_done.len(), "not checked")]
        {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        format!("{}\n", parts.join(", "))
    }

    /// As kubeadm tells it, each line with its host; for a run that goes on or stops.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (severity, kind) in [(Severity::Warning, "WARNING"), (Severity::Error, "ERROR")] {
            for report in self.sections() {
                for finding in report.of(severity) {
                    let _ =
                        writeln!(text, "\t[{kind} {}] {}: {}", finding.check, report.host, finding.text());
                }
            }
        }
        if self.failed() {
            text +=
                "[preflight] Errors that you accept become warnings with `--ignore-preflight-errors=...`\n";
        }
        text
    }

    /// `ok`, `between`, `notChecked`, and `hosts` by position, each as a report of one host.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "ok": !self.failed(),
            "between": self.between.json(),
            "notChecked": self.not_done,
            "hosts": self.hosts.iter().map(Report::json).collect::<Vec<_>>(),
        })
    }
}

fn section(report: &Report) -> String {
    format!("{}{}\n", report.count(), report.rows())
}

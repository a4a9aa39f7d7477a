//! A review for people: what is the same on several hosts is said once.

use crate::report::Outcome;
use crate::review::Change;
use crate::review::Interruption;
use crate::review::Kind;
use crate::review::Review;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Show {
    /// Steps that are as wanted already, too.
    pub all: bool,
    /// The difference of every file and object.
    pub diff: bool,
    /// The reason of every step.
    pub explain: bool,
}

/// How many hosts are named one by one.
const NAMED: usize = 8;

/// The whole text: steps, numbers by host, the interruption to expect, totals.
pub fn text(review: &Review, show: Show) -> String {
    let mut text = String::new();
    let shown: Vec<&Change> = review.changes.iter().filter(|change| show.all || change.differs()).collect();
    for section in sections(&shown) {
        section.write(&mut text, review.hosts.len(), show);
    }
    if review.is_empty() {
        let _ = writeln!(text, "Nothing to do: {} as wanted.", hosts_are(review.hosts.len()));
        return text;
    }
    text.push_str(&numbers(review));
    text.push_str(&interruptions(review));
    let _ = writeln!(text, "\n{}", totals(review));
    text
}

/// `41 changes on 5 hosts and 12 through the Kubernetes API; 7 steps are as wanted`.
pub fn totals(review: &Review) -> String {
    let different: Vec<&Change> = review.different().collect();
    let on_hosts = different.iter().filter(|change| change.host.is_some()).count();
    let mut hosts: Vec<&str> = different.iter().filter_map(|change| change.host.as_deref()).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let fine = review.changes.iter().filter(|change| change.outcome == Some(Outcome::Ok)).count();
    let through_api = different.len() - on_hosts;
    let mut text = format!(
        "{} on {}",
        counted(on_hosts, ["change", "changes"]),
        counted(hosts.len(), ["host", "hosts"])
    );
    if through_api > 0 {
        let _ = write!(text, " and {through_api} through the Kubernetes API");
    }
    let _ = write!(text, "; {} as wanted", counted(fine, ["step is", "steps are"]));
    text
}

/// `53 changes on 5 hosts`, for a question.
pub fn question(review: &Review) -> String {
    let count = counted(review.different().count(), ["change", "changes"]);
    format!("{count} on {}", counted(review.hosts.len(), ["host", "hosts"]))
}

/// Steps of one phase on the same hosts.
struct Section<'a> {
    phase: &'a str,
    hosts: Vec<Option<&'a str>>,
    rows: Vec<Row<'a>>,
}

/// Steps that differ in nothing but their host.
struct Row<'a> {
    hosts: Vec<Option<&'a str>>,
    changes: Vec<&'a Change>,
}

/// Phase, line, detail and outcome: steps that share them are one row.
type Shown<'a> = (&'a str, &'a str, Option<&'a str>, String);

fn sections<'a>(shown: &[&'a Change]) -> Vec<Section<'a>> {
    let mut phases: Vec<(&str, Vec<Row<'a>>)> = Vec::new();
    // By phase, and what is shown of a step: the position of its row.
    let mut known: BTreeMap<Shown<'_>, usize> = BTreeMap::new();
    let mut phase_of: BTreeMap<&str, usize> = BTreeMap::new();
    for change in shown {
        let phase = *phase_of.entry(&change.phase).or_insert_with(|| {
            phases.push((&change.phase, Vec::new()));
            phases.len() - 1
        });
        let outcome = change.outcome.map(|outcome| outcome.to_string()).unwrap_or_default();
        let key = (change.phase.as_str(), change.line.as_str(), change.detail.as_deref(), outcome);
        let rows = &mut phases[phase].1;
        let row = *known.entry(key).or_insert_with(|| {
            rows.push(Row { hosts: Vec::new(), changes: Vec::new() });
            rows.len() - 1
        });
        rows[row].hosts.push(change.host.as_deref());
        rows[row].changes.push(change);
    }
    let mut sections: Vec<Section<'a>> = Vec::new();
    for (phase, rows) in phases {
        let first = sections.len();
        for row in rows {
            match sections[first..].iter_mut().find(|section| section.hosts == row.hosts) {
                Some(section) => section.rows.push(row),
                None => sections.push(Section { phase, hosts: row.hosts.clone(), rows: vec![row] }),
            }
        }
    }
    sections
}

impl Section<'_> {
    fn write(&self, text: &mut String, all: usize, show: Show) {
        let gap = if text.is_empty() { "" } else { "\n" };
        let _ = writeln!(text, "{gap}{}: {}", self.phase, place(&self.hosts, all));
        for row in &self.rows {
            let change = row.changes[0];
            let mark = mark(change, show);
            let detail = change.detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
            let _ = writeln!(text, "  {mark}{}{detail}", change.line);
            if show.explain && !change.reason.is_empty() {
                let _ = writeln!(text, "      {}", change.reason);
            }
            if show.diff {
                write_diffs(text, row, all);
            }
        }
    }
}

/// Only what is not simply to be changed carries a word.
fn mark(change: &Change, show: Show) -> String {
    match change.outcome {
        Some(Outcome::WouldChange) if !show.all => String::new(),
        Some(outcome) => format!("{outcome:<13} "),
        None => format!("{:<13} ", "not reached"),
    }
}

/// Equal differences are shown once.
fn write_diffs(text: &mut String, row: &Row<'_>, all: usize) {
    let mut diffs: Vec<(&str, Vec<Option<&str>>)> = Vec::new();
    for change in &row.changes {
        let Some(diff) = change.diff.as_deref() else { continue };
        match diffs.iter_mut().find(|(known, _)| *known == diff) {
            Some((_, hosts)) => hosts.push(change.host.as_deref()),
            None => diffs.push((diff, vec![change.host.as_deref()])),
        }
    }
    let several = diffs.len() > 1;
    for (diff, hosts) in diffs {
        if several {
            let _ = writeln!(text, "    on {}:", place(&hosts, all));
        }
        for line in diff.trim_end().lines() {
            let _ = writeln!(text, "    {line}");
        }
    }
}

fn place(hosts: &[Option<&str>], all: usize) -> String {
    let names: Vec<&str> = hosts.iter().copied().flatten().collect();
    if names.is_empty() {
        return "through the Kubernetes API".to_owned();
    }
    names_of(&names, all)
}

fn names_of(names: &[&str], all: usize) -> String {
    if names.len() > NAMED && names.len() == all {
        return format!("all {all} hosts");
    }
    if names.len() > NAMED {
        return format!("{} and {} more", names[..NAMED].join(", "), names.len() - NAMED);
    }
    names.join(", ")
}

/// How much of what, by host; hosts with the same numbers are one line.
fn numbers(review: &Review) -> String {
    let mut by_host: BTreeMap<Option<&str>, BTreeMap<Kind, usize>> = BTreeMap::new();
    for change in review.different() {
        *by_host.entry(change.host.as_deref()).or_default().entry(change.kind).or_default() += 1;
    }
    let mut lines: Vec<(String, Vec<Option<&str>>)> = Vec::new();
    for (host, kinds) in by_host {
        let line: Vec<String> = kinds.iter().map(|(kind, count)| counted(*count, kind.words())).collect();
        let line = line.join(", ");
        match lines.iter_mut().find(|(known, hosts)| *known == line && hosts[0].is_some() == host.is_some()) {
            Some((_, hosts)) => hosts.push(host),
            None => lines.push((line, vec![host])),
        }
    }
    // What goes through the API comes last.
    lines.sort_by_key(|(_, hosts)| hosts[0].is_none());
    let mut text = String::from("\nChanges by host:\n");
    for (line, hosts) in lines {
        let _ = writeln!(text, "  {}: {line}", place(&hosts, review.hosts.len()));
    }
    text
}

fn interruptions(review: &Review) -> String {
    let mut text = String::from("\nInterruption to expect:\n");
    for Interruption { what, hosts, effect } in &review.interruptions {
        let names: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let on = if names.is_empty() {
            String::new()
        } else {
            format!(" on {}", names_of(&names, review.hosts.len()))
        };
        let effect = if effect.is_empty() { String::new() } else { format!(": {effect}") };
        let _ = writeln!(text, "  {what}{on}{effect}");
    }
    text
}

fn hosts_are(count: usize) -> String {
    if count == 1 { "the host is".to_owned() } else { format!("all {count} hosts are") }
}

fn counted(count: usize, words: [&str; 2]) -> String {
    format!("{count} {}", words[usize::from(count != 1)])
}

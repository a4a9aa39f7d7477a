//! What a run came to.

use crate::report::Failure;
use crate::report::Outcome;
use crate::report::elapsed;
use serde::Deserialize;
use serde::Serialize;
use std::fmt;

/// One finished step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    pub phase: String,
    /// `None`: through the Kubernetes API.
    pub host: Option<String>,
    pub title: String,
    pub subject: String,
    pub outcome: Outcome,
    pub detail: Option<String>,
    pub elapsed_ms: u64,
}

/// How many steps ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    pub ok: usize,
    pub changed: usize,
    pub would_change: usize,
    pub skipped: usize,
    pub warned: usize,
    pub failed: usize,
}

/// Everything that a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub dry_run: bool,
    /// In the order of the plan, as far as the run came.
    pub records: Vec<Record>,
    pub failures: Vec<Failure>,
    /// What was done to take back phases that did not come to their end.
    #[serde(default)]
    pub undone: Vec<Record>,
    /// Steps that were never begun.
    pub not_begun: usize,
    pub interrupted: bool,
    pub elapsed_ms: u64,
}

impl Report {
    /// Whether everything in the plan is now so.
    pub fn success(&self) -> bool {
        self.failures.is_empty() && !self.interrupted
    }

    pub fn totals(&self) -> Totals {
        Totals::of(&self.records)
    }

    /// The steps that took longest, longest first.
    pub fn slowest(&self, count: usize) -> Vec<&Record> {
        let mut records: Vec<&Record> = self.records.iter().collect();
        records.sort_by_key(|record| std::cmp::Reverse(record.elapsed_ms));
        records.truncate(count);
        records
    }
}

impl Totals {
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut totals = Self::default();
        for record in records {
            let counter = match record.outcome {
                Outcome::Ok => &mut totals.ok,
                Outcome::Changed => &mut totals.changed,
                Outcome::WouldChange => &mut totals.would_change,
                Outcome::Skipped => &mut totals.skipped,
                Outcome::Warned => &mut totals.warned,
                Outcome::Failed => &mut totals.failed,
            };
            *counter += 1;
        }
        totals
    }
}

/// `3 changed, 12 unchanged`; a dry run says `3 would change`. The first two are always said, others when not zero.
impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.would_change > 0 {
            write!(f, "{} would change", self.would_change)?;
            if self.changed > 0 {
                write!(f, ", {} changed", self.changed)?;
            }
        } else {
            write!(f, "{} changed", self.changed)?;
        }
        write!(f, ", {} unchanged", self.ok)?;
        for (count, word) in [(self.skipped, "skipped"), (self.warned, "warned"), (self.failed, "failed")] {
            if count > 0 {
                write!(f, ", {count} {word}")?;
            }
        }
        Ok(())
    }
}

/// The totals and where the time went.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} in {}", self.totals(), elapsed(self.elapsed_ms))?;
        for record in self.slowest(3).into_iter().filter(|record| record.elapsed_ms >= 1000) {
            let host = record.host.as_deref().unwrap_or("cluster");
            writeln!(f, "  {:>6}  {}  {host}  {}", elapsed(record.elapsed_ms), record.phase, record.title)?;
        }
        if self.not_begun > 0 {
            writeln!(f, "{} steps were not begun", self.not_begun)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_the_totals() {
        let all = Totals { ok: 12, changed: 3, skipped: 1, ..Totals::default() };
        let dry = Totals { ok: 2, would_change: 3, ..Totals::default() };
        for (totals, text) in [
            (Totals::default(), "0 changed, 0 unchanged"),
            (all, "3 changed, 12 unchanged, 1 skipped"),
            (dry, "3 would change, 2 unchanged"),
        ] {
            assert_eq!(totals.to_string(), text);
        }
    }
}

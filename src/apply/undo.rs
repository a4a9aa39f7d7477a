//! Taking back what a phase began and did not bring to its end, as the plan states it.

use crate::apply::failure::StepError;
use crate::apply::run::Run;
use crate::apply::run::host_of;
use crate::apply::run::lock;
use crate::apply::site::Site;
use crate::apply::step;
use crate::plan::Action;
use crate::plan::Place;
use crate::plan::Step;
use crate::plan::Undo;
use crate::report::Event;
use crate::report::Failure;
use crate::report::Outcome;
use crate::report::Record;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// What came of undoing one phase at one place.
#[derive(Debug, Default)]
pub(crate) struct Undone {
    /// What was done, a line each.
    pub lines: Vec<String>,
    /// Why it ended early: a step failed.
    pub failed: Option<String>,
    pub records: Vec<Record>,
}

/// Carries out the steps of `undo` in order, until one fails or finds that it must not be done. The receipt is only
/// written at the end: a full disk, which may be why all this is undone, does not stop it.
pub(crate) fn perform(run: &Run<'_>, undo: &Undo, mut site: Option<&mut Site>) -> Undone {
    let mut undone = Undone::default();
    let ledger = site.as_deref_mut().and_then(|site| site.ledger.take());
    for step in &undo.steps {
        let start = run.world.clock.monotonic();
        let result = step::perform(run, step, site.as_deref_mut());
        let (outcome, detail, failed) = match result {
            Ok(done) => (done.outcome, done.detail, None),
            Err(error) => (Outcome::Failed, Some(error.line()), Some(failure(step, &error))),
        };
        if let Some(line) = line(step, outcome, detail.as_deref()) {
            undone.lines.push(line);
        }
        undone.records.push(Record {
            phase: step.phase.clone(),
            host: match &step.place {
                Place::Host(name) => Some(name.clone()),
                Place::Cluster => None,
            },
            title: step.title.clone(),
            subject: step.subject(),
            outcome,
            detail,
            elapsed_ms: run.millis_since(start),
        });
        undone.failed = failed;
        if matches!(outcome, Outcome::Failed | Outcome::Skipped) {
            break;
        }
    }
    if let Some(site) = site {
        site.ledger = ledger;
        forget(site, undo, &undone);
    }
    undone
}

impl Run<'_> {
    /// Takes back every phase that began and did not come to its end, the last one first.
    pub(super) fn undo(&self) {
        if self.world.options.dry_run || !(self.failed() || self.was_interrupted()) {
            return;
        }
        self.undoing.store(true, Ordering::Relaxed);
        for undo in self.plan.undo.iter().rev() {
            let undone = if self.is_unfinished(undo) { self.undo_one(undo) } else { Undone::default() };
            self.tell_undone(undo, undone);
        }
    }

    pub(super) fn undo_one(&self, undo: &Undo) -> Undone {
        self.tell(Event::Warning {
            host: host_of(&undo.place),
            message: format!("undoing {}, which did not come to its end", undo.phase),
            hint: None,
        });
        let site = match &undo.place {
            Place::Host(name) => self.sites.get(name),
            Place::Cluster => None,
        };
        perform(self, undo, site.map(lock).as_deref_mut())
    }

    /// Whether a phase began at its place and did not come to its end there.
    pub(super) fn is_unfinished(&self, undo: &Undo) -> bool {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let records = self.records();
        let steps = || self.plan.steps.iter().enumerate().filter(|(_, step)| undo.concerns(step));
        let finished = |index| records.get(&index).is_some_and(|record| record.outcome != Outcome::Failed);
        steps().any(|(index, _)| begun.contains(&index)) && !steps().all(|(index, _)| finished(index))
    }

    /// Adds what was undone to the failure because of which it was, or warns of it after an interrupt.
    pub(super) fn tell_undone(&self, undo: &Undo, undone: Undone) {
        let Undone { lines, failed, records } = undone;
        let by_hand = mend(undo, records.len());
        self.undone.lock().unwrap_or_else(PoisonError::into_inner).extend(records);
        let mut details = Vec::new();
        let mut hints = Vec::new();
        if !lines.is_empty() {
            details.push(("undone".to_owned(), lines.join("\n")));
        }
        if let Some(failed) = failed {
            details.push(("not undone".to_owned(), failed));
            hints.push(format!(
                "to give up instead of going on, do by hand what could not be undone: {by_hand}"
            ));
        }
        let host = host_of(&undo.place);
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let of_phase = |failure: &&mut Failure| failure.phase == undo.phase && failure.host == host;
        if let Some(failure) = failures.iter_mut().find(of_phase) {
            failure.details.extend(details);
            failure.hints.splice(0..0, hints);
            self.tell(Event::Failed { failure: failure.clone() });
        } else if !details.is_empty() {
            let said = details.iter().map(|(label, text)| format!("{label}: {}", text.replace('\n', "; ")));
            let message =
                format!("{} did not come to its end; {}", undo.phase, said.collect::<Vec<_>>().join("; "));
            self.tell(Event::Warning { host, message, hint: hints.pop() });
        }
    }
}

/// How to do by hand what undoing did not get to: the last of so many steps that were tried, and those after it.
fn mend(undo: &Undo, tried: usize) -> String {
    let left = undo.mend.iter().skip(tried.saturating_sub(1));
    left.filter(|line| !line.is_empty()).map(String::as_str).collect::<Vec<_>>().join("; ")
}

/// What is gone again was not done.
fn forget(site: &mut Site, undo: &Undo, undone: &Undone) {
    let Site { host, ledger: Some(ledger), .. } = site else { return };
    let gone = undo.steps.iter().zip(&undone.records).filter(|(step, record)| {
        record.outcome == Outcome::Changed && matches!(step.action, Action::Absent { .. } | Action::Member(_))
    });
    gone.for_each(|(step, _)| ledger.forget(&step.phase, &step.subject()));
    // The next run finds what is so by comparing, and the failure at hand is the one to tell.
    let _ = ledger.save(host.as_ref());
}

fn line(step: &Step, outcome: Outcome, detail: Option<&str>) -> Option<String> {
    let subject = step.subject();
    match (outcome, detail) {
        (Outcome::Changed | Outcome::Warned, None) => Some(format!("{} ({subject})", step.title)),
        (Outcome::Changed | Outcome::Warned | Outcome::Skipped, Some(detail)) => {
            Some(format!("{} ({subject}): {detail}", step.title))
        }
        _ => None,
    }
}

fn failure(step: &Step, error: &StepError) -> String {
    format!("{} ({}): {}", step.title, step.subject(), error.line())
}

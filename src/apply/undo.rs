//! Taking back what a phase began and did not bring to its end, as the plan states it.

use crate::apply::failure::StepError;
use crate::apply::run::Run;
use crate::apply::site::Site;
use crate::apply::step;
use crate::plan::Action;
use crate::plan::Place;
use crate::plan::Step;
use crate::plan::Undo;
use crate::report::Outcome;
use crate::report::Record;

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

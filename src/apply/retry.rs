//! Trying again after a lost connection, where that does no harm: what is permanent is not tried twice.

use crate::apply::failure::StepError;
use crate::apply::run::Done;
use crate::apply::run::Run;
use crate::apply::run::host_of;
use crate::plan::Action;
use crate::plan::Step;
use crate::report::Event;
use std::time::Duration;

/// Before the first repetition; each further one waits twice as long.
const PAUSE: Duration = Duration::from_secs(1);

/// Does the steps in order until one fails for good. `attempt` does some of them, and its answers end with the first
/// that failed.
pub(crate) fn perform(
    run: &Run<'_>,
    steps: &[&Step],
    mut attempt: impl FnMut(&[&Step]) -> Vec<Result<Done, StepError>>,
) -> Vec<Result<Done, StepError>> {
    let mut results = attempt(steps);
    for number in 1..=run.world.options.retries {
        let Some(Err(error)) = results.last() else { break };
        let step = steps[results.len() - 1];
        if !is_repeatable(&step.action) || !wait(run, step, error, number) {
            break;
        }
        results.pop();
        let left = &steps[results.len()..];
        results.extend(attempt(left));
    }
    results
}

/// Does something about a step that does no harm when it is done twice.
pub(crate) fn until_done(
    run: &Run<'_>,
    step: &Step,
    mut attempt: impl FnMut() -> Result<(), StepError>,
) -> Result<(), StepError> {
    let mut number = 0;
    loop {
        number += 1;
        match attempt() {
            Err(error) if number <= run.world.options.retries && wait(run, step, &error, number) => {}
            answer => return answer,
        }
    }
}

/// Tells of a repetition and waits for it; `false` when there is no use in one.
fn wait(run: &Run<'_>, step: &Step, error: &StepError, number: u32) -> bool {
    if !error.may_pass() || run.interrupted() {
        return false;
    }
    run.tell(Event::Retrying {
        phase: step.phase.clone(),
        host: host_of(&step.place),
        subject: step.subject(),
        attempt: number,
        limit: run.world.options.retries,
        why: error.line(),
    });
    run.world.clock.sleep(PAUSE * 2u32.saturating_pow(number - 1));
    true
}

/// Whether doing it twice comes to the same as doing it once. A command is so when it is asked first whether it is
/// needed.
fn is_repeatable(action: &Action) -> bool {
    match action {
        Action::File(_)
        | Action::Directory { .. }
        | Action::Link { .. }
        | Action::Absent { .. }
        | Action::Service(_)
        | Action::Stop(_)
        | Action::Wait(_)
        | Action::Replaced(_)
        | Action::Image(_)
        | Action::ImageArchive(_)
        | Action::Artifact(_)
        | Action::Key(_)
        | Action::Drain(_)
        | Action::Delete(_)
        | Action::Clear(_) => true,
        Action::Run(spec) => spec.unless.is_some(),
        // A package manager that was cut off may still be at work.
        Action::Package(_) | Action::Object(_) | Action::Pod(_) | Action::Rules(_) | Action::Member(_) => {
            false
        }
    }
}

//! What a run tells on its way, and keeps of what it has told.

use crate::apply::failure::StepError;
use crate::apply::run::Done;
use crate::apply::run::Run;
use crate::apply::run::host_of;
use crate::apply::site::Site;
use crate::plan::Lane;
use crate::plan::Step;
use crate::report::Event;
use crate::report::FailureKind;
use crate::report::Outcome;
use crate::report::Record;
use crate::report::Totals;
use std::sync::PoisonError;
use std::time::Duration;

impl<'a> Run<'a> {
    /// Tells that a step begins; when.
    pub(super) fn begin(&self, index: usize, step: &Step) -> Duration {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).insert(index);
        self.tell(Event::StepStarted {
            phase: step.phase.clone(),
            host: host_of(&step.place),
            title: step.title.clone(),
            subject: step.subject(),
        });
        self.world.clock.monotonic()
    }

    /// Tells what came of a step, and keeps it; whether to go on.
    pub(super) fn finish(
        &self,
        index: usize,
        step: &Step,
        start: Duration,
        result: Result<Done, StepError>,
        site: Option<&mut Site>,
    ) -> bool {
        let elapsed_ms = self.millis_since(start);
        let (done, error) = match result {
            Ok(done) => (done, None),
            Err(error) if error.kind == FailureKind::Interrupted => {
                (Done::new(Outcome::Skipped).detail("interrupted"), Some(error))
            }
            Err(error) if self.world.options.keep_going => {
                (Done::new(Outcome::Warned).detail(error.line()), None)
            }
            Err(error) => (Done::new(Outcome::Failed).detail(error.line()), Some(error)),
        };
        let Done { outcome, detail, diff, .. } = done;
        let (phase, host) = (step.phase.clone(), host_of(&step.place));
        let (title, subject) = (step.title.clone(), step.subject());
        let record = Record {
            phase: phase.clone(),
            host: host.clone(),
            title: title.clone(),
            subject: subject.clone(),
            outcome,
            detail: detail.clone(),
            elapsed_ms,
        };
        if outcome != Outcome::Skipped || error.is_none() {
            self.records().insert(index, record);
        }
        self.tell(Event::StepFinished { phase, host, title, subject, outcome, detail, diff, elapsed_ms });
        let go_on = error.is_none();
        if let Some(error) = error {
            self.stop(step, error, site);
        }
        go_on
    }

    /// Tells that a phase begins, when this is the first step of it.
    pub(super) fn begin_phase(&self, index: usize) {
        let group = self.board().group_of(index);
        let mut phases = self.phases.lock().unwrap_or_else(PoisonError::into_inner);
        if phases.contains_key(&group) {
            return;
        }
        phases.insert(group, Some(self.world.clock.monotonic()));
        let of_group = self.steps_of(group);
        let mut hosts: Vec<String> = of_group.iter().filter_map(|(_, step)| host_of(&step.place)).collect();
        hosts.dedup();
        let phase = self.plan.steps[index].phase.clone();
        self.tell(Event::PhaseStarted { phase, hosts, steps: of_group.len() });
    }

    /// Tells of the phases of which nothing more comes.
    pub(super) fn end_phases(&self) {
        let mut phases = self.phases.lock().unwrap_or_else(PoisonError::into_inner);
        let over = {
            let board = self.board();
            let open = phases.iter().filter(|(_, start)| start.is_some()).map(|(group, _)| *group);
            open.filter(|group| board.is_over(*group)).collect::<Vec<_>>()
        };
        for group in over {
            let Some(start) = phases.insert(group, None).flatten() else { continue };
            let of_group = self.steps_of(group);
            let totals = {
                let records = self.records();
                Totals::of(of_group.iter().filter_map(|(index, _)| records.get(index)))
            };
            let phase = of_group[0].1.phase.clone();
            self.tell(Event::PhaseFinished { phase, totals, elapsed_ms: self.millis_since(start) });
        }
    }

    pub(super) fn steps_of(&self, group: usize) -> Vec<(usize, &'a Step)> {
        let board = self.board();
        self.plan.steps.iter().enumerate().filter(|(index, _)| board.group_of(*index) == group).collect()
    }

    /// Tells which hosts were left alone because of the failure of others.
    pub(super) fn tell_blocked(&self) {
        let board = self.board();
        for (lane, why) in board.blocked() {
            let what = match lane {
                Lane::Host(_) => "nothing more was done here",
                Lane::Api => "nothing more was done through the Kubernetes API",
                Lane::ApiFor(_) => "its Node was left as it is",
            };
            let message = format!("{what}: it waits for {why}, which failed");
            self.tell(Event::Warning { host: lane.host().map(str::to_owned), message, hint: None });
        }
    }
}

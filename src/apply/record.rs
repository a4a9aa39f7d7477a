//! The receipts of a run's hosts: opened before anything is done, written at the latest when it ends.

use crate::apply::failure::StepError;
use crate::apply::ledger::Ledger;
use crate::apply::run::Run;
use crate::apply::run::lock;
use crate::host::fleet::side_by_side;
use crate::plan::Place;
use crate::plan::Step;
use crate::report::FailureKind;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::PoisonError;

impl Run<'_> {
    /// A host whose record cannot be opened is not touched; the others go on.
    pub(super) fn open_ledgers(&self) {
        let mut first: BTreeMap<&str, &Step> = BTreeMap::new();
        for step in &self.plan.steps {
            if let Some(name) = self.written_down_at(step) {
                first.entry(name).or_insert(step);
            }
        }
        let mut there: BTreeMap<&str, Vec<&Step>> = BTreeMap::new();
        for step in &self.plan.steps {
            if let Place::Host(name) = &step.place {
                there.entry(name).or_default().push(step);
            }
        }
        side_by_side(first.into_iter().collect(), self.world.options.parallel, |(name, step)| {
            let steps = there.get(name).map_or(&[][..], Vec::as_slice);
            if let Err(error) = self.open_ledger(name, steps) {
                self.stop(step, error, None);
                self.board().give_up(name);
            }
        });
    }

    fn open_ledger(&self, name: &str, steps: &[&Step]) -> Result<(), StepError> {
        let site =
            self.sites.get(name).ok_or_else(|| StepError::plan(format!("no host is called {name}")))?;
        if let Some(why) = self.world.options.unfit.get(name) {
            return Err(StepError::new(FailureKind::Host, anyhow::Error::msg(why.clone())));
        }
        let Some(path) = &self.world.options.receipt else { return Ok(()) };
        let mut site = lock(site);
        site.ledger = Some(Ledger::open(site.host.as_ref(), path, steps)?);
        Ok(())
    }

    pub(super) fn close_ledgers(&self) {
        if self.world.options.dry_run {
            return;
        }
        let failed: BTreeSet<Option<String>> = {
            let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            failures.iter().map(|failure| failure.host.clone()).collect()
        };
        for (name, site) in self.sites.iter().filter(|(name, _)| !failed.contains(&Some((*name).clone()))) {
            let last = self.plan.steps.iter().rev().find(|step| self.written_down_at(step) == Some(name));
            if let (Err(error), Some(step)) = (lock(site).settle(), last) {
                self.stop(step, error, None);
            }
        }
    }

    /// The host whose receipt knows of a step.
    pub(super) fn written_down_at<'s>(&'s self, step: &'s Step) -> Option<&'s String> {
        match &step.place {
            Place::Host(name) => Some(name),
            Place::Cluster => self.chronicler.as_ref(),
        }
    }
}

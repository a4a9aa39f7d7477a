//! One host during a run.

use crate::apply::failure::StepError;
use crate::apply::ledger::Ledger;
use crate::apply::manager::Manager;
use crate::apply::manager::Unit;
use crate::host::Change;
use crate::host::Entry;
use crate::host::Host;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// One host during a run.
pub(crate) struct Site {
    pub host: Arc<dyn Host>,
    /// Paths that this run changed, in order.
    pub changed: Vec<String>,
    /// How many of them a unit already knew when this run last started it.
    pub known: BTreeMap<String, usize>,
    pub ledger: Option<Ledger>,
    /// How many of the changed paths the manager of services knew when it last read its files.
    pub units_read: usize,
    /// What manages services there, once somebody asked.
    pub manager: OnceCell<Option<Manager>>,
    /// How units were when they were last asked, and when that was, while nothing has been done there since.
    pub units: (Duration, BTreeMap<String, Unit>),
}

impl Site {
    pub(crate) fn new(host: Arc<dyn Host>) -> Self {
        Self {
            host,
            changed: Vec::new(),
            known: BTreeMap::new(),
            ledger: None,
            units_read: 0,
            manager: OnceCell::new(),
            units: Default::default(),
        }
    }

    /// To be called before paths are changed; the answer, where there is one, is to be changed before them, and
    /// [`Self::recorded`] called when it is.
    pub(crate) fn before_changing(
        &mut self,
        changes: &[Change],
        found: &BTreeMap<String, Option<Entry>>,
    ) -> Result<Option<Change>, StepError> {
        match &mut self.ledger {
            Some(ledger) => ledger.before_changing(self.host.as_ref(), changes, found),
            None => Ok(None),
        }
    }

    pub(crate) fn recorded(&mut self) {
        if let Some(ledger) = &mut self.ledger {
            ledger.saved();
        }
    }

    /// To be called before something is replaced that a reset leaves where it is: only who must be restarted for it is
    /// written down.
    pub(crate) fn before_replacing(&mut self, path: &str) -> Result<(), StepError> {
        match &mut self.ledger {
            Some(ledger) => ledger.before_replacing(self.host.as_ref(), path),
            None => Ok(()),
        }
    }

    /// Writes down what is new.
    pub(crate) fn save(&mut self) -> Result<(), StepError> {
        match &mut self.ledger {
            Some(ledger) => ledger.save(self.host.as_ref()),
            None => Ok(()),
        }
    }

    /// To be called when something may have been done there: units are asked anew.
    pub(crate) fn touched(&mut self) {
        self.units.1.clear();
    }

    /// Brings what was written to the disk, before something is written elsewhere that builds on it.
    pub(crate) fn settle_files(&self) -> Result<(), StepError> {
        Ok(self.host.settle()?)
    }

    /// Writes down what is new and brings all of it to the disk, before something is started that builds on it.
    pub(crate) fn settle(&mut self) -> Result<(), StepError> {
        match &mut self.ledger {
            Some(ledger) => ledger.settle(self.host.as_ref()),
            None => Ok(self.host.settle()?),
        }
    }
}

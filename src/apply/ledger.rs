//! The receipt of one host during a run: when what is written down.
//!
//! What was there before, and which units will need a restart, is written before the change. What was done is
//! written before anything that takes long or can go wrong for long, before an error is returned, and at the end.

use crate::apply::failure::StepError;
use crate::apply::receipt::Before;
use crate::apply::receipt::Receipt;
use crate::apply::receipt::ReceiptError;
use crate::apply::receipt::StepReceipt;
use crate::apply::replaced;
use crate::host::Change;
use crate::host::Entry;
use crate::host::Host;
use crate::plan::Action;
use crate::plan::Probe;
use crate::plan::ReplacedSpec;
use crate::plan::Step;
use crate::plan::Wait;
use crate::report::FailureKind;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

#[derive(Debug)]
pub(crate) struct Ledger {
    path: String,
    receipt: Receipt,
    /// Every path of the plan on this host.
    paths: BTreeSet<String>,
    /// The units that each path makes restart.
    watchers: BTreeMap<String, Vec<String>>,
    dirty: bool,
}

impl Ledger {
    /// Reads the host's receipt, and notes what the plan will touch there.
    pub(crate) fn open(host: &dyn Host, path: &str, steps: &[&Step]) -> Result<Self, StepError> {
        let receipt = Receipt::load(host, path).map_err(unreadable)?;
        let mut ledger = Self {
            path: path.to_owned(),
            receipt: receipt.unwrap_or_else(|| Receipt::new(host.name())),
            paths: BTreeSet::new(),
            watchers: BTreeMap::new(),
            dirty: false,
        };
        for step in steps {
            match &step.action {
                Action::File(_)
                | Action::Directory { .. }
                | Action::Link { .. }
                | Action::Absent { .. }
                | Action::Key(_) => {
                    ledger.paths.insert(step.subject());
                }
                // Another program makes it, because of what we do.
                Action::Wait(Wait {
                    probe: Probe::Path { path } | Probe::EtcdStarted { data: path, .. },
                    ..
                }) => {
                    ledger.paths.insert(path.clone());
                }
                Action::Service(service) => {
                    for path in service.restart_on.iter().chain(&service.reload_on) {
                        ledger.watchers.entry(path.clone()).or_default().push(service.unit.clone());
                    }
                }
                Action::Replaced(spec) => {
                    for pod in &spec.pods {
                        let watchers = ledger.watchers.entry(pod.manifest.clone()).or_default();
                        watchers.push(ReplacedSpec::SUBJECT.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(ledger)
    }

    /// To be called before paths are changed: what was there before, and which units will need a restart, go into the
    /// receipt. The answer is the change that writes it, to be made first; [`Self::saved`] is to be called then. The
    /// first call of a run notes all paths of the plan at once, which costs one write instead of one for each.
    pub(crate) fn before_changing(
        &mut self,
        host: &dyn Host,
        changes: &[Change],
        found: &BTreeMap<String, Option<Entry>>,
    ) -> Result<Option<Change>, StepError> {
        self.remember_paths(host, changes, found)?;
        for change in changes {
            let Change::Write { path, entry } = change else { continue };
            let old = found.get(path).and_then(Option::as_ref);
            let matters = |unit: &&String| *unit != ReplacedSpec::SUBJECT || replaced::is_altered(old, entry);
            for unit in self.watchers.get(path).into_iter().flatten().filter(matters) {
                let files = self.receipt.pending_restarts.entry(unit.clone()).or_default();
                self.dirty |= files.insert(path.clone());
            }
        }
        Ok(self.dirty.then(|| Change::Write { path: self.path.clone(), entry: self.receipt.entry() }))
    }

    /// To be called before something is replaced of which only matters who must be restarted for it.
    pub(crate) fn before_replacing(&mut self, host: &dyn Host, path: &str) -> Result<(), StepError> {
        for unit in self.watchers.get(path).into_iter().flatten() {
            let files = self.receipt.pending_restarts.entry(unit.clone()).or_default();
            self.dirty |= files.insert(path.to_owned());
        }
        self.save(host)
    }

    fn remember_paths(
        &mut self,
        host: &dyn Host,
        changes: &[Change],
        found: &BTreeMap<String, Option<Entry>>,
    ) -> Result<(), StepError> {
        let paths = changes.iter().map(|change| match change {
            Change::Write { path, .. } | Change::Remove { path } => path,
        });
        if paths.clone().all(|path| self.receipt.knows_before(path)) {
            return Ok(());
        }
        let unknown = self.paths.iter().chain(paths).filter(|path| !self.receipt.knows_before(path));
        let unknown: BTreeSet<String> = unknown.cloned().collect();
        let (known, asked): (Vec<_>, Vec<_>) = unknown.into_iter().partition(|path| found.contains_key(path));
        let answers = host.read_many(&asked)?;
        for path in &known {
            self.receipt.remember(path, &Before::of(found[path].as_ref()));
        }
        for (path, entry) in asked.iter().zip(&answers) {
            self.receipt.remember(path, &Before::of(entry.as_ref()));
        }
        self.dirty = true;
        Ok(())
    }

    /// The receipt is on the host as it is here.
    pub(crate) fn saved(&mut self) {
        self.dirty = false;
    }

    /// To be called before something else is changed; `state` is only asked the first time ever.
    pub(crate) fn before(
        &mut self,
        host: &dyn Host,
        key: &str,
        state: impl FnOnce() -> Result<Before, StepError>,
    ) -> Result<(), StepError> {
        if !self.receipt.knows_before(key) {
            self.receipt.remember(key, &state()?);
            self.dirty = true;
        }
        self.save(host)
    }

    /// The same where it is known; to be written down before the change is made.
    pub(crate) fn note_before(&mut self, key: &str, before: &Before) {
        if !self.receipt.knows_before(key) {
            self.receipt.remember(key, before);
            self.dirty = true;
        }
    }

    /// The files because of which a unit still has to be restarted.
    pub(crate) fn pending(&self, unit: &str) -> Option<&BTreeSet<String>> {
        self.receipt.pending_restarts.get(unit)
    }

    /// A unit runs with its files as they are.
    pub(crate) fn restarted(&mut self, unit: &str) {
        self.dirty |= self.receipt.pending_restarts.remove(unit).is_some();
    }

    /// Notes a finished step. One that changed nothing and is known with the same digest leaves no trace, so that a
    /// run without changes writes nothing.
    pub(crate) fn done(&mut self, step: &Step, changed: bool, digest: Option<String>, now: OffsetDateTime) {
        let subject = step.subject();
        let key = format!("{} {subject}", step.phase);
        self.note_for_others(&subject, digest.as_ref());
        let known = self.receipt.steps.get(&key);
        // An earlier run may have changed it and ended before it could say so.
        let changed = changed || known.is_none() && self.differs_from_before(step, digest.as_deref());
        if !changed && known.is_some_and(|known| known.digest == digest || digest.is_none()) {
            return;
        }
        let entry = StepReceipt {
            phase: step.phase.clone(),
            subject,
            changed: changed || known.is_some_and(|known| known.changed),
            digest,
            time: now.replace_nanosecond(0).unwrap_or(now).format(&Rfc3339).unwrap_or_default(),
        };
        self.receipt.steps.insert(key, entry);
        self.dirty = true;
    }

    /// Other phases that speak of the same thing find it like this from now on.
    fn note_for_others(&mut self, subject: &str, digest: Option<&String>) {
        let of_subject = |entry: &&mut StepReceipt| entry.subject == subject && entry.digest.is_some();
        for entry in self.receipt.steps.values_mut().filter(of_subject) {
            if digest.is_some() && entry.digest.as_ref() != digest {
                entry.digest = digest.cloned();
                self.dirty = true;
            }
        }
    }

    /// A step was undone.
    pub(crate) fn forget(&mut self, phase: &str, subject: &str) {
        self.dirty |= self.receipt.steps.remove(&format!("{phase} {subject}")).is_some();
    }

    /// Whether a path is known to have been otherwise before the first change.
    fn differs_from_before(&self, step: &Step, digest: Option<&str>) -> bool {
        let Some(before) = self.receipt.before(&step.subject()) else { return false };
        match (&step.action, before) {
            (Action::Absent { .. }, before) => before != Before::Absent,
            (Action::File(_), Before::File { digest: before, .. }) => digest != Some(&before),
            (Action::Link { target, .. }, Before::Link { target: before }) => *target != before,
            (Action::File(_) | Action::Link { .. }, _) => true,
            (Action::Directory { .. }, before) => before == Before::Absent,
            _ => false,
        }
    }

    /// Writes the receipt, if there is something new in it, and brings to the disk whatever was written.
    pub(crate) fn settle(&mut self, host: &dyn Host) -> Result<(), StepError> {
        if self.dirty {
            host.change_and_settle(&[Change::Write {
                path: self.path.clone(),
                entry: self.receipt.entry(),
            }])?;
            self.dirty = false;
            return Ok(());
        }
        Ok(host.settle()?)
    }

    /// Writes the receipt, if there is something new in it.
    pub(crate) fn save(&mut self, host: &dyn Host) -> Result<(), StepError> {
        if self.dirty {
            self.receipt.save(host, &self.path)?;
            self.dirty = false;
        }
        Ok(())
    }
}

fn unreadable(error: ReceiptError) -> StepError {
    let hint = match &error {
        ReceiptError::Host(_) => None,
        ReceiptError::Corrupt { path, .. } => Some(format!(
            "restore `{path}` from a backup, or move it away with `mv {path} {path}.broken`: the work is then found \
             again by comparing, but what was there before it is forgotten, and reset cannot restore that"
        )),
        ReceiptError::NotAFile { path } => Some(format!("move away what is at `{path}`")),
        ReceiptError::TooNew { .. } => {
            Some("use the version of kubewright that wrote it, or a newer one".to_owned())
        }
    };
    let error = match error {
        ReceiptError::Host(error) => return error.into(),
        other => StepError::new(FailureKind::Receipt, other),
    };
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

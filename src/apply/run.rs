//! The run: which step when, what is told, what is written down.

use crate::api;
use crate::api::Api;
use crate::api::ApiError;
use crate::apply::World;
use crate::apply::failure::StepError;
use crate::apply::ledger::Ledger;
use crate::apply::member::Announcements;
use crate::apply::schedule::Group;
use crate::apply::schedule::groups;
use crate::apply::site::Site;
use crate::apply::step;
use crate::apply::undo;
use crate::apply::undo::Undone;
use crate::etcd;
use crate::etcd::Etcd;
use crate::etcd::EtcdError;
use crate::host::DryRun;
use crate::host::Host;
use crate::host::fleet::side_by_side;
use crate::plan::Action;
use crate::plan::Identity;
use crate::plan::Place;
use crate::plan::Plan;
use crate::plan::Step;
use crate::plan::Undo;
use crate::report::Event;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Outcome;
use crate::report::Record;
use crate::report::Report;
use crate::report::Totals;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

/// The state of a run.
pub(crate) struct Run<'a> {
    pub plan: &'a Plan,
    pub world: &'a World<'a>,
    sites: BTreeMap<String, Mutex<Site>>,
    /// Where steps through the API are written down: the first host of the plan, or of the fleet where the plan
    /// names none.
    chronicler: Option<String>,
    dry_api: OnceLock<Arc<api::DryRun>>,
    dry_super_api: OnceLock<Arc<api::DryRun>>,
    /// By position in the plan.
    records: Mutex<BTreeMap<usize, Record>>,
    failures: Mutex<Vec<Failure>>,
    /// The steps that were begun, by position in the plan.
    begun: Mutex<BTreeSet<usize>>,
    pub announcements: Announcements,
    /// From now on nothing stops on an interrupt.
    undoing: AtomicBool,
    undone: Mutex<Vec<Record>>,
}

/// What a step came to.
pub(crate) struct Done {
    pub outcome: Outcome,
    pub detail: Option<String>,
    pub diff: Option<String>,
    /// Of what is there now.
    pub digest: Option<String>,
}

impl Done {
    pub(crate) fn new(outcome: Outcome) -> Self {
        Self { outcome, detail: None, diff: None, digest: None }
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

impl<'a> Run<'a> {
    pub(crate) fn new(plan: &'a Plan, world: &'a World<'a>) -> Self {
        let hosts = plan.steps.iter().filter_map(|step| match &step.place {
            Place::Host(name) => Some(name),
            Place::Cluster => None,
        });
        let chronicler = hosts.clone().next().cloned();
        let chronicler = chronicler.or_else(|| world.hosts.names().next().map(str::to_owned));
        let sites = hosts.chain(&chronicler).filter_map(|name| {
            let host = Arc::clone(world.hosts.get(name)?);
            let host: Arc<dyn Host> = if world.options.dry_run { Arc::new(DryRun::new(host)) } else { host };
            Some((name.clone(), Mutex::new(Site::new(host))))
        });
        Self {
            plan,
            world,
            sites: sites.collect(),
            chronicler,
            dry_api: OnceLock::new(),
            dry_super_api: OnceLock::new(),
            records: Mutex::default(),
            failures: Mutex::default(),
            begun: Mutex::default(),
            announcements: Announcements::default(),
            undoing: AtomicBool::new(false),
            undone: Mutex::default(),
        }
    }

    pub(crate) fn go(self) -> Report {
        let start = self.world.clock.monotonic();
        self.tell(Event::RunStarted {
            hosts: self.sites.keys().cloned().collect(),
            steps: self.plan.steps.len(),
            dry_run: self.world.options.dry_run,
        });
        self.open_ledgers();
        for group in groups(self.plan) {
            if self.failed() || self.interrupted() {
                break;
            }
            self.perform(&group);
        }
        self.undo();
        self.close_ledgers();
        self.warn_of_silence();
        let interrupted = self.was_interrupted() && self.records().len() < self.plan.steps.len();
        let elapsed_ms = self.millis_since(start);
        let totals = Totals::of(self.records().values());
        self.tell(Event::RunFinished { totals, interrupted, elapsed_ms });
        self.into_report(interrupted, elapsed_ms)
    }

    /// Does the steps of a group, each host on its own thread.
    fn perform(&self, group: &Group<'a>) {
        let start = self.world.clock.monotonic();
        let mut places: Vec<(&Place, Vec<(usize, &Step)>)> = Vec::new();
        for &(index, step) in &group.steps {
            match places.iter_mut().find(|(place, _)| **place == step.place) {
                Some((_, steps)) => steps.push((index, step)),
                None => places.push((&step.place, vec![(index, step)])),
            }
        }
        let hosts = places.iter().filter_map(|(place, _)| host_of(place)).collect();
        let steps = group.steps.len();
        self.tell(Event::PhaseStarted { phase: group.phase.to_owned(), hosts, steps });
        side_by_side(places, self.world.options.parallel, |(place, steps)| self.perform_at(place, &steps));
        let totals = {
            let records = self.records();
            Totals::of(group.steps.iter().filter_map(|(index, _)| records.get(index)))
        };
        let elapsed_ms = self.millis_since(start);
        self.tell(Event::PhaseFinished { phase: group.phase.to_owned(), totals, elapsed_ms });
    }

    /// Does the steps of one place in order, until one fails.
    fn perform_at(&self, place: &Place, steps: &[(usize, &Step)]) {
        let name = match place {
            Place::Host(name) => Some(name),
            Place::Cluster => self.chronicler.as_ref(),
        };
        let mut site = name.and_then(|name| self.sites.get(name)).map(lock);
        for &(index, step) in steps {
            if self.interrupted() || !self.perform_step(index, step, site.as_deref_mut()) {
                break;
            }
        }
    }

    /// Does one step, tells and writes down what came of it; whether to go on.
    fn perform_step(&self, index: usize, step: &Step, mut site: Option<&mut Site>) -> bool {
        let (start, host) = (self.world.clock.monotonic(), host_of(&step.place));
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).insert(index);
        let (phase, title, subject) = (step.phase.clone(), step.title.clone(), step.subject());
        self.tell(Event::StepStarted {
            phase: phase.clone(),
            host: host.clone(),
            title: title.clone(),
            subject: subject.clone(),
        });
        let begun = match site.as_deref_mut() {
            Some(site) if builds_on_files(&step.action) => site.settle(),
            _ => Ok(()),
        };
        let result = begun.and_then(|()| step::perform(self, step, site.as_deref_mut())).and_then(|done| {
            if let Some(site) = site.as_deref_mut() {
                self.write_down(step, &done, site)?;
            }
            Ok(done)
        });
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

    fn write_down(&self, step: &Step, done: &Done, site: &mut Site) -> Result<(), StepError> {
        let told = matches!(done.outcome, Outcome::Ok | Outcome::Changed);
        if !told || self.world.options.dry_run || matches!(step.action, Action::Wait(_)) {
            return Ok(());
        }
        let Site { host, ledger: Some(ledger), .. } = site else { return Ok(()) };
        let changed = done.outcome == Outcome::Changed;
        ledger.done(step, changed, done.digest.clone(), self.world.clock.now());
        // Files and objects come by the dozen, and the next run finds them by comparing; it may not plan a link again
        // that another program is in charge of by then.
        let alone = matches!(
            step.action,
            Action::Service(_)
                | Action::Run(_)
                | Action::Image(_)
                | Action::Artifact(_)
                | Action::Package(_)
                | Action::Link { .. }
                | Action::Member(_)
        );
        if changed && alone { ledger.save(host.as_ref()) } else { Ok(()) }
    }

    /// Writes the record, then keeps the failure.
    fn stop(&self, step: &Step, error: StepError, site: Option<&mut Site>) {
        let mut error = error;
        if let Some(Err(unwritten)) = site.map(Site::save) {
            error = error.detail("receipt", format!("not written: {}", unwritten.line()));
        }
        if error.kind == FailureKind::Interrupted {
            return;
        }
        let failure = error.of_step(step, &self.world.options.resume);
        // What is to be undone belongs to the failure, which is told when that is known.
        if self.world.options.dry_run || !self.plan.undo.iter().any(|undo| undo.concerns(step)) {
            self.tell(Event::Failed { failure: failure.clone() });
        }
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
    }

    /// Takes back every phase that began and did not come to its end, the last one first.
    fn undo(&self) {
        if self.world.options.dry_run || !(self.failed() || self.was_interrupted()) {
            return;
        }
        self.undoing.store(true, Ordering::Relaxed);
        for undo in self.plan.undo.iter().rev() {
            let undone = if self.is_unfinished(undo) { self.undo_one(undo) } else { Undone::default() };
            self.tell_undone(undo, undone);
        }
    }

    fn undo_one(&self, undo: &Undo) -> Undone {
        self.tell(Event::Warning {
            host: host_of(&undo.place),
            message: format!("undoing {}, which did not come to its end", undo.phase),
            hint: None,
        });
        let site = match &undo.place {
            Place::Host(name) => self.sites.get(name),
            Place::Cluster => None,
        };
        undo::perform(self, undo, site.map(lock).as_deref_mut())
    }

    /// Whether a phase began at its place and did not come to its end there.
    fn is_unfinished(&self, undo: &Undo) -> bool {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let records = self.records();
        let steps = || self.plan.steps.iter().enumerate().filter(|(_, step)| undo.concerns(step));
        let finished = |index| records.get(&index).is_some_and(|record| record.outcome != Outcome::Failed);
        steps().any(|(index, _)| begun.contains(&index)) && !steps().all(|(index, _)| finished(index))
    }

    /// Adds what was undone to the failure because of which it was, or warns of it after an interrupt.
    fn tell_undone(&self, undo: &Undo, undone: Undone) {
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

    fn open_ledgers(&self) {
        let mut first: BTreeMap<&str, &Step> = BTreeMap::new();
        for step in &self.plan.steps {
            if let Some(name) = self.written_down_at(step) {
                first.entry(name).or_insert(step);
            }
        }
        side_by_side(first.into_iter().collect(), self.world.options.parallel, |(name, step)| {
            if let Err(error) = self.open_ledger(name) {
                self.stop(step, error, None);
            }
        });
    }

    fn open_ledger(&self, name: &str) -> Result<(), StepError> {
        let site =
            self.sites.get(name).ok_or_else(|| StepError::plan(format!("no host is called {name}")))?;
        let Some(path) = &self.world.options.receipt else { return Ok(()) };
        let here = |step: &&Step| matches!(&step.place, Place::Host(host) if host == name);
        let steps: Vec<&Step> = self.plan.steps.iter().filter(here).collect();
        let mut site = lock(site);
        site.ledger = Some(Ledger::open(site.host.as_ref(), path, &steps)?);
        Ok(())
    }

    fn close_ledgers(&self) {
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
    fn written_down_at<'s>(&'s self, step: &'s Step) -> Option<&'s String> {
        match &step.place {
            Place::Host(name) => Some(name),
            Place::Cluster => self.chronicler.as_ref(),
        }
    }

    fn warn_of_silence(&self) {
        let asked = self.dry_api.get();
        if asked.is_some_and(|api| api.assumes_nothing_there())
            && self.world.api.client(Identity::Admin).is_ok()
        {
            self.tell(Event::Warning {
                host: None,
                message: "the API server does not answer, so every object counts as missing".to_owned(),
                hint: None,
            });
        }
    }

    /// A client; in a dry run one that changes nothing and knows what would have been changed.
    pub(crate) fn client(&self, identity: Identity) -> Result<Arc<dyn Api>, ApiError> {
        if !self.world.options.dry_run {
            return self.world.api.client(identity);
        }
        let real = |identity| self.world.api.client(identity).ok();
        let admin = self.dry_api.get_or_init(|| Arc::new(api::DryRun::new(real(Identity::Admin))));
        let dry = match identity {
            Identity::SuperAdmin => {
                self.dry_super_api.get_or_init(|| Arc::new(admin.through(real(Identity::SuperAdmin))))
            }
            // Nothing is written as these, so there is nothing that the others would have to know.
            Identity::Admin | Identity::LocalAdmin | Identity::Node => admin,
        };
        Ok(Arc::clone(dry) as Arc<dyn Api>)
    }

    /// The cluster's own etcd; in a dry run one that changes nothing.
    pub(crate) fn etcd(&self) -> Result<Arc<dyn Etcd>, EtcdError> {
        let real = self.world.etcd.client()?;
        Ok(if self.world.options.dry_run { Arc::new(etcd::DryRun::new(real)) } else { real })
    }

    pub(crate) fn tell(&self, event: Event) {
        (self.world.events)(event);
    }

    /// Whether to stop. What was begun is undone to its end.
    pub(crate) fn interrupted(&self) -> bool {
        self.was_interrupted() && !self.undoing.load(Ordering::Relaxed)
    }

    fn was_interrupted(&self) -> bool {
        self.world.interrupt.load(Ordering::Relaxed)
    }

    pub(crate) fn millis_since(&self, start: std::time::Duration) -> u64 {
        let passed = self.world.clock.monotonic().saturating_sub(start);
        u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
    }

    /// The outcome of something that differs: made so, or in a dry run only found to differ.
    pub(crate) fn changed(&self) -> Outcome {
        if self.world.options.dry_run { Outcome::WouldChange } else { Outcome::Changed }
    }

    fn failed(&self) -> bool {
        !self.failures.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn records(&self) -> MutexGuard<'_, BTreeMap<usize, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn into_report(self, interrupted: bool, elapsed_ms: u64) -> Report {
        let records = self.records.into_inner().unwrap_or_else(PoisonError::into_inner);
        Report {
            dry_run: self.world.options.dry_run,
            not_begun: self.plan.steps.len() - records.len(),
            records: records.into_values().collect(),
            failures: self.failures.into_inner().unwrap_or_else(PoisonError::into_inner),
            undone: self.undone.into_inner().unwrap_or_else(PoisonError::into_inner),
            interrupted,
            elapsed_ms,
        }
    }
}

/// How to do by hand what undoing did not get to: the last of so many steps that were tried, and those after it.
fn mend(undo: &Undo, tried: usize) -> String {
    let left = undo.mend.iter().skip(tried.saturating_sub(1));
    left.filter(|line| !line.is_empty()).map(String::as_str).collect::<Vec<_>>().join("; ")
}

/// Whether what was written so far must be on the disk before such a step.
fn builds_on_files(action: &Action) -> bool {
    match action {
        Action::Wait(_)
        | Action::Service(_)
        | Action::Run(_)
        | Action::Object(_)
        | Action::Package(_)
        | Action::Member(_) => true,
        Action::File(_)
        | Action::Directory { .. }
        | Action::Link { .. }
        | Action::Absent { .. }
        | Action::Image(_)
        | Action::Key(_)
        | Action::Artifact(_)
        | Action::ImageArchive(_)
        | Action::Clear(_)
        | Action::Stop(_)
        | Action::Pod(_)
        | Action::Rules(_) => false,
    }
}

fn lock(site: &Mutex<Site>) -> MutexGuard<'_, Site> {
    site.lock().unwrap_or_else(PoisonError::into_inner)
}

fn host_of(place: &Place) -> Option<String> {
    match place {
        Place::Host(name) => Some(name.clone()),
        Place::Cluster => None,
    }
}

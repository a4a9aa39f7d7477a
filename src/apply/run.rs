//! The run: which step when, what is told, what is written down.

use crate::api;
use crate::api::Api;
use crate::api::ApiError;
use crate::apply::World;
use crate::apply::batch;
use crate::apply::failure::StepError;
use crate::apply::member::Announcements;
use crate::apply::retry;
use crate::apply::schedule::Board;
use crate::apply::schedule::Turn;
use crate::apply::site::Site;
use crate::apply::step;
use crate::apply::wait;
use crate::etcd;
use crate::etcd::Etcd;
use crate::etcd::EtcdError;
use crate::host::DryRun;
use crate::host::Host;
use crate::host::fleet::side_by_side;
use crate::plan::Action;
use crate::plan::Identity;
use crate::plan::Order;
use crate::plan::Place;
use crate::plan::Plan;
use crate::plan::Step;
use crate::plan::Wait;
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
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

/// How soon a worker without work notices an interrupt.
const WORKER_PAUSE: Duration = Duration::from_millis(200);

/// Objects that are written at the same time: as many as an API server does not notice.
const OBJECTS_AT_ONCE: usize = 8;

/// The state of a run.
pub(crate) struct Run<'a> {
    pub plan: &'a Plan,
    pub world: &'a World<'a>,
    pub(super) sites: BTreeMap<String, Mutex<Site>>,
    pub(super) board: Mutex<Board<'a>>,
    /// A lane has come further.
    pub(super) moved: Condvar,
    /// When each phase that was told to have begun did, by group; `None` when it was told to be over.
    pub(super) phases: Mutex<BTreeMap<usize, Option<Duration>>>,
    /// Where steps through the API are written down: the first host of the plan, or of the fleet where the plan
    /// names none.
    pub(super) chronicler: Option<String>,
    dry_api: OnceLock<Arc<api::DryRun>>,
    dry_super_api: OnceLock<Arc<api::DryRun>>,
    /// By position in the plan.
    pub(super) records: Mutex<BTreeMap<usize, Record>>,
    pub(super) failures: Mutex<Vec<Failure>>,
    /// The steps that were begun, by position in the plan.
    pub(super) begun: Mutex<BTreeSet<usize>>,
    pub announcements: Announcements,
    /// From now on nothing stops on an interrupt.
    pub(super) undoing: AtomicBool,
    pub(super) undone: Mutex<Vec<Record>>,
}

/// What a step came to.
pub(crate) struct Done {
    pub outcome: Outcome,
    pub detail: Option<String>,
    pub diff: Option<String>,
    /// Of what is there now.
    pub digest: Option<String>,
}

/// A turn at work. It is given back also when a mistake of ours ends the thread: the others would wait for it for ever,
/// and nobody would learn of the mistake.
struct Taken<'t, 'a> {
    run: &'t Run<'a>,
    turn: &'t Turn,
    /// How many of its steps were done, and whether one failed.
    came: (usize, Option<String>),
}

impl Drop for Taken<'_, '_> {
    fn drop(&mut self) {
        let (done, failed) = std::mem::take(&mut self.came);
        self.run.board().give_back(self.turn, done, failed);
        self.run.moved.notify_all();
    }
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
            board: Mutex::new(Board::new(plan)),
            moved: Condvar::new(),
            phases: Mutex::default(),
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
        if !self.is_hopeless() {
            let workers = self.world.options.parallel.clamp(1, self.sites.len() + 1);
            thread::scope(|scope| {
                (1..workers).for_each(|_| drop(scope.spawn(|| self.work())));
                self.work();
            });
        }
        self.tell_blocked();
        self.undo();
        self.close_ledgers();
        self.warn_of_silence();
        let interrupted = self.was_interrupted() && self.records().len() < self.plan.steps.len();
        let elapsed_ms = self.millis_since(start);
        let totals = Totals::of(self.records().values());
        self.tell(Event::RunFinished { totals, interrupted, elapsed_ms });
        self.into_report(interrupted, elapsed_ms)
    }

    /// Whether what failed beforehand concerns everybody: the plan is wrong, or hosts go one after the other.
    fn is_hopeless(&self) -> bool {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let listed = self.plan.order == Order::Listed;
        failures.iter().any(|failure| listed || failure.kind == FailureKind::Plan)
    }

    /// Does what may begin, until nothing is left or nothing goes on.
    fn work(&self) {
        while let Some(turn) = self.next_turn() {
            // Whoever did the last step of a phase may not have come to telling so.
            self.end_phases();
            turn.steps.iter().for_each(|index| self.begin_phase(*index));
            let mut taken = Taken { run: self, turn: &turn, came: (0, Some(String::new())) };
            taken.came = self.perform(&turn);
            drop(taken);
            self.end_phases();
        }
        self.moved.notify_all();
    }

    fn next_turn(&self) -> Option<Turn> {
        let mut board = self.board();
        loop {
            if self.interrupted() {
                return None;
            }
            if let Some(turn) = board.take() {
                return Some(turn);
            }
            if !board.is_busy() {
                return None;
            }
            board = self.moved.wait_timeout(board, WORKER_PAUSE).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Does the steps of a turn until one fails: how many were done, and whether one failed.
    fn perform(&self, turn: &Turn) -> (usize, Option<String>) {
        let steps: Vec<(usize, &Step)> =
            turn.steps.iter().map(|index| (*index, &self.plan.steps[*index])).collect();
        let done = match (&steps[0].1.place, &steps[0].1.action) {
            (Place::Cluster, _) => self.perform_through_api(&steps),
            (Place::Host(name), Action::Wait(wait)) => {
                self.sites.get(name).map_or(0, |site| self.perform_wait(steps[0], wait, site))
            }
            (Place::Host(name), _) => match self.sites.get(name).map(lock) {
                Some(mut site) => self.perform_at(&steps, &mut site),
                None => 0,
            },
        };
        (done, (done < steps.len()).then(String::new))
    }

    /// Steps through the API hold no host: others may work on the one that keeps the record. Several are done side by
    /// side, since each takes as long as etcd takes to write it down.
    fn perform_through_api(&self, steps: &[(usize, &'a Step)]) -> usize {
        let starts: Vec<Duration> = steps.iter().map(|(index, step)| self.begin(*index, step)).collect();
        let site = || self.chronicler.as_ref().and_then(|name| self.sites.get(name)).map(lock);
        let builds = steps.iter().any(|(_, step)| builds_on_files(&step.action));
        let objects = steps.iter().all(|(_, step)| matches!(step.action, Action::Object(_)));
        // Nobody waits for an object for long, and the next run finds it by comparing.
        let settle =
            |mut site: MutexGuard<'_, Site>| if objects { site.settle_files() } else { site.settle() };
        let settled = if builds { site().map(settle) } else { None };
        let settled = if self.record_is_lost() { Ok(()) } else { settled.unwrap_or(Ok(())) };
        let results = match (settled, steps) {
            (Err(error), _) => vec![Err(error)],
            (Ok(()), [(_, step)]) => vec![step::perform(self, step, None)],
            (Ok(()), steps) => {
                side_by_side(steps.to_vec(), OBJECTS_AT_ONCE, |(_, step)| step::perform(self, step, None))
            }
        };
        let mut done = 0;
        for (number, ((index, step), result)) in steps.iter().zip(results).enumerate() {
            let result = match (result, site()) {
                (Ok(done), Some(mut site)) if !self.record_is_lost() => {
                    self.write_down(step, &done, &mut site).map(|()| done)
                }
                (result, _) => result,
            };
            if self.finish(*index, step, starts[number], result, site().as_deref_mut()) && done == number {
                done += 1;
            }
        }
        done
    }

    /// A wait takes long, and changes nothing on its host: who writes something down there meanwhile is not kept back.
    fn perform_wait(&self, (index, step): (usize, &'a Step), wait: &Wait, site: &Mutex<Site>) -> usize {
        let start = self.begin(index, step);
        let mut results = retry::perform(self, &[step], |_| {
            let (settled, host) = {
                let mut site = lock(site);
                (site.settle(), Arc::clone(&site.host))
            };
            vec![settled.and_then(|()| wait::hold(self, step, wait, Some(&*host)))]
        });
        let nothing = || Err(StepError::plan("nothing came of it".to_owned()));
        let result = results.pop().unwrap_or_else(nothing);
        usize::from(self.finish(index, step, start, result, Some(&mut lock(site))))
    }

    /// Whether the host that keeps the record of what goes through the API has failed: its record is then not worth
    /// stopping the others for.
    fn record_is_lost(&self) -> bool {
        let board = self.board();
        self.chronicler.as_ref().is_some_and(|name| board.has_failed(name))
    }

    /// Does the steps of one host in order, until one fails; how many were done.
    fn perform_at(&self, steps: &[(usize, &'a Step)], site: &mut Site) -> usize {
        let starts: Vec<Duration> = steps.iter().map(|(index, step)| self.begin(*index, step)).collect();
        let plain: Vec<&Step> = steps.iter().map(|(_, step)| *step).collect();
        let results = retry::perform(self, &plain, |left| {
            let results = match left {
                [step] => vec![self.perform_alone(step, site)],
                left => batch::perform(self, left, site),
            };
            let untouched = |result: &Result<Done, _>| matches!(result, Ok(done) if matches!(done.outcome, Outcome::Ok | Outcome::WouldChange));
            if !results.iter().all(untouched) {
                site.touched();
            }
            results
        });
        // One write for all of them.
        let worth_it = |(number, result): (usize, &Result<Done, StepError>)| {
            let done = result.as_ref().ok()?;
            self.note(steps[number].1, done, site).then_some(number)
        };
        let last = results.iter().enumerate().filter_map(worth_it).last();
        let mut saved = last.map(|number| (number, self.save(steps[number].1, site)));
        let mut done = 0;
        for (number, ((index, step), (start, result))) in
            steps.iter().zip(starts.into_iter().zip(results)).enumerate()
        {
            let saved = saved.take_if(|(last, _)| *last == number).map_or(Ok(()), |(_, answer)| answer);
            let written = result.and_then(|done| saved.map(|()| done));
            if !self.finish(*index, step, start, written, Some(site)) {
                break;
            }
            done += 1;
        }
        done
    }

    fn perform_alone(&self, step: &Step, site: &mut Site) -> Result<Done, StepError> {
        // A service is asked first, and what it was like is written down together with what it builds on.
        if builds_on_files(&step.action) && !matches!(step.action, Action::Service(_)) {
            site.settle()?;
        }
        step::perform(self, step, Some(site))
    }

    pub(super) fn board(&self) -> MutexGuard<'_, Board<'a>> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write_down(&self, step: &Step, done: &Done, site: &mut Site) -> Result<(), StepError> {
        if self.note(step, done, site) { self.save(step, site) } else { Ok(()) }
    }

    /// Keeps what came of a step for the record; whether it is worth being written at once.
    fn note(&self, step: &Step, done: &Done, site: &mut Site) -> bool {
        let told = matches!(done.outcome, Outcome::Ok | Outcome::Changed);
        if !told || self.world.options.dry_run || matches!(step.action, Action::Wait(_) | Action::Replaced(_))
        {
            return false;
        }
        let Some(ledger) = &mut site.ledger else { return false };
        let changed = done.outcome == Outcome::Changed;
        ledger.done(step, changed, done.digest.clone(), self.world.clock.now());
        // Files, objects and services come by the dozen, and the next run finds them by comparing; it may not plan a link
        // again that another program is in charge of by then.
        let alone = matches!(
            step.action,
            Action::Run(_)
                | Action::Image(_)
                | Action::Artifact(_)
                | Action::Package(_)
                | Action::Link { .. }
                | Action::Member(_)
        );
        changed && alone
    }

    fn save(&self, step: &Step, site: &mut Site) -> Result<(), StepError> {
        let Site { host, ledger: Some(ledger), .. } = site else { return Ok(()) };
        retry::until_done(self, step, || ledger.save(host.as_ref()))
    }

    /// Writes the record, then keeps the failure.
    pub(super) fn stop(&self, step: &Step, error: StepError, site: Option<&mut Site>) {
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

    /// A client that only looks; of the API server of `host` where there is one.
    pub(crate) fn client_at(
        &self,
        host: Option<&dyn Host>,
        identity: Identity,
    ) -> Result<Arc<dyn Api>, ApiError> {
        match host {
            Some(host) => self.world.api.client_at(host.name(), identity),
            None => self.client(identity),
        }
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

    pub(super) fn was_interrupted(&self) -> bool {
        self.world.interrupt.load(Ordering::Relaxed)
    }

    pub(crate) fn millis_since(&self, start: Duration) -> u64 {
        let passed = self.world.clock.monotonic().saturating_sub(start);
        u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
    }

    /// The outcome of something that differs: made so, or in a dry run only found to differ.
    pub(crate) fn changed(&self) -> Outcome {
        if self.world.options.dry_run { Outcome::WouldChange } else { Outcome::Changed }
    }

    pub(super) fn failed(&self) -> bool {
        !self.failures.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    pub(super) fn records(&self) -> MutexGuard<'_, BTreeMap<usize, Record>> {
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

/// Whether what was written so far must be on the disk before such a step.
fn builds_on_files(action: &Action) -> bool {
    match action {
        Action::Wait(_)
        | Action::Replaced(_)
        | Action::Service(_)
        | Action::Run(_)
        | Action::Object(_)
        | Action::Package(_)
        | Action::Member(_)
        | Action::Drain(_)
        | Action::Delete(_) => true,
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

pub(super) fn lock(site: &Mutex<Site>) -> MutexGuard<'_, Site> {
    site.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn host_of(place: &Place) -> Option<String> {
    match place {
        Place::Host(name) => Some(name.clone()),
        Place::Cluster => None,
    }
}

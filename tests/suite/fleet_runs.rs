//! A whole cluster carried out on hosts in memory: cut off, filled up and interrupted wherever that can happen, and run
//! again.

use crate::scenario_runs::Contents;
use crate::scenario_runs::Stage;
use crate::scenario_runs::without_tls;
use crate::support::scenario::Scenario;
use crate::support::small_host::ImageFiles;
use kubewright::apply;
use kubewright::apply::Options;
use kubewright::apply::World;
use kubewright::apply::receipt;
use kubewright::cluster::kubeadm::KeyAlgorithm;
use kubewright::etcd;
use kubewright::host::Entry;
use kubewright::host::Fake;
use kubewright::host::Fleet;
use kubewright::host::Host as _;
use kubewright::host::fake::Fault;
use kubewright::plan::Plan;
use kubewright::report::Event;
use kubewright::report::FailureKind;
use kubewright::report::Outcome;
use kubewright::report::Report;
use kubewright::review::left;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

/// Three control planes with keepalived and HAProxy, and a worker.
const SCENARIO: &str = "endpoint-keepalived";

/// A cluster whose identities are made once, so that two runs can be compared.
pub(crate) struct Trial {
    pub(crate) scenario: Scenario,
    pub(crate) contents: Contents<'static>,
}

/// One run, and what is there afterwards.
pub(crate) struct Ran {
    pub(crate) report: Report,
    events: Vec<Event>,
}

impl Trial {
    pub(crate) fn new() -> Self {
        let mut scenario = Scenario::load(SCENARIO, None);
        scenario.cluster.configuration.encryption_algorithm = KeyAlgorithm::EcdsaP256;
        let cluster = Box::leak(Box::new(scenario.cluster.clone()));
        let stage = Stage::new(cluster);
        let bundle = stage.bundle(cluster);
        let host = Box::leak(Box::new(Fake::new("nobody")));
        Self { scenario, contents: Contents { bundle, cluster, host } }
    }

    pub(crate) fn stage(&self) -> Stage {
        Stage::new(&self.scenario.cluster)
    }

    /// The plan as the hosts are now.
    pub(crate) fn plan(&mut self, stage: &Stage) -> Plan {
        for (host, facts) in &mut self.scenario.facts {
            facts.existing_paths =
                stage.hosts.get(host).map(|host| host.files().into_keys().collect()).unwrap_or_default();
        }
        without_tls(self.scenario.plan())
    }

    pub(crate) fn run(&self, stage: &Stage, plan: &Plan) -> Ran {
        self.run_with(stage, plan, &Options::default(), &AtomicBool::new(false), &|_| {})
    }

    fn run_with(
        &self,
        stage: &Stage,
        plan: &Plan,
        options: &Options,
        interrupt: &AtomicBool,
        listen: &(dyn Fn(&Event) + Sync),
    ) -> Ran {
        let mut fleet = Fleet::new();
        stage.hosts.values().for_each(|host| fleet.insert(Arc::<Fake>::clone(host)));
        let events = Mutex::new(Vec::new());
        let world = World {
            hosts: &fleet,
            api: &stage.api,
            etcd: &etcd::Known(Arc::new(stage.etcd.clone())),
            resolver: &self.contents,
            images: &ImageFiles,
            pods: &ImageFiles,
            clock: &stage.clock,
            events: &|event| {
                listen(&event);
                events.lock().unwrap().push(event);
            },
            interrupt,
            options,
        };
        let report = apply::execute(plan, &world);
        Ran { report, events: events.into_inner().unwrap() }
    }

    /// An undisturbed run from the beginning.
    fn undisturbed(&mut self) -> State {
        let stage = self.stage();
        let plan = self.plan(&stage);
        let ran = self.run(&stage, &plan);
        assert!(ran.report.success() && ran.report.not_begun == 0, "{:#?}", ran.report.failures);
        State::of(&stage)
    }

    /// Runs again until the end, which must come at once, and then once more without any change.
    fn finish(&mut self, stage: &Stage, what: &str) -> State {
        let plan = self.plan(stage);
        let ran = self.run(stage, &plan);
        assert!(ran.report.success() && ran.report.not_begun == 0, "{what}: {:#?}", ran.report.failures);
        State::of(stage)
    }
}

/// What there is, but for records of how it came to be.
#[derive(PartialEq)]
struct State {
    files: BTreeMap<String, BTreeMap<String, Entry>>,
    objects: Vec<String>,
    running: BTreeMap<String, bool>,
}

impl State {
    fn of(stage: &Stage) -> Self {
        let files = |host: &Arc<Fake>| {
            host.files().into_iter().filter(|(path, _)| path != receipt::PATH).collect::<BTreeMap<_, _>>()
        };
        Self {
            files: stage.hosts.iter().map(|(name, host)| (name.clone(), files(host))).collect(),
            objects: stage.api.objects().keys().map(ToString::to_string).collect(),
            running: stage
                .hosts
                .iter()
                .map(|(name, host)| (name.clone(), host.unit("kubelet").is_some_and(|unit| unit.active)))
                .collect(),
        }
    }

    #[track_caller]
    fn expect(&self, undisturbed: &Self, what: &str) {
        for (host, files) in &self.files {
            let wanted = &undisturbed.files[host];
            let differs: Vec<&String> = files
                .keys()
                .chain(wanted.keys())
                .filter(|path| files.get(*path) != wanted.get(*path))
                .collect();
            assert!(differs.is_empty(), "{what}: {host} differs in {differs:?}");
        }
        assert_eq!(self.objects, undisturbed.objects, "{what}");
        assert_eq!(self.running, undisturbed.running, "{what}");
    }
}

/// How many changes a run makes on a host.
fn mutations(trial: &mut Trial, host: &str) -> usize {
    let stage = trial.stage();
    let plan = trial.plan(&stage);
    assert!(trial.run(&stage, &plan).report.success());
    stage.hosts[host].mutations()
}

type Make = fn(usize) -> Fault;

/// The first control plane, one beside it, and a worker: each fault at some of their changes.
#[test]
fn whatever_breaks_at_whatever_change_the_next_run_ends_as_if_nothing_had_been() {
    let mut trial = Trial::new();
    let undisturbed = trial.undisturbed();
    let faults: [(&str, Make); 3] = [
        ("the disk is full at", Fault::Refuse),
        ("gone before", Fault::DieBefore),
        ("gone after", Fault::DieAfter),
    ];
    let mut broken = 0;
    for host in ["cp1", "cp2", "w1"] {
        let count = mutations(&mut trial, host);
        assert!(count > 5, "{host}: {count}");
        for at in (0..count).step_by(4) {
            let (words, fault) = faults[at / 4 % faults.len()];
            let what = format!("{host} {words} change {at}");
            let stage = trial.stage();
            stage.hosts[host].break_at(fault(at));
            let plan = trial.plan(&stage);
            let ran = trial.run(&stage, &plan);
            broken += usize::from(!ran.report.success());
            stage.hosts[host].heal();
            trial.finish(&stage, &what).expect(&undisturbed, &what);
        }
    }
    assert!(broken > 30, "only {broken} runs were broken");
}

#[test]
fn a_host_that_fails_stops_nobody_who_does_not_need_it() {
    let mut trial = Trial::new();
    let stage = trial.stage();
    stage.hosts["cp2"].break_at(Fault::DieBefore(3));
    let plan = trial.plan(&stage);
    let ran = trial.run(&stage, &plan);
    let failed: Vec<_> = ran.report.failures.iter().map(|failure| failure.host.as_deref()).collect();
    assert_eq!(failed, [Some("cp2")], "{:#?}", ran.report.failures);
    for host in ["cp1", "cp3", "w1"] {
        let wanted =
            plan.steps.iter().filter(|step| step.place == kubewright::plan::Place::Host(host.into()));
        let done = ran.report.records.iter().filter(|record| record.host.as_deref() == Some(host));
        assert_eq!(done.count(), wanted.count(), "{host} was finished");
    }
    // What is left is what belongs to it.
    let left = left::lines(&plan, &ran.report);
    assert!(left.iter().any(|line| line.starts_with("cp2: ")), "{left:?}");
    let others = left.iter().filter(|line| !line.starts_with("cp2: "));
    assert_eq!(others.collect::<Vec<_>>(), ["through the Kubernetes API: mark-control-plane"]);
}

#[test]
fn a_host_without_a_record_is_not_touched_and_stops_nobody() {
    let unfit = Options {
        unfit: BTreeMap::from([("cp2".to_owned(), "its disk is full".to_owned())]),
        ..Options::default()
    };
    for (receipt, options, said) in
        [(Some("{"), Options::default(), "receipt"), (None, unfit, "its disk is full")]
    {
        let mut trial = Trial::new();
        let stage = trial.stage();
        if let Some(text) = receipt {
            stage.hosts["cp2"].write(receipt::PATH, &Entry::file(text, 0o600)).unwrap();
        }
        let before = stage.hosts["cp2"].mutations();
        let plan = trial.plan(&stage);
        let ran = trial.run_with(&stage, &plan, &options, &AtomicBool::new(false), &|_| {});
        let failed: Vec<_> = ran.report.failures.iter().map(|failure| failure.host.as_deref()).collect();
        assert_eq!(failed, [Some("cp2")], "{:#?}", ran.report.failures);
        assert!(ran.report.failures[0].causes.concat().contains(said), "{:#?}", ran.report.failures);
        assert_eq!(stage.hosts["cp2"].mutations(), before);
        let untouched = ["cp1", "cp3", "w1"].map(|host| stage.hosts[host].mutations());
        assert!(untouched.iter().all(|count| *count > 0), "{untouched:?}");
        let left = left::lines(&plan, &ran.report);
        let others = left.iter().filter(|line| !line.starts_with("cp2: "));
        assert_eq!(others.collect::<Vec<_>>(), ["through the Kubernetes API: mark-control-plane"]);
    }
}

#[test]
fn every_phase_is_told_once() {
    let mut trial = Trial::new();
    let stage = trial.stage();
    let plan = trial.plan(&stage);
    let ran = trial.run(&stage, &plan);
    let mut started: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for event in &ran.events {
        match event {
            Event::PhaseStarted { phase, .. } => started.entry(phase.clone()).or_default()[0] += 1,
            Event::PhaseFinished { phase, .. } => started.entry(phase.clone()).or_default()[1] += 1,
            _ => {}
        }
    }
    assert!(started.len() > 10, "{started:?}");
    // Those that have steps on hosts and through the API are two.
    let both = |phase: &str| {
        let of = plan.steps.iter().filter(|step| step.phase == phase);
        of.map(|step| &step.place).any(|place| *place == kubewright::plan::Place::Cluster)
    };
    let odd: Vec<_> = started.iter().filter(|(phase, counts)| **counts != [1, 1] && !both(phase)).collect();
    assert!(odd.is_empty(), "{odd:?}");
}

/// Ctrl-C when this many steps have begun.
#[test]
fn an_interrupt_ends_the_steps_at_hand_says_what_is_left_and_the_next_run_goes_on() {
    let mut trial = Trial::new();
    let undisturbed = trial.undisturbed();
    for at in (0..200).step_by(9) {
        let what = format!("interrupted at step {at}");
        let stage = trial.stage();
        let plan = trial.plan(&stage);
        let interrupt = AtomicBool::new(false);
        let begun = Mutex::new(0);
        let ran = trial.run_with(&stage, &plan, &Options::default(), &interrupt, &|event| {
            if let Event::StepStarted { .. } = event {
                let mut begun = begun.lock().unwrap();
                if *begun == at {
                    interrupt.store(true, Ordering::Relaxed);
                }
                *begun += 1;
            }
        });
        assert!(ran.report.failures.is_empty(), "{what}: {:#?}", ran.report.failures);
        assert!(ran.report.interrupted, "{what}");
        assert!(!left::lines(&plan, &ran.report).is_empty(), "{what}");
        // Nothing that was begun is left in the air.
        let unfinished = ran.events.iter().filter(|event| matches!(event, Event::StepStarted { .. })).count()
            - ran.events.iter().filter(|event| matches!(event, Event::StepFinished { .. })).count();
        assert_eq!(unfinished, 0, "{what}");
        trial.finish(&stage, &what).expect(&undisturbed, &what);
    }
}

fn retries(ran: &Ran) -> Vec<(Option<String>, u32)> {
    let all = ran.events.iter().filter_map(|event| match event {
        Event::Retrying { host, attempt, .. } => Some((host.clone(), *attempt)),
        _ => None,
    });
    all.collect()
}

#[test]
fn a_connection_that_comes_back_costs_a_repetition_and_nothing_else() {
    let mut trial = Trial::new();
    let undisturbed = trial.undisturbed();
    for fault in [Fault::DieBefore(10), Fault::DieAfter(10), Fault::DieBefore(0)] {
        let stage = trial.stage();
        stage.hosts["cp2"].break_at(fault);
        let plan = trial.plan(&stage);
        let ran = trial.run_with(&stage, &plan, &Options::default(), &AtomicBool::new(false), &|event| {
            if let Event::Retrying { host: Some(host), .. } = event {
                stage.hosts[host].heal();
            }
        });
        assert!(ran.report.success(), "{fault:?}: {:#?}", ran.report.failures);
        assert_eq!(retries(&ran), [(Some("cp2".to_owned()), 1)], "{fault:?}");
        State::of(&stage).expect(&undisturbed, &format!("{fault:?}"));
    }
}

#[test]
fn a_host_that_stays_away_is_given_up_after_the_limit_and_a_full_disk_at_once() {
    let mut trial = Trial::new();
    for (fault, limit, expected) in
        [(Fault::DieBefore(5), 3, 3), (Fault::DieBefore(5), 0, 0), (Fault::Refuse(5), 3, 0)]
    {
        let stage = trial.stage();
        stage.hosts["cp3"].break_at(fault);
        let plan = trial.plan(&stage);
        let options = Options { retries: limit, ..Options::default() };
        let ran = trial.run_with(&stage, &plan, &options, &AtomicBool::new(false), &|_| {});
        assert_eq!(retries(&ran).len(), expected, "{fault:?} {limit}");
        assert_eq!(ran.report.failures.len(), 1, "{fault:?}: {:#?}", ran.report.failures);
        assert_eq!(ran.report.failures[0].kind, FailureKind::Host);
        let failed = ran.report.records.iter().filter(|record| record.outcome == Outcome::Failed).count();
        assert_eq!(failed, 1, "{fault:?}");
    }
}

#[test]
fn whatever_was_asked_of_a_host_that_is_away_it_is_told_so_at_once() {
    let mut trial = Trial::new();
    let mut asked = BTreeSet::new();
    for operation in 0.. {
        let stage = trial.stage();
        stage.hosts["cp3"].break_at(Fault::DieBefore(operation));
        let plan = trial.plan(&stage);
        let options = Options { retries: 0, ..Options::default() };
        let ran = trial.run_with(&stage, &plan, &options, &AtomicBool::new(false), &|_| {});
        let Some(failure) = ran.report.failures.first() else { break };
        assert_eq!(failure.kind, FailureKind::Host, "{operation}: {failure}");
        asked.insert(failure.title.split(' ').next().unwrap_or_default().to_owned());
    }
    assert!(asked.contains("image") && asked.contains("kubelet"), "{asked:?}");
}

//! Control planes that run are changed one after the other.

use crate::fleet_runs::Trial;
use crate::scenario_runs::Stage;
use crate::scenario_runs::without_tls;
use crate::support::small_host::ImageFiles;
use kubewright::apply;
use kubewright::apply::Options;
use kubewright::apply::Pods;
use kubewright::apply::World;
use kubewright::clock::Clock as _;
use kubewright::clock::Manual;
use kubewright::cluster::kubeadm::Arg;
use kubewright::etcd;
use kubewright::host::Entry;
use kubewright::host::Fake;
use kubewright::host::Fleet;
use kubewright::host::Host;
use kubewright::host::Socket;
use kubewright::phase::growth;
use kubewright::plan::Container;
use kubewright::plan::Plan;
use kubewright::report::Event;
use kubewright::report::Outcome;
use kubewright::report::Report;
use kubewright::review::left;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use time::Duration;
use time::OffsetDateTime;
use time::macros::datetime;

/// Before every change.
const LONG_AGO: OffsetDateTime = datetime!(1970-01-01 00:00 UTC);
const API_SERVER: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";

/// A kubelet that makes a host's pods anew some seconds after it was first asked; until then they are of long ago.
pub(crate) struct Kubelet<'a> {
    clock: &'a Manual,
    takes: Duration,
    asked: Mutex<BTreeMap<String, OffsetDateTime>>,
}

impl<'a> Kubelet<'a> {
    pub(crate) fn of(stage: &'a Stage, takes: i64) -> Self {
        Self { clock: &stage.clock, takes: Duration::seconds(takes), asked: Mutex::default() }
    }
}

impl Pods for Kubelet<'_> {
    fn present(&self, _: &dyn Host, _: &str, id: &str) -> anyhow::Result<bool> {
        anyhow::bail!("nobody asks for {id}")
    }

    fn remove(&self, _: &dyn Host, _: &str, id: &str) -> anyhow::Result<()> {
        anyhow::bail!("nobody removes {id}")
    }

    fn named(&self, _: &dyn Host, _: &str, name: &str) -> anyhow::Result<Vec<String>> {
        anyhow::bail!("nobody looks for {name}")
    }

    fn made(&self, host: &dyn Host, _: &Container) -> anyhow::Result<Option<OffsetDateTime>> {
        let now = self.clock.now();
        let first = *self.asked.lock().unwrap().entry(host.name().to_owned()).or_insert(now);
        Ok(Some(if now - first >= self.takes { now } else { LONG_AGO }))
    }

    fn complaints(&self, _: &dyn Host, _: &Container) -> anyhow::Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// A cluster of three control planes that runs.
fn running() -> (Trial, Stage) {
    running_as(|_| {})
}

/// The same with something else about it from the beginning.
pub(crate) fn running_as(change: impl FnOnce(&mut Trial)) -> (Trial, Stage) {
    let mut trial = Trial::new();
    change(&mut trial);
    let stage = trial.stage();
    let founding = plan(&mut trial, &stage);
    let (report, _) = run(&trial, &stage, &founding, &ImageFiles);
    assert!(report.success(), "{:#?}", report.failures);
    // What is there now is adopted, as the next run does.
    trial.contents.bundle = stage.bundle(&trial.scenario.cluster);
    trial.scenario.running.runs = true;
    (trial, stage)
}

/// The plan as the hosts are now.
pub(crate) fn plan(trial: &mut Trial, stage: &Stage) -> Plan {
    for (host, facts) in &mut trial.scenario.facts {
        facts.existing_paths =
            stage.hosts.get(host).map(|host| host.files().into_keys().collect()).unwrap_or_default();
    }
    let context = trial.scenario.context();
    without_tls(growth::plan(&context, &trial.scenario.selected, &BTreeMap::new()).unwrap())
}

pub(crate) fn run(trial: &Trial, stage: &Stage, plan: &Plan, pods: &dyn Pods) -> (Report, Vec<Event>) {
    let mut fleet = Fleet::new();
    stage.hosts.values().for_each(|host| fleet.insert(Arc::<Fake>::clone(host)));
    let events = Mutex::new(Vec::new());
    let report = apply::execute(
        plan,
        &World {
            hosts: &fleet,
            api: &stage.api,
            etcd: &etcd::Known(Arc::new(stage.etcd.clone())),
            resolver: &trial.contents,
            images: &ImageFiles,
            pods,
            clock: &stage.clock,
            events: &|event| events.lock().unwrap().push(event),
            interrupt: &AtomicBool::new(false),
            options: &Options::default(),
        },
    );
    (report, events.into_inner().unwrap())
}

fn more_words(trial: &mut Trial) {
    let arg = Arg { name: "v".to_owned(), value: "4".to_owned() };
    trial.scenario.cluster.configuration.api_server.component.extra_args.push(arg);
}

/// Hosts whose API server's manifest was written, and those whose control plane was found well, in order.
fn order(events: &[Event]) -> Vec<String> {
    let told = events.iter().filter_map(|event| match event {
        Event::StepFinished { host: Some(host), subject, outcome: Outcome::Changed, .. }
            if subject == API_SERVER =>
        {
            Some(format!("{host} changed"))
        }
        Event::StepFinished { host: Some(host), phase, title, outcome, .. }
            if phase == "wait-control-plane" && title.starts_with("kube-scheduler") =>
        {
            Some(format!("{host} {outcome:?}").to_lowercase())
        }
        _ => None,
    });
    told.collect()
}

#[test]
fn the_next_one_is_changed_when_the_one_before_it_answers_again() {
    let (mut trial, stage) = running();
    more_words(&mut trial);
    let plan = plan(&mut trial, &stage);
    let kubelet = Kubelet::of(&stage, 12);
    let start = stage.clock.now();
    let (report, events) = run(&trial, &stage, &plan, &kubelet);
    assert!(report.success(), "{:#?}", report.failures);
    let expected = ["cp1 changed", "cp1 ok", "cp2 changed", "cp2 ok", "cp3 changed", "cp3 ok"];
    assert_eq!(order(&events), expected);
    let waited = (stage.clock.now() - start).whole_seconds();
    assert!(waited >= 36, "the old pods were taken for the new ones: {waited} s");
    // Nothing is left to be taken up, so nobody is asked again.
    let again = Kubelet::of(&stage, 0);
    let plan = self::plan(&mut trial, &stage);
    let (report, _) = run(&trial, &stage, &plan, &again);
    assert_eq!((report.totals().changed, report.totals().warned), (0, 0), "{:#?}", report.records);
    assert!(again.asked.lock().unwrap().is_empty());
}

#[test]
fn what_does_not_start_stops_one_of_them_only() {
    let (mut trial, stage) = running();
    more_words(&mut trial);
    let scheduler = Socket::Tcp { host: "127.0.0.1".to_owned(), port: 10259 };
    stage.hosts["cp1"].listen(scheduler, "HTTP/1.1 500 no\r\n\r\nno");
    let plan = plan(&mut trial, &stage);
    let (report, events) = run(&trial, &stage, &plan, &Kubelet::of(&stage, 2));
    assert_eq!(order(&events), ["cp1 changed", "cp1 failed"]);
    assert_eq!(report.failures.len(), 1, "{:#?}", report.failures);
    let left = left::lines(&plan, &report);
    assert!(left.iter().any(|line| line.starts_with("cp2: ") && line.contains("control-plane")), "{left:?}");
    for host in ["cp2", "cp3"] {
        let manifest = stage.hosts[host].read(API_SERVER).unwrap().unwrap();
        assert!(!String::from_utf8_lossy(manifest.content().unwrap()).contains("--v=4"), "{host}");
    }
}

#[test]
fn a_kubelet_that_sees_no_reason_is_not_waited_for_for_ever() {
    let (mut trial, stage) = running();
    more_words(&mut trial);
    let plan = plan(&mut trial, &stage);
    let (report, _) = run(&trial, &stage, &plan, &Kubelet::of(&stage, 3600));
    assert!(report.success(), "{:#?}", report.failures);
    let warned: Vec<_> = report.records.iter().filter(|one| one.outcome == Outcome::Warned).collect();
    assert_eq!(warned.len(), 3, "{warned:#?}");
    let detail = warned[0].detail.as_deref().unwrap();
    assert!(detail.starts_with("not replaced within 6"), "{detail}");
    assert!(detail.contains("kube-apiserver is older than"), "{detail}");
}

#[test]
fn comments_ask_for_no_new_pod() {
    let (mut trial, stage) = running();
    let old = stage.hosts["cp2"].read(API_SERVER).unwrap().unwrap();
    let text = format!("# mine\n{}", String::from_utf8_lossy(old.content().unwrap()));
    stage.hosts["cp2"].put(API_SERVER, Entry::file(text, 0o600));
    let plan = plan(&mut trial, &stage);
    let kubelet = Kubelet::of(&stage, 3600);
    let (report, events) = run(&trial, &stage, &plan, &kubelet);
    assert!(report.success() && report.totals().warned == 0, "{:#?}", report.records);
    assert!(order(&events).contains(&"cp2 changed".to_owned()));
    assert!(kubelet.asked.lock().unwrap().is_empty());
}

//! A new version for a cluster that runs: control planes move first, one after the other and each with its kubelet, then
//! workers and kube-proxy; and nobody overtakes where only some hosts move.

use crate::fleet_runs::Trial;
use crate::rolling;
use crate::rolling::Kubelet;
use crate::scenario_runs::Stage;
use kubewright::cluster::KubeVersion;
use kubewright::cluster::prepare::Source;
use kubewright::cluster::prepare::StockFile;
use kubewright::facts::NodeFacts;
use kubewright::facts::checks;
use kubewright::host::Socket;
use kubewright::phase::build;
use kubewright::phase::growth;
use kubewright::phase::select;
use kubewright::phase::skew;
use kubewright::phase::workflow::INIT;
use kubewright::plan::Action;
use kubewright::plan::Plan;
use kubewright::plan::Step;
use kubewright::report::Event;
use kubewright::report::Outcome;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

const CONTROL_PLANES: [&str; 3] = ["cp1", "cp2", "cp3"];
const OLD: &str = "v1.36.2";
const NEW: &str = "v1.36.3";

fn version(text: &str) -> KubeVersion {
    text.parse().unwrap()
}

/// The directory that hosts are prepared from has a kubelet, which a digest stands for.
fn stocked(trial: &mut Trial, digest: char) {
    let artifacts = &mut trial.scenario.cluster.prepare.artifacts;
    artifacts.source = Source::Local;
    let file = StockFile { path: "/srv/kubelet".to_owned(), size: 3, sha256: digest.to_string().repeat(64) };
    artifacts.stock.files.insert("kubelet".to_owned(), file);
    trial.scenario.options.prepare = true;
}

/// A cluster that runs in the old version, and what is wanted by now.
fn wanting(wanted: &str) -> (Trial, Stage) {
    let (mut trial, stage) = rolling::running_as(|trial| stocked(trial, '1'));
    assert_eq!(trial.scenario.cluster.version, version(OLD));
    trial.scenario.running.api_servers = CONTROL_PLANES.map(|host| (host.to_owned(), version(OLD))).into();
    want(&mut trial, wanted);
    stocked(&mut trial, '2');
    (trial, stage)
}

fn want(trial: &mut Trial, wanted: &str) {
    trial.scenario.cluster.version = version(wanted);
    wanted.clone_into(&mut trial.scenario.cluster.configuration.kubernetes_version);
}

/// What matters of a run, in order: whose API server, kubelet, or kube-proxy moved, and whose control plane was found
/// well.
fn order(events: &[Event]) -> Vec<String> {
    let told = events.iter().filter_map(|event| {
        let Event::StepFinished { phase, host, title, subject, outcome, .. } = event else { return None };
        let host = host.as_deref().unwrap_or("cluster");
        let what = match (phase.as_str(), outcome) {
            (_, Outcome::Changed) if subject.ends_with("/kube-apiserver.yaml") => "API server",
            ("prepare/binaries", Outcome::Changed) => "kubelet comes",
            (_, Outcome::Changed) if phase.ends_with("kubelet-start") && subject.contains("kubelet") => {
                "kubelet restarts"
            }
            ("addon/kube-proxy", Outcome::Changed) if subject.starts_with("DaemonSet") => "kube-proxy",
            ("wait-control-plane", Outcome::Ok) if title.starts_with("kube-scheduler") => "well",
            (_, Outcome::Failed) => "failed",
            _ => return None,
        };
        Some(format!("{host} {what}"))
    });
    told.collect()
}

fn index(order: &[String], what: &str) -> usize {
    order.iter().position(|line| line == what).unwrap_or_else(|| panic!("no `{what}` in {order:#?}"))
}

#[test]
fn control_planes_move_first_and_each_with_its_kubelet() {
    let (mut trial, stage) = wanting(NEW);
    let plan = rolling::plan(&mut trial, &stage);
    let (report, events) = rolling::run(&trial, &stage, &plan, &Kubelet::of(&stage, 12));
    assert!(report.success(), "{:#?}", report.failures);
    let order = order(&events);
    for host in CONTROL_PLANES {
        let at = ["API server", "kubelet comes", "kubelet restarts", "well"]
            .map(|what| index(&order, &format!("{host} {what}")));
        assert!(at.is_sorted(), "{order:#?}");
    }
    for pair in CONTROL_PLANES.windows(2) {
        let (before, after) = (format!("{} well", pair[0]), format!("{} API server", pair[1]));
        assert!(index(&order, &before) < index(&order, &after), "{order:#?}");
    }
    let last = index(&order, "cp3 well");
    for what in ["w1 kubelet comes", "w1 kubelet restarts", "cluster kube-proxy"] {
        assert!(index(&order, what) > last, "{order:#?}");
    }
    // The API servers say so by then, and nothing is left.
    trial.scenario.running.api_servers.values_mut().for_each(|one| *one = version(NEW));
    let plan = rolling::plan(&mut trial, &stage);
    let (report, _) = rolling::run(&trial, &stage, &plan, &Kubelet::of(&stage, 0));
    assert_eq!((report.totals().changed, report.totals().warned), (0, 0), "{:#?}", report.records);
}

#[test]
fn a_control_plane_that_does_not_come_up_keeps_workers_and_kube_proxy_where_they_are() {
    let (mut trial, stage) = wanting(NEW);
    let scheduler = Socket::Tcp { host: "127.0.0.1".to_owned(), port: 10259 };
    stage.hosts["cp2"].listen(scheduler, "HTTP/1.1 500 no\r\n\r\nno");
    let plan = rolling::plan(&mut trial, &stage);
    let (report, events) = rolling::run(&trial, &stage, &plan, &Kubelet::of(&stage, 2));
    assert!(!report.success());
    let order = order(&events);
    assert!(order.contains(&"cp2 failed".to_owned()), "{order:#?}");
    for line in &order {
        let untouched = ["cp3 ", "w1 ", "cluster kube-proxy"].iter().any(|start| line.starts_with(start));
        assert!(!untouched, "{order:#?}");
    }
}

#[test]
fn without_another_version_nobody_waits() {
    let (mut trial, stage) = wanting(OLD);
    let with = rolling::plan(&mut trial, &stage);
    trial.scenario.running.api_servers.clear();
    let without = rolling::plan(&mut trial, &stage);
    assert_eq!(with.order, without.order);
    assert_eq!(with.steps, without.steps);
}

fn planned(trial: &Trial) -> anyhow::Result<Plan> {
    growth::plan(&trial.scenario.context(), &trial.scenario.selected, &BTreeMap::new())
}

fn only(trial: &mut Trial, hosts: &[&str]) {
    trial.scenario.options.only = Some(hosts.iter().map(|host| (*host).to_owned()).collect());
}

fn has_kube_proxy(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| step.phase == "addon/kube-proxy")
}

#[test]
fn a_choice_of_hosts_lets_nobody_overtake() {
    let (mut trial, _) = wanting("v1.37.0");
    for (hosts, refused) in [
        (&["w1"][..], true),
        (&["cp1", "w1"], true),
        (&["cp1"], false),
        (&["cp1", "cp2", "cp3", "w1"], false),
    ] {
        only(&mut trial, hosts);
        let found = planned(&trial).map_err(|error| format!("{error:#}"));
        assert_eq!(found.is_err(), refused, "{hosts:?}: {:?}", found.err());
        if let Err(error) = found {
            assert!(error.contains("the kubelets of w1 would be newer than API servers"), "{error}");
            assert!(error.contains("cp2 (v1.36.2)") && error.contains("--limit control-plane"), "{error}");
        }
    }
    // A patch may differ, and a worker whose kubelet stays overtakes nobody.
    want(&mut trial, NEW);
    only(&mut trial, &["w1"]);
    assert!(planned(&trial).is_ok());
    want(&mut trial, "v1.37.0");
    trial.scenario.options.prepare = false;
    assert!(planned(&trial).is_ok());
}

#[test]
fn kube_proxy_waits_for_api_servers_that_the_run_does_not_move() {
    let (mut trial, _) = wanting(NEW);
    let said = |trial: &Trial| {
        skew::mention(&trial.scenario.cluster, &trial.scenario.running, &trial.scenario.options)
    };
    assert!(has_kube_proxy(&planned(&trial).unwrap()) && said(&trial).is_none());
    only(&mut trial, &["cp1"]);
    assert!(!has_kube_proxy(&planned(&trial).unwrap()));
    let (message, _) = said(&trial).unwrap();
    assert_eq!(
        message,
        "kube-proxy stays as it is while API servers are older than v1.36.3: cp2 (v1.36.2), cp3 (v1.36.2)"
    );
    for host in ["cp2", "cp3"] {
        trial.scenario.running.api_servers.insert(host.to_owned(), version(NEW));
    }
    assert!(has_kube_proxy(&planned(&trial).unwrap()) && said(&trial).is_none());
}

#[test]
fn one_host_by_itself_keeps_the_order_too() {
    let (mut trial, stage) = wanting(NEW);
    // The hosts' files are part of the facts.
    rolling::plan(&mut trial, &stage);
    trial.scenario.cluster.keep_only("cp1");
    let phases = select::flatten(INIT);
    let plan = build::plan(&trial.scenario.context(), &phases).unwrap();
    let at = |such: &dyn Fn(&Step) -> bool| plan.steps.iter().position(such).unwrap();
    let manifest = at(&|step| step.subject().ends_with("/kube-scheduler.yaml"));
    let kubelet = at(&|step| matches!(step.action, Action::Artifact(_)));
    let start = at(&|step| step.phase == "kubelet-start");
    assert!(manifest < kubelet && kubelet < start, "{manifest} {kubelet} {start}");
    assert!(!has_kube_proxy(&plan));
    // Where its own is the only API server, kube-proxy moves with it.
    trial.scenario.running.api_servers.retain(|host, _| host == "cp1");
    assert!(has_kube_proxy(&build::plan(&trial.scenario.context(), &phases).unwrap()));
}

#[test]
fn a_kubelet_that_was_replaced_is_restarted_once() {
    let (mut trial, _) = wanting(OLD);
    let node = |kubelet: &str| NodeFacts {
        name: "w1".to_owned(),
        kubelet_version: kubelet.to_owned(),
        ready: true,
        ..NodeFacts::default()
    };
    let anew = |trial: &Trial| {
        let plan = planned(trial).unwrap();
        let restarts = plan.steps.iter().filter_map(|step| match &step.action {
            Action::Service(spec) if spec.unit == "kubelet" => spec.anew.clone(),
            _ => None,
        });
        restarts.collect::<BTreeSet<_>>()
    };
    let restarted = || BTreeSet::from(["since v1.36.2 runs and v1.36.3 is installed".to_owned()]);
    for (source, prepare, installed, runs, expected) in [
        // The operator has put another one there.
        (Source::None, true, "v1.36.3", "v1.36.2", restarted()),
        (Source::None, false, "v1.36.3", "v1.36.2", restarted()),
        (Source::None, true, "v1.36.3", "v1.36.3", BTreeSet::new()),
        (Source::None, true, "v1.36.2", "v1.36.3", BTreeSet::new()),
        (Source::None, true, "", "v1.36.2", BTreeSet::new()),
        (Source::None, true, "v1.36.3", "", BTreeSet::new()),
        // A package is about to.
        (Source::Packages, true, "v1.36.2", "v1.36.2", restarted()),
        (Source::Packages, true, "v1.36.3", "v1.36.3", BTreeSet::new()),
    ] {
        want(&mut trial, NEW);
        let artifacts = &mut trial.scenario.cluster.prepare.artifacts;
        artifacts.source = source;
        trial.scenario.options.prepare = prepare;
        for facts in trial.scenario.facts.values_mut() {
            facts.platform.id = "debian".to_owned();
        }
        let facts = trial.scenario.facts.get_mut("w1").unwrap();
        facts.checks.kubelet = match installed.strip_prefix('v') {
            Some(number) => checks::Kubelet::Says(format!("Kubernetes v{number}")),
            None => checks::Kubelet::Missing,
        };
        trial.scenario.running.nodes = vec![node(runs)];
        assert_eq!(anew(&trial), expected, "{source:?} {prepare} {installed} {runs}");
    }
}

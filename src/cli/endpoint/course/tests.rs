//! Tests against hosts in memory: who has the address follows from what was stopped.

use super::*;
use crate::cli::endpoint::watch::Machine;
use crate::cli::load;
use crate::cli::settings::GlobalArgs;
use crate::cli::settings::Settings;
use crate::endpoint::Report;
use crate::endpoint::Terms;
use crate::host::Command;
use crate::host::Fake;
use crate::host::Output;
use crate::host::fake::said;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

const HOSTS: [&str; 2] = ["cp1", "cp2"];
const CLUSTER: &str = "\
apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: {name: lab}
spec:
  hosts:
  - {name: cp1, address: 198.51.100.11, roles: [control-plane]}
  - {name: cp2, address: 198.51.100.12, roles: [control-plane]}
  endpoint: {host: 198.51.100.100, provider: keepalived-haproxy}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.36.2
";

/// What happens in the world.
#[derive(Default)]
struct World {
    /// Those that have the address.
    holders: Vec<String>,
    /// What was done to hosts, in order.
    done: Vec<String>,
    /// Ctrl-C comes when something is stopped.
    interrupts: Option<Arc<AtomicBool>>,
}

fn answer(world: &Mutex<World>, host: &str, command: &Command) -> Output {
    let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
    let script = command.args[1].expose();
    if script.contains("curl") {
        let line = if world.holders.is_empty() { "0.00 0.01 000 7\n" } else { "0.00 0.01 200 0\n" };
        return said(0, &format!("start 0.00\n{line}"));
    }
    if script.contains("addr show") {
        return said(
            0,
            if world.holders.iter().any(|holder| holder == host) { "198.51.100.100" } else { "" },
        );
    }
    let stopped = script.lines().last().and_then(|line| line.strip_prefix("systemctl stop "));
    if let Some(unit) = stopped.and_then(|unit| unit.strip_suffix(".service")) {
        assert!(script.contains("--on-active=") && script.contains("kubewright-mend-"), "{script}");
        world.done.push(format!("{host}: {unit} stopped"));
        // On no host this takes less than the millisecond that moments are told apart by.
        System.sleep(Duration::from_millis(5));
        world.holders =
            HOSTS.iter().filter(|other| **other != host).map(|other| (*other).to_owned()).collect();
        if let Some(interrupt) = &world.interrupts {
            interrupt.store(true, Ordering::Relaxed);
        }
    } else {
        let unit = script.split_whitespace().nth(2).unwrap_or_default();
        world.done.push(format!("{host}: {unit} started"));
    }
    said(0, "")
}

/// What is done to hosts, what comes of it, and whether it was interrupted.
fn tested(world: World, well: &dyn Fn(&Node) -> Result<(), String>) -> (Vec<String>, Report, bool) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cluster.yaml");
    #[expect(clippy::disallowed_methods, reason = "the loader reads files")]
    std::fs::write(&file, CLUSTER).unwrap();
    let reporter = Settings::new(&GlobalArgs { quiet: true, ..GlobalArgs::default() }).reporter();
    let cluster = load::for_fleet(&file, &reporter).unwrap().cluster;
    let interrupt = world.interrupts.clone().unwrap_or_default();
    let world = Arc::new(Mutex::new(world));
    let mut hosts = Fleet::new();
    for name in HOSTS {
        let world = Arc::clone(&world);
        let host = Fake::new(name).on_run(&["sh", "-c"], move |command, _| answer(&world, name, command));
        hosts.insert(Arc::new(host));
    }
    let asks = Machine {
        name: "cp2".to_owned(),
        host: Arc::clone(hosts.get("cp2").unwrap()),
        url: "https://198.51.100.100:8443/readyz".to_owned(),
    };
    let balancers = hosts.iter().map(Arc::clone).collect();
    let watch = Watch::begin(&[asks], b"", balancers, &cluster.virtual_addresses());
    let mut course = Course {
        cluster: &cluster,
        hosts: &hosts,
        parts: &[Part::Holder, Part::Proxy],
        only: None,
        preempt: false,
        // As long as a busy machine may keep a look waiting.
        observe: Duration::from_millis(400),
        max_gap: Duration::from_secs(5),
        watch: &watch,
        interrupt: &interrupt,
        well,
        tell: &|_| {},
        came: Came::default(),
    };
    let interrupted = course.go() == Err(Interrupted);
    let Came { stages, findings, notes } = course.came;
    let report = Report { findings, notes, ..Report::default() };
    let terms = Terms { max_gap_ms: 60_000, moves: true, preempt: false };
    let report = report.judged(&stages, &watch.end(), terms);
    let done = std::mem::take(&mut world.lock().unwrap_or_else(PoisonError::into_inner).done);
    (done, report, interrupted)
}

fn held_by(holders: &[&str]) -> World {
    World { holders: holders.iter().map(|host| (*host).to_owned()).collect(), ..World::default() }
}

#[test]
fn each_part_is_failed_where_the_address_is_and_mended() {
    let (done, report, interrupted) = tested(held_by(&["cp1"]), &|_| Ok(()));
    let expected = [
        "cp1: keepalived stopped",
        "cp1: keepalived.service started",
        "cp2: haproxy stopped",
        "cp2: haproxy.service started",
    ];
    assert_eq!(done, expected);
    assert!(report.healthy && !interrupted, "{:?}", report.findings);
    let moves: Vec<_> = report.stages.iter().map(|row| row.holder_after.as_deref()).collect();
    assert_eq!(moves, [None, Some("cp2"), Some("cp1")]);
}

#[test]
fn an_interruption_mends() {
    let world = World { interrupts: Some(Arc::default()), ..held_by(&["cp1"]) };
    let (done, _, interrupted) = tested(world, &|_| Ok(()));
    assert_eq!(done, ["cp1: keepalived stopped", "cp1: keepalived.service started"]);
    assert!(interrupted);
}

#[test]
fn nothing_is_failed_that_nobody_takes_over() {
    let (done, report, _) = tested(held_by(&["cp1"]), &|node| Err(format!("{} is ill", node.name)));
    assert_eq!(done, Vec::<String>::new());
    assert_eq!(
        report.findings,
        ["holder", "proxy"].map(|part| format!(
            "the {part} on cp1 was not failed: no other host can take over: cp2: cp2 is ill"
        ))
    );
}

#[test]
fn nothing_is_failed_of_an_endpoint_that_is_not_well() {
    let (done, report, _) = tested(held_by(&["cp1", "cp2"]), &|_| Ok(()));
    assert_eq!(done, Vec::<String>::new());
    assert!(report.findings[0].contains("cp1 and cp2 had the address at once"), "{:?}", report.findings);
    let (done, report, _) = tested(held_by(&[]), &|_| Ok(()));
    assert_eq!(done, Vec::<String>::new());
    for expected in
        ["the endpoint does not answer cp2: no connection", "no host has the address of the endpoint"]
    {
        assert!(report.findings.iter().any(|found| found == expected), "{:?}", report.findings);
    }
}

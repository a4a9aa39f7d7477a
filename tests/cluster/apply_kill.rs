//! A run over a whole cluster that is killed or interrupted wherever that can happen, and run again: in the end nothing
//! tells of it.

use crate::disturbed;
use crate::estate;
use crate::estate::Operator;
use crate::lab;
use crate::watched::Step;
use crate::watched::Watched;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

const INTERRUPTED: i32 = 130;

/// For how long a run goes on with its new step before it is killed, in milliseconds, run by run.
const LATER: [u64; 6] = [0, 40, 5, 200, 15, 0];

/// Each run is killed in the first step that no run before was killed in, until one is through.
#[test]
fn killed_at_every_step() {
    if !lab::available("apply_kill::killed_at_every_step") {
        return;
    }
    let _turn = estate::TURN.take();
    let whole = disturbed::undisturbed();
    let (operator, hosts) = disturbed::fresh();
    let mut met: BTreeSet<Step> = BTreeSet::new();
    let start = Instant::now();
    for run in 0.. {
        let mut watched = Watched::apply(&operator, &[]);
        let Some(new) = watched.begins(|step| !met.contains(step)) else {
            let ended = watched.end();
            assert_eq!(ended.code, 0, "after {run} kills: {ended}");
            println!(
                "killed {run} times while {} different steps were under way; {} s",
                met.len(),
                start.elapsed().as_secs()
            );
            break;
        };
        // What another host begins for the first time is not to be over before the kill.
        let elsewhere = |step: &Step| step.host != new.host && !met.contains(step);
        watched.go_on(Duration::from_millis(LATER[run % LATER.len()]), elsewhere);
        watched.signal(Signal::KILL);
        let ended = watched.end();
        println!("killed in {new}, {} under way", ended.under_way.len());
        met.extend(ended.under_way);
        met.insert(new);
    }
    for host in disturbed::names() {
        let count = met.iter().filter(|step| step.host == host).count();
        assert!(count > 15, "only {count} steps on {host}");
    }
    disturbed::finish(&operator);
    disturbed::assert_undisturbed(whole, &hosts);
}

/// When so many steps have begun, and how often Ctrl-C is typed then.
const TYPED: [(usize, usize); 6] = [(1, 1), (2, 2), (40, 1), (90, 2), (140, 1), (170, 2)];

/// The first Ctrl-C lets the steps at hand come to their end and says what is left; the second one ends the run at once.
#[test]
fn interrupted_once_and_twice() {
    if !lab::available("apply_kill::interrupted_once_and_twice") {
        return;
    }
    let _turn = estate::TURN.take();
    let whole = disturbed::undisturbed();
    let (operator, hosts) = disturbed::fresh();
    for (steps, times) in TYPED {
        let (code, stderr, took) = interrupt(&operator, steps, times);
        println!("Ctrl-C {times} times after {steps} steps: ended after {} ms", took.as_millis());
        assert_eq!(code, INTERRUPTED, "{steps} {times}: {stderr}");
        if times == 1 {
            assert!(
                stderr.contains("left to do:") && stderr.contains("the same command goes on"),
                "{stderr}"
            );
            let journal = journal(&operator);
            let count = |event: &str| journal.matches(&format!("\"event\":\"{event}\"")).count();
            assert_eq!(count("step-started"), count("step-finished"), "{journal}");
        }
    }
    disturbed::finish(&operator);
    disturbed::assert_undisturbed(whole, &hosts);
}

/// The journal of the last run.
fn journal(operator: &Operator) -> String {
    let folder = operator.path(".local/state/kubewright/lab");
    let Ok(entries) = std::fs::read_dir(folder) else { return String::new() };
    let newest =
        entries.map(|entry| entry.unwrap()).max_by_key(|entry| entry.metadata().unwrap().modified().unwrap());
    newest.map(|entry| std::fs::read_to_string(entry.path()).unwrap()).unwrap_or_default()
}

/// Types Ctrl-C when so many steps have begun: the exit code, what was said, and how long it took to end.
fn interrupt(operator: &Operator, steps: usize, times: usize) -> (i32, String, Duration) {
    let before = journal(operator);
    let mut command = operator.command(&["apply", "-f", "cluster.yaml", "--yes", "--progress", "plain"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let started = || {
        let now = journal(operator);
        now != before && now.matches("\"event\":\"step-started\"").count() >= steps
    };
    let start = Instant::now();
    while !started() {
        assert!(start.elapsed() < Duration::from_mins(2), "it did not come to {steps} steps");
        assert_eq!(child.try_wait().unwrap(), None, "it ended before {steps} steps");
        std::thread::sleep(Duration::from_millis(2));
    }
    for _ in 0..times {
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        // Two signals that are there together are one.
        std::thread::sleep(Duration::from_millis(20));
    }
    let typed = Instant::now();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap_or(-1), stderr, typed.elapsed())
}

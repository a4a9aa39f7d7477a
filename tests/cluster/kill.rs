//! `kill -9` at every step, and then the same command again: in the end nothing tells of it.

use crate::lab;
use crate::lab::Host;
use crate::state;
use crate::state::INIT;
use crate::state::State;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Instant;

const KILLER: &str = include_str!("kill-at.pl");

/// More steps than a run has.
const MANY: u32 = 200;

fn prepared() -> Host {
    let host = state::host();
    host.write("/root/kill-at.pl", KILLER);
    host
}

/// The first run dies in its first step, the second in its second, and so on, until one is through.
#[test]
fn killed_at_each_step_in_turn() {
    if !lab::available("killed_at_each_step_in_turn") {
        return;
    }
    let _turn = state::TURN.take();
    let whole = state::undisturbed();
    let host = prepared();
    let log = host.ok(&format!(
        "for n in $(seq {MANY}); do perl kill-at.pl $n {INIT} --progress json 2>>errors; code=$?; \
         [ $code = 9 ] || break; done; echo $code $n"
    ));
    let (events, last) = log.trim_end().rsplit_once('\n').unwrap();
    let errors = host.ok("grep -v WARNING errors || true");
    let (code, runs) = last.split_once(' ').unwrap();
    assert_eq!(code, "0", "{last}: {errors}\n{events}");
    let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let text = |event: &Value, field: &str| event[field].as_str().unwrap().to_owned();
    let steps: BTreeSet<_> = events
        .iter()
        .map(|event| (text(event, "phase"), text(event, "title"), text(event, "subject")))
        .collect();
    println!("{} kills in {} different steps, done in run {runs}", events.len(), steps.len());
    assert!(steps.len() > 80, "{steps:?}");
    whole.assert_same(&State::of(&host));
}

/// Fresh hosts, one kill each where most is under way, then one run.
#[test]
fn killed_once_where_it_hurts() {
    if !lab::available("killed_once_where_it_hurts") {
        return;
    }
    let _turn = state::TURN.take();
    let whole = state::undisturbed();
    for title in ["etcd-peer certificate", "kube-apiserver healthy"] {
        let host = prepared();
        let plan = host.ok(&format!("{INIT} --dry-run --progress json 2>/dev/null"));
        let events: Vec<&str> =
            plan.lines().filter(|line| line.contains("\"event\":\"step-started\"")).collect();
        let at = events.iter().position(|line| line.contains(&format!("\"title\":\"{title}\"")));
        let at = at.unwrap_or_else(|| panic!("no step {title}:\n{}", events.join("\n"))) + 1;
        let killed = host.run(&format!("perl kill-at.pl {at} {INIT} --progress json"));
        assert_eq!(killed.code, 9, "{title}: {}", killed.text());
        assert!(killed.stdout.contains(title), "{title}: {}", killed.stdout);
        let start = Instant::now();
        host.ok(INIT);
        println!("killed at {title}, finished in {:.1} s", start.elapsed().as_secs_f32());
        whole.assert_same(&State::of(&host));
    }
}

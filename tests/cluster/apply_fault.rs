//! A run over a whole cluster while one host loses its cable, or its disk is full, at each of its steps: the run says so of
//! that host and goes on with the others, and in the end nothing tells of it.

use crate::disturbed;
use crate::estate;
use crate::estate::Operator;
use crate::fault::assert_nothing_half_written;
use crate::lab;
use crate::lab::Host;
use crate::watched::Ended;
use crate::watched::Step;
use crate::watched::Watched;
use std::collections::BTreeSet;
use std::time::Duration;
use std::time::Instant;

/// For how long a run goes on with its new step before the fault, in milliseconds, run by run.
const LATER: [u64; 4] = [0, 30, 5, 0];

/// The position of a host among those of the cluster.
const SECOND_CONTROL_PLANE: usize = 1;
const WORKER: usize = 3;

/// Something that happens to a host.
struct Fault {
    happen: fn(&Host),
    end: fn(&Host),
    /// One of these is in what is told of a step that failed for it.
    words: &'static [&'static str],
    args: &'static [&'static str],
}

const CABLE: Fault = Fault {
    happen: Host::cut,
    end: Host::heal,
    // A kubelet that was started just before is waited for, and so is what a container runtime says to a question.
    words: &["lost", "cannot reach", "cannot shake hands", "there is no such node", "did not answer"],
    args: &["--retries", "1"],
};

const DISK: Fault = Fault {
    happen: |host| drop(host.run(&format!("dd if=/dev/zero of={SMALL}/ballast bs=4k 2>/dev/null"))),
    end: |host| {
        host.ok(&format!("rm {SMALL}/ballast"));
        assert_nothing_half_written(host);
    },
    words: &["No space left on device", "no storage space"],
    args: &["--ignore-preflight-errors", "DiskSpace"],
};

/// How a host that is gone is noticed within seconds.
const IMPATIENT: &str = "ServerAliveInterval 2\nConnectTimeout 2\n";

/// Nobody waits five minutes for the node of a host that is gone.
const SHORT_WAIT: &str = "kind: InitConfiguration\ntimeouts: {tlsBootstrap: 20s}\n";

/// A file system that is filled quickly, behind all directories that a run writes to.
const SMALL: &str = "/small";
const WRITTEN: &str = "/etc/kubernetes /etc/haproxy /etc/keepalived /etc/systemd/system /var/lib/kubewright";

fn make_small(host: &Host) {
    host.ok(&format!(
        "mkdir {SMALL} && mount -t tmpfs -o size=16m tmpfs {SMALL} && for path in {WRITTEN}; do \
         mkdir -p $path {SMALL}$path && cp -a $path/. {SMALL}$path && mount --bind {SMALL}$path $path || exit 1; done"
    ));
}

#[test]
fn the_cable_of_a_host_is_pulled_at_each_of_its_steps() {
    if !lab::available("apply_fault::the_cable_of_a_host_is_pulled_at_each_of_its_steps") {
        return;
    }
    let _turn = estate::TURN.take();
    let whole = disturbed::undisturbed();
    let (operator, hosts) = disturbed::fresh();
    std::fs::write(operator.path(".ssh/config"), IMPATIENT).unwrap();
    let text = std::fs::read_to_string(operator.path("cluster.yaml")).unwrap();
    operator.write_text(&text.replace("kind: InitConfiguration\n", SHORT_WAIT));
    // The worker first: the control planes are made while it is away.
    for at in [WORKER, SECOND_CONTROL_PLANE] {
        at_every_step(&CABLE, "its cable was pulled", &operator, &hosts, at);
    }
    disturbed::finish(&operator);
    disturbed::assert_undisturbed(whole, &hosts);
}

#[test]
fn the_disk_of_a_host_is_full_at_each_of_its_steps() {
    if !lab::available("apply_fault::the_disk_of_a_host_is_full_at_each_of_its_steps") {
        return;
    }
    let _turn = estate::TURN.take();
    let whole = disturbed::undisturbed();
    let (operator, hosts) = disturbed::fresh();
    make_small(&hosts[SECOND_CONTROL_PLANE]);
    at_every_step(&DISK, "its disk was full", &operator, &hosts, SECOND_CONTROL_PLANE);
    disturbed::finish(&operator);
    disturbed::assert_undisturbed(whole, &hosts);
}

/// Each run meets the fault in the first step of the host that no run before met it in, until one is through.
fn at_every_step(fault: &Fault, what: &str, operator: &Operator, hosts: &[Host], at: usize) {
    let (host, name) = (&hosts[at], disturbed::names()[at]);
    let mut met: BTreeSet<Step> = BTreeSet::new();
    let (mut failed, mut longest) = (0, Duration::ZERO);
    for run in 0.. {
        let mut watched = Watched::apply(operator, fault.args);
        let Some(new) = watched.begins(|step| step.host == name && !met.contains(step)) else {
            let ended = watched.end();
            assert_eq!(ended.code, 0, "after {run} faults: {ended}");
            println!(
                "{name}: {what} in {run} runs at {} different steps; {failed} of them failed, after {longest:?} at most",
                met.len()
            );
            break;
        };
        watched.go_on(Duration::from_millis(LATER[run % LATER.len()]), |_| false);
        watched.paused(|| (fault.happen)(host));
        let start = Instant::now();
        let ended = watched.end();
        println!("{what} in {new}: code {} after {:.1?}", ended.code, start.elapsed());
        (fault.end)(host);
        met.extend(ended.begun_since.iter().filter(|step| step.host == name).cloned());
        if ended.code != 0 {
            failed += 1;
            longest = longest.max(start.elapsed());
            judge(fault, &ended, name, &new);
        }
        met.insert(new);
    }
    assert!(met.len() > 10, "only {} steps on {name}", met.len());
    assert!(failed * 2 > met.len() / 10, "only {failed} runs failed");
}

/// The host is named, and nobody else.
fn judge(fault: &Fault, ended: &Ended, name: &str, step: &Step) {
    assert!(!ended.failed.is_empty(), "{step}: {ended}");
    for failed in &ended.failed {
        let said = fault.words.iter().any(|words| failed.text.contains(words));
        let named = failed.host == name || failed.text.contains(name);
        assert!(said && named, "{step}: {ended}");
    }
}

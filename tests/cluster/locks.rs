//! Locks on real hosts: those of runs that are at work, silent, or dead. The hosts have nothing of Kubernetes, so a run
//! that gets past the locks ends at preflight.

use crate::estate;
use crate::estate::Layout;
use crate::estate::Operator;
use crate::estate::name;
use crate::lab;
use crate::lab::Host;
use std::process::Stdio;
use std::time::Duration;

const LOCK: &str = "/var/lib/kubewright/lock";
const PREFLIGHT: i32 = 4;
const LOCKED: i32 = 11;

const APPLY: [&str; 4] = ["apply", "-f", "cluster.yaml", "--yes"];

/// Of another machine, of which nothing is known.
const JANE: &str = r#"{"run":"abcd1234","user":"jane","machine":"laptop","since":"2026-05-01T12:00:00Z","command":"kubewright apply","process":{"machineId":"","bootId":"x","namespace":"","pid":1,"started":"1"}}"#;

#[test]
fn a_lock_is_respected_while_its_holder_may_live() {
    if !lab::bare_available("locks::a_lock_is_respected_while_its_holder_may_live") {
        return;
    }
    let _turn = estate::TURN.take();
    let operator = Operator::new();
    let hosts = operator.bare_hosts(&[1, 2]);
    operator.write(&Layout::of(&[1], &[2]));
    // The worker is the one that somebody works on: a lock on any host counts.
    another_machine(&operator, &hosts[1]);
    this_machine(&operator, &hosts);
}

#[track_caller]
fn expect(operator: &Operator, args: &[&str], code: i32, says: &[&str]) {
    let outcome = operator.run(args);
    assert_eq!(outcome.code, code, "{args:?}: {}", outcome.text());
    for text in says {
        assert!(outcome.text().contains(text), "{args:?}: no {text:?} in {}", outcome.text());
    }
}

/// Jane has the lock of a host, and was last heard of then, as `touch` reads it.
fn lock_by_jane(host: &Host, when: &str) {
    host.ok("mkdir -p /var/lib/kubewright");
    host.write(LOCK, &format!("{JANE}\n"));
    host.ok(&format!("touch -d '{when}' {LOCK}"));
}

fn another_machine(operator: &Operator, host: &Host) {
    lock_by_jane(host, "now");
    let named = [APPLY.as_slice(), &["--break-lock", "abcd1234"]].concat();
    let by_jane = format!("{} is locked by jane@laptop since 2026-05-01", name(2));
    expect(operator, &APPLY, LOCKED, &[&by_jane, "--break-lock abcd1234", "nothing was changed"]);
    expect(operator, &named, LOCKED, &["is locked by"]);
    expect(operator, &["unlock", "-f", "cluster.yaml"], LOCKED, &["left alone"]);
    // Something that a reset on the host itself would take away.
    host.ok("mkdir -p /etc/kubernetes && echo 'kind: Config' >/etc/kubernetes/kubelet.conf");
    host.put(std::path::Path::new(env!("CARGO_BIN_EXE_kubewright")), "/usr/local/bin/kubewright");
    let on_host = host.run("kubewright reset --force");
    assert_eq!(on_host.code, LOCKED, "{}", on_host.text());
    lock_by_jane(host, "10 minutes ago");
    expect(operator, &APPLY, LOCKED, &["nobody has heard of it for long"]);
    expect(operator, &named, PREFLIGHT, &["took over the lock of jane@laptop"]);
    host.ok(&format!("test ! -e {LOCK}"));
    lock_by_jane(host, "10 minutes ago");
    expect(operator, &["unlock", "-f", "cluster.yaml"], 0, &["jane@laptop", "taken away"]);
    host.ok(&format!("test ! -e {LOCK}"));
}

/// Whether a process of this machine lives is known: a stopped one is respected, a killed one is followed.
fn this_machine(operator: &Operator, hosts: &[Host]) {
    let mut command = operator.command(&APPLY);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    for host in hosts {
        host.wait_for_path(LOCK, Duration::from_secs(20));
    }
    let signal = |signal: &str| {
        let sent = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    };
    signal("-STOP");
    expect(operator, &APPLY, LOCKED, &["is locked by", &format!("process {}", child.id())]);
    signal("-KILL");
    child.wait().unwrap();
    for host in hosts {
        host.ok(&format!("test -e {LOCK}"));
    }
    expect(operator, &APPLY, PREFLIGHT, &["took over the lock of", "which is gone", name(1), name(2)]);
    for host in hosts {
        host.ok(&format!("test ! -e {LOCK}"));
    }
}

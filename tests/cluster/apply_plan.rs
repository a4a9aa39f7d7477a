//! A cluster from this machine: a reviewed plan, drift, and runs that follow a dead one.

use crate::lab;
use crate::lab::Host;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

const LOCK: &str = "/var/lib/kubewright/lock";
const SCHEDULER: &str = "/etc/kubernetes/manifests/kube-scheduler.yaml";

/// What an operator has on this machine.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new(addresses: &[&str]) -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        let keys = Command::new("ssh-keyscan").args(["-t", "ed25519"]).args(addresses).output().unwrap();
        std::fs::create_dir(desk.path(".ssh")).unwrap();
        std::fs::write(desk.path(".ssh/known_hosts"), keys.stdout).unwrap();
        let config = lab::CONFIG.replace(
            "kind: ClusterConfiguration\n",
            "kind: ClusterConfiguration\nencryptionAlgorithm: ECDSA-P256\n",
        );
        let cluster = format!(
            "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: lab}}\nspec:\n  ssh: {{user: root, \
             identityFile: {}}}\n  hosts:\n  - {{name: kwt-r1, address: {}, roles: \
             [control-plane]}}\n  - {{name: kwt-r2, address: {}, roles: [worker]}}\n---\n{config}",
            lab::key(),
            addresses[0],
            addresses[1]
        );
        std::fs::write(desk.path("cluster.yaml"), cluster).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubewright"));
        command.arg(args[0]).args(["-f", "cluster.yaml"]).args(&args[1..]).current_dir(self.0.path());
        command.env("HOME", self.0.path()).env_remove("KUBECONFIG").env_remove("XDG_STATE_HOME");
        command.stdin(Stdio::null());
        command
    }

    /// Runs the program on the cluster: its exit code, and both streams.
    fn kubewright(&self, args: &[&str]) -> (i32, String) {
        let output = self.command(args).output().unwrap();
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code().unwrap_or(-1), text)
    }

    #[track_caller]
    fn expect(&self, code: i32, args: &[&str], texts: &[&str]) -> String {
        let (found, text) = self.kubewright(args);
        assert_eq!(found, code, "{args:?}: {text}");
        for wanted in texts {
            assert!(text.contains(wanted), "{args:?}: no {wanted:?} in {text}");
        }
        text
    }
}

#[test]
fn a_reviewed_plan_drift_and_dead_runs() {
    if !lab::available("a_reviewed_plan_drift_and_dead_runs") {
        return;
    }
    let (cp, worker) = (Host::kube("kwt-r1", 101), Host::kube("kwt-r2", 102));
    let address = |host: &Host| host.ok("hostname -I | tr ' ' '\\n' | grep '^10\\.77\\.'").trim().to_owned();
    let (first, second) = (address(&cp), address(&worker));
    let desk = Desk::new(&[&first, &second]);

    desk.expect(2, &["plan", "--detailed-exitcode", "--out", "new.json"], &["certs/ca: kwt-r1, kwt-r2"]);
    let file = std::fs::read_to_string(desk.path("new.json")).unwrap();
    assert!(!file.contains("PRIVATE KEY"), "a plan holds no secret");
    desk.expect(0, &["apply", "--plan", "new.json", "--merge-kubeconfig"], &["kubernetes-admin@lab"]);
    let merged = std::fs::read_to_string(desk.path(".kube/config")).unwrap();
    assert!(merged.contains("current-context: kubernetes-admin@lab"), "{merged}");
    cp.settled();
    desk.expect(0, &["plan", "--detailed-exitcode"], &["Nothing to do: all 2 hosts are as wanted."]);
    desk.expect(
        10,
        &["apply", "--plan", "new.json"],
        &["kwt-r1: ", "does not hold any more", "nothing was changed"],
    );

    drift(&desk, &cp);
    follows_a_dead_one(&desk, &cp, "-KILL", 1, -1);
    follows_a_dead_one(&desk, &cp, "-INT", 2, 130);
}

fn edit(host: &Host) {
    host.ok(&format!("sed -i 's/^    - kube-scheduler$/    - kube-scheduler\\n    - --v=3/' {SCHEDULER}; grep -q v=3 {SCHEDULER}"));
}

fn drift(desk: &Desk, cp: &Host) {
    desk.expect(0, &["plan", "--out", "before.json"], &[]);
    edit(cp);
    let drifted = ["-    - --v=3", "kube-scheduler restarts on kwt-r1", "1 change on 1 host"];
    desk.expect(2, &["plan", "--detailed-exitcode", "--diff"], &drifted);
    let changed = format!("kwt-r1: {SCHEDULER} was changed");
    desk.expect(10, &["apply", "--plan", "before.json"], &[&changed]);
    desk.expect(0, &["plan", "--out", "after.json"], &[]);
    desk.expect(0, &["apply", "--plan", "after.json"], &["1 changed"]);
    desk.expect(0, &["plan", "--detailed-exitcode"], &[]);
}

/// A run that is killed leaves its lock, and the next one from the same machine goes on without a word from anybody.
fn follows_a_dead_one(desk: &Desk, cp: &Host, signal: &str, times: usize, code: i32) {
    edit(cp);
    let mut command = desk.command(&["apply", "--yes"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    cp.wait_for_path(LOCK, Duration::from_secs(20));
    for _ in 0..times {
        let killed = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(end(&mut child), code, "{signal}");
    cp.ok(&format!("test -e {LOCK}"));
    desk.expect(0, &["apply", "--yes"], &["took over the lock of", "which is gone", "1 changed"]);
    cp.ok(&format!("test ! -e {LOCK}"));
    desk.expect(0, &["plan", "--detailed-exitcode"], &[]);
}

fn end(child: &mut Child) -> i32 {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or(-1);
        }
        assert!(start.elapsed() < Duration::from_secs(20), "it goes on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

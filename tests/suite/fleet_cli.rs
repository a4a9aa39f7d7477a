//! `plan -f`, `apply`, `unlock` and `journal` as they are typed, as far as they come without hosts.
#![expect(clippy::disallowed_methods, reason = "tests write files and run the program")]

use crate::binary;
use crate::binary::Outcome;
use std::process::Command;
use tempfile::TempDir;

const CLUSTER: &str = "\
apiVersion: kubewright.dev/v1alpha1
kind: Cluster
metadata: {name: lab}
spec:
  ssh: {user: root}
  hosts:
  - {name: cp1, address: 198.51.100.11, roles: [control-plane]}
  - {name: worker1, address: 198.51.100.12, roles: [worker]}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.36.2
";

struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        std::fs::write(desk.path("cluster.yaml"), CLUSTER).unwrap();
        desk
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn kubewright(&self, args: &[&str]) -> Outcome {
        let mut command = Command::new(binary::PROGRAM);
        command.args(args).current_dir(self.0.path());
        command.env("HOME", self.0.path()).env("XDG_STATE_HOME", self.path("state")).env_remove("KUBECONFIG");
        binary::run(&mut command, b"")
    }
}

#[test]
fn mistakes_are_told_before_anybody_is_asked() {
    let desk = Desk::new();
    std::fs::write(desk.path("bad.json"), "{}").unwrap();
    let file = ["-f", "cluster.yaml"];
    for (args, code, expected) in [
        (
            &["apply", "--yes", "--limit", "wroker1"][..],
            2,
            &["no host or role `wroker1`", "did you mean `worker1`?"][..],
        ),
        (&["apply", "--yes", "--limit", "load-balancer"], 2, &["no host has the role `load-balancer`"]),
        (&["plan", "--limit", "cp1,contrl-plane"], 2, &["`contrl-plane`", "`control-plane`?"]),
        (&["apply"], 2, &["nobody is there to confirm", "--yes"]),
        (&["apply", "--plan", "bad.json"], 3, &["bad.json", "not a plan"]),
        (&["apply", "--plan", "none.json"], 3, &["there is no file `none.json`"]),
        (&["apply", "--plan", "bad.json", "--limit", "cp1"], 2, &["cannot be used with"]),
        (&["plan", "--config", "cluster.yaml"], 2, &["cannot be used with"]),
    ] {
        let outcome = desk.kubewright(&[args, &file].concat());
        assert_eq!(outcome.code, code, "{args:?}: {}{}", outcome.out, outcome.err);
        for text in expected {
            assert!(outcome.err.contains(text), "{args:?}: {}", outcome.err);
        }
    }
}

#[test]
fn a_plan_without_asking_anybody_is_about_new_hosts() {
    let desk = Desk::new();
    let plan = ["plan", "-f", "cluster.yaml", "--offline"];
    let outcome = desk.kubewright(&plan);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    for text in ["/etc/kubernetes/pki/ca.key", "workers/kubelet-start: worker1", "on 2 hosts"] {
        assert!(outcome.out.contains(text), "{text}: {}", outcome.out);
    }
    assert_eq!(outcome.out, desk.kubewright(&plan).out);
    let one = desk.kubewright(&[&plan[..], &["--limit", "cp1"]].concat());
    assert!(one.out.contains("on 1 host and "), "{}", one.out);
    let kept = desk.kubewright(&[&plan[..], &["--out", "plan.json"]].concat());
    assert_eq!((kept.code, kept.err.contains("cannot be used with")), (2, true), "{}", kept.err);
    let packages = CLUSTER.replace("  ssh:", "  artifacts: {source: packages}\n  ssh:");
    std::fs::write(desk.path("cluster.yaml"), packages).unwrap();
    let outcome = desk.kubewright(&plan);
    assert_eq!(
        (outcome.code, outcome.err.contains("packages that hosts get are left out")),
        (0, true),
        "{}",
        outcome.err
    );
    assert!(outcome.out.contains("kubelet-start: worker1"), "{}", outcome.out);
}

#[test]
fn every_error_of_the_drift_check_is_the_same_number() {
    let desk = Desk::new();
    for (args, code) in [(&[][..], 3), (&["--detailed-exitcode"], 1)] {
        let outcome = desk.kubewright(&[&["plan", "-f", "none.yaml"], args].concat());
        assert_eq!(outcome.code, code, "{}", outcome.err);
    }
}

#[test]
fn journals_are_listed_and_shown() {
    let desk = Desk::new();
    let none = desk.kubewright(&["journal", "show"]);
    assert_eq!(none.code, 2, "{}", none.err);
    let folder = desk.0.path().join("state/kubewright/lab");
    std::fs::create_dir_all(&folder).unwrap();
    let head = |run: &str| {
        format!(
            r#"{{"event":"run","run":"{run}","cluster":"lab","user":"jane","machine":"desk","command":"kubewright apply -f c","time":"2026-05-01T12:00:00Z"}}"#
        )
    };
    let totals = r#"{"ok":1,"changed":2,"wouldChange":0,"skipped":0,"warned":0,"failed":0}"#;
    let end = format!(
        r#"{{"event":"run-finished","totals":{totals},"interrupted":false,"elapsedMs":1500,"time":"2026-05-01T12:00:02Z"}}"#
    );
    std::fs::write(folder.join("20260501T120000Z-aaaa.jsonl"), format!("{}\n{end}\n", head("aaaa"))).unwrap();
    // Killed while it wrote.
    std::fs::write(folder.join("20260502T120000Z-bbbb.jsonl"), format!("{}\n{{\"event\":\"st", head("bbbb")))
        .unwrap();
    let list = desk.kubewright(&["journal", "list"]).data();
    let rows: Vec<Vec<&str>> = list.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0][..5], ["bbbb", "2026-05-01T12:00:00Z", "lab", "cut", "off"], "{list}");
    assert_eq!(rows[1][..4], ["aaaa", "2026-05-01T12:00:00Z", "lab", "done"], "{list}");
    assert_eq!(desk.kubewright(&["journal", "list", "other"]).data().lines().count(), 1);
    let shown = desk.kubewright(&["journal", "show", "aaaa"]).data();
    assert!(
        shown.contains("run aaaa of jane@desk") && shown.contains("12:00:02 done in 1.5s: 2 changed"),
        "{shown}"
    );
    assert_eq!(desk.kubewright(&["journal", "show", "--json"]).data().lines().count(), 1, "the last one");
    assert_eq!(desk.kubewright(&["journal", "show", "cccc"]).code, 2);
}

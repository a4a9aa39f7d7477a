//! Day two of a whole cluster: how it is, labels that change, nodes that leave, and the way back of all hosts.

use crate::lab;
use crate::lab::CONFIG;
use crate::lab::Host;
use crate::lab::Outcome;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

const HOSTS: [(&str, u8); 4] = [("kwt-d1", 111), ("kwt-d2", 112), ("kwt-d3", 113), ("kwt-d4", 114)];
const ENDPOINT: &str = "10.77.0.182";

/// A cluster of the lab's hosts, as an operator writes it.
struct Site {
    hosts: Vec<Host>,
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let hosts = std::thread::scope(|scope| {
            let started: Vec<_> =
                HOSTS.map(|(name, octet)| scope.spawn(move || Host::kube(name, octet))).into();
            started.into_iter().map(|host| host.join().unwrap()).collect()
        });
        let site = Self { hosts, folder: tempfile::tempdir().unwrap() };
        trust();
        site
    }

    /// The file with these hosts; `worker` is more of the worker.
    fn file(&self, names: &[&str], worker: &str) -> String {
        let mut text = format!(
            "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: lab}}\nspec:\n  \
             ssh: {{user: root, identityFile: {}}}\n  hosts:\n",
            lab::key()
        );
        for (name, octet) in HOSTS.iter().filter(|(name, _)| names.contains(name)) {
            let role =
                if *name == "kwt-d4" { format!("worker]{worker}") } else { "control-plane]".to_owned() };
            let _ = writeln!(text, "  - {{name: {name}, address: 10.77.0.{octet}, roles: [{role}}}");
        }
        let _ = writeln!(
            text,
            "  endpoint: {{host: {ENDPOINT}, provider: keepalived-haproxy, haproxy: {{maxConnections: 4000}}}}\n---"
        );
        let keys = "kind: ClusterConfiguration\nencryptionAlgorithm: ECDSA-P256\n";
        text.push_str(&CONFIG.replacen("kind: ClusterConfiguration\n", keys, 1));
        let path = self.folder.path().join(format!("{}{}.yaml", names.len(), worker.len()));
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// Every host's key is new; those of earlier hosts at the same addresses are forgotten.
fn trust() {
    let known = Path::new("/root/.ssh/known_hosts");
    let old = std::fs::read_to_string(known).unwrap_or_default();
    let addresses: Vec<String> = HOSTS.iter().map(|(_, octet)| format!("10.77.0.{octet}")).collect();
    let is_ours = |line: &&str| addresses.iter().any(|address| line.starts_with(&format!("{address} ")));
    let others: Vec<&str> = old.lines().filter(|line| !is_ours(line)).collect();
    let mut text = others.join("\n") + "\n";
    let scanned = Command::new("ssh-keyscan").args(["-t", "ed25519"]).args(&addresses).output().unwrap();
    text.push_str(&String::from_utf8(scanned.stdout).unwrap());
    std::fs::create_dir_all("/root/.ssh").unwrap();
    std::fs::write(known, text).unwrap();
}

fn kubewright(args: &[&str]) -> Outcome {
    let output = Command::new(env!("CARGO_BIN_EXE_kubewright")).args(args).output().unwrap();
    Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn apply(file: &str, more: &[&str]) -> Outcome {
    let outcome = kubewright(&[&["apply", "-f", file, "--yes", "--progress", "plain"], more].concat());
    assert_eq!(outcome.code, 0, "{}", outcome.text());
    outcome
}

fn status(file: &str) -> (i32, Value) {
    let outcome = kubewright(&["status", "-f", file, "-o", "json"]);
    let value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{}", outcome.text()));
    (outcome.code, value)
}

fn node(cp: &Host, name: &str) -> Value {
    serde_json::from_str(&cp.kubectl(&format!("get node {name} -o json"))).unwrap()
}

#[test]
fn a_cluster_lives_and_ends() {
    if !lab::available("day2::a_cluster_lives_and_ends") {
        return;
    }
    let site = Site::new();
    let cp = &site.hosts[0];
    let all = HOSTS.map(|(name, _)| name);
    let first =
        site.file(&all, ", labels: {disk: ssd, rack: a}, taints: [{key: old, effect: PreferNoSchedule}]");
    apply(&first, &[]);
    cp.settled();
    let (code, report) = status(&first);
    assert_eq!((code, &report["findings"]), (0, &Value::Array(Vec::new())), "{report:#}");
    assert_eq!(report["endpoint"]["holders"].as_array().unwrap().len(), 1);
    assert_eq!(report["etcd"]["members"].as_array().unwrap().len(), 3);

    // Labels: what the file has dropped goes, what somebody else set stays, what was changed by hand is put right.
    let second = site.file(&all, ", labels: {disk: hdd}");
    cp.kubectl("label node kwt-d4 theirs=1 disk=broken --overwrite");
    let (code, report) = status(&second);
    assert_eq!((code, &report["apiDrift"]), (9, &1.into()), "{report:#}");
    apply(&second, &[]);
    let labels = &node(cp, "kwt-d4")["metadata"]["labels"];
    assert_eq!(
        [&labels["disk"], &labels["theirs"], &labels["rack"]],
        [&"hdd".into(), &"1".into(), &Value::Null]
    );
    assert!(node(cp, "kwt-d4")["spec"]["taints"].is_null());
    let again = apply(&second, &[]);
    assert!(again.stderr.contains(" 0 changed"), "{}", again.stderr);

    // A host that is off, and a lock, are part of the report.
    site.hosts[3].cut();
    cp.write("/var/lib/kubewright/lock", "{\"holder\": \"somebody\"}");
    let (code, report) = status(&second);
    assert_eq!(code, 9);
    assert!(report["hosts"][3]["trouble"].is_string(), "{report:#}");
    assert_eq!(report["hosts"][0]["lock"]["holder"], "somebody");
    cp.ok("rm /var/lib/kubewright/lock");
    site.hosts[3].heal();

    // The worker leaves; then a control plane, which is reset first.
    let three = site.file(&all[..3], "");
    let told = apply(&three, &[]);
    assert!(told.stderr.contains("kwt-d4 is in the cluster and not in the file"), "{}", told.stderr);
    apply(&three, &["--prune"]);
    assert!(!cp.kubectl("get nodes").contains("kwt-d4"));
    let two = site.file(&all[..2], "");
    let refused = kubewright(&["apply", "-f", &two, "--prune", "--yes"]);
    assert!(refused.code != 0 && refused.stderr.contains("--limit kwt-d3"), "{}", refused.text());
    let reset = kubewright(&["reset", "-f", &three, "--limit", "kwt-d3", "--yes"]);
    assert_eq!(reset.code, 0, "{}", reset.text());
    assert!(reset.stdout.contains("no difference"), "{}", reset.text());
    apply(&two, &["--prune"]);
    assert!(!cp.kubectl("get nodes").contains("kwt-d3"));
    let (code, report) = status(&two);
    assert_eq!((code, report["etcd"]["members"].as_array().unwrap().len()), (0, 2), "{report:#}");

    // All of it, the hosts that left included.
    let reset = kubewright(&["reset", "-f", &second, "--yes"]);
    assert_eq!(reset.code, 0, "{}", reset.text());
    assert_eq!(reset.stdout.matches(": no difference").count(), 3, "{}", reset.text());
    assert!(reset.stdout.contains("kwt-d3  there is nothing to reset"), "{}", reset.text());
}

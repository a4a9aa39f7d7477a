//! etcd on hosts of its own: made with the rest of the cluster, one of them lost for good and replaced, one taken away,
//! and all of them as they were before.

use crate::apply::all_ready;
use crate::estate;
use crate::estate::Layout;
use crate::estate::Operator;
use crate::estate::name;
use crate::grow;
use crate::lab;
use crate::lab::Host;
use serde_json::Value;

const MANIFESTS: &str = "ls /etc/kubernetes/manifests";

/// Writes something that must not get lost.
fn write(host: &Host, key: &str) {
    host.kubectl(&format!("-n default create configmap {key} --from-literal key={key}"));
}

fn names(numbers: &[usize]) -> Vec<String> {
    numbers.iter().map(|number| name(*number).to_owned()).collect()
}

fn status(operator: &Operator) -> Value {
    let outcome = operator.run(&["status", "-f", "cluster.yaml", "-o", "json"]);
    assert_eq!(outcome.code, 0, "{}", outcome.text());
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[test]
fn etcd_lives_on_hosts_of_its_own() {
    if !lab::available("etcd_hosts::etcd_lives_on_hosts_of_its_own") {
        return;
    }
    let _turn = estate::TURN.take();
    let operator = Operator::new();
    let mut hosts = operator.hosts(&[1, 2, 3, 4, 5, 6]);
    let layout = Layout { etcd: vec![4, 5, 6], ..Layout::of(&[1, 2], &[3]) };
    println!("{}", operator.applied(&layout));
    all_ready(&hosts[0], &[1, 2, 3]);
    assert_eq!(grow::voters(&hosts[3]), names(&[4, 5, 6]));
    assert_eq!(hosts[3].ok(MANIFESTS), "etcd.yaml\n");
    assert!(!hosts[0].ok(MANIFESTS).contains("etcd"));
    let keys = hosts[3].ok("find / -xdev -name '*.key' -path '*kubernetes*' -printf '%f\n' | sort");
    assert_eq!(keys, "healthcheck-client.key\npeer.key\nserver.key\n");
    operator.finds_nothing(&layout);
    let report = status(&operator);
    assert_eq!(report["etcd"]["members"].as_array().unwrap().len(), 3, "{report:#}");

    // kubeadm takes it for an etcd that somebody else runs.
    let expiry = hosts[0].ok("kubeadm certs check-expiration 2>&1");
    assert!(!expiry.contains("etcd-server"), "{expiry}");
    let stored = hosts[1].kubectl("-n kube-system get configmap kubeadm-config -o yaml");
    assert!(stored.contains("external:") && !stored.contains("local:"), "{stored}");

    // One host is gone for good, and an empty one of its name takes its place; writes go on meanwhile.
    write(&hosts[0], "before");
    drop(hosts.pop());
    write(&hosts[0], "meanwhile");
    hosts.push(estate::host(6));
    operator.learn(6);
    operator.applied(&layout);
    write(&hosts[0], "after");
    assert_eq!(grow::voters(&hosts[5]), names(&[4, 5, 6]));
    let kept = hosts[1].kubectl("-n default get configmaps before meanwhile after -o name");
    assert_eq!(kept.lines().count(), 3, "{kept}");
    operator.finds_nothing(&layout);

    // What somebody changed by hand is put right, and nothing else.
    hosts[4]
        .ok("sed -i s/--snapshot-count=10000/--snapshot-count=20000/ /etc/kubernetes/manifests/etcd.yaml");
    let plan = operator.run(&["plan", "-f", "cluster.yaml", "--diff", "--detailed-exitcode"]);
    assert!(plan.code == 2 && plan.stdout.contains("-    - --snapshot-count=20000"), "{}", plan.text());
    let text = operator.applied(&layout);
    assert!(text.contains("1 changed"), "{text}");

    // One leaves the file, and then etcd.
    let fewer = Layout { etcd: vec![4, 5], ..Layout::of(&[1, 2], &[3]) };
    operator.write(&fewer);
    let pruned = operator.run(&["apply", "-f", "cluster.yaml", "--yes", "--prune"]);
    assert_eq!(pruned.code, 0, "{}", pruned.text());
    assert_eq!(grow::voters(&hosts[3]), names(&[4, 5]));
    assert!(!hosts[0].ok("cat /etc/kubernetes/manifests/kube-apiserver.yaml").contains("10.77.0.126:2379"));

    // And back.
    operator.write(&layout);
    let reset = operator.run(&["reset", "-f", "cluster.yaml", "--yes"]);
    assert_eq!(reset.code, 0, "{}", reset.text());
    assert_eq!(reset.stdout.matches(": no difference").count(), 6, "{}", reset.text());
}

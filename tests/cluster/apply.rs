//! Whole clusters over SSH: made, found unchanged, grown, repaired, and without the host that everybody talked to.

use crate::estate;
use crate::estate::Layout;
use crate::estate::Operator;
use crate::estate::VIP;
use crate::estate::name;
use crate::lab;
use crate::lab::Host;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;
use std::time::Instant;

const KUBECTL: &str = "kubectl --kubeconfig /etc/kubernetes/admin.conf";

/// Names of the nodes that are Ready.
fn ready(host: &Host) -> BTreeSet<String> {
    let nodes: Value = serde_json::from_str(&host.kubectl("get nodes -o json")).unwrap();
    let is_ready = |node: &&Value| {
        let conditions = node["status"]["conditions"].as_array().unwrap();
        conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
    };
    let names = nodes["items"].as_array().unwrap().iter().filter(is_ready);
    names.map(|node| node["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

pub(crate) fn all_ready(host: &Host, numbers: &[usize]) {
    let wanted: BTreeSet<String> = numbers.iter().map(|number| name(*number).to_owned()).collect();
    let start = Instant::now();
    while ready(host) != wanted {
        assert!(start.elapsed() < Duration::from_mins(1), "ready: {:?}, wanted: {wanted:?}", ready(host));
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// How many members of etcd run, by the cluster's own word.
fn members(host: &Host) -> usize {
    let pods = host.kubectl("-n kube-system get pods -l component=etcd,tier=control-plane -o json");
    let pods: Value = serde_json::from_str(&pods).unwrap();
    let running = |pod: &&Value| pod["status"]["phase"] == "Running";
    pods["items"].as_array().unwrap().iter().filter(running).count()
}

/// The pod of a member appears a moment after the member runs.
fn until_members(host: &Host, wanted: usize) {
    let start = Instant::now();
    while members(host) != wanted {
        assert!(start.elapsed() < Duration::from_mins(1), "{} members instead of {wanted}", members(host));
        std::thread::sleep(Duration::from_millis(300));
    }
}

#[test]
fn a_file_becomes_a_cluster_that_grows_and_heals() {
    if !lab::available("apply::a_file_becomes_a_cluster_that_grows_and_heals") {
        return;
    }
    let _turn = estate::TURN.take();
    let operator = Operator::new();
    let mut hosts = operator.hosts(&[1, 2, 3, 4, 5]);
    // Bare: what runs containers does not run, and nobody told the kubelet anything.
    for host in &hosts {
        host.ok("systemctl stop containerd");
    }
    let layout = Layout::of(&[1, 2, 3], &[4, 5]);
    operator.applied(&layout);
    all_ready(&hosts[0], &[1, 2, 3, 4, 5]);
    until_members(&hosts[0], 3);
    let answer = hosts[4].ok(&format!("curl -sk https://{VIP}:8443/readyz"));
    assert_eq!(answer, "ok");
    operator.finds_nothing(&layout);

    // Serving certificates were made beforehand: no request is open, and logs come with verification on.
    assert_eq!(hosts[1].kubectl("get csr -o name").trim(), "");
    hosts[1].kubectl(&format!("-n kube-system logs kube-apiserver-{} --tail 1", name(3)));

    // A worker and a control plane more, and the first control plane dies and comes back empty.
    hosts.extend(operator.hosts(&[6]));
    operator.applied(&Layout::of(&[1, 2, 3], &[4, 5, 6]));
    all_ready(&hosts[0], &[1, 2, 3, 4, 5, 6]);
    drop(hosts.remove(0));
    hosts.insert(0, estate::host(1));
    operator.learn(1);
    operator.applied(&Layout::of(&[1, 2, 3], &[4, 5, 6]));
    all_ready(&hosts[1], &[1, 2, 3, 4, 5, 6]);
    until_members(&hosts[1], 3);
    hosts.extend(operator.hosts(&[7]));
    let grown = Layout::of(&[1, 2, 3, 7], &[4, 5, 6]);
    operator.applied(&grown);
    all_ready(&hosts[6], &[1, 2, 3, 4, 5, 6, 7]);
    until_members(&hosts[6], 4);
    operator.finds_nothing(&grown);

    // What somebody changed by hand is put right, and nothing else.
    hosts[1].ok(
        "sed -i s/--leader-elect=true/--leader-elect=false/ /etc/kubernetes/manifests/kube-scheduler.yaml",
    );
    let text = operator.applied(&grown);
    assert!(text.contains("1 changed"), "{text}");
    assert!(hosts[1].ok("cat /etc/kubernetes/manifests/kube-scheduler.yaml").contains("--leader-elect=true"));
}

/// Writes a ConfigMap again and again through the virtual address, and prints what was acknowledged and when.
const WRITER: &str = r#"#!/bin/sh
n=0
end=$(($(date +%s) + 40))
while [ "$(date +%s)" -lt $end ]; do
  n=$((n + 1))
  if timeout 2 kubectl --kubeconfig /etc/kubernetes/admin.conf --request-timeout 1s -n default create configmap w-$n --from-literal n=$n >/dev/null 2>&1
  then echo "$(date +%s.%N) $n"; else echo "$(date +%s.%N) -"; fi
done
"#;

#[test]
fn the_holder_of_the_address_loses_its_power() {
    if !lab::available("apply::the_holder_of_the_address_loses_its_power") {
        return;
    }
    let _turn = estate::TURN.take();
    let operator = Operator::new();
    let hosts = operator.hosts(&[1, 2, 3, 4]);
    let layout = Layout::of(&[1, 2, 3], &[4]);
    operator.applied(&layout);
    all_ready(&hosts[0], &[1, 2, 3, 4]);
    let holder =
        (0..3).find(|index| hosts[*index].run(&format!("ip addr | grep -q {VIP}")).code == 0).unwrap();
    let other = &hosts[(holder + 1) % 3];

    let worker = &hosts[3];
    let admin = other.ok("cat /etc/kubernetes/admin.conf");
    worker.write("/etc/kubernetes/admin.conf", &admin);
    worker.write("/root/writer", WRITER);
    worker.start("sh /root/writer >/root/written");
    worker.until(Duration::from_secs(20), "test $(grep -vc -- - /root/written) -ge 5");
    hosts[holder].crash();
    let cut = Instant::now();
    let start = Instant::now();
    let gap = loop {
        if worker.run(&format!("curl -sk --max-time 0.5 https://{VIP}:8443/readyz")).stdout == "ok" {
            break cut.elapsed();
        }
        assert!(start.elapsed() < Duration::from_secs(30), "nobody answers at {VIP}");
    };
    println!("the API answered at the virtual address again after {gap:?}");
    assert!(gap < Duration::from_secs(5), "{gap:?}");
    worker.wait_for_end(Duration::from_mins(1));
    let written = worker.ok("cat /root/written");
    let acknowledged: BTreeSet<&str> = written
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(_, n)| n)
        .filter(|n| *n != "-")
        .collect();
    let kept = other.kubectl("-n default get configmaps -o name");
    let lost: Vec<&&str> = acknowledged
        .iter()
        .filter(|n| !kept.lines().any(|line| line == format!("configmap/w-{n}")))
        .collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?} of {}", acknowledged.len());
    println!(
        "{} writes acknowledged, none lost; longest pause {:.1} s",
        acknowledged.len(),
        longest(&written)
    );

    hosts[holder].on();
    // Its Node counts as ready for most of a minute after the cut; what tells is the host.
    hosts[holder].until(
        Duration::from_mins(1),
        "systemctl is-active kubelet && curl -sk --max-time 2 https://127.0.0.1:6443/livez | grep -q ok",
    );
    all_ready(other, &[1, 2, 3, 4]);
    other.until(
        Duration::from_secs(90),
        &format!(
            "test $({KUBECTL} -n kube-system get pods -l component=etcd -o \
             jsonpath='{{range .items[*]}}{{.status.containerStatuses[0].ready}} {{end}}' | wc -w) = 3"
        ),
    );
    operator.finds_nothing(&layout);
}

/// The longest time between two acknowledged writes, in seconds.
fn longest(written: &str) -> f64 {
    let moments: Vec<f64> = written
        .lines()
        .filter(|line| !line.ends_with('-'))
        .filter_map(|line| line.split(' ').next()?.parse().ok())
        .collect();
    moments.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max)
}

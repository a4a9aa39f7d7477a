//! Every way to keep the endpoint, with the real programs: a cluster from fresh hosts that is failed on purpose.

use crate::apply::all_ready;
use crate::estate;
use crate::estate::Layout;
use crate::estate::Operator;
use crate::estate::VIP;
use crate::estate::name;
use crate::lab;
use crate::lab::Host;
use crate::skip::skip;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

/// For a machine that has hosts and their control planes to run besides: what is measured is printed.
const MAX_GAP: &str = "15s";

/// What `endpoint test` reports, and its exit code.
fn tested(operator: &Operator, args: &[&str]) -> (i32, Value) {
    let all =
        [&["endpoint", "test", "-f", "cluster.yaml", "--yes", "-o", "json", "--max-gap", MAX_GAP], args]
            .concat();
    let outcome = operator.run(&all);
    let report = serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{}", outcome.text()));
    (outcome.code, report)
}

/// Makes the cluster, finds it unchanged, and fails its endpoint, which is survived. Returns the stages of the report in
/// which something was failed.
fn survives(test: &str, operator: &Operator, layout: &Layout, hosts: &[Host]) -> Vec<Value> {
    operator.applied(layout);
    let nodes: Vec<usize> = layout.control_planes.iter().chain(&layout.workers).copied().collect();
    all_ready(&hosts[0], &nodes);
    operator.finds_nothing(layout);
    let (code, report) = tested(operator, &["--observe", "3s"]);
    assert_eq!(code, 0, "{report:#}");
    for row in report["stages"].as_array().unwrap() {
        println!(
            "{test}: {} on {}: gap {} ms, {} of {} requests lost, address at {} after {} ms",
            row["what"],
            row["host"],
            row["gapMs"],
            row["lost"],
            row["requests"],
            row["holderAfter"],
            row["movedAfterMs"]
        );
    }
    // What was failed is as it was.
    operator.finds_nothing(layout);
    let failed = report["stages"].as_array().unwrap().iter().filter(|row| !row["failed"].is_null());
    failed.cloned().collect()
}

/// The address went to another host each time.
fn moved(stages: &[Value]) {
    for stage in stages {
        assert_ne!(stage["holderAfter"], stage["holderBefore"], "{stage:#}");
        assert_eq!(stage["moves"], 1, "{stage:#}");
    }
}

fn layout(control_planes: &[usize], workers: &[usize], endpoint: &str) -> Layout {
    Layout { endpoint: endpoint.to_owned(), ..Layout::of(control_planes, workers) }
}

#[test]
fn keepalived_and_haproxy_as_services() {
    if !lab::available("endpoint::keepalived_and_haproxy_as_services") {
        return;
    }
    let _turn = estate::TURN.take();
    let operator = Operator::new();
    let hosts = operator.hosts(&[1, 2, 3]);
    let stages = survives("services", &operator, &Layout::of(&[1, 2, 3], &[]), &hosts);
    assert_eq!([&stages[0]["what"], &stages[1]["what"]], ["keepalived stopped", "haproxy stopped"]);
    moved(&stages);
    for host in &hosts {
        host.ok("systemctl is-active keepalived haproxy");
        assert_eq!(host.run("systemctl list-timers --all | grep kubewright-mend").stdout, "");
    }

    // They hear each other no more: each takes the address.
    for host in &hosts {
        host.ok(
            "nft 'add table inet deaf' && nft 'add chain inet deaf input { type filter hook input priority -300; }' && \
             nft 'add rule inet deaf input meta l4proto 112 drop'",
        );
    }
    for host in &hosts {
        host.until(Duration::from_secs(20), &format!("ip addr | grep -q {VIP}"));
    }
    let (code, report) = tested(&operator, &[]);
    let findings = report["findings"].to_string();
    assert!(code == 9 && findings.contains("had the address at once"), "{code}: {report:#}");
    // Nothing is failed on top of that.
    assert_eq!(report["stages"].as_array().unwrap().len(), 1, "{report:#}");
    for host in &hosts {
        host.ok("systemctl is-active keepalived haproxy && nft 'delete table inet deaf'");
    }
    let start = Instant::now();
    while hosts.iter().filter(|host| host.run(&format!("ip addr | grep -q {VIP}")).code == 0).count() != 1 {
        assert!(start.elapsed() < Duration::from_secs(20), "they do not agree again");
        std::thread::sleep(Duration::from_millis(300));
    }
    let (code, report) = tested(&operator, &["--fail", "none"]);
    assert_eq!((code, report["stages"].as_array().unwrap().len()), (0, 1), "{report:#}");
}

#[test]
fn keepalived_and_haproxy_as_static_pods() {
    if !lab::available("endpoint::keepalived_and_haproxy_as_static_pods") {
        return;
    }
    let _turn = estate::TURN.take();
    let operator = Operator::new();
    let hosts = operator.hosts(&[1, 2, 3]);
    let endpoint = format!(
        "{{host: {VIP}, provider: keepalived-haproxy, runAs: static-pod, haproxy: {{maxConnections: 4000}}}}"
    );
    let stages = survives("static pods", &operator, &layout(&[1, 2], &[3], &endpoint), &hosts);
    assert_eq!(
        [&stages[0]["what"], &stages[1]["what"]],
        ["static pod keepalived taken away", "static pod haproxy taken away"]
    );
    moved(&stages);
    assert_eq!(hosts[0].ok("ls /etc/kubernetes | grep -c kubewright-test || true").trim(), "0");
}

#[test]
fn keepalived_and_haproxy_on_hosts_of_their_own() {
    if !lab::available("endpoint::keepalived_and_haproxy_on_hosts_of_their_own") {
        return;
    }
    let _turn = estate::TURN.take();
    let operator = Operator::new();
    let hosts = operator.hosts(&[1, 2]);
    let balancers = [operator.bare(3), operator.bare(4)];
    let layout = Layout { balancers: vec![3, 4], ..Layout::of(&[1], &[2]) };
    let stages = survives("load balancers", &operator, &layout, &hosts);
    moved(&stages);
    let before = [&stages[0]["holderBefore"], &stages[0]["holderAfter"]];
    assert!(before == [name(3), name(4)] || before == [name(4), name(3)], "{before:?}");
    balancers[0].ok("curl -sk https://localhost:6443/readyz | grep -qx ok");
}

#[test]
fn haproxy_on_every_node_as_a_service() {
    node_local("endpoint::haproxy_on_every_node_as_a_service", "service");
}

#[test]
fn haproxy_on_every_node_as_a_static_pod() {
    node_local("endpoint::haproxy_on_every_node_as_a_static_pod", "static-pod");
}

fn node_local(test: &str, run_as: &str) {
    if !lab::available(test) {
        return;
    }
    let _turn = estate::TURN.take();
    let operator = Operator::new();
    let hosts = operator.hosts(&[1, 2, 3]);
    let endpoint = format!("{{provider: node-local, runAs: {run_as}, haproxy: {{maxConnections: 4000}}}}");
    let layout = layout(&[1, 2], &[3], &endpoint);
    let stages = survives(run_as, &operator, &layout, &hosts);
    assert_eq!((stages.len(), &stages[0]["what"]), (1, &"haproxy killed".into()));
    assert_eq!(stages[0]["host"], name(3));
    // Its kubelet reaches whatever API server is there.
    hosts[2].ok("grep -q 'server: https://127.0.0.1:6443' /etc/kubernetes/kubelet.conf");
    let refused = operator.run(&["endpoint", "test", "-f", "cluster.yaml", "--yes", "--fail", "holder"]);
    assert!(refused.code == 2 && refused.stderr.contains("no virtual address"), "{}", refused.text());
}

#[test]
fn kube_vip_on_the_control_planes() {
    const TEST: &str = "endpoint::kube_vip_on_the_control_planes";
    if !lab::available(TEST) {
        return;
    }
    let kube = std::env::var("KUBEWRIGHT_TEST_KUBE").unwrap();
    if !Path::new(&kube).join("kube-vip").is_file() {
        return skip(TEST, &format!("no kube-vip in {kube}"));
    }
    let _turn = estate::TURN.take();
    let operator = Operator::new();
    let hosts = operator.hosts(&[1, 2, 3]);
    let endpoint = format!("{{host: {VIP}, provider: kube-vip}}");
    let stages = survives("kube-vip", &operator, &layout(&[1, 2], &[3], &endpoint), &hosts);
    assert_eq!((stages.len(), &stages[0]["what"]), (1, &"static pod kube-vip taken away".into()));
    moved(&stages);
    let lease = hosts[0].kubectl("-n kube-system get lease plndr-cp-lock -o jsonpath={.spec.holderIdentity}");
    assert_eq!(stages[0]["holderAfter"], lease.as_str());
}

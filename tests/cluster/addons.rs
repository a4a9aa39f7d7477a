//! Add-ons on a real API server: metrics that are verified both ways, what is changed by hand, and what goes again.

use crate::apply::all_ready;
use crate::estate;
use crate::estate::Layout;
use crate::estate::Operator;
use crate::lab;
use crate::lab::Host;
use crate::rendered;
use std::collections::BTreeSet;
use std::time::Duration;

const KUBECTL: &str = "kubectl --kubeconfig /etc/kubernetes/admin.conf";

/// Kinds in which an add-on leaves something behind, if anywhere.
const KINDS: &str = "serviceaccounts,configmaps,secrets,services,deployments,daemonsets,poddisruptionbudgets,roles,\
                     rolebindings,clusterroles,clusterrolebindings,apiservices";

/// Add-ons whose images are not here, so that they do not come up.
const OTHERS: [(&[&str], &str); 2] = [
    (
        &["node-local-dns", "kubelet-csr-approver", "local-path", "headlamp", "ingress"],
        "nodeLocalDns: {}, kubeletCsrApprover: {replicas: 2}, localPath: {defaultClass: true}, \
         headlamp: {clusterRole: view, host: headlamp.example.com}, ingress: {provider: traefik, expose: node-port}",
    ),
    (
        &["coredns", "metrics-server", "ingress"],
        "metricsServer: {replicas: 2}, ingress: {provider: haproxy, expose: host}, \
         coredns: {replicas: 3, forward: [192.0.2.53], hosts: [{address: 192.0.2.7, names: [registry.example.com]}]}",
    ),
];

fn text(addons: &str) -> String {
    let more = format!("  network: {{cni: {{provider: bridge}}}}\n  addons: {{{addons}}}\n  hosts:\n");
    Layout::of(&[1], &[2, 3]).yaml().replacen("  hosts:\n", &more, 1)
}

/// Everything of these kinds, by name.
fn everything(host: &Host) -> BTreeSet<String> {
    let columns = "custom-columns=KIND:.kind,NAMESPACE:.metadata.namespace,NAME:.metadata.name";
    let found = host.kubectl(&format!("get {KINDS} -A --no-headers -o {columns}"));
    found.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// What the cluster notes as belonging to an add-on, in the same form, with the note itself.
fn members(host: &Host, addon: &str) -> BTreeSet<String> {
    let note = format!("kubewright-addon-{addon}");
    let lines = host.kubectl(&format!("-n kube-system get configmap {note} -o 'jsonpath={{.data.members}}'"));
    let named = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (namespace, name) = words[2].split_once('/').unwrap_or(("<none>", words[2]));
        format!("{} {namespace} {name}", words[1])
    };
    let own = format!("ConfigMap kube-system {note}");
    lines.lines().map(named).chain([own]).collect()
}

#[test]
fn metrics_are_verified_both_ways_and_go_without_a_trace() {
    let test = "addons::metrics_are_verified_both_ways_and_go_without_a_trace";
    if !lab::available(test) || !lab::has(test, &["metrics-server"]) {
        return;
    }
    let _turn = estate::TURN.take();
    let operator = Operator::new();
    let hosts = operator.hosts_without_network(&[1, 2, 3]);
    let host = &hosts[0];
    operator.write_text(&text("metricsServer: {replicas: 2, resolution: 12s}"));
    let apply = ["apply", "-f", "cluster.yaml", "--yes"];
    let done = operator.run(&apply);
    assert_eq!(done.code, 0, "{}", done.text());
    all_ready(host, &[1, 2, 3]);
    measured(host);
    let again = operator.run(&apply);
    assert!(again.code == 0 && again.stderr.contains(": 0 changed"), "{}", again.text());
    let same = rendered::is_what_is_there(&operator, host, &[]);
    assert!(same > 25, "{same}");
    println!("{same} rendered objects are what was applied");
    by_hand(&operator, host);
    from_a_host(&operator, host);

    let (before, own) = (everything(host), members(host, "metrics-server"));
    assert!(own.is_subset(&before) && own.len() > 10, "{own:?}");
    operator.write_text(&text("metricsServer: {enabled: false}"));
    let off = operator.run(&apply);
    assert_eq!(off.code, 0, "{}", off.text());
    let after = everything(host);
    assert_eq!(before.difference(&after).cloned().collect::<BTreeSet<_>>(), own, "{}", off.text());
    assert!(after.is_subset(&before), "{:?}", after.difference(&before));
    let again = operator.run(&apply);
    assert!(again.code == 0 && again.stderr.contains(": 0 changed"), "{}", again.text());
    others_are_accepted(&operator, host);
}

/// Every node tells, nobody is believed without proof.
fn measured(host: &Host) {
    host.until(
        Duration::from_mins(1),
        &format!("test $({KUBECTL} top nodes --no-headers | grep -c '%') = 3"),
    );
    host.until(
        Duration::from_mins(1),
        &format!("{KUBECTL} -n kube-system top pods | grep -q kube-apiserver"),
    );
    let deployment = host.kubectl("-n kube-system get deployment metrics-server -o json");
    assert!(!deployment.contains("insecure"), "{deployment}");
    let service = host.kubectl("get apiservice v1beta1.metrics.k8s.io -o jsonpath='{.spec}'");
    assert!(service.contains("caBundle") && !service.contains("insecure"), "{service}");
}

/// What somebody changes shows, stays without a word, and is put right with one.
fn by_hand(operator: &Operator, host: &Host) {
    host.kubectl("-n kube-system scale deployment metrics-server --replicas=1");
    let plan = operator.run(&["plan", "-f", "cluster.yaml", "--diff", "--detailed-exitcode"]);
    assert_eq!(plan.code, 2, "{}", plan.text());
    assert!(plan.stdout.contains("-  replicas: 1\n    +  replicas: 2\n"), "{}", plan.text());
    let one = ["addon", "apply", "-f", "cluster.yaml", "metrics-server", "--yes"];
    let refused = operator.run(&one);
    assert!(refused.code == 7 && refused.stderr.contains("--force-conflicts"), "{}", refused.text());
    let taken = operator.run(&[&one[..], &["--force-conflicts"]].concat());
    assert_eq!(taken.code, 0, "{}", taken.text());
    let replicas =
        host.kubectl("-n kube-system get deployment metrics-server -o jsonpath='{.spec.replicas}'");
    assert_eq!(replicas, "2");
    let looked = operator.run(&["addon", "apply", "-f", "cluster.yaml", "metrics-server", "--dry-run"]);
    assert!(looked.code == 0 && looked.text().contains("Nothing to do"), "{}", looked.text());
    let list = operator.run(&["addon", "list", "-f", "cluster.yaml"]);
    assert!(list.stdout.contains("metrics-server   yes           12 objects"), "{}", list.text());
    let unknown = operator.run(&["addon", "apply", "-f", "cluster.yaml", "metric-server", "--yes"]);
    assert!(
        unknown.code == 2 && unknown.stderr.contains("did you mean `metrics-server`?"),
        "{}",
        unknown.text()
    );
}

/// On the control plane itself, one phase finds the same.
fn from_a_host(operator: &Operator, host: &Host) {
    host.put(&operator.file(), "/root/cluster.yaml");
    let done = host.run("kubewright init phase addon metrics-server --config /root/cluster.yaml");
    assert!(done.code == 0 && done.text().contains(": 0 changed"), "{}", done.text());
}

/// The API server takes every object of the other add-ons and knows every field of it, and kubectl would make the same of
/// what is rendered.
fn others_are_accepted(operator: &Operator, host: &Host) {
    for (names, addons) in OTHERS {
        operator.write_text(&text(addons));
        let apply = ["addon", "apply", "-f", "cluster.yaml", "--yes", "--timeout", "1s"];
        let done = operator.run(&[&apply[..], names].concat());
        assert!(done.waits_for_pods() > 0, "{}", done.text());
        let same = rendered::is_what_is_there(operator, host, &[]);
        println!("{addons}: {same} rendered objects are what was applied");
    }
}

//! Add-ons on a real API server: metrics that are verified both ways, what is changed by hand, and what goes again.

use crate::apply::all_ready;
use crate::estate;
use crate::estate::Layout;
use crate::estate::Operator;
use crate::lab;
use crate::lab::Host;
use crate::skip::skip;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

const KUBECTL: &str = "kubectl --kubeconfig /etc/kubernetes/admin.conf";

/// Kinds in which an add-on leaves something behind, if anywhere.
const KINDS: &str = "serviceaccounts,configmaps,secrets,services,deployments,daemonsets,poddisruptionbudgets,roles,\
                     rolebindings,clusterroles,clusterrolebindings,apiservices";

/// Add-ons whose images are not here: what a real API server says of their objects.
const OTHERS: [&str; 2] = [
    "nodeLocalDns: {}, kubeletCsrApprover: {replicas: 2}, localPath: {defaultClass: true}, \
     headlamp: {clusterRole: view, host: headlamp.example.com}, ingress: {provider: traefik, expose: node-port}",
    "metricsServer: {replicas: 2}, ingress: {provider: haproxy, expose: host}, \
     coredns: {replicas: 3, forward: [192.0.2.53], hosts: [{address: 192.0.2.7, names: [registry.example.com]}]}",
];

fn text(addons: &str) -> String {
    let more = format!("  network: {{cni: {{provider: bridge}}}}\n  addons: {{{addons}}}\n  hosts:\n");
    Layout::of(&[1], &[2, 3]).yaml().replacen("  hosts:\n", &more, 1)
}

fn has(program: &str) -> bool {
    let kube = std::env::var_os("KUBEWRIGHT_TEST_KUBE").unwrap();
    Path::new(&kube).join(program).is_file()
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
    if !lab::available(test) {
        return;
    }
    if !has("metrics-server") {
        skip(test, "no metrics-server in KUBEWRIGHT_TEST_KUBE");
        return;
    }
    let _turn = estate::turn();
    let operator = Operator::new();
    let hosts = operator.hosts(&[1, 2, 3]);
    for host in &hosts {
        // The lab's own network.
        host.ok("rm -f /etc/cni/net.d/*");
    }
    let host = &hosts[0];
    operator.write_text(&text("metricsServer: {replicas: 2, resolution: 12s}"));
    let apply = ["apply", "-f", "cluster.yaml", "--yes"];
    let done = operator.run(&apply);
    assert_eq!(done.code, 0, "{}", done.text());
    all_ready(host, &[1, 2, 3]);
    measured(host);
    let again = operator.run(&apply);
    assert!(again.code == 0 && again.stderr.contains(": 0 changed"), "{}", again.text());
    rendered_is_what_was_applied(&operator, host);
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

/// Rendered objects, applied by kubectl, would leave every object of ours as it is. Those that hold what each rendering
/// makes anew (authorities, tokens) are left out, and nodes, which are rendered as patches.
fn rendered_is_what_was_applied(operator: &Operator, host: &Host) {
    const ANEW: [&str; 7] = [
        "-node-",
        "cluster-info",
        "bootstrap-token",
        "kubeadm-certs",
        "metrics-server-kubelet-ca",
        "metrics-server-serving",
        "-apiservice-",
    ];
    let rendered = operator.run(&["render", "-f", "cluster.yaml", "--output-dir", "rendered"]);
    assert_eq!(rendered.code, 0, "{}", rendered.text());
    host.put(&operator.path("rendered/cluster"), "/root/rendered");
    let files = host.ok("ls /root/rendered");
    let files: Vec<&str> =
        files.lines().filter(|file| ANEW.iter().all(|anew| !file.contains(anew))).collect();
    let apply = format!(
        "{KUBECTL} apply --server-side --force-conflicts --field-manager=kubewright --validate=false --dry-run=server -o json"
    );
    let said = host.ok(&format!(
        "set -e; cd /root/rendered; for one in {}; do {apply} -f $one; echo; echo ==; {KUBECTL} get -o json -f $one; \
         echo; echo ==; done",
        files.join(" ")
    ));
    let said: Vec<Value> =
        said.split("==\n").filter_map(|text| serde_json::from_str(text).ok()).map(without_books).collect();
    assert_eq!(said.len(), 2 * files.len(), "{files:?}");
    for (file, pair) in files.iter().zip(said.chunks(2)) {
        assert_eq!(pair[0], pair[1], "{file}: by kubectl, and as it is");
    }
    assert!(files.len() > 25, "{files:?}");
    println!("{} rendered objects are what was applied", files.len());
}

/// An object without what the API keeps about who wrote it.
fn without_books(mut object: Value) -> Value {
    for key in ["managedFields", "resourceVersion"] {
        object["metadata"].as_object_mut().map(|metadata| metadata.remove(key));
    }
    object
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

/// The API server takes every object of the other add-ons, and knows every field of it.
fn others_are_accepted(operator: &Operator, host: &Host) {
    for (number, addons) in OTHERS.iter().enumerate() {
        let (file, folder) = (format!("others-{number}.yaml"), format!("rendered-{number}"));
        std::fs::write(operator.path(&file), text(addons)).unwrap();
        let rendered = operator.run(&["render", "-f", &file, "--output-dir", &folder]);
        assert_eq!(rendered.code, 0, "{}", rendered.text());
        host.put(&operator.path(&format!("{folder}/cluster")), &format!("/root/{folder}"));
        // A server-side apply refuses fields that the API server does not know; kubectl need not look as well.
        let apply = format!("{KUBECTL} apply --server-side --force-conflicts --validate=false");
        host.ok(&format!(
            "set -e; cd /root/{folder}; rm -f ???-node-* ???-secret-bootstrap-*; \
             for one in ???-namespace-*; do {apply} -f $one; done; \
             for one in *; do {apply} --dry-run=server -f $one || {{ cat $one; exit 1; }}; done; \
             for one in ???-namespace-*; do {KUBECTL} delete --wait=false -f $one; done"
        ));
    }
}

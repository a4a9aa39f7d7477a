//! What other projects publish, on a real API server: their definitions are established, every object of theirs and of ours
//! is taken with all its fields, and kubectl would make the same of what is rendered.
//!
//! `KUBEWRIGHT_TEST_MANIFESTS` names a directory with what their releases bring: `calico.yaml`, `canal.yaml`,
//! `metallb-native.yaml`, `metallb-frr.yaml`, `metallb-frr-k8s.yaml`, the Gateway API's two channels as
//! `gateway-api-standard.yaml` and `gateway-api-experimental.yaml`, and Cilium as helm renders it, `cilium.yaml`. Their
//! images are not here, so nothing of it comes up.

use crate::apply::all_ready;
use crate::estate;
use crate::estate::Layout;
use crate::estate::Operator;
use crate::lab;
use crate::lab::Host;
use crate::rendered;
use crate::skip::skip;
use std::path::PathBuf;
use std::time::Duration;

const KUBECTL: &str = "kubectl --kubeconfig /etc/kubernetes/admin.conf";
const POOLS: &str = "pools: [{name: default, addresses: [10.77.0.200-10.77.0.210]}, \
                     {name: own, addresses: [10.77.0.224/28], autoAssign: false, avoidBuggyIPs: true}], \
                     layer2: {interfaces: [eth0]}, bgp: {asn: 64512, peers: [{address: 10.77.0.1, asn: 64513, \
                     multihop: true, port: 1179, passwordSecret: router}]}";

/// What is tried: a file, the add-on that it is of, and what the cluster's file says.
const PUBLISHED: [(&str, &str, &str); 10] = [
    ("calico", "cni", "network: {cni: {provider: calico, mtu: 1400, manifest: MANIFEST}}"),
    (
        "calico",
        "cni",
        "network: {cni: {provider: calico, calico: {encapsulation: ipip}, manifest: MANIFEST}}",
    ),
    (
        "calico",
        "cni",
        "network: {cni: {provider: calico, calico: {encapsulation: none}, manifest: MANIFEST}}",
    ),
    ("canal", "cni", "network: {cni: {provider: canal, manifest: MANIFEST}}"),
    ("cilium", "cni", "network: {cni: {provider: cilium, manifest: MANIFEST}}"),
    ("gateway-api-standard", "gateway-api", "addons: {gatewayApi: {manifest: MANIFEST}}"),
    ("gateway-api-experimental", "gateway-api", "addons: {gatewayApi: {manifest: MANIFEST}}"),
    ("metallb-native", "metallb", "addons: {metallb: {manifest: MANIFEST, POOLS}}"),
    ("metallb-frr", "metallb", "addons: {metallb: {mode: frr, manifest: MANIFEST, POOLS}}"),
    ("metallb-frr-k8s", "metallb", "addons: {metallb: {mode: frr-k8s, manifest: MANIFEST, POOLS}}"),
];
/// Parts of the names of rendered files with objects that are written when the pods which check them run.
const AFTERWARDS: [&str; 4] = ["-ipaddresspool-", "-l2advertisement-", "-bgppeer-", "-bgpadvertisement-"];

fn text(said: &str) -> String {
    let more = format!("  {said}\n  hosts:\n");
    Layout::of(&[1], &[]).yaml().replacen("  hosts:\n", &more, 1)
}

fn file(name: &str) -> Option<PathBuf> {
    let directory = std::env::var_os("KUBEWRIGHT_TEST_MANIFESTS")?;
    Some(PathBuf::from(directory).join(format!("{name}.yaml"))).filter(|path| path.is_file())
}

/// A cluster of one host, whose pods are connected by the lab.
fn cluster(operator: &Operator) -> Host {
    let host = operator.hosts(&[1]).remove(0);
    operator.write_text(&text("network: {cni: {provider: none}}"));
    let done = operator.run(&["apply", "-f", "cluster.yaml", "--yes"]);
    assert_eq!(done.code, 0, "{}", done.text());
    all_ready(&host, &[1]);
    host
}

#[test]
fn what_others_publish_is_taken_as_it_is_rendered() {
    let test = "published::what_others_publish_is_taken_as_it_is_rendered";
    if !lab::available(test) {
        return;
    }
    if std::env::var_os("KUBEWRIGHT_TEST_MANIFESTS").is_none() {
        skip(test, "KUBEWRIGHT_TEST_MANIFESTS names no directory of manifests");
        return;
    }
    let _turn = estate::TURN.take();
    let operator = Operator::new();
    let host = cluster(&operator);
    for (name, addon, said) in PUBLISHED {
        match file(name) {
            Some(path) => {
                let manifest = format!("{{file: {}}}", path.display());
                let said = said.replace("POOLS", POOLS).replace("MANIFEST", &manifest);
                is_taken(&operator, &host, addon, &said);
            }
            None => skip(test, &format!("no {name}.yaml in KUBEWRIGHT_TEST_MANIFESTS")),
        }
    }
}

fn is_taken(operator: &Operator, host: &Host, addon: &str, said: &str) {
    operator.write_text(&text(said));
    let apply = ["addon", "apply", "-f", "cluster.yaml", addon, "--yes", "--timeout", "1s"];
    let done = operator.run(&apply);
    assert_eq!(done.waits_for_pods() == 0, addon == "gateway-api", "{said}: {}", done.text());
    let same = rendered::is_what_is_there(operator, host, &AFTERWARDS);
    println!("{said}: {same} rendered objects are what was applied");
    if addon == "metallb" {
        // What checks its objects does not run.
        host.kubectl("delete validatingwebhookconfigurations --all");
        rendered::onto(operator, host, "/root/rendered");
        for part in AFTERWARDS {
            rendered::nothing_is_dropped(host, part);
        }
    }
    goes(operator, host, addon);
}

/// Without it in the file all of it goes but definitions, also what was written halfway.
fn goes(operator: &Operator, host: &Host, addon: &str) {
    operator.write_text(&text("network: {cni: {provider: none}}"));
    let gone = operator.run(&["addon", "apply", "-f", "cluster.yaml", addon, "--yes"]);
    assert_eq!(gone.code, 0, "{}", gone.text());
    assert_eq!(left(host), "", "{}", gone.text());
}

/// What is not of the cluster itself.
fn left(host: &Host) -> String {
    let kinds =
        "daemonsets,deployments,clusterroles,validatingwebhookconfigurations,validatingadmissionpolicies";
    let all = host.kubectl(&format!("get {kinds} -A -o name"));
    let own = ["daemonset.apps/kube-proxy", "deployment.apps/coredns", "/system:", "/kubeadm:"];
    let stock = ["/admin", "/edit", "/view", "/cluster-admin"];
    let mine = |line: &&str| {
        !own.iter().any(|part| line.contains(part)) && !stock.iter().any(|end| line.ends_with(end))
    };
    all.lines().filter(mine).collect::<Vec<_>>().join(" ")
}

/// Two definitions want one name, so that the second one never counts.
const RIVALS: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: shelves.shop.example.com}
spec:
  group: shop.example.com
  scope: Namespaced
  names: {plural: shelves, kind: Shelf}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boards.shop.example.com}
spec:
  group: shop.example.com
  scope: Namespaced
  names: {plural: boards, kind: Shelf}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
---
apiVersion: shop.example.com/v1
kind: Shelf
metadata: {name: first, namespace: default}
";

#[test]
fn a_definition_that_never_counts_is_told_and_a_rerun_goes_on() {
    if !lab::available("published::a_definition_that_never_counts_is_told_and_a_rerun_goes_on") {
        return;
    }
    let _turn = estate::TURN.take();
    let operator = Operator::new();
    let host = cluster(&operator);
    let said = "addons: {manifests: [{name: shop, sources: [{file: shop.yaml}]}]}";
    operator.write_text(&text(said));
    std::fs::write(operator.path("shop.yaml"), RIVALS).unwrap();
    let apply = ["addon", "apply", "-f", "cluster.yaml", "shop", "--yes"];
    let refused = operator.run(&apply);
    assert_ne!(refused.code, 0, "{}", refused.text());
    assert!(
        refused.stderr.contains("boards.shop.example.com established")
            && refused.stderr.contains("kubectl describe crd boards.shop.example.com"),
        "{}",
        refused.text()
    );
    assert_ne!(host.run(&format!("{KUBECTL} get shelves first")).code, 0);
    // The API has made up further names of it meanwhile, which are to be said now.
    std::fs::write(
        operator.path("shop.yaml"),
        RIVALS.replace(
            "plural: boards, kind: Shelf",
            "plural: boards, singular: board, kind: Board, listKind: BoardList",
        ),
    )
    .unwrap();
    let mended = operator.run(&apply);
    assert_eq!(mended.code, 0, "{}", mended.text());
    host.until(Duration::from_secs(10), &format!("{KUBECTL} get shelves first"));
    let again = operator.run(&apply);
    assert!(again.code == 0 && again.stderr.contains(": 0 changed"), "{}", again.text());
}

//! Pods that reach each other over hosts, and the services of the cluster.

use crate::apply::all_ready;
use crate::estate;
use crate::estate::Layout;
use crate::estate::Operator;
use crate::lab;
use crate::lab::Host;
use std::time::Duration;

/// A pod on every node that says its name to whoever connects, and a service before them.
const LOOK: &str = r#"
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: look, namespace: default}
spec:
  selector: {matchLabels: {app: look}}
  template:
    metadata: {labels: {app: look}}
    spec:
      tolerations: [{operator: Exists}]
      containers:
      - name: look
        image: registry.k8s.io/kube-proxy:v1.36.2
        command: [sh, -c, "socat TCP-LISTEN:8080,fork,reuseaddr SYSTEM:hostname"]
---
apiVersion: v1
kind: Service
metadata: {name: look, namespace: default}
spec: {selector: {app: look}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: look, namespace: default}
spec: {podSelector: {matchLabels: {app: look}}, ingress: [{}]}
"#;

/// From every pod: each pod by its address, the service by its name, and a host, which must not see a pod's address.
const ASK: &str = r#"
kubectl get pods -l app=look -o 'jsonpath={range .items[*]}{.metadata.name} {.status.podIP}{"\n"}{end}' >/root/pods
while read -r pod _; do
  while read -r other address; do
    said=$(kubectl exec $pod -- socat -T3 - TCP:$address:8080,connect-timeout=3 </dev/null) || exit 1
    [ "$said" = "$other" ] || { echo "$pod asked $other and got '$said'"; exit 1; }
  done </root/pods
  kubectl exec $pod -- socat -T3 - TCP:look.default.svc.cluster.local:80,connect-timeout=3 </dev/null | grep -q ^look- || {
    echo "$pod cannot reach the service"; exit 1; }
done </root/pods
"#;

const KUBECONFIG: &str = "export KUBECONFIG=/etc/kubernetes/admin.conf;";

/// What a pod network leaves nothing of: interfaces, routes, rules and files.
const LEFT: &str = "{ ls -d /sys/class/net/cni0 /sys/class/net/flannel* /etc/cni/net.d/* /opt/cni /run/flannel \
                    /usr/lib/cni/flannel /var/lib/cni/*; \
                    ip route | grep 10.244; \
                    nft list ruleset | grep -E 'kubewright-pods|FLANNEL|flanneld|CNI-|KUBE-'; } 2>/dev/null";

/// `cni` is of the `Cluster` document, as YAML in braces; `mode` is kube-proxy's.
fn layout(cni: &str, mode: &str) -> (Layout, String) {
    let layout = Layout::of(&[1], &[2, 3]);
    let network = format!("  network: {{cni: {cni}}}\n  hosts:\n");
    let connected = layout.yaml().replacen("  hosts:\n", &network, 1);
    let kind = "kind: KubeProxyConfiguration\n";
    (layout, connected.replacen(kind, &format!("{kind}mode: {mode}\n"), 1))
}

/// Everything is asked; the cluster is found unchanged, and the hosts are left as they were.
fn connects(operator: &Operator, hosts: &[Host], cni: &str, mode: &str) {
    let (layout, text) = layout(cni, mode);
    operator.write_text(&text);
    let apply = ["apply", "-f", "cluster.yaml", "--yes"];
    let done = operator.run(&apply);
    assert_eq!(done.code, 0, "{mode}: {}", done.text());
    all_ready(&hosts[0], &[layout.control_planes, layout.workers].concat());
    hosts[0].write("/root/look.yaml", LOOK);
    hosts[0].until(
        Duration::from_secs(30),
        &format!("{KUBECONFIG} kubectl apply --validate=false -f /root/look.yaml"),
    );
    let ready = "kubectl rollout status daemonset/look --timeout=60s && \
                 kubectl -n kube-system rollout status deployment/coredns --timeout=60s && \
                 kubectl -n kube-system rollout status daemonset/kube-proxy --timeout=60s";
    hosts[0].ok(&format!("{KUBECONFIG} {ready}"));
    hosts[0].until(Duration::from_mins(1), &format!("{KUBECONFIG} {ASK}"));
    tested(operator, hosts, mode);
    let again = operator.run(&apply);
    assert!(again.code == 0 && again.stderr.contains(": 0 changed"), "{mode}: {}", again.text());
    let reset = operator.run(&["reset", "-f", "cluster.yaml", "--yes"]);
    assert_eq!(reset.code, 0, "{mode}: {}", reset.text());
    for host in hosts {
        let left = host.run(LEFT);
        assert_eq!(left.stdout, "", "{cni} {mode}: {}", reset.text());
    }
}

/// `network test` finds all well, says which ways are closed when some are, and leaves nothing.
fn tested(operator: &Operator, hosts: &[Host], mode: &str) {
    let test = ["network", "test", "-f", "cluster.yaml"];
    let well = operator.run(&test);
    assert_eq!(well.code, 0, "{mode}: {}", well.text());
    let row = "kwt-a2  ok      -       ok      ok       ok   open\n";
    assert!(well.stdout.contains(row) && well.stdout.ends_with("all is well\n"), "{mode}: {}", well.text());
    hosts[1].ok("iptables -I FORWARD -p udp --dport 10081 -j DROP");
    hosts[2].ok("iptables -I FORWARD -p udp --dport 53 -j DROP");
    let ill = operator.run(&[&test[..], &["--patience", "5s", "-o", "json"]].concat());
    hosts[1].ok("iptables -D FORWARD -p udp --dport 10081 -j DROP");
    hosts[2].ok("iptables -D FORWARD -p udp --dport 53 -j DROP");
    assert_eq!(ill.code, 9, "{mode}: {}", ill.text());
    let report: serde_json::Value = serde_json::from_str(&ill.stdout).unwrap();
    let failed = |key: &str| -> Vec<String> {
        let all = report[key].as_array().unwrap().iter().filter(|tried| tried["ok"] == false);
        all.map(|tried| format!("{} > {} {}", tried["from"], tried["to"], tried["outcome"]).replace('"', ""))
            .collect()
    };
    let expected = [
        "kwt-a1 > kwt-a2 silent",
        "kwt-a2 > kwt-a3 silent",
        "kwt-a2 > kwt-a1 silent",
        "kwt-a3 > kwt-a2 silent",
    ];
    let mut pods = failed("podToPod");
    pods.sort();
    let mut sorted = expected.map(str::to_owned).to_vec();
    sorted.sort();
    assert_eq!(pods, sorted, "{mode}: {}", ill.text());
    // A name service that runs there is not reached by others either.
    let names = failed("dns");
    let asked = "kwt-a3 > kubernetes.default.svc.cluster.local silent".to_owned();
    assert!(
        names.contains(&asked) && names.iter().all(|name| name.ends_with(" silent")),
        "{mode}: {}",
        ill.text()
    );
    assert_eq!((failed("service"), failed("hostToPod")), (Vec::new(), Vec::new()), "{mode}: {}", ill.text());
    let gone = "! kubectl get namespace kubewright-network-test";
    hosts[0].until(Duration::from_mins(1), &format!("{KUBECONFIG} {gone}"));
}

#[test]
fn bridges_connect_pods_of_different_nodes() {
    if !lab::available("pod_network::bridges_connect_pods_of_different_nodes") {
        return;
    }
    let _turn = estate::TURN.take();
    let operator = Operator::new();
    let hosts = operator.hosts_without_network(&[1, 2, 3]);
    for mode in ["iptables", "nftables"] {
        connects(&operator, &hosts, "{provider: bridge}", mode);
    }
}

#[test]
fn flannel_connects_pods_of_different_nodes() {
    let name = "pod_network::flannel_connects_pods_of_different_nodes";
    if !lab::available(name) || !lab::has(name, &["flanneld", "flannel", "install-conf"]) {
        return;
    }
    let _turn = estate::TURN.take();
    let operator = Operator::new();
    let hosts = operator.hosts_without_network(&[1, 2, 3]);
    connects(&operator, &hosts, "{provider: flannel}", "iptables");
    connects(&operator, &hosts, "{provider: flannel, flannel: {backend: host-gw}}", "nftables");
}

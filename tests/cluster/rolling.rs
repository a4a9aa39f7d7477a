//! A change of all control planes of a cluster that runs: one after the other, and no further where one does not come
//! up again.

use crate::estate;
use crate::estate::Layout;
use crate::estate::Operator;
use crate::lab;
use crate::lab::Host;
use std::time::Duration;

const API_SERVER: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";

/// One line for each look at the three API servers: `.` for each that takes connections, `x` for each that refuses
/// them. One that is only slow is not down.
const WATCH: &str = r"#!/bin/sh
while [ ! -e /root/enough ]; do
  for octet in 121 122 123; do
    curl -sk --max-time 2 -o /dev/null https://10.77.0.$octet:6443/livez
    if [ $? = 7 ]; then printf x; else printf .; fi
  done
  echo
done
";

fn with_flag(operator: &Operator, layout: &Layout, flag: &str) {
    operator.write(layout);
    let text = std::fs::read_to_string(operator.file()).unwrap();
    let kind = "kind: ClusterConfiguration\n";
    let args = format!("{kind}apiServer: {{extraArgs: [{{name: {flag}, value: 'false'}}]}}\n");
    assert!(text.contains(kind));
    std::fs::write(operator.file(), text.replacen(kind, &args, 1)).unwrap();
}

fn runs_with(host: &Host, flag: &str) -> bool {
    host.run(&format!("pgrep -af '^kube-apiserver' | grep -q -- --{flag}=false")).code == 0
}

#[test]
fn a_change_of_all_control_planes_reaches_one_after_the_other() {
    if !lab::available("rolling::a_change_of_all_control_planes_reaches_one_after_the_other") {
        return;
    }
    let _turn = estate::TURN.take();
    let operator = Operator::new();
    let hosts = operator.hosts(&[1, 2, 3]);
    let layout = Layout::of(&[1, 2, 3], &[]);
    operator.applied(&layout);
    hosts[0].settled();

    let watcher = &hosts[2];
    watcher.write("/root/watch", WATCH);
    watcher.start("sh /root/watch >/root/seen");
    with_flag(&operator, &layout, "profiling");
    let plan = operator.run(&["plan", "-f", "cluster.yaml"]);
    assert!(plan.stdout.contains("one after the other: the other API servers answer"), "{}", plan.text());
    let applied = operator.run(&["apply", "-f", "cluster.yaml", "--yes"]);
    assert_eq!(applied.code, 0, "{}", applied.text());
    watcher.ok("touch /root/enough");
    watcher.wait_for_end(Duration::from_secs(20));
    let seen = watcher.ok("cat /root/seen");
    let down = |line: &&str| line.contains('x');
    assert!(seen.lines().filter(down).count() > 0, "nobody restarted:\n{seen}");
    let worst = seen.lines().map(|line| line.matches('x').count()).max();
    assert_eq!(worst, Some(1), "more than one at once:\n{seen}");
    println!(
        "{} looks, {} of them while one was down",
        seen.lines().count(),
        seen.lines().filter(down).count()
    );
    for host in &hosts {
        assert!(runs_with(host, "profiling"));
    }
    let again = operator.run(&["apply", "-f", "cluster.yaml", "--yes"]);
    assert!(again.text().contains(": 0 changed"), "{}", again.text());

    // A flag that no API server knows stops the first one, and nobody else is touched.
    with_flag(&operator, &layout, "no-such-flag");
    let text = std::fs::read_to_string(operator.file()).unwrap();
    let hasty = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n";
    assert!(text.contains(hasty));
    let hasty_text = format!("{hasty}timeouts: {{controlPlaneComponentHealthCheck: 20s}}\n");
    std::fs::write(operator.file(), text.replacen(hasty, &hasty_text, 1)).unwrap();
    let failed = operator.run(&["apply", "-f", "cluster.yaml", "--yes"]);
    assert_ne!(failed.code, 0);
    let said = failed.text();
    assert!(said.contains("unknown flag: --no-such-flag"), "{said}");
    assert!(said.contains(estate::name(1)) && said.contains("left to do"), "{said}");
    for host in &hosts[1..] {
        assert!(host.run(&format!("grep no-such-flag {API_SERVER}")).code != 0);
        assert!(runs_with(host, "profiling"));
    }
    assert_eq!(hosts[1].ok(&format!("curl -sk https://{}:8443/livez", estate::VIP)), "ok");

    // The file is put right.
    operator.applied(&layout);
    hosts[0].settled();
    for host in &hosts {
        assert!(!runs_with(host, "profiling"));
    }
    operator.finds_nothing(&layout);
}

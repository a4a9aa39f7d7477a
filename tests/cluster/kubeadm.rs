//! What the real kubeadm does on hosts that kubewright made.

use crate::lab::Host;

/// The commands of every day, on a control plane of a cluster with this endpoint.
pub(crate) fn goes_on(host: &Host, endpoint: &str) {
    let expiration = host.ok("kubeadm certs check-expiration");
    assert!(expiration.contains("apiserver-etcd-client"), "{expiration}");
    // Only the first control plane has it.
    let missing = expiration.lines().filter(|line| line.contains("MISSING")).collect::<Vec<_>>();
    assert!(missing.iter().all(|line| line.contains("super-admin.conf")), "{expiration}");
    let join = host.ok("kubeadm token create --print-join-command");
    assert!(join.starts_with(&format!("kubeadm join {endpoint} --token ")), "{join}");
    let upgrade = upgrade_plan(host);
    assert!(upgrade.contains("Cluster version: 1.36.2"), "{upgrade}");
}

/// kubeadm tries the cluster with a job that runs `pause -v`. The real one prints its version and ends; one that only
/// knows how to pause is told to end until it listens, or kubeadm would give up after a minute.
const END_OF_JOB: &str = "for i in $(seq 300); do \
    for job in $(ctr -n k8s.io containers ls -q 'labels.\"io.kubernetes.container.name\"==upgrade-health-check'); do \
    ctr -n k8s.io tasks kill -s TERM $job 2>/dev/null; done; sleep 0.2; done";

/// Whether the cluster can be upgraded, without looking for newer versions on the network.
pub(crate) fn upgrade_plan(host: &Host) -> String {
    let node = host.ok("hostname");
    let kubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf";
    let others = format!("{kubectl} get nodes -o name --field-selector metadata.name!={}", node.trim());
    // The job has to run where it can be ended.
    host.ok(&format!(
        "for other in $({others}); do {kubectl} cordon $other; done; ({END_OF_JOB}) >/dev/null & \
         kubeadm upgrade plan v1.36.2 --ignore-preflight-errors SystemVerification; code=$?; kill %1 2>/dev/null; \
         for other in $({others}); do {kubectl} uncordon $other >/dev/null; done; exit $code"
    ))
}

/// Takes the host out of the cluster.
pub(crate) fn resets(host: &Host) {
    let outcome = host.run("kubeadm reset -f");
    assert_eq!(outcome.code, 0, "{}", outcome.text());
    assert!(!outcome.text().contains("[WARNING"), "{}", outcome.text());
    let left = host.ok("find /etc/kubernetes /var/lib/etcd /var/lib/kubelet -mindepth 1 -not -type d");
    assert_eq!(left, "", "{}", outcome.text());
    host.ok("! systemctl -q is-active kubelet && ! pgrep 'kube-|etcd'");
}

/// Fails unless each difference begins as an exception says, and each exception is used.
pub(crate) fn assert_explained(differences: Vec<String>, exceptions: &[(&str, &str)]) {
    let explained = |line: &String| exceptions.iter().any(|(start, _)| line.starts_with(start));
    let (expected, unexpected): (Vec<_>, Vec<_>) = differences.into_iter().partition(explained);
    println!("{} explained differences, {} others", expected.len(), unexpected.len());
    let unused: Vec<_> =
        exceptions.iter().filter(|(start, _)| !expected.iter().any(|line| line.starts_with(start))).collect();
    assert!(unexpected.is_empty(), "kubeadm | kubewright:\n{}", unexpected.join("\n"));
    assert!(unused.is_empty(), "no longer so: {unused:?}");
}

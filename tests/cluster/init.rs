//! The main job: a control plane, up and verified in both directions.

use crate::lab;
use crate::lab::Host;
use std::time::Duration;
use std::time::Instant;

/// From the start of `init` to a Ready node; kubeadm takes 8 s on two cores.
const READY: Duration = Duration::from_mins(1);

const INIT: &str = "kubewright init --config kubeadm.yaml";

#[test]
fn a_control_plane_from_one_command() {
    if !lab::available("a_control_plane_from_one_command") {
        return;
    }
    let host = Host::kube("kwt-init", 20);
    let start = Instant::now();
    let output = host.ok(INIT);
    let up = start.elapsed();
    assert!(output.contains("kubewright join 10.77.0.20:6443 --token "), "{output}");
    assert_eq!(host.kubectl("get --raw /readyz"), "ok");
    host.until(
        READY.saturating_sub(up),
        "kubectl --kubeconfig /etc/kubernetes/admin.conf wait --for=condition=Ready node/kwt-init --timeout=30s",
    );
    println!(
        "init took {:.1} s, the node was Ready after {:.1} s",
        up.as_secs_f32(),
        start.elapsed().as_secs_f32()
    );
    assert!(start.elapsed() < READY);
    host.settled();
    a_second_run_changes_nothing(&host);
    the_api_server_verifies_the_kubelet(&host);
    println!("all pods were Ready after {:.1} s", start.elapsed().as_secs_f32());
}

fn a_second_run_changes_nothing(host: &Host) {
    let before = host.ok("cat /var/lib/kubewright/receipt.json");
    let again = host.run(INIT);
    assert_eq!(again.code, 0, "{}", again.text());
    assert!(again.stderr.contains(": 0 changed, "), "{}", again.stderr);
    assert_eq!(host.ok("cat /var/lib/kubewright/receipt.json"), before);
}

/// Logs and exec go from the API server to the kubelet.
fn the_api_server_verifies_the_kubelet(host: &Host) {
    let manifest = host.ok("cat /etc/kubernetes/manifests/kube-apiserver.yaml");
    let flag = "--kubelet-certificate-authority=/etc/kubernetes/pki/kubelet-ca.crt";
    assert!(manifest.contains(flag), "{manifest}");
    let logs = host.kubectl("-n kube-system logs kube-apiserver-kwt-init --tail=5");
    assert!(!logs.is_empty());
    let pod = host.kubectl("-n kube-system get pods -l k8s-app=kube-proxy -o name");
    assert_eq!(host.kubectl(&format!("-n kube-system exec {} -- sh -c 'echo here'", pod.trim())), "here\n");
    assert_eq!(host.kubectl("get csr -o name"), "", "the kubelet asked for a certificate though it had one");
    // The same kubelet under another authority: the API server must refuse to talk to it.
    let refused = host.run(
        "cd /var/lib/kubelet/pki && openssl s_client -connect 10.77.0.20:10250 -CAfile /etc/kubernetes/pki/ca.crt \
         -verify_return_error </dev/null",
    );
    assert_ne!(refused.code, 0, "{}", refused.text());
    host.ok("openssl s_client -connect 10.77.0.20:10250 -CAfile /etc/kubernetes/pki/kubelet-ca.crt \
         -verify_ip 10.77.0.20 -verify_return_error </dev/null");
}

//! Side by side with the real kubeadm: the same configuration, the same name and address, one after the other.

use crate::kubeadm;
use crate::lab;
use crate::lab::Host;
use crate::state;
use crate::state::State;
use std::time::Duration;

/// Where the two differ on purpose: the start of the line, and why.
const EXCEPTIONS: [(&str, &str); 3] = [
    ("/var/lib/kubelet/pki/kubelet-client-TIME.pem: only in the first", REQUESTED),
    ("/var/lib/kubelet/pki/kubelet-client-current.pem: : ", REQUESTED),
    ("/var/lib/kubelet/pki/kubelet-client-initial.pem: only in the second", REQUESTED),
];

const REQUESTED: &str = "kubeadm's first kubelet shows the certificate embedded in kubelet.conf and at once requests \
                         another; here it finds one in its store, which saves that request";

#[test]
fn what_kubeadm_leaves() {
    if !lab::available("what_kubeadm_leaves") {
        return;
    }
    let _turn = state::TURN.take();
    let theirs = {
        let host = state::host();
        host.ok("kubeadm init --config config.yaml --upload-certs");
        State::of(&host)
    };
    let host = state::host();
    host.ok("kubewright init --config config.yaml --upload-certs --pki-layout kubeadm");
    kubeadm::assert_explained(theirs.differences(&State::of(&host)), &EXCEPTIONS);
    assert!(host.ok("kubeadm token list").contains("abcdef.0123456789abcdef"));
    kubeadm::goes_on(&host, "10.77.0.21:6443");
    drop(a_worker_joins(&host, "kwt-w1", 22));
}

/// A worker that the real kubeadm joins becomes Ready.
fn a_worker_joins(control_plane: &Host, name: &'static str, octet: u8) -> Host {
    let worker = Host::kube(name, octet);
    let join = control_plane.ok("kubeadm token create --print-join-command");
    worker.ok(&format!("{} --ignore-preflight-errors=SystemVerification", join.trim()));
    let kubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf";
    control_plane.until(
        Duration::from_mins(1),
        &format!("{kubectl} wait --for=condition=Ready node/{name} --timeout=30s"),
    );
    worker
}

#[test]
fn a_worker_of_kubeadm_joins_five_chains() {
    if !lab::available("a_worker_of_kubeadm_joins_five_chains") {
        return;
    }
    let host = Host::kube("kwt-five", 23);
    host.ok("kubewright init --config kubeadm.yaml");
    let worker = a_worker_joins(&host, "kwt-w2", 24);
    // Its serving certificate is asked for by CSR, and nobody approves those by default; until then the API server
    // does not trust it.
    host.until(
        Duration::from_secs(30),
        "export KUBECONFIG=/etc/kubernetes/admin.conf; requests=$(kubectl get csr -o name \
         --field-selector spec.signerName=kubernetes.io/kubelet-serving) && [ -n \"$requests\" ] && \
         kubectl certificate approve $requests",
    );
    let pods = "-n kube-system get pods --field-selector spec.nodeName=kwt-w2 -o name";
    let pod = host.kubectl(pods);
    host.until(
        Duration::from_mins(2),
        &format!("kubectl --kubeconfig /etc/kubernetes/admin.conf -n kube-system logs {}", pod.trim()),
    );
    drop(worker);
}

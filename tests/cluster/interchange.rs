//! kubewright and the real kubeadm in one cluster: each joins hosts to the other's, and they come out the same.

use crate::grow;
use crate::grow::Commands;
use crate::grow::all_ready;
use crate::grow::joins;
use crate::grow::voters;
use crate::kubeadm;
use crate::lab;
use crate::lab::Host;
use crate::state::State;
use std::time::Instant;

const ENDPOINT: &str = "10.77.0.41:6443";

#[test]
fn each_joins_the_clusters_of_the_other() {
    if !lab::available("each_joins_the_clusters_of_the_other") {
        return;
    }
    let _turn = grow::TURN.take();
    let start = Instant::now();
    let [control_plane, worker] = kubeadm_joins_ours();
    println!("the first half took {:.1} s", start.elapsed().as_secs_f32());
    let [our_control_plane, our_worker] = we_join_kubeadms();
    kubeadm::assert_explained(control_plane.differences(&our_control_plane), &CONTROL_PLANE);
    kubeadm::assert_explained(worker.differences(&our_worker), &WORKER);
}

/// Where a control plane is not the same on purpose: the start of the line, and why.
const CONTROL_PLANE: [(&str, &str); 6] = [
    ("/etc/kubernetes/kubelet.conf: /c", OWN_NAMES),
    ("/etc/kubernetes/kubelet.conf: /users/0/name: ", OWN_NAMES),
    (
        "/etc/kubernetes/pki/sa.pub: mode: 100644 0:0 | 100600 0:0",
        "both write it so on the first control plane",
    ),
    ("/var/lib/kubelet/pki/kubelet-client-TIME.pem: only in the first", SIGNED_HERE),
    ("/var/lib/kubelet/pki/kubelet-client-current.pem: : ", SIGNED_HERE),
    ("/var/lib/kubelet/pki/kubelet-client-initial.pem: only in the second", SIGNED_HERE),
];

const WORKER: [(&str, &str); 1] = [(
    "/etc/kubernetes/manifests: only in the second",
    "a worker has none, but its kubelet complains for as long as the directory is not there",
)];

const SIGNED_HERE: &str = "with kubeadm the kubelet asks the cluster for its first certificate; here the host, which has the \
                           authority, makes it";

const OWN_NAMES: &str =
    "a kubelet that has asked for its certificate writes the file itself, with names of its own";

/// What `kubeadm join` makes of a control plane and a worker in a cluster of kubewright.
fn kubeadm_joins_ours() -> [State; 2] {
    let (first, joining) = grow::hosts::<2>();
    let printed = first.ok("kubewright init --config ha.yaml --upload-certs --pki-layout kubeadm");
    let commands = Commands::of(&printed, "kubewright");
    let states = joined(&first, &joining, &commands, "kubewright join", "kubeadm join");
    kubeadm::goes_on(&first, ENDPOINT);
    kubeadm::resets(&joining[0]);
    assert_eq!(voters(&first), ["kwt-j1"]);
    kubeadm::resets(&first);
    states
}

/// What `kubewright join` makes of them in a cluster of kubeadm.
fn we_join_kubeadms() -> [State; 2] {
    let (first, joining) = grow::hosts::<2>();
    let commands = Commands::of(&first.ok("kubeadm init --config ha.yaml --upload-certs"), "kubeadm");
    let states = joined(&first, &joining, &commands, "kubeadm join", "kubewright join");
    kubeadm::goes_on(&joining[0], ENDPOINT);
    for host in &joining {
        kubeadm::resets(host);
    }
    assert_eq!(voters(&first), ["kwt-j1"]);
    states
}

/// Joins a control plane and a worker by the printed commands, with another program in the place of the printed one.
fn joined(first: &Host, joining: &[Host; 2], commands: &Commands, printed: &str, typed: &str) -> [State; 2] {
    for (host, command) in joining.iter().zip([&commands.control_plane, &commands.worker]) {
        let start = Instant::now();
        joins(host, &command.replacen(printed, typed, 1));
        println!("{typed} took {:.1} s", start.elapsed().as_secs_f32());
    }
    all_ready(first, 3);
    assert_eq!(voters(first), ["kwt-j1", "kwt-j2"]);
    [0, 1].map(|index| State::joined(&joining[index], first))
}

//! A cluster grows host by host, by the commands that `init` prints.

use crate::grow;
use crate::grow::Commands;
use crate::grow::all_ready;
use crate::grow::joins;
use crate::grow::voters;
use crate::lab;
use crate::lab::Host;
use crate::phases;
use crate::reset::assert_same;
use crate::reset::snapshot;
use crate::state::State;
use kubewright::phase::join::JOIN;
use std::time::Duration;
use std::time::Instant;

const INIT: &str = "kubewright init --config ha.yaml --upload-certs";

#[test]
fn a_cluster_grows_by_the_printed_commands() {
    if !lab::available("a_cluster_grows_by_the_printed_commands") {
        return;
    }
    let _turn = grow::TURN.take();
    let (first, [second, third, fourth, fifth]) = grow::hosts::<4>();
    let commands = Commands::of(&first.ok(INIT), "kubewright");
    let roles = [
        (&second, &commands.control_plane),
        (&third, &commands.control_plane),
        (&fourth, &commands.worker),
        (&fifth, &commands.worker),
    ];
    a_dry_run_changes_nothing(&first, &second, &commands.control_plane, &TO_BE_CONTROL_PLANE);
    a_dry_run_changes_nothing(&first, &fourth, &commands.worker, &TO_BE_WORKER);
    for (host, command) in roles {
        let start = Instant::now();
        let text = joins(host, command).text();
        println!("joined in {:.1} s: {}", start.elapsed().as_secs_f32(), summary(&text));
        for secret in commands.secrets() {
            assert!(!text.contains(secret), "a secret is printed:\n{text}");
        }
    }
    all_ready(&first, 5);
    for host in [&first, &second, &third] {
        assert_eq!(voters(host), ["kwt-j1", "kwt-j2", "kwt-j3"]);
    }
    let states = [State::joined(&third, &first), State::joined(&fourth, &first)];
    kubelets_get_their_serving_certificates(&first);
    logs_come_from_every_node(&[&first, &second, &third]);
    for (host, command) in roles {
        let again = joins(host, command);
        assert!(summary(&again.stderr).contains(": 0 changed, "), "{}", again.text());
        no_more_is_left_than_needed(host);
    }
    let expiry = third.ok("kubewright certs check-expiration");
    for name in ["apiserver ", "etcd-peer ", "kubelet-serving "] {
        let line = expiry.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        assert!(line.contains("364d"), "no {name}in:\n{expiry}");
    }
    leaves(&first, third);
    leaves(&first, fourth);
    let [third, fourth] = [grow::host(3), grow::host(4)];
    phase_by_phase(&third, &commands.control_plane, " --control-plane");
    phase_by_phase(&fourth, &commands.worker, &arguments(&commands.worker));
    all_ready(&first, 5);
    assert_eq!(voters(&third), ["kwt-j1", "kwt-j2", "kwt-j3"]);
    states[0].assert_same(&State::joined(&third, &first));
    states[1].assert_same(&State::joined(&fourth, &first));
}

/// What a dry run must name of the host's files and of the cluster.
const TO_BE_CONTROL_PLANE: [&str; 6] = [
    "/etc/kubernetes/pki/ca.key",
    "/etc/kubernetes/pki/etcd/peer.crt",
    "/etc/kubernetes/manifests/kube-apiserver.yaml",
    "/etc/kubernetes/manifests/etcd.yaml",
    "would change: etcd member announced (etcd member https://10.77.0.42:2380)",
    "would change: node kwt-j2 marked as control plane",
];
const TO_BE_WORKER: [&str; 3] =
    ["/etc/kubernetes/bootstrap-kubelet.conf", "/etc/kubernetes/pki/ca.crt", "/var/lib/kubelet/config.yaml"];

/// Neither the host nor the cluster.
fn a_dry_run_changes_nothing(first: &Host, host: &Host, command: &str, names: &[&str]) {
    first.settled();
    let before = (cluster(first), snapshot(host));
    let dry = grow::typed(host, command, "--dry-run");
    assert_eq!(dry.code, 0, "{}", dry.text());
    for name in names {
        assert!(dry.stderr.contains(name), "no {name} in:\n{}", dry.text());
    }
    assert!(
        !dry.text().contains(": changed: ") && !summary(&dry.stderr).contains(" changed"),
        "{}",
        dry.text()
    );
    assert_same(&before.1, &snapshot(host));
    assert_eq!(cluster(first), before.0);
}

/// Every object, and its version where only people and programs like ours change it; and etcd's members.
fn cluster(control_plane: &Host) -> String {
    let columns = "custom-columns=KIND:.kind,NAMESPACE:.metadata.namespace,NAME:.metadata.name,\
                   VERSION:.metadata.resourceVersion --no-headers";
    let kinds = "configmaps,secrets,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings,csr";
    let versions = control_plane.kubectl(&format!("get {kinds} -A -o {columns}"));
    let names = control_plane.kubectl("get nodes,pods,deployments,daemonsets,leases -A -o name");
    format!("{versions}{names}{:?}", voters(control_plane))
}

/// The node is gone from the cluster, and its member from etcd.
fn leaves(first: &Host, host: Host) {
    let node = host.ok("hostname");
    host.ok("kubewright reset --force");
    first.kubectl(&format!("delete node {node}"));
    drop(host);
}

/// The words of a command after `kubewright join`.
fn arguments(command: &str) -> String {
    command.trim_start().strip_prefix("kubewright join").unwrap().to_owned()
}

/// Runs every phase of a copied command alone, in order. Those that kubeadm gives no flags of discovery get `bare`
/// arguments: on a control plane they find the cluster by what is there.
fn phase_by_phase(host: &Host, command: &str, bare: &str) {
    const BARE: [&str; 6] = [
        "control-plane-prepare control-plane",
        "check-etcd",
        "etcd-join",
        "kubelet-wait-bootstrap",
        "control-plane-join mark-control-plane",
        "wait-control-plane",
    ];
    let all = arguments(command);
    for phase in JOIN.iter().flat_map(phases::leaves) {
        let arguments = if BARE.contains(&phase.as_str()) { bare } else { &all };
        joins(host, &format!("kubewright join phase {phase} {arguments}"));
    }
}

/// The last line of a run.
fn summary(text: &str) -> &str {
    text.lines().find(|line| line.starts_with("done in ")).unwrap_or_default()
}

/// The workers' kubelets ask for them; those of the control planes were given theirs.
fn kubelets_get_their_serving_certificates(control_plane: &Host) {
    let approved = control_plane.ok("kubewright certs approve --node kwt-j4 --node kwt-j5 --wait 2m");
    for name in ["kwt-j4", "kwt-j5"] {
        assert!(approved.lines().any(|line| line.contains(name) && line.contains("approved")), "{approved}");
    }
    let requests = control_plane.kubectl("get csr --no-headers");
    let serving = requests.lines().filter(|line| line.contains("kubernetes.io/kubelet-serving"));
    assert!(serving.clone().all(|line| !line.contains("system:node:kwt-j1 ")), "{requests}");
    assert!(serving.count() >= 2 && !requests.contains("Pending"), "{requests}");
}

/// Each API server asks each kubelet, and verifies whom it asks.
fn logs_come_from_every_node(control_planes: &[&Host; 3]) {
    control_planes[0].settled();
    for host in control_planes {
        let flag = "--kubelet-certificate-authority=/etc/kubernetes/pki/kubelet-ca.crt";
        host.ok(&format!("grep -e {flag} /etc/kubernetes/manifests/kube-apiserver.yaml"));
        let own = "export KUBECONFIG=/etc/kubernetes/admin.conf; kubectl --server https://$(hostname -i):6443 -n kube-system";
        let pods = host.ok(&format!("{own} get pods -l k8s-app=kube-proxy -o name"));
        assert_eq!(pods.lines().count(), 5, "{pods}");
        for pod in pods.lines() {
            // A kubelet puts a new certificate to use within seconds.
            host.until(Duration::from_mins(1), &format!("{own} logs {pod} --tail 1 | grep ."));
        }
    }
}

fn no_more_is_left_than_needed(host: &Host) {
    host.ok("! ls /etc/kubernetes/bootstrap-kubelet.conf");
    let open = host.ok("find /etc/kubernetes /var/lib/kubelet/pki /var/lib/kubewright -type f \
         ! -name '*.crt' ! -perm 600 -printf '%p %m\\n'");
    assert_eq!(open, "", "others may read these");
}

#[test]
fn hosts_may_join_at_the_same_moment() {
    if !lab::available("hosts_may_join_at_the_same_moment") {
        return;
    }
    let _turn = grow::TURN.take();
    let (first, joining) = grow::hosts::<5>();
    let commands = Commands::of(&first.ok(INIT), "kubewright");
    let command = |index| if index < 2 { &commands.control_plane } else { &commands.worker };
    let start = Instant::now();
    std::thread::scope(|scope| {
        for (index, host) in joining.iter().enumerate() {
            let command = command(index);
            scope.spawn(move || {
                let text = joins(host, command).text();
                println!("joined after {:.1} s: {}", start.elapsed().as_secs_f32(), summary(&text));
            });
        }
    });
    all_ready(&first, 6);
    assert_eq!(voters(&first), ["kwt-j1", "kwt-j2", "kwt-j3"]);
    let labelled = first.kubectl("get nodes -l node-role.kubernetes.io/control-plane -o name");
    assert_eq!(labelled, "node/kwt-j1\nnode/kwt-j2\nnode/kwt-j3\n");
}

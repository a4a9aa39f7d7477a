//! A cluster grows host by host, by the commands that `init` prints.

use crate::grow;
use crate::grow::Commands;
use crate::grow::all_ready;
use crate::grow::joins;
use crate::grow::voters;
use crate::lab;
use crate::lab::Host;
use std::time::Duration;
use std::time::Instant;

const INIT: &str = "kubewright init --config ha.yaml --upload-certs";

#[test]
fn a_cluster_grows_by_the_printed_commands() {
    if !lab::available("a_cluster_grows_by_the_printed_commands") {
        return;
    }
    let _turn = grow::turn();
    let (first, joining) = grow::hosts::<4>();
    let commands = Commands::of(&first.ok(INIT), "kubewright");
    let [second, third, fourth, fifth] = &joining;
    let roles = [
        (second, &commands.control_plane),
        (third, &commands.control_plane),
        (fourth, &commands.worker),
        (fifth, &commands.worker),
    ];
    for (host, command) in roles {
        let start = Instant::now();
        let text = joins(host, command).text();
        println!("joined in {:.1} s: {}", start.elapsed().as_secs_f32(), summary(&text));
        for secret in commands.secrets() {
            assert!(!text.contains(secret), "a secret is printed:\n{text}");
        }
    }
    all_ready(&first, 5);
    for host in [&first, second, third] {
        assert_eq!(voters(host), ["kwt-j1", "kwt-j2", "kwt-j3"]);
    }
    kubelets_get_their_serving_certificates(&first);
    logs_come_from_every_node(&[&first, second, third]);
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
    let _turn = grow::turn();
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

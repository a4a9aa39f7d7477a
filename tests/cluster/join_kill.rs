//! A join that is killed, once and again, and repeated: in the end nothing tells of it. And none shows a secret.

use crate::join_secret;
use crate::join_secret::nothing_shows;
use crate::join_secret::readable_keys;
use crate::join_secret::shows_nothing;
use crate::join_secret::the_searches_find_what_is_there;
use crate::lab;
use crate::lab::Host;
use crate::lab::Outcome;
use crate::running;
use crate::running::Running;
use crate::state;
use crate::state::Documents;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

const KILLER: &str = include_str!("kill-at.pl");
const INTERRUPTED: i32 = 130;

/// Where a worker's join is killed.
const WORKER: [&str; 6] = [
    "ca certificate",
    "kubeconfig bootstrap-kubelet.conf",
    "kubelet running with this configuration",
    "kubelet has its certificate",
    "bootstrap-kubelet.conf removed",
    "node kwt-f2 registered",
];

/// Where a control plane's join is killed: before and after each change that others see.
const CONTROL_PLANE: [&str; 8] = [
    "sa key",
    "static pod kube-apiserver",
    "kubelet running with this configuration",
    "etcd member announced",
    "static pod etcd",
    "etcd member started",
    "etcd member promoted",
    "etcd healthy",
];

#[test]
fn a_killed_join_ends_like_an_undisturbed_one_and_none_shows_a_secret() {
    if !lab::available("a_killed_join_ends_like_an_undisturbed_one_and_none_shows_a_secret") {
        return;
    }
    let _turn = running::TURN.take();
    let (cluster, host) = running::with_joiner();
    host.write("/root/kill-at.pl", KILLER);
    the_searches_find_what_is_there(&host, &cluster);
    for control_plane in [false, true] {
        let undisturbed = watched_join(&cluster, &host, control_plane);
        leave(&cluster, &host);
        let titles: &[&str] = if control_plane { &CONTROL_PLANE } else { &WORKER };
        let killed = killed_join(&cluster, &host, control_plane, titles);
        let differences = state::differing(&undisturbed, &killed);
        assert!(differences.is_empty(), "{}", differences.join("\n"));
        let members: &[&str] = if control_plane { &["kwt-f1", "kwt-f2"] } else { &["kwt-f1"] };
        assert_eq!(cluster.members(), members);
        if !control_plane {
            leave(&cluster, &host);
        }
    }
}

fn command(cluster: &Running, control_plane: bool) -> String {
    let key = if control_plane {
        format!("--control-plane --certificate-key {}", cluster.key)
    } else {
        String::new()
    };
    let Running { endpoint, token, pin, .. } = cluster;
    format!(
        "kubewright join {endpoint} --token {token} --discovery-token-ca-cert-hash {pin} {key} \
         --ignore-preflight-errors SystemVerification"
    )
}

/// A join that nobody disturbs, with every process, output, log and file looked at for secrets; the files it leaves.
fn watched_join(cluster: &Running, host: &Host, control_plane: bool) -> Documents {
    let keys = readable_keys(host);
    let line = command(cluster, control_plane);
    let done = |outcome: Outcome| assert_eq!(outcome.code, 0, "{}", outcome.text());
    done(join_secret::watched(host, cluster, &format!("{line} --dry-run --diff --explain")));
    if control_plane {
        // Interrupted, and undone, while etcd joins.
        let title = "etcd member started";
        let interrupted = host.run(&format!("perl kill-at.pl -INT '{title}' {line} --progress json"));
        assert_eq!(interrupted.code, INTERRUPTED, "{}", interrupted.text());
        let told = "etcd-join did not come to its end; undone: etcd member withdrawn";
        assert!(interrupted.stdout.contains(told), "{}", interrupted.text());
        cluster.assert_alone("interrupted");
        assert_eq!(host.ok("ls -A /var/lib/etcd; ls /etc/kubernetes/manifests | grep etcd; true"), "");
        shows_nothing(cluster, "an interrupted run", &interrupted.text());
    }
    done(join_secret::watched(host, cluster, &format!("{line} --progress json -v")));
    nothing_shows(host, cluster, &keys);
    files(host)
}

/// The host is as it was before.
fn leave(cluster: &Running, host: &Host) {
    host.ok("kubewright reset --force");
    cluster.first.kubectl("delete node kwt-f2");
    assert_eq!(cluster.members(), ["kwt-f1"]);
}

/// A join that is killed at each of these steps in turn, and then let through.
fn killed_join(cluster: &Running, host: &Host, control_plane: bool, titles: &[&str]) -> Documents {
    let line = command(cluster, control_plane);
    for title in titles {
        let killed = host.run(&format!("perl kill-at.pl '{title}' {line} --progress json"));
        assert_eq!(killed.code, 9, "{title}: {}", killed.text());
        assert!(killed.stdout.contains(title), "{title}: {}", killed.stdout);
    }
    host.ok(&line);
    let again = host.run(&line);
    assert!(again.code == 0 && again.stderr.contains(": 0 changed, "), "{}", again.text());
    files(host)
}

/// etcd lists its members by numbers that are chance.
fn files(host: &Host) -> Documents {
    let mut files = state::files(host);
    for value in files.values_mut().flat_map(BTreeMap::values_mut) {
        if let Some(members) = value.strip_prefix("\"--initial-cluster=") {
            let members: BTreeSet<&str> = members.trim_end_matches('"').split(',').collect();
            *value = members.into_iter().collect::<Vec<_>>().join(",");
        }
    }
    files
}

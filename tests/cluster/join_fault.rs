//! What goes wrong while a host joins: the cluster keeps its old members, the host is ready for another try, and the
//! error says what to do.

use crate::fault::assert_fails;
use crate::lab;
use crate::lab::Host;
use crate::running;
use crate::running::Running;
use std::time::Duration;

const TIMEOUT: i32 = 8;

/// Longer than any join takes, also beside other tests.
const LONG: Duration = Duration::from_mins(5);

/// What preflight would refuse, and these tests bring about.
const RECKLESS: &str =
    "nodeRegistration: {ignorePreflightErrors: [SystemVerification, Port-2380, DiskSpace]}\n";

/// Nothing of etcd is left on the host, neither on its disk nor running.
fn assert_no_etcd(host: &Host, when: &str) {
    let left = host.ok("ls -A /var/lib/etcd; ls /etc/kubernetes/manifests | grep etcd; pgrep -x etcd; true");
    assert_eq!(left, "", "{when}");
}

#[test]
fn a_new_etcd_that_never_comes_up_is_withdrawn() {
    if !lab::available("a_new_etcd_that_never_comes_up_is_withdrawn") {
        return;
    }
    let _turn = running::turn();
    let cluster = Running::new();
    let host = running::joiner();
    host.write(
        "/root/hasty.yaml",
        &cluster.join(true, &format!("{RECKLESS}timeouts: {{etcdAPICall: 10s}}\n")),
    );
    host.write("/root/join.yaml", &cluster.join(true, RECKLESS));
    let hasty = "kubewright join --config hasty.yaml";

    host.ok("systemd-run -q --unit squatter socat TCP-LISTEN:2380,fork,reuseaddr EXEC:true");
    host.until(Duration::from_secs(20), "ss -ltn | grep -q :2380");
    let says = [
        "kwt-f2",
        "etcd says",
        "address already in use",
        "etcd member withdrawn",
        "run the same command again",
    ];
    assert_fails(&host.run(hasty), TIMEOUT, &says);
    cluster.assert_alone("the port was taken");
    assert_no_etcd(&host, "the port was taken");
    host.ok("systemctl stop squatter");

    host.ok("mount -t tmpfs -o size=4m tmpfs /var/lib/etcd");
    let says = ["kwt-f2", "etcd says", "no space left on device", "etcd member withdrawn"];
    assert_fails(&host.run(hasty), TIMEOUT, &says);
    cluster.assert_alone("the disk was full");
    assert_no_etcd(&host, "the disk was full");
    host.ok("umount /var/lib/etcd");

    let again = cut_while_etcd_joins(&cluster, &host, hasty);
    assert_eq!(again.code, 0, "{}", again.text());
    assert_eq!(cluster.members(), ["kwt-f1", "kwt-f2"]);
    cluster.first.settled();
}

/// Without its cable the host cannot even withdraw its member: the next run does, or goes on.
fn cut_while_etcd_joins(cluster: &Running, host: &Host, hasty: &str) -> lab::Outcome {
    host.start(hasty);
    host.wait_for_path("/etc/kubernetes/manifests/etcd.yaml", LONG);
    host.cut();
    host.wait_for_end(LONG);
    host.heal();
    let failed = host.ended();
    let says = [
        "kwt-f2",
        "not undone",
        "etcd did not remove the member https://10.77.0.52:2380",
        "`member remove ID` for https://10.77.0.52:2380",
        "run the same command again",
    ];
    assert_fails(&failed, TIMEOUT, &says);
    assert_eq!(cluster.members(), ["?", "kwt-f1"], "etcd could not be asked to withdraw it");
    host.run("kubewright join --config join.yaml")
}

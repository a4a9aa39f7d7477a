//! What goes wrong while a host joins: the cluster keeps its old members, the host is ready for another try, and the
//! error says what to do.

use crate::fault::assert_fails;
use crate::join_secret::nothing_shows;
use crate::join_secret::readable_keys;
use crate::join_secret::shows_nothing;
use crate::lab;
use crate::lab::Host;
use crate::running;
use crate::running::Running;
use kubewright::etcd::Etcd;
use kubewright::etcd::EtcdError;
use kubewright::etcd::MemberId;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

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
    let _turn = running::TURN.take();
    let (cluster, host) = running::with_joiner();
    host.write(
        "/root/hasty.yaml",
        &cluster.join(true, &format!("{RECKLESS}timeouts: {{etcdAPICall: 10s}}\n")),
    );
    host.write("/root/join.yaml", &cluster.join(true, RECKLESS));
    let hasty = "kubewright join --config hasty.yaml";
    let readable = readable_keys(&host);

    a_voter_that_is_gone_is_named(&cluster, &host);
    an_endpoint_without_a_member(&cluster);

    host.ok("systemd-run -q --unit squatter socat TCP-LISTEN:2380,fork,reuseaddr EXEC:true");
    host.until(Duration::from_secs(20), "ss -ltn | grep -q :2380");
    let says = [
        "kwt-f2",
        "etcd says",
        "address already in use",
        "etcd member withdrawn",
        "run the same command again",
    ];
    let failed = host.run(hasty);
    assert_fails(&failed, TIMEOUT, &says);
    shows_nothing(&cluster, "a failed run", &failed.text());
    cluster.assert_alone("the port was taken");
    nothing_shows(&host, &cluster, &readable);
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
    let nodes = cluster.first.kubectl("get nodes -l node-role.kubernetes.io/control-plane -o name");
    assert_eq!(nodes, "node/kwt-f1\nnode/kwt-f2\n");
}

/// etcd itself takes in nobody while one of its voters is down, even when a majority runs.
fn a_voter_that_is_gone_is_named(cluster: &Running, host: &Host) {
    let etcd = cluster.etcd();
    let program = std::env::var_os("KUBEWRIGHT_TEST_KUBE").unwrap();
    cluster.first.put(&Path::new(&program).join("etcd"), "/root/etcd");
    let running = voter(cluster, &etcd, "running", 12379);
    let gone = voter(cluster, &etcd, "gone", 13379);
    cluster.first.ok("systemctl stop etcd-gone");
    let start = Instant::now();
    let failed = host.run("kubewright join --config join.yaml");
    let remove = format!("`etcdctl member remove {gone}`");
    let says = [
        "[WARNING EtcdHealth]: members of the cluster's etcd do not answer: https://10.77.0.51:13379",
        "etcd did not take https://10.77.0.52:2380 as a new member",
        "etcd takes in nobody while one with a vote does not answer the others: gone (https://10.77.0.51:13380",
        &remove,
    ];
    assert_fails(&failed, TIMEOUT, &says);
    assert!(start.elapsed() < Duration::from_secs(90), "it waited for {:?}", start.elapsed());
    assert_eq!(cluster.members(), ["gone", "kwt-f1", "running"]);
    assert_no_etcd(host, "a voter was gone");
    for id in [gone, running] {
        until_done(|| etcd.member_remove(id));
    }
    cluster.assert_alone("the voter that was gone is removed");
}

/// One more etcd on the first host, with a vote.
fn voter(cluster: &Running, etcd: &dyn Etcd, name: &str, port: u16) -> MemberId {
    let (client, peer) = (format!("https://10.77.0.51:{port}"), format!("https://10.77.0.51:{}", port + 1));
    // A voter counts as running when it has been connected for five seconds.
    let members = until_done(|| etcd.member_add_learner(&peer));
    let id = members.iter().find(|member| member.has_peer_url(&peer)).unwrap().id;
    let initial: Vec<String> = members
        .iter()
        .map(|member| {
            format!("{}={}", if member.id == id { name } else { &member.name }, member.peer_urls[0])
        })
        .collect();
    let pki = "/etc/kubernetes/pki/etcd";
    cluster.first.ok(&format!(
        "systemd-run -q --unit etcd-{name} /root/etcd --name {name} --data-dir /root/{name} --listen-client-urls {client} \
         --advertise-client-urls {client} --listen-peer-urls {peer} --initial-advertise-peer-urls {peer} \
         --initial-cluster {} --initial-cluster-state existing --cert-file {pki}/server.crt --key-file {pki}/server.key \
         --client-cert-auth --trusted-ca-file {pki}/ca.crt --peer-cert-file {pki}/peer.crt --peer-key-file {pki}/peer.key \
         --peer-client-cert-auth --peer-trusted-ca-file {pki}/peer-ca.crt",
        initial.join(",")
    ));
    until_done(|| etcd.member_promote(id));
    id
}

fn until_done<T>(change: impl Fn() -> Result<T, EtcdError>) -> T {
    let start = Instant::now();
    loop {
        match change() {
            Ok(done) => return done,
            Err(error) => assert!(start.elapsed() < LONG, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A pod that has outlived its member names an endpoint where nobody is: it stops no join.
fn an_endpoint_without_a_member(cluster: &Running) {
    cluster.first.write("/root/stale.yaml", STALE);
    // The API server has lost one of its etcds a moment ago.
    cluster
        .first
        .until(LONG, "kubectl --kubeconfig /etc/kubernetes/admin.conf create --validate=false -f stale.yaml");
}

const STALE: &str = "\
apiVersion: v1
kind: Pod
metadata:
  name: etcd-a
  namespace: kube-system
  labels: {component: etcd, tier: control-plane}
  annotations: {kubeadm.kubernetes.io/etcd.advertise-client-urls: \"https://10.77.0.250:2379\"}
spec:
  schedulerName: nobody
  containers: [{name: etcd, image: registry.k8s.io/pause:3.10.2}]
";

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

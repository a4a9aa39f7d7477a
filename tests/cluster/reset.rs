//! The way back of a host, proven by two snapshots that have nothing to do with the product: all that a host is, before
//! and after, with bystanders that are none of our business.

use crate::lab;
use crate::lab::Host;
use crate::turn::Turn;
use std::collections::BTreeMap;
use std::time::Duration;

const SNAPSHOT: &str = include_str!("snapshot.sh");
const KILLER: &str = include_str!("kill-at.pl");
const INIT: &str = "kubewright init --config kubeadm.yaml";
const RESET: &str = "kubewright reset --force";

const ONE: &str = "kwt-re1";
const OTHER: &str = "kwt-re2";

/// More steps than a reset has.
const MANY: u32 = 120;

/// Whoever holds it may have the hosts of these names.
static TURN: Turn = Turn::new();

/// A containerd namespace, a container in the kubelet's own namespace, a rule and a table of other programs, and a
/// container on a bridge of its own.
const BYSTANDERS: &str = r"
image=$(ctr -n k8s.io images list -q | grep pause: | head -n 1)
ctr -n k8s.io run -d --label owner=somebody $image by-k8s &&
ctr -n k8s.io images export /tmp/pause.tar $image &&
ctr -n theirs images import /tmp/pause.tar >/dev/null && rm /tmp/pause.tar &&
ctr -n theirs run -d $image by-theirs &&
iptables -A INPUT -s 192.0.2.7/32 -j DROP &&
iptables -t nat -N THEIRS && iptables -t nat -A POSTROUTING -s 192.0.2.0/24 -j THEIRS &&
ip6tables -A FORWARD -s 2001:db8::7/128 -j DROP &&
nft add table inet bystander &&
nft add chain inet bystander input '{ type filter hook input priority 0; policy accept; }' &&
nft add rule inet bystander input ip saddr 192.0.2.8 drop &&
ip link add br7 type bridge && ip addr add 192.0.2.77/32 dev br7 &&
mkdir -p /etc/kubernetes && echo mine >/etc/kubernetes/mine.conf";

/// How the bystanders are known to be as they were, beyond being there.
const THEIR_PROCESSES: &str =
    "for name in k8s.io theirs; do ctr -n $name tasks list | awk '$1 ~ /^by-/ {print $1, $2, $3}'; done";

fn host(name: &'static str, octet: u8) -> Host {
    let host = Host::kube(name, octet);
    host.ok(BYSTANDERS);
    host
}

/// Lines and how often each is there.
pub(crate) fn snapshot(host: &Host) -> BTreeMap<String, i32> {
    host.write("/root/snapshot.sh", SNAPSHOT);
    let mut lines = BTreeMap::new();
    for line in host.ok("sh snapshot.sh").lines() {
        *lines.entry(line.to_owned()).or_default() += 1;
    }
    assert!(lines.len() > 5000, "only {} things on the host", lines.len());
    lines
}

/// Everything that is not as it was.
#[track_caller]
pub(crate) fn assert_same(before: &BTreeMap<String, i32>, after: &BTreeMap<String, i32>) {
    let gone = before
        .iter()
        .filter(|(line, count)| after.get(*line) != Some(count))
        .map(|(line, _)| format!("- {line}"));
    let new = after
        .iter()
        .filter(|(line, count)| before.get(*line) != Some(count))
        .map(|(line, _)| format!("+ {line}"));
    let differences: Vec<String> = gone.chain(new).collect();
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

/// Resets, and expects the proof, nobody else hurt, and nothing left for a second run.
fn reset_and_compare(host: &Host, before: &BTreeMap<String, i32>, theirs: &str) {
    let reset = host.run(RESET);
    assert_eq!(reset.code, 0, "{}", reset.text());
    println!("{}", reset.stderr.lines().filter(|line| line.starts_with("done in")).collect::<String>());
    assert!(!reset.stderr.contains("warning"), "{}", reset.stderr);
    assert!(reset.stdout.contains("the host equals its state of "), "{}", reset.text());
    assert_same(before, &snapshot(host));
    assert_eq!(host.ok(THEIR_PROCESSES), theirs, "a container of somebody else is another process now");
    let again = host.run("kubewright reset");
    assert_eq!(
        (again.code, again.stdout.contains("there is nothing to reset")),
        (0, true),
        "{}",
        again.text()
    );
    assert!(again.stderr.contains("0 changed"), "{}", again.stderr);
}

/// `init`, a dry run that changes nothing, `reset`, and all of it once more on the same host.
#[test]
fn reset_after_init_leaves_nothing() {
    if !lab::available("reset_after_init_leaves_nothing") {
        return;
    }
    let _turn = TURN.take();
    let host = host(ONE, 66);
    let before = snapshot(&host);
    let theirs = host.ok(THEIR_PROCESSES);
    assert_eq!(theirs.lines().count(), 2, "{theirs}");
    for round in ["first", "second"] {
        println!("{round} round");
        host.ok(INIT);
        host.settled();
        let refused = host.run("kubewright reset </dev/null");
        assert_eq!(refused.code, 4, "{}", refused.text());
        assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
        let dry = host.run("kubewright reset --dry-run");
        assert_eq!(dry.code, 0, "{}", dry.text());
        for named in [
            "kube-system/etcd-kwt-re1",
            "- -A INPUT -j KUBE-FIREWALL",
            "/etc/kubernetes/pki",
            "net.ipv4.conf.all.route_localnet",
            "/var/lib/etcd/member",
        ] {
            assert!(dry.stderr.contains(named), "{named}: {}", dry.stderr);
        }
        assert!(!dry.stderr.contains("192.0.2."), "{}", dry.stderr);
        assert_eq!(host.kubectl("get --raw /readyz"), "ok");
        host.settled();
        reset_and_compare(&host, &before, &theirs);
    }
}

/// Killed in its first step, then in its second, and so on, until one is through: in the end nothing tells of it.
#[test]
fn an_interrupted_reset_is_finished_by_the_next() {
    if !lab::available("an_interrupted_reset_is_finished_by_the_next") {
        return;
    }
    let _turn = TURN.take();
    let host = host(ONE, 66);
    let before = snapshot(&host);
    let theirs = host.ok(THEIR_PROCESSES);
    host.ok(INIT);
    host.settled();
    host.write("/root/kill-at.pl", KILLER);
    let log = host.ok(&format!(
        "for n in $(seq {MANY}); do perl kill-at.pl $n {RESET} --progress json 2>>errors; code=$?; \
         [ $code = 9 ] || break; done; echo $code $n"
    ));
    let last = log.trim_end().rsplit('\n').next().unwrap();
    let (code, runs) = last.split_once(' ').unwrap();
    assert_eq!(code, "0", "{last}: {}", host.ok("cat errors"));
    println!("{runs} runs, the last one not killed");
    assert!(runs.parse::<u32>().unwrap() > 5, "{log}");
    let again = host.run("kubewright reset");
    assert!(again.stdout.contains("there is nothing to reset"), "{}", again.text());
    assert_same(&before, &snapshot(&host));
    assert_eq!(host.ok(THEIR_PROCESSES), theirs);
}

/// A host of kubeadm has no baseline: what belongs to a cluster goes, the bystanders stay.
#[test]
fn a_host_of_kubeadm_is_reset_too() {
    if !lab::available("a_host_of_kubeadm_is_reset_too") {
        return;
    }
    let _turn = TURN.take();
    let host = host(ONE, 66);
    let before = snapshot(&host);
    let theirs = host.ok(THEIR_PROCESSES);
    host.ok("kubeadm init --config kubeadm.yaml");
    let reset = host.run(RESET);
    assert_eq!(reset.code, 0, "{}", reset.text());
    assert!(reset.stdout.contains("nothing to compare"), "{}", reset.text());
    assert!(reset.stderr.contains("/etc/kubernetes/mine.conf"), "{}", reset.stderr);
    let after = snapshot(&host);
    // What nobody wrote down stays: empty directories, and what kube-proxy set.
    let left: Vec<&String> = after.keys().filter(|line| !before.contains_key(*line)).collect();
    let harmless = |line: &&&String| {
        let words: Vec<&str> = line.split(' ').collect();
        (words[0] == "file" && words[1] == "d")
            || line.ends_with("/run/xtables.lock ")
            || line.starts_with("sysctl net.ipv4.conf.all.route_localnet")
            || line.starts_with("sysctl net.netfilter.nf_conntrack_tcp_timeout_")
            // Tables and chains of iptables that do nothing.
            || line.starts_with("nft ") && !line.contains("KUBE")
            || line.contains("tables-nft-save") && !line.contains("KUBE")
    };
    let bad: Vec<&&String> = left.iter().filter(|line| !harmless(line)).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assert_eq!(host.ok(THEIR_PROCESSES), theirs);
    assert!(host.ok("iptables-save").contains("-A INPUT -s 192.0.2.7/32 -j DROP"));
    assert!(host.ok("nft list table inet bystander").contains("192.0.2.8 drop"));
}

/// The other way round: what `init` made, kubeadm takes apart without complaint.
#[test]
fn kubeadm_resets_our_host() {
    if !lab::available("kubeadm_resets_our_host") {
        return;
    }
    let _turn = TURN.take();
    let host = host("kwt-kadmre", 59);
    host.ok(&format!("{INIT} --pki-layout kubeadm"));
    host.settled();
    let reset = host.run("kubeadm reset -f");
    assert_eq!(reset.code, 0, "{}", reset.text());
    let complaints: Vec<String> = reset
        .text()
        .lines()
        .filter(|line| line.contains("error") || line.starts_with('W') || line.contains("[WARNING"))
        .map(str::to_owned)
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    // And ours takes what that leaves.
    let ours = host.run(RESET);
    assert_eq!(ours.code, 0, "{}", ours.text());
    assert!(ours.stdout.contains("the host equals its state of "), "{}", ours.text());
}

/// A worker that joined, and a control plane that goes on without it.
#[test]
fn reset_after_join_leaves_nothing() {
    if !lab::available("reset_after_join_leaves_nothing") {
        return;
    }
    let _turn = TURN.take();
    let (first, worker) = (Host::kube(OTHER, 67), host(ONE, 66));
    let before = snapshot(&worker);
    let theirs = worker.ok(THEIR_PROCESSES);
    let said = first.ok(INIT);
    let join = join_command(&said, false);
    worker.ok(&join);
    first.until(
        Duration::from_mins(2),
        "kubectl --kubeconfig /etc/kubernetes/admin.conf wait --for=condition=Ready node/kwt-re1 --timeout=60s",
    );
    first.kubectl("-n kube-system rollout status daemonset/kube-proxy --timeout=60s");
    reset_and_compare(&worker, &before, &theirs);
    assert_eq!(first.kubectl("get --raw /readyz"), "ok");
}

/// A control plane leaves etcd before it goes, so that the others go on, and the same host can come back.
#[test]
fn a_control_plane_leaves_and_comes_back() {
    if !lab::available("a_control_plane_leaves_and_comes_back") {
        return;
    }
    let _turn = TURN.take();
    let (first, second) = (Host::kube(OTHER, 67), host(ONE, 66));
    let before = snapshot(&second);
    let theirs = second.ok(THEIR_PROCESSES);
    let endpoint = "kind: ClusterConfiguration\ncontrolPlaneEndpoint: 10.77.0.67:6443\n";
    first.write("/root/kubeadm.yaml", &lab::CONFIG.replacen("kind: ClusterConfiguration\n", endpoint, 1));
    let said = first.ok(&format!("{INIT} --upload-certs"));
    let join = join_command(&said, true);
    for _ in 0..2 {
        second.ok(&join);
        second.until(
            Duration::from_mins(1),
            "test $(kubectl --kubeconfig /etc/kubernetes/admin.conf get --raw /readyz) = ok",
        );
        let reset = second.run(RESET);
        assert_eq!(reset.code, 0, "{}", reset.text());
        assert!(reset.stderr.contains(": changed: etcd's member on this host removed"), "{}", reset.stderr);
        assert_same(&before, &snapshot(&second));
        assert_eq!(second.ok(THEIR_PROCESSES), theirs);
        first.until(
            Duration::from_mins(1),
            "test $(kubectl --kubeconfig /etc/kubernetes/admin.conf get --raw /readyz) = ok",
        );
        first.kubectl("delete node kwt-re1");
    }
}

/// A command as `init` prints it, with what a lab host needs ignored.
fn join_command(said: &str, control_plane: bool) -> String {
    let lines: Vec<&str> = said.lines().map(str::trim).collect();
    let begins =
        lines.iter().enumerate().filter(|(_, line)| line.contains(" join ") && line.contains("--token"));
    let mut commands = begins.map(|(at, _)| {
        let more = lines[at..].iter().take_while(|line| line.ends_with('\\')).count();
        lines[at..=at + more].join(" ").replace('\\', "")
    });
    let wanted = commands.find(|command| command.contains("--control-plane") == control_plane);
    let wanted = wanted.unwrap_or_else(|| panic!("no such command in:\n{said}"));
    format!("{wanted} --ignore-preflight-errors SystemVerification")
}

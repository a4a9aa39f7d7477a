//! The playbooks on hosts of the lab: three control planes behind a virtual address and two workers, brought up through
//! the dynamic inventory, found unchanged, looked at in check mode, grown, and taken back.

use crate::apply::all_ready;
use crate::estate;
use crate::estate::Layout;
use crate::estate::Operator;
use crate::estate::VIP;
use crate::estate::name;
use crate::lab;
use crate::lab::Host;
use crate::lab::Outcome;
use crate::reset::assert_same;
use crate::reset::snapshot;
use crate::skip::skip;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::process::Stdio;

const PLAYBOOKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/playbooks");
const PROGRAM: &str = env!("CARGO_BIN_EXE_kubewright");

/// Numbers of a host's line in Ansible's recap: `changed=0`.
type Recap = BTreeMap<String, BTreeMap<String, usize>>;

/// What a playbook came to.
pub(crate) struct Played {
    pub(crate) well: bool,
    pub(crate) said: String,
    recap: Recap,
}

impl Played {
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!(self.well, "{}", self.said);
        self
    }

    /// How much changed on each host.
    pub(crate) fn changed(&self) -> BTreeMap<&str, usize> {
        self.recap.iter().map(|(host, counts)| (host.as_str(), counts["changed"])).collect()
    }

    #[track_caller]
    pub(crate) fn assert_nothing_changed(&self) {
        assert!(!self.recap.is_empty() && self.changed().values().all(|count| *count == 0), "{}", self.said);
    }
}

pub(crate) fn available(test: &str) -> bool {
    if !lab::available(test) {
        return false;
    }
    let there = Command::new("ansible-playbook").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !there {
        skip(test, "no ansible-playbook on this machine (pip install ansible-core)");
    }
    there
}

/// The program without what only a debugger reads: Ansible copies it to every host.
pub(crate) fn stripped(operator: &Operator) -> String {
    let small = operator.path("kubewright").display().to_string();
    let done = Command::new("strip").args(["-o", &small, PROGRAM]).status().unwrap();
    assert!(done.success());
    small
}

pub(crate) fn play(operator: &Operator, playbook: &str, more: &[&str]) -> Played {
    let known = operator.known_hosts();
    let output = Command::new("ansible-playbook")
        .args(["-i", &format!("{PLAYBOOKS}/inventory"), &format!("{PLAYBOOKS}/{playbook}")])
        .args(more)
        .current_dir(operator.path(""))
        .env("PWD", operator.path(""))
        .env("HOME", operator.path("."))
        .env("KUBEWRIGHT", operator.path("kubewright"))
        .env("KUBEWRIGHT_CONFIG", operator.file())
        .env("ANSIBLE_NOCOLOR", "1")
        // OpenSSH looks for known hosts in the home directory of the user database.
        .env("ANSIBLE_SSH_ARGS", format!("-o UserKnownHostsFile={}", known.display()))
        .env("ANSIBLE_PIPELINING", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    Played { well: output.status.success(), recap: recap(&said), said }
}

fn recap(said: &str) -> Recap {
    let lines = said.lines().skip_while(|line| !line.starts_with("PLAY RECAP"));
    let row = |line: &str| {
        let (host, counts) = line.split_once(" : ")?;
        let counts = counts.split_whitespace().filter_map(|word| {
            let (key, count) = word.split_once('=')?;
            Some((key.to_owned(), count.parse().ok()?))
        });
        Some((host.trim().to_owned(), counts.collect()))
    };
    lines.filter_map(row).collect()
}

/// What `plan` finds to change.
fn planned(operator: &Operator) -> Outcome {
    operator.run(&["plan", "-f", "cluster.yaml", "--detailed-exitcode"])
}

#[test]
fn playbooks_make_find_grow_and_reset_a_cluster() {
    if !available("playbooks::playbooks_make_find_grow_and_reset_a_cluster") {
        return;
    }
    let _turn = estate::TURN.take();
    let operator = Operator::new();
    let mut hosts = operator.hosts(&[1, 2, 3, 4, 5]);
    stripped(&operator);
    operator.write(&Layout::of(&[1, 2, 3], &[4, 5]));

    // In check mode a host that has never been touched is named, and stays as it is.
    for host in &hosts {
        host.ok("rm /usr/local/bin/kubewright");
    }
    play(&operator, "up.yml", &["--check"]).ok();
    let before: Vec<_> = hosts.iter().map(snapshot).collect();
    let dry = play(&operator, "up.yml", &["--check", "--diff"]).ok();
    assert!(dry.said.contains(&format!("{} would become the first control plane", name(1))), "{}", dry.said);
    assert!(dry.said.contains(&format!("{} would join the cluster", name(5))), "{}", dry.said);
    assert_all_same(&before, &hosts);

    let up = play(&operator, "up.yml", &["-e", "kubewright_kubeconfig=admin.conf"]).ok();
    println!(
        "{}",
        up.said.lines().skip_while(|line| !line.starts_with("PLAY RECAP")).collect::<Vec<_>>().join("\n")
    );
    assert!(up.changed().values().all(|count| *count > 0), "{}", up.said);
    let mode = std::fs::metadata(operator.path("admin.conf")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    all_ready(&hosts[0], &[1, 2, 3, 4, 5]);
    assert_eq!(hosts[4].ok(&format!("curl -sk https://{VIP}:8443/readyz")), "ok");
    hosts[1].kubectl(&format!("-n kube-system logs kube-apiserver-{} --tail 1", name(3)));
    play(&operator, "up.yml", &[]).ok().assert_nothing_changed();
    play(&operator, "up.yml", &["--check", "--diff"]).ok().assert_nothing_changed();
    // What `apply` would make of the file, the playbooks have made.
    let plan = planned(&operator);
    assert_eq!(plan.code, 0, "{}", plan.text());

    // What somebody changed by hand is found, shown and put right.
    hosts[1].ok(
        "sed -i s/--leader-elect=true/--leader-elect=false/ /etc/kubernetes/manifests/kube-scheduler.yaml",
    );
    let dry = play(&operator, "up.yml", &["--check", "--diff"]).ok();
    let wanted = BTreeMap::from([1, 2, 3, 4, 5].map(|number| (name(number), usize::from(number == 2))));
    assert_eq!(dry.changed(), wanted, "{}", dry.said);
    assert!(dry.said.contains("+    - --leader-elect=true"), "{}", dry.said);
    let plan = planned(&operator);
    assert_ne!(plan.code, 0);
    assert!(plan.stdout.contains("1 change on 1 host;"), "{}", plan.text());
    assert!(
        hosts[1].ok("cat /etc/kubernetes/manifests/kube-scheduler.yaml").contains("--leader-elect=false")
    );
    assert_eq!(play(&operator, "up.yml", &[]).ok().changed(), wanted);
    play(&operator, "up.yml", &[]).ok().assert_nothing_changed();

    // A worker more, and nothing of the others.
    hosts.extend(operator.hosts(&[6]));
    operator.write(&Layout::of(&[1, 2, 3], &[4, 5, 6]));
    let scaled = play(&operator, "scale.yml", &[]).ok();
    assert_eq!(scaled.changed().values().filter(|count| **count > 0).count(), 1, "{}", scaled.said);
    all_ready(&hosts[0], &[1, 2, 3, 4, 5, 6]);

    // Certificates of a year last longer than a month.
    play(&operator, "renew-certs.yml", &[]).ok().assert_nothing_changed();
    let soon = ["-e", "kubewright_within=400"];
    let serial = || hosts[1].ok("openssl x509 -noout -serial -in /etc/kubernetes/pki/apiserver.crt");
    let old = serial();
    let renewed = BTreeMap::from([1, 2, 3].map(|number| (name(number), 1)));
    assert_eq!(
        play(&operator, "renew-certs.yml", &[&soon[..], &["--check"]].concat()).ok().changed(),
        renewed
    );
    assert_eq!(serial(), old);
    assert_eq!(play(&operator, "renew-certs.yml", &soon).ok().changed(), renewed);
    assert_ne!(serial(), old);
    all_ready(&hosts[1], &[1, 2, 3, 4, 5, 6]);

    let copies = ["-e", "kubewright_snapshots=/root/copies"];
    play(&operator, "snapshot-etcd.yml", &copies).ok();
    let copy = hosts[0].ok("stat -c '%a %s' /root/copies/*.db");
    let (mode, size) = copy.trim().split_once(' ').unwrap();
    assert!(mode == "600" && size.parse::<u64>().unwrap() > 100_000, "{copy}");
    hosts[0].ok("rm -r /root/copies");

    let refused = play(&operator, "reset.yml", &["-e", "kubewright_confirm=no"]);
    assert!(!refused.well && refused.said.contains("nothing was changed"), "{}", refused.said);
    let yes = ["-e", "kubewright_confirm=yes"];
    play(&operator, "reset.yml", &yes).ok();
    assert_all_same(&before, &hosts);
    play(&operator, "reset.yml", &yes).ok().assert_nothing_changed();
}

const LEFT_BY_HAPROXY: [&str; 3] =
    [" /run/haproxy.pid ", " /run/haproxy-master.sock ", " /var/lib/haproxy/dev/log "];

#[track_caller]
fn assert_all_same(before: &[BTreeMap<String, i32>], hosts: &[Host]) {
    for (before, host) in before.iter().zip(hosts) {
        let mut now = snapshot(host);
        // What the distribution's service leaves behind when it stops.
        now.retain(|line, _| !LEFT_BY_HAPROXY.iter().any(|path| line.contains(path)));
        assert_same(before, &now);
    }
}

#[test]
fn a_lost_first_control_plane_joins_and_begins_nothing() {
    if !available("playbooks::a_lost_first_control_plane_joins_and_begins_nothing") {
        return;
    }
    let _turn = estate::TURN.take();
    let operator = Operator::new();
    let mut hosts = operator.hosts(&[1, 2, 3]);
    stripped(&operator);
    operator.write(&Layout::of(&[1, 2], &[3]));
    play(&operator, "up.yml", &[]).ok();
    all_ready(&hosts[0], &[1, 2, 3]);
    let of = |host: &Host| host.ok("sha256sum /etc/kubernetes/pki/ca.crt");
    let authority = of(&hosts[1]);
    // It leaves in order, so that the other one keeps etcd's majority, and comes back as an empty host.
    play(&operator, "reset.yml", &["-e", "kubewright_confirm=yes", "--limit", name(1)]).ok();
    hosts[1].kubectl(&format!("delete node {}", name(1)));
    drop(hosts.remove(0));
    hosts.insert(0, estate::host(1));
    operator.learn(1);
    play(&operator, "up.yml", &["--limit", name(1)]).ok();
    all_ready(&hosts[1], &[1, 2, 3]);
    assert_eq!(of(&hosts[0]), authority);
    play(&operator, "up.yml", &[]).ok().assert_nothing_changed();
}

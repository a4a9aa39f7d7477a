//! Facts gathered from the machine that the tests run on.

use crate::bare_host::BareHost;
use crate::support::scenario::Scenario;
use crate::support::text;
use kubewright::facts::Questions;
use kubewright::facts::checks::CgroupVersion;
use kubewright::facts::checks::Kubelet;
use kubewright::facts::checks::PathState;
use kubewright::facts::gather;
use kubewright::facts::sync;
use kubewright::kube::images;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::net::TcpListener;
use std::path::Path;
use std::time::Instant;

fn questions() -> Questions {
    let mut questions = Questions::general();
    questions.paths.extend(["/etc/passwd", "/etc", "/nowhere/at/all"].map(str::to_owned));
    questions.names.extend(["localhost", "no-such-host.invalid"].map(str::to_owned));
    questions.directories.extend(["/var/lib/etcd", "/nowhere/at/all"].map(str::to_owned));
    questions
}

#[test]
fn gathers_this_machine_with_and_without_sysinfo() {
    for local in [false, true] {
        let environment = BTreeMap::from([("https_proxy".to_owned(), "http://proxy:1".to_owned())]);
        let questions = if local { questions().local(environment) } else { questions() };
        let facts = gather::gather(&BareHost::default(), &questions).unwrap();
        let checks = &facts.checks;
        assert!(!facts.hostname.is_empty());
        assert!(checks.uid.is_some() && checks.cpus.unwrap() >= 1, "{checks:?}");
        assert!(checks.memory.unwrap() > 64 << 20);
        assert_eq!(checks.kernel.name, "Linux");
        assert!(checks.kernel.release.starts_with(|c: char| c.is_ascii_digit()));
        assert_ne!(checks.cgroups.version, CgroupVersion::Unknown);
        assert_eq!(checks.paths.get("/etc/passwd"), Some(&PathState::File));
        assert_eq!(checks.paths.get("/etc"), Some(&PathState::Directory));
        assert_eq!(checks.paths.get("/nowhere/at/all"), None);
        assert!(checks.programs.as_ref().unwrap().contains("cp"));
        assert!(checks.disks["/nowhere/at/all"].total > checks.disks["/nowhere/at/all"].free);
        assert!(checks.names["localhost"].iter().any(IpAddr::is_loopback));
        assert!(checks.names["no-such-host.invalid"].is_empty());
        assert!(facts.addresses.iter().any(IpAddr::is_loopback));
        assert!(checks.interfaces.contains("lo"));
        assert_ne!(checks.kubelet, Kubelet::Unknown);
        assert_eq!(facts.proxy_env.len(), usize::from(local));
    }
}

#[test]
fn both_ways_to_addresses_and_disks_agree() {
    let remote = gather::gather(&BareHost::default(), &questions()).unwrap();
    let local = gather::gather(&BareHost::default(), &questions().local(BTreeMap::new())).unwrap();
    let set = |addresses: Vec<_>| addresses.into_iter().collect::<BTreeSet<_>>();
    assert_eq!(set(remote.addresses), set(local.addresses));
    assert_eq!(remote.checks.default_addresses, local.checks.default_addresses);
    assert_eq!(remote.checks.memory, local.checks.memory);
    assert_eq!(remote.checks.disks["/var/lib/etcd"].total, local.checks.disks["/var/lib/etcd"].total);
}

#[test]
fn basics_agree_with_the_probe() {
    let basics = gather::basics(&BareHost::default()).unwrap();
    let facts = gather::gather(&BareHost::default(), &Questions::general()).unwrap();
    assert_eq!(basics.hostname, facts.hostname);
    assert_eq!(basics.default_addresses, facts.checks.default_addresses);
}

#[test]
fn sees_a_listening_socket_and_its_process() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut questions = Questions::general();
    questions.ports.insert(port);
    let facts = gather::gather(&BareHost::default(), &questions).unwrap();
    let seen = facts.checks.listener(port).expect("the socket listens");
    if let Some(process) = &seen.process {
        assert_eq!(process.id, std::process::id());
    }
    drop(listener);
    let facts = gather::gather(&BareHost::default(), &questions).unwrap();
    assert_eq!(facts.checks.listener(port), None);
}

#[test]
fn measures_the_disk_within_a_second() {
    let directory = tempfile::tempdir().unwrap();
    let begin = clock();
    let micros = sync::latency(&BareHost::default(), directory.path().to_str().unwrap()).unwrap();
    assert!(begin.elapsed().as_secs_f32() < 2.0, "the measurement is bounded");
    assert!(micros.is_none_or(|micros| micros > 0));
    assert_eq!(directory.path().read_dir().unwrap().count(), 0, "nothing stays behind");
}

#[test]
fn tells_how_long_a_probe_takes() {
    let questions = Questions { kubelet: false, ..questions().local(BTreeMap::new()) };
    let mut times: Vec<u128> = (0..9)
        .map(|_| {
            let begin = clock();
            gather::gather(&BareHost::default(), &questions).unwrap();
            begin.elapsed().as_micros()
        })
        .collect();
    times.sort_unstable();
    println!("a probe without the kubelet takes {} µs (median of 9)", times[4]);
    assert!(times[0] < 500_000, "even a busy machine answers in half a second: {times:?}");
}

#[expect(clippy::disallowed_methods, reason = "a test measures real time")]
fn clock() -> Instant {
    Instant::now()
}

/// Each folder of `tests/facts` is a fact; each of its cases what the probe said (`.txt`) and what that means
/// (`.json`).
#[test]
#[expect(clippy::disallowed_methods, reason = "the cases are files")]
fn every_recorded_answer_is_understood() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/facts");
    let mut wrong = Vec::new();
    let mut cases = 0;
    for folder in std::fs::read_dir(root).unwrap() {
        let folder = folder.unwrap().path();
        let fact = folder.file_name().unwrap().to_str().unwrap().to_owned();
        for file in std::fs::read_dir(&folder).unwrap() {
            let file = file.unwrap().path();
            if file.extension().is_none_or(|extension| extension != "txt") {
                continue;
            }
            cases += 1;
            let text = std::fs::read_to_string(&file).unwrap();
            let facts = gather::interpret(&text, &Questions::general());
            let value = serde_json::to_value(&facts).unwrap();
            let found = value.get(&fact).unwrap_or(&value["checks"][&fact]);
            let expected = std::fs::read_to_string(file.with_extension("json")).unwrap_or_default();
            if serde_json::from_str::<serde_json::Value>(&expected).ok().as_ref() != Some(found) {
                wrong.push(format!("{}\n{found:#}", file.display()));
            }
        }
    }
    assert!(cases >= 40, "only {cases} cases were found");
    assert!(wrong.is_empty(), "not as recorded:\n{}", wrong.join("\n\n"));
}

/// Whole answers of real hosts (`tests/recordings/HOST.txt`), and all that they mean (`.json`; `BLESS=1` writes it).
///
/// A new one is made by running, on a host, the script that this test writes where `PROBE_SCRIPT` says. Machine id
/// and product UUID are then made up.
#[test]
#[expect(clippy::disallowed_methods, reason = "PROBE_SCRIPT is an argument of the test run")]
fn whole_answers_of_real_hosts_are_understood() {
    let cluster = Scenario::load("single-node", None).cluster;
    let images = images::list(&cluster);
    let questions = Questions::for_node(&cluster, cluster.first_control_plane(), &images);
    let questions = Questions { accounts: true, ..questions };
    if let Some(path) = std::env::var_os("PROBE_SCRIPT") {
        std::fs::write(path, gather::probe_command(&questions).stdin.unwrap()).unwrap();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let recordings =
        text::files(&root).into_iter().filter(|path| path.extension().is_some_and(|end| end == "txt"));
    let mut count = 0;
    for path in recordings {
        let facts = gather::interpret(&text::read(&path), &questions);
        let found = format!("{:#}\n", serde_json::to_value(&facts).unwrap());
        let expected = path.with_extension("json");
        if text::blessing() {
            std::fs::write(&expected, &found).unwrap();
        }
        text::assert_same(&expected.display().to_string(), &text::read(&expected), &found);
        count += 1;
    }
    assert!(count >= 2, "only {count} recordings");
}

/// Lines that a probe could print, and some that it would not.
fn answers() -> impl Strategy<Value = String> {
    let keys = "/proc/swaps|/proc/net/route|/proc/net/if_inet6|/proc/net/tcp|/etc/passwd|/etc/group|/etc/fstab|unit|path|\
                disk|kubelet|chrony|chain|iptables|name|ip|/proc/meminfo|/proc/mounts|/etc/login.defs|[a-z/]{1,9}";
    let line = (keys, "[ -~\t]{0,60}").prop_map(|(key, value)| format!("{key}:{value}"));
    let listening = "LISTEN [ -~]{0,60}".prop_map(|line| line);
    proptest::collection::vec(prop_oneof![4 => line, 1 => listening], 0..30)
        .prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn no_answer_of_a_host_is_too_strange(text in answers()) {
        gather::interpret(&text, &Questions::general());
    }

    #[test]
    fn no_damaged_answer_is_too_strange(at in any::<usize>(), length in 0_usize..40, with in "[ -~\n]{0,8}") {
        let text = include_str!("../recordings/debian-12-control-plane.txt");
        let begin = text.floor_char_boundary(at % text.len());
        let end = text.floor_char_boundary((begin + length).min(text.len()));
        let damaged = format!("{}{with}{}", &text[..begin], &text[end..]);
        gather::interpret(&damaged, &Questions::general());
    }
}

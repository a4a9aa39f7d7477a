//! A token, a certificate key or a private key is in no log, event, process list or file that others can read.

use crate::lab::Host;
use crate::lab::Outcome;
use crate::running::Running;

const WATCH: &str = include_str!("watch.pl");

/// Whoever starts a program with a secret among its words shows it, until the program has started itself again with
/// those words masked: some ten milliseconds here, and more where the processors are busy.
const MOMENT: f32 = 0.25;

/// The beginnings of private keys in PEM, as they are and in base64, as kubeconfigs have them.
const KEYS: [&str; 4] = [
    "PRIVATE KEY-----",
    "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS",
    "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS",
    "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVkt",
];

/// What nobody may see: the halves of tokens that are secret, and the certificate key, without an end each that a
/// message could cut off.
fn secrets(cluster: &Running) -> Vec<String> {
    let secret = cluster.token.split_once('.').unwrap().1;
    vec![secret[1..].to_owned(), cluster.key[1..].to_owned()]
}

/// Runs a line from a file, so that no shell shows it, while every process is looked at.
pub(crate) fn watched(host: &Host, cluster: &Running, line: &str) -> Outcome {
    let (run, seen, looks) = watch(host, cluster, line);
    for process in &seen {
        let age: f32 = process.split(' ').next().unwrap().parse().unwrap();
        assert!(
            age < MOMENT && process.contains(" kubewright join "),
            "a secret is in the process list: {process}"
        );
    }
    assert!(looks > 20, "the process was hardly looked at: {looks} times");
    shows_nothing(cluster, "the output", &run.text());
    run
}

/// What a line comes to; the processes that showed a secret, each with its age in seconds when it was seen last; and
/// how often the program was looked at.
fn watch(host: &Host, cluster: &Running, line: &str) -> (Outcome, Vec<String>, u32) {
    host.write("/root/watch.pl", WATCH);
    host.write("/root/secrets", &format!("{}\n", secrets(cluster).join("\n")));
    host.write("/root/line", line);
    let run = host.run(
        "rm -f done watched.pid; perl watch.pl secrets done >watched & \
         until [ -s watched.pid ]; do pgrep -f ^perl.watch.pl >watched.pid; done; \
         sh line; code=$?; touch done; wait; exit $code",
    );
    let watched = host.ok("cat watched");
    let mut seen: Vec<String> = watched.lines().map(str::to_owned).collect();
    let looks = seen.pop().and_then(|last| last.split(' ').nth(1)?.parse().ok());
    (run, seen, looks.unwrap_or_else(|| panic!("nobody watched: {watched}")))
}

/// What finds nothing must be able to find something.
pub(crate) fn the_searches_find_what_is_there(host: &Host, cluster: &Running) {
    let secrets = secrets(cluster);
    let (_, seen, _) = watch(host, cluster, &format!("sh -c 'sleep 0.5; :' x {}", secrets[0]));
    assert!(
        seen.iter().any(|process| process.starts_with("0.") && process.contains(&secrets[0])),
        "{seen:?}"
    );
    host.write("/opt/planted", &format!("token {}\n-----BEGIN EC PRIVATE KEY-----\n", secrets[0]));
    host.ok("chmod 644 /opt/planted; logger -t planted -f /opt/planted");
    assert_eq!(readable(host, &secrets), "/opt/planted\n");
    assert!(readable_keys(host).contains("/opt/planted\n"));
    host.write("/root/patterns", &secrets.join("\n"));
    host.ok("journalctl --sync; journalctl --no-pager -t planted | grep -Ff patterns");
    // The journal is part of what is searched: it starts anew.
    host.ok("rm /opt/planted; journalctl -q --rotate; journalctl -q --vacuum-time=1ms; ! journalctl --no-pager | grep -Ff patterns");
}

/// Fails when a text has a secret or a private key in it.
pub(crate) fn shows_nothing(cluster: &Running, what: &str, text: &str) {
    let secrets = secrets(cluster);
    for secret in secrets.iter().map(String::as_str).chain(KEYS) {
        assert!(!text.contains(secret), "{what} shows {secret}:\n{text}");
    }
}

/// Files that somebody without any rights can read, and that have a private key in them: programs that can read one.
pub(crate) fn readable_keys(host: &Host) -> String {
    readable(host, &KEYS.map(str::to_owned))
}

fn readable(host: &Host, patterns: &[String]) -> String {
    host.write("/tmp/patterns", &format!("{}\n", patterns.join("\n")));
    host.ok(
        "chmod 644 /tmp/patterns; su nobody -s /bin/sh -c \"find / /run /tmp /var/lib/kubelet /var/lib/etcd \
         /var/lib/containerd -xdev -type f -readable -print0 2>/dev/null | xargs -0 grep -lFf /tmp/patterns 2>/dev/null\" \
         | grep -vx /tmp/patterns | sort -u",
    )
}

/// Looks through all that a join has left; `before` is what [`readable_keys`] said.
pub(crate) fn nothing_shows(host: &Host, cluster: &Running, before: &str) {
    let secrets = secrets(cluster);
    assert_eq!(readable(host, &secrets), "", "everybody can read a secret");
    assert_eq!(readable_keys(host), before, "everybody can read a private key");
    host.write("/root/patterns", &format!("{}\n", [secrets.join("\n"), KEYS.join("\n")].join("\n")));
    let logs = "{ journalctl --no-pager -o cat | grep -Ff patterns && echo journal; \
                grep -rlFf patterns /var/log /var/lib/kubewright; } 2>/dev/null; true";
    assert_eq!(host.ok(logs), "", "a secret is in a log or in the receipt");
    let token = &secrets[0];
    assert_eq!(
        host.ok(&format!("grep -rlF {token} /etc /var/lib/kubelet; true")),
        "",
        "the token is still there"
    );
}

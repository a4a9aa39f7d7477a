//! What goes wrong on a host: one clear error with the documented exit code, nothing half-written, and the next run
//! goes on.

use crate::lab;
use crate::lab::CONFIG;
use crate::lab::Host;
use crate::lab::Outcome;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::DnType;
use rcgen::IsCa;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rcgen::date_time_ymd;
use std::time::Duration;
use time::OffsetDateTime;

const INIT: &str = "kubewright init --config kubeadm.yaml";

/// The exit codes that the program documents.
const PREFLIGHT: i32 = 4;
const PKI: i32 = 5;
const HOST: i32 = 6;
const TIMEOUT: i32 = 8;
const INTERRUPTED: i32 = 130;

/// Fails unless a run ended with `code` and said all of these.
pub(crate) fn assert_fails(outcome: &Outcome, code: i32, says: &[&str]) {
    assert_eq!(outcome.code, code, "{}", outcome.text());
    for text in says {
        assert!(outcome.stderr.contains(text), "no `{text}` in:\n{}", outcome.stderr);
    }
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
}

/// No file stands half-written: the temporary ones are gone.
pub(crate) fn assert_nothing_half_written(host: &Host) {
    let left = host.ok("find /etc/kubernetes /etc/haproxy /etc/keepalived /var/lib/kubelet/*.* /var/lib/kubewright -size 0 -type f -o -name '*.tmp*' -o -name '.*kubewright*' 2>/dev/null || true");
    assert_eq!(left, "", "left behind");
}

/// One host through everything that preflight or the host itself refuses, and then the real run.
#[test]
fn a_host_that_is_not_ready_is_told_why_and_then_initialised() {
    if !lab::available("a_host_that_is_not_ready_is_told_why_and_then_initialised") {
        return;
    }
    let host = Host::kube("kwt-flt", 26);
    let untouched = |what: &str| {
        let found = host.ok("ls -A /etc/kubernetes 2>/dev/null | grep -v '^manifests$' || true");
        assert_eq!(found, "", "{what}: something was written");
    };

    host.ok("systemd-run -q --unit squatter socat TCP-LISTEN:6443,fork,reuseaddr EXEC:true");
    host.until(Duration::from_secs(5), "ss -ltn | grep -q :6443");
    assert_fails(&host.run(INIT), PREFLIGHT, &["Port-6443", "socat"]);
    untouched("port in use");
    host.ok("systemctl stop squatter");

    host.ok("systemctl stop containerd");
    assert_fails(&host.run(INIT), PREFLIGHT, &["containerd"]);
    untouched("containerd stopped");
    host.ok("systemctl start containerd && for i in $(seq 50); do ctr version >/dev/null 2>&1 && break; sleep 0.1; done");

    host.ok("mkdir -p /etc/kubernetes && mount -t tmpfs -o size=8k tmpfs /etc/kubernetes");
    assert_fails(&host.run(INIT), HOST, &["/etc/kubernetes", "space"]);
    assert_nothing_half_written(&host);
    host.ok("umount /etc/kubernetes");

    host.ok(INIT);
    host.settled();
}

/// Authorities and leaves that cannot be used; all of it is found before anything is written.
#[test]
fn a_pki_that_cannot_be_used_is_refused() {
    if !lab::available("a_pki_that_cannot_be_used_is_refused") {
        return;
    }
    let host = Host::kube("kwt-pki", 27);
    let certs = "kubewright init phase certs all --config kubeadm.yaml";
    host.ok(&format!("{certs} && cp -a /etc/kubernetes/pki /root/good && rm -r /var/lib/kubewright"));
    let restore = "rm -rf /etc/kubernetes/pki && cp -a /root/good /etc/kubernetes/pki";
    for (name, not_after) in [("other", date_time_ymd(2040, 1, 1)), ("expired", date_time_ymd(2020, 1, 2))] {
        let (certificate, key) = authority(not_after);
        host.ok(&format!("mkdir /root/{name}"));
        host.write(&format!("/root/{name}/ca.crt"), &certificate);
        host.write(&format!("/root/{name}/ca.key"), &key);
        host.ok(&format!("chmod 600 /root/{name}/ca.key"));
    }
    for (what, spoil, says) in [
        ("a leaf of another CA", "cp /root/other/* .", "not signed by CA certificate"),
        ("an expired CA", "cp /root/expired/* . && rm apiserver*", "expired"),
        ("a CA that is gone", "rm ca.crt", "does not exist"),
        ("a CA that is no PEM", "echo nonsense >ca.crt", "ca certificate"),
        ("a key of another CA", "cp /root/other/ca.key .", "does not belong to its certificate"),
        ("a key that all can read", "chmod 644 ca.key", "ca.key"),
        ("a CA without its key, and a leaf to make", "rm ca.key apiserver.crt apiserver.key", "ca.key"),
    ] {
        host.ok(&format!("{restore} && cd /etc/kubernetes/pki && {spoil}"));
        let sums = "find /etc/kubernetes -type f -exec sha256sum {} + | sort";
        let before = host.ok(sums);
        let refused = host.run(INIT);
        assert_fails(&refused, PKI, &[says]);
        assert_eq!(host.ok(sums), before, "{what}: something was written");
    }
    host.ok(restore);
    host.ok(INIT);
    let kept = host.ok("cmp /root/good/ca.crt /etc/kubernetes/pki/ca.crt && cmp /root/good/apiserver.key /etc/kubernetes/pki/apiserver.key");
    assert_eq!(kept, "");
    assert_eq!(host.kubectl("get --raw /readyz"), "ok");
}

/// Another authority of the same name.
fn authority(not_after: OffsetDateTime) -> (String, String) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "kubernetes");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = not_after;
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// A kubelet that dies at once: waited for too long, then interrupted by Ctrl-C, then mended.
#[test]
fn a_wait_that_ends_early_is_taken_up_again() {
    if !lab::available("a_wait_that_ends_early_is_taken_up_again") {
        return;
    }
    let host = Host::kube("kwt-wait", 28);
    let timeouts = "kind: InitConfiguration\ntimeouts: {kubeletHealthCheck: 3s}\n";
    host.write("/root/impatient.yaml", &CONFIG.replacen("kind: InitConfiguration\n", timeouts, 1));
    host.ok("mv /usr/bin/kubelet /root/kubelet");
    host.write("/usr/bin/kubelet", BROKEN);
    host.ok("chmod 755 /usr/bin/kubelet");
    let late = host.run("kubewright init --config impatient.yaml");
    assert_fails(
        &late,
        TIMEOUT,
        &["kwt-wait", "wait-control-plane", "journalctl -xeu kubelet", "kubelet healthy"],
    );
    assert_nothing_half_written(&host);

    let interrupted = host.run(
        "{ for i in $(seq 200); do grep -qs waiting events && break; sleep 0.1; done; pkill -INT -x kubewright; } & \
         kubewright init --config kubeadm.yaml --progress json >events",
    );
    assert_eq!(interrupted.code, INTERRUPTED, "{}", interrupted.text());
    host.ok("mv -f /root/kubelet /usr/bin/kubelet");
    host.ok(INIT);
    host.settled();
}

/// Something in the kubelet's place that only knows its version.
const BROKEN: &str = "#!/bin/sh\n[ \"$1\" = --version ] && exec /root/kubelet --version\nexit 1\n";

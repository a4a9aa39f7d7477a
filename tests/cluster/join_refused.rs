//! What `join` refuses on a real host, each with its own words and exit code, and with nothing written.

use crate::fault::assert_fails;
use crate::lab;
use crate::lab::Host;
use crate::running;
use crate::running::Running;
use std::time::Duration;

const CONFIGURATION: i32 = 3;
const PREFLIGHT: i32 = 4;
const PKI: i32 = 5;
const API: i32 = 7;

/// Nobody's, and well formed.
const OTHER_KEY: &str = "9555b74008f24687eb964bd90a164ecb5760a89481d9c55a77c129b7db438168";
const OTHER_PIN: &str = "sha256:68d9b6dce25370a36e0f672f1b96726202f61f8008131a107f5e15d034e96a2e";

/// What is so of every lab host.
const IGNORED: &str = "--ignore-preflight-errors SystemVerification";

/// All that a join would write, with the time of the last change of each.
const SNAPSHOT: &str = "find /etc/kubernetes /var/lib/kubelet /var/lib/kubewright /var/lib/etcd /etc/cni /run/kubernetes \
                        -printf '%p %M %U:%G %s %T@ %C@\\n' 2>/dev/null | sort";

/// A join that is refused: what is wrong, its flags, the exit code and the words for it.
struct Case {
    what: &'static str,
    flags: String,
    code: i32,
    says: &'static [&'static str],
}

fn case(what: &'static str, flags: impl Into<String>, code: i32, says: &'static [&'static str]) -> Case {
    Case { what, flags: flags.into(), code, says }
}

/// The flags of a good join, to be spoilt.
struct Flags<'a>(&'a Running);

fn flags(endpoint: &str, token: &str, pin: &str, more: &str) -> String {
    format!("{endpoint} --token {token} --discovery-token-ca-cert-hash {pin} {more}")
}

impl Flags<'_> {
    fn token(&self, token: &str) -> String {
        flags(&self.0.endpoint, token, &self.0.pin, "")
    }

    fn pin(&self, pin: &str) -> String {
        flags(&self.0.endpoint, &self.0.token, pin, "")
    }

    fn more(&self, more: &str) -> String {
        flags(&self.0.endpoint, &self.0.token, &self.0.pin, &format!("{IGNORED} {more}"))
    }

    fn key(&self, key: &str) -> String {
        self.more(&format!("--control-plane --certificate-key {key}"))
    }
}

fn typed_wrong(cluster: &Running) -> Vec<Case> {
    let flags = Flags(cluster);
    let (id, secret) = cluster.token.split_once('.').unwrap();
    let endpoint = |endpoint: &str| self::flags(endpoint, &cluster.token, &cluster.pin, "");
    vec![
        case(
            "a malformed token",
            flags.token(&format!("{id}.{}", &secret[1..])),
            CONFIGURATION,
            &["--token"],
        ),
        case("a malformed pin", flags.pin("sha256:12"), CONFIGURATION, &["--discovery-token-ca-cert-hash"]),
        case(
            "a malformed certificate key",
            flags.key(&cluster.key[1..]),
            CONFIGURATION,
            &["--certificate-key", "64 hex"],
        ),
        case(
            "a URL for an endpoint",
            endpoint("https://10.77.0.51:6443"),
            CONFIGURATION,
            &["https://10.77.0.51:6443"],
        ),
        case(
            "a control plane without a certificate key",
            flags.more("--control-plane"),
            PKI,
            &["no certificate key was given", "/etc/kubernetes/pki/ca.crt"],
        ),
        case("a wrong pin", flags.pin(OTHER_PIN), API, &["is not the expected one", OTHER_PIN]),
        case(
            "an unknown token",
            flags.token("zzzzzz.0123456789abcdef"),
            API,
            &["does not know the token `zzzzzz`"],
        ),
        case(
            "a wrong secret half",
            flags.token(&format!("{id}.0123456789abcdef")),
            API,
            &["does not verify", "secret half of the token is wrong"],
        ),
        case(
            "a wrong certificate key",
            flags.key(OTHER_KEY),
            PKI,
            &["nothing in the Secret kubeadm-certs can be decrypted"],
        ),
        case(
            "the name of a node that is Ready",
            flags.more("--node-name kwt-f1"),
            PREFLIGHT,
            &["a Node with name \"kwt-f1\" and status \"Ready\" already exists"],
        ),
        case(
            "an endpoint that is no API server",
            endpoint("10.77.0.51:22"),
            API,
            &["10.77.0.51:22", "does not speak TLS"],
        ),
        case(
            "an endpoint where nobody listens",
            "--config closed.yaml",
            API,
            &["10.77.0.51:6444 refuses the connection"],
        ),
        case("an endpoint that is not there", "--config nobody.yaml", API, &["10.77.0.250:6443"]),
    ]
}

/// Discovery files that are written to the host before.
fn broken_files(cluster: &Running, host: &Host) -> Vec<Case> {
    let good = cluster.first.ok("cat /etc/kubernetes/admin.conf");
    let authority = good.lines().find(|line| line.contains("certificate-authority-data")).unwrap();
    let (mut ours, theirs) =
        (good.clone(), cluster.first.ok("base64 -w0 /etc/kubernetes/pki/front-proxy-ca.crt"));
    ours = ours.replace(authority, &format!("    certificate-authority-data: {theirs}"));
    let users = good.split_once("users:").unwrap().0;
    for (name, text) in [
        ("cut.conf", &good[..good.len() / 3]),
        ("tabs.conf", "\tapiVersion: v1\n"),
        ("http.conf", &good.replace("https://", "http://")),
        ("nobody.conf", users),
        ("other-ca.conf", ours.as_str()),
    ] {
        host.write(&format!("/root/{name}"), text);
    }
    let file = |name: &str| format!("--discovery-file /root/{name}");
    vec![
        case(
            "a file that is not there",
            file("gone.conf"),
            CONFIGURATION,
            &["/root/gone.conf does not exist"],
        ),
        case("half a file", file("cut.conf"), CONFIGURATION, &["/root/cut.conf"]),
        case(
            "a file that is no YAML",
            file("tabs.conf"),
            CONFIGURATION,
            &["/root/tabs.conf is not a kubeconfig"],
        ),
        case("a file for http", file("http.conf"), CONFIGURATION, &["is not an https URL"]),
        case("a file without a user", file("nobody.conf"), CONFIGURATION, &["has no credentials"]),
        case("a file with another CA", file("other-ca.conf"), API, &["is not signed by"]),
    ]
}

/// Tries all of them before it complains.
fn all_refused(host: &Host, cases: &[Case], secrets: &[&str]) {
    let mut flaws = Vec::new();
    for Case { what, flags, code, says } in cases {
        let before = host.ok(SNAPSHOT);
        let refused = host.run(&format!("kubewright join {flags}"));
        let said = refused.text();
        let mut flaw = |text: String| flaws.push(format!("{what}: {text}:\n{said}"));
        if refused.code != *code {
            flaw(format!("exit code {} instead of {code}", refused.code));
        }
        says.iter().filter(|part| !said.contains(**part)).for_each(|part| flaw(format!("no `{part}`")));
        if said.contains("panicked") || !said.contains("hint: ") && *code != PREFLIGHT {
            flaw("no help".to_owned());
        }
        if secrets.iter().any(|secret| said.contains(secret)) {
            flaw("shows a secret".to_owned());
        }
        if host.ok(SNAPSHOT) != before {
            flaw("something was written".to_owned());
        }
    }
    assert!(flaws.is_empty(), "{}", flaws.join("\n\n"));
}

#[test]
fn what_cannot_be_used_is_refused_and_nothing_is_written() {
    if !lab::available("what_cannot_be_used_is_refused_and_nothing_is_written") {
        return;
    }
    let _turn = running::TURN.take();
    let (cluster, host) = running::with_joiner();
    let impatient = cluster.join(false, "timeouts: {discovery: 3s}\n");
    host.write("/root/closed.yaml", &impatient.replace("10.77.0.51:6443", "10.77.0.51:6444"));
    host.write("/root/nobody.yaml", &impatient.replace("10.77.0.51:6443", "10.77.0.250:6443"));
    let secret = cluster.token.split_once('.').unwrap().1;
    let secrets = [&secret[1..], "0123456789abcdef", &cluster.key[1..], OTHER_KEY];
    cluster.first.until(Duration::from_mins(2), "kubectl --kubeconfig /etc/kubernetes/admin.conf wait --for=condition=Ready node/kwt-f1 --timeout=60s");
    all_refused(&host, &typed_wrong(&cluster), &secrets);
    all_refused(&host, &broken_files(&cluster, &host), &secrets);
    all_refused(&host, &tampered(&cluster), &secrets);
    one_that_has_joined_joins_no_other(&cluster, &host);
}

/// The cluster's own objects, changed by somebody who may.
fn tampered(cluster: &Running) -> Vec<Case> {
    let kubectl = |args: &str| cluster.first.kubectl(args);
    let flags = Flags(cluster);
    // The same bytes in another order.
    let value = kubectl("-n kube-system get secret kubeadm-certs -o 'jsonpath={.data.ca\\.key}'");
    let mut bytes: Vec<char> = value.trim().chars().collect();
    bytes[40..60].reverse();
    let changed: String = bytes.into_iter().collect();
    kubectl(&format!(
        "-n kube-system patch secret kubeadm-certs -p '{{\"data\":{{\"ca.key\":\"{changed}\"}}}}'"
    ));
    // A signature that another token made, which nobody puts right.
    kubectl(
        "-n kube-system create secret generic bootstrap-token-others --type bootstrap.kubernetes.io/token \
             --from-literal token-id=others --from-literal token-secret=fedcba9876543210 \
             --from-literal usage-bootstrap-signing=true",
    );
    let signed = "kubectl --kubeconfig /etc/kubernetes/admin.conf -n kube-public get configmap cluster-info -o jsonpath={.data.jws-kubeconfig-others} | grep .";
    let signature = cluster.first.until(Duration::from_mins(1), signed);
    cluster.first.ok("mv /etc/kubernetes/manifests/kube-controller-manager.yaml /root/");
    cluster.first.until(Duration::from_mins(2), "! pgrep -f ^kube-controller-manager >/dev/null");
    let id = cluster.token.split_once('.').unwrap().0;
    let spare = "spare1.0123456789abcdef";
    kubectl(&format!(
        "-n kube-public patch configmap cluster-info -p '{{\"data\":{{\"jws-kubeconfig-spare1\":\"{}\"}}}}'",
        signature.trim()
    ));
    assert_ne!(id, "spare1");
    vec![
        case(
            "a Secret that was tampered with",
            flags.key(&cluster.key),
            PKI,
            &["was tampered with: ca.key cannot be decrypted"],
        ),
        case("a signature of another token", flags.token(spare), API, &["`spare1` does not verify"]),
    ]
}

fn one_that_has_joined_joins_no_other(cluster: &Running, host: &Host) {
    cluster.first.ok("mv /root/kube-controller-manager.yaml /etc/kubernetes/manifests/");
    let flags = Flags(cluster).more("");
    host.ok(&format!("kubewright join {flags}"));
    let kept = "find /etc/kubernetes /var/lib/kubewright /var/lib/kubelet/config.yaml -type f -exec sha256sum {} + | sort";
    let before = host.ok(kept);
    let other = self::flags(
        "10.77.0.250:6443",
        "zzzzzz.0123456789abcdef",
        OTHER_PIN,
        "--ignore-preflight-errors all",
    );
    let refused = host.run(&format!("kubewright join {other}"));
    assert_fails(
        &refused,
        PREFLIGHT,
        &[
            "has joined the cluster at https://10.77.0.51:6443 before",
            OTHER_PIN,
            &cluster.pin,
            "kubewright reset",
        ],
    );
    assert_eq!(host.ok(kept), before);
    let again = host.run(&format!("kubewright join {flags}"));
    assert!(again.code == 0 && again.stderr.contains(": 0 changed, "), "{}", again.text());
}

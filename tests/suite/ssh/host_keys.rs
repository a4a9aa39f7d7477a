//! Whether the host is the one that it should be.

use crate::ssh::server::Server;
use crate::ssh::server::Setup;
use crate::ssh::server::fingerprint;
use crate::ssh::server::make_key;
use crate::ssh::server::ok;
use crate::ssh::server::public;
use kubewright::cluster::site::HostKeyChecking;
use kubewright::host::Command;
use kubewright::host::Host;
use kubewright::host::ssh::SshError;
use kubewright::host::ssh::Trouble;
use std::fs;

const ALL: Setup = Setup { host_keys: &["ed25519", "ecdsa", "rsa"], lines: String::new() };

fn refused(server: &Server) -> SshError {
    server.connect_with(|_, _| {}).map(drop).unwrap_err()
}

#[test]
fn a_host_known_by_one_kind_of_key_is_asked_for_that_kind() {
    let Some(server) = Server::with("a_host_known_by_one_kind_of_key_is_asked_for_that_kind", &ALL) else {
        return;
    };
    for kind in ALL.host_keys {
        server.know(&[kind]);
        assert!(server.connect().run(&Command::query("true")).unwrap().success(), "{kind}");
    }
}

#[test]
fn a_host_that_nobody_knows_is_refused_with_what_to_do() {
    let Some(server) = Server::start("a_host_that_nobody_knows_is_refused_with_what_to_do") else { return };
    let shown = fingerprint(&server.path("host_ed25519"));
    for known in ["", "other.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFake\n"] {
        fs::write(server.path("known_hosts"), known).unwrap();
        let error = refused(&server);
        assert_eq!(error.trouble, Trouble::HostKeyUnknown, "{error}");
        let hint = error.hint.clone().unwrap();
        assert!(error.message.contains(&shown) && hint.contains(&format!("hostKey: {shown}")), "{error}");
        assert_eq!(fs::read_to_string(server.path("known_hosts")).unwrap(), known);
    }
    fs::remove_file(server.path("known_hosts")).unwrap();
    assert_eq!(refused(&server).trouble, Trouble::HostKeyUnknown);
    assert!(!server.log().contains("Accepted"), "nobody logged in: {}", server.log());
}

#[test]
fn a_new_host_is_accepted_and_remembered_on_request_only() {
    let Some(server) = Server::start("a_new_host_is_accepted_and_remembered_on_request_only") else { return };
    fs::write(server.path("known_hosts"), "# mine\n").unwrap();
    let accept = |server: &Server| {
        server.connect_with(|access, _| access.host_key_checking = Some(HostKeyChecking::AcceptNew))
    };
    accept(&server).unwrap();
    let text = fs::read_to_string(server.path("known_hosts")).unwrap();
    let key = public(&server.path("host_ed25519"));
    let key = key.rsplit_once(" a test").unwrap().0;
    assert_eq!(text, format!("# mine\n[127.0.0.1]:{} {key}\n", server.port));
    server.connect();
    // Another key than before is never accepted.
    make_key(&server.path("other"), "ed25519", "");
    let other = format!("[127.0.0.1]:{} {}\n", server.port, public(&server.path("other")));
    fs::write(server.path("known_hosts"), &other).unwrap();
    let error = accept(&server).map(drop).unwrap_err();
    assert_eq!(error.trouble, Trouble::HostKeyChanged);
    assert_eq!(fs::read_to_string(server.path("known_hosts")).unwrap(), other);
}

#[test]
fn a_changed_key_is_told_with_both_keys_the_line_and_the_way_out() {
    let Some(server) = Server::start("a_changed_key_is_told_with_both_keys_the_line_and_the_way_out") else {
        return;
    };
    make_key(&server.path("other"), "ed25519", "");
    let line = format!("# first\n[127.0.0.1]:{} {}\n", server.port, public(&server.path("other")));
    fs::write(server.path("known_hosts"), line).unwrap();
    let error = refused(&server);
    assert_eq!(error.trouble, Trouble::HostKeyChanged);
    let file = server.path("known_hosts").display().to_string();
    for part in [
        fingerprint(&server.path("host_ed25519")),
        fingerprint(&server.path("other")),
        format!("{file}:2"),
        format!("ssh-keygen -R '[127.0.0.1]:{}' -f {file}", server.port),
    ] {
        assert!(error.to_string().contains(&part), "{part}: {error}");
    }
    // The way out works.
    ok("ssh-keygen", &["-R", &format!("[127.0.0.1]:{}", server.port), "-f", &file]);
    assert_eq!(refused(&server).trouble, Trouble::HostKeyUnknown);
    // Known by a kind that the host has no longer: changed as well, and no failure to agree.
    make_key(&server.path("ecdsa"), "ecdsa", "");
    let line = format!("[127.0.0.1]:{} {}\n", server.port, public(&server.path("ecdsa")));
    fs::write(server.path("known_hosts"), line).unwrap();
    assert_eq!(refused(&server).trouble, Trouble::HostKeyChanged);
}

#[test]
fn revoked_hashed_and_certified_lines_are_understood() {
    let Some(server) = Server::start("revoked_hashed_and_certified_lines_are_understood") else { return };
    let file = server.path("known_hosts");
    ok("ssh-keygen", &["-H", "-f", file.to_str().unwrap()]);
    let hashed = fs::read_to_string(&file).unwrap();
    assert!(hashed.starts_with("|1|"), "{hashed}");
    server.connect();
    let key = public(&server.path("host_ed25519"));
    fs::write(&file, format!("{hashed}@revoked * {key}\n")).unwrap();
    let error = refused(&server);
    assert_eq!(error.trouble, Trouble::HostKeyRevoked);
    assert!(error.message.contains("known_hosts:2"), "{error}");
    // Pinning does not help a revoked key.
    let pin = fingerprint(&server.path("host_ed25519"));
    let pinned = server.connect_with(|access, _| access.host_keys = vec![pin]).map(drop).unwrap_err();
    assert_eq!(pinned.trouble, Trouble::HostKeyRevoked);
    fs::write(&file, format!("@cert-authority * {key}\n")).unwrap();
    let error = refused(&server);
    assert_eq!(error.trouble, Trouble::HostKeyUnknown);
    assert!(error.message.contains("certificate authority"), "{error}");
}

#[test]
fn a_host_with_a_certificate_shows_its_plain_key() {
    let test = "a_host_with_a_certificate_shows_its_plain_key";
    let Some(server) = Server::with_lines(test, "HostCertificate @DIR@/host_ed25519-cert.pub") else {
        return;
    };
    make_key(&server.path("authority"), "ed25519", "");
    let (authority, host) = (server.path("authority"), server.path("host_ed25519.pub"));
    let args = ["-q", "-s", authority.to_str().unwrap(), "-I", "box", "-h", "-n", "127.0.0.1"];
    ok("ssh-keygen", &[&args[..], &[host.to_str().unwrap()]].concat());
    let mut server = server;
    server.kill();
    server.restart();
    server.connect();
    let shown = server.log();
    assert!(shown.contains("Accepted publickey"), "{shown}");
}

#[test]
fn pinned_fingerprints_are_all_that_counts() {
    let Some(server) = Server::with("pinned_fingerprints_are_all_that_counts", &ALL) else { return };
    fs::remove_file(server.path("known_hosts")).unwrap();
    let pinned = |pins: &[String]| server.connect_with(|access, _| access.host_keys = pins.to_vec());
    for kind in ALL.host_keys {
        pinned(&[fingerprint(&server.path(&format!("host_{kind}")))]).unwrap();
    }
    let wrong = fingerprint(&server.path("client"));
    let error = pinned(std::slice::from_ref(&wrong)).map(drop).unwrap_err();
    assert_eq!(error.trouble, Trouble::HostKeyChanged);
    assert!(error.message.contains(&wrong), "{error}");
    assert!(error.message.contains(&fingerprint(&server.path("host_ed25519"))), "{error}");
    pinned(&[wrong, fingerprint(&server.path("host_rsa"))]).unwrap();
    // The right entry among the known hosts does not outweigh a wrong pin.
    server.know(ALL.host_keys);
    assert!(pinned(&[fingerprint(&server.path("client"))]).is_err());
}

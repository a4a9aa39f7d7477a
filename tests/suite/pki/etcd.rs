//! A real etcd of three members over minted certificates, and what it refuses.
#![expect(clippy::disallowed_methods, reason = "tests wait for etcd")]

use super::fixture;
use super::real_etcd::Etcd;
use super::real_etcd::LIMIT;
use super::real_etcd::NAMES;
use super::real_etcd::binary;
use crate::skip::skip;
use kubewright::clock::Clock;
use kubewright::clock::Manual;
use kubewright::cluster::Layout;
use kubewright::cluster::kubeadm::ExternalEtcd;
use kubewright::facts::etcd::versions;
use kubewright::host::Local;
use std::thread;
use std::time::Duration;
use std::time::Instant;

#[test]
fn three_members_form_and_each_chain_refuses_the_other() {
    let Some(binary) = binary() else {
        skip(
            "three_members_form_and_each_chain_refuses_the_other",
            "no etcd in PATH, nor in the directory that KUBEWRIGHT_TEST_KUBE names",
        );
        return;
    };
    let etcd = Etcd::start(&binary, |_| "etcd/peer");
    etcd.wait_until_healthy(&[0, 1, 2]);
    let (client, peer) = (etcd.client_ports[0], etcd.peer_ports[1]);
    let api = etcd.get(client, "etcd/ca", "apiserver-etcd-client", "/version").unwrap();
    assert!(api.contains("200 OK"), "{api}");
    let members = etcd.get(peer, "etcd/peer-ca", "etcd/peer", "/members").unwrap();
    assert!(NAMES.iter().all(|name| members.contains(name)), "{members}");
    for (port, authority, base) in [
        (client, "etcd/ca", "etcd/peer"),
        (client, "etcd/ca", "front-proxy-client"),
        (client, "etcd/ca", "apiserver-kubelet-client"),
        (peer, "etcd/peer-ca", "etcd/healthcheck-client"),
        (peer, "etcd/peer-ca", "etcd/server"),
    ] {
        etcd.wait_until_refused(if port == client { "e1" } else { "e2" }, authority, base, port);
    }
}

#[test]
fn an_external_etcd_is_asked_for_its_version() {
    let Some(binary) = binary() else {
        skip(
            "an_external_etcd_is_asked_for_its_version",
            "no etcd in PATH, nor in the directory that KUBEWRIGHT_TEST_KUBE names",
        );
        return;
    };
    let etcd = Etcd::start(&binary, |_| "etcd/peer");
    etcd.wait_until_healthy(&[0, 1, 2]);
    let endpoint = format!("https://127.0.0.1:{}", etcd.client_ports[0]);
    let asked = |authority: &str, base: &str| {
        let path = |file: String| etcd.pki(NAMES[0]).join(file).to_str().unwrap().to_owned();
        let mut cluster = fixture::cluster(Layout::Five, 1);
        cluster.configuration.etcd.external = Some(ExternalEtcd {
            endpoints: vec![endpoint.clone()],
            http_endpoints: Vec::new(),
            ca_file: path(format!("{authority}.crt")),
            cert_file: path(format!("{base}.crt")),
            key_file: path(format!("{base}.key")),
        });
        let clock = Manual::new(fixture::now());
        let mut found = versions(&Local::new("here"), &cluster, &clock);
        (found.remove(&format!("{endpoint}/version")).unwrap(), clock.monotonic())
    };
    let (answer, waited) = asked("etcd/ca", "apiserver-etcd-client");
    assert!(answer.unwrap().contains("\"etcdserver\":\"3."));
    assert_eq!(waited, Duration::ZERO);
    // A client of another chain, a server of another authority, and no such file.
    for (authority, base, tries, why) in [
        ("etcd/ca", "etcd/peer", 3, ""),
        ("etcd/peer-ca", "apiserver-etcd-client", 3, "certificate"),
        ("etcd/ca", "nobody", 1, "does not exist"),
    ] {
        let (answer, waited) = asked(authority, base);
        let error = answer.unwrap_err();
        assert!(error.contains(why), "{base}: {error}");
        assert_eq!(waited, Duration::from_secs(5) * (tries - 1), "{base}: {error}");
    }
}

#[test]
fn a_member_that_shows_its_peers_a_client_certificate_stays_out() {
    let Some(binary) = binary() else {
        skip(
            "a_member_that_shows_its_peers_a_client_certificate_stays_out",
            "no etcd in PATH, nor in the directory that KUBEWRIGHT_TEST_KUBE names",
        );
        return;
    };
    let etcd =
        Etcd::start(&binary, |name| if name == "e3" { "etcd/healthcheck-client" } else { "etcd/peer" });
    etcd.wait_until_healthy(&[0, 1]);
    let start = Instant::now();
    let refused = |name| etcd.log(name).contains("rejected connection");
    while !(refused("e1") || refused("e2")) {
        assert!(start.elapsed() < LIMIT, "nobody refused it:\n{}", etcd.log("e1"));
        thread::sleep(Duration::from_millis(100));
    }
    assert!(!etcd.healthy(2), "{}", etcd.log("e3"));
}

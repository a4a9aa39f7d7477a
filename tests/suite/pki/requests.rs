//! Signing requests and expiry, compared with kubeadm's.
#![expect(clippy::disallowed_methods, reason = "files for openssl, golden files")]

use super::fixture;
use crate::skip::skip;
use kubewright::cluster::Layout;
use kubewright::cluster::kubeadm::ExternalEtcd;
use kubewright::pki::FileState;
use kubewright::pki::Minting;
use kubewright::pki::csr;
use kubewright::pki::expiry;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn requests(existing: &[&str]) -> Result<Vec<csr::CsrFile>, csr::CsrError> {
    let mut cluster = fixture::cluster(Layout::Kubeadm, 1);
    // Requests are made for etcd's certificates even then.
    cluster.configuration.etcd.external = Some(ExternalEtcd::default());
    let existing: BTreeSet<String> = existing.iter().map(|path| (*path).to_owned()).collect();
    let minting = Minting::new(&cluster.configuration, fixture::now());
    csr::generate(&cluster, &cluster.nodes[0], "/etc/kubernetes", &existing, &minting)
}

#[test]
fn requests_name_the_subject_and_nothing_more() {
    let directory = tempfile::tempdir().unwrap();
    let files = requests(&[]).unwrap();
    assert_eq!(files.len(), 24);
    assert!(files.iter().all(|file| file.mode == 0o600));
    for file in &files {
        fixture::put(&directory.path().join(file.path.trim_start_matches('/')), &file.content);
    }
    for (path, subject, names) in [
        ("/etc/kubernetes/kubelet.conf.csr", "O = system:nodes, CN = system:node:cp1", None),
        ("/etc/kubernetes/super-admin.conf.csr", "O = system:masters, CN = kubernetes-super-admin", None),
        (
            "/etc/kubernetes/pki/apiserver.csr",
            "CN = kube-apiserver",
            Some("DNS:kubernetes.default.svc.cluster.local, IP Address:10.96.0.1, IP Address:192.0.2.10"),
        ),
        (
            "/etc/kubernetes/pki/etcd/server.csr",
            "CN = cp1",
            Some("DNS:cp1, DNS:localhost, IP Address:192.0.2.10"),
        ),
    ] {
        let path = directory.path().join(path.trim_start_matches('/'));
        let text = fixture::openssl_ok(&["req", "-in", path.to_str().unwrap(), "-noout", "-text", "-verify"]);
        assert!(text.contains(&format!("Subject: {subject}\n")), "{text}");
        assert_eq!(text.contains("Subject Alternative Name"), names.is_some(), "{text}");
        assert!(names.is_none_or(|names| text.contains(names)), "{text}");
        assert!(!text.contains("Key Usage"), "{text}");
    }
    // The request belongs to the key beside it.
    let [key, request] =
        ["key", "csr"].map(|ending| directory.path().join(format!("etc/kubernetes/pki/apiserver.{ending}")));
    let of_key = fixture::openssl_ok(&["pkey", "-in", key.to_str().unwrap(), "-pubout"]);
    assert_eq!(of_key, fixture::openssl_ok(&["req", "-in", request.to_str().unwrap(), "-noout", "-pubkey"]));
}

#[test]
fn the_same_files_as_kubeadm_makes() {
    let Some(golden) = fixture::golden_directory() else {
        skip(
            "the_same_files_as_kubeadm_makes",
            "no golden outputs of kubeadm here; KUBEWRIGHT_GOLDEN names their directory",
        );
        return;
    };
    let text = fs::read_to_string(golden.join("certs-commands/generate-csr.txt")).unwrap();
    let expected: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("600 ")).collect();
    let files = requests(&[]).unwrap();
    assert_eq!(files.iter().map(|file| file.path.as_str()).collect::<BTreeSet<_>>(), expected);
    let admin = files.iter().find(|file| file.path.ends_with("/admin.conf")).unwrap();
    let found = String::from_utf8(admin.content.to_vec()).unwrap();
    let masked: String = found
        .lines()
        .map(|line| match line.split_once("client-key-data: ") {
            Some((indent, _)) => format!("{indent}client-key-data: <CLIENT_KEY_DATA>\n"),
            None => format!("{line}\n"),
        })
        .collect();
    assert_eq!(masked, fs::read_to_string(golden.join("certs-commands/generate-csr-admin.conf")).unwrap());
}

#[test]
fn an_existing_target_is_never_overwritten() {
    let error = requests(&["/etc/kubernetes/pki/apiserver.csr", "/unrelated"]).unwrap_err().to_string();
    assert!(error.starts_with("file already exists: /etc/kubernetes/pki/apiserver.csr;"), "{error}");
}

#[test]
fn expiry_lists_what_kubeadm_lists() {
    for (layout, authorities) in [
        (Layout::Kubeadm, &["ca", "etcd-ca", "front-proxy-ca"][..]),
        (Layout::Five, &["ca", "etcd-ca", "etcd-peer-ca", "front-proxy-ca", "kubelet-ca"]),
    ] {
        let cluster = fixture::cluster(layout, 1);
        let bundle = fixture::mint(&cluster);
        let mut found = fixture::inventory(&cluster, &bundle, "cp1");
        let now = fixture::now();
        let report = expiry::check(&cluster, &cluster.nodes[0], &found, now).unwrap();
        let names = |rows: &[expiry::Row]| rows.iter().map(|row| row.name).collect::<Vec<_>>();
        assert_eq!(names(&report.authorities), authorities);
        assert_eq!(report.certificates.len(), 11);
        assert!(report.certificates.is_sorted_by_key(|row| row.name));
        assert!(
            report.certificates.iter().all(|row| row.found.as_ref().is_some_and(|found| !found.external))
        );
        let hours = report.certificates[0].found.as_ref().unwrap().residual.whole_hours();
        assert_eq!(hours, 8759);
        // Without the authority's key its certificates are managed elsewhere; without its certificate nothing
        // is sure.
        found.insert("/etc/kubernetes/pki/ca.key", FileState::Absent);
        found.insert("/etc/kubernetes/admin.conf", FileState::Absent);
        let report = expiry::check(&cluster, &cluster.nodes[0], &found, now).unwrap();
        let external = |row: &expiry::Row| row.found.as_ref().map(|found| found.external);
        assert_eq!(external(&report.certificates[0]), None);
        assert_eq!(external(&report.certificates[1]), Some(true));
        assert_eq!(external(&report.certificates[2]), Some(false));
        assert_eq!(external(&report.authorities[0]), Some(true));
        found.insert("/etc/kubernetes/pki/ca.crt", FileState::Absent);
        let error = expiry::check(&cluster, &cluster.nodes[0], &found, now).unwrap_err();
        assert!(error.contains("external CA condition for ca certificate authority"), "{error}");
        let looked = expiry::paths(&cluster, &cluster.nodes[0]);
        assert!(looked.iter().any(|path| Path::new(path) == Path::new("/etc/kubernetes/pki/ca.key")));
    }
}

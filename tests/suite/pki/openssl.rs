//! OpenSSL's opinion of what is made: every leaf fits its own authority and no other.

use super::fixture;
use kubewright::cluster::Cluster;
use kubewright::cluster::Layout;
use kubewright::cluster::Role;
use kubewright::cluster::kubeadm::KeyAlgorithm;
use kubewright::pki::Bundle;
use kubewright::pki::Ca;
use kubewright::pki::CertName;
use kubewright::pki::CertSpec;
use kubewright::pki::Part;
use kubewright::pki::spec;
use std::path::Path;
use std::path::PathBuf;

fn put_leaf(bundle: &Bundle, spec: &CertSpec, directory: &Path) -> PathBuf {
    let path = directory.join(format!("{}-{}.pem", spec.node, spec.name));
    fixture::put(&path, &bundle.part(&spec.node, spec.name, Part::Certificate).unwrap());
    path
}

fn verify(authority: &Path, leaf: &Path) -> bool {
    let (authority, leaf) = (authority.to_str().unwrap(), leaf.to_str().unwrap());
    fixture::openssl(&[
        "verify",
        "-x509_strict",
        "-purpose",
        "any",
        "-no-CApath",
        "-no-CAstore",
        "-CAfile",
        authority,
        leaf,
    ])
    .status
    .success()
}

/// Accepted under its own authority, refused under each other one.
fn check_matrix(cluster: &Cluster, bundle: &Bundle, authorities: &[Ca]) -> usize {
    let directory = tempfile::tempdir().unwrap();
    let mut checked = 0;
    for ca in authorities {
        let bytes = bundle.part("", CertName::Ca(*ca), Part::Certificate).unwrap();
        fixture::put(&directory.path().join(CertName::Ca(*ca).as_str()), &bytes);
    }
    for spec in spec::all_specs(cluster).iter().filter(|spec| spec.signer.is_some()) {
        let leaf = put_leaf(bundle, spec, directory.path());
        for ca in authorities {
            let authority = directory.path().join(CertName::Ca(*ca).as_str());
            let own = spec.signer == Some(*ca);
            assert_eq!(verify(&authority, &leaf), own, "{} of {} under {ca:?}", spec.name, spec.node);
            checked += 1;
        }
    }
    checked
}

#[test]
fn every_leaf_fits_its_own_authority_and_no_other() {
    let mut five = fixture::cluster(Layout::Five, 1);
    five.nodes.push(fixture::node("w1", "192.0.2.20", Role::Worker));
    // Ten certificates of the control plane's own, five in its kubeconfigs' place, two of the worker.
    assert_eq!(check_matrix(&five, &fixture::mint(&five), &Ca::ALL), (7 + 1 + 5 + 2) * 5);
    let kubeadm = fixture::cluster(Layout::Kubeadm, 1);
    let three = [Ca::Kubernetes, Ca::FrontProxy, Ca::Etcd];
    assert_eq!(check_matrix(&kubeadm, &fixture::mint(&kubeadm), &three), (7 + 5) * 3);
}

#[test]
fn every_algorithm_signs_certificates_that_openssl_accepts() {
    for (algorithm, key, signature) in [
        (KeyAlgorithm::Rsa2048, "(2048 bit)", "sha256WithRSAEncryption"),
        (KeyAlgorithm::Rsa3072, "(3072 bit)", "sha256WithRSAEncryption"),
        (KeyAlgorithm::Rsa4096, "(4096 bit)", "sha256WithRSAEncryption"),
        (KeyAlgorithm::EcdsaP256, "NIST CURVE: P-256", "ecdsa-with-SHA256"),
        (KeyAlgorithm::EcdsaP384, "NIST CURVE: P-384", "ecdsa-with-SHA384"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let mut cluster = fixture::cluster(Layout::Kubeadm, 1);
        cluster.configuration.encryption_algorithm = algorithm;
        let mut specs = spec::all_specs(&cluster);
        specs.retain(|spec| matches!(spec.name, CertName::Ca(Ca::FrontProxy) | CertName::FrontProxyClient));
        let request = kubewright::pki::decide::Request {
            cluster: &cluster,
            specs: &specs,
            inventories: &std::collections::BTreeMap::new(),
            now: fixture::now(),
        };
        let minting = kubewright::pki::Minting::new(&cluster.configuration, fixture::now());
        let decisions = kubewright::pki::decide::decide(&request);
        let bundle =
            Bundle::complete(&specs, decisions, &minting, &mut kubewright::pki::SystemRandom).unwrap();
        for spec in &specs {
            let leaf = put_leaf(&bundle, spec, directory.path());
            let text = fixture::openssl_ok(&["x509", "-noout", "-text", "-in", leaf.to_str().unwrap()]);
            assert!(text.contains(key) && text.contains(signature), "{algorithm:?}: {text}");
            let path = leaf.with_extension("key");
            fixture::put(&path, &bundle.part(&spec.node, spec.name, Part::Key).unwrap());
            let of_key = fixture::openssl_ok(&["pkey", "-check", "-pubout", "-in", path.to_str().unwrap()]);
            let of_leaf = fixture::openssl_ok(&["x509", "-noout", "-pubkey", "-in", leaf.to_str().unwrap()]);
            assert!(of_key.contains(&of_leaf), "{algorithm:?}");
        }
        let authority = directory.path().join("-front-proxy-ca.pem");
        assert!(verify(&authority, &directory.path().join("cp1-front-proxy-client.pem")), "{algorithm:?}");
    }
}

#[test]
fn the_text_of_a_certificate_is_as_expected() {
    let cluster = fixture::cluster(Layout::Five, 1);
    let bundle = fixture::mint(&cluster);
    let directory = tempfile::tempdir().unwrap();
    for (name, expected) in [
        (CertName::Ca(Ca::Kubernetes), &["CA:TRUE", "Certificate Sign", "DNS:kubernetes"][..]),
        (
            CertName::KubeletServing,
            &[
                "Issuer: CN = kubelet-ca",
                "Subject: O = system:nodes, CN = system:node:cp1",
                "CA:FALSE",
                "Digital Signature, Key Encipherment",
                "TLS Web Server Authentication",
                "DNS:cp1, IP Address:192.0.2.10",
            ],
        ),
        (
            CertName::EtcdPeer,
            &[
                "Issuer: CN = etcd-peer-ca",
                "TLS Web Server Authentication, TLS Web Client Authentication",
                "DNS:cp1, DNS:localhost, IP Address:192.0.2.10, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1",
            ],
        ),
        (CertName::SuperAdmin, &["Subject: O = system:masters, CN = kubernetes-super-admin"]),
    ] {
        let specs = spec::all_specs(&cluster);
        let spec = specs.iter().find(|spec| spec.name == name).unwrap();
        let leaf = put_leaf(&bundle, spec, directory.path());
        let text = fixture::openssl_ok(&["x509", "-noout", "-text", "-in", leaf.to_str().unwrap()]);
        for part in expected {
            assert!(text.contains(part), "{name}: no `{part}` in {text}");
        }
        assert!(!text.contains("CRL Sign"), "{name}");
        let has_key_id = text.contains("X509v3 Subject Key Identifier");
        assert_eq!(has_key_id, matches!(name, CertName::Ca(_)), "{name}");
        // PrintableString, where a name's letters allow it.
        let tree = fixture::openssl_ok(&["asn1parse", "-in", leaf.to_str().unwrap()]);
        assert!(tree.contains("PRINTABLESTRING") && !tree.contains("UTF8STRING"), "{name}");
    }
}

//! Keys and authorities that others made: OpenSSL in every encoding, and the real kubeadm.
#![expect(clippy::disallowed_methods, reason = "tests start openssl and kubeadm")]

use super::fixture;
use crate::skip::skip;
use kubewright::cluster::Layout;
use kubewright::pki::Ca;
use kubewright::pki::CertName;
use kubewright::pki::Decision;
use kubewright::pki::FileState;
use kubewright::pki::Inventory;
use kubewright::pki::Part;
use kubewright::pki::key::KeyKind;
use kubewright::pki::load;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Signs with a loaded key and lets openssl verify it with the public half that we name.
fn sign_and_verify(path: &Path, kind: KeyKind) {
    let key = load::private_key(&fs::read(path).unwrap()).unwrap();
    assert_eq!(key.kind(), kind, "{}", path.display());
    let public = path.with_extension("pub");
    fixture::put(&public, key.public_pem().as_bytes());
    let theirs = fixture::openssl_ok(&["pkey", "-in", path.to_str().unwrap(), "-pubout"]);
    assert_eq!(key.public_pem(), theirs);
    let (message, signature) = (path.with_extension("txt"), path.with_extension("sig"));
    fixture::put(&message, b"hello");
    fixture::put(&signature, &key.sign(b"hello").unwrap());
    let digest = match kind {
        KeyKind::Rsa | KeyKind::P256 => "-sha256",
        KeyKind::P384 => "-sha384",
        KeyKind::P521 => "-sha512",
    };
    let [public, message, signature] = [&public, &message, &signature].map(|path| path.to_str().unwrap());
    fixture::openssl_ok(&["dgst", digest, "-verify", public, "-signature", signature, message]);
}

#[test]
fn keys_in_every_encoding_load_and_sign() {
    let directory = tempfile::tempdir().unwrap();
    for (name, command, tag, kind) in [
        ("pkcs1", "genrsa -traditional 2048", "RSA PRIVATE KEY", KeyKind::Rsa),
        ("pkcs8-rsa", "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072", "PRIVATE KEY", KeyKind::Rsa),
        ("sec1", "ecparam -name prime256v1 -genkey", "EC PRIVATE KEY", KeyKind::P256),
        ("sec1-384", "ecparam -name secp384r1 -genkey -noout", "EC PRIVATE KEY", KeyKind::P384),
        ("pkcs8-256", "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256", "PRIVATE KEY", KeyKind::P256),
        ("pkcs8-384", "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384", "PRIVATE KEY", KeyKind::P384),
        ("pkcs8-521", "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521", "PRIVATE KEY", KeyKind::P521),
    ] {
        let path = directory.path().join(format!("{name}.key"));
        let text = fixture::openssl_ok(&command.split(' ').collect::<Vec<_>>());
        assert!(text.contains(&format!("BEGIN {tag}")), "{text}");
        fixture::put(&path, text.as_bytes());
        sign_and_verify(&path, kind);
    }
}

#[test]
fn keys_that_cannot_sign_certificates_are_refused() {
    let ed25519 = fixture::openssl_ok(&["genpkey", "-algorithm", "ED25519"]);
    let error = load::private_key(ed25519.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("no private key of RSA or ECDSA"), "{error}");
    let encrypted = fixture::openssl_ok(&["genpkey", "-algorithm", "RSA", "-aes256", "-pass", "pass:x"]);
    assert_eq!(load::private_key(encrypted.as_bytes()).unwrap_err(), load::LoadError::EncryptedKey);
}

/// An authority of a company: two organisational units, UTF-8, an e-mail address, no DNS name.
fn company_authority(directory: &Path, key: &str) -> (Vec<u8>, Vec<u8>) {
    let [key_path, certificate] = ["foreign.key", "foreign.crt"].map(|name| directory.join(name));
    let [key_text, certificate_text] = [&key_path, &certificate].map(|path| path.to_str().unwrap());
    let mut generate: Vec<&str> = key.split(' ').collect();
    generate.extend(["-out", key_text]);
    fixture::openssl_ok(&generate);
    let subject = "/C=DE/O=Büro GmbH/OU=Security/OU=Platform/CN=Company Root/emailAddress=pki@example.com";
    fixture::openssl_ok(&[
        "req",
        "-x509",
        "-new",
        "-utf8",
        "-sha512",
        "-key",
        key_text,
        "-days",
        "30",
        "-subj",
        subject,
        "-addext",
        "basicConstraints=critical,CA:TRUE",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
        "-out",
        certificate_text,
    ]);
    (fs::read(&certificate).unwrap(), fs::read(&key_path).unwrap())
}

#[test]
fn a_foreign_authoritys_name_is_copied_byte_for_byte() {
    for key in [
        "ecparam -name prime256v1 -genkey -noout",
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521",
        "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072",
    ] {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, private) = company_authority(directory.path(), key);
        let cluster = fixture::cluster(Layout::Five, 1);
        let mut inventory = Inventory::default();
        inventory.insert("/etc/kubernetes/pki/ca.crt", FileState::present(certificate.clone(), 0o644));
        inventory.insert("/etc/kubernetes/pki/ca.key", FileState::present(private, 0o600));
        let decisions = fixture::decide(&cluster, &BTreeMap::from([("cp1".to_owned(), inventory)]));
        assert_eq!(fixture::texts(&decisions.problems), [""; 0]);
        let bundle = fixture::complete(&cluster, decisions);
        let authority = directory.path().join("ca.crt");
        fixture::put(&authority, &bundle.part("", CertName::Ca(Ca::Kubernetes), Part::Certificate).unwrap());
        assert_eq!(fs::read(&authority).unwrap(), certificate);
        for name in [CertName::Apiserver, CertName::Admin] {
            let leaf = directory.path().join("leaf.crt");
            fixture::put(&leaf, &bundle.part("cp1", name, Part::Certificate).unwrap());
            let [authority, leaf] = [&authority, &leaf].map(|path| path.to_str().unwrap());
            fixture::openssl_ok(&["verify", "-x509_strict", "-purpose", "any", "-CAfile", authority, leaf]);
            let certificate = bundle.certificate("cp1", name).unwrap();
            assert!(certificate.is_signed_by(bundle.authority(Ca::Kubernetes).unwrap()), "{key}");
        }
    }
}

#[test]
fn what_the_real_kubeadm_made_is_kept() {
    let Some(program) = fixture::kube_binary("kubeadm") else {
        skip(
            "what_the_real_kubeadm_made_is_kept",
            "no kubeadm; KUBEWRIGHT_TEST_KUBE names a directory with one",
        );
        return;
    };
    for algorithm in ["RSA-2048", "ECDSA-P256", "ECDSA-P384"] {
        let directory = tempfile::tempdir().unwrap();
        let pki = directory.path().join("pki");
        let configuration = directory.path().join("config.yaml");
        let text = kubeadm_configuration(algorithm, &pki);
        fixture::put(&configuration, text.as_bytes());
        kubeadm(&program, &configuration, &["init", "phase", "certs", "all"]);
        let kubeconfig_dir = directory.path().to_str().unwrap();
        let phase = ["init", "phase", "kubeconfig", "all", "--kubeconfig-dir", kubeconfig_dir];
        kubeadm(&program, &configuration, &phase);

        let mut cluster = fixture::cluster(Layout::Kubeadm, 1);
        cluster.configuration.certificates_dir = pki.to_str().unwrap().to_owned();
        let specs = kubewright::pki::spec::all_specs(&cluster);
        let mut inventory = Inventory::default();
        for path in kubewright::pki::inventory::paths(&cluster, &specs) {
            let name = Path::new(&path).file_name().unwrap();
            let in_pki = Path::new(&path).starts_with(&pki);
            let real = if in_pki { path.clone().into() } else { directory.path().join(name) };
            let state = fs::read(real).map_or(FileState::Absent, |bytes| FileState::present(bytes, 0o600));
            inventory.insert(path, state);
        }
        let found = kubewright::pki::inventory::found_layout(&cluster, &inventory);
        assert_eq!(found, Some(Layout::Kubeadm));
        let decisions = fixture::decide(&cluster, &BTreeMap::from([("cp1".to_owned(), inventory)]));
        assert_eq!(fixture::texts(&decisions.problems), [""; 0]);
        assert_eq!(fixture::texts(&decisions.warnings), [""; 0]);
        for spec in &specs {
            let decision = decisions.get(&spec.node, spec.name);
            assert!(matches!(decision, Some(Decision::Existing(_))), "{}: {decision:?}", spec.name);
        }
        // With one leaf taken away, a new one is signed by kubeadm's authority.
        let mut decisions = decisions;
        decisions.by_id.insert(("cp1".to_owned(), CertName::Apiserver), Decision::Mint);
        let bundle = fixture::complete(&cluster, decisions);
        let leaf = directory.path().join("new.crt");
        fixture::put(&leaf, &bundle.part("cp1", CertName::Apiserver, Part::Certificate).unwrap());
        let authority = pki.join("ca.crt");
        let [authority, leaf] = [&authority, &leaf].map(|path| path.to_str().unwrap());
        fixture::openssl_ok(&["verify", "-x509_strict", "-purpose", "any", "-CAfile", authority, leaf]);
    }
}

/// Runs kubeadm with a configuration file and returns what it printed.
fn kubeadm(program: &Path, configuration: &Path, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .args(["--config", configuration.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_real_kubeadm_keeps_what_is_made_here() {
    let Some(program) = fixture::kube_binary("kubeadm") else {
        skip(
            "the_real_kubeadm_keeps_what_is_made_here",
            "no kubeadm; KUBEWRIGHT_TEST_KUBE names a directory with one",
        );
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let mut cluster = fixture::cluster(Layout::Kubeadm, 1);
    let pki = directory.path().join("pki");
    cluster.configuration.certificates_dir = pki.to_str().unwrap().to_owned();
    let configuration = directory.path().join("config.yaml");
    fixture::put(&configuration, kubeadm_configuration("ECDSA-P256", &pki).as_bytes());
    let bundle = fixture::mint(&cluster);
    for (path, content) in fixture::files(&cluster, &bundle, "cp1") {
        let name = Path::new(&path).file_name().unwrap();
        let in_pki = Path::new(&path).starts_with(&pki);
        fixture::put(&if in_pki { path.clone().into() } else { directory.path().join(name) }, &content);
    }
    let kubeconfig_dir = directory.path().to_str().unwrap();
    let mut said = kubeadm(&program, &configuration, &["init", "phase", "certs", "all"]);
    let phase = ["init", "phase", "kubeconfig", "all", "--kubeconfig-dir", kubeconfig_dir];
    said += &kubeadm(&program, &configuration, &phase);
    assert!(!said.contains("Generating") && !said.contains("Writing"), "{said}");
    // What is printed for the operator is what kubeadm prints.
    let inventories = BTreeMap::from([("cp1".to_owned(), fixture::inventory(&cluster, &bundle, "cp1"))]);
    let decisions = fixture::decide(&cluster, &inventories);
    for spec in kubewright::pki::spec::all_specs(&cluster) {
        let message = decisions.get(&spec.node, spec.name).unwrap().message(&spec);
        let message = message.replace("/etc/kubernetes/", &format!("{kubeconfig_dir}/"));
        assert!(said.lines().any(|line| line == message), "no `{message}` in {said}");
    }
    let dates = kubeadm(&program, &configuration, &["certs", "check-expiration"]);
    let now = fixture::now();
    let mut found = fixture::inventory(&cluster, &bundle, "cp1");
    for path in kubewright::pki::expiry::paths(&cluster, &cluster.nodes[0]) {
        // kubeadm looks for kubeconfig files in its fixed place, where there are none.
        if !Path::new(&path).starts_with(&pki) && !Path::new(&path).exists() {
            found.insert(path, FileState::Absent);
        }
    }
    let report = kubewright::pki::expiry::check(&cluster, &cluster.nodes[0], &found, now).unwrap();
    assert_eq!(report.text(), dates);
}

fn kubeadm_configuration(algorithm: &str, pki: &Path) -> String {
    format!(
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n\
         localAPIEndpoint: {{advertiseAddress: 192.0.2.10}}\n\
         nodeRegistration: {{name: cp1, criSocket: \"unix:///run/containerd/containerd.sock\"}}\n---\n\
         apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.36.2\n\
         encryptionAlgorithm: {algorithm}\ncertificatesDir: {}\n",
        pki.display()
    )
}

//! The Secret `kubeadm-certs`, from one control plane to another.

use super::fixture;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kubewright::cluster::Cluster;
use kubewright::cluster::Layout;
use kubewright::cluster::Secret;
use kubewright::cluster::kubeadm::ExternalEtcd;
use kubewright::cluster::kubeadm::KeyAlgorithm;
use kubewright::pki::FileState;
use kubewright::pki::Inventory;
use kubewright::pki::PrivateKey;
use kubewright::pki::SystemRandom;
use kubewright::pki::mint;
use kubewright::pki::mint::Validity;
use kubewright::pki::seal;
use kubewright::pki::shared;
use kubewright::pki::shared::Shared;
use kubewright::pki::shared::SharedError;
use proptest::prelude::*;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use time::macros::datetime;

const KEY: &str = "9555b74008f24687eb964bd90a164ecb5760a89481d9c55a77c129b7db438168";

const KUBEADM: [&str; 8] = [
    "ca.crt",
    "ca.key",
    "etcd-ca.crt",
    "etcd-ca.key",
    "front-proxy-ca.crt",
    "front-proxy-ca.key",
    "sa.key",
    "sa.pub",
];
const FURTHER: [&str; 4] = ["etcd-peer-ca.crt", "etcd-peer-ca.key", "kubelet-ca.crt", "kubelet-ca.key"];

fn key() -> Secret {
    Secret::new(KEY)
}

/// A pair of everything, in clear.
struct Material {
    certificate: String,
    key: String,
    public: String,
}

fn material() -> Material {
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let validity =
        Validity { not_before: datetime!(2026-01-01 0:00 UTC), not_after: datetime!(2036-01-01 0:00 UTC) };
    let certificate = mint::authority("kubernetes", &key, validity, &mut SystemRandom).unwrap();
    Material { certificate: certificate.pem(), key: key.pem().to_owned(), public: key.public_pem() }
}

impl Material {
    fn of(&self, entry: &str) -> &str {
        match entry.rsplit('.').next().unwrap() {
            "crt" => &self.certificate,
            "key" => &self.key,
            _ => &self.public,
        }
    }
}

fn sealed(plain: &str) -> Value {
    json!(STANDARD.encode(seal::seal(&key(), plain.as_bytes(), &mut SystemRandom).unwrap()))
}

fn secret<'a>(material: &Material, entries: impl IntoIterator<Item = &'a str>) -> Value {
    let data: BTreeMap<&str, Value> =
        entries.into_iter().map(|entry| (entry, sealed(material.of(entry)))).collect();
    json!({"kind": "Secret", "metadata": {"name": "kubeadm-certs"}, "data": data})
}

fn five() -> impl Iterator<Item = &'static str> {
    KUBEADM.into_iter().chain(FURTHER)
}

fn cluster() -> Cluster {
    fixture::cluster(Layout::Five, 1)
}

fn external() -> Cluster {
    let mut cluster = cluster();
    cluster.configuration.etcd.external = Some(ExternalEtcd {
        endpoints: vec!["https://10.0.0.1:2379".to_owned()],
        ca_file: "/etc/etcd/ca.crt".to_owned(),
        cert_file: "/etc/etcd/client.crt".to_owned(),
        key_file: "/etc/etcd/client.key".to_owned(),
        ..ExternalEtcd::default()
    });
    cluster
}

fn open(secret: &Value, cluster: &Cluster) -> Result<Shared, SharedError> {
    shared::open(secret, &key(), &cluster.configuration)
}

#[test]
fn both_layouts_are_recognised_and_opened() {
    let material = material();
    for (entries, layout, etcd) in [
        (KUBEADM.to_vec(), Layout::Kubeadm, vec!["etcd/ca.crt", "etcd/ca.key"]),
        (
            five().collect(),
            Layout::Five,
            vec!["etcd/ca.crt", "etcd/ca.key", "etcd/peer-ca.crt", "etcd/peer-ca.key"],
        ),
    ] {
        let shared = open(&secret(&material, entries.iter().copied()), &cluster()).unwrap();
        assert_eq!(shared.layout, layout);
        assert_eq!(shared.files.len(), entries.len());
        let found: Vec<&str> =
            shared.files.keys().filter_map(|path| path.strip_prefix("/etc/kubernetes/pki/")).collect();
        assert_eq!(found.len(), entries.len(), "all below the certificates directory");
        assert!(etcd.iter().all(|file| found.contains(file)), "{found:?}");
        for (path, bytes) in &shared.files {
            assert_eq!(bytes.as_slice(), material.of(path).as_bytes(), "{path}");
        }
        assert!(!format!("{shared:?}").contains("PRIVATE"));
    }
}

#[test]
fn what_was_uploaded_empty_is_left_out() {
    let material = material();
    let mut secret = secret(&material, five());
    secret["data"]["ca.key"] = json!("");
    secret["data"]["kubelet-ca.key"] = Value::Null;
    let shared = open(&secret, &cluster()).unwrap();
    assert_eq!(shared.files.len(), 10);
    assert!(!shared.files.contains_key("/etc/kubernetes/pki/ca.key"));
    assert_eq!(shared.layout, Layout::Five);
}

#[test]
fn an_external_etcd_has_names_of_its_own() {
    let material = material();
    let etcd = ["external-etcd-ca.crt", "external-etcd.crt", "external-etcd.key"];
    let own = KUBEADM.into_iter().filter(|entry| !entry.starts_with("etcd"));
    let shared = open(&secret(&material, own.chain(etcd)), &external()).unwrap();
    assert_eq!(shared.layout, Layout::Kubeadm);
    for path in ["/etc/etcd/ca.crt", "/etc/etcd/client.crt", "/etc/etcd/client.key"] {
        assert!(shared.files.contains_key(path), "{path}");
    }
    let five = KUBEADM.into_iter().chain(["kubelet-ca.crt", "kubelet-ca.key"]);
    let five = five.filter(|entry| !entry.starts_with("etcd"));
    assert_eq!(open(&secret(&material, five.chain(etcd)), &external()).unwrap().layout, Layout::Five);
}

#[test]
fn what_stands_on_the_host_stays() {
    let material = material();
    let shared = open(&secret(&material, KUBEADM), &cluster()).unwrap();
    let mut inventory = Inventory::default();
    let own = FileState::present(*b"another", 0o600);
    inventory.insert("/etc/kubernetes/pki/ca.crt", own.clone());
    inventory.insert("/etc/kubernetes/pki/sa.pub", FileState::present(material.public.as_bytes(), 0o640));
    inventory.insert("/etc/kubernetes/pki/sa.key", FileState::Absent);
    assert_eq!(shared.overlay(&mut inventory), ["/etc/kubernetes/pki/ca.crt"]);
    assert_eq!(inventory.get("/etc/kubernetes/pki/ca.crt"), Some(&own));
    let mode = |file: &str| match inventory.get(&format!("/etc/kubernetes/pki/{file}")) {
        Some(FileState::Present { mode, .. }) => *mode,
        other => panic!("{file}: {other:?}"),
    };
    assert_eq!(
        [mode("sa.pub"), mode("sa.key"), mode("etcd/ca.crt"), mode("etcd/ca.key")],
        [0o640, 0o600, 0o644, 0o600]
    );
}

#[test]
fn what_is_wrong_with_a_secret_is_told_apart() {
    let material = material();
    let good = || secret(&material, five());
    let without = |missing: &[&str]| secret(&material, five().filter(|entry| !missing.contains(entry)));
    let with = |entry: &str, value: Value| {
        let mut secret = good();
        secret["data"][entry] = value;
        secret
    };
    let other_key = KEY.replace('9', "8");
    let mut flipped = STANDARD.decode(good()["data"]["etcd-ca.key"].as_str().unwrap()).unwrap();
    *flipped.last_mut().unwrap() ^= 1;
    let cases = [
        ("a key that is too short", &KEY[..62], good()),
        ("a key that is not hexadecimal", &KEY.replace('9', "x"), good()),
        ("another key", &other_key, good()),
        ("one value was changed", KEY, with("etcd-ca.key", json!(STANDARD.encode(&flipped)))),
        ("two values were changed", KEY, {
            let mut secret = with("etcd-ca.key", json!(STANDARD.encode(&flipped)));
            secret["data"]["sa.key"] = json!(STANDARD.encode("short"));
            secret
        }),
        ("a value is not base64", KEY, with("ca.key", json!("%%%"))),
        ("a value is not text", KEY, with("ca.key", json!(7))),
        ("a value is not PEM", KEY, with("front-proxy-ca.crt", sealed("hello"))),
        ("a certificate where a key belongs", KEY, with("sa.key", sealed(&material.certificate))),
        ("a key where a certificate belongs", KEY, with("ca.crt", sealed(&material.key))),
        ("a certificate where a public key belongs", KEY, with("sa.pub", sealed(&material.certificate))),
        ("entries are missing", KEY, without(&["ca.key", "sa.pub"])),
        ("one of the further authorities is missing", KEY, without(&["kubelet-ca.crt", "kubelet-ca.key"])),
        ("half of a pair is missing", KEY, without(&["etcd-peer-ca.key"])),
        ("no data at all", KEY, json!({"kind": "Secret"})),
    ];
    let mut all = String::new();
    for (name, key, secret) in &cases {
        let opened = shared::open(secret, &Secret::new(*key), &cluster().configuration);
        let error = opened.expect_err(name);
        write!(all, "## {name}\nerror: {error}\nhint: {}\n\n", error.hint()).unwrap();
    }
    assert!(
        !all.contains(KEY)
            && !all.contains(&other_key)
            && !all.contains(material.key.lines().nth(1).unwrap())
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/join/kubeadm-certs.txt");
    if crate::support::text::blessing() {
        write(&path, &all);
    }
    crate::support::text::assert_same(
        "tests/join/kubeadm-certs.txt",
        &crate::support::text::read(&path),
        &all,
    );
}

#[expect(clippy::disallowed_methods, reason = "tests write their own expectations")]
fn write(path: &Path, content: &str) {
    std::fs::write(path, content).unwrap();
}

proptest! {
    #[test]
    fn no_secret_makes_it_panic(key in "[0-9a-fA-Fx]{0,70}", value in ".{0,80}", bytes in any::<Vec<u8>>()) {
        let data: BTreeMap<&str, String> =
            KUBEADM.into_iter().map(|entry| (entry, STANDARD.encode(&bytes))).chain([("sa.pub", value)]).collect();
        let secret = json!({"data": data});
        let _ = shared::open(&secret, &Secret::new(key), &cluster().configuration);
        let _ = open(&secret, &cluster());
        let plain = String::from_utf8_lossy(&bytes);
        let all: BTreeMap<&str, Value> = KUBEADM.into_iter().map(|entry| (entry, sealed(&plain))).collect();
        let _ = open(&json!({"data": all}), &cluster());
    }
}

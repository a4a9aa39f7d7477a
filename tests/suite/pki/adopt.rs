//! What is kept of an existing PKI, what is made, and what is refused and why.

use super::fixture;
use kubewright::cluster::Cluster;
use kubewright::cluster::Layout;
use kubewright::cluster::Role;
use kubewright::pki::Bundle;
use kubewright::pki::Ca;
use kubewright::pki::CertName;
use kubewright::pki::Decision;
use kubewright::pki::FileState;
use kubewright::pki::Inventory;
use kubewright::pki::Part;
use kubewright::pki::SystemRandom;
use kubewright::pki::decide;
use kubewright::pki::spec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::LazyLock;

const PKI: &str = "/etc/kubernetes/pki";
const SERVING: &str = "/var/lib/kubelet/pki/kubelet-server-current.pem";
const CLIENT: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";

/// A finished control plane and the look at it; another PKI to take wrong pieces from.
struct World {
    cluster: Cluster,
    bundle: Bundle,
    other: Bundle,
    found: Inventory,
}

impl World {
    fn new(layout: Layout) -> Self {
        let cluster = fixture::cluster(layout, 1);
        let (bundle, other) = (fixture::mint(&cluster), fixture::mint(&cluster));
        let found = fixture::inventory(&cluster, &bundle, "cp1");
        Self { cluster, bundle, other, found }
    }

    fn decide(&self) -> kubewright::pki::Decisions {
        fixture::decide(&self.cluster, &BTreeMap::from([("cp1".to_owned(), self.found.clone())]))
    }

    fn problems(&self) -> Vec<String> {
        fixture::texts(&self.decide().problems)
    }

    fn warnings(&self) -> Vec<String> {
        fixture::texts(&self.decide().warnings)
    }

    fn put(&mut self, path: &str, bytes: &[u8]) {
        self.found.insert(full(path), FileState::present(bytes, 0o600));
    }

    fn remove(&mut self, paths: &[&str]) {
        for path in paths {
            self.found.insert(full(path), FileState::Absent);
        }
    }

    fn set_mode(&mut self, path: &str, mode: u32) {
        let Some(FileState::Present { bytes, .. }) = self.found.get(&full(path)) else { panic!("no {path}") };
        let bytes = bytes.to_vec();
        self.found.insert(full(path), FileState::present(bytes, mode));
    }

    fn bytes(bundle: &Bundle, name: CertName, part: Part) -> Vec<u8> {
        bundle.part("cp1", name, part).unwrap().to_vec()
    }
}

fn full(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("{PKI}/{path}") }
}

/// Exactly one problem, with all of these words.
fn assert_one(problems: &[String], words: &[&str]) {
    assert_eq!(problems.len(), 1, "{problems:#?}");
    for word in words {
        assert!(problems[0].contains(word), "no `{word}` in `{}`", problems[0]);
    }
}

#[test]
fn everything_that_fits_is_kept_as_it_is() {
    for layout in [Layout::Five, Layout::Kubeadm] {
        let world = World::new(layout);
        let decisions = world.decide();
        assert_eq!(fixture::texts(&decisions.problems), [""; 0]);
        assert_eq!(fixture::texts(&decisions.warnings), [""; 0]);
        let made = decisions.by_id.iter().filter(|(_, decision)| matches!(decision, Decision::Mint)).count();
        assert_eq!(made, 0);
        let again = fixture::complete(&world.cluster, decisions);
        assert_eq!(
            fixture::files(&world.cluster, &again, "cp1"),
            fixture::files(&world.cluster, &world.bundle, "cp1")
        );
        assert_eq!(again.pins(), world.bundle.pins());
        let found_layout = kubewright::pki::inventory::found_layout;
        assert_eq!(found_layout(&world.cluster, &world.found), Some(layout));
        assert_eq!(found_layout(&world.cluster, &Inventory::default()), None);
    }
}

#[test]
fn only_what_is_missing_is_made() {
    let mut world = World::new(Layout::Five);
    world.remove(&["apiserver.crt", "apiserver.key", "/etc/kubernetes/scheduler.conf", SERVING]);
    let decisions = world.decide();
    assert_eq!(fixture::texts(&decisions.problems), [""; 0]);
    let bundle = fixture::complete(&world.cluster, decisions);
    for spec in spec::all_specs(&world.cluster) {
        let expected =
            matches!(spec.name, CertName::Apiserver | CertName::Scheduler | CertName::KubeletServing);
        assert_eq!(bundle.is_new(&spec.node, spec.name), expected, "{}", spec.name);
    }
    let authority = world.bundle.authority(Ca::Kubernetes).unwrap();
    assert!(bundle.certificate("cp1", CertName::Apiserver).unwrap().is_signed_by(authority));
}

#[test]
fn kubeadms_messages_say_what_happens() {
    let mut world = World::new(Layout::Kubeadm);
    world.remove(&["front-proxy-ca.key", "apiserver.crt", "apiserver.key"]);
    let decisions = world.decide();
    let specs = spec::all_specs(&world.cluster);
    for (name, expected) in [
        (CertName::Ca(Ca::Kubernetes), "[certs] Using existing ca certificate authority"),
        (CertName::Ca(Ca::FrontProxy), "[certs] Using existing front-proxy-ca keyless certificate authority"),
        (CertName::EtcdServer, "[certs] Using existing etcd/server certificate and key on disk"),
        (CertName::Apiserver, "[certs] Generating \"apiserver\" certificate and key"),
        (CertName::ServiceAccount, "[certs] Using the existing \"sa\" key"),
        (CertName::Admin, "[kubeconfig] Using existing kubeconfig file: \"/etc/kubernetes/admin.conf\""),
    ] {
        let spec = specs.iter().find(|spec| spec.name == name).unwrap();
        assert_eq!(decisions.get(&spec.node, name).unwrap().message(spec), expected);
    }
    assert!(decisions.is_external(Ca::FrontProxy) && !decisions.is_external(Ca::Kubernetes));
}

#[test]
fn a_damaged_or_lone_file_is_named() {
    type Change = fn(&mut World);
    let cases: [(Change, &[&str]); 14] = [
        (|w| w.remove(&["apiserver.crt"]), &["failure loading apiserver certificate", "cp1: "]),
        (|w| w.remove(&["apiserver.key"]), &["failure loading apiserver key", "restore"]),
        (|w| w.put("etcd/server.crt", b"junk"), &["failure loading etcd/server certificate", "no PEM block"]),
        (|w| w.put("etcd/server.key", b""), &["failure loading etcd/server key", "no PEM block"]),
        (
            |w| {
                w.put("apiserver.crt", b"junk");
                w.remove(&["apiserver.key"]);
            },
            &["failure loading apiserver key", "does not parse"],
        ),
        (|w| w.put("sa.key", b"junk"), &["failure loading sa key"]),
        (|w| w.remove(&["sa.key"]), &["sa.pub exists without sa.key", "void every service-account token"]),
        (
            |w| {
                let other = World::bytes(&w.other, CertName::ServiceAccount, Part::PublicKey);
                w.put("sa.pub", &other);
            },
            &["sa.pub is not the public half of sa.key"],
        ),
        (
            |w| {
                let other = World::bytes(&w.other, CertName::Apiserver, Part::Key);
                w.put("apiserver.key", &other);
            },
            &["the key of apiserver does not belong to its certificate"],
        ),
        (
            |w| {
                let other = World::bytes(&w.other, CertName::Ca(Ca::FrontProxy), Part::Key);
                w.put("front-proxy-ca.key", &other);
            },
            &["the key of front-proxy-ca does not belong to its certificate"],
        ),
        (|w| w.put("front-proxy-ca.key", b"junk"), &["failure loading front-proxy-ca key"]),
        (
            |w| {
                let unreadable = FileState::Unreadable("input/output error".to_owned());
                w.found.insert(full("apiserver.crt"), unreadable);
            },
            &["failure loading apiserver certificate", "input/output error"],
        ),
        (
            |w| w.put("/etc/kubernetes/admin.conf", b"a: ["),
            &["/etc/kubernetes/admin.conf does not load", "not YAML"],
        ),
        (
            |w| {
                let leaf = World::bytes(&w.bundle, CertName::FrontProxyClient, Part::Certificate);
                let key = World::bytes(&w.bundle, CertName::FrontProxyClient, Part::Key);
                w.put("etcd/healthcheck-client.crt", &leaf);
                w.put("etcd/healthcheck-client.key", &key);
            },
            &[
                "[certs] certificate etcd/healthcheck-client not signed by CA certificate etcd/ca",
                "front-proxy-ca signed it",
            ],
        ),
    ];
    for (change, words) in cases {
        let mut world = World::new(Layout::Five);
        change(&mut world);
        assert_one(&world.problems(), words);
    }
}

#[test]
fn all_problems_come_at_once() {
    let mut world = World::new(Layout::Five);
    world.remove(&["apiserver.crt", "etcd/server.key"]);
    world.put("sa.key", b"junk");
    world.set_mode("etcd/peer.key", 0o644);
    assert_eq!(world.problems().len(), 4, "{:#?}", world.problems());
}

#[test]
fn names_that_are_no_longer_covered_are_listed() {
    let mut world = World::new(Layout::Five);
    world.cluster.configuration.api_server.cert_sans =
        vec!["api.example.com".to_owned(), "203.0.113.7".to_owned()];
    assert_one(
        &world.problems(),
        &[
            "certificate apiserver is invalid: it does not cover api.example.com, 203.0.113.7",
            "remove /etc/kubernetes/pki/apiserver.crt and /etc/kubernetes/pki/apiserver.key",
        ],
    );
}

#[test]
fn a_wildcard_covers_one_label() {
    let mut world = World::new(Layout::Five);
    world.cluster.configuration.api_server.cert_sans = vec!["*.apps.example.com".to_owned()];
    world.bundle = fixture::mint(&world.cluster);
    world.found = fixture::inventory(&world.cluster, &world.bundle, "cp1");
    for (name, expected) in [("a.apps.example.com", 0), ("a.b.apps.example.com", 1), ("apps.example.com", 1)]
    {
        world.cluster.configuration.api_server.cert_sans = vec![name.to_owned()];
        assert_eq!(world.problems().len(), expected, "{name}");
    }
}

#[test]
fn an_expired_or_future_authority_is_refused() {
    for (days, words) in [(4000, "expired on"), (-1, "is not valid before")] {
        let world = World::new(Layout::Kubeadm);
        let specs = spec::all_specs(&world.cluster);
        let inventories = BTreeMap::from([("cp1".to_owned(), world.found.clone())]);
        let now = fixture::now() + time::Duration::days(days);
        let request =
            decide::Request { cluster: &world.cluster, specs: &specs, inventories: &inventories, now };
        let problems = fixture::texts(&decide::decide(&request).problems);
        let about = |text: &&String| {
            text.contains("the certificate authority ca cannot be used") && text.contains(words)
        };
        assert_eq!(problems.iter().filter(about).count(), 1, "{problems:#?}");
    }
}

#[test]
fn an_expired_leaf_says_so() {
    let world = World::new(Layout::Kubeadm);
    let specs = spec::all_specs(&world.cluster);
    let inventories = BTreeMap::from([("cp1".to_owned(), world.found.clone())]);
    let now = fixture::now() + time::Duration::days(400);
    let request = decide::Request { cluster: &world.cluster, specs: &specs, inventories: &inventories, now };
    let decisions = decide::decide(&request);
    let problems = fixture::texts(&decisions.problems);
    let expected =
        "[certs] certificate apiserver not signed by CA certificate ca: `CN=kube-apiserver` expired on";
    assert!(problems.iter().any(|text| text.contains(expected)), "{problems:#?}");
    assert_eq!(problems.len(), 7, "{problems:#?}");
    // kubeadm does not look at the certificates inside kubeconfig files.
    assert_eq!(decisions.warnings.iter().filter(|it| it.message.contains("will be refused")).count(), 4);
    // The kubelet's own certificate is simply replaced.
    assert!(matches!(
        decisions.get("cp1", CertName::KubeletClient),
        Some(Decision::Existing(_) | Decision::Mint)
    ));
}

#[test]
fn an_authority_without_its_key_signs_nothing() {
    let mut world = World::new(Layout::Kubeadm);
    world.remove(&["ca.key"]);
    assert_eq!(world.problems(), [""; 0]);
    world.remove(&[
        "apiserver-kubelet-client.crt",
        "apiserver-kubelet-client.key",
        "/etc/kubernetes/scheduler.conf",
    ]);
    let problems = world.problems();
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert!(
        problems[0].contains("invalid or incomplete external CA: apiserver-kubelet-client"),
        "{problems:#?}"
    );
    assert!(
        problems[1].contains("the /etc/kubernetes/scheduler.conf file does not exists or it is not valid")
    );
    let mut world = World::new(Layout::Kubeadm);
    world.remove(&["front-proxy-ca.key", "front-proxy-client.crt", "front-proxy-client.key"]);
    assert_one(&world.problems(), &["invalid or incomplete external front-proxy CA", "certs generate-csr"]);
}

#[test]
fn an_external_authority_leaves_the_service_account_key_to_the_operator() {
    let mut world = World::new(Layout::Kubeadm);
    world.remove(&["ca.key", "sa.key", "sa.pub"]);
    assert_one(&world.problems(), &["sa.key and sa.pub do not exist", "openssl"]);
}

#[test]
fn a_lone_phase_needs_its_authority() {
    let cluster = fixture::cluster(Layout::Kubeadm, 1);
    let specs = [spec::spec(&cluster, &cluster.nodes[0], CertName::Apiserver)];
    let inventories = BTreeMap::new();
    let request =
        decide::Request { cluster: &cluster, specs: &specs, inventories: &inventories, now: fixture::now() };
    let decisions = decide::decide(&request);
    assert_one(
        &fixture::texts(&decisions.problems),
        &["couldn't load CA certificate ca", "make it first: `init phase certs ca`"],
    );
    let minting = kubewright::pki::Minting::new(&cluster.configuration, fixture::now());
    let error = Bundle::complete(&specs, decisions, &minting, &mut SystemRandom).unwrap_err().to_string();
    assert!(error.contains("couldn't load CA certificate ca"), "{error}");
}

#[test]
fn open_keys_are_refused_and_open_kubeconfigs_warned_about() {
    for (path, mode, problems, warnings) in [
        ("ca.key", 0o604, 1, 0),
        ("apiserver.key", 0o644, 1, 0),
        ("sa.key", 0o602, 1, 0),
        ("apiserver.key", 0o640, 0, 1),
        ("/etc/kubernetes/admin.conf", 0o644, 0, 1),
        ("apiserver.crt", 0o644, 0, 0),
        ("sa.pub", 0o644, 0, 0),
    ] {
        let mut world = World::new(Layout::Kubeadm);
        world.set_mode(path, mode);
        assert_eq!((world.problems().len(), world.warnings().len()), (problems, warnings), "{path} {mode:o}");
    }
}

#[test]
fn a_kubeconfig_of_another_cluster_is_refused_and_another_server_warned_about() {
    let mut world = World::new(Layout::Kubeadm);
    let specs = spec::all_specs(&world.cluster);
    let admin = specs.iter().find(|spec| spec.name == CertName::Admin).unwrap();
    let foreign = world.other.resolve(&fixture::kubeconfig(&world.cluster, admin)).unwrap();
    world.put("/etc/kubernetes/admin.conf", &foreign);
    assert_one(
        &world.problems(),
        &["a kubeconfig file \"/etc/kubernetes/admin.conf\" exists but does not contain a trusted CA"],
    );
    let mut world = World::new(Layout::Kubeadm);
    world.cluster.endpoint = Some(kubewright::cluster::HostPort::new("192.0.2.10", 16443));
    assert_eq!(world.problems(), [""; 0]);
    let warnings = world.warnings();
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
    assert!(warnings[0].contains("\"https://192.0.2.10:16443\" is expected"), "{warnings:#?}");
}

#[test]
fn the_kubelets_own_certificates_are_kept_or_replaced_but_never_in_the_way() {
    let mut world = World::new(Layout::Five);
    // kubelet.conf is gone: the store alone is enough.
    world.remove(&["/etc/kubernetes/kubelet.conf"]);
    let decisions = world.decide();
    assert!(matches!(decisions.get("cp1", CertName::KubeletClient), Some(Decision::Existing(_))));
    let bundle = fixture::complete(&world.cluster, decisions);
    let pair = |bundle: &Bundle| bundle.part("cp1", CertName::KubeletClient, Part::Pair).unwrap().to_vec();
    assert_eq!(pair(&bundle), pair(&world.bundle));
    // A file that the kubelet wrote in its own way is given out as it is, and its parts apart.
    let part = |bundle: &Bundle, part| World::bytes(bundle, CertName::KubeletServing, part);
    let [certificate, key] = [Part::Certificate, Part::Key].map(|piece| part(&world.bundle, piece));
    let theirs = [b"# the kubelet's\n".as_slice(), &key, &certificate].concat();
    world.put(SERVING, &theirs);
    let bundle = fixture::complete(&world.cluster, world.decide());
    assert_eq!(part(&bundle, Part::Pair), theirs);
    assert_eq!((part(&bundle, Part::Certificate), part(&bundle, Part::Key)), (certificate, key));
    // Left over from another cluster, or damaged.
    let strangers = World::bytes(&world.other, CertName::KubeletServing, Part::Pair);
    for (path, bytes, why) in [
        (SERVING, strangers.as_slice(), "none of the authorities here signed it"),
        (SERVING, b"junk", "no PEM block"),
        (CLIENT, b"junk", "no PEM block"),
    ] {
        let mut world = World::new(Layout::Five);
        world.put(path, bytes);
        if path == CLIENT {
            world.remove(&["/etc/kubernetes/kubelet.conf"]);
        }
        assert_eq!(world.problems(), [""; 0]);
        assert_one(&world.warnings(), &[path, "is replaced", why]);
        let name = if path == CLIENT { CertName::KubeletClient } else { CertName::KubeletServing };
        assert!(matches!(world.decide().get("cp1", name), Some(Decision::Mint)), "{path}");
    }
}

#[test]
fn five_chains_need_five_authorities() {
    let mut world = World::new(Layout::Five);
    for (part, ending) in [(Part::Certificate, "crt"), (Part::Key, "key")] {
        let bytes = World::bytes(&world.bundle, CertName::Ca(Ca::Etcd), part);
        world.put(&format!("etcd/peer-ca.{ending}"), &bytes);
    }
    let problems = world.problems();
    assert!(
        problems.iter().any(|text| text.contains("etcd/peer-ca and etcd/ca are the same authority")),
        "{problems:#?}"
    );
}

#[test]
fn control_planes_share_what_any_of_them_has() {
    let mut cluster = fixture::cluster(Layout::Five, 3);
    cluster.nodes.push(fixture::node("w1", "192.0.2.20", Role::Worker));
    let bundle = fixture::mint(&cluster);
    let mut found = fixture::inventories(&cluster, &bundle);
    // The second control plane is new; it gets the authorities and its own leaves.
    found.insert("cp2".to_owned(), Inventory::default());
    // The first one has lost an authority's key, which the third still has.
    found.get_mut("cp1").unwrap().insert(full("etcd/ca.key"), FileState::Absent);
    let decisions = fixture::decide(&cluster, &found);
    assert_eq!(fixture::texts(&decisions.problems), [""; 0]);
    let again = fixture::complete(&cluster, decisions);
    for spec in spec::all_specs(&cluster) {
        assert_eq!(again.is_new(&spec.node, spec.name), spec.node == "cp2", "{} of {}", spec.name, spec.node);
    }
    // Each node has its own; what is shared is the same for all.
    let key = |node, name| again.part(node, name, Part::Key).unwrap();
    assert_ne!(key("cp1", CertName::Apiserver), key("cp2", CertName::Apiserver));
    assert_eq!(key("cp1", CertName::ServiceAccount), key("cp2", CertName::ServiceAccount));
    assert!(again.part("cp2", CertName::SuperAdmin, Part::Key).is_none());
    assert!(again.part("w1", CertName::KubeletServing, Part::Pair).is_some());
    assert!(again.part("w1", CertName::Apiserver, Part::Key).is_none());
    // Two clusters mixed up.
    let stranger = fixture::mint(&cluster);
    found.insert("cp3".to_owned(), fixture::inventory(&cluster, &stranger, "cp3"));
    let problems = fixture::texts(&fixture::decide(&cluster, &found).problems);
    assert!(problems.iter().any(|text| text == "cp3: the certificate authority ca is another one than on `cp1` (all control planes share one; keep the one that signed the cluster's certificates)"), "{problems:#?}");
    assert!(
        problems.iter().any(|text| text.contains("the service-account key is another one than on `cp1`"))
    );
}

/// What can happen to a file between two runs.
#[derive(Debug, Clone)]
enum Damage {
    Lost,
    Unreadable,
    Cut(usize),
    Changed(usize, u8),
    /// The same file of another cluster.
    Swapped,
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        Just(Damage::Lost),
        Just(Damage::Unreadable),
        any::<usize>().prop_map(Damage::Cut),
        (any::<usize>(), any::<u8>()).prop_map(|(at, with)| Damage::Changed(at, with)),
        Just(Damage::Swapped),
    ]
}

fn apply(damage: &Damage, bytes: &[u8], other: &[u8]) -> FileState {
    let mut bytes = bytes.to_vec();
    match damage {
        Damage::Lost => return FileState::Absent,
        Damage::Unreadable => return FileState::Unreadable("input/output error".to_owned()),
        Damage::Cut(length) => bytes.truncate(length % bytes.len()),
        Damage::Changed(at, with) => {
            let length = bytes.len();
            bytes[at % length] = *with;
        }
        Damage::Swapped => bytes = other.to_vec(),
    }
    FileState::present(bytes, 0o600)
}

/// A world that is made once: the damage is what varies.
static WORLD: LazyLock<World> = LazyLock::new(|| World::new(Layout::Five));

proptest! {
    /// Whatever happened to the files: no panic, and nothing that exists is written over, but for the
    /// kubelet's own certificates. Authorities and the service-account key above all.
    #[test]
    fn no_damage_makes_an_existing_key_be_replaced(damages in proptest::collection::vec((any::<usize>(), damage()), 1..4)) {
        let before = fixture::files(&WORLD.cluster, &WORLD.bundle, "cp1");
        let others = fixture::files(&WORLD.cluster, &WORLD.other, "cp1");
        let mut found = WORLD.found.clone();
        for (index, damage) in &damages {
            let index = index % before.len();
            found.insert(before[index].0.clone(), apply(damage, &before[index].1, &others[index].1));
        }
        let decisions = fixture::decide(&WORLD.cluster, &BTreeMap::from([("cp1".to_owned(), found.clone())]));
        if decisions.problems.is_empty() {
            // An authority whose name is damaged cannot sign; then nothing is made, and nothing written.
            let Ok(bundle) = fixture::try_complete(&WORLD.cluster, decisions) else { return Ok(()) };
            for (path, after) in fixture::files(&WORLD.cluster, &bundle, "cp1") {
                let Some(FileState::Present { bytes, .. }) = found.get(&path) else { continue };
                let kubelets = path.contains("/kubelet/") || path.ends_with("/kubelet.conf");
                prop_assert!(kubelets || bytes.as_slice() == after.as_slice(), "{path} is written over after {damages:?}");
            }
        }
    }
}

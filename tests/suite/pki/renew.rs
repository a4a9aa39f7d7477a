//! Renewed certificates say what the old ones said, verify by the same authorities, and nothing else changes.

use crate::pki::fixture;
use kubewright::cluster::Cluster;
use kubewright::cluster::Layout;
use kubewright::pki::Bundle;
use kubewright::pki::Ca;
use kubewright::pki::CertName;
use kubewright::pki::Certificate;
use kubewright::pki::FileState;
use kubewright::pki::Inventory;
use kubewright::pki::Minting;
use kubewright::pki::SystemRandom;
use kubewright::pki::chain;
use kubewright::pki::kubeconfig;
use kubewright::pki::load;
use kubewright::pki::renew;
use kubewright::pki::renew::NAMES;
use kubewright::pki::renew::Outcome;
use kubewright::pki::renew::RenewError;
use kubewright::pki::renew::Renewal;
use kubewright::pki::spec;
use time::Duration;

struct World {
    cluster: Cluster,
    bundle: Bundle,
    found: Inventory,
}

impl World {
    fn new(layout: Layout) -> Self {
        let cluster = fixture::cluster(layout, 1);
        let bundle = fixture::mint(&cluster);
        let found = fixture::inventory(&cluster, &bundle, "cp1");
        Self { cluster, bundle, found }
    }

    fn renew(&self, names: &[CertName], within: Option<Duration>) -> Result<Vec<Renewal>, RenewError> {
        let minting = Minting::new(&self.cluster.configuration, fixture::now() + Duration::days(1));
        let node = &self.cluster.nodes[0];
        renew::renew(&self.cluster, node, &self.found, (names, within), &minting, &mut SystemRandom)
    }

    fn lose(&mut self, path: &str) {
        self.found.insert(path, FileState::Absent);
    }
}

fn certificate(bytes: &[u8]) -> Certificate {
    load::certificates(bytes).unwrap().remove(0)
}

#[test]
fn everything_is_renewed_and_says_the_same() {
    for layout in [Layout::Kubeadm, Layout::Five] {
        let world = World::new(layout);
        let renewals = world.renew(&NAMES, None).unwrap();
        assert_eq!(renewals.len(), NAMES.len());
        for Renewal { name, outcome } in renewals {
            let Outcome::Renewed(files) = outcome else { panic!("{name}: {outcome:?}") };
            let old = world.bundle.certificate("cp1", name).unwrap();
            let (pem, key) = if name.is_kubeconfig() {
                let [file] = &files[..] else { panic!("{files:?}") };
                assert_eq!(file.mode, 0o600);
                let parsed = kubeconfig::parse(&file.content).unwrap();
                let Some(FileState::Present { bytes, .. }) = world.found.get(&file.path) else { panic!() };
                let before = kubeconfig::parse(bytes).unwrap();
                assert_eq!((parsed.server, parsed.authority), (before.server, before.authority), "{name}");
                (parsed.client_certificate, parsed.client_key.to_vec())
            } else {
                let [key, pem] = &files[..] else { panic!("{files:?}") };
                assert_eq!((key.mode, pem.mode), (0o600, 0o644));
                (pem.content.to_vec(), key.content.to_vec())
            };
            let (new, key) = (certificate(&pem), load::private_key(&key).unwrap());
            assert_eq!(key.public_key_info(), new.public_key_info(), "{name}");
            assert_ne!(new.public_key_info(), old.public_key_info(), "{name}");
            assert_eq!(
                (new.subject(), new.usages(), new.sans()),
                (old.subject(), old.usages(), old.sans()),
                "{name}"
            );
            let longer = new.not_after() - old.not_after();
            assert!(
                longer >= Duration::days(1) && longer < Duration::days(1) + Duration::minutes(1),
                "{name}"
            );
            let signer = spec::spec(&world.cluster, &world.cluster.nodes[0], name).signer.unwrap();
            let root = world.bundle.authority(signer).unwrap();
            chain::verify(&[new], root, fixture::now() + Duration::days(1)).unwrap();
        }
    }
}

#[test]
fn only_what_was_asked_for_and_expires_soon() {
    let mut world = World::new(Layout::Five);
    world.lose("/etc/kubernetes/scheduler.conf");
    let renewals =
        world.renew(&[CertName::Apiserver, CertName::Scheduler], Some(Duration::days(30))).unwrap();
    let [server, scheduler] = &renewals[..] else { panic!("{renewals:?}") };
    assert!(matches!(server.outcome, Outcome::Kept(left) if left > Duration::days(360)), "{server:?}");
    assert_eq!(scheduler.outcome, Outcome::Missing);
    let renewals = world.renew(&[CertName::Apiserver], Some(Duration::days(365))).unwrap();
    assert!(matches!(renewals[0].outcome, Outcome::Renewed(_)));
    assert_eq!(renewals.len(), 1);
}

#[test]
fn authorities_that_cannot_sign_are_told() {
    let mut world = World::new(Layout::Five);
    world.lose("/etc/kubernetes/pki/front-proxy-ca.key");
    let renewals = world.renew(&[CertName::FrontProxyClient, CertName::Apiserver], None).unwrap();
    let outcome = |name| &renewals.iter().find(|renewal| renewal.name == name).unwrap().outcome;
    assert_eq!(*outcome(CertName::FrontProxyClient), Outcome::External(Ca::FrontProxy));
    assert!(matches!(outcome(CertName::Apiserver), Outcome::Renewed(_)));

    // The key of another authority would sign what nobody trusts.
    let foreign = World::new(Layout::Five);
    let path = "/etc/kubernetes/pki/ca.key";
    let Some(FileState::Present { bytes, mode }) = foreign.found.get(path) else { panic!() };
    world.found.insert(path, FileState::Present { bytes: bytes.clone(), mode: *mode });
    let error = world.renew(&[CertName::Admin], None).unwrap_err().to_string();
    assert_eq!(error, "/etc/kubernetes/pki/ca.key: it is not the key of the certificate beside it");

    world.lose("/etc/kubernetes/pki/ca.crt");
    let error = world.renew(&[CertName::Admin], None).unwrap_err().to_string();
    assert!(error.contains("/etc/kubernetes/pki/ca.crt does not exist"), "{error}");
}

#[test]
fn a_kubeconfig_keeps_what_the_operator_wrote() {
    let mut world = World::new(Layout::Kubeadm);
    let path = "/etc/kubernetes/admin.conf";
    let Some(FileState::Present { bytes, mode }) = world.found.get(path).cloned() else { panic!() };
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let text = text.replace(
        "    server: https://192.0.2.10:6443",
        "    server: https://api.example:8443\n    tls-server-name: kubernetes",
    );
    let text = text.replace(
        "contexts:\n",
        "contexts:\n- context:\n    cluster: other\n    user: other\n  name: other\n",
    );
    world.found.insert(path, FileState::present(text, mode));
    let renewals = world.renew(&[CertName::Admin], None).unwrap();
    let Outcome::Renewed(files) = &renewals[0].outcome else { panic!() };
    let text = String::from_utf8(files[0].content.to_vec()).unwrap();
    for kept in ["server: https://api.example:8443", "tls-server-name: kubernetes", "name: other"] {
        assert!(text.contains(kept), "{kept}");
    }
    let refers = "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\n\
                  clusters: [{name: a, cluster: {server: https://a}}]\nusers: [{name: a, user: {client-certificate: /a}}]\n";
    world.found.insert(path, FileState::present(refers, 0o600));
    let renewals = world.renew(&[CertName::Admin], None).unwrap();
    assert_eq!(renewals[0].outcome, Outcome::Missing);
}

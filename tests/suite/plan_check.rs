//! Plans hold no contradiction and name nothing that will not be there; the checker that says so sees what it should.

use crate::support::input;
use crate::support::scenario;
use crate::support::scenario::Scenario;
use kubewright::cluster::Cluster;
use kubewright::config::Overrides;
use kubewright::facts::ClusterFacts;
use kubewright::facts::HostFacts;
use kubewright::host::Command;
use kubewright::phase::Context;
use kubewright::phase::Options;
use kubewright::phase::build;
use kubewright::phase::select::flatten;
use kubewright::phase::workflow::CLUSTER;
use kubewright::pki::Ca;
use kubewright::pki::CertName;
use kubewright::plan::Action;
use kubewright::plan::Content;
use kubewright::plan::Place;
use kubewright::plan::Plan;
use kubewright::plan::RunSpec;
use kubewright::plan::Step;
use kubewright::plan::check;
use kubewright::plan::check::Flaw;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write as _;

fn texts(flaws: &[Flaw]) -> Vec<String> {
    flaws.iter().map(ToString::to_string).collect()
}

fn flaws(scenario: &Scenario, plan: &Plan) -> Vec<String> {
    let exists = |host: &str, path: &str| scenario.facts[host].existing_paths.contains(path);
    let mut flaws = check::contradictions(plan, &scenario.cluster);
    flaws.extend(check::unmet(plan, &scenario.cluster, &exists));
    texts(&flaws)
}

#[test]
fn every_scenario_is_clean() {
    for scenario in scenario::all() {
        // An authority whose key is elsewhere leaves certificates to the operator; all else is planned.
        assert_eq!(flaws(&scenario, &scenario.plan()), Vec::<String>::new(), "{}", scenario.name);
    }
}

/// A way to spoil a plan, and a part of what must then be said.
type Damage = (&'static str, fn(&mut Plan), &'static str);

const DAMAGE: [Damage; 13] = [
    (
        "an open key",
        |plan| file(plan, "cp1", "/etc/kubernetes/pki/ca.key").mode = 0o640,
        "mode 0640, wider than 0600",
    ),
    (
        "an open kubeconfig",
        |plan| file(plan, "w1", "kubelet.conf").mode = 0o644,
        "mode 0644, wider than 0600",
    ),
    (
        "an open store",
        |plan| file(plan, "w1", "kubelet-server-initial.pem").mode = 0o604,
        "mode 0604, wider than 0600",
    ),
    (
        "the same path twice",
        |plan| plan.steps.push(find(plan, "cp1", "config.yaml").clone()),
        "an earlier step",
    ),
    (
        "the same object twice",
        |plan| {
            let object =
                plan.steps.iter().find(|step| matches!(step.action, Action::Object(_))).unwrap().clone();
            plan.steps.push(object);
        },
        "an earlier step",
    ),
    (
        "a restart because of somebody else's file",
        |plan| remove(plan, "w1", "kubeadm-flags.env"),
        "restarted when /var/lib/kubelet/kubeadm-flags.env changes",
    ),
    (
        "a certificate that the host has not",
        |plan| {
            let content = &mut file(plan, "w1", "kubelet-client-initial.pem").content;
            let Content::Pki { cert, .. } = content else { panic!("it is a certificate") };
            *cert = CertName::EtcdServer;
        },
        "w1 has no certificate etcd-server",
    ),
    (
        "a certificate of nobody",
        |plan| {
            let Content::Pki { node, .. } = &mut file(plan, "cp1", "/pki/apiserver.crt").content else {
                panic!()
            };
            "cp9".clone_into(node);
        },
        "it is for cp9",
    ),
    ("a host of nobody", |plan| plan.steps[0].place = Place::Host("cp9".to_owned()), "no host is called cp9"),
    (
        "a key in a file",
        |plan| {
            let text = "-----BEGIN EC PRIVATE KEY-----\n".to_owned();
            file(plan, "cp1", "config.yaml").content = Content::Text(text);
        },
        "it shows a private key",
    ),
    (
        "a token in a command",
        |plan| {
            let command = Command::change("kubeadm").args(["join", "--token", "abcdef.0123456789abcdef"]);
            let run = RunSpec { command, unless: None, remember: Vec::new(), best_effort: false };
            plan.steps[0].action = Action::Run(run);
        },
        "it shows the secret of the token abcdef",
    ),
    (
        "a missing key",
        |plan| remove(plan, "cp2", "/etc/kubernetes/pki/etcd/peer.key"),
        "names /etc/kubernetes/pki/etcd/peer.key",
    ),
    ("a missing authority", |plan| remove(plan, "w2", "/ca.crt"), "names /etc/kubernetes/pki/ca.crt"),
];

fn find<'a>(plan: &'a Plan, host: &str, path: &str) -> &'a Step {
    let here = |step: &&Step| step.place == Place::Host(host.to_owned()) && step.subject().ends_with(path);
    plan.steps.iter().find(here).unwrap()
}

fn file<'a>(plan: &'a mut Plan, host: &str, path: &str) -> &'a mut kubewright::plan::FileSpec {
    let here =
        |step: &&mut Step| step.place == Place::Host(host.to_owned()) && step.subject().ends_with(path);
    match &mut plan.steps.iter_mut().find(here).unwrap().action {
        Action::File(file) => file,
        other => panic!("{other:?} is no file"),
    }
}

fn remove(plan: &mut Plan, host: &str, path: &str) {
    let before = plan.steps.len();
    plan.steps.retain(|step| step.place != Place::Host(host.to_owned()) || !step.subject().ends_with(path));
    assert!(plan.steps.len() < before);
}

#[test]
fn damage_is_seen() {
    let scenario = Scenario::load("ha-five", None);
    for (what, damage, expected) in DAMAGE {
        let mut plan = scenario.plan();
        damage(&mut plan);
        let flaws = flaws(&scenario, &plan);
        assert!(flaws.iter().any(|flaw| flaw.contains(expected)), "{what}: {flaws:?}");
    }
}

#[test]
fn what_the_operator_names_and_what_exists_is_not_ours_to_make() {
    let scenario = Scenario::load("dual-stack", None);
    let mut plan = scenario.plan();
    assert!(
        check::unmet(&plan, &scenario.cluster, &|_, _| false).is_empty(),
        "an authorization file of the operator"
    );
    remove(&mut plan, "cp1", "/etc/kubernetes/pki/sa.key");
    assert_eq!(check::unmet(&plan, &scenario.cluster, &|_, _| false).len(), 2);
    assert!(check::unmet(&plan, &scenario.cluster, &|_, path| path.ends_with("sa.key")).is_empty());
}

/// A configuration that an operator could write.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the file")]
#[derive(Debug, Clone)]
struct Written {
    control_planes: u8,
    workers: u8,
    layout: &'static str,
    directory: &'static str,
    families: (&'static str, &'static str),
    external_etcd: bool,
    rootless: bool,
    local_socket: bool,
    addons: bool,
    certificate_key: bool,
    store: Option<&'static str>,
}

const FAMILIES: [(&str, &str); 4] = [
    ("10.96.0.0/12", "10.244.0.0/16"),
    ("fd00:10:200::/112", "fd00:10:100::/56"),
    ("10.96.0.0/12,fd00:10:200::/112", "10.244.0.0/16,fd00:10:100::/56"),
    ("10.96.0.0/12", ""),
];

prop_compose! {
    fn written()(
        counts in (1_u8..5, 0_u8..4),
        layout in prop::sample::select(vec!["five", "kubeadm"]),
        directory in prop::sample::select(vec!["/etc/kubernetes/pki", "/srv/pki", "/etc/kubernetes/other"]),
        families in prop::sample::select(FAMILIES.to_vec()),
        switches in any::<(bool, bool, bool, bool, bool)>(),
        store in prop::option::of(Just("/srv/kubelet")),
    ) -> Written {
        let (external_etcd, rootless, local_socket, addons, certificate_key) = switches;
        Written {
            control_planes: counts.0, workers: counts.1, layout, directory, families, external_etcd, rootless,
            local_socket, addons, certificate_key, store,
        }
    }
}

impl Written {
    fn text(&self) -> String {
        let ipv6 = self.families.0.starts_with('f');
        let address =
            |number: u8| if ipv6 { format!("'2001:db8::{number}'") } else { format!("198.51.100.{number}") };
        let mut hosts = String::new();
        for (role, count, first) in [("control-plane", self.control_planes, 11), ("worker", self.workers, 21)]
        {
            for number in 0..count {
                let (name, address) = (&role[..1], address(first + number));
                let _ = writeln!(hosts, "  - {{name: {name}{number}, address: {address}, roles: [{role}]}}");
            }
        }
        let key = "e6a2eb8581237ab72a4f494f30285ec12a9694d750b9785706a83bfcbbbd2204";
        let key = if self.certificate_key { format!("certificateKey: {key}\n") } else { String::new() };
        let store = self.store.map(|path| {
            format!("nodeRegistration:\n  kubeletExtraArgs:\n  - {{name: cert-dir, value: {path}}}\n")
        });
        let etcd = "etcd:\n  external:\n    endpoints: ['https://192.0.2.9:2379']\n    caFile: /srv/ca\n    \
                    certFile: /srv/crt\n    keyFile: /srv/key\n";
        let Self { layout, directory, rootless, local_socket, .. } = self;
        format!(
            "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: prod}}\nspec:\n  hosts:\n{hosts}  \
             endpoint: {{host: api.example.com, provider: external}}\n  pki: {{layout: {layout}}}\n---\n\
             apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n\
             bootstrapTokens:\n- token: abcdef.0123456789abcdef\n{key}{}---\n\
             apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.36.2\n\
             certificatesDir: {directory}\nnetworking: {{serviceSubnet: '{}', podSubnet: '{}'}}\n\
             dns: {{disabled: {disabled}}}\nproxy: {{disabled: {disabled}}}\n\
             featureGates: {{RootlessControlPlane: {rootless}, NodeLocalCRISocket: {local_socket}}}\n{}",
            store.unwrap_or_default(),
            self.families.0,
            self.families.1,
            if self.external_etcd { etcd } else { "" },
            disabled = !self.addons,
        )
    }
}

fn plan(cluster: &Cluster, external: &BTreeSet<Ca>) -> Plan {
    let facts: BTreeMap<String, HostFacts> =
        cluster.nodes.iter().map(|node| (node.name.clone(), HostFacts::assumed(&node.name))).collect();
    let options = Options { ttl_token_id: "ttltok".to_owned(), ..Options::default() };
    let running = ClusterFacts::default();
    let context = Context {
        cluster,
        facts: &facts,
        running: &running,
        external,
        downloaded: &BTreeSet::new(),
        ours: &BTreeSet::new(),
        options: &options,
    };
    build::plan(&context, &flatten(CLUSTER)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn plans_of_all_kinds_of_clusters_are_clean(written in written()) {
        let mut cluster = input::load("generated.yaml", &written.text(), &Overrides::default()).cluster;
        cluster.upload_certs = written.certificate_key;
        let nobody = BTreeSet::new();
        let plan = plan(&cluster, &nobody);
        prop_assert_eq!(texts(&check::contradictions(&plan, &cluster)), Vec::<String>::new());
        prop_assert_eq!(texts(&check::unmet(&plan, &cluster, &|_, _| false)), Vec::<String>::new());
        prop_assert_eq!(&plan, &self::plan(&cluster, &nobody));
    }
}

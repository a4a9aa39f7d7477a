//! Every scenario carried out on hosts and an API in memory: dry, for the first time, and again.

use crate::support::scenario;
use crate::support::scenario::Scenario;
use crate::support::small_host;
use crate::support::small_host::ImageFiles;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kubewright::api;
use kubewright::apply;
use kubewright::apply::Options;
use kubewright::apply::Resolve;
use kubewright::apply::World;
use kubewright::apply::receipt::PATH;
use kubewright::clock::Clock;
use kubewright::clock::Manual;
use kubewright::cluster::Cluster;
use kubewright::cluster::Secret;
use kubewright::cluster::kubeadm::KeyAlgorithm;
use kubewright::etcd;
use kubewright::host::Entry;
use kubewright::host::EntryKind;
use kubewright::host::Fake;
use kubewright::host::Fleet;
use kubewright::host::Host;
use kubewright::host::Socket;
use kubewright::kube::objects::admins;
use kubewright::pki::Bundle;
use kubewright::pki::CertSpec;
use kubewright::pki::FileState;
use kubewright::pki::Inventory;
use kubewright::pki::Minting;
use kubewright::pki::Random;
use kubewright::pki::decide;
use kubewright::pki::decide::Request;
use kubewright::pki::inventory;
use kubewright::pki::seal;
use kubewright::pki::serving::Server;
use kubewright::pki::spec;
use kubewright::plan::Action;
use kubewright::plan::Content;
use kubewright::plan::Fill;
use kubewright::plan::ObjectRef;
use kubewright::plan::Plan;
use kubewright::plan::Probe;
use kubewright::plan::Step;
use kubewright::plan::Supply;
use kubewright::report::Report;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use time::OffsetDateTime;
use time::macros::datetime;

/// Counts instead of drawing.
struct Counting(u8);

impl Random for Counting {
    fn fill(&mut self, buffer: &mut [u8]) {
        for byte in buffer {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
    }
}

const NOW: OffsetDateTime = datetime!(2026-05-01 12:00 UTC);

/// What a plan's references lead to.
pub(crate) struct Contents<'a> {
    pub(crate) bundle: Bundle,
    pub(crate) cluster: &'a Cluster,
    pub(crate) host: &'a dyn Host,
}

impl Contents<'_> {
    fn key(&self) -> &Secret {
        self.cluster.certificate_key.as_ref().expect("who uploads certificates has a key")
    }

    fn plain(&self, fill: &Fill) -> anyhow::Result<Option<Vec<u8>>> {
        Ok(match fill {
            Fill::Encrypted { node, cert, part } => {
                Some(self.bundle.part(node, *cert, *part).map(|bytes| bytes.to_vec()).unwrap_or_default())
            }
            Fill::EncryptedFile { path } => {
                let entry = self.host.read(path)?;
                Some(entry.and_then(|entry| entry.content().map(<[u8]>::to_vec)).unwrap_or_default())
            }
            _ => None,
        })
    }
}

impl Resolve for Contents<'_> {
    fn supply(&self, _: &Supply) -> anyhow::Result<(Box<dyn std::io::Read + Send>, u64)> {
        Ok((Box::new(&b"abc"[..]), 3))
    }

    fn content(&self, content: &Content) -> anyhow::Result<Vec<u8>> {
        Ok(match content {
            Content::BootstrapKubeconfig { server } => format!("kubeconfig for {server}\n").into(),
            Content::Downloaded { path } => format!("{path} of the cluster\n").into(),
            content => self.bundle.resolve(content)?.to_vec(),
        })
    }

    fn fill(&self, fill: &Fill) -> anyhow::Result<Option<String>> {
        if let Some(plain) = self.plain(fill)? {
            return Ok(Some(STANDARD.encode(seal::seal(self.key(), &plain, &mut Counting(0))?)));
        }
        Ok(match fill {
            Fill::TokenSecret(id) => Some(STANDARD.encode(format!("secret of {id}"))),
            Fill::ClusterInfo { server } => Some(self.bundle.cluster_info(server)?),
            Fill::Signature { token, .. } => Some(format!("signature by {token}")),
            Fill::Authority { ca, encoded } => {
                let pem = self.bundle.authority(*ca).unwrap().pem();
                Some(if *encoded { STANDARD.encode(pem) } else { pem })
            }
            Fill::Serving { ca, common_name, names } => {
                let (issuer, server) = (self.bundle.issuer(*ca).unwrap(), Server { common_name, names });
                let pair = server.mint(issuer, KeyAlgorithm::EcdsaP256, NOW, &mut Counting(0))?;
                Some(STANDARD.encode(&*pair))
            }
            _ => None,
        })
    }

    fn is_current(&self, fill: &Fill, live: &str) -> anyhow::Result<Option<bool>> {
        if let Fill::Serving { ca, common_name, names } = fill {
            let server = Server { common_name, names };
            let pair = STANDARD.decode(live)?;
            return Ok(Some(server.is_served_by(&pair, self.bundle.authority(*ca).unwrap(), NOW)));
        }
        let Some(plain) = self.plain(fill)? else { return Ok(None) };
        let stored = STANDARD.decode(live)?;
        Ok(Some(seal::unseal(self.key(), &stored).is_ok_and(|bytes| *bytes == plain)))
    }
}

pub(crate) struct Stage {
    pub(crate) hosts: BTreeMap<String, Arc<Fake>>,
    pub(crate) api: api::Fake,
    /// What a joining control plane finds.
    pub(crate) etcd: etcd::Fake,
    pub(crate) clock: Manual,
}

impl Stage {
    pub(crate) fn new(cluster: &Cluster) -> Self {
        let api = api::Fake::new().admin_needs(ObjectRef::of(&admins::cluster_admins().value));
        api.page("/livez", "ok");
        if cluster.joining {
            api.put(admins::cluster_admins().value);
        }
        let mut hosts = BTreeMap::new();
        for node in cluster.nodes.iter().filter(|node| cluster.balances(node) && !node.becomes_node()) {
            hosts.insert(node.name.clone(), Arc::new(small_host::new(&node.name)));
        }
        for node in cluster.etcd_hosts() {
            hosts.insert(node.name.clone(), Arc::new(small_host::new(&node.name)));
        }
        for node in cluster.nodes.iter().filter(|node| node.becomes_node()) {
            let name = node.registered_name();
            api.put(json!({"apiVersion": "v1", "kind": "Node", "metadata": {
                "name": name, "labels": {"kubernetes.io/hostname": name}}}));
            let host = small_host::new(&node.name);
            // Who answers at the endpoint, wherever it leads.
            let at = cluster.endpoint.iter().map(|endpoint| (endpoint.host.clone(), endpoint.port));
            let local = cluster.node_local().map(|local| local.host_port(node));
            for (address, port) in at.chain(local.map(|local| (local.host, local.port))) {
                host.listen(Socket::Tcp { host: address, port }, "HTTP/1.1 200 OK\r\n\r\nok");
            }
            let own = Socket::Tcp { host: node.advertise_address.to_string(), port: node.bind_port };
            host.listen(own, "HTTP/1.1 200 OK\r\n\r\nok");
            if cluster.joining && !node.is_control_plane() {
                // What its kubelet makes when it has got a certificate.
                host.write("/etc/kubernetes/kubelet.conf", &Entry::file("kubelet's own\n", 0o600)).unwrap();
            }
            hosts.insert(node.name.clone(), Arc::new(host));
        }
        let etcd = etcd::Fake::with_voters(&["cp1"]);
        Self { hosts, api, etcd, clock: Manual::new(NOW) }
    }

    /// What earlier runs have installed.
    fn install(&self, scenario: &Scenario) {
        if !scenario.running.addons.is_empty() {
            self.api.put(admins::cluster_admins().value);
        }
        for line in scenario.running.addons.iter().flat_map(|installed| &installed.members) {
            let words: Vec<&str> = line.split(' ').collect();
            let (namespace, name) = words[2].split_once('/').unwrap_or(("", words[2]));
            let mut metadata = json!({"name": name});
            if !namespace.is_empty() {
                metadata["namespace"] = namespace.into();
            }
            self.api.put(json!({"apiVersion": words[0], "kind": words[1], "metadata": metadata}));
        }
    }

    fn run(&self, scenario: &Scenario, plan: &Plan, dry_run: bool) -> Report {
        let mut fleet = Fleet::new();
        self.hosts.values().for_each(|host| fleet.insert(Arc::<Fake>::clone(host)));
        let first = &self.hosts[&scenario.cluster.nodes[0].name];
        let contents =
            Contents { bundle: self.bundle(&scenario.cluster), cluster: &scenario.cluster, host: first };
        let options = Options { dry_run, diff: true, ..Options::default() };
        let world = World {
            hosts: &fleet,
            api: &self.api,
            etcd: &etcd::Known(Arc::new(self.etcd.clone())),
            resolver: &contents,
            images: &ImageFiles,
            pods: &ImageFiles,
            clock: &self.clock,
            events: &|_| {},
            interrupt: &AtomicBool::new(false),
            options: &options,
        };
        apply::execute(plan, &world)
    }

    /// What exists on the hosts, completed.
    pub(crate) fn bundle(&self, cluster: &Cluster) -> Bundle {
        if cluster.control_planes().next().is_none() {
            // A worker is handed all that it needs.
            return Bundle::default();
        }
        let specs = spec::all_specs(cluster);
        let found = |(name, host): (&String, &Arc<Fake>)| (name.clone(), found(host, cluster, &specs));
        let inventories = self.hosts.iter().map(found).collect();
        let now = self.clock.now();
        let decisions = decide::decide(&Request { cluster, specs: &specs, inventories: &inventories, now });
        let warnings: Vec<String> = decisions.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings, Vec::<String>::new(), "what we made ourselves is fine");
        let minting = Minting::new(&cluster.configuration, now);
        Bundle::complete(&specs, decisions, &minting, &mut Counting(0)).unwrap()
    }

    fn files(&self) -> Vec<BTreeMap<String, Entry>> {
        let files = |host: &Arc<Fake>| host.files().into_iter().filter(|(path, _)| path != PATH).collect();
        self.hosts.values().map(files).collect()
    }

    /// How much was changed so far. The record does not count: it may come to know what it found.
    fn mutations(&self) -> usize {
        let record = format!("write {PATH}");
        let changes = |log: Vec<String>| {
            log.iter().filter(|line| !line.starts_with("query ") && **line != record).count()
        };
        self.hosts.values().map(|host| changes(host.log())).sum::<usize>() + self.api.mutations()
    }
}

fn found(host: &Fake, cluster: &Cluster, specs: &[CertSpec]) -> Inventory {
    let files = host.files();
    let mut inventory = Inventory::default();
    for path in inventory::paths(cluster, specs) {
        let mut entry = files.get(&path);
        while let Some(EntryKind::Link(target)) = entry.map(|entry| &entry.kind) {
            entry = files.get(target);
        }
        let state = entry.and_then(|entry| Some(FileState::present(entry.content()?, entry.mode)));
        inventory.insert(path, state.unwrap_or(FileState::Absent));
    }
    inventory
}

/// The plan with probes that hosts in memory can answer: they speak no TLS.
pub(crate) fn without_tls(mut plan: Plan) -> Plan {
    for step in &mut plan.steps {
        if let Action::Wait(wait) = &mut step.action
            && let Probe::Http { tls, .. } = &mut wait.probe
        {
            *tls = false;
        }
    }
    plan
}

/// A scenario with keys that are made in no time, and hosts as they were before its facts were gathered.
fn staged(name: &str) -> (Scenario, Stage) {
    let mut scenario = Scenario::load(name, None);
    scenario.cluster.configuration.encryption_algorithm = KeyAlgorithm::EcdsaP256;
    let stage = Stage::new(&scenario.cluster);
    stage.install(&scenario);
    let elsewhere = std::mem::take(&mut scenario.external);
    let mut facts = scenario.facts.clone();
    scenario.facts.values_mut().for_each(|facts| facts.existing_paths.clear());
    if !elsewhere.is_empty() || facts.values().any(|facts| !facts.existing_paths.is_empty()) {
        assert!(stage.run(&scenario, &without_tls(scenario.plan()), false).success(), "{name}");
    }
    for ca in &elsewhere {
        let key = spec::authority_paths(&scenario.cluster, *ca).key.unwrap();
        stage.hosts.values().for_each(|host| host.remove(&key).unwrap());
    }
    std::mem::swap(&mut scenario.facts, &mut facts);
    scenario.external = elsewhere;
    (scenario, stage)
}

#[test]
fn a_dry_run_changes_nothing_the_first_run_something_and_the_second_nothing() {
    for name in scenario::names() {
        let (mut scenario, stage) = staged(&name);
        let plan = without_tls(scenario.plan());
        let (files, mutations) = (stage.files(), stage.mutations());

        let dry = stage.run(&scenario, &plan, true);
        assert!(dry.success(), "{name}: {:#?}", dry.failures);
        assert_eq!(dry.totals().changed, 0, "{name}");
        // All but the cluster that runs already have something to do.
        let anything = !["running", "join-again"].contains(&name.as_str());
        assert_eq!(dry.totals().would_change > 0, anything, "{name}: {:#?}", dry.records);
        assert_eq!(stage.mutations(), mutations, "{name}: the dry run");
        assert!(stage.files() == files, "{name}: the dry run");

        let first = stage.run(&scenario, &plan, false);
        assert!(first.success() && first.not_begun == 0, "{name}: {:#?}", first.failures);
        assert_eq!(first.totals().warned, 0, "{name}: {:#?}", first.records);
        assert_eq!(first.totals().changed > 0, anything, "{name}");
        let (files, mutations) = (stage.files(), stage.mutations());
        // A plan that makes something for a while and removes it is for one time.
        let once = |step: &Step| matches!(step.action, Action::Absent { .. } | Action::Delete(_));
        if !plan.steps.iter().any(once) {
            expect_unchanged(&stage, &scenario, &plan, &format!("{name}: the same plan again"));
        }

        // As the next run sees the hosts.
        for (host, facts) in &mut scenario.facts {
            let Some(host) = stage.hosts.get(host) else { continue };
            facts.existing_paths.extend(host.files().into_keys());
        }
        scenario.see_as_joined(&stage.etcd);
        scenario.see_addons(stage.api.objects().values());
        let plan = without_tls(scenario.plan());
        expect_unchanged(&stage, &scenario, &plan, &format!("{name}: a new plan"));
        assert_eq!(stage.mutations(), mutations, "{name}: the second run");
        assert!(stage.files() == files, "{name}: the second run");
    }
}

fn expect_unchanged(stage: &Stage, scenario: &Scenario, plan: &Plan, what: &str) {
    let report = stage.run(scenario, plan, false);
    assert!(report.success() && report.not_begun == 0, "{what}: {:#?}", report.failures);
    let changed: Vec<_> = report
        .records
        .iter()
        .filter(|record| record.outcome != kubewright::report::Outcome::Ok)
        .map(|record| format!("{} {} {:?} {:?}", record.phase, record.subject, record.outcome, record.detail))
        .collect();
    assert_eq!(changed, Vec::<String>::new(), "{what}");
}

#[test]
fn keys_are_where_they_belong_and_nowhere_else() {
    for name in scenario::names() {
        let (scenario, stage) = staged(&name);
        let report = stage.run(&scenario, &without_tls(scenario.plan()), false);
        assert!(report.success(), "{name}: {:#?}", report.failures);
        for node in scenario.cluster.nodes.iter().filter(|node| node.becomes_node()) {
            let keys: Vec<(String, Entry)> =
                stage.hosts[&node.name].files().into_iter().filter(|(_, entry)| holds_a_key(entry)).collect();
            for (path, entry) in &keys {
                let readers = scenario.cluster.is_rootless() && path.ends_with("/sa.key");
                assert_eq!(entry.mode, if readers { 0o640 } else { 0o600 }, "{name}: {} {path}", node.name);
            }
            let store = node.kubelet_arg("cert-dir").unwrap_or("/var/lib/kubelet/pki");
            let elsewhere = keys.iter().find(|(path, _)| !path.starts_with(store));
            assert!(node.is_control_plane() || elsewhere.is_none(), "{name}: {elsewhere:?} on a worker");
            let serving = keys.iter().any(|(path, _)| path.ends_with("kubelet-server-initial.pem"));
            // A worker that joins has to ask for it.
            let made = !scenario.cluster.joining || node.is_control_plane();
            assert_eq!(serving, scenario.cluster.five_chains() && made, "{name}: {}", node.name);
        }
        for node in scenario.cluster.etcd_hosts() {
            let files = stage.hosts[&node.name].files();
            let keys: Vec<&str> =
                files.iter().filter(|(_, entry)| holds_a_key(entry)).map(|(path, _)| path.as_str()).collect();
            let own = ["healthcheck-client", "peer", "server"]
                .map(|name| format!("{}/etcd/{name}.key", scenario.cluster.certificates_dir()));
            assert_eq!(keys, own, "{name}: {}", node.name);
        }
        let worker = scenario.cluster.control_planes().next().is_none();
        assert_eq!(stage.bundle(&scenario.cluster).authority_text().is_err(), worker, "{name}");
    }
}

fn holds_a_key(entry: &Entry) -> bool {
    let text = entry.content().map(String::from_utf8_lossy).unwrap_or_default();
    text.contains("PRIVATE KEY-----") || text.contains("client-key-data:")
}

//! Control planes join a real etcd by our own plan: their manifests' flags start real members, two at the same moment,
//! and one that never comes up is gone again.
#![expect(clippy::disallowed_methods, reason = "tests start etcd")]

use super::fixture;
use crate::etcd_join::JOIN;
use crate::etcd_join::Nothing;
use crate::etcd_join::Pods;
use crate::etcd_join::changed;
use crate::etcd_join::host;
use crate::skip::skip;
use kubewright::api::NoApi;
use kubewright::apply;
use kubewright::apply::Options;
use kubewright::apply::World;
use kubewright::clock::System;
use kubewright::cluster::Cluster;
use kubewright::cluster::GoDuration;
use kubewright::cluster::Layout;
use kubewright::cluster::Role;
use kubewright::etcd::Client;
use kubewright::etcd::Etcd as _;
use kubewright::etcd::Known;
use kubewright::etcd::Tls;
use kubewright::facts::ClusterFacts;
use kubewright::facts::EtcdMembership;
use kubewright::facts::HostFacts;
use kubewright::host::Entry;
use kubewright::host::Fake;
use kubewright::host::Fleet;
use kubewright::host::Local;
use kubewright::kube::static_pod;
use kubewright::kube::static_pod::InitialCluster;
use kubewright::kube::static_pod::SigningKeys;
use kubewright::kube::static_pod::Site;
use kubewright::kube::yaml;
use kubewright::phase;
use kubewright::phase::Context;
use kubewright::phase::build;
use kubewright::phase::select;
use kubewright::pki::Bundle;
use kubewright::report::Event;
use kubewright::report::FailureKind;
use kubewright::report::Outcome;
use kubewright::report::Report;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use tempfile::TempDir;

const MANIFEST: &str = crate::etcd_join::MANIFEST;
const MEMBER: &str = crate::etcd_join::DATA;

/// Hosts on loopback, and what stands for their kubelets.
struct Ground {
    etcd: PathBuf,
    cluster: Cluster,
    bundle: Bundle,
    directory: TempDir,
    hosts: BTreeMap<String, Arc<Fake>>,
    running: Mutex<BTreeMap<String, Child>>,
    /// The hosts whose etcd cannot be started.
    broken: Mutex<BTreeSet<String>>,
}

impl Drop for Ground {
    fn drop(&mut self) {
        for member in self.running.lock().unwrap().values_mut() {
            let _ = member.kill();
            let _ = member.wait();
        }
    }
}

impl Ground {
    fn new(etcd: PathBuf) -> Self {
        // Other runs of this test have other addresses.
        let id = std::process::id();
        let address = |index: usize| format!("127.{}.{}.{index}", 1 + id % 250, 1 + id / 250 % 250);
        let mut cluster = fixture::cluster(Layout::Five, 1);
        let names = ["cp1", "cp2", "cp3", "cp4"];
        let node =
            |(index, name): (usize, &&str)| fixture::node(name, &address(index + 1), Role::ControlPlane);
        cluster.nodes = names.iter().enumerate().map(node).collect();
        cluster.configuration.etcd = crate::fixture::cluster().configuration.etcd;
        let bundle = fixture::mint(&cluster);
        Self {
            etcd,
            bundle,
            directory: tempfile::tempdir().unwrap(),
            hosts: names.map(|name| (name.to_owned(), Arc::new(host(name)))).into(),
            cluster,
            running: Mutex::default(),
            broken: Mutex::default(),
        }
    }

    /// The cluster as those see it who join: only the hosts that this run is about.
    fn part(&self, names: &[&str]) -> Cluster {
        let mut cluster = self.cluster.clone();
        cluster.nodes.retain(|node| names.contains(&node.name.as_str()));
        cluster
    }

    fn init(&self) {
        let facts = HostFacts::assumed("cp1");
        let cluster = self.part(&["cp1"]);
        let site = Site {
            signing: SigningKeys { kubernetes: true, kubelet: true },
            ..Site::new(&cluster, &cluster.nodes[0], &facts)
        };
        let pod = static_pod::etcd(&site, &InitialCluster::new(&cluster.nodes));
        self.kubelet("cp1", &yaml::to_string(&pod));
    }

    fn client(&self) -> Client {
        let root = self.directory.path().join("cp1/etc/kubernetes/pki/etcd");
        let read = |file: &str| fixture::read(&root.join(file));
        let (certificate, key) = (read("healthcheck-client.crt"), read("healthcheck-client.key"));
        let tls = Tls::new(&read("ca.crt"), &certificate, &key).unwrap();
        let endpoint = format!("https://{}:2379", self.cluster.nodes[0].advertise_address);
        Client::new(Arc::new(Local::new("here")), vec![endpoint], tls).unwrap()
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.directory.path().join(format!("{name}.log"))).unwrap_or_default()
    }

    /// Starts what a manifest says. Ports of 127.0.0.1 are not for several members at once.
    fn kubelet(&self, name: &str, manifest: &str) {
        let root = self.directory.path().join(name);
        fixture::write(&self.cluster, &self.bundle, name, &root);
        let pod: Value = serde_yaml::from_str(manifest).unwrap();
        let words = pod["spec"]["containers"][0]["command"].as_array().unwrap();
        let flags = words[1..].iter().map(|word| word.as_str().unwrap()).filter_map(|flag| {
            let (flag, value) = flag.split_once('=').unwrap();
            match flag {
                "--listen-metrics-urls" | "--feature-gates" | "--watch-progress-notify-interval" => None,
                "--listen-client-urls" => Some(format!("{flag}={}", value.rsplit(',').next().unwrap())),
                _ if value.starts_with('/') => Some(format!("{flag}={}{value}", root.display())),
                _ => Some(format!("{flag}={value}")),
            }
        });
        let log = fs::File::create(self.directory.path().join(format!("{name}.log"))).unwrap();
        let mut command = Command::new(&self.etcd);
        command.args(flags).stdout(Stdio::null()).stderr(log);
        self.running.lock().unwrap().insert(name.to_owned(), command.spawn().unwrap());
        self.hosts[name].put(MEMBER, Entry::directory(0o700));
    }

    fn join(&self, names: &[&str]) -> Report {
        let mut cluster = self.part(names);
        let never = !self.broken.lock().unwrap().is_empty();
        cluster.timeouts.etcd_api_call = GoDuration::from_secs(if never { 5 } else { 60 });
        let client = Arc::new(self.client());
        let facts = |name: &&str| {
            let mut facts = crate::fixture::healthy();
            facts.existing_paths.extend(self.hosts[*name].files().into_keys());
            ((*name).to_owned(), facts)
        };
        let running = ClusterFacts { etcd: EtcdMembership::gather(&*client).ok(), ..ClusterFacts::default() };
        let context = Context {
            cluster: &cluster,
            facts: &names.iter().map(facts).collect(),
            running: &running,
            external: &BTreeSet::new(),
            downloaded: &BTreeSet::new(),
            ours: &BTreeSet::new(),
            options: &phase::Options::default(),
        };
        let plan = build::plan(&context, &select::skipping(JOIN, &[]).unwrap()).unwrap();
        let mut fleet = Fleet::new();
        for name in names {
            fleet.insert(Arc::<Fake>::clone(&self.hosts[*name]));
        }
        let events = |event: Event| self.watch(&event);
        let world = World {
            hosts: &fleet,
            api: &NoApi,
            etcd: &Known(client),
            resolver: &Nothing,
            pods: &Pods,
            images: &Pods,
            clock: &System,
            events: &events,
            interrupt: &AtomicBool::new(false),
            options: &Options::default(),
        };
        apply::execute(&plan, &world)
    }

    fn watch(&self, event: &Event) {
        if let Event::StepFinished { title, host: Some(name), outcome: Outcome::Changed, .. } = event
            && title == "static pod etcd"
            && !self.broken.lock().unwrap().contains(name)
        {
            let entry = self.hosts[name].files().remove(MANIFEST).unwrap();
            self.kubelet(name, std::str::from_utf8(entry.content().unwrap()).unwrap());
        }
    }

    fn voters(&self) -> Vec<String> {
        let members = self.client().member_list().unwrap();
        assert!(members.iter().all(|member| !member.is_learner), "{members:?}");
        let mut names: Vec<String> = members.into_iter().map(|member| member.name).collect();
        names.sort_unstable();
        names
    }
}

#[test]
fn control_planes_join_a_real_etcd_by_plan() {
    let name = "control_planes_join_a_real_etcd_by_plan";
    let Some(binary) = super::real_etcd::binary() else {
        return skip(name, "no etcd in PATH, nor in the directory that KUBEWRIGHT_TEST_KUBE names");
    };
    let ground = Ground::new(binary);
    ground.init();

    let both = ground.join(&["cp2", "cp3"]);
    assert!(both.success(), "{:#?}\n{}\n{}", both.failures, ground.log("cp2"), ground.log("cp3"));
    assert_eq!(ground.voters(), ["cp1", "cp2", "cp3"]);
    assert_eq!(changed(&ground.join(&["cp2", "cp3"])), Vec::<&str>::new());

    ground.broken.lock().unwrap().insert("cp4".to_owned());
    let never = ground.join(&["cp4"]);
    let [failure] = &never.failures[..] else { panic!("{:#?}", never.failures) };
    assert_eq!((failure.kind, failure.title.as_str()), (FailureKind::Timeout, "etcd member started"));
    assert!(failure.details.iter().any(|(label, _)| label == "undone"), "{failure}");
    assert_eq!(ground.voters(), ["cp1", "cp2", "cp3"]);
    assert!(!ground.hosts["cp4"].files().contains_key(MANIFEST));

    ground.broken.lock().unwrap().clear();
    let again = ground.join(&["cp4"]);
    assert!(again.success(), "{:#?}\n{}", again.failures, ground.log("cp4"));
    assert_eq!(ground.voters(), ["cp1", "cp2", "cp3", "cp4"]);
}

//! Scenarios: a folder under `tests/scenarios` with what an operator wrote, what the hosts are like, and all that
//! comes of it.
//!
//! `cluster.yaml` is the configuration, `join.yaml` that of a host that joins the cluster, `patches/` the operator's patches, and `facts.yaml` what is known of the
//! hosts beyond the assumptions of [`HostFacts::assumed`]: see [`Told`].

use super::documents::Setting;
use super::documents::TTL_TOKEN_ID;
use super::input;
use super::text;
use kubewright::cluster::Cluster;
use kubewright::cluster::Layout;
use kubewright::cluster::prepare::Stock;
use kubewright::config::Overrides;
use kubewright::etcd::Fake as Etcd;
use kubewright::facts::ClusterFacts;
use kubewright::facts::EtcdMembership;
use kubewright::facts::HostFacts;
use kubewright::facts::NodeFacts;
use kubewright::facts::addons::Installed;
use kubewright::kube::static_pod::SigningKeys;
use kubewright::phase::Context;
use kubewright::phase::Options;
use kubewright::phase::build;
use kubewright::phase::join::JOIN;
use kubewright::phase::select;
use kubewright::phase::select::Selected;
use kubewright::phase::workflow::CLUSTER;
use kubewright::phase::workflow::INIT;
use kubewright::pki::Ca;
use kubewright::pki::CertName;
use kubewright::plan::Plan;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

/// `facts.yaml`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Told {
    /// Fields of `HostFacts` by host.
    hosts: BTreeMap<String, Value>,
    /// Authorities whose key is kept elsewhere, by their file: `ca`, `etcd/ca`.
    external: Vec<String>,
    /// The number of `CoreDNS` pods in a running cluster.
    coredns_replicas: Option<u32>,
    corefile: Option<String>,
    prepare: bool,
    /// What is in the directory of `spec.artifacts`.
    stock: Stock,
    /// Files of an external etcd's client that the cluster hands out.
    downloaded: BTreeSet<String>,
    /// What the receipt says that an earlier run did or made.
    ours: BTreeSet<String>,
    /// Members of add-ons that earlier runs have installed.
    addons: BTreeMap<String, Vec<String>>,
    /// Voters of the cluster's own etcd, by name; those after a `!` do not answer.
    etcd: Vec<String>,
    /// The host of the file on which `init` runs, instead of all hosts at once.
    init_on: Option<String>,
}

pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) cluster: Cluster,
    pub(crate) facts: BTreeMap<String, HostFacts>,
    pub(crate) external: BTreeSet<Ca>,
    pub(crate) selected: Vec<Selected>,
    pub(crate) running: ClusterFacts,
    downloaded: BTreeSet<String>,
    ours: BTreeSet<String>,
    pub(crate) options: Options,
}

/// All scenarios, each with the layout that its configuration says.
pub(crate) fn all() -> Vec<Scenario> {
    let found: Vec<Scenario> = names().iter().map(|name| Scenario::load(name, None)).collect();
    assert!(found.len() >= 34, "only {} scenarios", found.len());
    found
}

/// Those that can be planned with either layout: some add-ons go along with one of them only.
pub(crate) fn of_any_layout() -> Vec<String> {
    names().into_iter().filter(|name| !name.starts_with("addons-")).collect()
}

/// The folders under `tests/scenarios`.
pub(crate) fn names() -> Vec<String> {
    let root = root();
    let inputs = text::files(&root).into_iter().filter(|path| path.ends_with("cluster.yaml"));
    let folder = |path: PathBuf| path.parent()?.strip_prefix(&root).ok()?.to_str().map(str::to_owned);
    inputs.filter_map(folder).filter(|name| !name.contains('/')).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

impl Scenario {
    /// One scenario; `layout` takes precedence over what its configuration says.
    pub(crate) fn load(name: &str, layout: Option<Layout>) -> Self {
        let folder = root().join(name);
        let input = text::read(&folder.join("cluster.yaml"));
        let file = format!("{name}/cluster.yaml");
        let loaded = input::load(&file, &input, &Overrides { layout, ..Overrides::default() });
        let mut cluster = loaded.cluster;
        // Who names a certificate key wants the certificates uploaded.
        cluster.upload_certs = cluster.certificate_key.is_some();
        if let Some(directory) = loaded.patches_directory {
            cluster.patches = input::patches(&folder.join(directory));
        }
        let told = folder.join("facts.yaml");
        let told: Told =
            if told.is_file() { serde_yaml::from_str(&text::read(&told)).unwrap() } else { Told::default() };
        cluster.prepare.artifacts.stock = told.stock.clone();
        input::manifests(&mut cluster, &folder);
        input::charts(&mut cluster, &folder);
        let mut phases = CLUSTER;
        let join = folder.join("join.yaml");
        if join.is_file() {
            phases = JOIN;
            input::join(&mut cluster, &format!("{name}/join.yaml"), &text::read(&join));
        }
        if let Some(host) = &told.init_on {
            phases = INIT;
            cluster.keep_only(host);
        }
        let options =
            Options { prepare: told.prepare, ttl_token_id: TTL_TOKEN_ID.to_owned(), ..Options::default() };
        Self {
            name: name.to_owned(),
            facts: facts(&cluster, &told),
            external: told.external.iter().map(|base| authority(base)).collect(),
            selected: select::skipping(phases, &loaded.skip_phases).unwrap(),
            downloaded: told.downloaded.clone(),
            ours: told.ours.clone(),
            running: ClusterFacts {
                coredns_replicas: told.coredns_replicas,
                corefile: told.corefile,
                addons: installed(told.addons),
                etcd: (!told.etcd.is_empty()).then(|| membership(&told.etcd)),
                ..ClusterFacts::default()
            },
            cluster,
            options,
        }
    }

    pub(crate) fn context(&self) -> Context<'_> {
        Context {
            cluster: &self.cluster,
            facts: &self.facts,
            running: &self.running,
            external: &self.external,
            downloaded: &self.downloaded,
            ours: &self.ours,
            options: &self.options,
        }
    }

    /// What the cluster says of a host that has joined it.
    pub(crate) fn see_as_joined(&mut self, etcd: &Etcd) {
        if !self.cluster.joining {
            return;
        }
        let name = self.cluster.nodes[0].registered_name().to_owned();
        self.running.namesake = Some(NodeFacts { name, ready: true, ..NodeFacts::default() });
        if self.running.etcd.is_some() {
            self.running.etcd = EtcdMembership::gather(etcd).ok();
        }
    }

    /// What the cluster notes of add-ons by then.
    pub(crate) fn see_addons<'a>(&mut self, objects: impl Iterator<Item = &'a Value>) {
        self.running.addons =
            objects.filter_map(Installed::of).filter(|found| !found.members.is_empty()).collect();
    }

    pub(crate) fn plan(&self) -> Plan {
        build::plan(&self.context(), &self.selected)
            .unwrap_or_else(|error| panic!("{}: {error:#}", self.name))
    }

    /// The first control plane as those see it who render its documents one by one.
    pub(crate) fn setting(&self) -> Setting {
        let node = self.cluster.first_control_plane();
        let has = |ca| !self.external.contains(&ca);
        let rootless = self.context().rootless(node).unwrap();
        Setting {
            facts: self.facts[&node.name].clone(),
            signing: SigningKeys { kubernetes: has(Ca::Kubernetes), kubelet: has(Ca::Kubelet) },
            rootless,
        }
    }

    pub(crate) fn expected(&self) -> PathBuf {
        root().join(&self.name).join("expected")
    }
}

fn facts(cluster: &Cluster, told: &Told) -> BTreeMap<String, HostFacts> {
    let named: BTreeSet<&String> = cluster.nodes.iter().map(|node| &node.name).collect();
    for host in told.hosts.keys() {
        assert!(named.contains(host), "facts.yaml speaks of {host}, which is no host of the cluster");
    }
    let of_host = |name: &String| {
        let mut value = serde_json::to_value(HostFacts::assumed(name)).unwrap();
        if let Some(over) = told.hosts.get(name) {
            json_patch::merge(&mut value, over);
        }
        (name.clone(), serde_json::from_value(value).unwrap())
    };
    named.into_iter().map(of_host).collect()
}

fn installed(addons: BTreeMap<String, Vec<String>>) -> Vec<Installed> {
    addons.into_iter().map(|(name, members)| Installed { name, members }).collect()
}

fn membership(voters: &[String]) -> EtcdMembership {
    let names: Vec<&str> = voters.iter().map(|name| name.trim_start_matches('!')).collect();
    let etcd = Etcd::with_voters(&names);
    voters.iter().filter_map(|name| name.strip_prefix('!')).for_each(|name| etcd.kill(name));
    EtcdMembership::gather(&etcd).unwrap()
}

fn authority(base: &str) -> Ca {
    let found = Ca::ALL.into_iter().find(|ca| CertName::Ca(*ca).base() == base);
    found.unwrap_or_else(|| panic!("no authority is called {base}"))
}

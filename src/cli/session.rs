//! A run on the host we are on: what is wanted, what is so, and the plan between the two.

use crate::api::Access;
use crate::api::Api;
use crate::api::ApiProvider;
use crate::api::Selector;
use crate::api::provider::Kubeconfigs;
use crate::apply;
use crate::apply::World;
use crate::apply::receipt::Receipt;
use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::images::CriImages;
use crate::cli::interrupt;
use crate::cli::pki_files;
use crate::cli::pods::CriPods;
use crate::cli::resolver::Handed;
use crate::cli::resolver::Resolver;
use crate::cli::settings::Settings;
use crate::cli::tokens;
use crate::clock::Clock;
use crate::clock::System;
use crate::cluster::Cluster;
use crate::cluster::KubeVersion;
use crate::cluster::Node;
use crate::cluster::Secret;
use crate::discovery;
use crate::etcd;
use crate::etcd::Etcd;
use crate::etcd::EtcdProvider;
use crate::etcd::NoEtcd;
use crate::facts::ClusterFacts;
use crate::facts::HostFacts;
use crate::facts::NodeFacts;
use crate::facts::Questions;
use crate::facts::addons::COREFILE_ANNOTATION;
use crate::facts::addons::INVENTORY_LABEL;
use crate::facts::addons::Installed;
use crate::facts::api_servers;
use crate::facts::baseline;
use crate::facts::baseline::Untouched;
use crate::facts::footprint::Watch;
use crate::facts::gather;
use crate::host::Fleet;
use crate::host::Host;
use crate::host::HostError;
use crate::host::local::Local;
use crate::kube::images;
use crate::phase::Context;
use crate::phase::Options;
use crate::phase::build;
use crate::phase::join::KUBELET_KUBECONFIG;
use crate::phase::kubeconfig;
use crate::phase::select;
use crate::phase::select::Selected;
use crate::pki;
use crate::pki::Bundle;
use crate::pki::Ca;
use crate::pki::CertName;
use crate::pki::CertSpec;
use crate::pki::decide;
use crate::pki::decide::Request;
use crate::pki::inventory::FileState;
use crate::pki::inventory::Inventory;
use crate::pki::pin;
use crate::pki::random;
use crate::pki::random::SystemRandom;
use crate::pki::spec;
use crate::plan::Content;
use crate::plan::Identity;
use crate::plan::ObjectRef;
use crate::plan::Plan;
use crate::report::Event;
use crate::report::Report;
use crate::report::Reporter;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use time::OffsetDateTime;

/// Where the administrator's kubeconfig is unless another one is named.
pub(super) const ADMIN_CONF: &str = "/etc/kubernetes/admin.conf";

/// Everything that is known before planning.
pub(super) struct Session {
    pub host: Arc<Local>,
    pub cluster: Cluster,
    pub facts: BTreeMap<String, HostFacts>,
    pub receipt: Option<Receipt>,
    pub(super) inventories: BTreeMap<String, Inventory>,
    pub(super) external: BTreeSet<Ca>,
    pub(super) running: ClusterFacts,
    pub(super) options: Options,
    pub(super) ttl_token: (String, Secret),
    /// Another kubeconfig than the administrator's, used as it is.
    pub(super) kubeconfig: Option<String>,
    pub(super) now: OffsetDateTime,
    pub(super) interrupt: Arc<AtomicBool>,
    /// What the cluster hands out to a host that joins it.
    pub(super) handed: Option<Handed>,
    /// Identities made before planning, for asking the cluster.
    pub(super) bundle: Option<Arc<Bundle>>,
    pub(super) etcd: Option<Arc<dyn Etcd>>,
    /// How the host is before the first change, where somebody looked already.
    pub(super) untouched: Option<Untouched>,
}

/// What to ask the host, beyond its PKI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    /// Everything that preflight and the static pods need; `measure` also tries the disk, which writes to it.
    Full { measure: bool },
    /// Nothing: certificates and kubeconfigs do not depend on it.
    None,
}

impl Session {
    /// Asks the host everything that planning needs.
    ///
    /// # Errors
    /// The host cannot be asked, or its receipt cannot be understood.
    pub(super) fn open(
        cluster: Cluster,
        mut options: Options,
        kubeconfig: Option<String>,
        probe: Probe,
        settings: &Settings,
    ) -> Result<Self, CliError> {
        let node = cluster.first_control_plane().clone();
        let host = Arc::new(Local::new(&node.name));
        let now = System.now();
        let specs = spec::all_specs(&cluster);
        let mut inventory = pki_files::read(&*host, &cluster, &specs).map_err(|error| {
            let denied = error.io_kind() == Some(ErrorKind::PermissionDenied);
            let error = CliError::new(Exit::Host, error);
            if denied { error.hint("run this as root") } else { error }
        })?;
        let receipt = Receipt::load(&*host, apply::receipt::PATH).or_exit(Exit::Host)?;
        if let Some(receipt) = &receipt {
            pki_files::forget_unfinished(&mut inventory, &specs, receipt);
        }
        let mut facts = match probe {
            Probe::Full { measure } => full_probe(&*host, &cluster, &node, settings, measure)?,
            Probe::None => HostFacts::assumed(&node.name),
        };
        note_pki_paths(&mut facts, &inventory);
        let inventories = BTreeMap::from([(node.name.clone(), inventory)]);
        let external = pki_files::external(&cluster, &inventories, now);
        let ttl_token = random::token(&mut SystemRandom);
        options.ttl_token_id.clone_from(&ttl_token.0);
        let mut session = Self {
            host,
            facts: BTreeMap::from([(node.name.clone(), facts)]),
            cluster,
            receipt,
            inventories,
            external,
            running: ClusterFacts::default(),
            options,
            ttl_token,
            kubeconfig,
            now,
            interrupt: interrupt::flag().or_exit(Exit::Failure)?,
            handed: None,
            bundle: None,
            etcd: None,
            untouched: None,
        };
        if probe != Probe::None {
            session.running = session.ask_cluster();
        }
        Ok(session)
    }

    /// Takes over a token that an earlier run made, so that running again makes no second one. Without a cluster, or
    /// without such a token that still lives, the new one stays, and the answer is no.
    pub(super) fn adopt_token(&mut self) -> bool {
        let found =
            self.api().client(Identity::Admin).ok().and_then(|api| tokens::default_token(&*api, self.now));
        let (Some(found), Some(token)) = (found, self.cluster.tokens.first_mut()) else { return false };
        (token.id, token.secret) = found;
        true
    }

    pub(super) fn node(&self) -> &Node {
        self.cluster.this_node()
    }

    /// Whether the kubelet of a joined node has to ask for its serving certificate, and somebody has to approve.
    pub(super) fn waits_for_serving_certificate(&self) -> bool {
        let asks = self.cluster.kubelet.value.get("serverTLSBootstrap").and_then(serde_json::Value::as_bool);
        asks == Some(true) && !(self.node().is_control_plane() && self.cluster.five_chains())
    }

    pub(super) fn running(&self) -> &ClusterFacts {
        &self.running
    }

    pub(super) fn facts(&self) -> &HostFacts {
        &self.facts[&self.node().name]
    }

    /// Plans the selected phases, after checking that what they need is selected or done.
    ///
    /// # Errors
    /// A phase that is needed is missing, or the configuration cannot be rendered.
    pub(super) fn plan(&self, selected: &[Selected]) -> Result<Plan, CliError> {
        let downloaded = self.handed.iter().flat_map(|handed| handed.files.keys().cloned()).collect();
        let ours = self.receipt.as_ref().map(Receipt::ours).unwrap_or_default();
        let context = Context {
            cluster: &self.cluster,
            facts: &self.facts,
            running: &self.running,
            external: &self.external,
            downloaded: &downloaded,
            ours: &ours,
            options: &self.options,
        };
        let done = |phase: &crate::phase::Phase| phase.done.is_some_and(|done| done(&context, self.node()));
        select::check(selected, done).or_exit(Exit::Usage)?;
        build::plan(&context, selected).or_exit(Exit::Configuration)
    }

    /// Decides on the identities that a plan names, and makes those that are missing.
    ///
    /// # Errors
    /// What is on the host contradicts itself or the cluster; all problems are listed.
    pub(super) fn resolver(
        &self,
        plan: &Plan,
        dry_run: bool,
        reporter: &Reporter,
    ) -> Result<Resolver<'_>, CliError> {
        let bundle = match &self.bundle {
            Some(bundle) => Arc::clone(bundle),
            None => Arc::new(self.complete(&pki_files::named_by(plan, &self.cluster), dry_run, reporter)?),
        };
        let resolver = Resolver::new(&self.cluster, bundle, self.ttl_token.clone(), &*self.host, dry_run);
        Ok(Resolver { handed: self.handed.as_ref(), ..resolver })
    }

    /// Decides on certificates, and makes those that are missing; in a dry run they are left out.
    ///
    /// # Errors
    /// As for [`Self::resolver`].
    pub(super) fn complete(
        &self,
        specs: &[CertSpec],
        dry_run: bool,
        reporter: &Reporter,
    ) -> Result<Bundle, CliError> {
        let request =
            Request { cluster: &self.cluster, specs, inventories: &self.inventories, now: self.now };
        let decisions = decide::decide(&request);
        for warning in &decisions.warnings {
            reporter.tell(&Event::Warning {
                host: Some(self.node().name.clone()),
                message: warning.message.clone(),
                hint: Some(warning.hint.clone()).filter(|hint| !hint.is_empty()),
            });
        }
        pki_files::bundle(&self.cluster, specs, decisions, self.now, dry_run).or_exit(Exit::Pki)
    }

    /// What a joining host recognises the cluster by: of the authority at hand, or of the one on the host when this
    /// run had no use for it.
    pub(super) fn pins(&self, resolver: &Resolver<'_>) -> Vec<String> {
        let pins = resolver.bundle.pins();
        if !pins.is_empty() {
            return pins;
        }
        let path = spec::authority_paths(&self.cluster, Ca::Kubernetes).certificate.unwrap_or_default();
        let Some(FileState::Present { bytes, .. }) = self.inventories[&self.node().name].get(&path) else {
            return pins;
        };
        pki::load::certificates(bytes).ok().and_then(|all| all.first().map(pin::pin)).into_iter().collect()
    }

    /// Carries out a plan, or looks what it would do. What goes wrong on the way is in the report. Before the first
    /// change ever, how the host is now is written down for `reset`.
    ///
    /// # Errors
    /// The host cannot be looked at, or cannot write that down.
    pub(super) fn execute(
        &self,
        plan: &Plan,
        resolver: &Resolver<'_>,
        options: &apply::Options,
        events: &(dyn Fn(Event) + Sync),
    ) -> Result<Report, CliError> {
        if !options.dry_run {
            self.record_baseline().or_exit(Exit::Host)?;
        }
        let mut hosts = Fleet::new();
        hosts.insert(Arc::clone(&self.host) as Arc<dyn Host>);
        let api = self.api();
        let etcd = self.etcd.clone().map(etcd::Known);
        let world = World {
            hosts: &hosts,
            api: &api,
            etcd: etcd.as_ref().map_or(&NoEtcd as &dyn EtcdProvider, |known| known),
            resolver,
            images: &CriImages,
            pods: &CriPods,
            clock: &System,
            events,
            interrupt: &self.interrupt,
            options,
        };
        Ok(apply::execute(plan, &world))
    }

    /// A host with a receipt is past its first change: what it was before is known, or never will be.
    fn record_baseline(&self) -> Result<(), HostError> {
        if self.receipt.is_some() {
            return Ok(());
        }
        let watch = Watch::of(&self.cluster);
        let untouched = match self.untouched.as_ref().filter(|untouched| untouched.watch == watch) {
            Some(untouched) => untouched.clone(),
            None => baseline::look(&*self.host, watch)?,
        };
        baseline::record(&*self.host, untouched, self.now)
    }

    /// The API of this cluster. The administrator's kubeconfig is used with the API server of this host, since the
    /// cluster's endpoint may not lead anywhere yet; on a host that joins it leads to the others.
    pub(super) fn api(&self) -> Kubeconfigs<'_> {
        Kubeconfigs::new(|identity| self.access(identity))
    }

    fn access(&self, identity: Identity) -> Result<Option<Access>, String> {
        let own = self.kubeconfig.as_deref().filter(|path| *path != ADMIN_CONF);
        let local = own.is_none().then(|| self.cluster.local_url(self.node()));
        let through_endpoint = local.clone().filter(|_| !self.cluster.joining);
        let (path, server) = match (own, identity) {
            (Some(path), _) => (path, None),
            (None, Identity::Admin) => (ADMIN_CONF, through_endpoint),
            (None, Identity::LocalAdmin) => (ADMIN_CONF, local),
            (None, Identity::SuperAdmin) => ("/etc/kubernetes/super-admin.conf", through_endpoint),
            (None, Identity::Node) => (KUBELET_KUBECONFIG, None),
        };
        let entry = self.host.read(path).map_err(|error| error.to_string())?;
        let kubeconfig = entry.and_then(|entry| entry.content().map(<[u8]>::to_vec));
        let kubeconfig = kubeconfig.or_else(|| self.made(identity));
        let kubeconfig = match (identity, kubeconfig) {
            // It names the files of the kubelet's store, which are on the host and perhaps not here.
            (Identity::Node, Some(bytes)) => {
                let found = discovery::adopt(&bytes, path, &*self.host).map_err(|error| error.to_string())?;
                Some(found.credentials.to_vec())
            }
            (_, kubeconfig) => kubeconfig,
        };
        Ok(kubeconfig.map(|kubeconfig| Access { kubeconfig, server }))
    }

    /// The administrator's kubeconfig before it is on the host.
    fn made(&self, identity: Identity) -> Option<Vec<u8>> {
        let wanted = matches!(identity, Identity::Admin | Identity::LocalAdmin);
        let bundle = self.bundle.as_ref().filter(|_| wanted)?;
        let entry = kubeconfig::ENTRIES.iter().find(|entry| entry.cert == CertName::Admin)?;
        let content = Content::Kubeconfig(kubeconfig::kubeconfig(&self.cluster, self.node(), entry));
        bundle.resolve(&content).ok().map(|bytes| bytes.to_vec())
    }

    /// What a cluster that runs already says about the operator's own choices. No answer means no cluster.
    fn ask_cluster(&self) -> ClusterFacts {
        let admin = self.kubeconfig.as_deref().unwrap_or(ADMIN_CONF);
        if !matches!(self.host.read(admin), Ok(Some(_))) {
            return ClusterFacts::default();
        }
        self.api().client(Identity::Admin).map(|api| cluster_facts(&*api)).unwrap_or_default()
    }
}

pub(super) fn cluster_facts(api: &dyn Api) -> ClusterFacts {
    let of = |api_version, kind| ObjectRef::new(api_version, kind, "kube-system", "coredns");
    let Ok(deployment) = api.get(&of("apps/v1", "Deployment")) else { return ClusterFacts::default() };
    let replicas = deployment.and_then(|object| object.pointer("/spec/replicas")?.as_u64());
    let corefile = api.get(&of("v1", "ConfigMap")).ok().flatten();
    let nodes = api.list(&ObjectRef::new("v1", "Node", "", ""), &Selector::all()).unwrap_or_default();
    let nodes: Vec<NodeFacts> = nodes.iter().map(NodeFacts::of).collect();
    let inventories = Selector::all().label(INVENTORY_LABEL, "true");
    let maps = ObjectRef::new("v1", "ConfigMap", "kube-system", "");
    let addons = api.list(&maps, &inventories).unwrap_or_default();
    ClusterFacts {
        runs: true,
        addons: addons.iter().filter_map(Installed::of).collect(),
        api_servers: api_servers(api, &nodes),
        nodes,
        coredns_replicas: replicas.and_then(|count| u32::try_from(count).ok()),
        corefile: corefile
            .as_ref()
            .and_then(|object| Some(object.pointer("/data/Corefile")?.as_str()?.to_owned())),
        corefile_mark: corefile.and_then(|object| {
            Some(object["metadata"]["annotations"].get(COREFILE_ANNOTATION)?.as_str()?.to_owned())
        }),
        ..ClusterFacts::default()
    }
}

/// The versions of the API servers. Who may not look at pods, or finds none that tells one, asks the one that answers.
pub(super) fn api_servers(api: &dyn Api, nodes: &[NodeFacts]) -> BTreeMap<String, KubeVersion> {
    let pods = ObjectRef::new("v1", "Pod", "kube-system", "");
    let labelled = Selector::all().label("component", "kube-apiserver").label("tier", "control-plane");
    let found = api_servers::of_pods(&api.list(&pods, &labelled).unwrap_or_default(), nodes);
    if !found.is_empty() {
        return found;
    }
    let answer = api.raw("/version").ok().as_deref().and_then(api_servers::of_answer);
    answer.map(|version| (api_servers::SOME.to_owned(), version)).into_iter().collect()
}

fn full_probe(
    host: &dyn Host,
    cluster: &Cluster,
    node: &Node,
    settings: &Settings,
    measure: bool,
) -> Result<HostFacts, CliError> {
    let images = images::list(cluster);
    let mut questions = Questions::for_node(cluster, node, &images).local(settings.proxy_env.clone());
    let data_dir = cluster.configuration.etcd.local.as_ref().map(|etcd| etcd.data_dir.clone());
    questions.measure_sync = data_dir.filter(|_| measure && cluster.has_local_etcd());
    gather::gather(host, &questions).or_exit(Exit::Host)
}

/// The PKI was read file by file; what exists of it counts as asked for.
pub(super) fn note_pki_paths(facts: &mut HostFacts, inventory: &Inventory) {
    let exists = |path: &&str| !matches!(inventory.get(path), None | Some(FileState::Absent));
    facts.existing_paths.extend(inventory.paths().filter(exists).map(str::to_owned));
}

//! A run on the host we are on: what is wanted, what is so, and the plan between the two.

use crate::api::Access;
use crate::api::Api;
use crate::api::ApiProvider;
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
use crate::cli::resolver::Resolver;
use crate::cli::settings::Settings;
use crate::cli::tokens;
use crate::clock::Clock;
use crate::clock::System;
use crate::cluster::Cluster;
use crate::cluster::Node;
use crate::cluster::Secret;
use crate::etcd::NoEtcd;
use crate::facts::ClusterFacts;
use crate::facts::HostFacts;
use crate::facts::Questions;
use crate::facts::baseline;
use crate::facts::footprint::Watch;
use crate::facts::gather;
use crate::host::Fleet;
use crate::host::Host;
use crate::host::local::Local;
use crate::kube::images;
use crate::phase::Context;
use crate::phase::Options;
use crate::phase::build;
use crate::phase::select;
use crate::phase::select::Selected;
use crate::pki;
use crate::pki::Ca;
use crate::pki::decide;
use crate::pki::decide::Request;
use crate::pki::inventory::FileState;
use crate::pki::inventory::Inventory;
use crate::pki::pin;
use crate::pki::random;
use crate::pki::random::SystemRandom;
use crate::pki::spec;
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
use time::OffsetDateTime;

/// Where the administrator's kubeconfig is unless another one is named.
pub(super) const ADMIN_CONF: &str = "/etc/kubernetes/admin.conf";

/// Everything that is known before planning.
#[derive(Debug)]
pub(super) struct Session {
    pub host: Arc<Local>,
    pub cluster: Cluster,
    pub facts: BTreeMap<String, HostFacts>,
    pub receipt: Option<Receipt>,
    inventories: BTreeMap<String, Inventory>,
    external: BTreeSet<Ca>,
    running: ClusterFacts,
    options: Options,
    ttl_token: (String, Secret),
    /// Another kubeconfig than the administrator's, used as it is.
    kubeconfig: Option<String>,
    now: OffsetDateTime,
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
        let context = Context {
            cluster: &self.cluster,
            facts: &self.facts,
            running: &self.running,
            external: &self.external,
            downloaded: &BTreeSet::new(),
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
        let specs = pki_files::named_by(plan, &self.cluster);
        let request =
            Request { cluster: &self.cluster, specs: &specs, inventories: &self.inventories, now: self.now };
        let decisions = decide::decide(&request);
        for warning in &decisions.warnings {
            reporter.tell(&Event::Warning {
                host: Some(self.node().name.clone()),
                message: warning.message.clone(),
                hint: Some(warning.hint.clone()).filter(|hint| !hint.is_empty()),
            });
        }
        let bundle =
            pki_files::bundle(&self.cluster, &specs, decisions, self.now, dry_run).or_exit(Exit::Pki)?;
        Ok(Resolver::new(&self.cluster, bundle, self.ttl_token.clone(), &*self.host, dry_run))
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

    /// Carries out a plan, or looks what it would do.
    ///
    /// # Errors
    /// Signals cannot be caught. What goes wrong on the way is in the report.
    pub(super) fn execute(
        &self,
        plan: &Plan,
        resolver: &Resolver<'_>,
        options: &apply::Options,
        events: &(dyn Fn(Event) + Sync),
    ) -> Result<Report, CliError> {
        if !options.dry_run {
            let watch = Watch::of(&self.cluster);
            baseline::record(&*self.host, &watch, self.receipt.is_some(), self.now).or_exit(Exit::Host)?;
        }
        let interrupt = interrupt::flag().or_exit(Exit::Failure)?;
        let mut hosts = Fleet::new();
        hosts.insert(Arc::clone(&self.host) as Arc<dyn Host>);
        let api = self.api();
        let world = World {
            hosts: &hosts,
            api: &api,
            etcd: &NoEtcd,
            resolver,
            images: &CriImages,
            pods: &CriPods,
            clock: &System,
            events,
            interrupt: &interrupt,
            options,
        };
        Ok(apply::execute(plan, &world))
    }

    /// The API of this cluster. The administrator's kubeconfig is used with the API server of this host, since the
    /// cluster's endpoint may not lead anywhere yet.
    pub(super) fn api(&self) -> Kubeconfigs<'_> {
        let own = self.kubeconfig.as_deref().filter(|path| *path != ADMIN_CONF);
        let local = self.cluster.local_url(self.node());
        let read = move |identity| {
            let path = match (own, identity) {
                (Some(path), _) => path,
                (None, Identity::Admin | Identity::LocalAdmin) => ADMIN_CONF,
                (None, Identity::SuperAdmin) => "/etc/kubernetes/super-admin.conf",
                (None, Identity::Node) => "/etc/kubernetes/kubelet.conf",
            };
            let entry = self.host.read(path).map_err(|error| error.to_string())?;
            let kubeconfig = entry.and_then(|entry| entry.content().map(<[u8]>::to_vec));
            let server = own.is_none().then(|| local.clone());
            Ok(kubeconfig.map(|kubeconfig| Access { kubeconfig, server }))
        };
        Kubeconfigs::new(read)
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

fn cluster_facts(api: &dyn Api) -> ClusterFacts {
    let of = |api_version, kind| ObjectRef::new(api_version, kind, "kube-system", "coredns");
    let Ok(deployment) = api.get(&of("apps/v1", "Deployment")) else { return ClusterFacts::default() };
    let replicas = deployment.and_then(|object| object.pointer("/spec/replicas")?.as_u64());
    let corefile = api.get(&of("v1", "ConfigMap")).ok().flatten();
    ClusterFacts {
        coredns_replicas: replicas.and_then(|count| u32::try_from(count).ok()),
        namesake: None,
        corefile: corefile.and_then(|object| Some(object.pointer("/data/Corefile")?.as_str()?.to_owned())),
        etcd: None,
    }
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
fn note_pki_paths(facts: &mut HostFacts, inventory: &Inventory) {
    let exists = |path: &&str| !matches!(inventory.get(path), None | Some(FileState::Absent));
    facts.existing_paths.extend(inventory.paths().filter(exists).map(str::to_owned));
}

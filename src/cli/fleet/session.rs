//! Everything that is known of a cluster before planning, and what is done with it.

use crate::api::Api;
use crate::api::ApiProvider as _;
use crate::apply::receipt::Receipt;
use crate::cli::error::CliError;
use crate::cli::error::OrExit as _;
use crate::cli::exit::Exit;
use crate::cli::fleet::api::FleetApi;
use crate::cli::fleet::ask;
use crate::cli::fleet::ask::Answers;
use crate::cli::fleet::connect::Connected;
use crate::cli::fleet::etcd;
use crate::cli::fleet::holders;
use crate::cli::fleet::nodes;
use crate::cli::interrupt;
use crate::cli::pki_files;
use crate::cli::session::cluster_facts;
use crate::clock::Clock as _;
use crate::clock::System;
use crate::cluster::Cluster;
use crate::cluster::Node;
use crate::cluster::Secret;
use crate::etcd::Etcd;
use crate::etcd::Membership;
use crate::facts::ClusterFacts;
use crate::facts::EtcdVersions;
use crate::facts::HostFacts;
use crate::facts::baseline;
use crate::facts::baseline::Untouched;
use crate::facts::etcd::versions as etcd_versions;
use crate::facts::footprint::Watch;
use crate::facts::links;
use crate::facts::links::Links;
use crate::facts::links::Wanted;
use crate::host::Fleet;
use crate::host::Host;
use crate::host::HostError;
use crate::host::fleet::side_by_side;
use crate::kube::images;
use crate::phase::Context;
use crate::phase::Draft;
use crate::phase::Options;
use crate::phase::build;
use crate::phase::growth;
use crate::phase::join::KUBELET_KUBECONFIG;
use crate::phase::select::Selected;
use crate::phase::wait_control_plane;
use crate::phase::wait_etcd;
use crate::pki::Bundle;
use crate::pki::Ca;
use crate::pki::CertName;
use crate::pki::CertSpec;
use crate::pki::decide;
use crate::pki::decide::Request;
use crate::pki::inventory;
use crate::pki::inventory::FileState;
use crate::pki::inventory::Inventory;
use crate::pki::random;
use crate::pki::random::SystemRandom;
use crate::plan::Action;
use crate::plan::Identity;
use crate::plan::Plan;
use crate::plan::Probe;
use crate::preflight::Ignore;
use crate::preflight::fleet::FleetReport;
use crate::preflight::fleet::FleetSubject;
use crate::preflight::fleet::HostInput;
use crate::preflight::fleet::Unreachable;
use crate::preflight::fleet::fleet_preflight;
use crate::report::Event;
use crate::report::Reporter;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use time::OffsetDateTime;

/// What it takes to ask a cluster and its etcd.
const ASKING: [CertName; 3] = [CertName::Admin, CertName::EtcdHealthcheckClient, CertName::Ca(Ca::Etcd)];

/// What is wanted of a cluster, and what is so on all its hosts.
pub(in crate::cli) struct FleetSession {
    pub cluster: Cluster,
    pub hosts: Fleet,
    pub(super) answers: Answers,
    /// How hosts are that nobody has changed yet, or why they do not tell; looked at when that costs no time.
    pub(super) untouched: OnceLock<BTreeMap<String, Result<Untouched, HostError>>>,
    pub running: ClusterFacts,
    pub(super) etcd: Option<Arc<dyn Etcd>>,
    pub(super) parallel: usize,
    external: BTreeSet<Ca>,
    pub options: Options,
    pub(super) ttl_token: (String, Secret),
    pub(super) now: OffsetDateTime,
    pub(super) interrupt: Arc<AtomicBool>,
}

impl FleetSession {
    /// Asks all hosts, and where a cluster runs, the cluster. Hosts that cannot be asked are for [`Self::preflight`] to
    /// tell.
    ///
    /// # Errors
    /// What is on the control planes contradicts itself.
    pub(in crate::cli) fn open(
        cluster: Cluster,
        connected: Connected,
        options: Options,
        parallel: usize,
        interrupt: Arc<AtomicBool>,
        reporter: &Reporter,
    ) -> Result<Self, CliError> {
        let mut answers = ask::all(&cluster, connected, parallel);
        holders::look_again(&cluster.virtual_addresses(), &answers.hosts, &mut answers.facts, &System);
        Self::with(cluster, answers, options, parallel, interrupt, reporter)
    }

    /// The same without asking anybody: every host counts as new, and nothing goes over a network.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub(in crate::cli) fn assumed(
        cluster: Cluster,
        options: Options,
        parallel: usize,
        interrupt: Arc<AtomicBool>,
        reporter: &Reporter,
    ) -> Result<Self, CliError> {
        let answers = ask::nobody(&cluster);
        Self::with(cluster, answers, options, parallel, interrupt, reporter)
    }

    fn with(
        mut cluster: Cluster,
        mut answers: Answers,
        mut options: Options,
        parallel: usize,
        interrupt: Arc<AtomicBool>,
        reporter: &Reporter,
    ) -> Result<Self, CliError> {
        let hosts = std::mem::take(&mut answers.hosts);
        if let Some(found) =
            answers.inventories.values().find_map(|one| inventory::found_layout(&cluster, one))
        {
            cluster.layout = found;
        }
        let now = System.now();
        let external = pki_files::external(&cluster, &answers.inventories, now);
        let mut ttl_token = random::token(&mut SystemRandom);
        if options.ttl_token_id.is_empty() {
            options.ttl_token_id.clone_from(&ttl_token.0);
        }
        // A plan that was reviewed has its name, which is no secret.
        ttl_token.0.clone_from(&options.ttl_token_id);
        let running = ClusterFacts::default();
        let mut session = Self {
            cluster,
            hosts,
            answers,
            untouched: OnceLock::new(),
            running,
            etcd: None,
            parallel,
            external,
            options,
            ttl_token,
            now,
            interrupt,
        };
        session.ask_cluster(reporter)?;
        Ok(session)
    }

    /// Judges all hosts together, each in its role and what lies between them. That is measured only where there is a
    /// host that is not a part of the cluster yet.
    pub(in crate::cli) fn preflight(&self, prepare: bool, ignore: &Ignore) -> FleetReport {
        let links = self.has_new_hosts().then(|| self.measure_links());
        let etcd = match self.hosts.get(&self.cluster.first_control_plane().name) {
            Some(host) => etcd_versions(&**host, &self.cluster, &System),
            None => EtcdVersions::default(),
        };
        let hosts = self.inputs();
        let subject = FleetSubject {
            cluster: &self.cluster,
            hosts: &hosts,
            links: links.as_ref(),
            prepare,
            etcd: &etcd,
            running: &self.running,
        };
        fleet_preflight(&subject, ignore)
    }

    /// While packets are waited for there is time for another look.
    fn measure_links(&self) -> Links {
        let wanted = Wanted::of(&self.cluster);
        std::thread::scope(|scope| {
            scope.spawn(|| self.untouched());
            links::measure(&self.hosts, &self.answers.facts, &wanted, self.parallel, &System)
        })
    }

    pub(super) fn untouched(&self) -> &BTreeMap<String, Result<Untouched, HostError>> {
        self.untouched.get_or_init(|| {
            let new = |host: &&Arc<dyn Host>| !self.answers.receipts.contains_key(host.name());
            let hosts = self.hosts.iter().filter(new).filter(|host| self.includes(host.name())).collect();
            let look = |host: &Arc<dyn Host>| {
                (host.name().to_owned(), baseline::look(&**host, Watch::of(&self.cluster)))
            };
            side_by_side(hosts, self.parallel, look).into_iter().collect()
        })
    }

    fn inputs(&self) -> BTreeMap<String, Result<HostInput, Unreachable>> {
        let included = |(name, _): &(&String, &Unreachable)| self.includes(name);
        let unreachable = self.answers.unreachable.iter().filter(included);
        let unreachable = unreachable.map(|(name, why)| (name.clone(), Err(why.clone())));
        let asked = self.answers.facts.iter().filter_map(|(name, facts)| {
            let images = images::of_host(&self.cluster, self.cluster.node(name)?);
            let ours = self.answers.receipts.get(name).map(Receipt::ours).unwrap_or_default();
            Some((name.clone(), Ok(HostInput { facts: facts.clone(), images, ours })))
        });
        unreachable.chain(asked).collect()
    }

    /// Whether the run is about a host.
    fn includes(&self, name: &str) -> bool {
        self.options.only.as_ref().is_none_or(|only| only.contains(name))
    }

    /// Hosts that the run is about, and that nobody could ask.
    pub(in crate::cli) fn silent(&self) -> impl Iterator<Item = (&str, &str)> {
        let unreachable = self.answers.unreachable.iter().filter(|(name, _)| self.includes(name));
        unreachable.map(|(name, why)| (name.as_str(), why.why.as_str()))
    }

    /// Hosts that nobody could ask, and that the run is not about.
    pub(in crate::cli) fn left_out(&self) -> impl Iterator<Item = (&str, &str)> {
        let unreachable = self.answers.unreachable.iter().filter(|(name, _)| !self.includes(name));
        unreachable.map(|(name, why)| (name.as_str(), why.why.as_str()))
    }

    /// Whether there is a host on which nothing of this cluster was ever set up.
    fn has_new_hosts(&self) -> bool {
        let new = |node: &Node| {
            let Some(facts) = self.answers.facts.get(&node.name) else { return false };
            if node.becomes_node() {
                !facts.existing_paths.contains(KUBELET_KUBECONFIG)
            } else {
                !self.answers.receipts.contains_key(&node.name)
            }
        };
        !self.running.runs || self.cluster.nodes.iter().any(new)
    }

    /// The same for whoever only looks: hosts that cannot be asked are left out of the plan, and why is told.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub(in crate::cli) fn open_to_look(
        cluster: Cluster,
        connected: Connected,
        parallel: usize,
        reporter: &Reporter,
    ) -> Result<(Self, BTreeMap<String, String>), CliError> {
        let interrupt = interrupt::flag().or_exit(Exit::Failure)?;
        let options = Options { prepare: true, ..Options::default() };
        let mut session = Self::open(cluster, connected, options, parallel, interrupt, reporter)?;
        let answers = &mut session.answers;
        let silent = answers.unreachable.iter().map(|(name, trouble)| (name.clone(), trouble.why.clone()));
        let silent: BTreeMap<String, String> = silent.collect();
        if !silent.is_empty() {
            session.options.only = Some(answers.facts.keys().cloned().collect());
        }
        for name in silent.keys() {
            answers.facts.insert(name.clone(), HostFacts::assumed(name));
            answers.inventories.insert(name.clone(), Inventory::default());
        }
        Ok((session, silent))
    }

    /// The plan of the selected phases. Pure.
    ///
    /// # Errors
    /// The configuration cannot be rendered.
    pub(in crate::cli) fn plan(&self, selected: &[Selected]) -> Result<Plan, CliError> {
        let nothing = BTreeSet::new();
        let context = self.context(&nothing);
        let ours = self.answers.receipts.iter().map(|(host, receipt)| (host.clone(), receipt.ours()));
        growth::plan(&context, selected, &ours.collect()).or_exit(Exit::Configuration)
    }

    /// The plan of phases that go through the API alone: who founds or joins plays no part in it. Pure.
    ///
    /// # Errors
    /// The configuration cannot be rendered.
    pub(in crate::cli) fn plan_as_listed(&self, selected: &[Selected]) -> Result<Plan, CliError> {
        build::plan(&self.context(&BTreeSet::new()), selected).or_exit(Exit::Configuration)
    }

    fn context<'a>(&'a self, nothing: &'a BTreeSet<String>) -> Context<'a> {
        Context {
            cluster: &self.cluster,
            facts: &self.answers.facts,
            running: &self.running,
            external: &self.external,
            downloaded: nothing,
            ours: nothing,
            options: &self.options,
        }
    }

    /// What a control plane, or a host of etcd alone, is asked to find out whether it is well.
    pub(in crate::cli) fn health_probes(&self, node: &Node) -> Vec<(String, Probe)> {
        let waits = if node.is_etcd_host() { wait_etcd::plan } else { wait_control_plane::plan };
        let drafts = waits(&self.context(&BTreeSet::new()), node, "").unwrap_or_default();
        let probe = |draft: Draft| match draft.action {
            Action::Wait(wait) => Some((draft.title.trim_end_matches(" healthy").to_owned(), wait.probe)),
            _ => None,
        };
        drafts.into_iter().filter_map(probe).collect()
    }

    pub(in crate::cli) fn facts(&self) -> &BTreeMap<String, HostFacts> {
        &self.answers.facts
    }

    pub(in crate::cli) fn inventory(&self, host: &str) -> Option<&Inventory> {
        self.answers.inventories.get(host)
    }

    /// The cluster's own etcd, where a member has been started.
    pub(in crate::cli) fn etcd(&self) -> Option<&dyn Etcd> {
        self.etcd.as_deref()
    }

    /// Decides on the identities that a plan names and that a run over the cluster needs, and makes what is missing;
    /// in a dry run only what it takes to ask a cluster that runs.
    ///
    /// # Errors
    /// What is on the hosts contradicts itself or the cluster; all problems are listed.
    pub(in crate::cli) fn bundle(
        &self,
        plan: &Plan,
        dry_run: bool,
        reporter: &Reporter,
    ) -> Result<Arc<Bundle>, CliError> {
        let mut specs = pki_files::named_by(plan, &self.cluster);
        pki_files::add(&mut specs, &self.cluster, &ASKING);
        self.complete(&specs, dry_run, reporter).map(Arc::new)
    }

    fn complete(&self, specs: &[CertSpec], dry_run: bool, reporter: &Reporter) -> Result<Bundle, CliError> {
        let request =
            Request { cluster: &self.cluster, specs, inventories: &self.answers.inventories, now: self.now };
        let decisions = decide::decide(&request);
        for warning in &decisions.warnings {
            reporter.tell(&Event::Warning {
                host: Some(warning.node.clone()).filter(|host| !host.is_empty()),
                message: warning.message.clone(),
                hint: Some(warning.hint.clone()).filter(|hint| !hint.is_empty()),
            });
        }
        pki_files::bundle(&self.cluster, specs, decisions, self.now, dry_run).or_exit(Exit::Pki)
    }

    pub(super) fn api(&self, bundle: Arc<Bundle>) -> FleetApi {
        FleetApi::new(self.cluster.clone(), self.hosts.clone(), bundle)
    }

    /// A client of the API, with an identity from memory.
    ///
    /// # Errors
    /// There is no such identity, or no control plane to ask.
    pub(in crate::cli) fn client(
        &self,
        identity: Identity,
        reporter: &Reporter,
    ) -> Result<Arc<dyn Api>, String> {
        let mut specs = Vec::new();
        pki_files::add(&mut specs, &self.cluster, &ASKING);
        let bundle = self.complete(&specs, false, reporter).map_err(|error| format!("{:#}", error.cause))?;
        self.api(Arc::new(bundle)).client(identity).map_err(|error| error.to_string())
    }

    /// What a cluster that runs already says. Where no control plane has an authority, or none answers, there is none.
    fn ask_cluster(&mut self, reporter: &Reporter) -> Result<(), CliError> {
        if !self.has_authority() {
            return Ok(());
        }
        let mut specs = Vec::new();
        pki_files::add(&mut specs, &self.cluster, &ASKING);
        let bundle = Arc::new(self.complete(&specs, false, reporter)?);
        let client = self.api(Arc::clone(&bundle)).client(Identity::Admin);
        if let Ok(api) = client {
            self.running = cluster_facts(&*api);
            nodes::add_pods(&*api, &self.cluster, &mut self.running);
        }
        if let Some(etcd) = etcd::client(&self.cluster, &self.hosts, &self.answers.facts, &bundle) {
            match Membership::gather(&*etcd) {
                Ok(members) => {
                    etcd::look_again(&self.cluster, &self.hosts, &members, &mut self.answers.facts);
                    self.running.etcd = Some(members);
                }
                Err(error) => self.running.etcd_trouble = Some(error.to_string()),
            }
            self.etcd = Some(etcd);
        }
        Ok(())
    }

    /// Whether a control plane has the cluster's authority, so that there is, or was, a cluster.
    pub(in crate::cli) fn has_authority(&self) -> bool {
        let path = format!("{}/ca.crt", self.cluster.certificates_dir());
        let there = |name: &String| {
            let inventory = self.answers.inventories.get(name);
            inventory.is_some_and(|one| !matches!(one.get(&path), None | Some(FileState::Absent)))
        };
        self.cluster.control_planes().any(|node| there(&node.name))
    }
}

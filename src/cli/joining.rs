//! What a host must know before it plans to join: of itself, of the cluster, and for a control plane of its etcd.
//! Nothing is changed here.

use crate::api::Api;
use crate::api::KubeApi;
use crate::apply::receipt;
use crate::apply::receipt::Receipt;
use crate::cli::artifacts;
use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::interrupt;
use crate::cli::load;
use crate::cli::output;
use crate::cli::pki_files;
use crate::cli::resolver::Handed;
use crate::cli::session;
use crate::cli::session::ADMIN_CONF;
use crate::cli::session::Session;
use crate::cli::settings::Settings;
use crate::clock::Clock as _;
use crate::clock::System;
use crate::cluster::Cluster;
use crate::cluster::KubeVersion;
use crate::cluster::Layout;
use crate::cluster::Node;
use crate::cluster::Secret;
use crate::cluster::Site;
use crate::config;
use crate::config::Environment;
use crate::config::LoadedJoin;
use crate::config::Overrides;
use crate::config::Purpose;
use crate::config::Strictness;
use crate::config::stored;
use crate::config::stored::Joining;
use crate::config::stored::Stored;
use crate::discovery;
use crate::discovery::DiscoveryError;
use crate::discovery::Found;
use crate::discovery::stored::FetchError;
use crate::facts::ClusterFacts;
use crate::facts::HostFacts;
use crate::facts::NodeFacts;
use crate::facts::Questions;
use crate::facts::baseline;
use crate::facts::baseline::Untouched;
use crate::facts::footprint::Watch;
use crate::facts::gather;
use crate::host::Host;
use crate::host::local::Local;
use crate::kube::images;
use crate::phase::Options;
use crate::phase::join::KUBELET_KUBECONFIG;
use crate::pki::CertName;
use crate::pki::CertSpec;
use crate::pki::inventory;
use crate::pki::inventory::FileState;
use crate::pki::inventory::Inventory;
use crate::pki::material::SecretBytes;
use crate::pki::shared;
use crate::pki::spec;
use crate::plan::ObjectRef;
use crate::preflight;
use crate::preflight::EtcdVersions;
use crate::preflight::Ignore;
use crate::preflight::Report;
use crate::preflight::Subject;
use crate::report::Event;
use crate::report::Reporter;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

/// Who gathers.
pub(super) struct Gatherer<'a> {
    pub loaded: &'a LoadedJoin,
    pub env: &'a Environment,
    pub settings: &'a Settings,
    pub reporter: &'a Reporter,
    /// What may be ignored of what the host is judged by before the cluster is known; `None` judges nothing.
    pub ignore: Option<&'a Ignore>,
}

/// The host before the cluster is known, with the questions that it was asked: most clusters ask no others.
struct Likely {
    questions: Questions,
    facts: HostFacts,
    report: Option<Report>,
    /// Looked at in passing, for `reset`.
    untouched: Option<Untouched>,
}

/// The cluster as far as a joining host may read it.
struct Seen {
    found: Found,
    stored: Stored,
    namesake: Option<NodeFacts>,
    api_servers: BTreeMap<String, KubeVersion>,
    /// The Secret `kubeadm-certs`, for a control plane that has the key to it.
    certificates: Option<Value>,
}

impl Gatherer<'_> {
    /// Asks the host and the cluster, side by side, everything that planning needs.
    ///
    /// # Errors
    /// The cluster is not found or not trusted, what it says of itself cannot be used, or the host cannot be asked.
    pub(super) fn session(&self, options: Options) -> Result<Session, CliError> {
        let join = &self.loaded.join;
        let host = Arc::new(Local::new(&join.node_registration.name));
        let receipt = Receipt::load(&*host, receipt::PATH).or_exit(Exit::Host)?;
        let interrupt = interrupt::flag().or_exit(Exit::Failure)?;
        let (seen, mut likely) = std::thread::scope(|scope| {
            let probe = scope.spawn(|| {
                let likely = self.likely(&host, receipt.as_ref());
                if likely.as_ref().is_some_and(Likely::stops) {
                    // Nothing that the cluster says can help.
                    interrupt.store(true, Ordering::Relaxed);
                }
                likely
            });
            let seen = self.see(&host, receipt.as_ref(), &interrupt);
            (seen, probe.join().unwrap_or_default())
        });
        if let Some(report) =
            likely.as_ref().filter(|likely| likely.stops()).and_then(|it| it.report.as_ref())
        {
            output::people(&report.kubeadm_text());
            let error = CliError::new(Exit::Preflight, anyhow::anyhow!("preflight checks failed"));
            return Err(error.hint("nothing was changed, and the cluster was not looked at"));
        }
        let seen = seen?;
        self.tell_of(&seen.found);
        let (mut cluster, handed, mut inventory) =
            self.cluster(&host, seen.found, &seen.stored, seen.certificates)?;
        cluster.prepare = self.loaded.prepare.clone();
        cluster.site = Site { ci_build: cluster.site.ci_build, ..self.loaded.site.clone() };
        cluster.nodes.iter_mut().for_each(|node| node.labels.clone_from(&self.loaded.labels));
        artifacts::read(&mut cluster.prepare)?;
        if let Some(directory) = &self.loaded.patches_directory {
            cluster.patches = load::read_patches(directory, self.reporter)?;
        }
        let node = cluster.this_node().clone();
        let untouched = likely.as_mut().and_then(|likely| likely.untouched.take());
        let mut facts = self.facts(&host, &cluster, &node, likely)?;
        if let Some(receipt) = &receipt {
            pki_files::forget_unfinished(&mut inventory.1, &spec::all_specs(&cluster), receipt);
        }
        session::note_pki_paths(&mut facts, &inventory.0);
        let now = System.now();
        let inventories = BTreeMap::from([(node.name.clone(), inventory.1)]);
        let external = if node.is_control_plane() {
            pki_files::external(&cluster, &inventories, now)
        } else {
            BTreeSet::new()
        };
        Ok(Session {
            host,
            facts: BTreeMap::from([(node.name, facts)]),
            cluster,
            receipt,
            inventories,
            external,
            running: ClusterFacts {
                namesake: seen.namesake,
                api_servers: seen.api_servers,
                ..ClusterFacts::default()
            },
            options,
            ttl_token: (String::new(), Secret::new("")),
            kubeconfig: None,
            now,
            interrupt,
            handed: Some(handed),
            bundle: None,
            etcd: None,
            untouched,
        })
    }

    /// Asks the host what a cluster of no particular wishes would ask.
    fn likely(&self, host: &Local, receipt: Option<&Receipt>) -> Option<Likely> {
        let registration = &self.loaded.join.node_registration;
        let overrides = Overrides {
            node_name: Some(registration.name.clone()),
            cri_socket: Some(registration.cri_socket.clone()),
            ..Overrides::default()
        };
        let likely = config::load(None, self.env, &overrides, Strictness::Lenient, Purpose::Init).ok()?;
        let mut cluster = likely.cluster;
        if self.loaded.join.control_plane.is_none() {
            cluster.nodes.iter_mut().for_each(|node| node.roles = vec![crate::cluster::Role::Worker]);
        }
        let questions = self.questions(&cluster, cluster.this_node());
        let watch = Watch::of(&cluster);
        let (facts, untouched) = std::thread::scope(|scope| {
            let first = receipt.is_none();
            let untouched = scope.spawn(move || first.then(|| baseline::look(host, watch).ok()).flatten());
            (gather::gather(host, &questions), untouched.join().unwrap_or_default())
        });
        let facts = facts.ok()?;
        let report = self.ignore.map(|ignore| judge(&cluster, &facts, receipt, ignore));
        Some(Likely { questions, facts, report, untouched })
    }

    fn questions(&self, cluster: &Cluster, node: &Node) -> Questions {
        let images = images::of_host(cluster, node);
        Questions::for_node(cluster, node, &images).local(self.settings.proxy_env.clone())
    }

    fn facts(
        &self,
        host: &Local,
        cluster: &Cluster,
        node: &Node,
        likely: Option<Likely>,
    ) -> Result<HostFacts, CliError> {
        let questions = self.questions(cluster, node);
        match likely {
            Some(likely) if likely.questions == questions => Ok(likely.facts),
            _ => gather::gather(host, &questions).or_exit(Exit::Host),
        }
    }

    fn see(
        &self,
        host: &Arc<Local>,
        receipt: Option<&Receipt>,
        interrupt: &AtomicBool,
    ) -> Result<Seen, CliError> {
        let tell = |event| self.reporter.tell(&event);
        let world = discovery::World { host: &**host, clock: &System, events: &tell, interrupt };
        let join = &self.loaded.join;
        let certificate_key = join.control_plane.as_ref().map(|plane| &plane.certificate_key);
        let certificate_key = certificate_key.filter(|key| !key.is_empty());
        if let Some(key) = certificate_key {
            shared::check_key(&Secret::new(key.as_str())).map_err(|error| {
                let hint = error.hint();
                CliError::new(Exit::Configuration, error).hint(hint)
            })?;
        }
        let found = match adopted(&**host, receipt) {
            Some(found) => {
                discovery::expect_the_same(&found, join, &**host).map_err(not_found)?;
                found
            }
            None => discovery::discover(join, &world).map_err(not_found)?,
        };
        let api = KubeApi::connect(&found.credentials, None).or_exit(Exit::Api)?;
        let limit = join.timeouts.kubernetes_api_call.to_std();
        let stored = discovery::stored::fetch(&api, &world, limit).map_err(not_fetched)?;
        let certificates = certificate_key
            .map(|_| discovery::stored::fetch_certificates(&api, &world, limit).map_err(not_fetched))
            .transpose()?;
        let namesake = namesake(&api, &join.node_registration.name);
        let api_servers = session::api_servers(&api, &[]);
        Ok(Seen { found, stored, namesake, api_servers, certificates })
    }

    fn tell_of(&self, found: &Found) {
        for warning in &found.warnings {
            let (message, hint) = (warning.message.clone(), warning.hint.clone());
            self.reporter.tell(&Event::Warning { host: None, message, hint });
        }
    }

    /// The cluster in the layout that its authorities have; what it hands out; and what the host has of a PKI, as it
    /// is and with the cluster's authorities laid over it.
    fn cluster(
        &self,
        host: &Local,
        found: Found,
        stored: &Stored,
        certificates: Option<Value>,
    ) -> Result<(Cluster, Handed, (Inventory, Inventory)), CliError> {
        let assemble = |layout| {
            let joining = Joining { join: &self.loaded.join, server: &found.server, layout, env: self.env };
            stored::cluster(stored, joining).map_err(|issues| load::refused(&issues))
        };
        // The layout with the most files, so that all are looked at.
        let (mut cluster, warnings) = assemble(Layout::Five)?;
        for warning in &warnings {
            self.reporter.tell(&load::told(warning));
        }
        let on_host = pki_files::read(host, &cluster, &spec::all_specs(&cluster)).or_exit(Exit::Host)?;
        let mut overlaid = on_host.clone();
        let mut files = BTreeMap::new();
        if cluster.this_node().is_control_plane() {
            must_have_endpoint(&cluster)?;
            if let Some(secret) = certificates {
                files = lay_over(&secret, &cluster, &mut overlaid)?;
            }
            cluster.layout = inventory::found_layout(&cluster, &overlaid).unwrap_or_default();
            must_have_authorities(&cluster, &overlaid)?;
        } else {
            let ca = SecretBytes::new(found.ca.clone());
            files.insert(self.loaded.join.ca_cert_path.clone(), ca);
        }
        let cluster_name = cluster.configuration.cluster_name.clone();
        Ok((cluster, Handed { found, cluster_name, files }, (on_host, overlaid)))
    }
}

impl Likely {
    fn stops(&self) -> bool {
        self.report.as_ref().is_some_and(Report::failed)
    }
}

/// Judges what is wrong whatever the cluster is like.
fn judge(cluster: &Cluster, facts: &HostFacts, receipt: Option<&Receipt>, ignore: &Ignore) -> Report {
    let ours = receipt.map(Receipt::ours).unwrap_or_default();
    let subject = Subject {
        cluster,
        node: cluster.this_node(),
        facts,
        images: &[],
        running_ours: !ours.is_empty(),
        ours: &ours,
        prepare: false,
        etcd: &EtcdVersions::new(),
        running: &ClusterFacts::default(),
    };
    preflight::run(&preflight::host_checks(), &subject, ignore)
}

/// A host that has joined already, or is on its way, goes on with what it has: its token may have expired by now.
/// Only with files of our own making; those of another cluster would lead there.
fn adopted(host: &dyn Host, receipt: Option<&Receipt>) -> Option<Found> {
    let ours = receipt?.ours();
    let candidates = [ADMIN_CONF, KUBELET_KUBECONFIG].into_iter().filter(|path| ours.contains(*path));
    candidates.into_iter().find_map(|path| {
        let entry = host.read(path).ok().flatten()?;
        discovery::adopt(entry.content()?, path, host).ok()
    })
}

/// Who asks before this host has joined may look at nodes; where that is forbidden, nothing is known.
fn namesake(api: &dyn Api, name: &str) -> Option<NodeFacts> {
    api.get(&ObjectRef::new("v1", "Node", "", name)).ok().flatten().as_ref().map(NodeFacts::of)
}

/// Decrypts the cluster's authorities over what the host has; the files that are not part of the PKI are given back.
fn lay_over(
    secret: &Value,
    cluster: &Cluster,
    inventory: &mut Inventory,
) -> Result<BTreeMap<String, SecretBytes>, CliError> {
    let key = cluster.certificate_key.clone().unwrap_or_else(|| Secret::new(""));
    let shared = shared::open(secret, &key, &cluster.configuration).map_err(|error| {
        let hint = error.hint();
        CliError::new(Exit::Pki, error).hint(hint)
    })?;
    let differing = shared.overlay(inventory);
    if !differing.is_empty() {
        let error = anyhow::anyhow!(
            "this host has other authorities than the cluster: {} differ from Secret kubeadm-certs",
            differing.join(", ")
        );
        return Err(CliError::new(Exit::Pki, error).hint(
            "remove them if they are of no use any more, or join without --certificate-key to use them",
        ));
    }
    let pki = format!("{}/", cluster.certificates_dir());
    Ok(shared.files.into_iter().filter(|(path, _)| !path.starts_with(&pki)).collect())
}

/// Without an address that all control planes share, clients would know the first one only.
fn must_have_endpoint(cluster: &Cluster) -> Result<(), CliError> {
    if !cluster.configuration.control_plane_endpoint.is_empty() {
        return Ok(());
    }
    let error =
        anyhow::anyhow!("the cluster has no controlPlaneEndpoint, so it can have one control plane only");
    Err(CliError::new(Exit::Configuration, error).hint(
        "give it a name or address that leads to all control planes: set controlPlaneEndpoint in the \
         ClusterConfiguration of ConfigMap kube-system/kubeadm-config, and renew the API server's certificate with it",
    ))
}

/// A control plane that made authorities of its own would belong to no cluster.
fn must_have_authorities(cluster: &Cluster, inventory: &Inventory) -> Result<(), CliError> {
    let there = |path: &String| !matches!(inventory.get(path), None | Some(FileState::Absent));
    let node = cluster.this_node();
    let shared = spec::specs(cluster, node).into_iter().filter(CertSpec::is_shared);
    let needed = shared.flat_map(|spec| match spec.name {
        CertName::Ca(_) => vec![spec.paths.certificate],
        _ => vec![spec.paths.key, spec.paths.public_key],
    });
    let missing: Vec<String> = needed.flatten().filter(|path| !there(path)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let error = anyhow::anyhow!(
        "a control plane needs the cluster's authorities, and no certificate key was given; not on this host: {}",
        missing.join(", ")
    );
    Err(CliError::new(Exit::Pki, error)
        .hint("`kubewright init phase upload-certs --upload-certs` on a control plane prints a --certificate-key")
        .hint("or copy these files, with their keys, from a control plane"))
}

fn not_found(error: DiscoveryError) -> CliError {
    use DiscoveryError as E;
    let exit = match error {
        E::Nothing | E::Token | E::Pin(_) | E::NoPins | E::Endpoint(_) | E::File { .. } => {
            Exit::Configuration
        }
        E::Joined { .. } => Exit::Preflight,
        E::Interrupted => Exit::Interrupted,
        _ => Exit::Api,
    };
    with_hint(exit, error.hint(), error)
}

fn not_fetched(error: FetchError) -> CliError {
    let exit = if matches!(error, FetchError::Interrupted) { Exit::Interrupted } else { Exit::Api };
    with_hint(exit, error.hint(), error)
}

fn with_hint(exit: Exit, hint: String, error: impl Into<anyhow::Error>) -> CliError {
    let error = CliError::new(exit, error);
    if hint.is_empty() { error } else { error.hint(hint) }
}

//! `kubewright render`: every file of every host, and every API object, in a directory.

use crate::apply::Resolve as _;
use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::load;
use crate::cli::pki_files;
use crate::cli::resolver::Resolver;
use crate::cli::settings::Settings;
use crate::clock::Clock as _;
use crate::clock::System;
use crate::cluster::Balancing;
use crate::cluster::Cluster;
use crate::facts::ClusterFacts;
use crate::facts::HostFacts;
use crate::host::Entry;
use crate::host::Host as _;
use crate::host::blank::Blank;
use crate::host::fleet::side_by_side;
use crate::host::local::Local;
use crate::kube::yaml;
use crate::phase::Context;
use crate::phase::Options;
use crate::phase::build;
use crate::phase::endpoint;
use crate::phase::select;
use crate::phase::workflow::CLUSTER;
use crate::pki::decide;
use crate::pki::decide::Request;
use crate::pki::inventory::Inventory;
use crate::pki::random;
use crate::pki::random::SystemRandom;
use crate::plan::Action;
use crate::plan::Fill;
use crate::plan::Object;
use crate::plan::ObjectRef;
use crate::plan::Place;
use crate::plan::Plan;
use crate::plan::Step;
use crate::plan::object;
use crate::report::Event;
use anyhow::Context as _;
use clap::Args;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use time::OffsetDateTime;

/// Write every file of every host into a directory
///
/// Needs no root, no host and no network. The directory holds `hosts/NAME/PATH` for every file and
/// `cluster/*.yaml` for every API object, in the order in which they are applied. Certificates, keys and tokens are
/// made for the occasion; everything else is the same each time.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct RenderCommand {
    /// Configuration file; `-` reads standard input
    #[arg(short = 'f', long, value_name = "FILE", required_unless_present = "example")]
    config: Option<PathBuf>,

    /// Take the cluster that `config print cluster` prints
    #[arg(long, conflicts_with = "config")]
    example: bool,

    /// Directory to write to; it must be empty or absent
    #[arg(short, long, value_name = "DIR")]
    output_dir: PathBuf,

    /// Write into a directory that is not empty
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  kubewright render --example --output-dir rendered
  kubewright render -f cluster.yaml --output-dir rendered";

/// Runs the command.
///
/// # Errors
/// The configuration has problems, or the directory cannot be written.
pub(super) fn run(command: &RenderCommand, settings: &Settings) -> Result<Exit, CliError> {
    let reporter = settings.reporter();
    let loaded = match &command.config {
        Some(file) => load::for_render(file, &reporter)?,
        None => load::example(&reporter)?,
    };
    let target = Target::new(command)?;
    let rendering = Rendering::new(loaded.cluster)?;
    if let Some(warning) = guess(&rendering.cluster) {
        reporter.tell(&warning);
    }
    let resolver = rendering.resolver()?;
    let written = rendering.write(&resolver, &target)?;
    if !settings.quiet {
        crate::cli::output::people(&written);
    }
    Ok(Exit::Success)
}

/// What is only assumed of hosts that nobody asks.
pub(super) fn guess(cluster: &Cluster) -> Option<Event> {
    let Some(Balancing::Keepalived(said)) = &cluster.site.balancing else { return None };
    let assumed = cluster.balancers().into_iter().find_map(|node| {
        let facts = HostFacts::assumed(&node.name);
        let (interface, assumed) = endpoint::interface(said, node, &facts);
        assumed.then(|| interface.to_owned())
    })?;
    Some(Event::Warning {
        host: None,
        message: format!("{assumed} is assumed to have the endpoint's address, since no host was asked"),
        hint: Some(
            "name it under spec.endpoint.keepalived.interface; a host that is asked takes the one with its own address"
                .to_owned(),
        ),
    })
}

/// The directory that is written to.
struct Target {
    host: Local,
    directory: String,
    /// As it was typed.
    shown: String,
}

impl Target {
    fn new(command: &RenderCommand) -> Result<Self, CliError> {
        let host = Local::new("this host");
        let directory = std::path::absolute(&command.output_dir).or_exit(Exit::Failure)?;
        let directory = directory.to_string_lossy().trim_end_matches('/').to_owned();
        let listing =
            crate::host::Command::query("find").arg(&directory).args(["-mindepth", "1", "-print", "-quit"]);
        let found = host.run(&listing).or_exit(Exit::Host)?;
        if !command.force && !found.text().is_empty() {
            let error = CliError::new(Exit::Usage, anyhow::anyhow!("`{directory}` is not empty"));
            return Err(error.hint("name another directory, or say `--force` to write into this one"));
        }
        // Keys will lie in it.
        host.write(&directory, &Entry::directory(0o700)).or_exit(Exit::Failure)?;
        Ok(Self { host, directory, shown: command.output_dir.display().to_string() })
    }

    fn put(&self, path: &str, entry: &Entry) -> Result<(), CliError> {
        self.host.write(&format!("{}/{path}", self.directory), entry).or_exit(Exit::Failure)
    }
}

/// A cluster that is planned against hosts that nobody asked.
struct Rendering {
    cluster: Cluster,
    plan: Plan,
    now: OffsetDateTime,
    ttl_token: (String, crate::cluster::Secret),
    /// Stands for the hosts: nothing is on them.
    blank: Blank,
}

impl Rendering {
    fn new(cluster: Cluster) -> Result<Self, CliError> {
        let ttl_token = random::token(&mut SystemRandom);
        let facts = cluster.nodes.iter().map(|node| (node.name.clone(), HostFacts::assumed(&node.name)));
        let facts: BTreeMap<String, HostFacts> = facts.collect();
        let options = Options { ttl_token_id: ttl_token.0.clone(), ..Options::default() };
        let context = Context {
            cluster: &cluster,
            facts: &facts,
            running: &ClusterFacts::default(),
            external: &BTreeSet::new(),
            downloaded: &BTreeSet::new(),
            ours: &BTreeSet::new(),
            options: &options,
        };
        let plan = build::plan(&context, &select::flatten(CLUSTER)).or_exit(Exit::Configuration)?;
        Ok(Self { cluster, plan, now: System.now(), ttl_token, blank: Blank::new("a host") })
    }

    fn resolver(&self) -> Result<Resolver<'_>, CliError> {
        let specs = pki_files::named_by(&self.plan, &self.cluster);
        let blank = |node: &crate::cluster::Node| (node.name.clone(), Inventory::default());
        let inventories = self.cluster.nodes.iter().map(blank).collect();
        let request =
            Request { cluster: &self.cluster, specs: &specs, inventories: &inventories, now: self.now };
        let decisions = decide::decide(&request);
        let bundle =
            pki_files::bundle(&self.cluster, &specs, decisions, self.now, false).or_exit(Exit::Pki)?;
        Ok(Resolver::new(&self.cluster, Arc::new(bundle), self.ttl_token.clone(), &self.blank, false))
    }

    /// Writes everything, and says what was written.
    fn write(&self, resolver: &Resolver<'_>, target: &Target) -> Result<String, CliError> {
        let mut hosts: BTreeMap<&str, Vec<&Step>> = BTreeMap::new();
        let mut objects = 0;
        for step in &self.plan.steps {
            match (&step.place, &step.action) {
                (Place::Host(host), _) => hosts.entry(host).or_default().push(step),
                (Place::Cluster, Action::Object(spec)) => {
                    objects += 1;
                    let filled = self.filled(&spec.object, resolver)?;
                    let entry = Entry::file(yaml::to_string(&filled), 0o600);
                    target.put(&object_path(objects, &filled), &entry)?;
                }
                (Place::Cluster, _) => {}
            }
        }
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let written = side_by_side(hosts.into_iter().collect(), processors, |(host, steps)| {
            (host, write_host(host, &steps, resolver, target))
        });
        let mut text = String::new();
        for (host, files) in written {
            let files = files?;
            if files > 0 {
                let _ = writeln!(text, "{files:>4} files    {}/hosts/{host}", target.shown);
            }
        }
        let _ = writeln!(text, "{objects:>4} objects  {}/cluster", target.shown);
        Ok(text)
    }

    /// An object as it would be written, with its holes filled.
    fn filled(&self, planned: &Object, resolver: &Resolver<'_>) -> Result<Value, CliError> {
        let mut value = planned.value.clone();
        for hole in &planned.holes {
            let text = match &hole.fill {
                Fill::Expiration(after) => Some(object::expiration(self.now, *after)),
                // Only the API server knows it.
                Fill::UidOf(owner) => Some(format!("<uid of {owner}>")),
                fill => resolver.fill(fill).or_exit(Exit::Failure)?,
            };
            if let Some(text) = text {
                object::place(&mut value, &hole.pointer, text.into());
            }
        }
        Ok(value)
    }
}

/// Writes the files of a host; how many there are.
fn write_host(
    host: &str,
    steps: &[&Step],
    resolver: &Resolver<'_>,
    target: &Target,
) -> Result<usize, CliError> {
    let mut files = BTreeSet::new();
    for step in steps {
        files.extend(write_entry(host, step, resolver, target)?);
    }
    Ok(files.len())
}

fn write_entry(
    host: &str,
    step: &Step,
    resolver: &Resolver<'_>,
    target: &Target,
) -> Result<Option<String>, CliError> {
    let (path, entry) = match &step.action {
        Action::File(file) => {
            let content = resolver
                .content(&file.content)
                .with_context(|| format!("cannot render {} of {host}", file.path))
                .or_exit(Exit::Failure)?;
            (&file.path, Entry::file(content, file.mode))
        }
        Action::Directory { path, mode } => (path, Entry::directory(*mode)),
        Action::Link { path, target } => (path, Entry::link(target.clone())),
        _ => return Ok(None),
    };
    target.put(&format!("hosts/{host}{path}"), &entry)?;
    Ok((!matches!(step.action, Action::Directory { .. })).then(|| path.clone()))
}

/// `cluster/012-clusterrolebinding-kubeadm-get-nodes.yaml`: sorted by name is sorted by order.
fn object_path(number: usize, object: &Value) -> String {
    let name = ObjectRef::of(object);
    let plain = |text: &str| text.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '.', "-");
    format!("cluster/{number:03}-{}-{}.yaml", name.kind.to_lowercase(), plain(&name.name))
}

//! From the command line and the file it names to a cluster: the edge around `config`.

use crate::apply::receipt::sha256;
use crate::cli::artifacts;
use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::init_args::InitArgs;
use crate::cli::join_args::JoinArgs;
use crate::cli::manifests;
use crate::cluster::Cluster;
use crate::cluster::Layout;
use crate::cluster::Secret;
use crate::config;
use crate::config::Environment;
use crate::config::File;
use crate::config::Issue;
use crate::config::Issues;
use crate::config::LoadedJoin;
use crate::config::Overrides;
use crate::config::Purpose;
use crate::config::Strictness;
use crate::config::patches;
use crate::facts::gather;
use crate::facts::gather::Basics;
use crate::host::Command;
use crate::host::Entry;
use crate::host::Host;
use crate::host::local::Local;
use crate::host::read_through;
use crate::kube::images;
use crate::pki::random;
use crate::pki::random::SystemRandom;
use crate::report::Event;
use crate::report::Reporter;
use anyhow::Context as _;
use serde::Deserialize as _;
use std::collections::BTreeMap;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;

/// What a command works with.
#[derive(Debug)]
pub(super) struct Loaded {
    pub cluster: Cluster,
    pub skip_phases: Vec<String>,
    pub ignore_preflight_errors: Vec<String>,
    pub dry_run: bool,
    /// The token was made here and now, since the operator named none.
    pub token_is_new: bool,
    /// Digest of the file, where a whole cluster was loaded.
    pub digest: String,
}

/// Loads the configuration of `init` for this host: of a whole cluster's hosts, this one is left.
///
/// # Errors
/// The configuration has problems, all of them listed; or the host that it is meant for is another one.
pub(super) fn for_init(args: &InitArgs, reporter: &Reporter) -> Result<Loaded, CliError> {
    let mut loaded = load(args.config.as_deref(), &overrides(args), Purpose::Init, reporter)?;
    let name = args.node_name.clone().map_or_else(|| basics().map(|basics| basics.hostname), Ok)?;
    keep_only(&mut loaded.cluster, &name)?;
    if args.upload_certs {
        upload_certs(&mut loaded.cluster);
    }
    Ok(loaded)
}

/// Loads the configuration of `join`; `endpoint` is the word of the command line that is no flag.
///
/// # Errors
/// The configuration has problems, all of them listed.
pub(super) fn for_join(
    args: &JoinArgs,
    endpoint: Option<&String>,
    env: &Environment,
    reporter: &Reporter,
) -> Result<LoadedJoin, CliError> {
    let bytes = args.config.as_deref().map(read_file).transpose()?;
    let name = args.config.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let file = bytes.as_ref().map(|bytes| File { name: &name, bytes });
    let loaded = config::load_join(file, env, &args.overrides(endpoint), Strictness::Lenient)
        .map_err(|issues| refused(&issues))?;
    for warning in &loaded.warnings {
        reporter.tell(&told(warning));
    }
    Ok(loaded)
}

/// Loads a configuration for all the hosts that it names.
///
/// # Errors
/// The configuration has problems; all of them are listed.
pub(super) fn for_render(file: &Path, reporter: &Reporter) -> Result<Loaded, CliError> {
    planned(load(Some(file), &Overrides::default(), Purpose::Render, reporter)?, reporter)
}

/// Loads a cluster whose hosts are reached over SSH. Nothing of the machine that this runs on plays a part.
///
/// # Errors
/// The configuration has problems, all of them listed; or it names no hosts.
pub(super) fn for_fleet(file: &Path, reporter: &Reporter) -> Result<Loaded, CliError> {
    fleet(file, Named::Read, reporter)
}

/// The same for whoever lets the program run on the hosts: what the file names lies there.
///
/// # Errors
/// As for [`for_fleet`].
pub(super) fn for_inventory(file: &Path, reporter: &Reporter) -> Result<Loaded, CliError> {
    fleet(file, Named::Left, reporter)
}

/// Patches and artifacts that a file names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Read,
    Left,
}

fn fleet(file: &Path, named: Named, reporter: &Reporter) -> Result<Loaded, CliError> {
    let bytes = read_file(file)?;
    let name = file.display().to_string();
    let file = File { name: &name, bytes: &bytes };
    let overrides = Overrides::default();
    let env = Environment {
        tokens: fresh_tokens(),
        version_labels: labels(Some(file), &overrides),
        ..Environment::default()
    };
    let mut loaded = load_with(Some(file), &env, &overrides, Purpose::Render, named, reporter)?;
    if !loaded.cluster.site.declared_hosts {
        let error = anyhow::anyhow!("{name} names no hosts");
        return Err(CliError::new(Exit::Configuration, error).hint(
            "add a document `kind: Cluster` with `spec.hosts`; `kubewright config print cluster` shows one",
        ));
    }
    if loaded.token_is_new {
        // Hosts that are reached over SSH join without a token.
        loaded.cluster.tokens.clear();
    }
    loaded.digest = sha256(&bytes);
    Ok(loaded)
}

/// What others wrote and the configuration names is read as well.
pub(super) fn with_manifests(mut loaded: Loaded) -> Result<Loaded, CliError> {
    manifests::read(&mut loaded.cluster)?;
    Ok(loaded)
}

/// The same for whoever plans; images that hosts will look for in vain are told.
fn planned(loaded: Loaded, reporter: &Reporter) -> Result<Loaded, CliError> {
    let loaded = with_manifests(loaded)?;
    let missing = images::without_archive(&loaded.cluster);
    if let Some(directory) =
        loaded.cluster.prepare.artifacts.directory.as_ref().filter(|_| !missing.is_empty())
    {
        reporter.tell(&Event::Warning {
            host: None,
            message: format!("no archive in `{directory}` has {}", missing.join(", ")),
            hint: Some("put them into images/*.tar there, unless hosts reach their registries".to_owned()),
        });
    }
    Ok(loaded)
}

/// The same with what others wrote and the file names: for whoever plans.
///
/// # Errors
/// As for [`for_fleet`]; something that the file names cannot be had.
pub(super) fn for_fleet_plan(file: &Path, reporter: &Reporter) -> Result<Loaded, CliError> {
    planned(for_fleet(file, reporter)?, reporter)
}

/// The same for this host.
///
/// # Errors
/// As for [`for_init`]; something that the file names cannot be had.
pub(super) fn for_init_plan(args: &InitArgs, reporter: &Reporter) -> Result<Loaded, CliError> {
    planned(for_init(args, reporter)?, reporter)
}

/// Whether a file describes the hosts of a whole cluster. What cannot be read is for the loader to complain about.
///
/// # Errors
/// There is no such file.
pub(super) fn names_hosts(file: &Path) -> Result<bool, CliError> {
    let bytes = read_file(file)?;
    let documents = serde_yaml::Deserializer::from_slice(&bytes);
    // After an error the reader makes no progress.
    let mut documents = documents.map_while(|document| serde_json::Value::deserialize(document).ok());
    Ok(documents.any(|document| {
        let ours =
            document["apiVersion"].as_str().is_some_and(|version| version.starts_with("kubewright.dev/"));
        ours && document["kind"] == "Cluster" && document["spec"]["hosts"].is_array()
    }))
}

/// Loads the cluster that `config print cluster` prints.
///
/// # Errors
/// The host cannot be asked for its name.
pub(super) fn example(reporter: &Reporter) -> Result<Loaded, CliError> {
    let bytes = config::print::cluster_example().as_bytes();
    let file = File { name: "the example", bytes };
    load_file(Some(file), &Overrides::default(), Purpose::Render, reporter)
}

/// Loads a configuration for its images only.
///
/// # Errors
/// The configuration has problems; all of them are listed.
pub(super) fn for_images(
    file: Option<&Path>,
    overrides: &Overrides,
    reporter: &Reporter,
) -> Result<Loaded, CliError> {
    load(file, overrides, Purpose::Render, reporter)
}

/// Loads what a cluster has stored of its configuration.
///
/// # Errors
/// It cannot be understood.
pub(super) fn stored(text: &str, reporter: &Reporter) -> Result<Cluster, CliError> {
    let file = File { name: "ConfigMap kube-system/kubeadm-config", bytes: text.as_bytes() };
    Ok(load_file(Some(file), &Overrides::default(), Purpose::Render, reporter)?.cluster)
}

fn load(
    file: Option<&Path>,
    overrides: &Overrides,
    purpose: Purpose,
    reporter: &Reporter,
) -> Result<Loaded, CliError> {
    let bytes = file.map(read_file).transpose()?;
    let name = file.map(|path| path.display().to_string()).unwrap_or_default();
    let file = bytes.as_ref().map(|bytes| File { name: &name, bytes });
    load_file(file, overrides, purpose, reporter)
}

fn load_file(
    file: Option<File<'_>>,
    overrides: &Overrides,
    purpose: Purpose,
    reporter: &Reporter,
) -> Result<Loaded, CliError> {
    load_with(file, &environment(file, overrides)?, overrides, purpose, Named::Read, reporter)
}

fn load_with(
    file: Option<File<'_>>,
    env: &Environment,
    overrides: &Overrides,
    purpose: Purpose,
    named: Named,
    reporter: &Reporter,
) -> Result<Loaded, CliError> {
    let loaded = config::load(file, env, overrides, Strictness::Lenient, purpose)
        .map_err(|issues| refused(&issues))?;
    for warning in &loaded.warnings {
        reporter.tell(&told(warning));
    }
    let mut cluster = loaded.cluster;
    if named == Named::Read {
        if let Some(directory) = &loaded.patches_directory {
            cluster.patches = read_patches(directory, reporter)?;
        }
        artifacts::read(&mut cluster.prepare)?;
    }
    let token_is_new = cluster.tokens.first().is_some_and(|token| {
        let text = format!("{}.{}", token.id, token.secret.expose());
        env.tokens.iter().any(|new| new.expose() == text)
    });
    Ok(Loaded {
        cluster,
        skip_phases: loaded.skip_phases,
        ignore_preflight_errors: loaded.ignore_preflight_errors,
        dry_run: loaded.dry_run,
        token_is_new,
        digest: String::new(),
    })
}

/// A warning of the configuration as an event of the run.
pub(super) fn told(issue: &Issue) -> Event {
    let place = issue.at.map(|at| format!(":{}:{}", at.line, at.column)).unwrap_or_default();
    let path = Some(&issue.path).filter(|path| !path.is_empty()).map(|path| format!(" (at {path})"));
    let message = format!("{}{place}: {}{}", issue.file, issue.message, path.unwrap_or_default());
    Event::Warning { host: None, message, hint: issue.hint.clone() }
}

/// All problems of a configuration as one error.
pub(super) fn refused(issues: &Issues) -> CliError {
    let count = issues.errors().count();
    let plural = if count == 1 { "problem" } else { "problems" };
    let text = format!("the configuration has {count} {plural}\n\n{issues}");
    CliError::new(Exit::Configuration, anyhow::anyhow!(text.trim_end().to_owned()))
}

/// The file that a command names; `-` is standard input.
///
/// # Errors
/// It cannot be read.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, CliError> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin()
            .read_to_end(&mut bytes)
            .context("cannot read standard input")
            .or_exit(Exit::Configuration)?;
        return Ok(bytes);
    }
    let absolute = std::path::absolute(path).or_exit(Exit::Configuration)?;
    let entry =
        read_through(&Local::new("this host"), &absolute.to_string_lossy()).or_exit(Exit::Configuration)?;
    let path = path.display();
    let missing = || CliError::new(Exit::Configuration, anyhow::anyhow!("there is no file `{path}`"));
    let entry = entry.ok_or_else(missing)?;
    entry
        .content()
        .map(<[u8]>::to_vec)
        .ok_or_else(|| CliError::new(Exit::Configuration, anyhow::anyhow!("`{path}` is not a regular file")))
}

fn layout(name: &str) -> Layout {
    if name == "kubeadm" { Layout::Kubeadm } else { Layout::Five }
}

fn overrides(args: &InitArgs) -> Overrides {
    let list = |values: &Vec<String>| (!values.is_empty()).then(|| values.clone());
    Overrides {
        apiserver_advertise_address: args.apiserver_advertise_address.clone(),
        apiserver_bind_port: args.apiserver_bind_port,
        apiserver_cert_extra_sans: list(&args.apiserver_cert_extra_sans),
        cert_dir: args.cert_dir.clone(),
        certificate_key: args.certificate_key.clone().map(Secret::new),
        control_plane_endpoint: args.control_plane_endpoint.clone(),
        cri_socket: args.cri_socket.clone(),
        dry_run: args.dry_run.then_some(true),
        feature_gates: args.feature_gates.clone(),
        ignore_preflight_errors: list(&args.ignore_preflight_errors),
        image_repository: args.image_repository.clone(),
        kubernetes_version: args.kubernetes_version.clone(),
        layout: args.pki_layout.as_deref().map(layout),
        node_name: args.node_name.clone(),
        patches: args.patches.clone(),
        pod_network_cidr: args.pod_network_cidr.clone(),
        service_cidr: args.service_cidr.clone(),
        service_dns_domain: args.service_dns_domain.clone(),
        skip_phases: list(&args.skip_phases),
        token: args.token.clone().map(Secret::new),
        token_ttl: args.token_ttl.clone(),
        upload_certs: args.upload_certs.then_some(true),
        ..Overrides::default()
    }
}

/// Writes a file that the operator named.
///
/// # Errors
/// It cannot be written.
pub(super) fn write_file(path: &str, content: &[u8], mode: u32) -> Result<(), CliError> {
    let path = std::path::absolute(path).or_exit(Exit::Failure)?;
    Local::new("this host").write(&path.to_string_lossy(), &Entry::file(content, mode)).or_exit(Exit::Failure)
}

/// The name and the addresses of this host.
///
/// # Errors
/// The host cannot be asked.
pub(super) fn basics() -> Result<Basics, CliError> {
    gather::basics(&Local::new("this host")).or_exit(Exit::Host)
}

/// How many tokens a configuration may ask for without naming them.
const FRESH_TOKENS: usize = 8;

/// What a configuration may need to know of this host, and fresh secrets for where it names none.
///
/// # Errors
/// The host cannot be asked.
pub(super) fn environment(file: Option<File<'_>>, overrides: &Overrides) -> Result<Environment, CliError> {
    let basics = basics()?;
    let addresses = &basics.default_addresses;
    Ok(Environment {
        default_address_v4: addresses
            .iter()
            .find_map(|ip| if let IpAddr::V4(ip) = ip { Some(*ip) } else { None }),
        default_address_v6: addresses
            .iter()
            .find_map(|ip| if let IpAddr::V6(ip) = ip { Some(*ip) } else { None }),
        hostname: basics.hostname,
        loopback_address: None,
        cri_sockets: basics.cri_sockets,
        running_layout: running_layout(),
        tokens: fresh_tokens(),
        version_labels: labels(file, overrides),
    })
}

fn fresh_tokens() -> Vec<Secret> {
    let fresh = |_| {
        let (id, secret) = random::token(&mut SystemRandom);
        Secret::new(format!("{id}.{}", secret.expose()))
    };
    (0..FRESH_TOKENS).map(fresh).collect()
}

/// What the version label of a configuration stands for, where it has one.
fn labels(file: Option<File<'_>>, overrides: &Overrides) -> BTreeMap<String, String> {
    let label = config::version_label(file, overrides);
    label.and_then(|label| Some((label.clone(), look_up(&label)?))).into_iter().collect()
}

/// Only an API server of five chains has an authority for kubelets.
fn running_layout() -> Option<Layout> {
    let entry =
        Local::new("this host").read("/etc/kubernetes/manifests/kube-apiserver.yaml").ok().flatten()?;
    let text = String::from_utf8_lossy(entry.content()?).into_owned();
    let flag =
        |line: &str| line.contains("--kubelet-certificate-authority=") && line.ends_with("/kubelet-ca.crt");
    Some(if text.lines().any(flag) { Layout::Five } else { Layout::Kubeadm })
}

/// Asks upstream what a version label stands for now; `None` when it does not say within ten seconds, as for
/// kubeadm. The label came from the operator: nobody is asked when none is named.
fn look_up(label: &str) -> Option<String> {
    let url = match label.strip_prefix("ci/") {
        Some(label) => format!("https://storage.googleapis.com/k8s-release-dev/ci/{label}.txt"),
        None => format!("https://dl.k8s.io/release/{}.txt", label.strip_prefix("release/").unwrap_or(label)),
    };
    let fetch = Command::query("curl").args(["-fsSL", "--max-time", "10", "--"]).arg(url);
    let output = Local::new("this host").run(&fetch).ok()?;
    output.success().then(|| output.text().trim().to_owned())
}

/// Leaves only the node that this host is.
fn keep_only(cluster: &mut Cluster, name: &str) -> Result<(), CliError> {
    if !cluster.site.declared_hosts {
        return Ok(());
    }
    if cluster.has_etcd_hosts() {
        let message = "the configuration's etcd runs on hosts of its own, which one host alone cannot set up";
        let error = CliError::new(Exit::Configuration, anyhow::anyhow!(message));
        return Err(error.hint("`kubewright apply -f FILE` sets up all hosts of the file"));
    }
    let names: Vec<String> = cluster.control_planes().map(|node| node.name.clone()).collect();
    if names.iter().all(|control_plane| control_plane != name) {
        let message =
            format!("this host is `{name}`, and the configuration's control planes are {}", names.join(", "));
        let error = CliError::new(Exit::Configuration, anyhow::anyhow!(message));
        return Err(
            error.hint("run `init` on one of them, or say with `--node-name` which of them this host is")
        );
    }
    cluster.keep_only(name);
    Ok(())
}

fn upload_certs(cluster: &mut Cluster) {
    cluster.upload_certs = true;
    if cluster.certificate_key.is_none() {
        cluster.certificate_key = Some(random::certificate_key(&mut SystemRandom));
    }
}

/// The operator's patches in a directory.
///
/// # Errors
/// They cannot be read or understood.
pub(super) fn read_patches(
    directory: &str,
    reporter: &Reporter,
) -> Result<Vec<crate::cluster::Patch>, CliError> {
    let host = Local::new("this host");
    let listing = host
        .run(&Command::query("find").arg(directory).args(["-type", "f", "-print0"]))
        .or_exit(Exit::Configuration)?;
    if !listing.success() {
        let message = format!("cannot read patches: {}", listing.error_tail());
        return Err(CliError::new(Exit::Configuration, anyhow::anyhow!(message)));
    }
    let mut files = Vec::new();
    for path in String::from_utf8_lossy(&listing.stdout).split('\0').filter(|path| !path.is_empty()) {
        let entry = host.read(path).or_exit(Exit::Configuration)?;
        let content = entry.and_then(|entry| entry.content().map(<[u8]>::to_vec)).unwrap_or_default();
        let name = path.strip_prefix(directory).unwrap_or(path).trim_start_matches('/');
        files.push((name.to_owned(), content));
    }
    let (parsed, warnings) = patches::parse(files).map_err(|issues| refused(&issues))?;
    for warning in warnings {
        reporter.tell(&told(&warning));
    }
    Ok(parsed)
}

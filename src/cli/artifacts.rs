//! What this machine has for hosts, and `config artifacts`: which binaries hosts get, and their checksums.

use crate::artifact::Arch;
use crate::artifact::Name;
use crate::artifact::catalog;
use crate::artifact::checksum;
use crate::artifact::choose;
use crate::artifact::lock;
use crate::artifact::pins;
use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::load;
use crate::cli::output;
use crate::cli::settings;
use crate::cli::settings::Settings;
use crate::cluster::Cluster;
use crate::cluster::Prepare;
use crate::cluster::prepare::Artifacts;
use crate::cluster::site::RuntimeProvider;
use crate::config::Overrides;
use crate::fetch::Downloads;
use crate::fetch::download;
use crate::fetch::stock;
use crate::plan::Supply;
use crate::report::Event;
use anyhow::Context as _;
use clap::Args;
use clap::Subcommand;
use clap::ValueEnum;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

/// Reads the directory and the lock file that a configuration names.
///
/// # Errors
/// They cannot be read, or the lock file says nothing; all its lines are named.
pub(super) fn read(prepare: &mut Prepare) -> Result<(), CliError> {
    let artifacts = &mut prepare.artifacts;
    if let Some(file) = &artifacts.lock_file {
        let text = String::from_utf8_lossy(&load::read_file(Path::new(file))?).into_owned();
        artifacts.locked = lock::parse(&text).map_err(|problems| {
            let message = format!("the lock file `{file}` has problems\n  {}", problems.join("\n  "));
            let error = CliError::new(Exit::Configuration, anyhow::anyhow!(message));
            error.hint("`kubewright config artifacts lock` writes one")
        })?;
    }
    if let Some(directory) = &artifacts.directory {
        artifacts.stock = stock::read(directory, &is_of_the_catalogue).or_exit(Exit::Configuration)?;
    }
    Ok(())
}

/// Whether a file has the name of an artifact, whatever its version.
fn is_of_the_catalogue(file: &str) -> bool {
    Name::ALL.iter().any(|name| {
        let plain = matches!(name.unpack(), catalog::Unpack::File { .. }) && file == name.as_str();
        let archive =
            [".tgz", ".tar.gz"].iter().any(|end| file.ends_with(end)) && file.starts_with(name.as_str());
        let of_runc = *name == Name::Runc && file.starts_with("runc.");
        plain || archive || of_runc
    })
}

/// The bytes that hosts get from this machine.
///
/// # Errors
/// There are none.
pub(super) fn supply(supply: &Supply) -> anyhow::Result<(Box<dyn Read + Send>, u64)> {
    let (file, size) = match supply {
        Supply::Host { url } => anyhow::bail!("{url} is for the host to download"),
        Supply::Operator { url, sha256 } => Downloads::new(settings::cache_directory()).get(url, sha256)?,
        Supply::File { path } => download::open(Path::new(path))?,
    };
    Ok((Box::new(file), size))
}

#[derive(Debug, Subcommand)]
pub(super) enum ArtifactsSub {
    /// Print the binaries that hosts are prepared with: where they come from, and what they must hash to
    #[command(after_help = "Examples:\n  kubewright config artifacts list -f cluster.yaml")]
    List(ListArgs),
    /// Print a lock file: the projects, or the mirror, are asked for the checksums that this program does not know
    #[command(after_help = "Examples:\n  kubewright config artifacts lock -f cluster.yaml")]
    Lock(ArtifactsArgs),
}

#[derive(Debug, Args)]
pub(super) struct ArtifactsArgs {
    /// Configuration file; `-` reads standard input
    #[arg(short = 'f', long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Version of Kubernetes
    #[arg(long, value_name = "VERSION")]
    kubernetes_version: Option<String>,

    /// Architectures of the hosts
    #[arg(long, value_name = "ARCH", value_delimiter = ',', default_values = ["amd64", "arm64"])]
    arch: Vec<ArchArg>,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    what: ArtifactsArgs,

    /// Form of the list
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ArchArg {
    Amd64,
    Arm64,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Form {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    version: String,
    arch: &'static str,
    url: String,
    /// `None` where nobody here knows it.
    sha256: Option<String>,
}

/// Runs `config artifacts`.
///
/// # Errors
/// The configuration has problems, or a project does not tell its checksums.
pub(super) fn run(command: &ArtifactsSub, settings: &Settings) -> Result<Exit, CliError> {
    match command {
        ArtifactsSub::List(args) => list(args, settings),
        ArtifactsSub::Lock(args) => write_lock(args, settings),
    }
}

fn cluster(args: &ArtifactsArgs, settings: &Settings) -> Result<Cluster, CliError> {
    let overrides = Overrides { kubernetes_version: args.kubernetes_version.clone(), ..Overrides::default() };
    Ok(load::for_images(args.config.as_deref(), &overrides, &settings.reporter())?.cluster)
}

/// Every artifact that a host of the cluster may get.
fn rows(cluster: &Cluster, args: &ArtifactsArgs) -> Vec<Row> {
    let wanted = |name: &&Name| match (name, cluster.prepare.runtime.provider) {
        (Name::Runc | Name::Containerd, Some(provider)) => provider == RuntimeProvider::Containerd,
        (Name::Crictl | Name::CniPlugins, Some(provider)) => provider != RuntimeProvider::CriO,
        (Name::CriO, provider) => provider == Some(RuntimeProvider::CriO),
        (Name::CriDockerd, provider) => provider == Some(RuntimeProvider::Docker),
        _ => true,
    };
    let artifacts = &cluster.prepare.artifacts;
    let mut rows = Vec::new();
    for name in Name::ALL.iter().filter(wanted) {
        for arch in &args.arch {
            let arch = match arch {
                ArchArg::Amd64 => Arch::Amd64,
                ArchArg::Arm64 => Arch::Arm64,
            };
            let version = choose::version(cluster, *name);
            let key = (name.as_str().to_owned(), version.clone(), arch.as_str().to_owned());
            let pinned = || pins::pinned(*name, &version, arch).map(str::to_owned);
            rows.push(Row {
                name: name.as_str(),
                arch: arch.as_str(),
                url: choose::mirrored(artifacts, &name.url(&version, arch)),
                sha256: artifacts.locked.get(&key).cloned().or_else(pinned),
                version,
            });
        }
    }
    rows
}

fn list(args: &ListArgs, settings: &Settings) -> Result<Exit, CliError> {
    let cluster = cluster(&args.what, settings)?;
    let rows = rows(&cluster, &args.what);
    let text = match args.output {
        Form::Json => serde_json::to_string_pretty(&rows).or_exit(Exit::Failure)? + "\n",
        Form::Text => rows.iter().fold(String::new(), |mut text, row| {
            let digest = row.sha256.as_deref().unwrap_or("unknown");
            let _ = writeln!(text, "{} {} {} {} {digest}", row.name, row.version, row.arch, row.url);
            text
        }),
    };
    output::data(&text);
    Ok(Exit::Success)
}

fn write_lock(args: &ArtifactsArgs, settings: &Settings) -> Result<Exit, CliError> {
    let cluster = cluster(args, settings)?;
    let artifacts = &cluster.prepare.artifacts;
    let downloads = Downloads::new(settings::cache_directory());
    let mut locked = BTreeMap::new();
    let mut asked = 0;
    for row in rows(&cluster, args) {
        let digest = if let Some(digest) = &row.sha256 {
            digest.clone()
        } else {
            asked += 1;
            published(&downloads, artifacts, &row).or_exit(Exit::Failure)?
        };
        locked.insert((row.name.to_owned(), row.version, row.arch.to_owned()), digest);
    }
    if let Some(mirror) = artifacts.mirror.as_ref().filter(|_| asked > 0) {
        settings.reporter().tell(&word_of_a_mirror(mirror, asked));
    }
    output::data(&lock::text(&locked));
    Ok(Exit::Success)
}

/// Whoever can change a file there can change its checksum too.
fn word_of_a_mirror(mirror: &str, asked: usize) -> Event {
    let checksums = if asked == 1 { "1 checksum is".to_owned() } else { format!("{asked} checksums are") };
    Event::Warning {
        host: None,
        message: format!("{checksums} the word of {mirror}, not of the projects"),
        hint: Some("compare them with what the projects publish before you rely on them".to_owned()),
    }
}

fn published(downloads: &Downloads, artifacts: &Artifacts, row: &Row) -> anyhow::Result<String> {
    let name = Name::parse(row.name).context("the row has a name of the table")?;
    let arch = if row.arch == "amd64" { Arch::Amd64 } else { Arch::Arm64 };
    let url = name.checksum_url(&row.version, arch).with_context(|| {
        format!(
            "{name} publishes no checksums; download {} yourself, look whether it is what it should be, and write \
             `{name} {} {arch} SHA256` into the lock file",
            row.url, row.version
        )
    })?;
    let url = choose::mirrored(artifacts, &url);
    let text = downloads.text(&url)?;
    let file = row.url.rsplit('/').next().unwrap_or_default();
    checksum::find(&text, file).with_context(|| format!("{url} says nothing of {file}"))
}

//! `kubewright etcd snapshot save`.

use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::etcd::file::Part;
use crate::cli::exit::Exit;
use crate::cli::fleet;
use crate::cli::fleet::FleetSession;
use crate::cli::load;
use crate::cli::output;
use crate::cli::reset_etcd::LocalEtcd;
use crate::cli::settings::Settings;
use crate::etcd::Etcd;
use crate::etcd::EtcdError;
use crate::etcd::EtcdProvider as _;
use crate::host::local::Local;
use clap::Args;
use clap::ValueEnum;
use serde_json::json;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

const ENDPOINT: &str = "https://127.0.0.1:2379";
const PARALLEL: usize = 50;

/// Write a copy of all that etcd stores into a file
///
/// On a host that runs etcd, by its own certificates; with --file from anywhere, over SSH. The copy comes from one member
/// as a stream and is compared with the digest that etcd sends with it; the file gets its name when it is whole, and only
/// its owner may read it, since it holds every Secret of the cluster. It is what `etcdutl snapshot restore` takes. The
/// authorities and keys below /etc/kubernetes/pki are not in it: keep them beside it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct SaveArgs {
    /// Where the copy goes
    #[arg(value_name = "PATH")]
    to: PathBuf,

    /// File with the cluster, whose etcd is asked over SSH
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: Option<PathBuf>,

    /// Directory of certificates and keys of this host
    #[arg(long, value_name = "DIR", default_value = "/etc/kubernetes/pki", conflicts_with = "file")]
    cert_dir: String,

    /// Members to be asked, one after the other until one answers
    #[arg(long, value_name = "URL", value_delimiter = ',', default_value = ENDPOINT, conflicts_with = "file")]
    endpoints: Vec<String>,

    /// Form of what is said
    #[arg(short, long, value_enum, default_value_t)]
    output: SaveOutput,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum SaveOutput {
    #[default]
    Text,
    /// One object with `"schema": 1`
    Json,
}

const EXAMPLES: &str = "\
Examples:
  kubewright etcd snapshot save /var/backups/etcd.db
  kubewright etcd snapshot save etcd.db -f cluster.yaml";

/// Runs the command.
///
/// # Errors
/// Nobody answers, or the file cannot be written; one that was there before is then untouched.
pub(super) fn save(args: &SaveArgs, settings: &Settings) -> Result<Exit, CliError> {
    let length = match &args.file {
        Some(file) => of_cluster(file, &args.to, settings)?,
        None => of_host(args)?,
    };
    let path = std::path::absolute(&args.to).or_exit(Exit::Failure)?;
    output::data(&match args.output {
        SaveOutput::Text => format!("{} ({length} bytes)\n", path.display()),
        SaveOutput::Json => format!("{}\n", json!({"schema": 1, "path": path, "bytes": length})),
    });
    Ok(Exit::Success)
}

fn of_host(args: &SaveArgs) -> Result<u64, CliError> {
    let host = Arc::new(Local::new("this host"));
    let etcd = LocalEtcd::new(host, args.endpoints.clone(), &args.cert_dir);
    copy(&*etcd.client().map_err(refused)?, &args.to)
}

fn of_cluster(file: &Path, to: &Path, settings: &Settings) -> Result<u64, CliError> {
    let reporter = settings.reporter();
    let cluster = load::for_fleet(file, &reporter)?.cluster;
    if !cluster.has_local_etcd() {
        let error = anyhow::anyhow!("the etcd of {} is somebody else's", cluster.name);
        return Err(CliError::new(Exit::Usage, error).hint("save it where it runs"));
    }
    let connected = fleet::connect(&cluster, PARALLEL, settings, &reporter);
    let (session, troubles) = FleetSession::open_to_look(cluster, connected, PARALLEL, &reporter)?;
    let etcd = session.etcd().ok_or_else(|| {
        let why: Vec<String> = troubles.values().cloned().collect();
        let why = if why.is_empty() { String::new() } else { format!(": {}", why.join("; ")) };
        CliError::new(Exit::Host, anyhow::anyhow!("no host that could be asked runs a member of etcd{why}"))
    })?;
    copy(etcd, to)
}

fn copy(etcd: &dyn Etcd, to: &Path) -> Result<u64, CliError> {
    let cannot = |error: std::io::Error| {
        CliError::new(
            Exit::Failure,
            anyhow::Error::new(error).context(format!("cannot write {}", to.display())),
        )
    };
    let mut part = Part::create(to).map_err(cannot)?;
    let length = etcd.snapshot(&mut part).map_err(refused)?;
    part.finish().map_err(cannot)?;
    Ok(length)
}

fn refused(error: EtcdError) -> CliError {
    CliError::new(Exit::Host, error).hint("nothing was written; on a host that runs etcd, run this as root")
}

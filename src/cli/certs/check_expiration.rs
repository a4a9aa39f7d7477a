//! `kubewright certs check-expiration`.

use crate::cli::access::Access;
use crate::cli::cluster_record;
use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::init_args::InitArgs;
use crate::cli::load;
use crate::cli::output;
use crate::cli::pki_files;
use crate::cli::session::ADMIN_CONF;
use crate::cli::settings::Settings;
use crate::clock::Clock as _;
use crate::clock::System;
use crate::cluster::Cluster;
use crate::cluster::Layout;
use crate::host::local::Local;
use crate::kube::yaml;
use crate::pki::expiry;
use crate::pki::expiry::Report;
use crate::pki::inventory;
use clap::Args;
use clap::ValueEnum;
use std::io::ErrorKind;
use std::path::PathBuf;
use time::Duration;

/// Show when the certificates of this control plane expire, in both layouts
///
/// The first two tables are kubeadm's; the third one holds what the kubelet renews by itself. With `--within` the exit
/// code is 9 when any of it expires within that many days, or has expired.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct CheckExpirationArgs {
    /// Configuration file; else the cluster's stored configuration, or else the defaults
    #[arg(short = 'f', long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Directory of certificates and keys; that of the configuration when not given
    #[arg(long, value_name = "DIR")]
    cert_dir: Option<String>,

    /// Kubeconfig by which the cluster is asked for its configuration
    #[arg(long, value_name = "FILE", default_value = ADMIN_CONF)]
    kubeconfig: PathBuf,

    /// Exit with code 9 when something expires within this many days
    #[arg(long, value_name = "DAYS")]
    within: Option<u32>,

    /// Form of the tables
    #[arg(short, long, value_enum, default_value_t)]
    output: ExpiryOutput,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum ExpiryOutput {
    #[default]
    Text,
    /// kubeadm's `CertificateExpirationInfo`
    Json,
    Yaml,
}

const EXAMPLES: &str = "\
Examples:
  kubewright certs check-expiration
  kubewright certs check-expiration --within 30 -q     for a timer: fails when a month is left";

pub(super) fn run(args: &CheckExpirationArgs, settings: &Settings) -> Result<Exit, CliError> {
    let mut cluster = configuration(args, settings)?;
    if let Some(directory) = &args.cert_dir {
        directory.trim_end_matches('/').clone_into(&mut cluster.configuration.certificates_dir);
    }
    let report = report(&mut cluster)?;
    output::data(&rendered(&report, args.output)?);
    let expiring = args.within.map(|days| report.expiring(Duration::days(days.into()))).unwrap_or_default();
    if expiring.is_empty() {
        return Ok(Exit::Success);
    }
    let days = args.within.unwrap_or_default();
    output::people(&format!("expires within {days} days: {}\n", expiring.join(", ")));
    Ok(Exit::Attention)
}

/// The configuration of the file, of the cluster, or the defaults where neither can be had.
fn configuration(args: &CheckExpirationArgs, settings: &Settings) -> Result<Cluster, CliError> {
    let reporter = settings.reporter();
    if args.config.is_some() {
        let init = InitArgs { config: args.config.clone(), ..InitArgs::default() };
        return Ok(load::for_init(&init, &reporter)?.cluster);
    }
    let stored = Access::find(Some(&args.kubeconfig), settings)
        .and_then(|access| cluster_record::read(&access.api()?, &reporter));
    stored.or_else(|error| {
        let why = error.cause;
        output::people(&format!(
            "the cluster does not tell its configuration, so the defaults count: {why}\n"
        ));
        let overrides = crate::config::Overrides::default();
        Ok(load::for_images(None, &overrides, &reporter)?.cluster)
    })
}

/// Reads this host's files; which layout they have is for them to say.
fn report(cluster: &mut Cluster) -> Result<Report, CliError> {
    let host = Local::new("this host");
    cluster.layout = Layout::Five;
    let node = cluster.first_control_plane().clone();
    let inventory = pki_files::read_paths(&host, expiry::paths(cluster, &node)).map_err(|error| {
        let denied = error.io_kind() == Some(ErrorKind::PermissionDenied);
        let error = CliError::new(Exit::Host, error);
        if denied { error.hint("run this as root") } else { error }
    })?;
    cluster.layout = inventory::found_layout(cluster, &inventory).unwrap_or(Layout::Kubeadm);
    expiry::check(cluster, &node, &inventory, System.now()).map_err(anyhow::Error::msg).or_exit(Exit::Pki)
}

fn rendered(report: &Report, form: ExpiryOutput) -> Result<String, CliError> {
    Ok(match form {
        ExpiryOutput::Text => report.text(),
        ExpiryOutput::Json => serde_json::to_string_pretty(&report.value()).or_exit(Exit::Failure)? + "\n",
        ExpiryOutput::Yaml => yaml::to_string(&report.value()),
    })
}

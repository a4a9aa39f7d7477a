//! `kubewright certs check-expiration`.

use crate::cli::certs::own::SourceArgs;
use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::settings::Settings;
use crate::clock::Clock as _;
use crate::clock::System;
use crate::kube::yaml;
use crate::pki::expiry;
use crate::pki::expiry::Report;
use clap::Args;
use clap::ValueEnum;
use time::Duration;

/// Show when the certificates of this control plane expire, in both layouts
///
/// The first two tables are kubeadm's; the third one holds what the kubelet renews by itself. With `--within` the exit
/// code is 9 when any of it expires within that many days, or has expired.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct CheckExpirationArgs {
    #[command(flatten)]
    source: SourceArgs,

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
    let own = args.source.read(settings)?;
    let report = expiry::check(&own.cluster, &own.node, &own.inventory, System.now());
    let report = report.map_err(anyhow::Error::msg).or_exit(Exit::Pki)?;
    output::data(&rendered(&report, args.output)?);
    let expiring = args.within.map(|days| report.expiring(Duration::days(days.into()))).unwrap_or_default();
    if expiring.is_empty() {
        return Ok(Exit::Success);
    }
    let days = args.within.unwrap_or_default();
    output::people(&format!("expires within {days} days: {}\n", expiring.join(", ")));
    Ok(Exit::Attention)
}

fn rendered(report: &Report, form: ExpiryOutput) -> Result<String, CliError> {
    Ok(match form {
        ExpiryOutput::Text => report.text(),
        ExpiryOutput::Json => serde_json::to_string_pretty(&report.value()).or_exit(Exit::Failure)? + "\n",
        ExpiryOutput::Yaml => yaml::to_string(&report.value()),
    })
}

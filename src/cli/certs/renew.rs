//! `kubewright certs renew`.

use crate::cli::certs::own::SourceArgs;
use crate::cli::certs::restart;
use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::settings::Settings;
use crate::clock::Clock as _;
use crate::clock::System;
use crate::host::Change;
use crate::host::Entry;
use crate::host::Host as _;
use crate::host::local::Local;
use crate::pki::CertName;
use crate::pki::Minting;
use crate::pki::SystemRandom;
use crate::pki::expiry::human;
use crate::pki::renew;
use crate::pki::renew::NAMES;
use crate::pki::renew::Outcome;
use crate::pki::renew::RenewError;
use crate::pki::renew::Renewal;
use clap::Args;
use clap::ValueEnum;
use clap::builder::PossibleValuesParser;
use serde_json::Value;
use serde_json::json;
use time::Duration;

/// What stands for every certificate.
const ALL: &str = "all";

/// Renew certificates of this control plane, in both layouts
///
/// Subject, names and usages stay as they are; the key is new, and the validity is that of the configuration. In
/// kubeconfig files everything else stays. Authorities are not renewed, nor what the kubelet renews by itself. What is
/// missing, or signed by an authority whose key is kept elsewhere, is told and left alone.
///
/// Without --within everything that is named is renewed, as kubeadm does; with it, only what would expire soon, so that a
/// timer or a playbook may run it as often as it likes. Components read most certificates when they start: --restart
/// restarts those that read a renewed one, one after the other, and waits for each. On several control planes, run it
/// on one after the other.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct RenewArgs {
    /// Names as `check-expiration` shows them, or `all`
    #[arg(value_name = "NAME", required = true, value_parser = names())]
    names: Vec<String>,

    #[command(flatten)]
    source: SourceArgs,

    /// Renew only what expires within this many days
    #[arg(long, value_name = "DAYS")]
    within: Option<u32>,

    /// Restart the components that read a renewed certificate
    #[arg(long)]
    restart: bool,

    /// Only say what would be renewed
    #[arg(long)]
    dry_run: bool,

    /// Form of what is said
    #[arg(short, long, value_enum, default_value_t)]
    output: RenewOutput,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum RenewOutput {
    /// A line for each certificate, in kubeadm's words
    #[default]
    Text,
    /// One object with `"schema": 1`
    Json,
}

const EXAMPLES: &str = "\
Examples:
  kubewright certs renew all --restart
  kubewright certs renew apiserver admin.conf
  kubewright certs renew all --within 30 --restart -o json     for a timer";

fn names() -> PossibleValuesParser {
    let names = NAMES.into_iter().map(CertName::as_str).chain([ALL]);
    PossibleValuesParser::new(names.collect::<Vec<_>>())
}

pub(super) fn run(args: &RenewArgs, settings: &Settings) -> Result<Exit, CliError> {
    let own = args.source.read(settings)?;
    let all = args.names.iter().any(|name| name == ALL);
    let meant = |name: &CertName| all || args.names.iter().any(|meant| meant == name.as_str());
    let meant: Vec<CertName> = NAMES.into_iter().filter(meant).collect();
    let within = args.within.map(|days| Duration::days(days.into()));
    let minting = Minting::new(&own.cluster.configuration, System.now());
    let wanted = (&meant[..], within);
    let renewals = renew::renew(&own.cluster, &own.node, &own.inventory, wanted, &minting, &mut SystemRandom);
    let renewals = renewals.map_err(refused)?;
    if !args.dry_run {
        write(&renewals)?;
    }
    let renewed = || renewals.iter().filter(|renewal| matches!(renewal.outcome, Outcome::Renewed(_)));
    match args.output {
        RenewOutput::Text => output::data(&lines(&renewals, args.dry_run)),
        RenewOutput::Json => {
            let value = serde_json::to_string_pretty(&value(&renewals, args.dry_run));
            output::data(&(value.or_exit(Exit::Failure)? + "\n"));
        }
    }
    let components = restart::order(renewed().flat_map(|renewal| renew::readers(renewal.name)));
    if args.restart && !args.dry_run {
        restart::all(&own.node, &components, settings)?;
    } else if !components.is_empty() {
        output::people(&format!(
            "{} read what was renewed when they start; --restart restarts them\n",
            components.join(", ")
        ));
    }
    Ok(Exit::Success)
}

/// Each certificate's files together: one that was interrupted is made good by the next run.
fn write(renewals: &[Renewal]) -> Result<(), CliError> {
    let host = Local::new("this host");
    for renewal in renewals {
        let Outcome::Renewed(files) = &renewal.outcome else { continue };
        let change = |file: &renew::NewFile| Change::Write {
            path: file.path.clone(),
            entry: Entry::file(file.content.to_vec(), file.mode),
        };
        let changes: Vec<Change> = files.iter().map(change).collect();
        host.change_and_settle(&changes).map_err(|error| {
            CliError::new(Exit::Host, error).hint(format!(
                "{} may be half done: mend the cause, and renew it again",
                renewal.name.as_str()
            ))
        })?;
    }
    Ok(())
}

fn refused(error: RenewError) -> CliError {
    let hint = match &error {
        RenewError::Authority(_) | RenewError::File { .. } => Some("nothing was changed"),
        RenewError::Key(_) | RenewError::Mint { .. } => None,
    };
    let error = CliError::new(Exit::Pki, error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

fn lines(renewals: &[Renewal], dry_run: bool) -> String {
    let line = |renewal: &Renewal| {
        let what = renewal.name.long_name();
        match &renewal.outcome {
            Outcome::Renewed(_) if dry_run => format!("{what} would be renewed\n"),
            Outcome::Renewed(_) => format!("{what} renewed\n"),
            Outcome::Kept(left) => format!("{what} lasts for {}\n", human(*left)),
            Outcome::Missing => format!("MISSING! {what}\n"),
            Outcome::External(ca) => {
                format!("Detected external {}, {what} can't be renewed\n", CertName::Ca(*ca).base())
            }
        }
    };
    renewals.iter().map(line).collect()
}

fn value(renewals: &[Renewal], dry_run: bool) -> Value {
    let named = |is: fn(&Outcome) -> bool| -> Vec<&str> {
        renewals.iter().filter(|one| is(&one.outcome)).map(|one| one.name.as_str()).collect()
    };
    json!({
        "schema": 1,
        "dryRun": dry_run,
        "renewed": named(|outcome| matches!(outcome, Outcome::Renewed(_))),
        "kept": named(|outcome| matches!(outcome, Outcome::Kept(_))),
        "missing": named(|outcome| matches!(outcome, Outcome::Missing)),
        "external": named(|outcome| matches!(outcome, Outcome::External(_))),
    })
}

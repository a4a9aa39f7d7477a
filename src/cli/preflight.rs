//! `kubewright preflight`: the checks of `init` alone.

use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::init;
use crate::cli::init_args::InitArgs;
use crate::cli::load;
use crate::cli::output;
use crate::cli::session::Probe;
use crate::cli::session::Session;
use crate::cli::settings::Settings;
use crate::phase::Options;
use crate::preflight::Ignore;
use clap::Args;
use clap::ValueEnum;

/// Check whether this host can become a control plane; change nothing
///
/// kubeadm's checks under kubeadm's names, and further ones. Every text ends with the repair.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct PreflightCommand {
    #[command(flatten)]
    init: InitArgs,

    /// Form of the report
    #[arg(short, long, value_enum, default_value_t)]
    output: ReportOutput,
}

const EXAMPLES: &str = "\
Examples:
  kubewright preflight
  kubewright preflight --config cluster.yaml -o json";

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum ReportOutput {
    #[default]
    Table,
    Json,
    /// kubeadm's lines
    Text,
}

/// Runs the command.
///
/// # Errors
/// The host cannot be asked, or the configuration has problems.
pub(super) fn run(command: &PreflightCommand, settings: &Settings) -> Result<Exit, CliError> {
    let args = &command.init;
    let loaded = load::for_init(args, &settings.reporter())?;
    let probe = Probe::Full { measure: !args.dry_run };
    let session = Session::open(loaded.cluster, Options::default(), None, probe, settings)?;
    let ignore = Ignore::new(&loaded.ignore_preflight_errors, &session.node().ignore_preflight_errors)
        .or_exit(Exit::Usage)?;
    let report = init::judge(&session, args.prepare, &ignore);
    output::data(&match command.output {
        ReportOutput::Table => report.table(),
        ReportOutput::Text => report.kubeadm_text(),
        ReportOutput::Json => serde_json::to_string_pretty(&report.json()).or_exit(Exit::Failure)? + "\n",
    });
    Ok(if report.failed() { Exit::Preflight } else { Exit::Success })
}

//! `kubewright preflight`: the checks of `init` alone.

use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::fleet;
use crate::cli::fleet::FleetSession;
use crate::cli::init;
use crate::cli::init_args::InitArgs;
use crate::cli::interrupt;
use crate::cli::load;
use crate::cli::output;
use crate::cli::session::Probe;
use crate::cli::session::Session;
use crate::cli::settings::Settings;
use crate::phase::Options;
use crate::preflight::Ignore;
use clap::Args;
use clap::ValueEnum;
use std::path::Path;
use std::path::PathBuf;

/// Check whether this host can become a control plane, or all hosts of a file a cluster; change nothing
///
/// kubeadm's checks under kubeadm's names, and further ones. Every text ends with the repair. With `--file` all hosts of
/// the cluster are asked over SSH, and what lies between them is tried: ports, packet sizes, clocks, clones.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, mut_arg("config", |config| config.short(None)))]
pub(super) struct PreflightCommand {
    #[command(flatten)]
    init: InitArgs,

    /// File with a cluster, whose hosts are all checked over SSH
    #[arg(short = 'f', long = "file", value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,

    /// Judge the hosts as `apply --no-prepare` meets them
    #[arg(long, requires = "file")]
    no_prepare: bool,

    /// How many hosts are asked at the same time
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..), requires = "file")]
    parallel: u16,

    /// Form of the report
    #[arg(short, long, value_enum, default_value_t)]
    output: ReportOutput,
}

const EXAMPLES: &str = "\
Examples:
  kubewright preflight
  kubewright preflight --config cluster.yaml -o json
  kubewright preflight -f cluster.yaml";

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
    if let Some(file) = &command.file {
        return of_all(command, file, settings);
    }
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

/// Checks all hosts of a file.
fn of_all(command: &PreflightCommand, file: &Path, settings: &Settings) -> Result<Exit, CliError> {
    let reporter = settings.reporter();
    let loaded = load::for_fleet(file, &reporter)?;
    let ignore = Ignore::new(&command.init.ignore_preflight_errors, &loaded.ignore_preflight_errors);
    let ignore = ignore.or_exit(Exit::Usage)?;
    let parallel = usize::from(command.parallel);
    let connected = fleet::connect(&loaded.cluster, parallel, settings, &reporter);
    let interrupt = interrupt::flag().or_exit(Exit::Failure)?;
    let session =
        FleetSession::open(loaded.cluster, connected, Options::default(), parallel, interrupt, &reporter)?;
    let report = session.preflight(!command.no_prepare, &ignore);
    output::data(&match command.output {
        ReportOutput::Table => report.table(),
        ReportOutput::Text => report.text(),
        ReportOutput::Json => serde_json::to_string_pretty(&report.json()).or_exit(Exit::Failure)? + "\n",
    });
    Ok(if report.failed() { Exit::Preflight } else { Exit::Success })
}

//! `kubewright apply`: the whole cluster at once, over SSH.

use crate::apply;
use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::fleet;
use crate::cli::fleet::FleetArgs;
use crate::cli::fleet::FleetSession;
use crate::cli::init;
use crate::cli::load;
use crate::cli::output;
use crate::cli::settings::Settings;
use crate::cluster::GoDuration;
use crate::phase::Options;
use crate::phase::prune;
use crate::phase::select;
use crate::phase::workflow::CLUSTER;
use crate::plan::Plan;
use crate::plan::display;
use crate::plan::display::Detail;
use crate::preflight::Ignore;
use crate::report::Event;
use crate::report::Reporter;
use clap::Args;
use std::io::BufRead as _;
use std::io::IsTerminal as _;

/// Make a cluster what a file says, on all its hosts at once
///
/// Asks every host over SSH, shows what will be done, and does it after a confirmation: hosts side by side, control
/// planes all at the same time. What is as wanted is left alone, so the same command goes on where an earlier run
/// stopped, adds hosts that are new in the file, and puts right what was changed by hand.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[command(after_help = EXAMPLES)]
pub(super) struct ApplyCommand {
    #[command(flatten)]
    fleet: FleetArgs,

    /// Do not ask for confirmation
    #[arg(short = 'y', long)]
    yes: bool,

    /// Only look what would be done
    #[arg(long)]
    dry_run: bool,

    /// Show the difference of every file and object that is changed
    #[arg(long)]
    diff: bool,

    /// Repair on the hosts what preflight finds and can repair
    #[arg(long)]
    prepare: bool,

    /// Drain and remove nodes that the cluster has and the file has not
    #[arg(long)]
    prune: bool,

    /// How long the draining of one node may take
    #[arg(long, value_name = "DURATION", default_value = "5m0s")]
    drain_timeout: GoDuration,
}

const EXAMPLES: &str = "\
Examples:
  kubewright apply -f cluster.yaml
  kubewright apply -f cluster.yaml --yes
  kubewright apply -f cluster.yaml --dry-run --diff
  kubewright apply -f cluster.yaml --prune      nodes that were taken out of the file leave the cluster";

/// Runs the command.
///
/// # Errors
/// As the exit codes say.
pub(super) fn run(command: &ApplyCommand, settings: &Settings) -> Result<Exit, CliError> {
    let reporter = settings.reporter();
    let loaded = load::for_fleet(&command.fleet.file, &reporter)?;
    let selected = select::skipping(CLUSTER, &loaded.skip_phases).or_exit(Exit::Usage)?;
    let parallel = usize::from(command.fleet.parallel);
    let ignore = Ignore::new(&command.fleet.ignore_preflight_errors, &loaded.ignore_preflight_errors)
        .or_exit(Exit::Usage)?;
    let connected = fleet::connect(&loaded.cluster, parallel, settings);
    let options = Options {
        prepare: command.prepare,
        prune: command.prune,
        drain_limit: Some(command.drain_timeout),
        ..Options::default()
    };
    let session = FleetSession::open(loaded.cluster, connected, options, parallel, &reporter)?;
    let judged = session.preflight(command.prepare, &ignore);
    output::people(&judged.text());
    if judged.failed() {
        let error = CliError::new(Exit::Preflight, anyhow::anyhow!("preflight checks failed"));
        return Err(error.hint("nothing was changed; `kubewright preflight -f` shows all checks as a table"));
    }
    let plan = session.plan(&selected)?;
    let leavers = prune::leavers(&session.cluster, &session.running);
    if !command.prune {
        warn(&reporter, prune::mention(&leavers));
    }
    if !command.dry_run && !command.yes {
        confirm(&plan)?;
    }
    let bundle = session.bundle(&plan, command.dry_run, &reporter)?;
    let resolver = session.resolver(bundle, command.dry_run);
    let apply_options = apply::Options {
        dry_run: command.dry_run,
        diff: command.diff,
        parallel,
        api_timeout: session.cluster.timeouts.kubernetes_api_call.to_std(),
        ..apply::Options::default()
    };
    let report = session.execute(&plan, &resolver, &apply_options, &|event| reporter.tell(&event))?;
    if command.prune && report.success() && !command.dry_run {
        for leaver in &leavers {
            warn(&reporter, Some(prune::farewell(leaver)));
        }
    }
    Ok(if report.success() { Exit::Success } else { init::exit_of(&report) })
}

fn warn(reporter: &Reporter, said: Option<(String, String)>) {
    if let Some((message, hint)) = said {
        reporter.tell(&Event::Warning { host: None, message, hint: Some(hint) });
    }
}

/// Shows the plan and asks.
fn confirm(plan: &Plan) -> Result<(), CliError> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        let error = CliError::new(Exit::Usage, anyhow::anyhow!("nobody is there to confirm the plan"));
        return Err(error.hint("--yes applies it without asking; --dry-run only shows it"));
    }
    output::people(&display::text(plan, Detail::Short));
    output::people("\nApply this plan? [y/N] ");
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer).or_exit(Exit::Failure)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(CliError::new(Exit::Interrupted, anyhow::anyhow!("not confirmed; nothing was changed")))
}

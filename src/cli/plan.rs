//! `kubewright plan`: what `init` would do, step by step, against what is on the host.

use crate::apply;
use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::init_args::InitArgs;
use crate::cli::load;
use crate::cli::plan_fleet;
use crate::cli::plan_fleet::FleetPlanArgs;
use crate::cli::plan_fleet::How;
use crate::cli::session::Probe;
use crate::cli::session::Session;
use crate::cli::settings::Settings;
use crate::phase::Options;
use crate::phase::select;
use crate::phase::workflow::INIT;
use crate::plan::Plan;
use crate::plan::display;
use crate::plan::display::Detail;
use crate::preflight::Ignore;
use crate::report::Outcome;
use crate::report::Report;
use clap::Args;
use clap::ValueEnum;
use serde_json::json;
use std::fmt::Write as _;

/// Show what `apply` would do to a cluster, or `init` on this host; change nothing
///
/// The plan goes to standard output. With `--file` all hosts of a cluster are asked over SSH, and what would change on
/// each is shown with the interruption to expect. Without it, it is about `init` on this host, and each step says whether
/// it would change something: the host and, where there is one, the cluster are looked at.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, mut_arg("config", |config| config.short(None)))]
pub(super) struct PlanCommand {
    #[command(flatten)]
    init: InitArgs,

    #[command(flatten)]
    fleet: FleetPlanArgs,

    /// Form of the plan
    #[arg(short, long, value_enum, default_value_t)]
    output: PlanOutput,
}

const EXAMPLES: &str = "\
Examples:
  kubewright plan -f cluster.yaml
  kubewright plan -f cluster.yaml --diff --out reviewed.json
  kubewright plan -f cluster.yaml --detailed-exitcode
  kubewright plan --config cluster.yaml
  kubewright plan --config cluster.yaml --explain
  kubewright plan --config cluster.yaml -o json";

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum PlanOutput {
    #[default]
    Text,
    Json,
}

/// Runs the command.
///
/// # Errors
/// The host cannot be asked, the configuration has problems, or what is on the host cannot be used.
pub(super) fn run(command: &PlanCommand, settings: &Settings) -> Result<Exit, CliError> {
    let args = &command.init;
    let InitArgs { diff, explain, .. } = *args;
    match &command.fleet.file {
        // A file without hosts is about this one. Standard input can be read only once.
        Some(file) if file.as_os_str() != "-" && !plan_fleet::is_wanted(&command.fleet, file)? => {
            let config = Some(file.clone());
            of_this_host(&InitArgs { config, ..args.clone() }, command.output, settings)
        }
        Some(file) => {
            let ignored = &args.ignore_preflight_errors;
            let how = How { output: command.output, diff, explain, ignored };
            plan_fleet::run(file, &command.fleet, how, settings)
        }
        None => of_this_host(args, command.output, settings),
    }
}

/// What `init` would do here.
fn of_this_host(args: &InitArgs, output: PlanOutput, settings: &Settings) -> Result<Exit, CliError> {
    let quiet = Settings { quiet: true, face: crate::cli::settings::Face::Plain, ..settings.clone() };
    let reporter = quiet.reporter();
    let loaded = load::for_init_plan(args, &reporter)?;
    let selected = select::skipping(INIT, &loaded.skip_phases).or_exit(Exit::Usage)?;
    let options = Options { prepare: args.prepare, ..Options::default() };
    let mut session = Session::open(loaded.cluster, options, None, Probe::Full { measure: false }, settings)?;
    if loaded.token_is_new {
        session.adopt_token();
    }
    let ignore = Ignore::new(&loaded.ignore_preflight_errors, &session.node().ignore_preflight_errors);
    plan_fleet::refuse_version(&session.cluster, session.running(), &ignore.or_exit(Exit::Usage)?)?;
    let plan = session.plan(&selected)?;
    let resolver = session.resolver(&plan, true, &reporter)?;
    let dry = apply::Options { dry_run: true, diff: args.diff, ..apply::Options::default() };
    let seen = std::sync::Mutex::new(Vec::new());
    let report = session.execute(&plan, &resolver, &dry, &|event| {
        if let crate::report::Event::StepFinished { diff: Some(diff), subject, .. } = &event {
            seen.lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .push((subject.clone(), diff.clone()));
        }
        reporter.tell(&event);
    })?;
    let diffs = seen.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    crate::cli::output::data(&match output {
        PlanOutput::Text => text(&plan, &report, args.explain, &diffs),
        PlanOutput::Json => json_text(&plan, &report)?,
    });
    Ok(if report.success() { Exit::Success } else { Exit::Failure })
}

fn text(plan: &Plan, report: &Report, explain: bool, diffs: &[(String, String)]) -> String {
    let outcomes: Vec<Outcome> = report.records.iter().map(|record| record.outcome).collect();
    let detail = if explain { Detail::Explained } else { Detail::Short };
    let mut text = display::with_outcomes(plan, detail, &outcomes);
    for (subject, diff) in diffs {
        let _ = write!(text, "\n{subject}\n{diff}");
    }
    let _ = writeln!(text, "\n{}", report.totals());
    text
}

fn json_text(plan: &Plan, report: &Report) -> Result<String, CliError> {
    let mut value = display::json(plan);
    for (step, record) in value["steps"].as_array_mut().into_iter().flatten().zip(&report.records) {
        step["outcome"] = json!(record.outcome);
    }
    value["totals"] = json!(report.totals());
    Ok(serde_json::to_string_pretty(&value).or_exit(Exit::Failure)? + "\n")
}

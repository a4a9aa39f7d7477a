//! `kubewright plan -f`: what `apply` would do on all hosts of a cluster.

use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::fleet;
use crate::cli::fleet::FleetSession;
use crate::cli::init;
use crate::cli::interrupt;
use crate::cli::limit;
use crate::cli::load;
use crate::cli::output;
use crate::cli::plan::PlanOutput;
use crate::cli::render;
use crate::cli::review_file;
use crate::cli::settings::Face;
use crate::cli::settings::Settings;
use crate::cluster::Cluster;
use crate::cluster::prepare::Source;
use crate::facts::ClusterFacts;
use crate::phase::Options;
use crate::phase::select;
use crate::phase::workflow::CLUSTER;
use crate::preflight::Ignore;
use crate::preflight::version;
use crate::report::Event;
use crate::review::json;
use crate::review::reviewed::PlanChoices;
use crate::review::text;
use crate::review::text::Show;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[command(next_help_heading = "A whole cluster")]
pub(super) struct FleetPlanArgs {
    /// File with a whole cluster, whose hosts are asked over SSH; nothing of this host plays a part
    #[arg(short = 'f', long = "file", value_name = "FILE", conflicts_with = "config")]
    pub file: Option<PathBuf>,

    /// Show steps that are as wanted already, too
    #[arg(long, requires = "file")]
    pub all: bool,

    /// Plan for these hosts only; names of hosts, or the roles control-plane, worker, load-balancer and etcd
    #[arg(long, value_name = "HOST", value_delimiter = ',', requires = "file")]
    pub limit: Vec<String>,

    /// Plan without preparing the hosts, as `apply --no-prepare` does
    #[arg(long, requires = "file")]
    pub no_prepare: bool,

    /// Plan the draining and removal of nodes that the cluster has and the file has not
    #[arg(long, requires = "file")]
    pub prune: bool,

    /// Write the plan down for `apply --plan`, without secrets
    #[arg(long, value_name = "FILE", requires = "file")]
    pub out: Option<String>,

    /// Exit with 0 when there is nothing to do, 2 when there is something, and 1 after any error
    #[arg(long, requires = "file")]
    pub detailed_exitcode: bool,

    /// Ask no host: show what would be done to new ones
    #[arg(long, requires = "file", conflicts_with_all = ["prune", "out", "detailed_exitcode"])]
    pub offline: bool,

    /// How many hosts are asked at the same time
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    pub parallel: u16,
}

/// How it is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct How<'a> {
    pub output: PlanOutput,
    pub diff: bool,
    pub explain: bool,
    /// Checks of the version whose errors count as warnings.
    pub ignored: &'a [String],
}

/// Whether the plan is about a whole cluster: the file has hosts, or a flag says so.
///
/// # Errors
/// There is no such file.
pub(super) fn is_wanted(args: &FleetPlanArgs, file: &std::path::Path) -> Result<bool, CliError> {
    let says =
        args.detailed_exitcode || args.all || args.out.is_some() || args.offline || !args.limit.is_empty();
    Ok(says || load::names_hosts(file)?)
}

/// Runs the command for a whole cluster.
///
/// # Errors
/// A host cannot be asked, or the configuration has problems.
pub(super) fn run(
    file: &std::path::Path,
    args: &FleetPlanArgs,
    how: How<'_>,
    settings: &Settings,
) -> Result<Exit, CliError> {
    match plan(file, args, how, settings) {
        Err(error) if args.detailed_exitcode => Err(CliError { exit: Exit::Failure, ..error }),
        Ok(exit) if args.detailed_exitcode && ![Exit::Success, Exit::DIFFERENT].contains(&exit) => {
            Ok(Exit::Failure)
        }
        answer => answer,
    }
}

fn plan(
    file: &std::path::Path,
    args: &FleetPlanArgs,
    how: How<'_>,
    settings: &Settings,
) -> Result<Exit, CliError> {
    let quiet = Settings { quiet: true, face: Face::Plain, ..settings.clone() };
    let reporter = quiet.reporter();
    let loaded = load::for_fleet_plan(file, &reporter)?;
    let selected = select::skipping(CLUSTER, &loaded.skip_phases).or_exit(Exit::Usage)?;
    let only = limit::resolve(&loaded.cluster, &args.limit)?;
    let parallel = usize::from(args.parallel);
    let interrupt = interrupt::flag().or_exit(Exit::Failure)?;
    let options = Options { prepare: !args.no_prepare, prune: args.prune, only, ..Options::default() };
    let cluster = loaded.cluster.clone();
    let session = if args.offline {
        let left_out = if args.no_prepare { None } else { unknown_packages(&cluster) };
        render::guess(&cluster).iter().chain(&left_out).for_each(|warning| reporter.tell(warning));
        FleetSession::assumed(cluster, options, parallel, interrupt, &reporter)?
    } else {
        let connected = fleet::connect(&cluster, parallel, settings, &reporter);
        FleetSession::open(cluster, connected, options, parallel, interrupt, &reporter)?
    };
    refuse_silent(&session)?;
    let ignore = Ignore::new(how.ignored, &loaded.ignore_preflight_errors);
    refuse_version(&session.cluster, &session.running, &ignore.or_exit(Exit::Usage)?)?;
    let plan = session.plan(&selected)?;
    let bundle = session.bundle(&plan, true, &reporter)?;
    let resolver = session.resolver(bundle, true);
    let look = session.look(&plan, &resolver, &|event| {
        if matches!(event, Event::Failed { .. } | Event::Warning { .. }) {
            reporter.tell(&event);
        }
    });
    output::data(&match how.output {
        PlanOutput::Text => {
            text::text(&look.review, Show { all: args.all, diff: how.diff, explain: how.explain })
        }
        PlanOutput::Json => {
            let value = json::json(&session.cluster.name, &plan, &look.review);
            serde_json::to_string_pretty(&value).or_exit(Exit::Failure)? + "\n"
        }
    });
    if !look.report.success() {
        return Ok(init::exit_of(&look.report));
    }
    if let Some(path) = &args.out {
        let choices = PlanChoices {
            prepare: !args.no_prepare,
            prune: args.prune,
            limit: args.limit.clone(),
            ..PlanChoices::default()
        };
        review_file::write(path, &review_file::of(&session, &loaded, &choices, &plan, &look))?;
        output::people(&format!(
            "wrote {path}; apply it with `kubewright apply -f {} --plan {path}`\n",
            file.display()
        ));
    }
    let differs = args.detailed_exitcode && !look.review.is_empty();
    Ok(if differs { Exit::DIFFERENT } else { Exit::Success })
}

/// What a plan lacks when no host was asked for its distribution.
fn unknown_packages(cluster: &Cluster) -> Option<Event> {
    (cluster.prepare.artifacts.source == Source::Packages).then(|| Event::Warning {
        host: None,
        message: "the packages that hosts get are left out, since no host was asked for its distribution"
            .to_owned(),
        hint: Some("without --offline they are in the plan".to_owned()),
    })
}

/// A plan that `apply` would refuse because of its version is none.
///
/// # Errors
/// The cluster that runs may not get the version.
pub(super) fn refuse_version(
    cluster: &Cluster,
    running: &ClusterFacts,
    ignore: &Ignore,
) -> Result<(), CliError> {
    let report = version::judge(&cluster.name, cluster, running, ignore);
    output::people(&report.kubeadm_text());
    if report.failed() {
        let error = anyhow::anyhow!("{} may not go to {}", cluster.name, cluster.version);
        return Err(CliError::new(Exit::Preflight, error).hint("nothing was changed"));
    }
    Ok(())
}

/// Without an answer there is nothing to compare with; hosts that the plan is not about may be silent.
fn refuse_silent(session: &FleetSession) -> Result<(), CliError> {
    let lines: Vec<String> = session.silent().map(|(name, why)| format!("\n  {name}: {why}")).collect();
    if lines.is_empty() {
        return Ok(());
    }
    let error = anyhow::anyhow!("not all hosts can be asked:{}", lines.concat());
    Err(CliError::new(Exit::Host, error).hint("`kubewright preflight -f` says more; nothing was changed"))
}

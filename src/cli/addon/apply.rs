//! `kubewright addon apply`.

use super::ClusterArgs;
use super::connect;
use super::interrupt;
use super::names;
use super::open;
use crate::apply;
use crate::cli::confirm;
use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::fleet;
use crate::cli::fleet::FleetSession;
use crate::cli::init;
use crate::cli::load;
use crate::cli::output;
use crate::cli::settings::Face;
use crate::cli::settings::Settings;
use crate::cluster::GoDuration;
use crate::phase::Options;
use crate::phase::select;
use crate::phase::select::nearest;
use crate::phase::workflow::CLUSTER;
use crate::plan::Plan;
use crate::report::Event;
use crate::report::Reporter;
use crate::review::text;
use crate::review::text::Show;
use clap::Args;
use std::collections::BTreeSet;
use std::io::IsTerminal as _;

/// Make add-ons of a cluster what a file says, and nothing else
///
/// Goes through the control planes and changes no host. Names are those of the phases under `init phase addon` and of the
/// file's own charts and manifests; one that is not in the file any more is removed from the cluster.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[command(after_help = EXAMPLES)]
pub(super) struct ApplyArgs {
    /// Names of add-ons
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,

    #[command(flatten)]
    cluster: ClusterArgs,

    /// Do not ask for confirmation
    #[arg(short = 'y', long)]
    yes: bool,

    /// How long what an add-on runs may take to come up
    #[arg(long, value_name = "DURATION", default_value = "10m0s")]
    timeout: GoDuration,

    /// Only look what would be done
    #[arg(long)]
    dry_run: bool,

    /// Show the difference of every object that is changed
    #[arg(long)]
    diff: bool,

    /// Take over fields that somebody else has set to something else
    #[arg(long)]
    force_conflicts: bool,
}

const EXAMPLES: &str = "\
Examples:
  kubewright addon apply -f cluster.yaml metrics-server
  kubewright addon apply -f cluster.yaml metallb ingress --dry-run --diff
  kubewright addon apply -f cluster.yaml coredns --yes";

pub(super) fn run(args: &ApplyArgs, settings: &Settings) -> Result<Exit, CliError> {
    if !args.dry_run && !args.yes && !std::io::stdin().is_terminal() {
        let error = CliError::new(Exit::Usage, anyhow::anyhow!("nobody is there to confirm the changes"));
        return Err(error.hint("--yes makes them without asking; --dry-run only shows them"));
    }
    let reporter = settings.reporter();
    let mut cluster = load::for_fleet_plan(&args.cluster.file, &reporter)?.cluster;
    let wanted = names(&cluster);
    let connected = connect(&mut cluster, &args.cluster, settings, &reporter);
    let interrupt = interrupt()?;
    let held = (!args.dry_run).then(|| {
        let words = format!("kubewright addon apply -f {}", args.cluster.file.display());
        let hosts = fleet::in_order(&cluster, &connected.hosts);
        let parallel = usize::from(args.cluster.parallel);
        fleet::take_locks(&hosts, &fleet::holder(&words, settings), None, parallel, &interrupt, &reporter)
    });
    // They are given back when this ends.
    let _held = held.transpose()?;
    let mut session = open(cluster, connected, &args.cluster, &reporter)?;
    refuse_unknown(&args.names, &wanted, &session)?;
    session.options = Options {
        addons: Some(args.names.iter().cloned().collect()),
        prepare: false,
        addon_limit: Some(args.timeout),
        ..session.options.clone()
    };
    let plan = session.plan_as_listed(&select::only(CLUSTER, "addon").or_exit(Exit::Usage)?)?;
    Run { args, settings, reporter: &reporter, session: &session, plan: &plan }.go()
}

/// Names that neither the file nor the cluster knows.
fn refuse_unknown(asked: &[String], wanted: &[String], session: &FleetSession) -> Result<(), CliError> {
    let installed = session.running.addons.iter().map(|installed| installed.name.as_str());
    let known: BTreeSet<&str> = wanted.iter().map(String::as_str).chain(installed).collect();
    let Some(unknown) = asked.iter().find(|name| !known.contains(name.as_str())) else { return Ok(()) };
    let message = format!("neither the file nor the cluster has an add-on `{unknown}`");
    let error = CliError::new(Exit::Usage, anyhow::anyhow!(message));
    Err(match nearest(unknown, known.iter().copied()) {
        Some(name) => error.hint(format!("did you mean `{name}`?")),
        None => error.hint(format!("there are {}", known.into_iter().collect::<Vec<_>>().join(", "))),
    })
}

/// What is to be done, and how it is shown.
struct Run<'a> {
    args: &'a ApplyArgs,
    settings: &'a Settings,
    reporter: &'a Reporter,
    session: &'a FleetSession,
    plan: &'a Plan,
}

impl Run<'_> {
    fn go(&self) -> Result<Exit, CliError> {
        if self.args.dry_run || !self.args.yes {
            let resolver = self.session.resolver(self.session.bundle(self.plan, true, self.reporter)?, true);
            let look = self.session.look(self.plan, &resolver, &|event| {
                if matches!(event, Event::Failed { .. } | Event::Warning { .. }) {
                    self.reporter.tell(&event);
                }
            });
            let shown = text::text(&look.review, Show { diff: self.args.diff, ..Show::default() });
            if self.args.dry_run || !look.report.success() || look.review.is_empty() {
                if self.settings.face != Face::Json {
                    self.settings.say(&shown);
                }
                return Ok(if look.report.success() { Exit::Success } else { init::exit_of(&look.report) });
            }
            output::people(&shown);
            let name = &self.session.cluster.name;
            output::people(&format!("\nApply these {} to {name}? [y/N] ", text::question(&look.review)));
            if !confirm::yes(&*interrupt()?)? {
                let error = anyhow::anyhow!("not confirmed; nothing was changed");
                return Err(CliError::new(Exit::Interrupted, error));
            }
        }
        self.carry_out()
    }

    fn carry_out(&self) -> Result<Exit, CliError> {
        let resolver = self.session.resolver(self.session.bundle(self.plan, false, self.reporter)?, false);
        let options = apply::Options {
            diff: self.args.diff,
            force_conflicts: self.args.force_conflicts,
            parallel: usize::from(self.args.cluster.parallel),
            api_timeout: self.session.cluster.timeouts.kubernetes_api_call.to_std(),
            ..apply::Options::default()
        };
        let report = self
            .session
            .execute_through_api(self.plan, &resolver, &options, &|event| self.reporter.tell(&event));
        Ok(if report.success() { Exit::Success } else { init::exit_of(&report) })
    }
}

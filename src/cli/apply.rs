//! `kubewright apply`: the whole cluster at once, over SSH.

use crate::apply;
use crate::cli::apply_args::ApplyCommand;
use crate::cli::confirm;
use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::fleet;
use crate::cli::fleet::FleetSession;
use crate::cli::fleet::Look;
use crate::cli::handover;
use crate::cli::init;
use crate::cli::interrupt;
use crate::cli::journal::Journal;
use crate::cli::limit;
use crate::cli::load;
use crate::cli::load::Loaded;
use crate::cli::output;
use crate::cli::review_file;
use crate::cli::settings::Face;
use crate::cli::settings::Settings;
use crate::lock::Held;
use crate::lock::Holder;
use crate::phase::Options;
use crate::phase::prune;
use crate::phase::prune::Leaver;
use crate::phase::select;
use crate::phase::select::Selected;
use crate::phase::skew;
use crate::phase::workflow::CLUSTER;
use crate::pki::Bundle;
use crate::plan::Plan;
use crate::preflight::Ignore;
use crate::report::Event;
use crate::report::Report;
use crate::report::Reporter;
use crate::review::Reviewed;
use crate::review::left;
use crate::review::text;
use crate::review::text::Show;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Runs the command.
///
/// # Errors
/// As the exit codes say.
pub(super) fn run(command: &ApplyCommand, settings: &Settings) -> Result<Exit, CliError> {
    let reporter = settings.reporter();
    let reviewed = command.plan.as_deref().map(review_file::read).transpose()?;
    if !command.dry_run && !command.yes && reviewed.is_none() && !std::io::stdin().is_terminal() {
        let error = CliError::new(Exit::Usage, anyhow::anyhow!("nobody is there to confirm the plan"));
        return Err(error.hint("--yes applies it without asking; --dry-run only shows it"));
    }
    Run::open(command, settings, &reporter, reviewed)?.go()
}

/// One run of `apply`. The locks are given back when it ends, whatever way.
struct Run<'a> {
    command: &'a ApplyCommand,
    settings: &'a Settings,
    reporter: &'a Reporter,
    reviewed: Option<Reviewed>,
    loaded: Loaded,
    selected: Vec<Selected>,
    session: FleetSession,
    holder: Holder,
    interrupt: Arc<AtomicBool>,
    ignore: Ignore,
    /// `None` in a dry run.
    held: Option<Result<Held, CliError>>,
}

impl<'a> Run<'a> {
    /// Connects, locks, and asks every host. What is asked before the lock is held may be different when it is.
    fn open(
        command: &'a ApplyCommand,
        settings: &'a Settings,
        reporter: &'a Reporter,
        reviewed: Option<Reviewed>,
    ) -> Result<Self, CliError> {
        let loaded = load::for_fleet_plan(&command.fleet.file, reporter)?;
        let selected = select::skipping(CLUSTER, &loaded.skip_phases).or_exit(Exit::Usage)?;
        let options = options(command, reviewed.as_ref(), &loaded)?;
        let parallel = usize::from(command.fleet.parallel);
        let interrupt = interrupt::flag().or_exit(Exit::Failure)?;
        let ignore = Ignore::new(&command.fleet.ignore_preflight_errors, &loaded.ignore_preflight_errors)
            .or_exit(Exit::Usage)?;
        let connected = fleet::connect(&loaded.cluster, parallel, settings, reporter);
        let holder = fleet::holder(&words(command), settings);
        let ordered = fleet::in_order(&loaded.cluster, &connected.hosts);
        let broken = command.break_lock.as_deref();
        let held = (!command.dry_run)
            .then(|| fleet::take_locks(&ordered, &holder, broken, parallel, &interrupt, reporter));
        // A host that cannot write one is for preflight to tell, with all others.
        let held = match held {
            Some(Err(error)) if error.exit == Exit::Locked => return Err(error),
            held => held,
        };
        let cluster = loaded.cluster.clone();
        let session =
            FleetSession::open(cluster, connected, options, parallel, Arc::clone(&interrupt), reporter)?;
        Ok(Self {
            command,
            settings,
            reporter,
            reviewed,
            loaded,
            selected,
            session,
            holder,
            interrupt,
            ignore,
            held,
        })
    }

    fn go(mut self) -> Result<Exit, CliError> {
        self.preflight()?;
        // It is given back when this ends.
        let _held = self.held.take().transpose()?;
        self.refuse_without_control_plane()?;
        let FleetSession { cluster, running, options, .. } = &self.session;
        self.hint(skew::mention(cluster, running, options));
        let plan = self.session.plan(&self.selected)?;
        if !self.session.options.prune {
            self.hint(prune::mention(&self.leavers()));
        }
        if self.command.dry_run || !self.command.yes || self.reviewed.is_some() {
            let bundle = self.session.bundle(&plan, true, self.reporter)?;
            let look = self.look(&plan, bundle);
            if self.command.dry_run || !look.report.success() {
                return Ok(self.shown(&look));
            }
            if let Some(reviewed) = &self.reviewed {
                let now = review_file::of(&self.session, &self.loaded, &reviewed.choices, &plan, &look);
                review_file::compare(reviewed, &now)?;
            }
            if look.review.is_empty() {
                self.settings.say(&text::text(&look.review, Show::default()));
                let bundle = self.session.bundle(&plan, false, self.reporter)?;
                self.hand_over(&bundle)?;
                return Ok(Exit::Success);
            }
            if !self.command.yes && self.reviewed.is_none() {
                self.confirm(&look)?;
            }
        }
        self.carry_out(&plan)
    }

    fn preflight(&self) -> Result<(), CliError> {
        for (host, why) in self.session.left_out() {
            self.warn(format!("{host} cannot be asked, and is left out: {why}"));
        }
        let judged = self.session.preflight(self.session.options.prepare, &self.ignore);
        output::people(&judged.text());
        if judged.failed() {
            let error = CliError::new(Exit::Preflight, anyhow::anyhow!("preflight checks failed"));
            return Err(
                error.hint("nothing was changed; `kubewright preflight -f` shows all checks as a table")
            );
        }
        Ok(())
    }

    /// What a dry run finds.
    fn look(&self, plan: &Plan, bundle: Arc<Bundle>) -> Look {
        let resolver = self.session.resolver(bundle, true);
        // Programs listen to a dry run as to any other.
        let listens = self.command.dry_run && self.settings.face == Face::Json;
        self.session.look(plan, &resolver, &|event| {
            let matters = matches!(event, Event::Failed { .. } | Event::Warning { .. });
            if listens || matters {
                self.reporter.tell(&event);
            }
        })
    }

    fn shown(&self, look: &Look) -> Exit {
        if self.settings.face != Face::Json {
            self.settings.say(&text::text(&look.review, self.show()));
        }
        if look.report.success() { Exit::Success } else { init::exit_of(&look.report) }
    }

    fn show(&self) -> Show {
        Show { diff: self.command.diff, ..Show::default() }
    }

    /// Shows the plan and asks.
    fn confirm(&self, look: &Look) -> Result<(), CliError> {
        output::people(&text::text(&look.review, self.show()));
        let name = &self.session.cluster.name;
        output::people(&format!("\nApply these {} to {name}? [y/N] ", text::question(&look.review)));
        if confirm::yes(&self.interrupt)? {
            return Ok(());
        }
        Err(CliError::new(Exit::Interrupted, anyhow::anyhow!("not confirmed; nothing was changed")))
    }

    fn carry_out(&self, plan: &Plan) -> Result<Exit, CliError> {
        let journal = match Journal::begin(self.settings, &self.session.cluster.name, &self.holder) {
            Ok(journal) => journal,
            Err(error) => {
                self.warn(format!("{:#}", error.cause));
                None
            }
        };
        let bundle = self.session.bundle(plan, false, self.reporter)?;
        let resolver = self.session.resolver(Arc::clone(&bundle), false);
        let mut options = apply::Options {
            diff: self.command.diff,
            parallel: usize::from(self.command.fleet.parallel),
            api_timeout: self.session.cluster.timeouts.kubernetes_api_call.to_std(),
            retries: self.command.retries,
            force_conflicts: self.command.force_conflicts,
            ..apply::Options::default()
        };
        if let Some(journal) = &journal {
            options.resume =
                format!("{}; the journal of this run is {}", options.resume, journal.path.display());
        }
        let report = self.session.execute(plan, &resolver, &options, &|event| {
            self.reporter.tell(&event);
            if let Some(journal) = &journal {
                journal.tell(&event);
            }
        });
        if report.success() {
            if self.session.options.prune {
                self.leavers().iter().for_each(|leaver| self.hint(Some(prune::farewell(leaver))));
            }
            self.hand_over(&bundle)?;
            return Ok(Exit::Success);
        }
        self.tell_left(plan, &report, journal.as_ref());
        Ok(init::exit_of(&report))
    }

    /// What is left to do, and where to read what was done.
    fn tell_left(&self, plan: &Plan, report: &Report, journal: Option<&Journal>) {
        let left = left::lines(plan, report);
        if self.settings.face == Face::Json || left.is_empty() {
            return;
        }
        let mut text = String::from("\nleft to do:\n");
        for line in left {
            let _ = writeln!(text, "  {line}");
        }
        text.push_str("the same command goes on from here\n");
        if let Some(journal) = journal.filter(|_| report.interrupted) {
            let _ = writeln!(text, "the journal of this run is {}", journal.path.display());
        }
        output::people(&text);
    }

    fn hand_over(&self, bundle: &Bundle) -> Result<(), CliError> {
        let wanted = handover::Wanted {
            out: self.command.kubeconfig_out.as_deref(),
            merge: self.command.merge_kubeconfig,
        };
        handover::hand_over(&wanted, &self.session.cluster, bundle, self.settings)
    }

    /// A limit without control planes needs a cluster that runs, or at least its authorities.
    fn refuse_without_control_plane(&self) -> Result<(), CliError> {
        let Some(only) = &self.session.options.only else { return Ok(()) };
        let cluster = &self.session.cluster;
        let included = cluster.control_planes().any(|node| only.contains(&node.name));
        let joins = cluster.workers().any(|node| only.contains(&node.name));
        let members = cluster.etcd_hosts().any(|node| only.contains(&node.name));
        let message = if included {
            return Ok(());
        } else if joins && !self.session.running.runs {
            "the limit leaves out every control plane, and no API server answers that workers could join"
        } else if members && !self.session.has_authority() {
            "the limit leaves out every control plane, and none has the authority of etcd's certificates"
        } else {
            return Ok(());
        };
        Err(CliError::new(Exit::Usage, anyhow::anyhow!(message))
            .hint("apply to the control planes first, or without a limit; nothing was changed"))
    }

    /// The nodes that the cluster has and the file has not.
    fn leavers(&self) -> Vec<Leaver> {
        prune::leavers(&self.session.cluster, &self.session.running)
    }

    fn hint(&self, said: Option<(String, String)>) {
        if let Some((message, hint)) = said {
            self.reporter.tell(&Event::Warning { host: None, message, hint: Some(hint) });
        }
    }

    fn warn(&self, message: String) {
        self.reporter.tell(&Event::Warning { host: None, message, hint: None });
    }
}

/// Choices of the run; those of a reviewed plan are part of it.
fn options(
    command: &ApplyCommand,
    reviewed: Option<&Reviewed>,
    loaded: &Loaded,
) -> Result<Options, CliError> {
    let choices = reviewed.map(|reviewed| reviewed.choices.clone()).unwrap_or_default();
    let words = if reviewed.is_some() { &choices.limit } else { &command.limit };
    Ok(Options {
        prepare: reviewed.map_or(!command.no_prepare, |_| choices.prepare),
        prune: reviewed.map_or(command.prune, |_| choices.prune),
        drain_limit: Some(command.drain_timeout),
        addon_limit: Some(command.addon_timeout),
        only: limit::resolve(&loaded.cluster, words)?,
        ttl_token_id: choices.ttl_token_id,
        ..Options::default()
    })
}

/// How the run is called in the lock and the journal.
fn words(command: &ApplyCommand) -> String {
    format!("kubewright apply -f {}", command.fleet.file.display())
}

//! `kubewright reset`: the way back of this host, whole or one phase of it.

use crate::api::provider::Kubeconfigs;
use crate::apply;
use crate::apply::Resolve;
use crate::apply::World;
use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::fleet;
use crate::cli::images::CriImages;
use crate::cli::interrupt;
use crate::cli::load;
use crate::cli::phase_command::PhaseCommand;
use crate::cli::phase_command::Workflow;
use crate::cli::pods::CriPods;
use crate::cli::reset_args;
use crate::cli::reset_args::ResetArgs;
use crate::cli::reset_etcd::LocalEtcd;
use crate::cli::reset_facts;
use crate::cli::reset_facts::node_name;
use crate::cli::reset_words as words;
use crate::cli::settings::Settings;
use crate::clock::Clock as _;
use crate::clock::System;
use crate::cluster::kubeadm::ResetConfiguration;
use crate::host::Fleet;
use crate::host::Host;
use crate::host::local::Local;
use crate::phase::Phase;
use crate::phase::reset;
use crate::phase::reset::Choices;
use crate::phase::reset::FORGET;
use crate::phase::reset::Facts;
use crate::phase::select;
use crate::phase::select::Selected;
use crate::phase::workflow::RESET;
use crate::plan::Content;
use crate::plan::Fill;
use crate::plan::Plan;
use crate::plan::display;
use crate::plan::display::Detail;
use crate::preflight::Ignore;
use crate::report::Event;
use crate::report::Outcome;
use crate::report::Record;
use crate::report::Reporter;
use crate::report::Totals;
use clap::Args;
use clap::Subcommand;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Take this host out of its cluster, and leave it as it was before
///
/// Does what `kubeadm reset` does, and then what that leaves to the operator: packet filters, interfaces, CNI
/// configuration, logs, and whatever was changed on the host for the cluster. What others made stays. At the end the
/// host is compared with its state before `init` or `join`, and a difference is shown.
///
/// It can be interrupted at any moment and run again.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(super) struct ResetCommand {
    #[command(flatten)]
    reset: ResetArgs,

    #[command(subcommand)]
    sub: Option<ResetSub>,
}

const EXAMPLES: &str = "\
Examples:
  kubewright reset --dry-run                      all that would be taken away and restored
  kubewright reset --force                        without the question
  kubewright reset phase cleanup-network          rules, interfaces and CNI configuration only
  kubewright reset --skip-phases restore-host     leave parameters and services as they are";

#[derive(Debug, Subcommand)]
enum ResetSub {
    /// Run one phase alone
    Phase {
        #[command(subcommand)]
        phase: PhaseCommand<ResetArgs>,
    },
}

impl Workflow for ResetArgs {
    const PHASES: &'static [Phase] = RESET;
}

/// How often what remains is taken up again: what a pod does while it ends may need another look.
const PASSES: usize = 3;

/// What is carried out from one look at the host.
const PARTS: [&[&str]; 2] = [&["remove-etcd-member", "cleanup-node"], &["cleanup-network", "restore-host"]];

/// Between two of them, for what goes by itself.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs the command.
///
/// # Errors
/// As the exit codes say.
pub(super) fn run(command: &ResetCommand, settings: &Settings) -> Result<Exit, CliError> {
    match &command.sub {
        None => Run::new(&command.reset, None, settings)?.go(),
        Some(ResetSub::Phase { phase }) => Run::new(&phase.args, Some(&phase.name), settings)?.go(),
    }
}

/// One run of `reset`.
struct Run<'a> {
    args: &'a ResetArgs,
    settings: &'a Settings,
    reporter: Reporter,
    configuration: ResetConfiguration,
    choices: Choices,
    selected: Vec<Selected>,
    host: Arc<Local>,
    interrupt: Arc<AtomicBool>,
    start: Duration,
}

impl<'a> Run<'a> {
    fn new(args: &'a ResetArgs, alone: Option<&str>, settings: &'a Settings) -> Result<Self, CliError> {
        let reporter = settings.reporter();
        let configuration = reset_args::configuration(args, &reporter)?;
        let selected = match alone {
            Some(phase) => select::only(RESET, phase),
            None => select::skipping(RESET, &configuration.skip_phases),
        };
        let choices = reset_args::choices(args, &configuration, &reporter);
        let name = load::basics()?.hostname;
        Ok(Self {
            args,
            settings,
            reporter,
            choices,
            configuration,
            selected: selected.or_exit(Exit::Usage)?,
            host: Arc::new(Local::new(name)),
            interrupt: interrupt::flag().or_exit(Exit::Failure)?,
            start: System.monotonic(),
        })
    }

    fn go(self) -> Result<Exit, CliError> {
        if self.runs("preflight") {
            self.require_root()?;
        }
        let facts = self.facts(None)?;
        if self.runs(FORGET)
            && reset::proof(&facts).holds()
            && facts.receipt.is_none()
            && facts.baseline.is_none()
        {
            self.nothing(&facts);
            return Ok(Exit::Success);
        }
        let plan = reset::plan(&facts, &self.selected);
        if self.args.explain {
            self.settings.say(&display::text(&plan, Detail::Explained));
        }
        let hosts = vec![facts.host.clone()];
        let steps = plan.steps.len();
        if self.configuration.dry_run {
            self.reporter.tell(&Event::RunStarted { hosts, steps, dry_run: true });
            let records = self.execute(&plan, &facts);
            self.finished(&records);
            words::mention(&reset::proof(&facts));
            return Ok(self.outcome());
        }
        if self.runs("preflight") {
            self.confirm(&facts, steps)?;
        }
        let host = Arc::clone(&self.host) as Arc<dyn Host>;
        let _lock =
            fleet::take_here(host, "kubewright reset", self.settings, &self.interrupt, &self.reporter)?;
        self.reporter.tell(&Event::RunStarted { hosts, steps, dry_run: false });
        self.take_away(facts)
    }

    /// Pass after pass, until nothing is left. In each the network comes after the node, and is looked at again: the
    /// pods that were still there when the first look was taken are those that changed it.
    fn take_away(&self, facts: Facts) -> Result<Exit, CliError> {
        let node = node_name(&facts);
        let mut records = Vec::new();
        let mut now = facts;
        for pass in 1..=PASSES {
            for part in PARTS {
                let plan = self.part(&now, part);
                if !plan.steps.is_empty() {
                    let done = self.execute(&plan, &now);
                    self.hint_at_member(&done, &now);
                    records.extend(done);
                    now = self.facts(Some(&now))?;
                }
            }
            let proof = reset::proof(&now);
            if self.interrupted() || !self.runs(FORGET) {
                break;
            }
            if proof.holds() {
                records.extend(self.execute(&self.part(&now, &[FORGET]), &now));
                self.finished(&records);
                self.settings.say(&words::proven(&now));
                words::mention(&proof);
                words::elsewhere(node.as_deref(), &now);
                return Ok(self.outcome());
            }
            if pass == PASSES {
                self.finished(&records);
                self.settings.say(&words::difference(&now, &proof));
                words::mention(&proof);
                return Err(words::different(&proof));
            }
            System.sleep(PAUSE);
        }
        self.finished(&records);
        Ok(self.outcome())
    }

    /// What is so now; `before` is what an earlier look of this run said.
    fn facts(&self, before: Option<&Facts>) -> Result<Facts, CliError> {
        let facts = reset_facts::gather(&*self.host, &self.choices, &self.configuration.cri_socket, before)?;
        if before.is_none()
            && let Some(failure) = &facts.runtime.failure
        {
            self.warn(
                format!("pods cannot be removed: {failure}"),
                "start the container runtime, or name its socket with --cri-socket, and run this again",
            );
        }
        Ok(facts)
    }

    fn runs(&self, phase: &str) -> bool {
        self.selected.iter().any(|one| one.name == phase)
    }

    fn interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }

    fn outcome(&self) -> Exit {
        if self.interrupted() { Exit::Interrupted } else { Exit::Success }
    }

    /// The steps of some of the selected phases.
    fn part(&self, facts: &Facts, phases: &[&str]) -> Plan {
        let mut plan = reset::plan(facts, &self.selected);
        plan.steps.retain(|step| phases.contains(&step.phase.as_str()));
        plan
    }

    fn require_root(&self) -> Result<(), CliError> {
        let ignore = Ignore::new(&[], &self.configuration.ignore_preflight_errors).or_exit(Exit::Usage)?;
        let root = rustix::process::geteuid().is_root();
        if !root && !ignore.covers("IsPrivilegedUser") {
            let error = CliError::new(Exit::Preflight, anyhow::anyhow!("user is not running as root"));
            return Err(error.hint("run this as root; nothing was changed"));
        }
        Ok(())
    }

    fn confirm(&self, facts: &Facts, steps: usize) -> Result<(), CliError> {
        if self.configuration.force {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            let error =
                CliError::new(Exit::Preflight, anyhow::anyhow!("there is nobody to confirm the reset"));
            return Err(error
                .hint("say `--force` to go on without the question; `--dry-run` shows what would be done"));
        }
        words::question(facts, steps);
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).or_exit(Exit::Failure)?;
        if ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
            return Ok(());
        }
        let error = CliError::new(Exit::Preflight, anyhow::anyhow!("the reset was not confirmed"));
        Err(error.hint("nothing was changed"))
    }

    /// Carries out a plan, and returns what came of each step. To whoever listens, all of them are one run.
    fn execute(&self, plan: &Plan, facts: &Facts) -> Vec<Record> {
        let mut hosts = Fleet::new();
        hosts.insert(Arc::clone(&self.host) as Arc<dyn Host>);
        let options = apply::Options {
            dry_run: self.configuration.dry_run,
            receipt: None,
            keep_going: true,
            ..apply::Options::default()
        };
        let events = |event: Event| {
            if !matches!(event, Event::RunStarted { .. } | Event::RunFinished { .. }) {
                self.reporter.tell(&event);
            }
        };
        let host = Arc::clone(&self.host) as Arc<dyn Host>;
        let etcd = LocalEtcd::new(host, facts.etcd.endpoints.clone(), &self.choices.certificates_dir);
        let world = World {
            hosts: &hosts,
            api: &Kubeconfigs::new(|_| Ok(None)),
            etcd: &etcd,
            resolver: &Nothing,
            images: &CriImages,
            pods: &CriPods,
            clock: &System,
            events: &events,
            interrupt: &self.interrupt,
            options: &options,
        };
        apply::execute(plan, &world).records
    }

    fn finished(&self, records: &[Record]) {
        let passed = System.monotonic().saturating_sub(self.start).as_millis();
        self.reporter.tell(&Event::RunFinished {
            totals: Totals::of(records),
            interrupted: self.interrupted(),
            elapsed_ms: u64::try_from(passed).unwrap_or(u64::MAX),
        });
    }

    fn nothing(&self, facts: &Facts) {
        self.finished(&[]);
        self.settings
            .say("there is nothing to reset: this host is part of no cluster, and nothing is left of one\n");
        words::mention(&reset::proof(facts));
    }

    /// A member that stays behind is in the way of the next control plane on this host.
    fn hint_at_member(&self, records: &[Record], facts: &Facts) {
        let failed =
            |record: &&Record| record.phase == "remove-etcd-member" && record.outcome == Outcome::Warned;
        if records.iter().any(|record| failed(&record)) {
            let url = facts.etcd.peer_url.clone().unwrap_or_default();
            self.warn(
                format!("etcd may still count the member {url}"),
                "if the cluster goes on, remove it there: `etcdctl member list`, then `etcdctl member remove ID`",
            );
        }
    }

    fn warn(&self, message: String, hint: &str) {
        self.reporter.tell(&Event::Warning {
            host: Some(self.host.name().to_owned()),
            message,
            hint: Some(hint.to_owned()),
        });
    }
}

/// A reset writes nothing but text.
struct Nothing;

impl Resolve for Nothing {
    fn content(&self, _: &Content) -> anyhow::Result<Vec<u8>> {
        anyhow::bail!("a reset makes no certificates")
    }

    fn fill(&self, _: &Fill) -> anyhow::Result<Option<String>> {
        Ok(None)
    }
}

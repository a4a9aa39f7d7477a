//! `kubewright reset`: the way back of this host, whole or one phase of it.

use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::fleet;
use crate::cli::interrupt;
use crate::cli::load;
use crate::cli::phase_command::PhaseCommand;
use crate::cli::phase_command::Workflow;
use crate::cli::reset_args;
use crate::cli::reset_args::ResetArgs;
use crate::cli::reset_facts::node_name;
use crate::cli::reset_fleet;
use crate::cli::reset_host::End;
use crate::cli::reset_host::HostReset;
use crate::cli::reset_words as words;
use crate::cli::settings::Settings;
use crate::clock::Clock as _;
use crate::clock::System;
use crate::cluster::kubeadm::ResetConfiguration;
use crate::host::Host;
use crate::host::local::Local;
use crate::phase::Phase;
use crate::phase::reset;
use crate::phase::reset::Choices;
use crate::phase::reset::Facts;
use crate::phase::select;
use crate::phase::select::Selected;
use crate::phase::workflow::RESET;
use crate::plan::display;
use crate::plan::display::Detail;
use crate::preflight::Ignore;
use crate::report::Event;
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

/// Take this host, or with `-f` all hosts of a cluster, back to what they were before
///
/// Does what `kubeadm reset` does, and then what that leaves to the operator: packet filters, interfaces, CNI
/// configuration, logs, and whatever was changed on the host for the cluster. What others made stays. At the end the
/// host is compared with its state before `init` or `join`, and a difference is shown.
///
/// With the file of a cluster this happens over SSH on all its hosts side by side: workers first, then control planes,
/// whose etcd members leave the others only where others stay. A host that cannot be reached is reported, and stops
/// nobody.
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
  kubewright reset --skip-phases restore-host     leave parameters and services as they are
  kubewright reset -f cluster.yaml                all hosts of a cluster, over SSH
  kubewright reset -f cluster.yaml --limit w1,w2 --yes";

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

/// Runs the command.
///
/// # Errors
/// As the exit codes say.
pub(super) fn run(command: &ResetCommand, settings: &Settings) -> Result<Exit, CliError> {
    let (args, alone) = match &command.sub {
        None => (&command.reset, None),
        Some(ResetSub::Phase { phase }) => (&phase.args, Some(phase.name.as_str())),
    };
    match args.cluster_file()? {
        Some(file) => reset_fleet::run(&file, args, alone, settings),
        None => Run::new(args, alone, settings)?.go(),
    }
}

/// One run of `reset` on this host.
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
        let events = |event: Event| self.reporter.tell(&event);
        let reset = HostReset {
            host: Arc::clone(&self.host) as Arc<dyn Host>,
            choices: self.choices.clone(),
            socket: self.configuration.cri_socket.clone(),
            selected: self.selected.clone(),
            dry_run: self.configuration.dry_run,
            interrupt: Arc::clone(&self.interrupt),
            events: &events,
        };
        if reset.runs("preflight") {
            self.require_root()?;
        }
        let facts = reset.facts(None)?;
        if reset.is_clean(&facts) {
            self.nothing(&facts);
            return Ok(Exit::Success);
        }
        let plan = reset.plan(&facts);
        if self.args.explain {
            self.settings.say(&display::text(&plan, Detail::Explained));
        }
        let hosts = vec![facts.host.clone()];
        let steps = plan.steps.len();
        if self.configuration.dry_run {
            self.reporter.tell(&Event::RunStarted { hosts, steps, dry_run: true });
            let records = reset.execute(&plan, &facts);
            self.finished(&records);
            words::mention(&reset::proof(&facts));
            return Ok(self.outcome());
        }
        if reset.runs("preflight") {
            self.confirm(&facts, steps)?;
        }
        let host = Arc::clone(&self.host) as Arc<dyn Host>;
        let _lock =
            fleet::take_here(host, "kubewright reset", self.settings, &self.interrupt, &self.reporter)?;
        self.reporter.tell(&Event::RunStarted { hosts, steps, dry_run: false });
        let node = node_name(&facts);
        let (records, end) = reset.take_away(facts)?;
        self.finished(&records);
        self.told(&end, node.as_deref())
    }

    fn told(&self, end: &End, node: Option<&str>) -> Result<Exit, CliError> {
        match end {
            End::Over => {}
            End::Proven(facts, proof) => {
                self.settings.say(&words::proven(facts));
                words::mention(proof);
                words::elsewhere(node, facts);
            }
            End::Different(facts, proof) => {
                self.settings.say(&words::difference(facts, proof));
                words::mention(proof);
                return Err(words::different(proof));
            }
        }
        Ok(self.outcome())
    }

    fn outcome(&self) -> Exit {
        if self.interrupted() { Exit::Interrupted } else { Exit::Success }
    }

    fn interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
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
}

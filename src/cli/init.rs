//! `kubewright init`: a control plane on this host, whole or one phase of it.

use crate::apply;
use crate::apply::receipt::Receipt;
use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::fleet;
use crate::cli::init_args::InitArgs;
use crate::cli::init_args::InitPhaseArgs;
use crate::cli::init_args::PhaseArgs;
use crate::cli::load;
use crate::cli::load::Loaded;
use crate::cli::output;
use crate::cli::phase_command::PhaseCommand;
use crate::cli::resolver::Resolver;
use crate::cli::session::ADMIN_CONF;
use crate::cli::session::Probe;
use crate::cli::session::Session;
use crate::cli::settings::Settings;
use crate::clock::System;
use crate::facts::etcd;
use crate::host::Host;
use crate::kube::images;
use crate::kube::join_command;
use crate::kube::join_command::JoinCommand;
use crate::kube::join_command::WITHHELD;
use crate::lock::Held;
use crate::phase::Options;
use crate::phase::select;
use crate::phase::select::Selected;
use crate::phase::skew;
use crate::phase::workflow::INIT;
use crate::plan::display;
use crate::plan::display::Detail;
use crate::preflight;
use crate::preflight::Ignore;
use crate::preflight::Subject;
use crate::report::Event;
use crate::report::FailureKind;
use crate::report::Report;
use crate::report::Reporter;
use clap::Args;
use clap::Subcommand;
use std::sync::Arc;

/// Make this host a Kubernetes control plane
///
/// Does what `kubeadm init` does, with the same files, names and API objects, and shows it first when asked.
/// It can be interrupted at any moment and run again: what is done is found, what is missing is done.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(super) struct InitCommand {
    #[command(flatten)]
    init: InitArgs,

    #[command(subcommand)]
    sub: Option<InitSub>,
}

const EXAMPLES: &str = "\
Examples:
  kubewright init --dry-run --diff              what would be done, and the text of every change
  kubewright init --config cluster.yaml         a control plane as described in a file
  kubewright init phase certs all               certificates only
  kubewright init --skip-phases addon           everything but CoreDNS and kube-proxy";

#[derive(Debug, Subcommand)]
enum InitSub {
    /// Run one phase alone
    Phase {
        #[command(subcommand)]
        phase: PhaseCommand<InitPhaseArgs>,
    },
}

/// Runs the command.
///
/// # Errors
/// As the exit codes say.
pub(super) fn run(command: InitCommand, settings: &Settings) -> Result<Exit, CliError> {
    match command.sub {
        None => Run::new(&command.init, None, settings)?.go(),
        Some(InitSub::Phase { phase }) => Run::new(&phase.args.init, Some(&phase), settings)?.go(),
    }
}

/// One run of `init`.
struct Run<'a> {
    args: &'a InitArgs,
    /// Flags of a phase that runs alone.
    phase: PhaseArgs,
    settings: &'a Settings,
    loaded: Loaded,
    selected: Vec<Selected>,
    reporter: Reporter,
}

impl<'a> Run<'a> {
    fn new(
        args: &'a InitArgs,
        alone: Option<&PhaseCommand<InitPhaseArgs>>,
        settings: &'a Settings,
    ) -> Result<Self, CliError> {
        let reporter = settings.reporter();
        let loaded = load::for_init_plan(args, &reporter)?;
        let selected = match alone {
            Some(phase) => select::only(INIT, &phase.name),
            None => select::skipping(INIT, &loaded.skip_phases),
        };
        let selected = selected.or_exit(Exit::Usage)?;
        let phase = alone.map(|phase| phase.args.phase.clone()).unwrap_or_default();
        Ok(Self { args, phase, settings, loaded, selected, reporter })
    }

    fn go(self) -> Result<Exit, CliError> {
        let options = Options {
            kubeconfig_dir: self.phase.kubeconfig_dir.clone(),
            prepare: self.args.prepare,
            ..Options::default()
        };
        let cluster = self.loaded.cluster.clone();
        let mut session =
            Session::open(cluster, options, self.phase.kubeconfig.clone(), self.probe(), self.settings)?;
        self.settle_token(&mut session)?;
        if self.runs("preflight") {
            self.preflight(&session)?;
        }
        if self.runs("addon/kube-proxy")
            && let Some((message, hint)) =
                skew::mention(&session.cluster, session.running(), &session.options)
        {
            self.reporter.tell(&Event::Warning { host: None, message, hint: Some(hint) });
        }
        let plan = session.plan(&self.selected)?;
        let dry_run = self.loaded.dry_run;
        let resolver = session.resolver(&plan, dry_run, &self.reporter)?;
        let apply_options = apply::Options {
            dry_run,
            diff: self.args.diff,
            force_conflicts: self.args.force_conflicts,
            api_timeout: session.cluster.timeouts.kubernetes_api_call.to_std(),
            ..apply::Options::default()
        };
        if self.args.explain {
            self.settings.say(&display::text(&plan, Detail::Explained));
        }
        let _lock = if dry_run { None } else { Some(self.lock(&session)?) };
        let report =
            session.execute(&plan, &resolver, &apply_options, &|event| self.reporter.tell(&event))?;
        Ok(self.finish(&session, &resolver, &report))
    }

    /// A token that the operator did not choose is the one of an earlier run, if there is one.
    fn settle_token(&self, session: &mut Session) -> Result<(), CliError> {
        let (makes, shows) = (self.runs("bootstrap-token"), self.runs("show-join-command"));
        let adopted = self.loaded.token_is_new && (makes || shows) && session.adopt_token();
        if shows && !makes && self.loaded.token_is_new && !adopted {
            let error = CliError::new(Exit::Api, anyhow::anyhow!("the cluster has no token to join with"));
            return Err(error.hint("make one with `kubewright init phase bootstrap-token`"));
        }
        Ok(())
    }

    /// Certificates and kubeconfigs can be made without asking the host anything else, unless they belong to users of
    /// the host.
    fn probe(&self) -> Probe {
        let offline = |one: &Selected| ["certs", "kubeconfig"].iter().any(|name| one.name.starts_with(name));
        if self.selected.iter().all(offline) && !self.loaded.cluster.is_rootless() {
            Probe::None
        } else {
            Probe::Full { measure: self.runs("preflight") && !self.loaded.dry_run }
        }
    }

    /// Nobody else works on this host meanwhile.
    fn lock(&self, session: &Session) -> Result<Held, CliError> {
        let host = Arc::clone(&session.host) as Arc<dyn Host>;
        fleet::take_here(host, "kubewright init", self.settings, &session.interrupt, &self.reporter)
    }

    fn runs(&self, phase: &str) -> bool {
        self.selected.iter().any(|one| one.name == phase)
    }

    fn preflight(&self, session: &Session) -> Result<(), CliError> {
        let ignore =
            Ignore::new(&self.loaded.ignore_preflight_errors, &session.node().ignore_preflight_errors)
                .or_exit(Exit::Usage)?;
        let report = judge(session, self.args.prepare, &ignore);
        output::people(&report.kubeadm_text());
        if report.failed() {
            let error = CliError::new(Exit::Preflight, anyhow::anyhow!("preflight checks failed"));
            return Err(error.hint("nothing was changed; `kubewright preflight` shows all checks as a table"));
        }
        Ok(())
    }

    fn finish(&self, session: &Session, resolver: &Resolver<'_>, report: &Report) -> Exit {
        if !report.success() {
            return exit_of(report);
        }
        if self.loaded.dry_run {
            return Exit::Success;
        }
        if self.runs("show-join-command") {
            self.settings.say(&self.join_text(session, resolver));
        } else if self.runs("upload-certs") && !self.args.skip_certificate_key_print {
            // Nothing else tells it, and without it the uploaded certificates are of no use.
            if let Some(key) =
                session.cluster.certificate_key.as_ref().filter(|_| session.cluster.upload_certs)
            {
                self.settings.say(&format!("[upload-certs] Using certificate key:\n{}\n", key.expose()));
            }
        }
        Exit::Success
    }

    fn join_text(&self, session: &Session, resolver: &Resolver<'_>) -> String {
        let cluster = &session.cluster;
        let url = cluster.public_url();
        let pins = session.pins(resolver);
        let token = cluster.tokens.first();
        let shown = token.map(|token| format!("{}.{}", token.id, token.secret.expose()));
        let certificate_key = cluster.certificate_key.as_ref().map(crate::cluster::Secret::expose);
        let command = JoinCommand {
            program: "kubewright",
            endpoint: join_command::endpoint_of(&url),
            token: if self.args.skip_token_print { WITHHELD } else { shown.as_deref().unwrap_or(WITHHELD) },
            ca_cert_hashes: &pins,
            certificate_key: if self.args.skip_certificate_key_print {
                Some(WITHHELD)
            } else {
                certificate_key
            },
        };
        let kubeconfig = self.phase.kubeconfig.as_deref().unwrap_or(ADMIN_CONF);
        join_command::success_text(&command, kubeconfig, cluster.endpoint.as_ref(), cluster.upload_certs)
    }
}

/// Judges the host by all checks of `init`.
pub(super) fn judge(session: &Session, prepare: bool, ignore: &Ignore) -> preflight::Report {
    let images = images::list(&session.cluster);
    let ours = session.receipt.as_ref().map(Receipt::ours).unwrap_or_default();
    let subject = Subject {
        cluster: &session.cluster,
        node: session.node(),
        facts: session.facts(),
        images: &images,
        running_ours: !ours.is_empty(),
        ours: &ours,
        prepare,
        etcd: &etcd::versions(&*session.host, &session.cluster, &System),
        running: session.running(),
    };
    preflight::run(&preflight::init_checks(&subject), &subject, ignore)
}

/// The exit code of a run.
pub(super) fn exit_of(report: &Report) -> Exit {
    if report.interrupted {
        return Exit::Interrupted;
    }
    match report.failures.first().map(|failure| failure.kind) {
        Some(FailureKind::Host) => Exit::Host,
        Some(FailureKind::Api) => Exit::Api,
        Some(FailureKind::Timeout) => Exit::Timeout,
        _ => Exit::Failure,
    }
}

//! `kubewright join`: this host becomes a worker or a control plane of a cluster that runs.

use crate::apply;
use crate::apply::receipt::Receipt;
use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::fleet;
use crate::cli::init::exit_of;
use crate::cli::join_args::JoinArgs;
use crate::cli::join_args::JoinPhaseArgs;
use crate::cli::joining::Gatherer;
use crate::cli::load;
use crate::cli::output;
use crate::cli::phase_command::PhaseCommand;
use crate::cli::session::ADMIN_CONF;
use crate::cli::session::Session;
use crate::cli::settings::Settings;
use crate::clock::System;
use crate::config::Environment;
use crate::config::LoadedJoin;
use crate::config::Overrides;
use crate::facts::etcd;
use crate::host::Host;
use crate::kube::images;
use crate::kube::join_command;
use crate::lock::Held;
use crate::phase::Options;
use crate::phase::join::JOIN;
use crate::phase::select;
use crate::phase::select::Selected;
use crate::plan::display;
use crate::plan::display::Detail;
use crate::preflight;
use crate::preflight::Check;
use crate::preflight::Ignore;
use crate::preflight::Subject;
use crate::report::Report;
use crate::report::Reporter;
use clap::Args;
use clap::Subcommand;
use std::sync::Arc;

/// Make this host part of a cluster that runs
///
/// Does what `kubeadm join` does, in clusters made by kubewright or by kubeadm: the join command that `init` or `token
/// create --print-join-command` prints is all that is needed. Without `--control-plane` the host becomes a worker.
/// It can be interrupted at any moment and run again.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(super) struct JoinCommand {
    #[command(flatten)]
    join: JoinPhaseArgs,

    #[command(subcommand)]
    sub: Option<JoinSub>,
}

const EXAMPLES: &str = "\
Examples:
  kubewright join 192.0.2.100:6443 --token abcdef.0123456789abcdef \\
      --discovery-token-ca-cert-hash sha256:68d9b6dce25370a36e0f672f1b96726202f61f8008131a107f5e15d034e96a2e
  kubewright join --config join.yaml --dry-run
  kubewright join --discovery-file cluster.conf --control-plane --certificate-key $KEY
  kubewright join phase kubelet-start --config join.yaml";

#[derive(Debug, Subcommand)]
enum JoinSub {
    /// Run one phase alone
    Phase {
        #[command(subcommand)]
        phase: PhaseCommand<JoinPhaseArgs>,
    },
}

/// Runs the command.
///
/// # Errors
/// As the exit codes say.
pub(super) fn run(command: JoinCommand, settings: &Settings) -> Result<Exit, CliError> {
    match command.sub {
        None => Run::new(command.join, None, settings)?.go(),
        Some(JoinSub::Phase { phase }) => Run::new(phase.args, Some(&phase.name), settings)?.go(),
    }
}

/// One run of `join`.
struct Run<'a> {
    args: JoinArgs,
    settings: &'a Settings,
    env: Environment,
    loaded: LoadedJoin,
    selected: Vec<Selected>,
    reporter: Reporter,
}

impl<'a> Run<'a> {
    fn new(args: JoinPhaseArgs, alone: Option<&str>, settings: &'a Settings) -> Result<Self, CliError> {
        let JoinPhaseArgs { mut join, endpoint } = args;
        if alone.is_some() && !join.finds_the_cluster(endpoint.as_ref()) {
            // A phase that is run again on a control plane finds the cluster by what is there.
            join.discovery_file = Some(ADMIN_CONF.to_owned());
        }
        let reporter = settings.reporter();
        let env = load::environment(None, &Overrides::default())?;
        let loaded = load::for_join(&join, endpoint.as_ref(), &env, &reporter)?;
        let selected = match alone {
            Some(name) => select::only(JOIN, name),
            None => select::skipping(JOIN, &loaded.skip_phases),
        };
        let selected = selected.or_exit(Exit::Usage)?;
        Ok(Self { args: join, settings, env, loaded, selected, reporter })
    }

    fn go(self) -> Result<Exit, CliError> {
        let options = Options {
            prepare: self.args.prepare,
            ca_cert_path: Some(self.loaded.join.ca_cert_path.clone()),
            ..Options::default()
        };
        let ignore = self.ignore()?;
        let gatherer = Gatherer {
            ignore: self.runs("preflight").then_some(&ignore),
            loaded: &self.loaded,
            env: &self.env,
            settings: self.settings,
            reporter: &self.reporter,
        };
        let mut session = gatherer.session(options)?;
        if self.runs("preflight") {
            self.preflight(&session, preflight::join_checks)?;
        }
        if session.node().is_control_plane() {
            session.ask_control_planes(&self.selected, &self.reporter)?;
            if self.runs("preflight") {
                self.preflight(&session, preflight::cluster_checks)?;
            }
        }
        let plan = session.plan(&self.selected)?;
        let dry_run = self.loaded.dry_run;
        let resolver = session.resolver(&plan, dry_run, &self.reporter)?;
        let apply_options = apply::Options {
            dry_run,
            diff: self.args.diff,
            api_timeout: session.cluster.timeouts.kubernetes_api_call.to_std(),
            ..apply::Options::default()
        };
        if self.args.explain {
            self.settings.say(&display::text(&plan, Detail::Explained));
        }
        let _lock = if dry_run { None } else { Some(self.lock(&session)?) };
        let report =
            session.execute(&plan, &resolver, &apply_options, &|event| self.reporter.tell(&event))?;
        Ok(self.finish(&session, &report))
    }

    /// Nobody else works on this host meanwhile.
    fn lock(&self, session: &Session) -> Result<Held, CliError> {
        let host = Arc::clone(&session.host) as Arc<dyn Host>;
        fleet::take_here(host, "kubewright join", self.settings, &session.interrupt, &self.reporter)
    }

    fn runs(&self, phase: &str) -> bool {
        self.selected.iter().any(|one| one.name == phase)
    }

    fn ignore(&self) -> Result<Ignore, CliError> {
        let registration = &self.loaded.join.node_registration;
        Ignore::new(&self.loaded.ignore_preflight_errors, &registration.ignore_preflight_errors)
            .or_exit(Exit::Usage)
    }

    fn preflight(&self, session: &Session, checks: fn(&Subject) -> Vec<Check>) -> Result<(), CliError> {
        let report = judge(session, self.args.prepare, &self.ignore()?, checks);
        output::people(&report.kubeadm_text());
        if report.failed() {
            let error = CliError::new(Exit::Preflight, anyhow::anyhow!("preflight checks failed"));
            return Err(error.hint("nothing was changed"));
        }
        Ok(())
    }

    fn finish(&self, session: &Session, report: &Report) -> Exit {
        if !report.success() {
            return exit_of(report);
        }
        let last =
            if session.node().is_control_plane() { "wait-control-plane" } else { "kubelet-wait-bootstrap" };
        if !self.loaded.dry_run && self.runs(last) {
            self.settings
                .say(&join_command::joined_text(session.node(), session.waits_for_serving_certificate()));
        }
        Exit::Success
    }
}

/// Judges the host by some checks of `join`.
fn judge(
    session: &Session,
    prepare: bool,
    ignore: &Ignore,
    checks: fn(&Subject) -> Vec<Check>,
) -> preflight::Report {
    let node = session.node();
    let images = images::of_host(&session.cluster, node);
    let ours = session.receipt.as_ref().map(Receipt::ours).unwrap_or_default();
    let subject = Subject {
        cluster: &session.cluster,
        node,
        facts: session.facts(),
        images: &images,
        running_ours: !ours.is_empty(),
        ours: &ours,
        prepare,
        etcd: &etcd::versions(&*session.host, &session.cluster, &System),
        running: session.running(),
    };
    preflight::run(&checks(&subject), &subject, ignore)
}

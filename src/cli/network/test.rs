//! `kubewright network test`.

use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::fleet;
use crate::cli::fleet::FleetSession;
use crate::cli::interrupt;
use crate::cli::limit;
use crate::cli::load;
use crate::cli::network::args::TestArgs;
use crate::cli::network::trial::Trial;
use crate::cli::output;
use crate::cli::settings::Settings;
use crate::cli::tested;
use crate::clock::System;
use crate::plan::Identity;

/// Runs the command.
///
/// # Errors
/// As the exit codes say; what is wrong with the network is part of the report.
pub(super) fn run(args: &TestArgs, settings: &Settings) -> Result<Exit, CliError> {
    let reporter = settings.reporter();
    let cluster = load::for_fleet(&args.file, &reporter)?.cluster;
    let only = limit::resolve(&cluster, &args.limit)?;
    let interrupt = interrupt::flag().or_exit(Exit::Failure)?;
    let parallel = usize::from(args.parallel);
    let connected = fleet::connect(&cluster, parallel, settings, &reporter);
    let (session, troubles) = FleetSession::open_to_look(cluster, connected, parallel, &reporter)?;
    let api = session.client(Identity::Admin, &reporter).map_err(|why| {
        let error = anyhow::anyhow!("nobody can ask the cluster: {why}");
        CliError::new(Exit::Host, error).hint("is there a cluster? `kubewright apply` makes one")
    })?;
    let nodes = session.cluster.nodes.iter().filter(|node| node.becomes_node());
    let nodes = nodes.filter(|node| only.as_ref().is_none_or(|only| only.contains(&node.name)));
    let trial = Trial {
        args,
        cluster: &session.cluster,
        hosts: &session.hosts,
        nodes: nodes.collect(),
        silent: troubles,
        api: &*api,
        parallel,
        interrupt: &interrupt,
        clock: &System,
        tell: &|what| {
            if !settings.quiet {
                output::people(&format!("{what}\n"));
            }
        },
    };
    let report = trial.go()?;
    tested::tell(args.output, &report, || report.text())?;
    Ok(tested::exit(report.interrupted, report.healthy))
}

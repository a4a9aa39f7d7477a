//! `kubewright unlock`: who holds the locks of a cluster's hosts, and taking them away.

use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::fleet;
use crate::cli::fleet::FleetArgs;
use crate::cli::load;
use crate::cli::output;
use crate::cli::settings::Settings;
use crate::host::Host;
use crate::host::Local;
use crate::host::fleet::side_by_side;
use crate::lock;
use crate::lock::Found;
use crate::report::Event;
use clap::Args;
use std::sync::Arc;

/// Take the locks away that a dead run left on hosts
///
/// A run that ends gives its locks back, and one whose process is known to be gone is followed by the next without a
/// word. This is for the rest, such as a run on a laptop that is gone. A lock that is still renewed stays, unless forced.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct UnlockCommand {
    #[command(flatten)]
    fleet: FleetArgs,

    /// Only look who holds them
    #[arg(long)]
    dry_run: bool,

    /// Take away those of runs that are at work, too
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  kubewright unlock -f cluster.yaml --dry-run
  kubewright unlock -f cluster.yaml";

/// Runs the command.
///
/// # Errors
/// A host cannot be reached.
pub(super) fn run(command: &UnlockCommand, settings: &Settings) -> Result<Exit, CliError> {
    let reporter = settings.reporter();
    let loaded = load::for_fleet(&command.fleet.file, &reporter)?;
    let parallel = usize::from(command.fleet.parallel);
    let connected = fleet::connect(&loaded.cluster, parallel, settings, &reporter);
    for (host, unreachable) in &connected.unreachable {
        let message = format!("it was not asked: {}", unreachable.why);
        reporter.tell(&Event::Warning { host: Some(host.clone()), message, hint: None });
    }
    let me = fleet::holder("kubewright unlock", settings);
    let here = Local::new("this host");
    let gone = |found: &Found| {
        found.is_silent()
            || found.holder.as_ref().is_none_or(|holder| holder.process.is_gone(&me.process, &here))
    };
    let answers =
        side_by_side(fleet::in_order(&loaded.cluster, &connected.hosts), parallel, |host: Arc<dyn Host>| {
            let Some(found) = lock::look(&*host, lock::PATH)? else { return Ok(None) };
            let goes = command.force || gone(&found);
            let went = goes && !command.dry_run && lock::break_off(&*host, lock::PATH, found.run(), &me.run)?;
            Ok(Some((host.name().to_owned(), found, goes, went)))
        });
    let answers: Vec<Option<(String, Found, bool, bool)>> =
        answers.into_iter().collect::<Result<_, lock::LockError>>().or_exit(Exit::Host)?;
    let mut left = false;
    for (host, found, goes, went) in answers.iter().flatten() {
        let what = match (goes, went) {
            (_, true) => "taken away",
            (true, false) if command.dry_run => "would be taken away",
            _ => "left alone, since it is at work",
        };
        left |= !goes;
        output::data(&format!("{host}: {}: {what}\n", found.describe()));
    }
    if answers.iter().flatten().next().is_none() {
        output::data("no host is locked\n");
    }
    Ok(if left { Exit::Locked } else { Exit::Success })
}

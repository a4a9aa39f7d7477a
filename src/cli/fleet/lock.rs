//! The locks of a run over hosts, told to the operator.

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::settings::Settings;
use crate::clock::Clock as _;
use crate::clock::System;
use crate::cluster::Cluster;
use crate::host::Fleet;
use crate::host::Host;
use crate::host::Local;
use crate::lock;
use crate::lock::Found;
use crate::lock::Held;
use crate::lock::Holder;
use crate::lock::LockError;
use crate::lock::held;
use crate::lock::held::Taking;
use crate::lock::held::Verdict;
use crate::lock::holder::Process;
use crate::pki::random::Random as _;
use crate::pki::random::SystemRandom;
use crate::report::Event;
use crate::report::Reporter;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use time::format_description::well_known::Rfc3339;

/// This run, as others are told of it.
pub(in crate::cli) fn holder(command: &str, settings: &Settings) -> Holder {
    let mut bytes = [0; 4];
    SystemRandom.fill(&mut bytes);
    let here = Local::new("this host");
    let machine = here.read("/proc/sys/kernel/hostname").ok().flatten();
    let machine = machine.and_then(|entry| Some(String::from_utf8_lossy(entry.content()?).trim().to_owned()));
    let now = System.now();
    Holder {
        run: format!("{:08x}", u32::from_be_bytes(bytes)),
        user: settings.user.clone(),
        machine: machine.unwrap_or_else(|| "unknown".to_owned()),
        since: now.replace_nanosecond(0).unwrap_or(now).format(&Rfc3339).unwrap_or_default(),
        command: command.to_owned(),
        process: Process::find(&here, std::process::id()),
    }
}

/// The hosts of a cluster in the order in which they are locked: control planes first, as the file has them.
pub(in crate::cli) fn in_order(cluster: &Cluster, hosts: &Fleet) -> Vec<Arc<dyn Host>> {
    let (first, then): (Vec<_>, Vec<_>) = cluster.nodes.iter().partition(|node| node.is_control_plane());
    first.into_iter().chain(then).filter_map(|node| hosts.get(&node.name).map(Arc::clone)).collect()
}

/// Takes the locks of hosts. A holder whose process is known to be gone is followed, and so is a silent one whose run
/// is named in `broken`.
///
/// # Errors
/// Somebody else is at work; all of them are listed with the way to go on.
pub(in crate::cli) fn take(
    hosts: &[Arc<dyn Host>],
    holder: &Holder,
    broken: Option<&str>,
    parallel: usize,
    interrupt: &Arc<AtomicBool>,
    reporter: &Reporter,
) -> Result<Held, CliError> {
    let judge = |found: &Found| judge(found, holder, broken);
    let followed = |host: &str, found: &Found| {
        reporter.tell(&Event::Warning {
            host: Some(host.to_owned()),
            message: format!("took over the lock of {}, which is gone", found.describe()),
            hint: Some("what it had begun is found by comparing, and finished".to_owned()),
        });
    };
    let taking = Taking {
        holder,
        path: lock::PATH,
        parallel,
        judge: &judge,
        followed: &followed,
        interrupt: Arc::clone(interrupt),
    };
    held::take_all(hosts, &taking).map_err(|errors| refused(&errors))
}

/// Takes the lock of the host that this runs on.
///
/// # Errors
/// Somebody else is at work on it.
pub(in crate::cli) fn take_here(
    host: Arc<dyn Host>,
    command: &str,
    settings: &Settings,
    interrupt: &Arc<AtomicBool>,
    reporter: &Reporter,
) -> Result<Held, CliError> {
    take(&[host], &holder(command, settings), None, 1, interrupt, reporter)
}

fn judge(found: &Found, holder: &Holder, broken: Option<&str>) -> Verdict {
    let here = Local::new("this host");
    let gone = found.holder.as_ref().is_some_and(|other| other.process.is_gone(&holder.process, &here));
    let named = broken.is_some_and(|run| run == found.run() && found.is_silent());
    if gone || named { Verdict::Follow } else { Verdict::Respect }
}

fn refused(errors: &[LockError]) -> CliError {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let held: Vec<&Found> = errors.iter().filter_map(of_others).collect();
    let exit = if held.is_empty() { Exit::Host } else { Exit::Locked };
    let mut error = CliError::new(exit, anyhow::anyhow!("{}", lines.join("\n  ")));
    if let Some(found) = held.first() {
        let run = found.run();
        error = error.hint(if found.is_silent() && !run.is_empty() {
            format!(
                "nobody has heard of it for long; when you are sure that it is not at work any more, go on with \
                 `--break-lock {run}`"
            )
        } else if run.is_empty() {
            format!("look at {} there, and take it away with `kubewright unlock`", lock::PATH)
        } else {
            format!(
                "wait until it has ended; a run that has not been heard of for {} min can be followed with \
                 `--break-lock {run}`",
                lock::DEAD_AFTER.as_secs() / 60
            )
        });
    }
    error.hint("nothing was changed")
}

fn of_others(error: &LockError) -> Option<&Found> {
    match error {
        LockError::Held { found, .. } => Some(found),
        _ => None,
    }
}

//! Services: running, enabled as wanted, and restarted or reloaded when one of their files changed.

use crate::apply::failure::StepError;
use crate::apply::manager::Activity;
use crate::apply::manager::Manager;
use crate::apply::manager::RELOAD;
use crate::apply::manager::Unit;
use crate::apply::receipt::Before;
use crate::apply::run::Done;
use crate::apply::run::Run;
use crate::apply::site::Site;
use crate::host::Command;
use crate::host::Output;
use crate::plan::Action;
use crate::plan::ServiceSpec;
use crate::plan::StopSpec;
use crate::report::FailureKind;
use crate::report::Outcome;
use std::collections::BTreeSet;
use std::time::Duration;

/// For how long an answer about units counts: a host may have to wait for others between two of its steps.
const FRESH: Duration = Duration::from_secs(5);

/// Brings a unit where it is wanted; a failure is only a warning where the plan says so.
pub(crate) fn converge(run: &Run<'_>, spec: &ServiceSpec, site: &mut Site) -> Result<Done, StepError> {
    match attempt(run, spec, site) {
        Err(error) if spec.best_effort => Ok(Done::new(Outcome::Warned).detail(error.line())),
        other => other,
    }
}

/// Ends a unit that runs, or is started again and again.
pub(crate) fn stop(run: &Run<'_>, spec: &StopSpec, site: &mut Site) -> Result<Done, StepError> {
    let Some(manager) = find(site)? else { return Ok(Done::new(Outcome::Ok)) };
    let unit = unit(run, manager, &spec.unit, site)?;
    let host = site.host.as_ref();
    let mut commands = Vec::new();
    let mut said = Vec::new();
    if unit.activity != Activity::Off {
        said.push("stopped");
        commands.push(manager.stop(&spec.unit));
    }
    if let Some(wanted) = spec.enabled.filter(|wanted| *wanted != unit.enabled) {
        said.push(if wanted { "enabled" } else { "disabled" });
        commands.push(manager.enable(&spec.unit, wanted));
    }
    for command in &commands {
        let output = host.run(command)?;
        if !output.success() {
            return Err(StepError::command(command, &output).hint(manager.look_at(&spec.unit)));
        }
    }
    if commands.is_empty() {
        return Ok(Done::new(Outcome::Ok));
    }
    Ok(Done::new(run.changed()).detail(said.join(", ")))
}

fn attempt(run: &Run<'_>, spec: &ServiceSpec, site: &mut Site) -> Result<Done, StepError> {
    let dry_run = run.world.options.dry_run;
    let Some(manager) = find(site)? else {
        return nobody(dry_run, spec);
    };
    let why = reason(spec, site);
    let unit = unit(run, manager, &spec.unit, site)?;
    let mut commands = Vec::new();
    let mut said = Vec::new();
    if let Some(wanted) = spec.enabled.filter(|wanted| *wanted != unit.enabled) {
        said.push(if wanted { "enabled" } else { "disabled" }.to_owned());
        commands.push(manager.enable(&spec.unit, wanted));
    }
    let begun = !unit.is_active() || spec.anew.is_some() || why.is_some();
    if begun {
        let unit = Unit { stale: unit.stale || has_new_unit_files(spec, site), ..unit };
        let restart = || manager.restart(&spec.unit, unit);
        let (words, next) = match why {
            Some(Reason::Reload(path)) if unit.is_active() && spec.anew.is_none() => {
                (format!("reloaded, since {path} changed"), vec![manager.reload(&spec.unit)])
            }
            Some(Reason::Restart(_) | Reason::Reload(_)) if !unit.is_active() => {
                ("started".to_owned(), restart())
            }
            Some(Reason::Restart(path) | Reason::Reload(path)) => {
                (format!("restarted, since {path} changed"), restart())
            }
            None if unit.is_active() => {
                let why = spec.anew.as_deref().unwrap_or_default();
                (format!("restarted, {why}"), restart())
            }
            None => ("started".to_owned(), restart()),
        };
        said.push(words);
        commands.extend(next);
    }
    if commands.is_empty() {
        return Ok(Done::new(Outcome::Ok));
    }
    if !dry_run {
        remember(spec, site, unit);
        site.settle()?;
    }
    for command in &commands {
        let mut output = site.host.run(command)?;
        if is_limited(&output) {
            site.host.run(&Command::change("systemctl").arg("reset-failed").arg(&spec.unit))?;
            output = site.host.run(command)?;
        }
        if !output.success() {
            let error = StepError::command(command, &output);
            return Err(error.hint(manager.look_at(&spec.unit)));
        }
    }
    if begun {
        site.known.insert(spec.unit.clone(), site.changed.len());
        if commands.iter().any(|command| command.args.iter().any(|arg| arg.expose() == RELOAD)) {
            site.units_read = site.changed.len();
        }
        if let Some(ledger) = site.ledger.as_mut() {
            ledger.restarted(&spec.unit);
        }
    }
    Ok(Done::new(run.changed()).detail(said.join(", ")))
}

/// Whether systemd refuses to start a unit because it was started often, five times in ten seconds by default: whoever
/// interrupts and runs again does that. A unit that fails by itself fails once more when systemd starts counting anew.
fn is_limited(output: &Output) -> bool {
    !output.success() && String::from_utf8_lossy(&output.stderr).contains("attempted too often")
}

fn nobody(dry_run: bool, spec: &ServiceSpec) -> Result<Done, StepError> {
    if dry_run {
        return Ok(Done::new(Outcome::WouldChange).detail("no service manager runs here"));
    }
    let cause = anyhow::anyhow!("neither systemd nor OpenRC runs here, so {} cannot be started", spec.unit);
    Err(StepError::new(FailureKind::Host, cause).hint(format!("start {} by other means", spec.unit)))
}

/// What a unit must do because of a file: one that changed in this run, or one of which an earlier run wrote down that
/// it was about to change.
enum Reason {
    Restart(String),
    Reload(String),
}

fn reason(spec: &ServiceSpec, site: &Site) -> Option<Reason> {
    let known = site.known.get(&spec.unit).copied().unwrap_or_default();
    let changed = |paths: &[String]| paths.iter().find(|path| site.changed[known..].contains(path)).cloned();
    let pending = || site.ledger.as_ref()?.pending(&spec.unit);
    let restarts = || pending()?.iter().find(|path| !spec.reload_on.contains(path)).cloned();
    let reloads = || pending()?.iter().find(|path| spec.reload_on.contains(path)).cloned();
    changed(&spec.restart_on)
        .or_else(restarts)
        .map(Reason::Restart)
        .or_else(|| changed(&spec.reload_on).or_else(reloads).map(Reason::Reload))
}

/// Whether a unit file, or a file beside one, changed that systemd has not read: by itself it does not notice a directory
/// that was not there when it last read them. An earlier run may have ended before it made it read them.
fn has_new_unit_files(spec: &ServiceSpec, site: &Site) -> bool {
    // Binaries bring theirs, of which only the marker is known here.
    let is_unit_file =
        |path: &String| path.contains("/systemd/system/") || path.starts_with("/usr/local/share/kubewright/");
    let pending = site.ledger.as_ref().and_then(|ledger| ledger.pending(&spec.unit));
    site.changed[site.units_read..].iter().chain(pending.into_iter().flatten()).any(is_unit_file)
}

fn remember(spec: &ServiceSpec, site: &mut Site, unit: Unit) {
    if let Some(ledger) = &mut site.ledger {
        let before = Before::Service { active: unit.is_active(), enabled: unit.enabled };
        ledger.note_before(&format!("service {}", spec.unit), &before);
    }
}

fn find(site: &Site) -> Result<Option<Manager>, StepError> {
    if let Some(known) = site.manager.get() {
        return Ok(*known);
    }
    let manager = Manager::of(site.host.as_ref())?;
    Ok(*site.manager.get_or_init(|| manager))
}

/// How a unit is. systemd is asked once for all units that the rest of the host's plan has, and its answer counts while
/// nothing is done there.
fn unit(run: &Run<'_>, manager: Manager, name: &str, site: &mut Site) -> Result<Unit, StepError> {
    let now = run.world.clock.monotonic();
    let (asked, known) = &site.units;
    if let Some(unit) = known.get(name).filter(|_| now < *asked + FRESH) {
        return Ok(*unit);
    }
    let host = site.host.as_ref();
    let names = match manager {
        Manager::Systemd => units_of(run, name, host.name()),
        Manager::OpenRc => BTreeSet::from([name.to_owned()]),
    };
    let units = manager.ask(host, &names)?;
    let unit = units.get(name).copied().unwrap_or_default();
    site.units = (now, units);
    Ok(unit)
}

fn units_of(run: &Run<'_>, name: &str, host: &str) -> BTreeSet<String> {
    let left = run.board().left_on(host);
    let units = left.into_iter().filter_map(|index| match &run.plan.steps[index].action {
        Action::Service(spec) => Some(spec.unit.clone()),
        Action::Stop(spec) => Some(spec.unit.clone()),
        _ => None,
    });
    units.chain([name.to_owned()]).collect()
}

//! Services: running, enabled as wanted, and restarted or reloaded when one of their files changed.

use crate::apply::failure::StepError;
use crate::apply::receipt::Before;
use crate::apply::run::Done;
use crate::apply::run::Run;
use crate::apply::site::Site;
use crate::host::Command;
use crate::host::EntryKind;
use crate::host::Host;
use crate::plan::ServiceSpec;
use crate::plan::StopSpec;
use crate::report::FailureKind;
use crate::report::Outcome;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manager {
    Systemd,
    OpenRc,
}

/// Brings a unit where it is wanted; a failure is only a warning where the plan says so.
pub(crate) fn converge(run: &Run<'_>, spec: &ServiceSpec, site: &mut Site) -> Result<Done, StepError> {
    match attempt(run, spec, site) {
        Err(error) if spec.best_effort => Ok(Done::new(Outcome::Warned).detail(error.line())),
        other => other,
    }
}

/// Ends a unit that runs, or is started again and again.
pub(crate) fn stop(run: &Run<'_>, spec: &StopSpec, site: &mut Site) -> Result<Done, StepError> {
    let host = site.host.as_ref();
    let Some(manager) = find(host)? else { return Ok(Done::new(Outcome::Ok)) };
    let mut commands = Vec::new();
    let mut said = Vec::new();
    if manager.runs(host, &spec.unit)? {
        said.push("stopped");
        commands.push(manager.stop(&spec.unit));
    }
    if let Some(wanted) = spec.enabled
        && wanted != succeeds(host, &manager.is_enabled(&spec.unit))?
    {
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
    let Some(manager) = find(site.host.as_ref())? else {
        return nobody(dry_run, spec);
    };
    let why = reason(spec, site);
    let active = succeeds(site.host.as_ref(), &manager.is_active(&spec.unit))?;
    let enabled = match spec.enabled {
        None => None,
        Some(wanted) => Some((wanted, succeeds(site.host.as_ref(), &manager.is_enabled(&spec.unit))?)),
    };
    let mut commands = Vec::new();
    let mut said = Vec::new();
    if let Some((wanted, _)) = enabled.filter(|(wanted, there)| wanted != there) {
        said.push(if wanted { "enabled" } else { "disabled" }.to_owned());
        commands.push(manager.enable(&spec.unit, wanted));
    }
    let begun = !active || spec.anew || why.is_some();
    if begun {
        let (words, next) = match why {
            Some(Reason::Reload(path)) if active && !spec.anew => {
                (format!("reloaded, since {path} changed"), vec![manager.reload(&spec.unit)])
            }
            Some(Reason::Restart(_) | Reason::Reload(_)) if !active => {
                ("started".to_owned(), manager.restart(&spec.unit, active))
            }
            Some(Reason::Restart(path) | Reason::Reload(path)) => {
                (format!("restarted, since {path} changed"), manager.restart(&spec.unit, active))
            }
            None if active => {
                ("restarted, so that it tries again at once".to_owned(), manager.restart(&spec.unit, active))
            }
            None => ("started".to_owned(), manager.restart(&spec.unit, active)),
        };
        said.push(words);
        commands.extend(next);
    }
    if commands.is_empty() {
        return Ok(Done::new(Outcome::Ok));
    }
    if !dry_run {
        remember(manager, spec, site, active)?;
    }
    for command in &commands {
        let output = site.host.run(command)?;
        if !output.success() {
            let error = StepError::command(command, &output);
            return Err(error.hint(manager.look_at(&spec.unit)));
        }
    }
    if begun {
        site.known.insert(spec.unit.clone(), site.changed.len());
        if let Some(ledger) = site.ledger.as_mut() {
            ledger.restarted(&spec.unit);
        }
    }
    Ok(Done::new(run.changed()).detail(said.join(", ")))
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

fn remember(manager: Manager, spec: &ServiceSpec, site: &mut Site, active: bool) -> Result<(), StepError> {
    let Site { host, ledger: Some(ledger), .. } = site else { return Ok(()) };
    ledger.before(host.as_ref(), &format!("service {}", spec.unit), || {
        let enabled = succeeds(host.as_ref(), &manager.is_enabled(&spec.unit))?;
        Ok(Before::Service { active, enabled })
    })
}

fn find(host: &dyn Host) -> Result<Option<Manager>, StepError> {
    let there = |path: &str| host.read(path).map(|entry| entry.map(|entry| entry.kind));
    // What systemd's own sd_booted(3) looks at.
    if there("/run/systemd/system")? == Some(EntryKind::Directory) {
        return Ok(Some(Manager::Systemd));
    }
    let open_rc = there("/run/openrc")?.is_some();
    Ok(open_rc.then_some(Manager::OpenRc))
}

fn succeeds(host: &dyn Host, command: &Command) -> Result<bool, StepError> {
    Ok(host.run(command)?.success())
}

impl Manager {
    fn is_active(self, unit: &str) -> Command {
        match self {
            Self::Systemd => Command::query("systemctl").arg("is-active").arg(unit),
            Self::OpenRc => Command::query("rc-service").arg(unit).arg("status"),
        }
    }

    fn is_enabled(self, unit: &str) -> Command {
        match self {
            Self::Systemd => Command::query("systemctl").arg("is-enabled").arg(unit),
            Self::OpenRc => Command::query("sh")
                .args(["-c", r#"rc-update show default | grep -qw -- "$1""#, "sh"])
                .arg(unit),
        }
    }

    /// Whether anything of it runs, or is about to.
    fn runs(self, host: &dyn Host, unit: &str) -> Result<bool, StepError> {
        let output = host.run(&self.is_active(unit))?;
        let on_the_way = ["activating", "reloading", "deactivating"].contains(&output.text().as_str());
        Ok(output.success() || self == Self::Systemd && on_the_way)
    }

    fn stop(self, unit: &str) -> Command {
        match self {
            Self::Systemd => Command::change("systemctl").arg("stop").arg(unit),
            Self::OpenRc => Command::change("rc-service").arg(unit).arg("stop"),
        }
    }

    fn enable(self, unit: &str, wanted: bool) -> Command {
        match (self, wanted) {
            (Self::Systemd, true) => Command::change("systemctl").arg("enable").arg(unit),
            (Self::Systemd, false) => Command::change("systemctl").arg("disable").arg(unit),
            (Self::OpenRc, true) => Command::change("rc-update").arg("add").arg(unit).arg("default"),
            (Self::OpenRc, false) => Command::change("rc-update").arg("del").arg(unit).arg("default"),
        }
    }

    /// Starts, or restarts when it runs. systemd reads its unit files first: one of them may be what changed.
    fn restart(self, unit: &str, active: bool) -> Vec<Command> {
        let verb = if active { "restart" } else { "start" };
        match self {
            Self::Systemd => vec![
                Command::change("systemctl").arg("daemon-reload"),
                // A unit that fails and is started again by systemd counts as inactive; only a restart makes it
                // begin at once.
                Command::change("systemctl").arg("restart").arg(unit),
            ],
            Self::OpenRc => vec![Command::change("rc-service").arg(unit).arg(verb)],
        }
    }

    fn reload(self, unit: &str) -> Command {
        match self {
            Self::Systemd => Command::change("systemctl").arg("reload").arg(unit),
            Self::OpenRc => Command::change("rc-service").arg(unit).arg("reload"),
        }
    }

    fn look_at(self, unit: &str) -> String {
        match self {
            Self::Systemd => format!("look at `systemctl status {unit}` and `journalctl -xeu {unit}`"),
            Self::OpenRc => format!("look at `rc-service {unit} status` and the log of {unit}"),
        }
    }
}

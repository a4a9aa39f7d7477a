//! What manages services on a host: how units are asked for, started and ended.

use crate::apply::failure::StepError;
use crate::host::Command;
use crate::host::Entry;
use crate::host::EntryKind;
use crate::host::Host;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// What manages services on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manager {
    Systemd,
    OpenRc,
}

/// What systemd is asked about a unit.
const PROPERTIES: &str = "LoadState,ActiveState,UnitFileState,NeedDaemonReload";

/// What makes systemd read its files.
pub(super) const RELOAD: &str = "daemon-reload";

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Activity {
    #[default]
    Off,
    /// It starts, ends, or is started again and again.
    OnTheWay,
    On,
}

/// How a unit is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(super) activity: Activity,
    pub(super) enabled: bool,
    /// systemd has not read its files since they changed.
    pub(super) stale: bool,
}

impl Manager {
    /// What manages services there, if anything does.
    pub(super) fn of(host: &dyn Host) -> Result<Option<Self>, StepError> {
        // What systemd's own sd_booted(3) looks at.
        let paths = ["/run/systemd/system", "/run/openrc"].map(str::to_owned);
        let found = host.read_many(&paths)?;
        let is_directory = |entry: &Entry| entry.kind == EntryKind::Directory;
        Ok(match found.as_slice() {
            [Some(entry), _] if is_directory(entry) => Some(Self::Systemd),
            [_, Some(_)] => Some(Self::OpenRc),
            _ => None,
        })
    }

    /// How units are; all are asked for at once where that costs no more than asking for one.
    pub(super) fn ask(
        self,
        host: &dyn Host,
        names: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, Unit>, StepError> {
        match self {
            Self::Systemd => shown(host, names),
            Self::OpenRc => names.iter().map(|name| Ok((name.clone(), open_rc(host, name)?))).collect(),
        }
    }

    pub(super) fn stop(self, unit: &str) -> Command {
        match self {
            Self::Systemd => Command::change("systemctl").arg("stop").arg(unit),
            Self::OpenRc => Command::change("rc-service").arg(unit).arg("stop"),
        }
    }

    pub(super) fn enable(self, unit: &str, wanted: bool) -> Command {
        match (self, wanted) {
            // Of a unit that has an init script as well Debian's systemctl tells the scripts' manager too, and all read
            // all unit files again: three seconds of a busy host for what systemd never looks at.
            (Self::Systemd, true) => Command::change("systemctl")
                .env("SYSTEMCTL_SKIP_SYSV", "1")
                .args(["enable", "--no-reload"])
                .arg(unit),
            (Self::Systemd, false) => Command::change("systemctl").arg("disable").arg(unit),
            (Self::OpenRc, true) => Command::change("rc-update").arg("add").arg(unit).arg("default"),
            (Self::OpenRc, false) => Command::change("rc-update").arg("del").arg(unit).arg("default"),
        }
    }

    /// Starts, or restarts when it runs. systemd reads its unit files first where one changed: that takes it a
    /// second on a busy host.
    pub(super) fn restart(self, name: &str, unit: Unit) -> Vec<Command> {
        match self {
            Self::Systemd => {
                let read = unit.stale.then(|| Command::change("systemctl").arg(RELOAD));
                // A unit that fails and is started again by systemd counts as inactive; only a restart makes it
                // begin at once.
                let restart = Command::change("systemctl").arg("restart").arg(name);
                read.into_iter().chain([restart]).collect()
            }
            Self::OpenRc => {
                let verb = if unit.is_active() { "restart" } else { "start" };
                vec![Command::change("rc-service").arg(name).arg(verb)]
            }
        }
    }

    pub(super) fn reload(self, unit: &str) -> Command {
        match self {
            Self::Systemd => Command::change("systemctl").arg("reload").arg(unit),
            Self::OpenRc => Command::change("rc-service").arg(unit).arg("reload"),
        }
    }

    pub(super) fn look_at(self, unit: &str) -> String {
        match self {
            Self::Systemd => format!("look at `systemctl status {unit}` and `journalctl -xeu {unit}`"),
            Self::OpenRc => format!("look at `rc-service {unit} status` and the log of {unit}"),
        }
    }
}

impl Unit {
    pub(super) fn is_active(self) -> bool {
        self.activity == Activity::On
    }

    /// Reads what `systemctl show` prints, by the words that `is-active` and `is-enabled` count as a yes.
    fn shown(text: &str) -> Self {
        let value = |key: &str| {
            text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default()
        };
        Self {
            activity: match value("ActiveState") {
                "active" | "reloading" | "refreshing" => Activity::On,
                "activating" | "deactivating" => Activity::OnTheWay,
                _ => Activity::Off,
            },
            enabled: matches!(
                value("UnitFileState"),
                "enabled" | "enabled-runtime" | "static" | "alias" | "indirect" | "generated" | "transient"
            ),
            stale: value("NeedDaemonReload") != "no" || value("LoadState") != "loaded",
        }
    }
}

/// How systemd says that units are: a paragraph for each, in the order in which they were named.
fn shown(host: &dyn Host, names: &BTreeSet<String>) -> Result<BTreeMap<String, Unit>, StepError> {
    let command = Command::query("systemctl").args(["show", "-p", PROPERTIES]).args(names);
    let output = host.run(&command)?;
    let text = output.text();
    let paragraphs: Vec<&str> = text.trim_end().split("\n\n").collect();
    if !output.success() || paragraphs.len() != names.len() {
        return Err(StepError::command(&command, &output));
    }
    Ok(names.iter().cloned().zip(paragraphs.into_iter().map(Unit::shown)).collect())
}

/// How OpenRC says that a service is.
fn open_rc(host: &dyn Host, name: &str) -> Result<Unit, StepError> {
    let active = Command::query("rc-service").arg(name).arg("status");
    let enabled =
        Command::query("sh").args(["-c", r#"rc-update show default | grep -qw -- "$1""#, "sh"]).arg(name);
    let (active, enabled) = (succeeds(host, &active)?, succeeds(host, &enabled)?);
    let activity = if active { Activity::On } else { Activity::Off };
    Ok(Unit { activity, enabled, stale: false })
}

fn succeeds(host: &dyn Host, command: &Command) -> Result<bool, StepError> {
    Ok(host.run(command)?.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_as_systemd_shows_it() {
        let shown = "LoadState=loaded\nActiveState=activating\nUnitFileState=disabled\nNeedDaemonReload=no\n";
        assert_eq!(Unit::shown(shown), Unit { activity: Activity::OnTheWay, ..Unit::default() });
        let shown = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=yes\n";
        assert_eq!(Unit::shown(shown), Unit { activity: Activity::On, enabled: true, stale: true });
    }

    #[test]
    fn a_unit_that_is_not_known_yet_makes_systemd_read_its_files() {
        let shown = "LoadState=not-found\nActiveState=inactive\nUnitFileState=\nNeedDaemonReload=no\n";
        assert_eq!(Unit::shown(shown), Unit { stale: true, ..Unit::default() });
    }
}

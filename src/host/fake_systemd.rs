//! As much of systemd as a fake host needs.

use crate::host::Output;
use crate::host::fake::said;
use std::collections::BTreeMap;
use std::io;

/// A unit of the fake's systemd.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unit {
    pub active: bool,
    pub enabled: bool,
    /// How often it was started or restarted.
    pub starts: usize,
    pub reloads: usize,
    /// It was started too often, and is refused until systemd counts anew.
    pub limited: bool,
}

/// Answers `systemctl` with these words.
pub(crate) fn systemctl(units: &mut BTreeMap<String, Unit>, words: &[&str]) -> io::Result<Output> {
    if let ["show", "-p", properties, names @ ..] = words {
        let shown: Vec<String> = names.iter().map(|name| shown(units, properties, name)).collect();
        return Ok(said(0, &shown.join("\n")));
    }
    let words: Vec<&str> = words.iter().copied().filter(|word| !word.starts_with("--")).collect();
    let [verb, name] = words.as_slice() else {
        return match words.as_slice() {
            ["daemon-reload"] => Ok(said(0, "")),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "this fake systemctl does not know that")),
        };
    };
    let name = name.strip_suffix(".service").unwrap_or(name);
    let Some(unit) = units.get_mut(name) else {
        return Ok(Output { stderr: format!("Unit {name}.service not found.").into(), ..said(5, "") });
    };
    match *verb {
        "is-active" if unit.active => return Ok(said(0, "active")),
        "is-active" => return Ok(said(3, "inactive")),
        "is-enabled" if unit.enabled => return Ok(said(0, "enabled")),
        "is-enabled" => return Ok(said(1, "disabled")),
        "start" | "restart" if unit.limited => {
            let refused = format!(
                "Job for {name}.service failed because start of the service was attempted too often."
            );
            return Ok(Output { stderr: refused.into(), ..said(1, "") });
        }
        "reset-failed" => unit.limited = false,
        "start" | "restart" => {
            unit.active = true;
            unit.starts += 1;
        }
        "reload" if unit.active => unit.reloads += 1,
        "stop" => unit.active = false,
        "enable" => unit.enabled = true,
        "disable" => unit.enabled = false,
        _ => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "this fake systemctl does not know that",
            ));
        }
    }
    Ok(said(0, ""))
}

/// `systemctl show` of one unit; it knows also units that are not there.
fn shown(units: &BTreeMap<String, Unit>, properties: &str, name: &str) -> String {
    let unit = units.get(name.strip_suffix(".service").unwrap_or(name));
    let (active, enabled) = unit.map(|unit| (unit.active, unit.enabled)).unwrap_or_default();
    let value = |property: &str| match property {
        "LoadState" if unit.is_some() => "loaded",
        "LoadState" => "not-found",
        "ActiveState" if active => "active",
        "ActiveState" => "inactive",
        "UnitFileState" if enabled => "enabled",
        "UnitFileState" if unit.is_some() => "disabled",
        "NeedDaemonReload" => "no",
        _ => "",
    };
    let lines: Vec<String> =
        properties.split(',').map(|property| format!("{property}={}", value(property))).collect();
    lines.join("\n") + "\n"
}

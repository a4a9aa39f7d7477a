//! Who holds a lock: a process of a user on a machine.

use crate::host::Host;
use serde::Deserialize;
use serde::Serialize;
use std::fmt;

/// A run of this program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    pub run: String,
    pub user: String,
    /// Its name, for people.
    pub machine: String,
    /// RFC 3339.
    pub since: String,
    /// As it can be understood; without secrets.
    pub command: String,
    pub process: Process,
}

/// A process, told apart from all others that ever were.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// `/etc/machine-id`; may be empty.
    pub machine_id: String,
    /// Another one with each boot.
    pub boot_id: String,
    /// Process numbers mean something in one of them only.
    pub namespace: String,
    pub pid: u32,
    /// When it started, in clock ticks since the boot: a number that is given again is not the same process.
    pub started: String,
}

impl Process {
    /// The process `pid` of this machine, as the kernel tells of it; where it does not, fields stay empty.
    pub fn find(host: &dyn Host, pid: u32) -> Self {
        let text = |path: &str| {
            let entry = host.read(path).ok().flatten();
            let text = entry.and_then(|entry| Some(String::from_utf8_lossy(entry.content()?).into_owned()));
            text.map(|text| text.trim().to_owned()).unwrap_or_default()
        };
        let namespace = host.read(&format!("/proc/{pid}/ns/pid")).ok().flatten();
        let namespace = namespace.and_then(|entry| match entry.kind {
            crate::host::EntryKind::Link(target) => Some(target),
            _ => None,
        });
        Self {
            machine_id: text("/etc/machine-id"),
            boot_id: text("/proc/sys/kernel/random/boot_id"),
            namespace: namespace.unwrap_or_default(),
            pid,
            started: started(&text(&format!("/proc/{pid}/stat"))).unwrap_or_default(),
        }
    }

    /// Whether it is known to be gone, as seen by another process. Of other machines nothing is known.
    pub fn is_gone(&self, seen_by: &Self, host: &dyn Host) -> bool {
        let same_boot = !self.boot_id.is_empty() && self.boot_id == seen_by.boot_id;
        if same_boot && self.namespace == seen_by.namespace && !self.started.is_empty() {
            return Self::find(host, self.pid).started != self.started;
        }
        let same_machine = !self.machine_id.is_empty() && self.machine_id == seen_by.machine_id;
        // It was started anew since then.
        same_machine && !self.boot_id.is_empty() && !same_boot
    }
}

/// Field 22 of `/proc/PID/stat` (`proc_pid_stat(5)`); the name before it may hold spaces and parentheses.
fn started(stat: &str) -> Option<String> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19).map(str::to_owned)
}

impl Holder {
    /// What stands in the lock.
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("it holds only text and numbers") + "\n"
    }
}

/// `root@laptop since 2026-05-01T12:00:00Z (run 1f3a, process 4711: kubewright apply)`.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, user, machine, since, command, process } = self;
        write!(f, "{user}@{machine} since {since} (run {run}, process {}: {command})", process.pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Entry;
    use crate::host::Fake;

    const STAT: &str =
        "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 8831 1 1 18446744073709551615 0 0";

    #[test]
    fn tells_when_a_process_is_gone() {
        let host = Fake::new("here").with("/proc/7/stat", Entry::file(STAT, 0o444));
        let process = |machine: &str, boot: &str, namespace: &str, pid, started: &str| Process {
            machine_id: machine.to_owned(),
            boot_id: boot.to_owned(),
            namespace: namespace.to_owned(),
            pid,
            started: started.to_owned(),
        };
        let me = process("m", "b", "n", 9, "1");
        for (other, gone, why) in [
            (process("m", "b", "n", 7, "8831"), false, "it runs"),
            (process("m", "b", "n", 7, "77"), true, "its number was given again"),
            (process("m", "b", "n", 8, "77"), true, "there is no such process"),
            (process("m", "b", "other", 8, "77"), false, "of another namespace nothing is known"),
            (process("m", "before", "n", 7, "8831"), true, "the machine was started anew"),
            (process("x", "y", "n", 8, "77"), false, "of another machine nothing is known"),
            (process("", "y", "n", 8, "77"), false, "nor of one without a name"),
        ] {
            assert_eq!(other.is_gone(&me, &host), gone, "{why}");
        }
    }
}

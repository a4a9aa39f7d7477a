//! Services that ran before: started again with the configuration that they had then. Those that were started for the
//! cluster are stopped with the other services.

use super::Facts;
use super::Undo;
use super::run;
use crate::apply::receipt::Before;
use crate::apply::receipt::Receipt;
use crate::host::Command;
use crate::phase::Draft;

/// Containers outlive these runtimes. Those of Docker end with it, so whoever has some chooses when it starts again.
const UNITS: [&str; 4] = ["haproxy", "keepalived", "containerd", "crio"];

/// `files` are those that were or will be restored; comes after them.
pub(super) fn undo(facts: &Facts, files: &[Undo]) -> Vec<Undo> {
    let ran = |unit: &&&str| {
        let before =
            facts.receipt.as_ref().and_then(|receipt: &Receipt| receipt.before(&format!("service {unit}")));
        matches!(before, Some(Before::Service { active: true, .. }))
    };
    let concerned = |unit: &&&str| {
        let directories = [format!("/etc/{unit}/"), format!("/etc/systemd/system/{unit}.service.d/")];
        let lines = || files.iter().flat_map(|undo| &undo.is);
        lines().any(|line| directories.iter().any(|directory| line.starts_with(directory)))
    };
    let again = |unit: &&str| {
        // Planned only when there are files to be restored, so always wanted.
        let action = run(Command::change("systemctl").args(["restart", unit]), Command::query("false"));
        let title = format!("{unit} with the configuration that it had");
        Undo::new(Draft::new(title, "it ran before", action)).minor()
    };
    UNITS.iter().filter(ran).filter(concerned).map(again).collect()
}

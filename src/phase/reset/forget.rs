//! The record of the host: the last thing to go, since all the rest is planned from it.

use super::Facts;
use super::Undo;
use crate::apply::receipt;
use crate::facts::baseline;
use crate::phase::Draft;
use crate::plan::Action;
use crate::plan::Clear;
use crate::plan::ClearSpec;
use std::collections::BTreeSet;

const DIRECTORY: &str = "/var/lib/kubewright";
const DOWNLOADS: &str = "/var/lib/kubewright/download";

/// Without a receipt a baseline means nothing, so it goes second: an interruption between the two does no harm.
pub(super) fn undo(facts: &Facts) -> Vec<Undo> {
    if facts.receipt.is_none() && facts.baseline.is_none() {
        return Vec::new();
    }
    let reason = "nothing of it is true any more";
    let absent = |title: &str, path: &str| {
        Undo::new(Draft::new(title, reason, Action::Absent { path: path.to_owned() }))
    };
    let downloads = ClearSpec {
        path: DOWNLOADS.to_owned(),
        what: Clear::Everything,
        keep: BTreeSet::new(),
        itself: true,
    };
    let directory = ClearSpec {
        path: DIRECTORY.to_owned(),
        what: Clear::EmptyDirectories,
        keep: BTreeSet::new(),
        itself: true,
    };
    vec![
        Undo::new(Draft::new("no unfinished downloads", reason, Action::Clear(downloads))).minor(),
        absent("no receipt", receipt::PATH),
        absent("no baseline", baseline::PATH),
        Undo::new(Draft::new("directory of the record", reason, Action::Clear(directory))),
    ]
}

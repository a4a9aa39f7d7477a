//! Steps about the file system of one host that come one after the other: looked at together, changed together.
//!
//! The cost of a far host is the way there, and a new control plane has some fifty files.

use crate::apply::failure::StepError;
use crate::apply::file;
use crate::apply::file::Judged;
use crate::apply::run::Done;
use crate::apply::run::Run;
use crate::apply::site::Site;
use crate::host::Change;
use crate::host::Entry;
use crate::host::Host;
use crate::host::HostError;
use crate::plan::Step;
use std::collections::BTreeMap;

type Found = BTreeMap<String, Option<Entry>>;

/// What came of the steps, in order; it ends with the first that failed.
pub(crate) fn perform(run: &Run<'_>, steps: &[&Step], site: &mut Site) -> Vec<Result<Done, StepError>> {
    let paths: Vec<String> = steps.iter().flat_map(|step| file::paths(&step.action)).collect();
    match site.host.read_many(&paths) {
        Ok(entries) => {
            let found = paths.into_iter().zip(entries).collect();
            judge(run, steps, site, &found)
        }
        Err(error) if steps.len() == 1 => vec![Err(error.into())],
        // One path is unreadable: the steps before it can be done, and it belongs to its own.
        Err(_) => {
            let mut all = Vec::new();
            for step in steps {
                all.extend(perform(run, &[step], site));
                if all.last().is_some_and(Result::is_err) {
                    break;
                }
            }
            all
        }
    }
}

fn judge(run: &Run<'_>, steps: &[&Step], site: &mut Site, found: &Found) -> Vec<Result<Done, StepError>> {
    let there = |path: &str| found.get(path).cloned().flatten();
    let mut judged = Vec::new();
    let mut failure = None;
    for step in steps {
        match file::judge(run, &step.action, &there) {
            Ok(one) => judged.push(one),
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    let mut results = change(run, judged, site, found);
    if !results.last().is_some_and(Result::is_err) {
        results.extend(failure.map(Err));
    }
    results
}

/// Makes the changes in one go, the record of what was there before first.
fn change(
    run: &Run<'_>,
    judged: Vec<Judged>,
    site: &mut Site,
    found: &Found,
) -> Vec<Result<Done, StepError>> {
    let (changes, dones): (Vec<_>, Vec<_>) = judged.into_iter().map(|one| (one.change, one.done)).unzip();
    let failed = match carry_out(run, &changes, site, found) {
        Ok(()) => None,
        Err(error) => Some((failing(&changes, &error), error)),
    };
    let made = failed.as_ref().map_or(changes.len(), |(index, _)| *index);
    site.changed.extend(changes[..made].iter().flatten().filter(|change| is_written(change)).map(path_of));
    let mut results: Vec<_> = dones.into_iter().take(made).map(Ok).collect();
    results.extend(failed.map(|(_, error)| Err(error.into())));
    results
}

/// Why changes could not be made.
enum Trouble {
    Host(HostError),
    Step(StepError),
}

fn carry_out(
    run: &Run<'_>,
    changes: &[Option<Change>],
    site: &mut Site,
    found: &Found,
) -> Result<(), Trouble> {
    let mut all: Vec<Change> = changes.iter().flatten().cloned().collect();
    if all.is_empty() {
        return Ok(());
    }
    let record = if run.world.options.dry_run {
        None
    } else {
        site.before_changing(&all, found).map_err(Trouble::Step)?
    };
    let recorded = record.is_some();
    all.splice(0..0, record);
    let answer = site.host.change_many(&all);
    if recorded && answer.as_ref().err().is_none_or(|error| comes_after_the_record(error, &all)) {
        site.recorded();
    }
    answer.map_err(Trouble::Host)
}

/// Whether the first of the changes, which is the record, was made.
fn comes_after_the_record(error: &HostError, all: &[Change]) -> bool {
    matches!(error, HostError::File { path, .. } if all[1..].iter().any(|change| path_of(change) == *path))
}

/// The step that could not make its change: the one of the path that the error names, or else the first of all.
fn failing(changes: &[Option<Change>], error: &Trouble) -> usize {
    let first = changes.iter().position(Option::is_some).unwrap_or_default();
    let Trouble::Host(HostError::File { path, .. }) = error else { return first };
    let named =
        changes.iter().position(|change| change.as_ref().is_some_and(|change| path_of(change) == *path));
    named.unwrap_or(first)
}

fn is_written(change: &Change) -> bool {
    matches!(change, Change::Write { .. })
}

fn path_of(change: &Change) -> String {
    match change {
        Change::Write { path, .. } | Change::Remove { path } => path.clone(),
    }
}

impl From<Trouble> for StepError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Host(error) => error.into(),
            Trouble::Step(error) => error,
        }
    }
}

//! Files, directories, links and their absence: what there is against what is wanted.

use crate::apply::diff;
use crate::apply::failure::StepError;
use crate::apply::member;
use crate::apply::receipt::sha256;
use crate::apply::run::Done;
use crate::apply::run::Run;
use crate::host::Change;
use crate::host::Entry;
use crate::host::EntryKind;
use crate::plan::Action;
use crate::plan::Content;
use crate::plan::FileSpec;
use crate::report::FailureKind;
use crate::report::Outcome;

/// What a step about the file system comes to.
pub(crate) struct Judged {
    /// What it has come to when the change is made.
    pub done: Done,
    pub change: Option<Change>,
}

impl Judged {
    fn fine() -> Self {
        Self { done: Done::new(Outcome::Ok), change: None }
    }
}

/// The paths that must be known before such a step can be judged.
pub(crate) fn paths(action: &Action) -> Vec<String> {
    match action {
        Action::Directory { path, .. } => vec![path.clone(), inside(path)],
        Action::File(FileSpec { path, .. }) | Action::Link { path, .. } | Action::Absent { path } => {
            vec![path.clone()]
        }
        _ => Vec::new(),
    }
}

/// Compares what is wanted with what `there` says is there.
pub(crate) fn judge(
    run: &Run<'_>,
    action: &Action,
    there: &dyn Fn(&str) -> Option<Entry>,
) -> Result<Judged, StepError> {
    match action {
        Action::File(spec) => file(run, spec, there(&spec.path).as_ref()),
        Action::Directory { path, mode } => Ok(directory(run, path, *mode, there)),
        Action::Link { path, target } => Ok(link(run, path, target, there(path))),
        Action::Absent { path } => Ok(absent(run, path, there(path).as_ref())),
        _ => Err(StepError::plan("this is not about a file".to_owned())),
    }
}

fn file(run: &Run<'_>, spec: &FileSpec, current: Option<&Entry>) -> Result<Judged, StepError> {
    if spec.keep_existing && current.is_some_and(|entry| entry.kind != EntryKind::Directory) {
        let digest = current.and_then(Entry::content).map(sha256);
        return Ok(Judged { done: Done { digest, ..Done::new(Outcome::Ok) }, change: None });
    }
    let content = match &spec.content {
        Content::Text(text) => text.clone().into_bytes(),
        Content::Joining(manifest) => {
            let there = current.and_then(Entry::content);
            member::manifest(run, manifest, there)?.into_bytes()
        }
        other => run.world.resolver.content(other).map_err(|error| {
            StepError::new(FailureKind::Content, error.context(format!("no content for `{}`", spec.path)))
        })?,
    };
    let digest = Some(sha256(&content));
    let wanted = Entry { owner: spec.owner, ..Entry::file(content, spec.mode) };
    if current.is_some_and(|current| same(current, &wanted)) {
        return Ok(Judged { done: Done { digest, ..Done::new(Outcome::Ok) }, change: None });
    }
    let detail = current.and_then(|current| only_rights(current, &wanted));
    let new = wanted.content().unwrap_or_default();
    let diff = run
        .world
        .options
        .diff
        .then(|| diff::file(&spec.path, &spec.content, current.and_then(Entry::content), new));
    let mut judged = put(run, &spec.path, wanted);
    judged.done = Done { detail, digest, diff: diff.filter(|diff| !diff.is_empty()), ..judged.done };
    Ok(judged)
}

/// An existing directory keeps its mode; a link to a directory will do.
fn directory(run: &Run<'_>, path: &str, mode: u32, there: &dyn Fn(&str) -> Option<Entry>) -> Judged {
    let is_directory = |entry: Option<Entry>| entry.is_some_and(|entry| entry.kind == EntryKind::Directory);
    if is_directory(there(path)) || is_directory(there(&inside(path))) {
        return Judged::fine();
    }
    put(run, path, Entry::directory(mode))
}

/// A link that leads elsewhere was moved by the program that it is for.
fn link(run: &Run<'_>, path: &str, target: &str, current: Option<Entry>) -> Judged {
    let wanted = Entry::link(target);
    if current.is_some_and(|entry| entry.kind == wanted.kind) {
        Judged::fine()
    } else {
        put(run, path, wanted)
    }
}

fn absent(run: &Run<'_>, path: &str, current: Option<&Entry>) -> Judged {
    if current.is_none() {
        return Judged::fine();
    }
    Judged { done: Done::new(run.changed()), change: Some(Change::Remove { path: path.to_owned() }) }
}

/// With the dot the kernel follows a link.
fn inside(path: &str) -> String {
    format!("{path}/.")
}

fn put(run: &Run<'_>, path: &str, entry: Entry) -> Judged {
    Judged { done: Done::new(run.changed()), change: Some(Change::Write { path: path.to_owned(), entry }) }
}

fn same(current: &Entry, wanted: &Entry) -> bool {
    current.kind == wanted.kind && only_rights(current, wanted).is_none()
}

/// What differs when only mode or owner do.
fn only_rights(current: &Entry, wanted: &Entry) -> Option<String> {
    if current.kind != wanted.kind {
        return None;
    }
    if current.mode != wanted.mode {
        return Some(format!("mode {:04o} instead of {:04o}", wanted.mode, current.mode));
    }
    let owner = wanted.owner.filter(|owner| current.owner != Some(*owner))?;
    Some(format!("owner {}:{}", owner.0, owner.1))
}

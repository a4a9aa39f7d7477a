//! Files, directories, links and their absence.

use crate::apply::diff;
use crate::apply::failure::StepError;
use crate::apply::member;
use crate::apply::receipt::sha256;
use crate::apply::run::Done;
use crate::apply::run::Run;
use crate::apply::site::Site;
use crate::host::Entry;
use crate::host::EntryKind;
use crate::host::Host;
use crate::plan::Content;
use crate::plan::FileSpec;
use crate::report::FailureKind;
use crate::report::Outcome;

pub(crate) fn file(run: &Run<'_>, spec: &FileSpec, site: &mut Site) -> Result<Done, StepError> {
    let current = site.host.read(&spec.path)?;
    if spec.keep_existing && current.as_ref().is_some_and(|entry| entry.kind != EntryKind::Directory) {
        let digest = current.as_ref().and_then(Entry::content).map(sha256);
        return Ok(Done { digest, ..Done::new(Outcome::Ok) });
    }
    let content = match &spec.content {
        Content::Text(text) => text.clone().into_bytes(),
        Content::Joining(manifest) => {
            let there = current.as_ref().and_then(Entry::content);
            member::manifest(run, manifest, there)?.into_bytes()
        }
        other => run.world.resolver.content(other).map_err(|error| {
            StepError::new(FailureKind::Content, error.context(format!("no content for `{}`", spec.path)))
        })?,
    };
    let digest = Some(sha256(&content));
    let wanted = Entry { owner: spec.owner, ..Entry::file(content, spec.mode) };
    if current.as_ref().is_some_and(|current| same(current, &wanted)) {
        return Ok(Done { digest, ..Done::new(Outcome::Ok) });
    }
    let detail = current.as_ref().and_then(|current| only_rights(current, &wanted));
    let new = wanted.content().unwrap_or_default();
    let diff = run
        .world
        .options
        .diff
        .then(|| diff::file(&spec.path, &spec.content, current.as_ref().and_then(Entry::content), new));
    let done = put(run, &spec.path, &wanted, site)?;
    Ok(Done { detail, digest, diff: diff.filter(|diff| !diff.is_empty()), ..done })
}

/// An existing directory keeps its mode; a link to a directory will do.
pub(crate) fn directory(run: &Run<'_>, path: &str, mode: u32, site: &mut Site) -> Result<Done, StepError> {
    let is_directory = |entry: Option<Entry>| entry.is_some_and(|entry| entry.kind == EntryKind::Directory);
    // With the dot the kernel follows a link.
    if is_directory(site.host.read(path)?) || is_directory(site.host.read(&format!("{path}/."))?) {
        return Ok(Done::new(Outcome::Ok));
    }
    put(run, path, &Entry::directory(mode), site)
}

pub(crate) fn absent(run: &Run<'_>, path: &str, site: &mut Site) -> Result<Done, StepError> {
    if site.host.read(path)?.is_none() {
        return Ok(Done::new(Outcome::Ok));
    }
    if !run.world.options.dry_run {
        site.before_path(path)?;
    }
    site.host.remove(path)?;
    Ok(Done::new(run.changed()))
}

/// Writes an entry that differs from what is there.
pub(crate) fn put(run: &Run<'_>, path: &str, entry: &Entry, site: &mut Site) -> Result<Done, StepError> {
    if !run.world.options.dry_run {
        site.before_writing(path)?;
    }
    site.host.write(path, entry)?;
    site.changed.push(path.to_owned());
    Ok(Done::new(run.changed()))
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

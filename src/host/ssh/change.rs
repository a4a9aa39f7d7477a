//! Making many changes with one stream.

use crate::host::Change;
use crate::host::Entry;
use crate::host::EntryKind;
use crate::host::HostError;
use crate::host::Output;
use crate::host::ssh::Ssh;
use crate::host::ssh::archive;
use crate::host::ssh::archive::Content;
use crate::host::ssh::archive::Member;
use crate::host::ssh::run::Job;
use crate::host::ssh::settle;
use crate::host::ssh::shell::quoted;
use crate::host::ssh::talk;
use crate::host::ssh::talk::Input;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::io::ErrorKind;
use std::time::Duration;

const SCRIPT: &str = include_str!("change.sh");

/// The directory of our own beside the targets.
const ROOM: &str = ".kubewright-new";

/// Files that one process moves: as many as surely fit on a command line.
const RUN: usize = 200;

/// For the script itself; the stream gets time for its length on top.
const LIMIT: Duration = Duration::from_mins(2);

/// Bytes a second that even a poor connection carries.
const SLOWEST: u64 = 128 * 1024;

/// Reasons as the tools print them, and what they are.
const REASONS: [(&str, ErrorKind); 13] = [
    ("Permission denied", ErrorKind::PermissionDenied),
    ("Operation not permitted", ErrorKind::PermissionDenied),
    ("No space left on device", ErrorKind::StorageFull),
    ("Disk quota exceeded", ErrorKind::QuotaExceeded),
    ("Read-only file system", ErrorKind::ReadOnlyFilesystem),
    ("Directory not empty", ErrorKind::DirectoryNotEmpty),
    ("Not a directory", ErrorKind::NotADirectory),
    ("cannot overwrite directory", ErrorKind::IsADirectory),
    ("No such file or directory", ErrorKind::NotFound),
    ("File exists", ErrorKind::AlreadyExists),
    ("Device or resource busy", ErrorKind::ResourceBusy),
    ("File name too long", ErrorKind::InvalidFilename),
    // tar on a full disk.
    ("Wrote only", ErrorKind::StorageFull),
];

/// How an attempt ended.
enum Outcome {
    Done {
        /// It is on the disk, with everything that was written before.
        settled: bool,
    },
    /// The change of this number cannot be made.
    Failed { at: usize, said: String },
    /// From this number on, one by one.
    Careful { from: usize },
}

impl Ssh {
    /// Makes the changes in order.
    pub(super) fn make_changes(&self, changes: &[Change]) -> Result<(), HostError> {
        self.make(changes, false).map(|_| ())
    }

    /// Makes the changes in order and brings them to the disk, with what was written before.
    pub(super) fn make_changes_and_settle(&self, changes: &[Change]) -> Result<(), HostError> {
        // Asked again, the disk says what is wrong with it.
        if self.make(changes, true)? { Ok(()) } else { self.bring_to_disk() }
    }

    /// Whether all is on the disk, which is only seen to where `settle` asks for it.
    fn make(&self, changes: &[Change], settle: bool) -> Result<bool, HostError> {
        if let Some(change) =
            changes.iter().find(|change| !path(change).starts_with('/') || name(path(change)).is_empty())
        {
            let source = io::Error::new(ErrorKind::InvalidInput, "not an absolute path of a file");
            return Err(self.change_error(change, source));
        }
        let settled = if settle { self.unsettled().clone() } else { BTreeSet::new() };
        let ending = if settle { self.ending(changes) } else { String::new() };
        let mut outcome = self.attempt(changes, 0, false, &ending)?;
        if let Outcome::Careful { from } = outcome {
            outcome = self.attempt(changes, from, true, &ending)?;
        }
        if matches!(outcome, Outcome::Done { settled: true }) {
            self.unsettled().retain(|path| !settled.contains(path));
            return Ok(true);
        }
        let (made, error) = match outcome {
            Outcome::Done { .. } => (changes.len(), None),
            Outcome::Failed { at, said } => {
                (at, changes.get(at).map(|change| self.change_error(change, reason(&said))))
            }
            Outcome::Careful { from } => {
                (from, changes.get(from).map(|change| self.change_error(change, reason(""))))
            }
        };
        self.unsettled().extend(changes.iter().take(made).map(|change| path(change).to_owned()));
        error.map_or(Ok(false), Err)
    }

    /// What brings these changes to the disk when they are made, and says so.
    fn ending(&self, changes: &[Change]) -> String {
        let paths = changes.iter().map(|change| path(change).to_owned());
        let script = settle::script(&paths.chain(self.unsettled().iter().cloned()).collect());
        format!("{script}echo settled\n")
    }

    fn change_error(&self, change: &Change, source: io::Error) -> HostError {
        let action = if matches!(change, Change::Write { .. }) { "write" } else { "remove" };
        HostError::File { host: self.name.clone(), action, path: path(change).to_owned(), source }
    }

    /// Makes the changes from number `from` on; `careful` means one by one. `ending` follows when they are made.
    fn attempt(
        &self,
        changes: &[Change],
        from: usize,
        careful: bool,
        ending: &str,
    ) -> Result<Outcome, HostError> {
        if changes.len() == from {
            return Ok(Outcome::Done { settled: false });
        }
        let is_root = self.is_root();
        let batches = batches(changes, from, careful);
        let mut script = format!("unable={}\n", if careful { "failed" } else { "careful" });
        let ours = if is_root { "ours=0:0\n" } else { "ours=$(id -u):$(id -g)\n" };
        script.push_str(ours);
        script.push_str(SCRIPT);
        for (index, batch) in batches.iter().enumerate() {
            let last = index + 1 == batches.len();
            batch_script(&mut script, changes, batch, last, is_root);
        }
        script.push_str("echo done\n");
        script.push_str(ending);
        let total: usize = batches.iter().map(|batch| archive::size(&members(changes, batch))).sum();
        let limit = LIMIT + Duration::from_secs(total as u64 / SLOWEST);
        let input = || -> Input<'_> {
            let batches = batches.clone();
            let with_files = batches.into_iter().map(|batch| members(changes, &batch));
            Box::new(with_files.filter(|members| !members.is_empty()).flat_map(archive::pieces))
        };
        let job = Job { what: "writing files", script: &script, limit, repeat: false, open: false };
        let output = self.perform_with(&job, &input, talk::finish)?;
        Ok(outcome(&output, from))
    }
}

fn outcome(output: &Output, from: usize) -> Outcome {
    let text = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let number = |word: &str| text.trim().strip_prefix(word).and_then(|number| number.trim().parse().ok());
    if let Some(rest) = text.trim().strip_prefix("done") {
        Outcome::Done { settled: rest.trim() == "settled" }
    } else if let Some(from) = number("careful") {
        Outcome::Careful { from }
    } else {
        Outcome::Failed { at: number("failed").unwrap_or(from), said }
    }
}

fn reason(said: &str) -> io::Error {
    let known = REASONS.iter().find(|(text, _)| said.contains(text));
    let kind = known.map_or(ErrorKind::Other, |(_, kind)| *kind);
    // The last line is what the last tool said of itself.
    let line = said.lines().rfind(|line| known.is_none_or(|(text, _)| line.contains(text)));
    io::Error::new(kind, line.unwrap_or("the host does not say why").to_owned())
}

/// The numbers of changes that can be prepared together: none lies below an earlier one that is no directory, none takes away
/// what leads to an earlier one, and none comes twice. Directories are made first.
type Batch = Vec<usize>;

fn batches(changes: &[Change], from: usize, careful: bool) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut made: BTreeSet<&str> = BTreeSet::new();
    for (number, change) in changes.iter().enumerate().skip(from) {
        let below = format!("{}/", path(change));
        let is_directory = is_directory(change);
        let depends = made.contains(path(change))
            || ancestors(path(change)).any(|ancestor| seen.contains(ancestor))
            || (!is_directory
                && seen.range(below.as_str()..).next().is_some_and(|other| other.starts_with(&below)));
        if careful || depends || batches.is_empty() {
            batches.push(Vec::new());
            seen.clear();
            made.clear();
        }
        if is_directory { &mut made } else { &mut seen }.insert(path(change));
        if let Some(batch) = batches.last_mut() {
            batch.push(number);
        }
    }
    batches
}

fn is_directory(change: &Change) -> bool {
    matches!(change, Change::Write { entry: Entry { kind: EntryKind::Directory, .. }, .. })
}

/// A path and everything above it.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at]).chain([path])
}

fn path(change: &Change) -> &str {
    match change {
        Change::Write { path, .. } | Change::Remove { path } => path,
    }
}

fn directory(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(at) => &path[..at],
    }
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// What is unpacked for a batch.
fn members<'a>(changes: &'a [Change], batch: &Batch) -> Vec<Member<'a>> {
    let member = |number: &usize| {
        let Change::Write { path, entry } = &changes[*number] else { return None };
        let content = match &entry.kind {
            EntryKind::File(content) => Content::File(content),
            EntryKind::Link(target) => Content::Link(target),
            EntryKind::Directory => return None,
        };
        let owner = entry.owner.unwrap_or_default();
        Some(Member { path: in_room(path), mode: entry.mode, owner, content })
    };
    batch.iter().filter_map(member).collect()
}

fn in_room(path: &str) -> String {
    format!("{}/{ROOM}/{}", directory(path).trim_end_matches('/'), name(path))
}

fn words<'a>(script: &mut String, words: impl IntoIterator<Item = &'a str>) {
    for word in words {
        let _ = write!(script, " {}", *quoted(word));
    }
    script.push('\n');
}

fn batch_script(script: &mut String, changes: &[Change], batch: &Batch, last: bool, is_root: bool) {
    let members = members(changes, batch);
    let writes = batch.iter().filter(|number| matches!(changes[**number], Change::Write { .. }));
    let parents: BTreeSet<&str> = writes.map(|number| directory(path(&changes[*number]))).collect();
    let rooms: BTreeSet<String> = members.iter().map(|member| directory(&member.path).to_owned()).collect();
    let ways: BTreeSet<&str> =
        parents.iter().flat_map(|parent| ancestors(parent)).filter(|way| !way.is_empty()).collect();
    let mut ways: Vec<&str> = ways.into_iter().collect();
    ways.sort_by_key(|way| Reverse(way.len()));
    script.push_str("ways() { \"$@\"");
    words(script, ways);
    let _ = write!(script, "}}\nprepare {}", batch[0]);
    words(script, parents);
    let (directories, rest): (Vec<usize>, Vec<usize>) =
        batch.iter().partition(|number| is_directory(&changes[**number]));
    for number in directories {
        make_directory(script, &changes[number]);
    }
    if !members.is_empty() {
        script.push_str("sweep() { rm -rf --");
        words(script, rooms.iter().map(String::as_str));
        script.push_str("}\nrooms");
        words(script, rooms.iter().map(String::as_str));
        let size = if last { "all".to_owned() } else { archive::size(&members).to_string() };
        let _ = writeln!(script, "unpack {size}");
    }
    let mut at = 0;
    while at < rest.len() {
        at += step(script, changes, &rest[at..], is_root);
    }
    if !members.is_empty() {
        script.push_str("rmdir --");
        words(script, rooms.iter().map(String::as_str));
        script.push_str("sweep() { :; }\n");
    }
    script.push_str("there=\n");
}

fn make_directory(script: &mut String, change: &Change) {
    let Change::Write { path, entry: Entry { mode, owner, .. } } = change else { return };
    let owner = owner.map_or_else(|| "-".to_owned(), |(user, group)| format!("{user}:{group}"));
    script.push_str("directory");
    words(script, [path.as_str(), &format!("{mode:04o}"), &owner]);
}

/// One call for the first of these changes, none of which is a directory, and those that go with it; how many that are. The
/// script counts on from the first number, so they follow one another.
fn step(script: &mut String, changes: &[Change], batch: &[usize], is_root: bool) -> usize {
    let number = batch[0];
    let following = || {
        batch.iter().zip(number..).take(RUN).take_while(|(next, count)| *next == count).map(|(next, _)| next)
    };
    match &changes[number] {
        Change::Write { path, entry } => {
            let how = how(entry, is_root);
            let goes_with = |number: &&usize| match &changes[**number] {
                Change::Write { path: other, entry } => {
                    directory(other) == directory(path) && self::how(entry, is_root) == how
                }
                Change::Remove { .. } => false,
            };
            let run: Vec<&usize> = following().take_while(goes_with).collect();
            let _ = write!(script, "put {how} {number} {}", *quoted(directory(path)));
            words(script, run.iter().map(|number| name(self::path(&changes[**number]))));
            run.len()
        }
        Change::Remove { .. } => {
            let is_removal = |number: &&usize| matches!(changes[**number], Change::Remove { .. });
            let run: Vec<&usize> = following().take_while(is_removal).collect();
            let _ = write!(script, "drop {number}");
            words(script, run.iter().map(|number| path(&changes[**number])));
            run.len()
        }
    }
}

/// How the owner of a new file is set: root's tar sets the one that is named.
fn how(entry: &Entry, is_root: bool) -> String {
    match entry.owner {
        None if matches!(entry.kind, EntryKind::Link(_)) => "-".to_owned(),
        None => "keep".to_owned(),
        Some(_) if is_root => "-".to_owned(),
        Some((user, group)) => format!("{user}:{group}"),
    }
}

//! Reading many paths in one round trip.

use crate::host::Entry;
use crate::host::EntryKind;
use crate::host::HostError;
use crate::host::ssh::Ssh;
use crate::host::ssh::run::Job;
use crate::host::ssh::shell::quoted;
use crate::host::ssh::talk;
use crate::host::ssh::talk::Failure;
use crate::host::ssh::talk::Talk;
use std::fmt::Write as _;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::ErrorKind;
use std::io::Read;
use std::time::Duration;

const SCRIPT: &str = include_str!("read.sh");

/// Paths that are looked at by one call: as many as surely fit on a command line.
const GROUP: usize = 400;

/// For a command that only looks; big files take their time.
const LIMIT: Duration = Duration::from_mins(30);

/// How often files that change while they are read are read again.
const TRIES: usize = 3;

/// What was read, or why not.
type Answer = Result<Option<Entry>, io::Error>;

/// What came does not fit together.
struct Torn;

impl From<io::Error> for Torn {
    fn from(_: io::Error) -> Self {
        Self
    }
}

/// A line of stat.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    mode: u32,
    owner: (u32, u32),
    size: usize,
    /// With the rest it tells whether the file is still the same.
    text: String,
}

impl Ssh {
    /// Reads many paths, in the order in which they were asked for.
    pub(super) fn read_paths(&self, paths: &[String]) -> Result<Vec<Option<Entry>>, HostError> {
        let mut entries = Vec::with_capacity(paths.len());
        for (path, answer) in paths.iter().zip(self.answers(paths)?) {
            entries.push(answer.map_err(|source| HostError::File {
                host: self.name.clone(),
                action: "read",
                path: path.clone(),
                source,
            })?);
        }
        Ok(entries)
    }

    fn answers(&self, paths: &[String]) -> Result<Vec<Answer>, HostError> {
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        for attempt in 0..TRIES {
            let script = script(paths, attempt > 0);
            let job = Job { what: "reading files", script: &script, limit: LIMIT, repeat: true, open: false };
            let read = self.perform(&job, |talk| collect(talk, paths))?;
            if let Ok(answers) = read {
                return Ok(answers);
            }
        }
        let source = io::Error::other("they change while they are read");
        Err(HostError::File { host: self.name.clone(), action: "read", path: paths.join("`, `"), source })
    }
}

fn script(paths: &[String], careful: bool) -> String {
    let mut script = format!("careful={}\n{SCRIPT}", if careful { "yes" } else { "" });
    for group in paths.chunks(GROUP) {
        script.push_str("all");
        for path in group {
            let _ = write!(script, " {}", *quoted(path));
        }
        script.push('\n');
    }
    script
}

fn collect(talk: Talk<'_>, paths: &[String]) -> Result<Result<Vec<Answer>, Torn>, Failure> {
    let mut reader = BufReader::with_capacity(64 * 1024, talk);
    let mut answers = Ok(Vec::with_capacity(paths.len()));
    for group in paths.chunks(GROUP) {
        let (Ok(found), Ok(known)) = (parse(&mut reader, group.len()), &mut answers) else {
            answers = Err(Torn);
            break;
        };
        known.extend(found);
    }
    let output = talk::finish(reader.into_inner())?;
    if output.success() { Ok(answers) } else { Ok(Err(Torn)) }
}

/// The answers for one call of `all`.
fn parse(reader: &mut impl BufRead, count: usize) -> Result<Vec<Answer>, Torn> {
    let kinds = line(reader)?;
    if kinds.len() != count {
        return Err(Torn);
    }
    part(reader)?;
    let with_state = kinds.bytes().filter(|kind| b"fldp".contains(kind)).count();
    let states = states(reader, with_state)?;
    let links = kinds.bytes().filter(|kind| *kind == b'l').count();
    let mut targets = Vec::new();
    for _ in 0..links {
        let mut target = Vec::new();
        reader.read_until(0, &mut target)?;
        target.pop();
        targets.push(String::from_utf8_lossy(&target).into_owned());
    }
    part(reader)?;
    let mut of_kinds = states.iter();
    let measured: Vec<&State> = kinds
        .bytes()
        .filter(|kind| b"fldp".contains(kind))
        .filter_map(|kind| of_kinds.next().filter(|_| kind == b'f'))
        .collect();
    let mut contents = Vec::new();
    for state in &measured {
        let mut content = Vec::with_capacity(state.size);
        if reader.by_ref().take(state.size as u64).read_to_end(&mut content)? != state.size {
            return Err(Torn);
        }
        contents.push(content);
    }
    part(reader)?;
    let after = self::states(reader, measured.len())?;
    if after.iter().ne(measured.iter().copied()) {
        return Err(Torn);
    }
    let mut unmeasured = Vec::new();
    for _ in kinds.bytes().filter(|kind| *kind == b'p') {
        unmeasured.push(hexadecimal(reader)?);
    }
    part(reader)?;
    let (mut states, mut targets) = (states.into_iter(), targets.into_iter());
    let (mut contents, mut unmeasured) = (contents.into_iter(), unmeasured.into_iter());
    kinds
        .bytes()
        .map(|kind| {
            let kind = match kind {
                b'a' => return Ok(Ok(None)),
                b'x' => return Ok(Err(ErrorKind::PermissionDenied.into())),
                b'o' => return Ok(Err(io::Error::other("it is neither a file, a directory nor a link"))),
                b'd' => EntryKind::Directory,
                b'l' => EntryKind::Link(targets.next().ok_or(Torn)?),
                b'f' => EntryKind::File(contents.next().ok_or(Torn)?),
                b'p' => {
                    let Some(content) = unmeasured.next().ok_or(Torn)? else {
                        states.next();
                        return Ok(Err(io::Error::other("it is there and cannot be read")));
                    };
                    EntryKind::File(content)
                }
                _ => return Err(Torn),
            };
            let state = states.next().ok_or(Torn)?;
            Ok(Ok(Some(Entry { kind, mode: state.mode, owner: Some(state.owner) })))
        })
        .collect()
}

fn line(reader: &mut impl BufRead) -> Result<String, Torn> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(Torn);
    }
    String::from_utf8(line).map_err(|_| Torn)
}

/// The line that ends a part.
fn part(reader: &mut impl BufRead) -> Result<(), Torn> {
    if line(reader)? == "--" { Ok(()) } else { Err(Torn) }
}

fn states(reader: &mut impl BufRead, count: usize) -> Result<Vec<State>, Torn> {
    let states = (0..count).map(|_| state(&line(reader)?).ok_or(Torn)).collect::<Result<_, _>>()?;
    part(reader)?;
    Ok(states)
}

fn state(line: &str) -> Option<State> {
    let mut words = line.split(' ');
    let mode = u32::from_str_radix(words.next()?, 16).ok()? & 0o7777;
    let mut number = || words.next()?.parse::<u64>().ok();
    let owner = (u32::try_from(number()?).ok()?, u32::try_from(number()?).ok()?);
    let size = usize::try_from(number()?).ok()?;
    Some(State { mode, owner, size, text: line.to_owned() })
}

/// The bytes that od printed; `None` where it could not read the file.
fn hexadecimal(reader: &mut impl BufRead) -> Result<Option<Vec<u8>>, Torn> {
    let mut bytes = Vec::new();
    loop {
        let line = line(reader)?;
        match line.as_str() {
            "." => return Ok(Some(bytes)),
            "!" => return Ok(None),
            line => {
                for word in line.split_ascii_whitespace() {
                    bytes.push(u8::from_str_radix(word, 16).map_err(|_| Torn)?);
                }
            }
        }
    }
}

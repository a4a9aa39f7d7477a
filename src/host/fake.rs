//! A host in memory: files, scripted commands and sockets, a small systemd, and faults on demand.
//!
//! Always compiled, so that the integration tests reach it. A command that nobody scripted is an error: a typo
//! must not pass for success.

use crate::host::Command;
use crate::host::Entry;
use crate::host::EntryKind;
use crate::host::Host;
use crate::host::HostError;
use crate::host::Output;
use crate::host::Socket;
use crate::host::Stream;
use crate::host::command::Word;
use crate::host::fake_systemd::systemctl;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::thread;

pub use crate::host::fake_systemd::Unit;

/// Files by path.
pub type Files = BTreeMap<String, Entry>;

type Answer = Box<dyn Fn(&Command, &mut Files) -> Output + Send>;

#[derive(Debug)]
pub struct Fake {
    name: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    files: Files,
    rules: Vec<(Vec<String>, Answer)>,
    sockets: Vec<(Socket, Vec<u8>)>,
    units: BTreeMap<String, Unit>,
    log: Vec<String>,
    mutations: usize,
    fault: Option<Fault>,
    dead: bool,
}

/// What goes wrong at the n-th change (counted from 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is refused as on a full disk; later ones succeed.
    Refuse(usize),
    /// The host is gone just before it.
    DieBefore(usize),
    /// The host is gone just after it.
    DieAfter(usize),
}

impl Fake {
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), state: Mutex::new(State::default()) }
    }

    /// Puts something there from the beginning.
    #[must_use]
    pub fn with(self, path: &str, entry: Entry) -> Self {
        self.put(path, entry);
        self
    }

    /// A systemd that knows this unit.
    #[must_use]
    pub fn with_unit(self, name: &str, unit: Unit) -> Self {
        self.put("/run/systemd/system", Entry::directory(0o755));
        self.state().units.insert(name.to_owned(), unit);
        self
    }

    /// Its systemd has a unit like this from now on.
    pub fn set_unit(&self, name: &str, unit: Unit) {
        self.state().units.insert(name.to_owned(), unit);
    }

    /// Answers every command that begins with these words; the latest rule wins.
    #[must_use]
    pub fn on(self, words: &[&str], output: Output) -> Self {
        self.on_run(words, move |_, _| output.clone())
    }

    /// Answers by a function, which may look at and change the files.
    #[must_use]
    pub fn on_run<F>(self, words: &[&str], answer: F) -> Self
    where
        F: Fn(&Command, &mut Files) -> Output + Send + 'static,
    {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        self.state().rules.push((words, Box::new(answer)));
        self
    }

    /// Listens: every connection gets this answer to its first request.
    pub fn listen(&self, socket: Socket, answer: impl Into<Vec<u8>>) {
        self.state().sockets.insert(0, (socket, answer.into()));
    }

    /// Changes files from outside, as another program would.
    pub fn put(&self, path: &str, entry: Entry) {
        insert(&mut self.state().files, path, entry);
    }

    pub fn break_at(&self, fault: Fault) {
        self.state().fault = Some(fault);
    }

    /// Ends every fault.
    pub fn heal(&self) {
        let mut state = self.state();
        state.fault = None;
        state.dead = false;
    }

    pub fn files(&self) -> Files {
        self.state().files.clone()
    }

    pub fn unit(&self, name: &str) -> Option<Unit> {
        self.state().units.get(name).copied()
    }

    /// How many changes were asked for so far: writes, removals and changing commands.
    pub fn mutations(&self) -> usize {
        self.state().mutations
    }

    /// Every change and every command, in order.
    pub fn log(&self) -> Vec<String> {
        self.state().log.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks, unless the host is gone.
    fn look<T>(&self, work: impl FnOnce(&mut State) -> Result<T, HostError>) -> Result<T, HostError> {
        let mut state = self.state();
        if state.dead { Err(self.gone()) } else { work(&mut state) }
    }

    /// Changes, unless the host is gone or breaks here.
    fn change<T>(
        &self,
        what: String,
        refused: impl FnOnce(io::Error) -> HostError,
        work: impl FnOnce(&mut State) -> Result<T, HostError>,
    ) -> Result<T, HostError> {
        let mut state = self.state();
        if state.dead {
            return Err(self.gone());
        }
        let turn = state.mutations;
        state.mutations += 1;
        match state.fault {
            Some(Fault::Refuse(at)) if at == turn => return Err(refused(full())),
            Some(Fault::DieBefore(at)) if at == turn => {
                state.dead = true;
                return Err(self.gone());
            }
            _ => {}
        }
        state.log.push(what);
        let done = work(&mut state);
        if state.fault == Some(Fault::DieAfter(turn)) {
            state.dead = true;
            return Err(self.gone());
        }
        done
    }

    fn gone(&self) -> HostError {
        let source = io::Error::new(io::ErrorKind::HostUnreachable, "the host is gone");
        HostError::Unreachable { host: self.name.clone(), source }
    }

    fn file_error(&self, action: &'static str, path: &str) -> impl FnOnce(io::Error) -> HostError {
        let (host, path) = (self.name.clone(), path.to_owned());
        move |source| HostError::File { host, action, path, source }
    }
}

impl Host for Fake {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, command: &Command) -> Result<Output, HostError> {
        let failed =
            |source| HostError::Start { host: self.name.clone(), command: command.to_string(), source };
        if command.changes {
            self.change(format!("run {command}"), failed, |state| answer(state, command).map_err(failed))
        } else {
            self.look(|state| answer(state, command).map_err(failed))
        }
    }

    fn read(&self, path: &str) -> Result<Option<Entry>, HostError> {
        self.look(|state| Ok(find(&state.files, path)))
    }

    fn write(&self, path: &str, entry: &Entry) -> Result<(), HostError> {
        self.change(format!("write {path}"), self.file_error("write", path), |state| {
            let old = state.files.get(path);
            if old
                .is_some_and(|old| (old.kind == EntryKind::Directory) != (entry.kind == EntryKind::Directory))
            {
                return Err(self.file_error("write", path)(io::ErrorKind::IsADirectory.into()));
            }
            insert(&mut state.files, path, entry.clone());
            Ok(())
        })
    }

    fn remove(&self, path: &str) -> Result<(), HostError> {
        self.change(format!("remove {path}"), self.file_error("remove", path), |state| {
            let inside = format!("{path}/");
            if state.files.keys().any(|other| other.starts_with(&inside)) {
                return Err(self.file_error("remove", path)(io::ErrorKind::DirectoryNotEmpty.into()));
            }
            state.files.remove(path);
            Ok(())
        })
    }

    fn connect(&self, to: &Socket) -> Result<Stream, HostError> {
        let refused = |source| HostError::Connect { host: self.name.clone(), socket: to.to_string(), source };
        self.look(|state| {
            let answer =
                state.sockets.iter().find(|(socket, _)| socket == to).map(|(_, answer)| answer.clone());
            let answer = answer.ok_or_else(|| refused(io::ErrorKind::ConnectionRefused.into()))?;
            let (ours, theirs) = UnixStream::pair().map_err(refused)?;
            thread::spawn(move || serve(theirs, &answer));
            Ok(Stream::Unix(ours))
        })
    }
}

fn full() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "no space left on device")
}

fn serve(mut stream: UnixStream, answer: &[u8]) {
    let mut request = [0; 4096];
    // The other side may already have gone away.
    let _ = stream.read(&mut request);
    let _ = stream.write_all(answer);
}

/// What is at a path; a trailing `/.` follows a link, as the kernel does.
fn find(files: &Files, path: &str) -> Option<Entry> {
    let Some(path) = path.strip_suffix("/.") else {
        return files.get(path).cloned();
    };
    match files.get(path).map(|entry| &entry.kind) {
        Some(EntryKind::Link(target)) => find(files, &format!("{target}/.")),
        Some(EntryKind::Directory) => files.get(path).cloned(),
        _ => None,
    }
}

fn insert(files: &mut Files, path: &str, entry: Entry) {
    for (index, _) in path.match_indices('/').skip(1) {
        files.entry(path[..index].to_owned()).or_insert_with(|| Entry::directory(0o755));
    }
    files.insert(path.to_owned(), entry);
}

fn answer(state: &mut State, command: &Command) -> io::Result<Output> {
    let words: Vec<&str> =
        std::iter::once(command.program.as_str()).chain(command.args.iter().map(Word::expose)).collect();
    if !command.changes {
        state.log.push(format!("query {command}"));
    }
    let rule = state.rules.iter().rev().find(|(rule, _)| {
        rule.len() <= words.len() && rule.iter().zip(&words).all(|(expected, word)| expected == word)
    });
    if let Some((_, answer)) = rule {
        return Ok(answer(command, &mut state.files));
    }
    match words.as_slice() {
        ["systemctl", words @ ..] if !state.units.is_empty() => systemctl(&mut state.units, words),
        _ => Err(io::Error::new(io::ErrorKind::NotFound, "nobody scripted this command")),
    }
}

/// An answer with this exit status and output.
pub fn said(status: i32, stdout: &str) -> Output {
    Output { status, stdout: stdout.as_bytes().to_vec(), stderr: Vec::new() }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("files", &self.files)
            .field("units", &self.units)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unscripted_command_is_an_error() {
        let fake = Fake::new("cp1").on(&["uname", "-r"], said(0, "6.1"));
        assert_eq!(fake.run(&Command::query("uname").arg("-r")).unwrap().text(), "6.1");
        assert!(fake.run(&Command::query("uname").arg("-a")).is_err());
    }

    #[test]
    fn breaks_where_asked() {
        let write = |fake: &Fake, path| fake.write(path, &Entry::file("x", 0o644));
        let fake = Fake::new("cp1");
        fake.break_at(Fault::Refuse(1));
        write(&fake, "/a").unwrap();
        assert_eq!(write(&fake, "/b").unwrap_err().io_kind(), Some(io::ErrorKind::StorageFull));
        write(&fake, "/c").unwrap();

        fake.break_at(Fault::DieAfter(3));
        assert!(write(&fake, "/d").is_err());
        assert!(fake.read("/a").is_err());
        fake.heal();
        assert!(fake.read("/b").unwrap().is_none());
        assert!(fake.read("/d").unwrap().is_some());
    }
}

//! The conversation with one command: what goes in, what comes out, and what sudo wants.
#![expect(clippy::disallowed_methods, reason = "this is the seam")]

use crate::host::Output;
use crate::host::ssh::connection::Connection;
use crate::host::ssh::connection::Waker;
use crate::host::ssh::process::End;
use crate::host::ssh::process::Event;
use crate::host::ssh::process::Start;
use crate::host::ssh::shell::Marks;
use crate::host::ssh::shell::Rights;
use crate::host::ssh::shell::signal;
use std::borrow::Cow;
use std::io;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::Sender;
use std::time::Duration;
use std::time::Instant;
use zeroize::Zeroizing;

/// How long the output of a finished command is awaited when something that it started in the background still
/// holds its pipes.
const AFTER_END: Duration = Duration::from_millis(500);

/// How many pieces of the input are on their way at once.
const AHEAD: usize = 3;

/// The size of a piece.
pub(super) const PIECE: usize = 256 * 1024;

/// Standard input, piece by piece.
pub(super) type Input<'a> = Box<dyn Iterator<Item = Cow<'a, [u8]>> + 'a>;

/// Bytes as input.
pub(super) fn pieces(bytes: &[u8]) -> Input<'_> {
    Box::new(bytes.chunks(PIECE).map(Cow::Borrowed))
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection is gone.
    Lost(String),
    /// The connection is busy, and nothing was sent.
    NotBegun(String),
    /// It took too long; the number of the shell that runs it, where it had begun.
    Late(Option<u32>),
    /// The server started nothing.
    Refused(String),
    /// sudo wants a password, and there is none.
    PasswordNeeded,
    /// sudo took the password and asked again.
    PasswordWrong,
    /// sudo or the login shell ended before the command began; what they said.
    NotStarted { said: String },
    /// There is no such program.
    NoProgram,
}

/// What is to run, and how.
pub(super) struct Speech<'a> {
    pub(super) rights: Rights,
    /// What sudo asks for.
    pub(super) password: Option<Zeroizing<String>>,
    /// Says to the shell what to run.
    pub(super) line: Zeroizing<String>,
    pub(super) input: Input<'a>,
    pub(super) limit: Duration,
    /// The input does not end with the pieces: more follows when the talk is over.
    pub(super) open: bool,
}

/// A command that runs.
pub(super) struct Talk<'a> {
    marks: Marks,
    waker: Waker,
    events: Receiver<Event>,
    feed: Option<Sender<Vec<u8>>>,
    open: bool,
    cancel: Cancel,
    deadline: Instant,
    password: Option<Zeroizing<String>>,
    /// The line that says what to run, until the shell is there.
    line: Option<Zeroizing<String>>,
    input: Input<'a>,
    due: usize,
    stdout: Skipping,
    stderr: Skipping,
    complaints: Vec<u8>,
    /// How far the end was looked for in them.
    searched: usize,
    shell: Option<u32>,
    end: Option<i32>,
    finished: Option<i32>,
    /// What was read of the output and not taken yet.
    ready: Vec<u8>,
    taken: usize,
    failure: Option<Failure>,
}

/// Ends what runs when nobody waits for it any more.
pub(super) struct Cancel {
    cancelled: Arc<AtomicBool>,
    waker: Waker,
}

/// What is left of a talk that went over into a stream.
pub(super) struct Rest {
    pub(super) events: Receiver<Event>,
    pub(super) feed: Sender<Vec<u8>>,
    pub(super) waker: Waker,
    /// Output that came already.
    pub(super) ready: Vec<u8>,
    pub(super) cancel: Cancel,
}

/// An output of which everything up to the line that marks the start is left out.
struct Skipping {
    mark: Vec<u8>,
    before: Vec<u8>,
    started: bool,
}

impl Skipping {
    fn new(mark: &str) -> Self {
        Self { mark: mark.as_bytes().to_vec(), before: Vec::new(), started: false }
    }

    /// What belongs to the command; the rest of the marking line where it has just come.
    fn take(&mut self, bytes: Vec<u8>) -> (Vec<u8>, Option<String>) {
        if self.started {
            return (bytes, None);
        }
        self.before.extend(bytes);
        let Some(at) = find(&self.before, &self.mark) else { return (Vec::new(), None) };
        let rest = at + self.mark.len();
        let Some(length) = self.before[rest..].iter().position(|byte| *byte == b'\n') else {
            return (Vec::new(), None);
        };
        self.started = true;
        let told = String::from_utf8_lossy(&self.before[rest..rest + length]).into_owned();
        let after = self.before.split_off(rest + length + 1);
        self.before.truncate(at);
        (after, Some(told))
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

impl<'a> Talk<'a> {
    /// Starts the shell; it is told what to run when it is there.
    pub(super) fn start(connection: &Connection, marks: &Marks, speech: Speech<'a>) -> Self {
        let Speech { rights, password, line, input, limit, open } = speech;
        let (feed, input_end) = mpsc::channel();
        let (sender, events) = mpsc::channel();
        let cancelled = Arc::new(AtomicBool::new(false));
        let start = Start {
            line: marks.line(rights),
            feed: input_end,
            events: sender,
            cancelled: Arc::clone(&cancelled),
        };
        let mut talk = Self {
            marks: marks.clone(),
            waker: connection.waker(),
            events,
            feed: Some(feed),
            open,
            cancel: Cancel { cancelled, waker: connection.waker() },
            deadline: Instant::now() + limit.min(Duration::from_hours(24 * 365)),
            password,
            line: Some(line),
            input,
            due: AHEAD,
            stdout: Skipping::new(&marks.start()),
            stderr: Skipping::new(&marks.start()),
            complaints: Vec::new(),
            searched: 0,
            shell: None,
            end: None,
            finished: None,
            ready: Vec::new(),
            taken: 0,
            failure: None,
        };
        if rights != Rights::SudoAsking {
            // Nobody else reads this input, so it need not wait for a round trip.
            talk.tell();
        }
        connection.start(start);
        talk
    }

    /// Goes over into a stream, where the input is still open.
    pub(super) fn into_rest(mut self) -> Option<Rest> {
        let ready = self.ready.split_off(self.taken);
        Some(Rest { events: self.events, feed: self.feed?, waker: self.waker, ready, cancel: self.cancel })
    }

    /// Sends the line that says what to run, and the first pieces of the input.
    fn tell(&mut self) {
        if let (Some(line), Some(feed)) = (self.line.take(), &self.feed) {
            let _ = feed.send(line.as_bytes().to_vec());
        }
        self.send_pieces();
    }

    fn send_pieces(&mut self) {
        while self.due > 0 && self.feed.is_some() {
            match self.input.next() {
                Some(piece) => {
                    self.due -= 1;
                    let gone = self.feed.as_ref().is_some_and(|feed| feed.send(piece.into_owned()).is_err());
                    if gone {
                        self.feed = None;
                    }
                }
                None if self.open => break,
                None => self.feed = None,
            }
        }
        self.waker.wake();
    }

    /// Waits for the next thing to happen; no when it is all over.
    fn advance(&mut self) -> bool {
        if self.finished.is_some() || self.failure.is_some() {
            return false;
        }
        match self.events.recv_timeout(self.deadline.saturating_duration_since(Instant::now())) {
            Ok(Event::Stdout(bytes)) => self.ready.extend(self.stdout.take(bytes).0),
            Ok(Event::Stderr(bytes)) => self.hear(bytes),
            Ok(Event::Hungry) => {
                // The first piece is the line itself, and a password may have been one.
                self.due = (self.due + 1).min(AHEAD);
                if self.line.is_none() {
                    self.send_pieces();
                }
            }
            Ok(Event::End(end)) => self.conclude(end),
            Err(RecvTimeoutError::Timeout) if self.end.is_some() => self.finished = self.end,
            Err(RecvTimeoutError::Timeout) => self.failure = Some(Failure::Late(self.shell)),
            Err(RecvTimeoutError::Disconnected) => {
                self.failure = Some(Failure::Lost("its thread ended".to_owned()));
            }
        }
        true
    }

    fn hear(&mut self, bytes: Vec<u8>) {
        let (bytes, started) = self.stderr.take(bytes);
        if let Some(shell) = started {
            self.shell = shell.trim().parse().ok();
            self.tell();
        }
        self.complaints.extend(bytes);
        if !self.stderr.started {
            self.answer_prompt();
        } else if self.end.is_none() {
            self.look_for_end();
        }
    }

    /// Gives sudo the password once: asking again means that it was wrong.
    fn answer_prompt(&mut self) {
        let prompt = self.marks.prompt();
        let Some(at) = find(&self.stderr.before, prompt.as_bytes()) else { return };
        self.stderr.before.drain(..at + prompt.len());
        match (self.password.take(), &self.feed) {
            (Some(password), Some(feed)) => {
                let _ = feed.send(format!("{}\n", *password).into_bytes());
                self.waker.wake();
            }
            _ => self.failure = Some(Failure::PasswordWrong),
        }
    }

    fn look_for_end(&mut self) {
        let (missing, ended) = (self.marks.missing(), self.marks.end());
        let from = self.searched;
        let found = |mark: &str| find(&self.complaints[from..], mark.as_bytes()).map(|at| from + at);
        if let Some(at) = found(&missing) {
            self.complaints.truncate(at);
            self.failure = Some(Failure::NoProgram);
            return;
        }
        let Some(at) = found(&ended) else {
            // A mark may have come in part.
            self.searched = self.complaints.len().saturating_sub(missing.len().max(ended.len()));
            return;
        };
        self.searched = at;
        let rest = &self.complaints[at + ended.len()..];
        let Some(length) = rest.iter().position(|byte| *byte == b'\n') else { return };
        self.end = String::from_utf8_lossy(&rest[..length]).trim().parse().ok();
        self.complaints.drain(at..=at + ended.len() + length);
        self.deadline = self.deadline.min(Instant::now() + AFTER_END);
    }

    fn conclude(&mut self, end: End) {
        match end {
            End::Lost(why) => self.failure = Some(Failure::Lost(why)),
            End::NotBegun(why) => self.failure = Some(Failure::NotBegun(why)),
            End::Refused(why) => self.failure = Some(Failure::Refused(why)),
            End::Exit(_) | End::Signal(_) if self.end.is_some() => self.finished = self.end,
            End::Exit(_) if self.shell.is_none() => self.failure = Some(self.not_started()),
            End::Exit(status) => self.finished = Some(status),
            End::Signal(name) => self.finished = Some(128 + signal(&name).unwrap_or_default()),
        }
    }

    fn not_started(&self) -> Failure {
        let said = String::from_utf8_lossy(&self.stderr.before).trim().to_owned();
        if said.contains("password is required") || said.contains("no password was provided") {
            return Failure::PasswordNeeded;
        }
        Failure::NotStarted { said }
    }

    /// Waits for output, for those who read it while it comes; no at its end.
    fn fill(&mut self) -> bool {
        if self.taken == self.ready.len() {
            self.ready.clear();
            self.taken = 0;
        }
        while self.taken == self.ready.len() {
            if !self.advance() {
                return false;
            }
        }
        true
    }
}

/// Reads all of the output to the end.
pub(super) fn finish(mut talk: Talk<'_>) -> Result<Output, Failure> {
    while talk.advance() {}
    match talk.failure.take() {
        Some(failure) => Err(failure),
        None => Ok(Output {
            status: talk.finished.unwrap_or(-1),
            stdout: talk.ready.split_off(talk.taken),
            stderr: std::mem::take(&mut talk.complaints),
        }),
    }
}

/// Standard output while it comes. What stands in the way of its end is told by [`finish`].
impl Read for Talk<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.fill() {
            return Ok(0);
        }
        let size = buffer.len().min(self.ready.len() - self.taken);
        buffer[..size].copy_from_slice(&self.ready[self.taken..self.taken + size]);
        self.taken += size;
        Ok(size)
    }
}

impl Cancel {
    pub(super) fn now(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
        self.waker.wake();
    }
}

impl Drop for Cancel {
    fn drop(&mut self) {
        self.now();
    }
}

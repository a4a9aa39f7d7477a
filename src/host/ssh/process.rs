//! A process of the host on a channel of its own, as the connection's thread sees it.

use crate::host::ssh::session::Broken;
use crate::host::ssh::session::Stepper;
use std::io::Read;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::Sender;
use std::sync::mpsc::TryRecvError;

/// How many buffers are moved before others have their turn.
const TURNS: usize = 32;

/// What a process is started with.
pub(super) struct Start {
    /// The command line, as the login shell takes it.
    pub(super) line: String,
    /// Its standard input; closed where the sender is dropped.
    pub(super) feed: Receiver<Vec<u8>>,
    pub(super) events: Sender<Event>,
    /// Nobody waits for it any more.
    pub(super) cancelled: Arc<AtomicBool>,
}

/// What happens to it.
#[derive(Debug)]
pub(super) enum Event {
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    /// A piece of the input was sent, and there is room for another one.
    Hungry,
    End(End),
}

/// How it ended.
#[derive(Debug)]
pub(super) enum End {
    Exit(i32),
    /// The signal's name without `SIG`.
    Signal(String),
    /// The server started nothing.
    Refused(String),
    /// The server was not asked to start it.
    NotBegun(String),
    Lost(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Starting,
    Running,
    Closing,
    Done,
}

pub(super) struct Process {
    channel: ssh2::Channel,
    start: Start,
    stage: Stage,
    piece: Vec<u8>,
    at: usize,
    fed: bool,
}

impl Process {
    pub(super) fn new(channel: ssh2::Channel, start: Start) -> Self {
        Self { channel, start, stage: Stage::Starting, piece: Vec::new(), at: 0, fed: false }
    }

    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.start.cancelled.load(Ordering::Relaxed)
    }

    pub(super) fn into_channel(self) -> ssh2::Channel {
        self.channel
    }

    pub(super) fn end(&self, end: End) {
        let _ = self.start.events.send(Event::End(end));
    }

    /// Goes on as far as it can now; whether it got anywhere.
    pub(super) fn step(&mut self, stepper: &Stepper<'_>, scratch: &mut [u8]) -> Result<bool, Broken> {
        match self.stage {
            Stage::Starting => self.start(stepper),
            Stage::Running => self.talk(stepper, scratch),
            Stage::Closing => self.close(stepper),
            Stage::Done => Ok(false),
        }
    }

    fn start(&mut self, stepper: &Stepper<'_>) -> Result<bool, Broken> {
        let (channel, line) = (&mut self.channel, &self.start.line);
        match stepper.step(|| channel.exec(line)) {
            Ok(None) => Ok(false),
            Ok(Some(())) => {
                self.stage = Stage::Running;
                Ok(true)
            }
            Err(Broken::Refused(why)) => {
                self.end(End::Refused(why));
                self.stage = Stage::Done;
                Ok(true)
            }
            Err(lost) => Err(lost),
        }
    }

    fn talk(&mut self, stepper: &Stepper<'_>, scratch: &mut [u8]) -> Result<bool, Broken> {
        let mut progress = false;
        for _ in 0..TURNS {
            let mut moved = self.write(stepper)?;
            // Standard error is read beside standard output, or the process would wait for us for ever.
            let (channel, events) = (&mut self.channel, &self.start.events);
            if let Some(size @ 1..) = stepper.step(|| channel.read(scratch))? {
                let _ = events.send(Event::Stdout(scratch[..size].to_vec()));
                moved = true;
            }
            let mut stderr = channel.stderr();
            if let Some(size @ 1..) = stepper.step(|| stderr.read(scratch))? {
                let _ = events.send(Event::Stderr(scratch[..size].to_vec()));
                moved = true;
            }
            if !moved {
                break;
            }
            progress = true;
        }
        // The end of the output comes before the exit status; closing before it came would lose it.
        let channel = &mut self.channel;
        if channel.eof() && stepper.step(|| channel.wait_close())?.is_some() {
            self.stage = Stage::Closing;
            progress = true;
        }
        Ok(progress)
    }

    fn write(&mut self, stepper: &Stepper<'_>) -> Result<bool, Broken> {
        if self.fed {
            return Ok(false);
        }
        if self.at == self.piece.len() {
            match self.start.feed.try_recv() {
                Ok(piece) => (self.piece, self.at) = (piece, 0),
                Err(TryRecvError::Empty) => return Ok(false),
                Err(TryRecvError::Disconnected) => {
                    let channel = &mut self.channel;
                    self.fed = stepper.step(|| channel.send_eof())?.is_some();
                    return Ok(self.fed);
                }
            }
        }
        let (channel, rest) = (&mut self.channel, &self.piece[self.at..]);
        let Some(size) = stepper.step(|| channel.write(rest))? else { return Ok(false) };
        self.at += size;
        if self.at == self.piece.len() {
            self.piece = Vec::new();
            self.at = 0;
            let _ = self.start.events.send(Event::Hungry);
        }
        Ok(size > 0)
    }

    fn close(&mut self, stepper: &Stepper<'_>) -> Result<bool, Broken> {
        let channel = &mut self.channel;
        if stepper.step(|| channel.close())?.is_none() {
            return Ok(false);
        }
        self.stage = Stage::Done;
        // A process that a signal ended has the exit status 0.
        let signal = self.channel.exit_signal().ok().and_then(|signal| signal.exit_signal);
        let end = match signal {
            Some(signal) => End::Signal(signal),
            None => End::Exit(self.channel.exit_status().unwrap_or(-1)),
        };
        self.end(end);
        Ok(true)
    }
}

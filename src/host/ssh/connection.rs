//! One connection: a thread owns the session and serves all that is asked of it side by side.
#![expect(clippy::disallowed_methods, reason = "this is the seam")]

use crate::host::Socket;
use crate::host::ssh::process::End;
use crate::host::ssh::process::Event;
use crate::host::ssh::process::Process;
use crate::host::ssh::process::Start;
use crate::host::ssh::pump::Pump;
use crate::host::ssh::session::Broken;
use crate::host::ssh::session::Stepper;
use crate::host::ssh::wire::Wire;
use crate::host::ssh::wire::poll;
use rustix::event::EventfdFlags;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;
use std::time::Instant;

/// Processes at once. sshd's own limit (`MaxSessions`) is ten, and one channel is kept open beforehand.
pub(super) const MAX_PROCESSES: usize = 8;

/// How long the server may take to count a channel as closed, and when it is asked again meanwhile.
const RECOUNT: Duration = Duration::from_millis(500);
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// How many such questions may stay without an answer.
const UNANSWERED: u32 = 3;

/// How long the server may take to open a stream before whoever waits behind it is sent away. libssh2 opens one channel
/// at a time and cannot take back what it has asked for, and sshd tries to reach an address that does not answer for
/// minutes.
const SLOW: Duration = Duration::from_secs(2);

const SCRATCH: usize = 64 * 1024;

/// What a connection may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Processes and streams.
    Host,
    /// Streams only: a bastion need not let us run anything.
    Bastion,
}

/// A stream to be opened from the host.
pub(super) struct Forward {
    pub(super) to: Socket,
    pub(super) answer: Sender<Result<UnixStream, Broken>>,
}

enum Request {
    Start(Start),
    Forward(Forward),
}

/// The handle of a connection; it ends with the last one.
pub(super) struct Connection {
    requests: Mutex<Option<Sender<Request>>>,
    wake: Arc<OwnedFd>,
    lost: Arc<Mutex<Option<String>>>,
    stuck: Arc<AtomicBool>,
    /// What it goes through; kept open as long as it lives itself.
    through: Option<Arc<Connection>>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("lost", &self.lost()).finish_non_exhaustive()
    }
}

impl Connection {
    /// Takes over a session that is authenticated.
    pub(super) fn new(
        session: ssh2::Session,
        wire: Wire,
        purpose: Use,
        keepalive: Duration,
    ) -> io::Result<Self> {
        session.set_blocking(false);
        session.set_keepalive(true, 2); // when to ask is decided here
        let wake = Arc::new(rustix::event::eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?);
        let lost = Arc::new(Mutex::new(None));
        let stuck = Arc::new(AtomicBool::new(false));
        let (requests, received) = mpsc::channel();
        let worker = Worker {
            session,
            wire,
            wake: Arc::clone(&wake),
            received,
            ended: false,
            starts: VecDeque::new(),
            forwards: VecDeque::new(),
            spare: None,
            opening: None,
            since: Instant::now(),
            stuck: Arc::clone(&stuck),
            processes: Vec::new(),
            pumps: Vec::new(),
            closing: Vec::new(),
            limit: if purpose == Use::Host { MAX_PROCESSES } else { 0 },
            closed: Instant::now(),
            not_before: Instant::now(),
            keepalive,
            heard: Instant::now(),
            asked: 0,
        };
        let told = Arc::clone(&lost);
        thread::Builder::new().name("ssh".to_owned()).spawn(move || worker.run(&told))?;
        Ok(Self { requests: Mutex::new(Some(requests)), wake, lost, stuck, through: None })
    }

    /// The same, through another connection.
    pub(super) fn keeping(mut self, through: Option<Arc<Connection>>) -> Self {
        self.through = through;
        self
    }

    /// Why it is of no use any more.
    pub(super) fn lost(&self) -> Option<String> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it takes something new.
    pub(super) fn is_fit(&self) -> bool {
        self.lost().is_none() && !self.is_stuck()
    }

    /// Whether it opens no channel at the moment, so that another connection is better; what it has open goes on.
    pub(super) fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    pub(super) fn start(&self, start: Start) {
        if let Err(Request::Start(start)) = self.send(Request::Start(start)) {
            let why = self.lost().unwrap_or_default();
            let _ = start.events.send(Event::End(End::Lost(why)));
        }
    }

    pub(super) fn forward(&self, forward: Forward) {
        if let Err(Request::Forward(forward)) = self.send(Request::Forward(forward)) {
            let _ = forward.answer.send(Err(Broken::Lost(self.lost().unwrap_or_default())));
        }
    }

    fn send(&self, request: Request) -> Result<(), Request> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sender) = &*requests else { return Err(request) };
        sender.send(request).map_err(|error| error.0)?;
        drop(requests);
        self.wake();
        Ok(())
    }

    /// Makes the thread look for what has come.
    pub(super) fn wake(&self) {
        wake(&self.wake);
    }

    /// For those who feed a process.
    pub(super) fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.wake))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.wake();
    }
}

/// Wakes the thread of a connection.
#[derive(Debug, Clone)]
pub(super) struct Waker(Arc<OwnedFd>);

impl Waker {
    pub(super) fn wake(&self) {
        wake(&self.0);
    }
}

fn wake(fd: &OwnedFd) {
    // Full means that it is awake.
    let _ = rustix::io::write(fd, &1_u64.to_ne_bytes());
}

/// What is being opened: libssh2 opens one channel at a time.
enum Opening {
    Process,
    Stream(Forward),
}

struct Worker {
    session: ssh2::Session,
    wire: Wire,
    wake: Arc<OwnedFd>,
    received: Receiver<Request>,
    /// No more requests will come.
    ended: bool,
    starts: VecDeque<Start>,
    forwards: VecDeque<Forward>,
    /// A channel for the next process, opened beforehand. It also serves what the server asks while nothing runs:
    /// libssh2 reads from the socket only for a channel.
    spare: Option<ssh2::Channel>,
    opening: Option<Opening>,
    /// When that began.
    since: Instant,
    stuck: Arc<AtomicBool>,
    processes: Vec<Process>,
    pumps: Vec<Pump>,
    closing: Vec<ssh2::Channel>,
    /// How many processes the server lets run at once.
    limit: usize,
    /// When a channel was last closed.
    closed: Instant,
    /// A channel for a process is not asked for before this.
    not_before: Instant,
    /// After how long a silence the other side is asked for a sign of life.
    keepalive: Duration,
    heard: Instant,
    asked: u32,
}

impl Worker {
    fn run(mut self, lost: &Mutex<Option<String>>) {
        let why = match self.serve() {
            Ok(()) => "it was closed".to_owned(),
            Err(Broken::Lost(why) | Broken::Refused(why)) => why,
        };
        *lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.clone());
        // What libssh2 frees it closes first; on a dead socket that fails at once instead of waiting.
        self.wire.shut();
        for process in &self.processes {
            process.end(End::Lost(why.clone()));
        }
        for start in self.starts.drain(..) {
            let _ = start.events.send(Event::End(End::Lost(why.clone())));
        }
        let opening = self.opening.take().and_then(|opening| match opening {
            Opening::Stream(forward) => Some(forward),
            Opening::Process => None,
        });
        for forward in opening.into_iter().chain(self.forwards.drain(..)) {
            let _ = forward.answer.send(Err(Broken::Lost(why.clone())));
        }
        while let Ok(request) = self.received.try_recv() {
            match request {
                Request::Start(start) => {
                    let _ = start.events.send(Event::End(End::Lost(why.clone())));
                }
                Request::Forward(forward) => {
                    let _ = forward.answer.send(Err(Broken::Lost(why.clone())));
                }
            }
        }
    }

    fn serve(&mut self) -> Result<(), Broken> {
        let mut scratch = vec![0; SCRATCH];
        loop {
            self.receive();
            while self.round(&mut scratch)? {}
            if self.ended && self.is_idle() {
                let _ = self.session.disconnect(None, "done", None);
                return Ok(());
            }
            self.make_way();
            self.wait()?;
            self.keep_alive()?;
        }
    }

    /// Sends away those who wait behind a stream that does not open.
    fn make_way(&mut self) {
        let slow = matches!(self.opening, Some(Opening::Stream(_))) && self.since.elapsed() >= SLOW;
        self.stuck.store(slow, Ordering::Relaxed);
        if !slow {
            return;
        }
        let why = "a stream takes long to open";
        for start in self.starts.drain(..) {
            let _ = start.events.send(Event::End(End::NotBegun(why.to_owned())));
        }
        for forward in self.forwards.drain(..) {
            let _ = forward.answer.send(Err(Broken::Lost(why.to_owned())));
        }
    }

    fn is_idle(&self) -> bool {
        self.processes.is_empty()
            && self.pumps.is_empty()
            && self.starts.is_empty()
            && self.forwards.is_empty()
    }

    fn receive(&mut self) {
        loop {
            match self.received.try_recv() {
                Ok(Request::Start(start)) => self.starts.push_back(start),
                Ok(Request::Forward(forward)) => self.forwards.push_back(forward),
                Err(mpsc::TryRecvError::Empty) => return,
                Err(mpsc::TryRecvError::Disconnected) => {
                    self.ended = true;
                    return;
                }
            }
        }
    }

    /// Goes once over all that is under way; whether anything moved.
    fn round(&mut self, scratch: &mut [u8]) -> Result<bool, Broken> {
        let mut progress = self.open()?;
        progress |= self.begin();
        let stepper = Stepper { session: &self.session, wire: &self.wire };
        for process in &mut self.processes {
            progress |= process.step(&stepper, scratch)?;
        }
        for pump in &mut self.pumps {
            progress |= pump.step(&stepper, scratch)?;
        }
        if let Some(mut spare) = self.spare.take() {
            stepper.step(|| spare.read(&mut scratch[..1]))?;
            if spare.eof() { self.closing.push(spare) } else { self.spare = Some(spare) }
        }
        let mut left = Vec::new();
        for mut channel in std::mem::take(&mut self.closing) {
            match stepper.step(|| channel.close()) {
                Ok(None) => left.push(channel),
                Ok(Some(())) | Err(Broken::Refused(_)) => {
                    progress = true;
                    self.closed = Instant::now();
                }
                Err(lost) => return Err(lost),
            }
        }
        self.closing = left;
        self.sort_out();
        Ok(progress)
    }

    /// Puts aside what has ended.
    fn sort_out(&mut self) {
        let (over, processes): (Vec<_>, Vec<_>) = std::mem::take(&mut self.processes)
            .into_iter()
            .partition(|process| process.is_done() || process.is_cancelled());
        self.processes = processes;
        if over.iter().any(Process::is_done) {
            self.closed = Instant::now();
        }
        let (done, pumps): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.pumps).into_iter().partition(Pump::is_done);
        self.pumps = pumps;
        self.closing.extend(over.into_iter().map(Process::into_channel));
        self.closing.extend(done.into_iter().map(Pump::into_channel));
        self.starts.retain(|start| !start.cancelled.load(Ordering::Relaxed));
    }

    /// Opens what is needed next.
    fn open(&mut self) -> Result<bool, Broken> {
        if self.opening.is_none() {
            self.since = Instant::now();
            if let Some(forward) = self.forwards.pop_front() {
                self.opening = Some(Opening::Stream(forward));
            } else if self.spare.is_none()
                && self.processes.len() < self.limit
                && Instant::now() >= self.not_before
            {
                self.opening = Some(Opening::Process);
            }
        }
        let Some(opening) = &self.opening else { return Ok(false) };
        let stepper = Stepper { session: &self.session, wire: &self.wire };
        let opened = match opening {
            Opening::Process => stepper.step(|| self.session.channel_session()),
            Opening::Stream(forward) => match &forward.to {
                Socket::Tcp { host, port } => {
                    stepper.step(|| self.session.channel_direct_tcpip(host, *port, None))
                }
                Socket::Unix { path } => stepper.step(|| self.session.channel_direct_streamlocal(path, None)),
            },
        };
        match opened {
            Ok(None) => return Ok(false),
            Err(Broken::Lost(why)) => return Err(Broken::Lost(why)),
            Ok(Some(channel)) => match self.opening.take() {
                Some(Opening::Stream(forward)) => self.hand_over(channel, &forward),
                _ => self.spare = Some(channel),
            },
            Err(Broken::Refused(why)) => match self.opening.take() {
                Some(Opening::Stream(forward)) => {
                    let _ = forward.answer.send(Err(Broken::Refused(why)));
                }
                _ => self.refused(&why),
            },
        }
        Ok(true)
    }

    /// The server lets fewer processes run than we thought.
    fn refused(&mut self, why: &str) {
        self.not_before = Instant::now() + ASK_AGAIN;
        // It counts a channel for a moment after it was closed.
        if !self.closing.is_empty() || self.closed.elapsed() < RECOUNT {
            return;
        }
        self.limit = self.processes.len();
        if self.limit == 0 {
            for start in self.starts.drain(..) {
                let end = End::Refused(why.to_owned());
                let _ = start.events.send(Event::End(end));
            }
        }
    }

    fn hand_over(&mut self, channel: ssh2::Channel, forward: &Forward) {
        let pair = UnixStream::pair().and_then(|(ours, theirs)| {
            ours.set_nonblocking(true)?;
            Ok((ours, theirs))
        });
        match pair {
            Ok((ours, theirs)) => {
                if forward.answer.send(Ok(theirs)).is_ok() {
                    self.pumps.push(Pump::new(channel, ours));
                } else {
                    self.closing.push(channel);
                }
            }
            Err(error) => {
                self.closing.push(channel);
                let _ = forward.answer.send(Err(Broken::Refused(error.to_string())));
            }
        }
    }

    /// Starts a process on the channel that waits for one.
    fn begin(&mut self) -> bool {
        if self.starts.is_empty() || self.processes.len() >= MAX_PROCESSES {
            return false;
        }
        let Some(channel) = self.spare.take() else { return false };
        let start = self.starts.pop_front().expect("it was not empty");
        self.processes.push(Process::new(channel, start));
        true
    }

    fn wait(&mut self) -> Result<(), Broken> {
        // Without a channel nobody would read what comes, and the wait would end at once, again and again.
        let listening = self.spare.is_some()
            || self.opening.is_some()
            || !self.processes.is_empty()
            || !self.pumps.is_empty()
            || !self.closing.is_empty();
        let wire = if listening { PollFlags::IN } else { PollFlags::empty() };
        let mut fds = vec![PollFd::new(&self.wire, wire), PollFd::new(&self.wake, PollFlags::IN)];
        let attached: Vec<usize> = (0..self.pumps.len()).filter(|&at| !self.pumps[at].is_hung()).collect();
        fds.extend(attached.iter().map(|&at| PollFd::new(self.pumps[at].local(), self.pumps[at].interest())));
        let limit =
            self.keepalive.saturating_sub(self.heard.elapsed().saturating_sub(self.keepalive * self.asked));
        let limit = if self.spare.is_none() && self.processes.len() < self.limit {
            limit.min(self.not_before.saturating_duration_since(Instant::now()))
        } else {
            limit
        };
        let limit = match self.opening {
            Some(Opening::Stream(_)) if !self.stuck.load(Ordering::Relaxed) => {
                limit.min(SLOW.saturating_sub(self.since.elapsed()))
            }
            _ => limit,
        };
        poll(&mut fds, Some(limit.max(Duration::from_millis(10))))
            .map_err(|error| Broken::Lost(error.to_string()))?;
        let happened: Vec<PollFlags> = fds.iter().map(PollFd::revents).collect();
        drop(fds);
        if happened[0].intersects(PollFlags::IN) {
            self.heard = Instant::now();
            self.asked = 0;
        }
        if happened[0].intersects(PollFlags::HUP | PollFlags::ERR) && !listening {
            return Err(Broken::Lost("the other side closed it".to_owned()));
        }
        if happened[1].intersects(PollFlags::IN) {
            let mut count = [0; 8];
            let _ = rustix::io::read(&self.wake, &mut count);
        }
        for (at, happened) in attached.into_iter().zip(&happened[2..]) {
            if happened.intersects(PollFlags::HUP | PollFlags::ERR) && !happened.intersects(PollFlags::IN) {
                self.pumps[at].hang_up();
            }
        }
        Ok(())
    }

    /// Asks for a sign of life after a silence.
    fn keep_alive(&mut self) -> Result<(), Broken> {
        let silence = self.heard.elapsed();
        if silence < self.keepalive * (self.asked + 1) {
            return Ok(());
        }
        if self.asked >= UNANSWERED {
            return Err(Broken::Lost(format!("nothing was heard for {} s", silence.as_secs())));
        }
        self.asked += 1;
        // A part of this packet must not be left unsent: nobody could finish it.
        if self.wire.wait_writable(Duration::ZERO).unwrap_or(false) {
            let stepper = Stepper { session: &self.session, wire: &self.wire };
            stepper.step(|| self.session.keepalive_send())?;
        }
        Ok(())
    }
}

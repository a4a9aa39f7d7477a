//! Streams to sockets as the host sees them: over the connection itself where the server allows it, or else through a
//! command that passes on what goes through.

use crate::host::HostError;
use crate::host::Socket;
use crate::host::Stream;
use crate::host::ssh::Ssh;
use crate::host::ssh::connection::Forward;
use crate::host::ssh::process::Event;
use crate::host::ssh::run::Job;
use crate::host::ssh::session::Broken;
use crate::host::ssh::shell::quoted;
use crate::host::ssh::talk;
use crate::host::ssh::talk::Failure;
use crate::host::ssh::talk::Rest;
use crate::host::ssh::talk::Talk;
use crate::host::ssh::wire::poll;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

const BRIDGE: &str = include_str!("bridge.sh");

/// What the server says when it does not allow streams, or does not know them (sshd's `AllowStreamLocalForwarding` and
/// `AllowTcpForwarding`).
const NOT_ALLOWED: [&str; 2] = ["administratively prohibited", "unknown channel type"];

/// Pieces of a stream that may be under way at once.
const AHEAD: usize = 4;

const PIECE: usize = 64 * 1024;

/// Reasons as programs print them.
const REASONS: [(&str, ErrorKind); 4] = [
    ("refused", ErrorKind::ConnectionRefused),
    ("nobody listens", ErrorKind::NotFound),
    ("No such file", ErrorKind::NotFound),
    ("ermission denied", ErrorKind::PermissionDenied),
];

impl Ssh {
    pub(super) fn open_stream(&self, to: &Socket, limit: Duration) -> Result<Stream, HostError> {
        // A socket of root's is not for the user who is logged in.
        if self.route.sudo && matches!(to, Socket::Unix { .. }) {
            return self.bridge(to, limit);
        }
        let is_local = matches!(to, Socket::Unix { .. });
        match self.forward(to, limit)? {
            Ok(stream) => {
                self.local_streams.fetch_or(is_local, Ordering::Relaxed);
                Ok(Stream::Unix(stream))
            }
            // That it does not allow streams to local sockets sshd does not tell from that nobody listens.
            Err(_) if is_local && !self.local_streams.load(Ordering::Relaxed) => self.bridge(to, limit),
            Err(why) if NOT_ALLOWED.iter().any(|text| why.contains(text)) => self.bridge(to, limit),
            Err(why) => Err(self.not_connected(to, io::Error::new(ErrorKind::ConnectionRefused, why))),
        }
    }

    fn not_connected(&self, to: &Socket, source: io::Error) -> HostError {
        HostError::Connect { host: self.name.clone(), socket: to.to_string(), source }
    }

    /// Asks the server for a stream; the inner error is what it says.
    fn forward(&self, to: &Socket, limit: Duration) -> Result<Result<UnixStream, String>, HostError> {
        let mut repeated = false;
        loop {
            let link = self.link()?;
            let (answer, answered) = mpsc::channel();
            link.connection.forward(Forward { to: to.clone(), answer });
            return match answered.recv_timeout(limit) {
                Ok(Ok(stream)) => Ok(Ok(stream)),
                Ok(Err(Broken::Refused(why))) => Ok(Err(why)),
                Ok(Err(Broken::Lost(_))) if !repeated => {
                    repeated = true;
                    continue;
                }
                Ok(Err(Broken::Lost(why))) => Err(HostError::Lost {
                    host: self.name.clone(),
                    what: format!("connecting to {to}"),
                    source: io::Error::other(why),
                }),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    Err(self.not_connected(to, ErrorKind::TimedOut.into()))
                }
            };
        }
    }

    /// Has a command of the host connect.
    fn bridge(&self, to: &Socket, limit: Duration) -> Result<Stream, HostError> {
        let (kind, to_text, port) = match to {
            Socket::Unix { path } => ("unix", path, 0),
            Socket::Tcp { host, port } => ("tcp", host, *port),
        };
        let script = format!("kind={kind} to={} port={port}\n{BRIDGE}", *quoted(to_text));
        let job = Job { what: "connecting to a socket", script: &script, limit, repeat: true, open: true };
        let connected = self.perform(&job, connected).map_err(|error| match error {
            HostError::Timeout { .. } => self.not_connected(to, ErrorKind::TimedOut.into()),
            other => other,
        })?;
        let opened = connected.and_then(|rest| {
            let (ours, theirs) = UnixStream::pair()?;
            pass_on(rest, ours)?;
            Ok(Stream::Unix(theirs))
        });
        opened.map_err(|source| self.not_connected(to, source))
    }
}

/// Waits for the word that the command is connected; the inner error is what it says instead.
fn connected(talk: Talk<'_>) -> Result<io::Result<Rest>, Failure> {
    // One byte at a time: what follows the line belongs to the stream.
    let mut reader = BufReader::with_capacity(1, talk);
    let mut line = String::new();
    let read = reader.read_line(&mut line);
    let talk = reader.into_inner();
    if read.is_ok() && line == "connected\n" {
        return Ok(talk.into_rest().ok_or_else(|| ErrorKind::UnexpectedEof.into()));
    }
    let output = talk::finish(talk)?;
    let said = output.error_tail();
    let kind =
        REASONS.iter().find(|(text, _)| said.contains(text)).map_or(ErrorKind::Other, |(_, kind)| *kind);
    Ok(Err(io::Error::new(kind, said)))
}

/// Moves bytes between a command and a local socket, until one of them ends.
fn pass_on(rest: Rest, local: UnixStream) -> io::Result<()> {
    let (room, roomy) = mpsc::sync_channel(AHEAD);
    let reader = local.try_clone()?;
    let Rest { events, feed, waker, ready, cancel } = rest;
    let cancel = Arc::new(cancel);
    let cancelling = Arc::clone(&cancel);
    thread::Builder::new().name("ssh-stream".to_owned()).spawn(move || {
        outward(&reader, &feed, &roomy, &|| waker.wake());
        drop(feed);
        waker.wake();
        // The caller may go on listening. When it is gone, nobody waits for the command any more.
        let _ = poll(&mut [PollFd::new(&reader, PollFlags::empty())], None);
        cancelling.now();
    })?;
    thread::Builder::new().name("ssh-stream".to_owned()).spawn(move || {
        let made_room = || {
            let _ = room.try_send(());
        };
        (0..AHEAD).for_each(|_| made_room());
        inward(&local, &events, &ready, &made_room);
        let _ = local.shutdown(Shutdown::Both);
        cancel.now();
    })?;
    Ok(())
}

fn outward(mut local: &UnixStream, feed: &Sender<Vec<u8>>, room: &Receiver<()>, wake: &dyn Fn()) {
    let mut buffer = vec![0; PIECE];
    while room.recv().is_ok() {
        match local.read(&mut buffer) {
            Ok(size @ 1..) if feed.send(buffer[..size].to_vec()).is_ok() => wake(),
            _ => break,
        }
    }
}

fn inward(mut local: &UnixStream, events: &Receiver<Event>, ready: &[u8], made_room: &dyn Fn()) {
    if local.write_all(ready).is_err() {
        return;
    }
    while let Ok(event) = events.recv() {
        match event {
            Event::Stdout(bytes) if local.write_all(&bytes).is_err() => return,
            Event::Hungry => made_room(),
            Event::End(_) => return,
            Event::Stdout(_) | Event::Stderr(_) => {}
        }
    }
}

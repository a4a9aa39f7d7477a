//! A stream of the host that the caller sees as a local socket.

use crate::host::ssh::session::Broken;
use crate::host::ssh::session::Stepper;
use rustix::event::PollFlags;
use std::io;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

const BUFFER: usize = 64 * 1024;

/// How many buffers are moved before others have their turn.
const TURNS: usize = 16;

/// Moves bytes between a channel and our end of a pair of sockets.
pub(super) struct Pump {
    channel: ssh2::Channel,
    local: UnixStream,
    out: Half,
    back: Half,
    /// The caller closed its end: nobody reads any more, but what was written is still to be sent.
    hung: bool,
    /// Nothing can be moved any more.
    gone: bool,
}

/// One direction: what was read and is not written yet.
#[derive(Default)]
struct Half {
    buffer: Vec<u8>,
    at: usize,
    ended: bool,
    /// The end was passed on.
    told: bool,
}

impl Half {
    fn pending(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    fn is_empty(&self) -> bool {
        self.at == self.buffer.len()
    }

    fn took(&mut self, size: usize) {
        self.at += size;
    }

    fn fill(&mut self, bytes: &[u8]) {
        self.buffer.clear();
        self.buffer.extend_from_slice(bytes);
        self.at = 0;
    }
}

impl Pump {
    /// `local` does not block.
    pub(super) fn new(channel: ssh2::Channel, local: UnixStream) -> Self {
        Self { channel, local, out: Half::default(), back: Half::default(), hung: false, gone: false }
    }

    pub(super) fn local(&self) -> &UnixStream {
        &self.local
    }

    /// What the local end is waited for.
    pub(super) fn interest(&self) -> PollFlags {
        let mut interest = PollFlags::empty();
        if self.out.is_empty() && !self.out.ended {
            interest |= PollFlags::IN;
        }
        if !self.back.is_empty() {
            interest |= PollFlags::OUT;
        }
        interest
    }

    /// The caller is gone, as the operating system tells it.
    pub(super) fn hang_up(&mut self) {
        self.hung = true;
    }

    /// Whether the local end has anything more to tell.
    pub(super) fn is_hung(&self) -> bool {
        self.hung
    }

    pub(super) fn is_done(&self) -> bool {
        self.gone || (self.out.told && (self.back.told || self.hung))
    }

    pub(super) fn into_channel(self) -> ssh2::Channel {
        self.channel
    }

    /// Moves what can be moved now; whether anything was.
    pub(super) fn step(&mut self, stepper: &Stepper<'_>, scratch: &mut [u8]) -> Result<bool, Broken> {
        let mut progress = false;
        for _ in 0..TURNS {
            let moved = self.outward(stepper, scratch)? | self.inward(stepper, scratch)?;
            if !moved {
                break;
            }
            progress = true;
        }
        Ok(progress)
    }

    fn outward(&mut self, stepper: &Stepper<'_>, scratch: &mut [u8]) -> Result<bool, Broken> {
        if self.out.is_empty() && !self.out.ended {
            match self.local.read(&mut scratch[..BUFFER]) {
                Ok(0) => self.out.ended = true,
                Ok(size) => self.out.fill(&scratch[..size]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(_) => {
                    self.gone = true;
                    return Ok(false);
                }
            }
        }
        if !self.out.is_empty() {
            let (channel, out) = (&mut self.channel, &mut self.out);
            let Some(size) = stepper.step(|| channel.write(out.pending()))? else { return Ok(false) };
            out.took(size);
            return Ok(size > 0);
        }
        if self.out.ended && !self.out.told {
            let channel = &mut self.channel;
            self.out.told = stepper.step(|| channel.send_eof())?.is_some();
            return Ok(self.out.told);
        }
        Ok(false)
    }

    fn inward(&mut self, stepper: &Stepper<'_>, scratch: &mut [u8]) -> Result<bool, Broken> {
        if self.back.is_empty() && !self.back.ended {
            let channel = &mut self.channel;
            match stepper.step(|| channel.read(&mut scratch[..BUFFER]))? {
                None => return Ok(false),
                Some(0) if !channel.eof() => return Ok(false),
                Some(0) => self.back.ended = true,
                Some(size) => self.back.fill(&scratch[..size]),
            }
        }
        if !self.back.is_empty() {
            return match self.local.write(self.back.pending()) {
                Ok(size) => {
                    self.back.took(size);
                    Ok(size > 0)
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
                Err(_) => {
                    self.gone = true;
                    Ok(false)
                }
            };
        }
        if self.back.ended && !self.back.told {
            let _ = self.local.shutdown(Shutdown::Write);
            self.back.told = true;
            return Ok(true);
        }
        let channel = &mut self.channel;
        if self.back.told && stepper.step(|| channel.wait_close())?.is_some() {
            // Who closed the channel takes nothing any more.
            self.gone = true;
        }
        Ok(false)
    }
}

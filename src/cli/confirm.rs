//! A question on the terminal.

use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use std::io::BufRead as _;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

/// Whether the operator says yes to what was asked.
///
/// # Errors
/// Ctrl-C, or nothing can be read.
pub(super) fn yes(interrupt: &AtomicBool) -> Result<bool, CliError> {
    let answer = answer(interrupt)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// A line from the terminal; Ctrl-C ends the waiting.
fn answer(interrupt: &AtomicBool) -> Result<String, CliError> {
    let stdin = std::io::stdin();
    let pause = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
    loop {
        let mut ready = [PollFd::new(&stdin, PollFlags::IN)];
        let polled = rustix::event::poll(&mut ready, Some(&pause));
        if interrupt.load(Ordering::Relaxed) {
            return Err(CliError::new(
                Exit::Interrupted,
                anyhow::anyhow!("interrupted; nothing was changed"),
            ));
        }
        if polled.is_ok_and(|count| count > 0) {
            break;
        }
    }
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer).or_exit(Exit::Failure)?;
    Ok(answer)
}

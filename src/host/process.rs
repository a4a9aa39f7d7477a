//! Running a child process of this machine to its end, or to its deadline.
#![expect(clippy::disallowed_methods, reason = "this is the seam")]

use crate::host::Command;
use crate::host::HostError;
use crate::host::Output;
use crate::host::command::Word;
use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::WaitId;
use rustix::process::WaitIdOptions;
use std::io::Read;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::process::ExitStatus;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;
use std::time::Instant;

/// How long the output of a finished command is awaited when something that it started in the background still
/// holds its pipes.
const AFTER_EXIT: Duration = Duration::from_millis(500);

/// Far enough for a deadline that nobody set.
const FAR: Duration = Duration::from_hours(24 * 365);

enum Signalled {
    Closed,
    Exited,
}

type Buffer = Arc<Mutex<Vec<u8>>>;

/// Runs a command in a process group of its own: a terminal's Ctrl-C does not reach it, and its deadline ends all
/// that it started.
pub(crate) fn run(host: &str, command: &Command) -> Result<Output, HostError> {
    let mut child = start(command).map_err(|source| HostError::Start {
        host: host.to_owned(),
        command: command.to_string(),
        source,
    })?;
    let group = Pid::from_child(&child);
    let (sender, signals) = mpsc::channel();
    feed(&mut child, command);
    let stdout = drain(child.stdout.take(), sender.clone());
    let stderr = drain(child.stderr.take(), sender.clone());
    thread::spawn(move || {
        // Left unreaped, so that its number stays taken until the group was ended.
        let _ = rustix::process::waitid(WaitId::Pid(group), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        let _ = sender.send(Signalled::Exited);
    });
    if !finished(&signals, command.timeout) {
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
        let _ = child.wait();
        let (host, command, limit) = (host.to_owned(), command.to_string(), command.timeout);
        return Err(HostError::Timeout { host, command, limit });
    }
    let status = child.wait().map_err(|source| HostError::Start {
        host: host.to_owned(),
        command: command.to_string(),
        source,
    })?;
    Ok(Output { status: number(status), stdout: taken(&stdout), stderr: taken(&stderr) })
}

fn start(command: &Command) -> std::io::Result<Child> {
    let mut process = std::process::Command::new(&command.program);
    process
        .args(command.args.iter().map(Word::expose))
        .env("LC_ALL", "C") // what is read from the output must not depend on the operator's language
        .envs(command.env.iter().map(|(name, value)| (name, value.expose())))
        .stdin(if command.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}

fn feed(child: &mut Child, command: &Command) {
    if let (Some(mut pipe), Some(input)) = (child.stdin.take(), command.stdin.clone()) {
        // A command may end without reading all of it.
        thread::spawn(move || drop(pipe.write_all(&input)));
    }
}

fn drain<R: Read + Send + 'static>(pipe: Option<R>, sender: Sender<Signalled>) -> Buffer {
    let buffer = Buffer::default();
    let shared = Arc::clone(&buffer);
    thread::spawn(move || {
        let mut chunk = [0; 16 * 1024];
        if let Some(mut pipe) = pipe {
            while let Ok(size @ 1..) = pipe.read(&mut chunk) {
                shared.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&chunk[..size]);
            }
        }
        let _ = sender.send(Signalled::Closed);
    });
    buffer
}

/// Whether the process ended before its deadline.
fn finished(signals: &Receiver<Signalled>, timeout: Duration) -> bool {
    let mut deadline = Instant::now() + timeout.min(FAR);
    let (mut exited, mut open) = (false, 2);
    while !exited || open > 0 {
        match signals.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Signalled::Closed) => open -= 1,
            Ok(Signalled::Exited) => {
                exited = true;
                deadline = Instant::now() + AFTER_EXIT;
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    exited
}

fn number(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

fn taken(buffer: &Buffer) -> Vec<u8> {
    std::mem::take(&mut buffer.lock().unwrap_or_else(PoisonError::into_inner))
}

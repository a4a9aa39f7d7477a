//! A run of the program whose events are read one by one, so that it cannot get far ahead of who disturbs it.

use crate::estate::Operator;
use rustix::pipe::PipeFlags;
use rustix::process::Pid;
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::io::Seek as _;
use std::process::Child;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::time::Duration;
use std::time::Instant;

/// No run of the lab takes as long.
const LIMIT: Duration = Duration::from_mins(8);

/// A step, as events name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Step {
    /// Empty for what goes through the API.
    pub(crate) host: String,
    phase: String,
    title: String,
    subject: String,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}: {} ({})", self.phase, self.host, self.title, self.subject)
    }
}

/// What a run said of a failure.
#[derive(Debug)]
pub(crate) struct Failed {
    /// Empty for what goes through the API.
    pub(crate) host: String,
    /// All of it, in JSON.
    pub(crate) text: String,
}

/// How a run ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    stderr: String,
    pub(crate) failed: Vec<Failed>,
    /// Steps that had begun and not ended, as far as was told.
    pub(crate) under_way: BTreeSet<Step>,
    /// Steps that began after the last [pause](Watched::paused).
    pub(crate) begun_since: BTreeSet<Step>,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "code {}; {}", self.code, self.stderr)?;
        self.failed.iter().try_for_each(|failed| writeln!(f, "{}: {}", failed.host, failed.text))
    }
}

pub(crate) struct Watched {
    child: Child,
    lines: Receiver<Value>,
    stderr: File,
    /// What failed, as it was told.
    failed: Vec<Failed>,
    under_way: BTreeSet<Step>,
    begun_since: BTreeSet<Step>,
}

impl Watched {
    /// Starts `apply` over the cluster of the operator's file.
    pub(crate) fn apply(operator: &Operator, more: &[&str]) -> Self {
        let args = [&["apply", "-f", "cluster.yaml", "--yes", "--progress", "json"], more].concat();
        // Each write is a packet, and a page holds one: whoever writes the next waits for us.
        let (out, into) = rustix::pipe::pipe_with(PipeFlags::DIRECT | PipeFlags::CLOEXEC).unwrap();
        rustix::pipe::fcntl_setpipe_size(&into, 4096).unwrap();
        let stderr = tempfile::tempfile().unwrap();
        let told = stderr.try_clone().unwrap();
        let child = operator.command(&args).stdout(into).stderr(told).spawn().unwrap();
        let (sender, lines) = mpsc::sync_channel(0);
        std::thread::spawn(move || {
            let mut packet = vec![0; 1 << 16];
            let mut rest = Vec::new();
            while let Ok(count) = rustix::io::read(&out, &mut packet) {
                rest.extend_from_slice(&packet[..count]);
                while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = rest.drain(..=end).collect();
                    if sender.send(serde_json::from_slice(&line).unwrap()).is_err() {
                        return;
                    }
                }
                if count == 0 {
                    return;
                }
            }
        });
        Self {
            child,
            lines,
            stderr,
            failed: Vec::new(),
            under_way: BTreeSet::new(),
            begun_since: BTreeSet::new(),
        }
    }

    /// The first step to begin that is `wanted`; `None`: the run has ended.
    pub(crate) fn begins(&mut self, wanted: impl Fn(&Step) -> bool) -> Option<Step> {
        loop {
            let event = self.lines.recv_timeout(LIMIT);
            if matches!(event, Err(mpsc::RecvTimeoutError::Timeout)) {
                panic!("nothing is told for {LIMIT:?}, while {:?}", self.under_way);
            }
            if let Some(step) = self.note(&event.ok()?).filter(&wanted) {
                return Some(step);
            }
        }
    }

    /// Lets it go on for some time, or until a step begins that is `wanted`.
    pub(crate) fn go_on(&mut self, time: Duration, wanted: impl Fn(&Step) -> bool) {
        let end = Instant::now() + time;
        while let Ok(event) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if self.note(&event).is_some_and(|step| wanted(&step)) {
                break;
            }
        }
    }

    /// The step that this event lets begin.
    fn note(&mut self, event: &Value) -> Option<Step> {
        let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
        let step = || Step {
            host: text("host"),
            phase: text("phase"),
            title: text("title"),
            subject: text("subject"),
        };
        match event["event"].as_str().unwrap() {
            "step-started" => {
                self.under_way.insert(step());
                self.begun_since.insert(step());
                Some(step())
            }
            "step-finished" => {
                self.under_way.remove(&step());
                None
            }
            "failed" => {
                let host = event["failure"]["host"].as_str().unwrap_or_default().to_owned();
                self.failed.push(Failed { host, text: event["failure"].to_string() });
                None
            }
            _ => None,
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Lets it do nothing while something is done to its hosts.
    pub(crate) fn paused(&mut self, what: impl FnOnce()) {
        self.signal(Signal::STOP);
        what();
        self.begun_since.clear();
        self.signal(Signal::CONT);
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        self.begins(|_| false);
        let status = self.child.wait().unwrap();
        let mut stderr = String::new();
        self.stderr.rewind().unwrap();
        self.stderr.read_to_string(&mut stderr).unwrap();
        let Self { failed, under_way, begun_since, .. } = self;
        Ended { code: status.code().unwrap_or(-1), stderr, failed, under_way, begun_since }
    }
}

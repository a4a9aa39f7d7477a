//! Telling the operator: events in, one of three faces out.
//!
//! People read standard error, programs read standard output. This module knows only its own events.

pub mod event;
pub mod json;
pub mod live;
pub mod plain;
pub mod summary;
pub mod text;

pub use event::Event;
pub use event::Failure;
pub use event::FailureKind;
pub use event::Outcome;
pub use summary::Record;
pub use summary::Report;
pub use summary::Totals;

use std::fmt;
use std::io::Write;
use std::sync::Mutex;
use std::sync::PoisonError;

/// How events are told; fixed once, from flags, environment and terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    pub format: Format,
    pub verbosity: Verbosity,
    pub colour: bool,
    /// Whether standard error is a terminal.
    pub terminal: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Live on a terminal, plain elsewhere.
    #[default]
    Auto,
    Plain,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verbosity {
    /// Only warnings, failures and the result.
    Quiet,
    #[default]
    Normal,
    /// A line for steps that found nothing to do as well.
    Verbose,
}

/// Receives events from any thread.
pub struct Reporter {
    face: Mutex<Box<dyn Face>>,
}

/// One way of telling events.
pub trait Face: Send {
    fn tell(&mut self, event: &Event);
}

impl Reporter {
    /// `out` is for programs (JSON lines), `err` for people.
    pub fn new(settings: Settings, out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Self {
        let face: Box<dyn Face> = match settings.format {
            Format::Json => Box::new(json::Json::new(out)),
            Format::Auto if settings.terminal && settings.verbosity == Verbosity::Normal => {
                Box::new(live::Live::new(settings.colour))
            }
            Format::Auto | Format::Plain => Box::new(plain::Plain::new(err, settings)),
        };
        Self { face: Mutex::new(face) }
    }

    pub fn tell(&self, event: &Event) {
        self.face.lock().unwrap_or_else(PoisonError::into_inner).tell(event);
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reporter")
    }
}

/// `12.3s`, `4m05s`.
pub fn elapsed(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..100 => format!("{seconds}.{}s", millis % 1000 / 100),
        _ => format!("{}m{:02}s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_times_at_a_glance() {
        for (millis, text) in [(0, "0.0s"), (1_250, "1.2s"), (99_999, "99.9s"), (245_000, "4m05s")] {
            assert_eq!(elapsed(millis), text);
        }
    }
}

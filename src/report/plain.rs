//! One line for an event, for logs and for terminals that cannot do more.

use crate::report::Event;
use crate::report::Face;
use crate::report::Outcome;
use crate::report::Settings;
use crate::report::Verbosity;
use crate::report::elapsed;
use console::Style;
use std::fmt;
use std::io::Write;

pub struct Plain {
    err: Box<dyn Write + Send>,
    settings: Settings,
}

impl Plain {
    pub fn new(err: Box<dyn Write + Send>, settings: Settings) -> Self {
        Self { err, settings }
    }
}

impl Face for Plain {
    fn tell(&mut self, event: &Event) {
        if let Some(text) = line(event, self.settings) {
            // A reader that went away is no reason to stop in the middle of a host's work.
            let _ = writeln!(self.err, "{text}").and_then(|()| self.err.flush());
        }
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plain")
    }
}

/// The line of an event; `None` when the settings leave it out.
pub fn line(event: &Event, settings: Settings) -> Option<String> {
    let calm = settings.verbosity == Verbosity::Quiet;
    let style = |outcome| painted(outcome, settings.colour);
    Some(match event {
        Event::StepFinished { phase, host, title, subject, outcome, detail, diff, elapsed_ms } => {
            let loud = matches!(outcome, Outcome::Warned | Outcome::Failed);
            let nothing =
                *outcome == Outcome::Ok && settings.verbosity != Verbosity::Verbose && *elapsed_ms < 1000;
            if (calm && !loud) || nothing {
                return None;
            }
            let host = host.as_deref().unwrap_or("cluster");
            let mut text = format!("[{phase}] {host}: {}: {title}", style(*outcome));
            if !subject.is_empty() && !title.contains(subject) {
                text = format!("{text} ({subject})");
            }
            if let Some(detail) = detail {
                text = format!("{text}: {detail}");
            }
            if *elapsed_ms >= 1000 {
                text = format!("{text} after {}", elapsed(*elapsed_ms));
            }
            diff.as_ref().map_or(text.clone(), |diff| format!("{text}\n{}", diff.trim_end()))
        }
        Event::Waiting { phase, host, subject, elapsed_ms, limit_ms, last } if !calm => {
            let host = host.as_deref().unwrap_or("cluster");
            let (passed, limit) = (elapsed(*elapsed_ms), elapsed(*limit_ms));
            format!("[{phase}] {host}: waiting for {subject} ({passed} of {limit}): {last}")
        }
        Event::Retrying { phase, host, subject, attempt, limit, why } => {
            let host = host.as_deref().unwrap_or("cluster");
            format!("[{phase}] {host}: trying {subject} again ({attempt} of {limit}): {why}")
        }
        Event::PhaseFinished { phase, totals, elapsed_ms } if !calm => {
            format!("[{phase}] {totals} in {}", elapsed(*elapsed_ms))
        }
        Event::Warning { host, message, hint } => {
            let place = host.as_ref().map(|host| format!("{host}: ")).unwrap_or_default();
            let hint = hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
            format!("{}: {place}{message}{hint}", style(Outcome::Warned))
        }
        Event::Failed { failure } => format!("\n{}", failure.to_string().trim_end()),
        Event::RunFinished { totals, interrupted, elapsed_ms } => {
            let how = if *interrupted { "interrupted after" } else { "done in" };
            format!("{how} {}: {totals}", elapsed(*elapsed_ms))
        }
        _ => return None,
    })
}

pub(crate) fn painted(outcome: Outcome, colour: bool) -> String {
    let style = Style::new().for_stderr().force_styling(colour);
    let style = match outcome {
        Outcome::Ok | Outcome::Skipped => style.dim(),
        Outcome::Changed => style.green(),
        Outcome::WouldChange => style.cyan(),
        Outcome::Warned => style.yellow(),
        Outcome::Failed => style.red().bold(),
    };
    style.apply_to(outcome).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(outcome: Outcome) -> Event {
        Event::StepFinished {
            phase: "certs/ca".into(),
            host: Some("cp1".into()),
            title: "the CA".into(),
            subject: "/ca.crt".into(),
            outcome,
            detail: None,
            diff: None,
            elapsed_ms: 3,
        }
    }

    #[test]
    fn says_what_the_settings_allow() {
        let normal = Settings::default();
        let quiet = Settings { verbosity: Verbosity::Quiet, ..normal };
        let verbose = Settings { verbosity: Verbosity::Verbose, ..normal };
        for (outcome, settings, expected) in [
            (Outcome::Changed, normal, Some("[certs/ca] cp1: changed: the CA (/ca.crt)")),
            (Outcome::Ok, normal, None),
            (Outcome::Ok, verbose, Some("[certs/ca] cp1: ok: the CA (/ca.crt)")),
            (Outcome::Changed, quiet, None),
            (Outcome::Warned, quiet, Some("[certs/ca] cp1: warning: the CA (/ca.crt)")),
        ] {
            assert_eq!(line(&finished(outcome), settings).as_deref(), expected);
        }
    }

    #[test]
    fn colours_only_when_told() {
        let colourful = Settings { colour: true, ..Settings::default() };
        assert!(line(&finished(Outcome::Changed), colourful).unwrap().contains("\u{1b}["));
        assert!(!line(&finished(Outcome::Changed), Settings::default()).unwrap().contains('\u{1b}'));
    }
}

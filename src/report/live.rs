//! Progress on a terminal: one bar for the run, one line for what each host is doing, and a line for each phase
//! that is done.

use crate::report::Event;
use crate::report::Face;
use crate::report::Outcome;
use crate::report::Settings;
use crate::report::elapsed;
use crate::report::plain;
use indicatif::MultiProgress;
use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Debug)]
pub struct Live {
    bars: MultiProgress,
    run: ProgressBar,
    hosts: BTreeMap<String, Line>,
    settings: Settings,
}

/// What a host is doing.
#[derive(Debug)]
struct Line {
    bar: ProgressBar,
    /// Steps that were begun and are not finished: files come by the dozen.
    at_work: usize,
}

/// With more hosts than this, those that wait have no line.
const CROWD: usize = 16;

impl Live {
    pub fn new(colour: bool) -> Self {
        let settings = Settings { colour, ..Settings::default() };
        Self { bars: MultiProgress::new(), run: ProgressBar::hidden(), hosts: BTreeMap::new(), settings }
    }

    fn start(&mut self, steps: usize) {
        let bar = self.bars.add(ProgressBar::new(steps as u64));
        bar.set_style(style("{elapsed_precise} {wide_bar} {pos}/{len}", self.settings.colour));
        bar.enable_steady_tick(Duration::from_millis(250));
        self.run = bar;
    }

    fn line(&mut self, host: Option<&str>) -> &mut Line {
        let name = host.unwrap_or("cluster");
        let (bars, run, colour) = (&self.bars, &self.run, self.settings.colour);
        self.hosts.entry(name.to_owned()).or_insert_with(|| {
            let bar = bars.insert_before(run, ProgressBar::new_spinner());
            bar.set_style(style("{spinner} {prefix} {wide_msg}", colour));
            bar.set_prefix(name.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            Line { bar, at_work: 0 }
        })
    }

    /// A step came to its end. The line stays while others of the host are at work, and until the end of the run where
    /// there is room.
    fn finished(&mut self, host: Option<&str>) {
        let crowded = self.hosts.len() > CROWD;
        let line = self.line(host);
        line.at_work = line.at_work.saturating_sub(1);
        if line.at_work > 0 {
            return;
        }
        line.bar.set_message("waits for others");
        if crowded {
            line.bar.finish_and_clear();
            self.hosts.remove(host.unwrap_or("cluster"));
        }
    }

    fn rest(&mut self) {
        for (_, line) in std::mem::take(&mut self.hosts) {
            line.bar.finish_and_clear();
        }
    }

    fn print(&self, event: &Event) {
        if let Some(text) = plain::line(event, self.settings) {
            // Losing a line of progress is no reason to stop.
            let _ = self.bars.println(text);
        }
    }
}

impl Face for Live {
    fn tell(&mut self, event: &Event) {
        match event {
            Event::RunStarted { steps, .. } => self.start(*steps),
            Event::StepStarted { host, title, .. } => {
                let line = self.line(host.as_deref());
                line.at_work += 1;
                line.bar.set_message(title.clone());
            }
            Event::Waiting { host, subject, elapsed_ms, limit_ms, last, .. } => {
                let (passed, limit) = (elapsed(*elapsed_ms), elapsed(*limit_ms));
                let message = format!("{subject} ({passed} of {limit}): {last}");
                self.line(host.as_deref()).bar.set_message(message);
            }
            Event::StepFinished { host, outcome, diff, .. } => {
                self.run.inc(1);
                self.finished(host.as_deref());
                if diff.is_some() || matches!(outcome, Outcome::Warned) {
                    self.print(event);
                }
            }
            // Other hosts are still at work.
            Event::PhaseFinished { .. }
            | Event::Warning { .. }
            | Event::Retrying { .. }
            | Event::Failed { .. } => self.print(event),
            Event::RunFinished { .. } => {
                self.rest();
                self.run.finish_and_clear();
                self.print(event);
            }
            Event::PhaseStarted { .. } => {}
        }
    }
}

fn style(template: &str, colour: bool) -> ProgressStyle {
    let coloured = if colour { template.replace("{prefix}", "{prefix:.bold}") } else { template.to_owned() };
    let style = ProgressStyle::with_template(&coloured).expect("the templates of this file are well formed");
    style.progress_chars("=> ").tick_chars("|/-\\ ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Totals;

    #[test]
    fn takes_every_event_with_and_without_colour() {
        for colour in [false, true] {
            let mut live = Live::new(colour);
            let (phase, host, subject) = ("certs".to_owned(), Some("cp1".to_owned()), "x".to_owned());
            let title = subject.clone();
            live.tell(&Event::RunStarted { hosts: vec![], steps: 2, dry_run: false });
            live.tell(&Event::StepStarted { phase, host, title, subject });
            assert_eq!((live.hosts.len(), live.run.length()), (1, Some(2)));
            let totals = Totals::default();
            live.tell(&Event::PhaseFinished { phase: "certs".into(), totals, elapsed_ms: 1 });
            assert_eq!(live.hosts.len(), 1, "the host is still at work");
            live.tell(&Event::RunFinished { totals, interrupted: false, elapsed_ms: 1 });
            assert!(live.run.is_finished() && live.hosts.is_empty());
        }
    }
}

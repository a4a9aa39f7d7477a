//! Discovery over real sockets: what is found, and what is said when it is not.

#![expect(clippy::disallowed_methods, reason = "tests write what they expect, and start servers")]
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod by_file;
mod by_token;
mod fetch;
mod parsers;
mod server;

use crate::support::text;
use kubewright::clock::Clock;
use kubewright::cluster::kubeadm::JoinConfiguration;
use kubewright::discovery;
use kubewright::discovery::DiscoveryError;
use kubewright::discovery::Found;
use kubewright::discovery::World;
use kubewright::host::Host;
use kubewright::host::Local;
use kubewright::report::Event;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use time::OffsetDateTime;
use time::macros::datetime;

/// The moment at which all tests discover.
const NOW: OffsetDateTime = datetime!(2026-03-01 12:00:00 UTC);

/// A wall clock that stands still, and a monotonic one that only sleeping moves.
#[derive(Debug, Default)]
struct Still {
    slept: Mutex<Duration>,
}

impl Clock for Still {
    fn now(&self) -> OffsetDateTime {
        NOW
    }

    fn monotonic(&self) -> Duration {
        *self.slept.lock().unwrap()
    }

    fn sleep(&self, duration: Duration) {
        *self.slept.lock().unwrap() += duration;
    }
}

/// What a discovery came to, and what was told meanwhile.
struct Run {
    result: Result<Found, DiscoveryError>,
    events: Vec<Event>,
    slept: Duration,
}

fn run(join: &JoinConfiguration) -> Run {
    let clock = Still::default();
    let (result, events) = run_by(join, &clock, &AtomicBool::new(false));
    Run { result, events, slept: clock.monotonic() }
}

fn run_by(
    join: &JoinConfiguration,
    clock: &dyn Clock,
    interrupt: &AtomicBool,
) -> (Result<Found, DiscoveryError>, Vec<Event>) {
    run_on(&Local::new("w1"), join, clock, interrupt)
}

fn run_on(
    host: &dyn Host,
    join: &JoinConfiguration,
    clock: &dyn Clock,
    interrupt: &AtomicBool,
) -> (Result<Found, DiscoveryError>, Vec<Event>) {
    let events = Mutex::new(Vec::new());
    let tell = |event: Event| events.lock().unwrap().push(event);
    let world = World { host, clock, events: &tell, interrupt };
    let result = discovery::discover(join, &world);
    (result, events.into_inner().unwrap())
}

/// Error and hint as the operator reads them, without what differs from run to run.
fn said(error: &DiscoveryError, varying: &[(&str, &str)]) -> String {
    let mut text = format!("error: {error}\nhint: {}\n", error.hint());
    for (from, to) in varying {
        text = text.replace(from, to);
    }
    text
}

/// Compares what is said in each case with a file of `tests/discovery`. `BLESS=1` writes what is said now.
fn compare(file: &str, cases: &[(&str, String)]) {
    let mut all = String::new();
    for (name, said) in cases {
        assert!(said.starts_with("error: ") && said.contains("\nhint: "), "{name}: {said}");
        write!(all, "## {name}\n{said}\n").unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/discovery").join(file);
    if text::blessing() {
        std::fs::write(&path, &all).unwrap();
    }
    text::assert_same(file, &text::read(&path), &all);
}

//! Trying again what may heal: at once, then soon, then now and then.

use crate::discovery::World;
use crate::discovery::error::DiscoveryError;
use crate::discovery::trouble::Trouble;
use crate::report::Event;
use std::mem::Discriminant;
use std::mem::discriminant;
use std::time::Duration;

const SHORTEST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A pause is this part of the time that has passed: whatever is awaited, it is noticed a tenth too late at most.
const PART: u32 = 10;
/// A limit of zero still lets one attempt be made.
const LEAST: Duration = Duration::from_secs(1);
/// An interrupt is noticed within this time.
const NAP: Duration = Duration::from_millis(100);
/// How often a wait that goes on is told.
const TELL_INTERVAL: Duration = Duration::from_secs(5);

/// Repeats `attempt`, telling it how long it may take, until it succeeds, its failure is one that does not heal, or `limit` has passed.
pub(super) fn persist<T>(
    world: &World<'_>,
    subject: &str,
    limit: Duration,
    mut attempt: impl FnMut(Duration) -> Result<T, DiscoveryError>,
) -> Result<T, DiscoveryError> {
    let start = world.clock.monotonic();
    let mut telling = Telling { world, subject, start, limit, last: None };
    let mut kind: Option<(Discriminant<DiscoveryError>, Duration)> = None;
    loop {
        let passed = world.clock.monotonic().saturating_sub(start);
        let error = match attempt(limit.saturating_sub(passed).max(LEAST)) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if world.interrupted() {
            return Err(DiscoveryError::Interrupted);
        }
        let now = world.clock.monotonic();
        let passed = |since: Duration| now.saturating_sub(since);
        // Trouble of another kind is progress, and gets its own time.
        let since = match kind {
            Some((known, since)) if known == discriminant(&error) => since,
            _ => now,
        };
        kind = Some((discriminant(&error), since));
        let left = limit.saturating_sub(passed(start)).min(patience(&error).saturating_sub(passed(since)));
        if left.is_zero() {
            return Err(error.after(passed(since)));
        }
        telling.tell(now, error.brief());
        let pause = (passed(start) / PART).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        sleep(world, pause.min(left))?;
    }
}

/// How long this is worth waiting for.
fn patience(error: &DiscoveryError) -> Duration {
    match error {
        DiscoveryError::Unreachable { trouble: Trouble::Status(code), .. } if *code < 500 && *code != 429 => {
            Duration::ZERO
        }
        DiscoveryError::Unreachable { trouble, .. } if trouble.may_heal() => Duration::MAX,
        // A cluster that is just being made answers so for a while.
        DiscoveryError::NoClusterInfo { status: 403 | 404, .. } => Duration::from_secs(30),
        // Nobody has signed: a controller-manager that was restarted leads, and signs, after 15 seconds.
        DiscoveryError::UnknownToken { known, .. } if known.is_empty() => Duration::from_secs(20),
        // It signs for others, and for a new token within a moment.
        DiscoveryError::UnknownToken { .. } => Duration::from_secs(5),
        _ => Duration::ZERO,
    }
}

/// Sleeps, unless there is an interrupt.
pub(super) fn sleep(world: &World<'_>, time: Duration) -> Result<(), DiscoveryError> {
    let mut left = time;
    while !left.is_zero() {
        if world.interrupted() {
            return Err(DiscoveryError::Interrupted);
        }
        let nap = NAP.min(left);
        world.clock.sleep(nap);
        left -= nap;
    }
    Ok(())
}

struct Telling<'a> {
    world: &'a World<'a>,
    subject: &'a str,
    start: Duration,
    limit: Duration,
    /// What was told last, and when.
    last: Option<(String, Duration)>,
}

impl Telling<'_> {
    /// What is new at once, what is not now and then.
    fn tell(&mut self, now: Duration, what: String) {
        if let Some((told, at)) = &self.last
            && *told == what
            && now.saturating_sub(*at) < TELL_INTERVAL
        {
            return;
        }
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        (self.world.events)(Event::Waiting {
            phase: "discovery".to_owned(),
            host: Some(self.world.host.name().to_owned()),
            subject: self.subject.to_owned(),
            elapsed_ms: millis(now.saturating_sub(self.start)),
            limit_ms: millis(self.limit),
            last: what.clone(),
        });
        self.last = Some((what, now));
    }
}

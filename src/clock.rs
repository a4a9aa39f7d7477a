//! Time as an argument, so that waits and validity periods can be tested.
#![expect(clippy::disallowed_methods, reason = "this is the seam")]

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;
use time::OffsetDateTime;

pub trait Clock: Send + Sync {
    /// The wall clock, in UTC.
    fn now(&self) -> OffsetDateTime;

    /// A clock that never goes back, since an arbitrary start.
    fn monotonic(&self) -> Duration;

    fn sleep(&self, duration: Duration);
}

/// The clock of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

/// A clock that stands still; sleeping takes no time.
#[derive(Debug, Clone, Copy)]
pub struct Fixed(pub OffsetDateTime);

/// A clock that only moves when somebody sleeps, so a wait of minutes is tested in microseconds.
#[derive(Debug)]
pub struct Manual {
    start: OffsetDateTime,
    passed: Mutex<Duration>,
}

impl Clock for System {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn monotonic(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

impl Clock for Fixed {
    fn now(&self) -> OffsetDateTime {
        self.0
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) {}
}

impl Manual {
    pub fn new(start: OffsetDateTime) -> Self {
        Self { start, passed: Mutex::new(Duration::ZERO) }
    }

    /// Moves the clock, as sleeping does.
    pub fn advance(&self, duration: Duration) {
        *self.passed() += duration;
    }

    fn passed(&self) -> MutexGuard<'_, Duration> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for Manual {
    fn now(&self) -> OffsetDateTime {
        self.start + *self.passed()
    }

    fn monotonic(&self) -> Duration {
        *self.passed()
    }

    fn sleep(&self, duration: Duration) {
        self.advance(duration);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_by_sleeping() {
        let clock = Manual::new(OffsetDateTime::UNIX_EPOCH);
        clock.sleep(Duration::from_mins(5));
        assert_eq!(clock.monotonic(), Duration::from_mins(5));
        assert_eq!(clock.now().unix_timestamp(), 300);
    }

    #[test]
    fn the_system_clock_does_not_go_back() {
        let first = System.monotonic();
        System.sleep(Duration::from_millis(2));
        assert!(System.monotonic() >= first + Duration::from_millis(2));
    }
}

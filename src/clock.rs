//! Time as an argument, so that waits and validity periods can be tested.

use std::time::Duration;
use time::OffsetDateTime;

pub trait Clock: Send + Sync {
    /// The wall clock, in UTC.
    fn now(&self) -> OffsetDateTime;

    /// A clock that never goes back, since an arbitrary start.
    fn monotonic(&self) -> Duration;

    fn sleep(&self, duration: Duration);
}

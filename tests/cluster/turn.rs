//! Hosts that several tests use: one test after the other.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// Whoever has taken it may have the hosts of the names that stand beside it.
pub(crate) struct Turn(Mutex<()>);

impl Turn {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(()))
    }

    /// Waits for whoever has it; a test that failed has given it back.
    pub(crate) fn take(&self) -> MutexGuard<'_, ()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! A part that was failed: mended when asked to, and whatever happens.

use crate::cli::pods;
use crate::clock::Clock as _;
use crate::clock::System;
use crate::endpoint::Failure;
use crate::endpoint::failure::Act;
use crate::host::Host;
use crate::host::HostError;
use crate::host::Output;
use std::sync::Arc;
use std::time::Duration;

/// How often mending is tried, a second apart, where the host cannot be reached.
const ATTEMPTS: usize = 10;

/// Mended when it goes out of scope.
pub(super) struct Down {
    failure: Failure,
    host: Arc<dyn Host>,
    mended: bool,
}

impl Down {
    /// Fails a part of a host, which mends itself after some time.
    ///
    /// # Errors
    /// It cannot be failed; what was begun is mended.
    pub(super) fn fail(
        failure: Failure,
        host: &Arc<dyn Host>,
        mends_after: Duration,
    ) -> Result<Self, String> {
        let act = failure.act(mends_after);
        let down = Self { failure, host: Arc::clone(host), mended: false };
        match act {
            Act::Run(command) => done(host.run(&command))?,
            Act::Kill(container) => pods::kill(&**host, &container).map_err(|error| format!("{error:#}"))?,
        }
        Ok(down)
    }

    /// Mends it.
    ///
    /// # Errors
    /// It cannot be mended from here.
    pub(super) fn mend(mut self) -> Result<(), String> {
        self.mend_now()
    }

    fn mend_now(&mut self) -> Result<(), String> {
        if std::mem::replace(&mut self.mended, true) {
            return Ok(());
        }
        let command = self.failure.mend();
        let mut answer = done(self.host.run(&command));
        for _ in 1..ATTEMPTS {
            if answer.is_ok() {
                break;
            }
            System.sleep(Duration::from_secs(1));
            answer = done(self.host.run(&command));
        }
        answer
    }
}

impl Drop for Down {
    fn drop(&mut self) {
        // Otherwise the host does so by itself.
        let _ = self.mend_now();
    }
}

fn done(output: Result<Output, HostError>) -> Result<(), String> {
    let output = output.map_err(|error| error.to_string())?;
    if output.success() { Ok(()) } else { Err(output.error_tail()) }
}

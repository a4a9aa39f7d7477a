//! Where text goes: data to standard output, conversation to standard error.

use std::io::Write;

/// Prints data for programs. A reader that went away is no reason to complain.
pub(super) fn data(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Tells people something.
pub(super) fn people(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

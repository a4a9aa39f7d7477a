//! A test that cannot run here says so, and why: never silently.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests read their surroundings and say what they lack"
)]

use std::fs::OpenOptions;
use std::io::Write as _;

/// Prints that `test` did not run, and appends it to the file that `KUBEWRIGHT_SKIPS` names, where it does.
pub(crate) fn skip(test: &str, why: &str) {
    println!("skipped: {test}: {why}");
    let Some(path) = std::env::var_os("KUBEWRIGHT_SKIPS") else { return };
    let mut file =
        OpenOptions::new().create(true).append(true).open(path).expect("KUBEWRIGHT_SKIPS is writable");
    // In one write: the halves of two lines must not meet.
    file.write_all(format!("{test}: {why}\n").as_bytes()).expect("KUBEWRIGHT_SKIPS is writable");
}

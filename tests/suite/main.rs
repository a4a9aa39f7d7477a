//! One test binary; every file of this folder is one of its modules.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests panic and print like the tests themselves"
)]

mod api;
mod execution;
mod host;

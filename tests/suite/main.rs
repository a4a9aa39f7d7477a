//! One test binary; every file of this folder is one of its modules.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod bare_host;
mod cri;
mod facts;
mod fixture;
mod preflight;
mod preflight_parity;

//! One test binary; every file of this folder is one of its modules.
#![allow(clippy::unwrap_used, reason = "a helper of a test may panic like the test itself")]

mod api;
mod execution;
mod host;

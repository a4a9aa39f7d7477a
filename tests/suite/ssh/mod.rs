//! Hosts over SSH, against a real sshd that the test starts on this machine.
#![expect(clippy::disallowed_methods, reason = "tests start servers, and look at files and clocks")]

mod commands;
mod connections;
mod files;
mod host_keys;
mod logins;
mod server;
mod streams;
mod sudo;

//! One test binary; every file of this folder is one of its modules.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod api;
mod bare_host;
mod config;
mod cri;
mod documents;
mod execution;
mod facts;
mod fixture;
mod host;
mod kubeadm_parity;
mod patches;
mod pki;
mod preflight;
mod preflight_parity;
#[path = "../support/skip.rs"]
mod skip;
mod support;
mod yaml_text;

//! Whole control planes on real hosts, with the real parts of Kubernetes.
//!
//! Needs what `tests/lab/README.md` says, and `KUBEWRIGHT_TEST_KUBE`; without these every test says that it is
//! skipped. A host takes a processor for itself while it starts: `--test-threads 1` or 2.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests start hosts, look at them, and panic where they stand"
)]

mod apply;
mod apply_plan;
mod apply_refused;
mod day2;
mod discovery;
mod endpoint;
mod estate;
mod etcd_hosts;
mod fault;
mod grow;
mod init;
mod interchange;
mod join;
mod join_fault;
mod join_kill;
mod join_refused;
mod join_secret;
mod kill;
mod kubeadm;
mod lab;
mod links;
mod normal;
mod parity;
mod phases;
mod prepare;
mod prepare_bare;
mod reset;
mod rolling;
mod running;
#[path = "../support/skip.rs"]
mod skip;
mod ssh;
mod state;
mod tokens;

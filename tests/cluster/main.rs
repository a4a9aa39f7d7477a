//! Real hosts: two tiers, both of which need what `tests/lab/README.md` says. Tests that ask [`lab::bare_available`]
//! need hosts only; those that ask [`lab::available`] make whole clusters of the real parts of Kubernetes, which
//! `KUBEWRIGHT_TEST_KUBE` names. What cannot run says that it is skipped, and why. A host takes a processor for itself
//! while it starts: `--test-threads 1` or 2.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests start hosts, look at them, and panic where they stand"
)]

mod addons;
mod apply;
mod apply_fault;
mod apply_kill;
mod apply_limit;
mod apply_plan;
mod apply_refused;
mod day2;
mod discovery;
mod disturbed;
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
mod locks;
mod normal;
mod parity;
mod phases;
mod playbooks;
mod pod_network;
mod prepare;
mod prepare_bare;
mod prepare_sources;
mod published;
mod rendered;
mod reset;
mod rolling;
mod running;
mod runtimes;
#[path = "../support/skip.rs"]
mod skip;
mod ssh;
mod state;
mod tokens;
mod turn;
mod upgrade;
mod vagrant;
mod watched;

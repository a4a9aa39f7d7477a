//! One test binary; every file of this folder is one of its modules.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests panic and print like the tests themselves"
)]

mod addon_sources;
mod addons;
mod api;
mod architecture;
mod argv;
mod artifact;
mod bare_host;
mod binary;
mod cli;
mod config;
mod containerd;
mod cri;
mod day2;
mod discovery;
mod documents;
mod endpoint;
mod endpoint_moves;
mod etcd_hosts;
mod etcd_join;
mod exchange;
mod execution;
mod facts;
mod fixture;
mod fleet;
mod fleet_cli;
mod fleet_runs;
mod help;
mod host;
mod inventory;
mod join;
mod kubeadm_parity;
mod lab;
mod links;
mod locks;
mod patches;
mod pki;
mod plan_check;
mod playbooks;
mod pod_routes;
mod preflight;
mod preflight_endpoint;
mod preflight_parity;
mod readme;
mod release;
mod reset;
mod review;
mod rolling;
mod scenario_runs;
mod scenarios;
mod serving_requests;
mod skew;
#[path = "../support/skip.rs"]
mod skip;
mod ssh;
mod stored;
mod support;
mod taking_away;
mod valid_objects;
mod yaml_text;

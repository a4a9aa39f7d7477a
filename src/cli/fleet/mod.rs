//! A run over all hosts of a cluster: what is wanted, what is so everywhere, and the plan between the two.

mod api;
mod args;
mod ask;
mod connect;
mod etcd;
mod nodes;
mod session;

pub(super) use args::FleetArgs;
pub(super) use connect::Connected;
pub(super) use connect::connect;
pub(super) use session::FleetSession;

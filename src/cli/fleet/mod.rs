//! A run over all hosts of a cluster: what is wanted, what is so everywhere, and the plan between the two.

mod api;
mod args;
mod ask;
mod carry_out;
mod connect;
mod etcd;
mod holders;
mod lock;
mod nodes;
mod session;

pub(super) use args::FleetArgs;
pub(super) use carry_out::Look;
pub(super) use connect::Connected;
pub(super) use connect::connect;
pub(super) use lock::holder;
pub(super) use lock::in_order;
pub(super) use lock::take as take_locks;
pub(super) use lock::take_here;
pub(super) use session::FleetSession;

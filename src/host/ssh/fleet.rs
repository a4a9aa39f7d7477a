//! Many hosts side by side.

use crate::cluster::site::Access;
use crate::host::fleet::side_by_side;
use crate::host::ssh::Ssh;
use crate::host::ssh::SshError;
use crate::host::ssh::connect::Bastions;
use crate::host::ssh::operator::Operator;

/// Connects to these hosts, at most `parallel` at a time; the answers are in the order of the hosts. Bastions are
/// connected to once for all.
pub fn connect_all(
    hosts: Vec<(String, Access)>,
    operator: &Operator,
    parallel: usize,
) -> Vec<Result<Ssh, SshError>> {
    let bastions = Bastions::default();
    side_by_side(hosts, parallel, |(name, access)| Ssh::through(&name, &access, operator, &bastions))
}

//! Being connected: one connection for each host, and one for each bastion that several hosts share.

use crate::host::ssh::connection::Connection;
use crate::host::ssh::connection::Use;
use crate::host::ssh::dial::dial;
use crate::host::ssh::error::SshError;
use crate::host::ssh::error::Trouble;
use crate::host::ssh::prompt::Answers;
use crate::host::ssh::route::Login;
use crate::host::ssh::route::Route;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

/// How many connections to a bastion are tried while hosts that do not answer keep others waiting.
const MAX_BASTIONS: u32 = 5;

/// The connection to a host.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) connection: Connection,
}

type Slot = Arc<Mutex<Option<Arc<Connection>>>>;

/// Connections to bastions, by the addresses on the way to them.
#[derive(Debug, Clone, Default)]
pub(super) struct Bastions {
    slots: Arc<Mutex<BTreeMap<String, Slot>>>,
}

impl Bastions {
    /// The connection to the last of these hosts; the ones before it lead there.
    fn get(
        &self,
        hops: &[Login],
        answers: &Answers,
        attempts: u32,
    ) -> Result<Option<Arc<Connection>>, SshError> {
        let Some((last, before)) = hops.split_last() else { return Ok(None) };
        let key = hops.iter().map(Login::address).collect::<Vec<_>>().join(",");
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(key).or_default())
        };
        // Held while connecting: the others wait for this one connection.
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = slot.as_ref().filter(|connection| connection.is_fit()) {
            return Ok(Some(Arc::clone(connection)));
        }
        let through = self.get(before, answers, attempts)?;
        let connection = dial(last, through.as_deref(), answers, Use::Bastion, attempts)
            .map_err(|error| of_bastion(last, error))?;
        let connection = Arc::new(connection.keeping(through));
        *slot = Some(Arc::clone(&connection));
        Ok(Some(connection))
    }
}

/// That a bastion cannot be reached is another thing than that the host cannot.
fn of_bastion(bastion: &Login, error: SshError) -> SshError {
    let trouble = match error.trouble {
        Trouble::Unreachable | Trouble::Protocol => Trouble::BastionFailed,
        other => other,
    };
    SshError { trouble, message: format!("bastion {}: {}", bastion.address(), error.message), ..error }
}

impl Link {
    pub(super) fn new(
        route: &Route,
        bastions: &Bastions,
        answers: &Answers,
        attempts: u32,
    ) -> Result<Self, SshError> {
        let mut attempt = 1;
        loop {
            let through = bastions.get(&route.hops, answers, attempts)?;
            let waited = |error: &SshError| {
                // Behind another host, which does not answer.
                error.trouble == Trouble::BastionFailed && through.as_ref().is_some_and(|one| one.is_stuck())
            };
            match dial(&route.target, through.as_deref(), answers, Use::Host, attempts) {
                Err(error) if waited(&error) && attempt < MAX_BASTIONS => attempt += 1,
                Err(error) => return Err(error),
                Ok(connection) => return Ok(Self { connection: connection.keeping(through) }),
            }
        }
    }
}

//! Machines over SSH: one connection for each, however much is asked of it.
//!
//! A thread owns the connection (`connection.rs`) and serves commands and streams side by side. What a command is told and
//! what it tells is in `shell.rs` and `talk.rs`; files travel by the scripts `read.sh` and `change.sh`.

mod archive;
mod auth;
mod change;
pub mod config;
mod connect;
mod connection;
mod dial;
pub mod error;
mod fleet;
mod host_key;
mod identity;
mod known_hosts;
pub mod operator;
mod process;
pub mod prompt;
mod pump;
mod read;
mod route;
mod run;
mod session;
mod settle;
mod shell;
mod stream;
mod talk;
mod wire;

pub use error::SshError;
pub use error::Trouble;
pub use fleet::connect_all;
pub use operator::Environment;
pub use operator::Operator;
pub use route::settings;

use crate::cluster::site::Access;
use crate::host::Change;
use crate::host::Command;
use crate::host::Entry;
use crate::host::Host;
use crate::host::HostError;
use crate::host::Output;
use crate::host::Socket;
use crate::host::Stream;
use crate::host::ssh::connect::Bastions;
use crate::host::ssh::connect::Link;
use crate::host::ssh::dial::ATTEMPTS;
use crate::host::ssh::prompt::Answers;
use crate::host::ssh::route::Route;
use crate::host::ssh::shell::Marks;
use rustix::rand::GetRandomFlags;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long one attempt to open a stream may take, where nobody says.
const STREAM_LIMIT: Duration = Duration::from_secs(10);

/// The host did not answer when it was last called.
#[derive(Debug)]
struct Away;

/// A machine that is reached over SSH.
#[derive(Debug)]
pub struct Ssh {
    name: String,
    route: Route,
    bastions: Bastions,
    answers: Answers,
    marks: Marks,
    link: Mutex<Result<Arc<Link>, Away>>,
    sudo_password: Mutex<Option<Zeroizing<String>>>,
    /// The server is known to allow streams to local sockets.
    local_streams: AtomicBool,
    /// What was written or removed and may not have reached the disk.
    unsettled: Mutex<BTreeSet<String>>,
}

impl Ssh {
    /// Connects to the host that is called `name`.
    ///
    /// # Errors
    /// It cannot be reached, is not the one that it should be, or does not let us in.
    pub fn connect(name: &str, access: &Access, operator: &Operator) -> Result<Self, SshError> {
        Self::through(name, access, operator, &Bastions::default())
    }

    fn through(
        name: &str,
        access: &Access,
        operator: &Operator,
        bastions: &Bastions,
    ) -> Result<Self, SshError> {
        let route = route::route(name, access, operator)?;
        let link = Link::new(&route, bastions, &operator.answers, ATTEMPTS)?;
        Ok(Self {
            name: name.to_owned(),
            sudo_password: Mutex::new(route.sudo_password.clone()),
            route,
            bastions: bastions.clone(),
            answers: operator.answers.clone(),
            marks: marks(name)?,
            link: Mutex::new(Ok(Arc::new(link))),
            local_streams: AtomicBool::new(false),
            unsettled: Mutex::default(),
        })
    }

    /// The connection, made anew where it was lost. One that was away is called once: several things are still to be
    /// done on it, and each would wait for as long.
    fn link(&self) -> Result<Arc<Link>, SshError> {
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        let attempts = match &*link {
            Ok(link) if link.connection.is_fit() => return Ok(Arc::clone(link)),
            Ok(_) => ATTEMPTS,
            Err(Away) => 1,
        };
        let made = Link::new(&self.route, &self.bastions, &self.answers, attempts).map(Arc::new);
        *link = made.as_ref().map(Arc::clone).map_err(|_| Away);
        made
    }

    fn sudo_password(&self) -> Option<Zeroizing<String>> {
        self.sudo_password.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_sudo_password(&self, password: Zeroizing<String>) {
        *self.sudo_password.lock().unwrap_or_else(PoisonError::into_inner) = Some(password);
    }

    fn unsettled(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn marks(name: &str) -> Result<Marks, SshError> {
    let mut random = [0; 8];
    rustix::rand::getrandom(&mut random, GetRandomFlags::empty()).map_err(|error| {
        SshError::new(name, Trouble::Settings, format!("this machine gives no random numbers: {error}"))
    })?;
    Ok(Marks::new(random))
}

impl Host for Ssh {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, command: &Command) -> Result<Output, HostError> {
        self.run_command(command)
    }

    fn read(&self, path: &str) -> Result<Option<Entry>, HostError> {
        let found = self.read_paths(&[path.to_owned()])?;
        Ok(found.into_iter().next().flatten())
    }

    fn write(&self, path: &str, entry: &Entry) -> Result<(), HostError> {
        self.make_changes(&[Change::Write { path: path.to_owned(), entry: entry.clone() }])
    }

    fn remove(&self, path: &str) -> Result<(), HostError> {
        self.make_changes(&[Change::Remove { path: path.to_owned() }])
    }

    fn connect(&self, to: &Socket) -> Result<Stream, HostError> {
        self.open_stream(to, STREAM_LIMIT)
    }

    fn connect_within(&self, to: &Socket, limit: Duration) -> Result<Stream, HostError> {
        self.open_stream(to, limit)
    }

    fn read_many(&self, paths: &[String]) -> Result<Vec<Option<Entry>>, HostError> {
        self.read_paths(paths)
    }

    fn change_many(&self, changes: &[Change]) -> Result<(), HostError> {
        self.make_changes(changes)
    }

    fn settle(&self) -> Result<(), HostError> {
        self.bring_to_disk()
    }

    fn change_and_settle(&self, changes: &[Change]) -> Result<(), HostError> {
        self.make_changes_and_settle(changes)
    }
}

//! Who works on a host: a file that one run holds at a time.
//!
//! It is made atomically, its time is renewed while the run lives, and it names its holder. A holder whose process is
//! known to be gone is followed at once; one that has not been heard of for [`DEAD_AFTER`] may be broken by name.

pub mod held;
pub mod holder;
mod script;

pub use held::Held;
pub use holder::Holder;

use crate::host::Host;
use crate::host::HostError;
use std::time::Duration;

/// Where it lies on every host.
pub const PATH: &str = "/var/lib/kubewright/lock";

/// How often its time is renewed.
pub const RENEWED_EVERY: Duration = Duration::from_secs(20);

/// A holder that has not been heard of for so long counts as dead.
pub const DEAD_AFTER: Duration = Duration::from_mins(3);

/// The lock of a host, held by somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// `None`: what is in the file cannot be understood.
    pub holder: Option<Holder>,
    /// For how long nobody renewed it, by the host's own clock.
    pub silent: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error(transparent)]
    Host(#[from] HostError),
    #[error("{host}: cannot write the lock `{path}`: {why}")]
    Refused { host: String, path: String, why: String },
    #[error("{host} is locked by {}", .found.describe())]
    Held { host: String, found: Box<Found> },
}

impl Found {
    /// Who, from where, since when, and when last heard of.
    pub fn describe(&self) -> String {
        let Some(holder) = &self.holder else {
            return format!("somebody whose name cannot be read, {} ago", words(self.silent));
        };
        format!("{holder}, last heard of {} ago", words(self.silent))
    }

    /// Whether nobody has renewed it for long.
    pub fn is_silent(&self) -> bool {
        self.silent > DEAD_AFTER
    }

    /// The run that holds it; empty where that cannot be read.
    pub fn run(&self) -> &str {
        self.holder.as_ref().map_or("", |holder| &holder.run)
    }
}

fn words(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

/// Takes the lock of a host, or says who has it. Taking one's own again succeeds.
///
/// # Errors
/// Somebody else holds it, or the host cannot write it.
pub fn take(host: &dyn Host, path: &str, holder: &Holder) -> Result<(), LockError> {
    let output = host.run(&script::take(path, holder))?;
    match output.status {
        0 => Ok(()),
        script::HELD => {
            Err(LockError::Held { host: host.name().to_owned(), found: Box::new(found(&output.stdout)) })
        }
        _ => Err(refused(host, path, &output)),
    }
}

/// Who holds the lock of a host.
///
/// # Errors
/// The host cannot be asked.
pub fn look(host: &dyn Host, path: &str) -> Result<Option<Found>, LockError> {
    let output = host.run(&script::look(path))?;
    Ok((output.status == script::HELD).then(|| found(&output.stdout)))
}

/// Says that the holder lives; `false`: it is not the holder any more.
///
/// # Errors
/// The host cannot be asked.
pub fn renew(host: &dyn Host, path: &str, run: &str) -> Result<bool, HostError> {
    Ok(host.run(&script::renew(path, run))?.success())
}

/// Gives the lock back; one that somebody else holds by now stays.
///
/// # Errors
/// The host cannot be asked.
pub fn release(host: &dyn Host, path: &str, run: &str) -> Result<(), HostError> {
    host.run(&script::release(path, run)).map(drop)
}

/// Takes the lock away from a run, whatever that does. `false`: by now somebody else holds it, who keeps it.
///
/// # Errors
/// The host cannot be asked.
pub fn break_off(host: &dyn Host, path: &str, of: &str, by: &str) -> Result<bool, HostError> {
    Ok(host.run(&script::break_off(path, of, by))?.success())
}

/// The seconds since it was renewed, and then the file.
fn found(stdout: &[u8]) -> Found {
    let text = String::from_utf8_lossy(stdout);
    let (seconds, content) = text.split_once('\n').unwrap_or((&text, ""));
    let seconds = seconds.trim().parse::<i64>().unwrap_or_default();
    Found {
        holder: serde_json::from_str(content).ok(),
        silent: Duration::from_secs(u64::try_from(seconds).unwrap_or_default()),
    }
}

fn refused(host: &dyn Host, path: &str, output: &crate::host::Output) -> LockError {
    let why = output.error_tail();
    LockError::Refused { host: host.name().to_owned(), path: path.to_owned(), why }
}

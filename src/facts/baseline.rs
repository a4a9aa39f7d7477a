//! The state of a host before this program first changed it, kept beside the receipt, for `reset` to come back to.

use crate::facts::footprint;
use crate::facts::footprint::Snapshot;
use crate::facts::footprint::Watch;
use crate::host::Entry;
use crate::host::Host;
use crate::host::HostError;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Where it lies on every host.
pub const PATH: &str = "/var/lib/kubewright/baseline.json";

/// The version of the format.
pub const VERSION: u32 = 1;

#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    #[error(transparent)]
    Host(#[from] HostError),
    #[error("the baseline `{PATH}` cannot be understood; move it away with `mv {PATH} {PATH}.broken`")]
    Corrupt(#[source] serde_json::Error),
    #[error("the baseline `{PATH}` has version {found}; this program knows version {VERSION}")]
    TooNew { found: u32 },
}

/// How a host is before the first change, and what was watched for it.
#[derive(Debug, Clone)]
pub struct Untouched {
    pub watch: Watch,
    pub snapshot: Snapshot,
}

/// Looks how the host is, and writes nothing.
///
/// # Errors
/// The host cannot be asked.
pub fn look(host: &dyn Host, watch: Watch) -> Result<Untouched, HostError> {
    let (snapshot, _) = footprint::look(host, &watch)?;
    Ok(Untouched { watch, snapshot })
}

/// Writes down how the host was when it was looked at, before the first change. A host that serves a cluster already has
/// no state to come back to.
///
/// # Errors
/// The host cannot write it.
pub fn record(host: &dyn Host, untouched: Untouched, now: OffsetDateTime) -> Result<(), HostError> {
    let snapshot = untouched.snapshot;
    if snapshot.serves_a_cluster() {
        // One that a run left behind which never came to its first change.
        return host.remove(PATH);
    }
    let taken = now.replace_nanosecond(0).unwrap_or(now).format(&Rfc3339).unwrap_or_default();
    let baseline = Snapshot { version: VERSION, taken, ..snapshot };
    let mut text = serde_json::to_string_pretty(&baseline).expect("a snapshot holds only text and numbers");
    text.push('\n');
    host.write(PATH, &Entry::file(text, 0o600))
}

/// The baseline of a host; `None` when it has none.
///
/// # Errors
/// It cannot be read or understood, or a newer version of this program wrote it.
pub fn load(host: &dyn Host) -> Result<Option<Snapshot>, BaselineError> {
    let Some(entry) = host.read(PATH)? else { return Ok(None) };
    let baseline: Snapshot =
        serde_json::from_slice(entry.content().unwrap_or_default()).map_err(BaselineError::Corrupt)?;
    if baseline.version > VERSION {
        return Err(BaselineError::TooNew { found: baseline.version });
    }
    Ok(Some(baseline))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Fake;
    use crate::host::fake::said;

    fn host(text: &'static str) -> Fake {
        Fake::new("cp1").on(&["sh", "-s"], said(0, text))
    }

    fn recorded(host: &Fake) -> Option<Snapshot> {
        record(host, look(host, Watch::default()).unwrap(), OffsetDateTime::UNIX_EPOCH).unwrap();
        load(host).unwrap()
    }

    #[test]
    fn is_written_where_no_cluster_is_served() {
        let fresh = host("interface:lo\n");
        let baseline = recorded(&fresh).unwrap();
        assert_eq!((baseline.version, baseline.taken.as_str()), (VERSION, "1970-01-01T00:00:00Z"));
        assert!(baseline.interfaces.contains("lo"));
        assert_eq!(fresh.read(PATH).unwrap().unwrap().mode, 0o600);
        let used = host("entry:600 0 0 regular file:/etc/kubernetes/manifests/etcd.yaml\n");
        assert_eq!(recorded(&used), None);
    }

    #[test]
    fn what_cannot_be_understood_is_an_error() {
        for (text, newer) in [("", false), ("{", false), ("{\"version\": 9}", true)] {
            let host = Fake::new("cp1").with(PATH, Entry::file(text, 0o600));
            match load(&host) {
                Err(BaselineError::TooNew { found: 9 }) => assert!(newer),
                Err(BaselineError::Corrupt(_)) => assert!(!newer),
                other => unreachable!("{text:?}: {other:?}"),
            }
        }
    }
}

//! A host that remembers what was looked at.

use crate::apply::receipt::sha256;
use crate::host::Change;
use crate::host::Command;
use crate::host::Entry;
use crate::host::EntryKind;
use crate::host::Host;
use crate::host::HostError;
use crate::host::Output;
use crate::host::Socket;
use crate::host::Stream;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

/// What was looked at on a host, each with a digest: a path, or a command that only looks, which counts by its exit
/// status. Nothing of it is a secret.
pub type Seen = BTreeMap<String, String>;

/// What stands for a path with nothing at it.
pub const NOTHING: &str = "absent";

/// Passes everything on to a host, and remembers what the first look at each thing showed.
pub struct Watched {
    inner: Arc<dyn Host>,
    seen: Mutex<Seen>,
}

impl Watched {
    pub fn new(inner: Arc<dyn Host>) -> Self {
        Self { inner, seen: Mutex::default() }
    }

    pub fn seen(&self) -> Seen {
        self.lock().clone()
    }

    fn note(&self, what: String, state: impl FnOnce() -> String) {
        self.lock().entry(what).or_insert_with(state);
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A short word for what stands at a path.
fn state(entry: Option<&Entry>) -> String {
    let Some(entry) = entry else { return NOTHING.to_owned() };
    let owner = entry.owner.map(|(user, group)| format!(" {user}:{group}")).unwrap_or_default();
    match &entry.kind {
        EntryKind::File(content) => format!("{} {:04o}{owner}", sha256(content), entry.mode),
        EntryKind::Directory => "directory".to_owned(),
        EntryKind::Link(target) => format!("link to {target}"),
    }
}

impl Host for Watched {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn run(&self, command: &Command) -> Result<Output, HostError> {
        let output = self.inner.run(command)?;
        if !command.changes {
            self.note(format!("`{command}`"), || format!("exit status {}", output.status));
        }
        Ok(output)
    }

    fn read(&self, path: &str) -> Result<Option<Entry>, HostError> {
        let entry = self.inner.read(path)?;
        self.note(path.to_owned(), || state(entry.as_ref()));
        Ok(entry)
    }

    fn read_many(&self, paths: &[String]) -> Result<Vec<Option<Entry>>, HostError> {
        let entries = self.inner.read_many(paths)?;
        for (path, entry) in paths.iter().zip(&entries) {
            self.note(path.clone(), || state(entry.as_ref()));
        }
        Ok(entries)
    }

    fn write(&self, path: &str, entry: &Entry) -> Result<(), HostError> {
        self.inner.write(path, entry)
    }

    fn remove(&self, path: &str) -> Result<(), HostError> {
        self.inner.remove(path)
    }

    fn change_many(&self, changes: &[Change]) -> Result<(), HostError> {
        self.inner.change_many(changes)
    }

    fn connect(&self, to: &Socket) -> Result<Stream, HostError> {
        self.inner.connect(to)
    }

    fn connect_within(&self, to: &Socket, limit: Duration) -> Result<Stream, HostError> {
        self.inner.connect_within(to, limit)
    }

    fn settle(&self) -> Result<(), HostError> {
        self.inner.settle()
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("host", &self.inner.name()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Fake;
    use crate::host::fake::said;

    #[test]
    fn remembers_what_was_looked_at_and_no_content() {
        let fake = Fake::new("cp1").with("/a", Entry::file("hunter2", 0o600)).on(&["id"], said(3, "hunter2"));
        let host = Watched::new(Arc::new(fake));
        host.read_many(&["/a".to_owned(), "/b".to_owned()]).unwrap();
        host.run(&Command::query("id")).unwrap();
        host.write("/b", &Entry::file("new", 0o600)).unwrap();
        host.read("/b").unwrap();
        let seen = host.seen();
        assert_eq!(seen["/b"], NOTHING, "what was there at first");
        assert_eq!(seen["`id`"], "exit status 3");
        assert!(seen["/a"].starts_with("sha256:") && seen["/a"].ends_with(" 0600"), "{}", seen["/a"]);
        assert!(!format!("{seen:?}").contains("hunter2"));
    }
}

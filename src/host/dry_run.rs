//! A host that is looked at but not changed.

use crate::host::Command;
use crate::host::Entry;
use crate::host::EntryKind;
use crate::host::Host;
use crate::host::HostError;
use crate::host::Output;
use crate::host::Socket;
use crate::host::Stream;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

/// Wraps a host: looking passes through, writing is only remembered, so that a later look sees it.
#[derive(Debug)]
pub struct DryRun<H> {
    inner: H,
    written: Mutex<BTreeMap<String, Option<Entry>>>,
}

impl<H: Host> DryRun<H> {
    pub fn new(inner: H) -> Self {
        Self { inner, written: Mutex::new(BTreeMap::new()) }
    }

    /// What would have been written (`None`: removed), by path.
    pub fn written(&self) -> BTreeMap<String, Option<Entry>> {
        self.lock().clone()
    }

    /// Whether something would have been written below a path, which makes it a directory.
    fn has_below(&self, path: &str) -> bool {
        let inside = format!("{path}/");
        let written = self.lock();
        written
            .range(inside.clone()..)
            .take_while(|(path, _)| path.starts_with(&inside))
            .any(|(_, entry)| entry.is_some())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Option<Entry>>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H: Host> Host for DryRun<H> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn run(&self, command: &Command) -> Result<Output, HostError> {
        if command.changes {
            return Ok(Output { status: 0, stdout: Vec::new(), stderr: Vec::new() });
        }
        self.inner.run(command)
    }

    fn read(&self, path: &str) -> Result<Option<Entry>, HostError> {
        let base = path.strip_suffix("/.").unwrap_or(path);
        let written = self.lock().get(base).cloned();
        match written {
            // The kernel follows a link before a dot.
            Some(Some(Entry { kind: EntryKind::Link(target), .. })) if base != path => {
                self.read(&format!("{target}/."))
            }
            Some(entry) => Ok(entry),
            None => match self.inner.read(path)? {
                None if self.has_below(base) => Ok(Some(Entry::directory(0o755))),
                found => Ok(found),
            },
        }
    }

    fn write(&self, path: &str, entry: &Entry) -> Result<(), HostError> {
        self.lock().insert(path.to_owned(), Some(entry.clone()));
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<(), HostError> {
        self.lock().insert(path.to_owned(), None);
        Ok(())
    }

    fn connect(&self, to: &Socket) -> Result<Stream, HostError> {
        self.inner.connect(to)
    }

    fn connect_within(&self, to: &Socket, limit: Duration) -> Result<Stream, HostError> {
        self.inner.connect_within(to, limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::blank::Blank;
    use crate::host::fake::Fake;

    #[test]
    fn remembers_writes_without_making_them() {
        let fake = Fake::new("cp1").with("/etc/kept", Entry::file("old", 0o644));
        let host = DryRun::new(fake);
        host.write("/etc/new", &Entry::file("x", 0o600)).unwrap();
        host.remove("/etc/kept").unwrap();
        assert_eq!(host.read("/etc/new").unwrap(), Some(Entry::file("x", 0o600)));
        assert_eq!(host.read("/etc/kept").unwrap(), None);
        host.write("/etc/link", &Entry::link("/var/lib/new")).unwrap();
        assert_eq!(host.read("/etc/link/.").unwrap(), None);
        host.write("/var/lib/new/file", &Entry::file("x", 0o600)).unwrap();
        assert_eq!(host.read("/etc/link/.").unwrap(), Some(Entry::directory(0o755)));
        assert_eq!(host.inner.mutations(), 0);
        assert_eq!(host.inner.read("/etc/new").unwrap(), None);
    }

    #[test]
    fn answers_for_commands_that_change_and_passes_the_others() {
        let host = DryRun::new(Blank::new("cp1"));
        assert!(host.run(&Command::change("reboot")).unwrap().success());
        assert!(!host.run(&Command::query("uname")).unwrap().success());
    }
}

//! A host of which some paths have been read already.

use crate::host::Command;
use crate::host::Entry;
use crate::host::Host;
use crate::host::HostError;
use crate::host::Output;
use crate::host::Socket;
use crate::host::Stream;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

/// Wraps a host that is only looked at: paths that will surely be asked for are read in one round trip, so that those who
/// ask need not know of each other.
#[expect(missing_debug_implementations, reason = "contents of files may be secret")]
pub struct Remembered<'a> {
    inner: &'a dyn Host,
    known: BTreeMap<String, Option<Entry>>,
}

impl<'a> Remembered<'a> {
    /// Reads the paths. Where one of them cannot be read nothing is remembered, so that whoever asks for it gets the error.
    ///
    /// # Errors
    /// The host cannot be reached.
    pub fn new(inner: &'a dyn Host, paths: BTreeSet<String>) -> Result<Self, HostError> {
        let paths: Vec<String> = paths.into_iter().collect();
        let known = match inner.read_many(&paths) {
            Ok(entries) => paths.into_iter().zip(entries).collect(),
            Err(HostError::File { .. }) => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { inner, known })
    }
}

impl Host for Remembered<'_> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn run(&self, command: &Command) -> Result<Output, HostError> {
        self.inner.run(command)
    }

    fn read(&self, path: &str) -> Result<Option<Entry>, HostError> {
        self.known.get(path).map_or_else(|| self.inner.read(path), |entry| Ok(entry.clone()))
    }

    fn write(&self, path: &str, entry: &Entry) -> Result<(), HostError> {
        self.inner.write(path, entry)
    }

    fn remove(&self, path: &str) -> Result<(), HostError> {
        self.inner.remove(path)
    }

    fn connect(&self, to: &Socket) -> Result<Stream, HostError> {
        self.inner.connect(to)
    }

    fn connect_within(&self, to: &Socket, limit: Duration) -> Result<Stream, HostError> {
        self.inner.connect_within(to, limit)
    }

    fn read_many(&self, paths: &[String]) -> Result<Vec<Option<Entry>>, HostError> {
        let asked: Vec<String> =
            paths.iter().filter(|path| !self.known.contains_key(*path)).cloned().collect();
        let mut rest = if asked.is_empty() { Vec::new() } else { self.inner.read_many(&asked)? }.into_iter();
        let entry = |path: &String| self.known.get(path).cloned().unwrap_or_else(|| rest.next().flatten());
        Ok(paths.iter().map(entry).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Fake;

    #[test]
    fn what_was_read_is_not_asked_for_again() {
        let fake = Fake::new("cp1").with("/a", Entry::file("1", 0o644)).with("/b", Entry::file("2", 0o644));
        let host = Remembered::new(&fake, BTreeSet::from(["/a".to_owned(), "/c".to_owned()])).unwrap();
        fake.write("/a", &Entry::file("later", 0o644)).unwrap();
        let paths = ["/b", "/c", "/a"].map(str::to_owned);
        let found = host.read_many(&paths).unwrap();
        assert_eq!(found, [Some(Entry::file("2", 0o644)), None, Some(Entry::file("1", 0o644))]);
        assert_eq!(host.read("/a").unwrap(), Some(Entry::file("1", 0o644)));
    }
}

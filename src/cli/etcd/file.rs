//! A file of the operator's that is only there when it is whole: a copy of etcd may be large, so it is not held in memory.
#![expect(clippy::disallowed_methods, reason = "the edge to the operator's machine, as for downloads")]

use std::fs;
use std::fs::File;
use std::fs::Permissions;
use std::io;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;

/// Only its owner may read it: a store holds every Secret of the cluster.
const MODE: u32 = 0o600;

/// Written beside the file of this name, and put in its place by [`Part::finish`]. It is gone when nobody calls that.
pub(super) struct Part {
    path: PathBuf,
    beside: PathBuf,
    file: File,
    finished: bool,
}

impl Part {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        let name = path.file_name().ok_or_else(|| io::Error::other("it names no file"))?;
        let mut part = name.to_owned();
        part.push(".part");
        let part = path.with_file_name(part);
        let file = File::options().write(true).create(true).truncate(true).mode(MODE).open(&part)?;
        // One of an earlier run may have had another mode.
        file.set_permissions(Permissions::from_mode(MODE))?;
        Ok(Self { path, beside: part, file, finished: false })
    }

    /// Brings it to the disk and gives it its name.
    pub(super) fn finish(mut self) -> io::Result<PathBuf> {
        self.file.sync_all()?;
        fs::rename(&self.beside, &self.path)?;
        self.finished = true;
        if let Some(directory) = self.path.parent() {
            File::open(directory)?.sync_all()?;
        }
        Ok(self.path.clone())
    }
}

impl Write for Part {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_file(&self.beside);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snapshot.db");
        fs::write(&path, "old").unwrap();
        let mut part = Part::create(&path).unwrap();
        part.write_all(b"half").unwrap();
        drop(part);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let mut part = Part::create(&path).unwrap();
        part.write_all(b"whole").unwrap();
        assert_eq!(part.finish().unwrap(), path);
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
    }
}

//! This machine.
#![expect(clippy::disallowed_methods, reason = "this is the seam")]

use crate::host::Command;
use crate::host::Entry;
use crate::host::EntryKind;
use crate::host::Host;
use crate::host::HostError;
use crate::host::Output;
use crate::host::Socket;
use crate::host::Stream;
use crate::host::process;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::fs::DirBuilder;
use std::fs::File;
use std::fs::OpenOptions;
use std::fs::Permissions;
use std::io;
use std::io::Write;
use std::net::TcpStream;
use std::net::ToSocketAddrs;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::fchown;
use std::os::unix::fs::lchown;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

/// How long one address may take to answer a connection attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The machine that this program runs on.
#[derive(Debug)]
pub struct Local {
    name: String,
    /// What was written or removed and may not have reached the disk.
    unsettled: Mutex<BTreeSet<PathBuf>>,
}

impl Local {
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), unsettled: Mutex::default() }
    }

    fn unsettled(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file_error(&self, action: &'static str, path: &str) -> impl FnOnce(io::Error) -> HostError {
        let (host, path) = (self.name.clone(), path.to_owned());
        move |source| HostError::File { host, action, path, source }
    }
}

impl Host for Local {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, command: &Command) -> Result<Output, HostError> {
        process::run(&self.name, command)
    }

    fn read(&self, path: &str) -> Result<Option<Entry>, HostError> {
        match read_entry(Path::new(path)) {
            Err(error) if is_absence(&error) => Ok(None),
            other => other.map(Some).map_err(self.file_error("read", path)),
        }
    }

    fn write(&self, path: &str, entry: &Entry) -> Result<(), HostError> {
        put(Path::new(path), entry).map_err(self.file_error("write", path))?;
        self.unsettled().insert(PathBuf::from(path));
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<(), HostError> {
        match remove_entry(Path::new(path)) {
            Err(error) if !is_absence(&error) => return Err(self.file_error("remove", path)(error)),
            _ => {}
        }
        self.unsettled().insert(PathBuf::from(path));
        Ok(())
    }

    fn connect(&self, to: &Socket) -> Result<Stream, HostError> {
        self.connect_within(to, CONNECT_TIMEOUT)
    }

    fn connect_within(&self, to: &Socket, limit: Duration) -> Result<Stream, HostError> {
        open(to, limit).map_err(|source| HostError::Connect {
            host: self.name.clone(),
            socket: to.to_string(),
            source,
        })
    }

    fn settle(&self) -> Result<(), HostError> {
        let paths = std::mem::take(&mut *self.unsettled());
        // Contents before the directories that lead to them.
        let ancestors: BTreeSet<&Path> = paths.iter().flat_map(|path| path.ancestors().skip(1)).collect();
        for path in paths.iter().map(PathBuf::as_path).chain(ancestors.into_iter().rev()) {
            sync(path).map_err(self.file_error("write", &path.to_string_lossy()))?;
        }
        Ok(())
    }
}

/// Brings a file or a directory to the disk. A link is part of its directory; what is gone needs nothing.
fn sync(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() || meta.is_dir() => File::open(path)?.sync_all(),
        Ok(_) => Ok(()),
        Err(error) if is_absence(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn read_entry(path: &Path) -> io::Result<Entry> {
    let meta = fs::symlink_metadata(path)?;
    let kind = if meta.is_symlink() {
        EntryKind::Link(fs::read_link(path)?.to_string_lossy().into_owned())
    } else if meta.is_dir() {
        EntryKind::Directory
    } else if meta.is_file() {
        EntryKind::File(fs::read(path)?)
    } else {
        return Err(io::Error::other("it is neither a file, a directory nor a link"));
    };
    Ok(Entry { kind, mode: meta.mode() & 0o7777, owner: Some((meta.uid(), meta.gid())) })
}

fn put(path: &Path, entry: &Entry) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not an absolute path"))?;
    make_parents(parent)?;
    match &entry.kind {
        EntryKind::Directory => put_directory(path, entry)?,
        EntryKind::File(content) => {
            put_beside(path, |temporary| write_file(temporary, content, entry, kept_owner(path, entry)))?;
        }
        EntryKind::Link(target) => put_beside(path, |temporary| {
            symlink(target, temporary)?;
            entry.owner.map_or(Ok(()), |(user, group)| lchown(temporary, Some(user), Some(group)))
        })?,
    }
    Ok(())
}

/// Makes the new entry under a temporary name in the same directory and renames it. The name is always the same,
/// so that what a killed run left behind is replaced by the next one; it starts with a dot, so that the kubelet
/// does not take it for a manifest.
fn put_beside(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let temporary = temporary_name(path)?;
    remove_file_if_present(&temporary)?;
    let done = make(&temporary).and_then(|()| fs::rename(&temporary, path));
    if done.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    done
}

fn temporary_name(path: &Path) -> io::Result<PathBuf> {
    let name =
        path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not a file name"))?;
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(".kubewright-new");
    Ok(path.with_file_name(temporary))
}

fn remove_file_if_present(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The owner to set: the wanted one, or the one of the file that is replaced.
fn kept_owner(path: &Path, entry: &Entry) -> Option<(u32, u32)> {
    entry.owner.or_else(|| {
        let meta = fs::symlink_metadata(path).ok()?;
        let ours = rustix::process::geteuid().as_raw() == meta.uid()
            && rustix::process::getegid().as_raw() == meta.gid();
        (!ours).then(|| (meta.uid(), meta.gid()))
    })
}

fn write_file(path: &Path, content: &[u8], entry: &Entry, owner: Option<(u32, u32)>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(entry.mode & 0o600).open(path)?;
    if let Some((user, group)) = owner {
        fchown(&file, Some(user), Some(group))?;
    }
    // After the owner, since a change of owner clears the set-user-id bits; before the content.
    file.set_permissions(Permissions::from_mode(entry.mode))?;
    file.write_all(content)
}

fn put_directory(path: &Path, entry: &Entry) -> io::Result<()> {
    match DirBuilder::new().mode(entry.mode).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Err(_) if !fs::symlink_metadata(path)?.is_dir() => {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "something else stands there"));
        }
        _ => {}
    }
    if let Some((user, group)) = entry.owner {
        lchown(path, Some(user), Some(group))?;
    }
    fs::set_permissions(path, Permissions::from_mode(entry.mode))
}

fn make_parents(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let parent = directory.parent();
    if let Some(parent) = parent {
        make_parents(parent)?;
    }
    match DirBuilder::new().mode(0o755).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => return Ok(()),
        other => other?,
    }
    fs::set_permissions(directory, Permissions::from_mode(0o755))
}

fn remove_entry(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) }
}

fn open(to: &Socket, limit: Duration) -> io::Result<Stream> {
    match to {
        Socket::Unix { path } => UnixStream::connect(path).map(Stream::Unix),
        Socket::Tcp { host, port } => {
            let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            for address in (host.as_str(), *port).to_socket_addrs()? {
                match TcpStream::connect_timeout(&address, limit) {
                    Ok(stream) => return Ok(Stream::Tcp(stream)),
                    Err(error) => last = error,
                }
            }
            Err(last)
        }
    }
}

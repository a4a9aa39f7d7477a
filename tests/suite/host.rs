//! The local host, on a real file system with real processes.
#![expect(clippy::disallowed_methods, reason = "the test looks at what the seam left behind")]

use crate::skip::skip;
use kubewright::host::Command;
use kubewright::host::Entry;
use kubewright::host::EntryKind;
use kubewright::host::Host;
use kubewright::host::HostError;
use kubewright::host::Local;
use kubewright::host::Socket;
use std::fs;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;
use std::time::Duration;
use std::time::Instant;
use tempfile::TempDir;

fn local() -> Local {
    Local::new("here")
}

fn path(directory: &TempDir, name: &str) -> String {
    directory.path().join(name).to_str().unwrap().to_owned()
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn writes_and_reads_back_every_kind() {
    let directory = tempfile::tempdir().unwrap();
    for (name, entry) in [
        ("secret", Entry::file("key", 0o600)),
        ("program", Entry::file([0, 159, 146, 150], 0o755)),
        ("deep/er/file", Entry::file("", 0o644)),
        ("directory", Entry::directory(0o700)),
        ("link", Entry::link("secret")),
        ("dangling", Entry::link("/nowhere")),
    ] {
        let path = path(&directory, name);
        for _ in 0..2 {
            local().write(&path, &entry).unwrap();
            let found = local().read(&path).unwrap().unwrap();
            assert_eq!((&found.kind, found.mode), (&entry.kind, entry.mode), "{name}");
            assert!(found.owner.is_some());
        }
    }
    assert_eq!(fs::metadata(path(&directory, "deep/er")).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(names(directory.path()), ["dangling", "deep", "directory", "link", "program", "secret"]);
}

#[test]
fn replaces_a_link_and_not_what_it_points_to() {
    let directory = tempfile::tempdir().unwrap();
    let (target, link) = (path(&directory, "target"), path(&directory, "link"));
    local().write(&target, &Entry::file("old", 0o644)).unwrap();
    local().write(&link, &Entry::link(&*target)).unwrap();
    assert_eq!(local().read(&link).unwrap().unwrap().kind, EntryKind::Link(target.clone()));
    local().write(&link, &Entry::file("new", 0o644)).unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), "old");
    assert_eq!(fs::read_to_string(&link).unwrap(), "new");
    assert!(local().read(&format!("{}/.", directory.path().display())).unwrap().is_some());
}

#[test]
fn what_a_killed_run_left_behind_is_swept_away() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(".file.kubewright-new"), "half").unwrap();
    local().write(&path(&directory, "file"), &Entry::file("whole", 0o600)).unwrap();
    assert_eq!(names(directory.path()), ["file"]);
}

#[test]
fn removing_what_is_not_there_is_fine() {
    let directory = tempfile::tempdir().unwrap();
    let file = path(&directory, "file");
    local().write(&file, &Entry::file("", 0o600)).unwrap();
    for _ in 0..2 {
        local().remove(&file).unwrap();
        assert_eq!(local().read(&file).unwrap(), None);
    }
    assert_eq!(local().read(&format!("{file}/below/nothing")).unwrap(), None);
    local().write(&path(&directory, "full/file"), &Entry::file("", 0o600)).unwrap();
    let error = local().remove(&path(&directory, "full")).unwrap_err();
    assert_eq!(error.io_kind(), Some(ErrorKind::DirectoryNotEmpty));
}

#[test]
fn keeps_the_owner_of_a_file_that_it_replaces() {
    let directory = tempfile::tempdir().unwrap();
    let file = path(&directory, "file");
    local().write(&file, &Entry::file("old", 0o640)).unwrap();
    if std::os::unix::fs::chown(&file, Some(12), Some(34)).is_err() {
        skip("keeps_the_owner_of_a_file_that_it_replaces", "needs root");
        return;
    }
    local().write(&file, &Entry::file("new", 0o640)).unwrap();
    let meta = fs::metadata(&file).unwrap();
    assert_eq!((meta.uid(), meta.gid()), (12, 34));
    local().write(&file, &Entry { owner: Some((0, 0)), ..Entry::file("new", 0o640) }).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().uid(), 0);
}

/// A file system of 64 KiB that goes away with the test.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let status = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
            .arg(directory.path())
            .stderr(std::process::Stdio::null())
            .status();
        status.is_ok_and(|status| status.success()).then_some(Self(directory))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_leaves_the_old_file_and_no_other() {
    let Some(disk) = SmallDisk::new() else {
        skip("a_full_disk_leaves_the_old_file_and_no_other", "cannot mount a tmpfs here");
        return;
    };
    let file = path(&disk.0, "file");
    local().write(&file, &Entry::file("old", 0o600)).unwrap();
    let error = local().write(&file, &Entry::file(vec![b'x'; 100_000], 0o600)).unwrap_err();
    assert_eq!(error.io_kind(), Some(ErrorKind::StorageFull), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "old");
    assert_eq!(names(disk.0.path()), ["file"]);
}

fn sh(script: &str) -> Command {
    Command::query("sh").arg("-c").arg(script)
}

#[test]
fn runs_commands_and_keeps_both_streams() {
    let output = local().run(&sh("cat; echo out; echo err >&2; exit 3").stdin("in ")).unwrap();
    assert_eq!((output.status, output.text().as_str(), output.error_tail().as_str()), (3, "in out", "err"));
    let output = local().run(&sh("echo $A $LC_ALL").env("A", "b c")).unwrap();
    assert_eq!(output.text(), "b c C");
    assert_eq!(local().run(&sh("kill -9 $$")).unwrap().status, 137);
    let error = local().run(&Command::query("/no/such/program")).unwrap_err();
    assert!(matches!(&error, HostError::Start { .. }) && error.io_kind() == Some(ErrorKind::NotFound));
}

#[test]
fn a_flood_on_either_stream_blocks_nobody() {
    let flood =
        sh("head -c 3000000 /dev/zero >&2; head -c 3000000 /dev/zero").timeout(Duration::from_secs(20));
    let output = local().run(&flood).unwrap();
    assert_eq!((output.stdout.len(), output.stderr.len()), (3_000_000, 3_000_000));
    // More input than a pipe holds, to a program that does not read it.
    let ignored = Command::query("true").stdin(vec![b'x'; 1_000_000]).timeout(Duration::from_secs(20));
    assert!(local().run(&ignored).unwrap().success());
}

#[test]
fn a_deadline_ends_the_whole_group() {
    let directory = tempfile::tempdir().unwrap();
    let marker = path(&directory, "marker");
    let start = Instant::now();
    let script = format!("(sleep 2; touch {marker}) & sleep 60");
    let error = local().run(&sh(&script).timeout(Duration::from_millis(200))).unwrap_err();
    assert!(matches!(error, HostError::Timeout { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(2));
    thread::sleep(Duration::from_millis(2500));
    assert!(!Path::new(&marker).exists(), "the child of the child lived on");
}

#[test]
fn a_command_that_leaves_somebody_in_the_background_returns() {
    let start = Instant::now();
    let output = local().run(&sh("sleep 20 & echo done")).unwrap();
    assert_eq!(output.text(), "done");
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn connects_to_both_kinds_of_socket() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let unix_path = path(&directory, "socket");
    let unix = UnixListener::bind(&unix_path).unwrap();
    let port = tcp.local_addr().unwrap().port();
    thread::spawn(move || tcp.accept().unwrap().0.write_all(b"tcp").unwrap());
    thread::spawn(move || unix.accept().unwrap().0.write_all(b"unix").unwrap());
    for (socket, expected) in
        [(Socket::Tcp { host: "localhost".into(), port }, "tcp"), (Socket::Unix { path: unix_path }, "unix")]
    {
        let mut stream = local().connect(&socket).unwrap();
        stream.set_timeout(Duration::from_secs(5)).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert_eq!(text, expected);
    }
    let nobody = local().connect(&Socket::Unix { path: path(&directory, "none") }).unwrap_err();
    assert_eq!(nobody.io_kind(), Some(ErrorKind::NotFound));
}

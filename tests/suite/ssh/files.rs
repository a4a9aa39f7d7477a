//! Reading and changing files.

use crate::ssh::server::Server;
use crate::ssh::server::alone;
use kubewright::host::Change;
use kubewright::host::Entry;
use kubewright::host::EntryKind;
use kubewright::host::Host;
use kubewright::host::HostError;
use kubewright::host::Local;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;

fn write(path: &str, entry: Entry) -> Change {
    Change::Write { path: path.to_owned(), entry }
}

fn remove(path: &str) -> Change {
    Change::Remove { path: path.to_owned() }
}

/// Everything below a directory: path, mode, owner, and content or target.
fn tree(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let what = if meta.is_symlink() {
            format!("-> {}", fs::read_link(&path).unwrap().display())
        } else if meta.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            "directory".to_owned()
        } else {
            format!("{:?}", fs::read(&path).unwrap())
        };
        let mode = if meta.is_symlink() { 0 } else { meta.mode() & 0o7777 };
        let name = path.strip_prefix(root).unwrap().display().to_string();
        found.push(format!("{name:?} {mode:o} {}:{} {what}", meta.uid(), meta.gid()));
    }
    found.sort();
    found
}

/// The same changes on two directories, by SSH and here; the outcome and the trees must be equal.
fn same_as_here(server: &Server, prepare: impl Fn(&Path), changes: impl Fn(&str) -> Vec<Change>) {
    let ssh = server.connect();
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    prepare(there.path());
    prepare(here.path());
    let by_ssh = ssh.change_many(&changes(there.path().to_str().unwrap()));
    let by_local = Local::new("box").change_many(&changes(here.path().to_str().unwrap()));
    assert_eq!(tree(there.path()), tree(here.path()));
    match (by_ssh, by_local) {
        (Ok(()), Ok(())) => {}
        (
            Err(HostError::File { action, path, source, .. }),
            Err(HostError::File { action: other, path: local, source: why, .. }),
        ) => {
            let below =
                |path: &str, root: &Path| path.strip_prefix(root.to_str().unwrap()).unwrap().to_owned();
            assert_eq!(
                (action, below(&path, there.path())),
                (other, below(&local, here.path())),
                "{source} {why}"
            );
            assert_eq!(source.kind(), why.kind(), "{source} / {why}");
        }
        (ssh, local) => panic!("ssh: {ssh:?}, here: {local:?}"),
    }
    // What is read back is the same too, and nothing of our own is left lying about.
    let names: Vec<String> =
        tree(there.path()).into_iter().filter(|line| line.contains("kubewright")).collect();
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn many_files_of_all_kinds_arrive_as_they_are() {
    let Some(server) = Server::start("many_files_of_all_kinds_arrive_as_they_are") else { return };
    let changes = |root: &str| {
        let mut changes = vec![
            write(&format!("{root}/empty"), Entry::file("", 0o600)),
            write(&format!("{root}/odd\nname 'é' \"$x\" `id` *"), Entry::file(b"\0\xff\n\n".to_vec(), 0o640)),
            write(&format!("{root}/-n"), Entry::file("dash", 0o755)),
            write(&format!("{root}/{}/{}", "d".repeat(120), "f".repeat(200)), Entry::file("long", 0o644)),
            write(&format!("{root}/set-user-id"), Entry::file("x", 0o4755)),
            write(&format!("{root}/big"), Entry::file(vec![7; 3_000_001], 0o600)),
            write(&format!("{root}/link"), Entry::link("to nowhere")),
            write(&format!("{root}/dir"), Entry::directory(0o700)),
            write(&format!("{root}/dir/inside"), Entry::file("inside", 0o600)),
            write(&format!("{root}/dir/sub/deep"), Entry::file("deep", 0o600)),
            write(&format!("{root}/dir/sub"), Entry::directory(0o711)),
            write(&format!("{root}/twice"), Entry::file("first", 0o600)),
            write(&format!("{root}/twice"), Entry::file("second", 0o644)),
            remove(&format!("{root}/empty")),
            remove(&format!("{root}/was never there")),
        ];
        for n in 0..500 {
            let content = format!("content {n}\n").repeat(n);
            changes.push(write(&format!("{root}/many/{}/file {n}", n % 7), Entry::file(content, 0o600)));
        }
        changes
    };
    same_as_here(&server, |_| {}, changes);
}

#[test]
fn what_is_there_is_replaced_as_on_this_machine() {
    let Some(server) = Server::start("what_is_there_is_replaced_as_on_this_machine") else { return };
    let prepare = |root: &Path| {
        fs::write(root.join("file"), "old").unwrap();
        fs::create_dir(root.join("real")).unwrap();
        fs::write(root.join("real/kept"), "kept").unwrap();
        std::os::unix::fs::symlink("real", root.join("way")).unwrap();
        std::os::unix::fs::symlink("real", root.join("link")).unwrap();
        fs::create_dir(root.join("empty")).unwrap();
        fs::create_dir(root.join(".kubewright-new")).unwrap();
        fs::write(root.join(".kubewright-new/stale"), "of a killed run").unwrap();
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(root.join("file"), Some(1234), Some(5678)).unwrap();
        }
    };
    let changes = |root: &str| {
        let mut changes = vec![
            // The owner of what is replaced is kept.
            write(&format!("{root}/file"), Entry::file("new", 0o600)),
            // Through a link that leads to a directory, and in place of one.
            write(&format!("{root}/way/new"), Entry::file("x", 0o600)),
            write(&format!("{root}/link"), Entry::file("no link any more", 0o600)),
            write(&format!("{root}/real"), Entry::directory(0o700)),
            remove(&format!("{root}/empty")),
            remove(&format!("{root}/way")),
        ];
        if rustix::process::geteuid().is_root() {
            let owned = Entry { owner: Some((1111, 2222)), ..Entry::file("owned", 0o640) };
            let directory = Entry { owner: Some((1111, 2222)), ..Entry::directory(0o2750) };
            let link = Entry { owner: Some((1111, 2222)), ..Entry::link("x") };
            changes.push(write(&format!("{root}/owned"), owned));
            changes.push(write(&format!("{root}/owned dir"), directory));
            changes.push(write(&format!("{root}/owned link"), link));
        }
        changes
    };
    // The stale directory of ours is no business of the local host.
    let ssh = server.connect();
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    prepare(there.path());
    prepare(here.path());
    fs::remove_dir_all(here.path().join(".kubewright-new")).unwrap();
    ssh.change_many(&changes(there.path().to_str().unwrap())).unwrap();
    Local::new("box").change_many(&changes(here.path().to_str().unwrap())).unwrap();
    assert_eq!(tree(there.path()), tree(here.path()));
    ssh.settle().unwrap();
    // Nothing is left to be settled: this asks the host for nothing.
    ssh.settle().unwrap();
}

#[test]
fn changes_are_made_and_settled_in_one_go() {
    let Some(server) = Server::start("changes_are_made_and_settled_in_one_go") else { return };
    let there = tempfile::tempdir().unwrap();
    let root = there.path().to_str().unwrap();
    let ssh = server.connect();
    ssh.change_many(&[write(&format!("{root}/earlier"), Entry::file("1", 0o600))]).unwrap();
    let changes =
        [write(&format!("{root}/new/file"), Entry::file("2", 0o640)), remove(&format!("{root}/gone"))];
    ssh.change_and_settle(&changes).unwrap();
    assert_eq!(fs::read_to_string(there.path().join("new/file")).unwrap(), "2");
    // Neither is left to be settled: that needs no host any more.
    drop(server);
    ssh.settle().unwrap();
    // One of them that cannot be made is named as ever, and what was made before it is still to be settled.
    let Some(server) = Server::start("changes_are_made_and_settled_in_one_go") else { return };
    let ssh = server.connect();
    let changes = [
        write(&format!("{root}/made"), Entry::file("3", 0o600)),
        write(&format!("{root}/made/below"), Entry::file("4", 0o600)),
    ];
    let error = ssh.change_and_settle(&changes).unwrap_err();
    assert!(error.to_string().contains("made/below"), "{error}");
    assert_eq!(fs::read_to_string(there.path().join("made")).unwrap(), "3");
    ssh.settle().unwrap();
}

#[test]
fn the_first_failure_ends_it_and_is_named() {
    let Some(server) = Server::start("the_first_failure_ends_it_and_is_named") else { return };
    let prepare = |root: &Path| {
        fs::write(root.join("a file"), "x").unwrap();
        fs::create_dir_all(root.join("full/of things")).unwrap();
    };
    let before = |root: &str| {
        vec![
            write(&format!("{root}/before"), Entry::file("x", 0o600)),
            write(&format!("{root}/before too"), Entry::file("x", 0o600)),
        ]
    };
    let after = |root: &str| {
        vec![
            write(&format!("{root}/after"), Entry::file("x", 0o600)),
            write(&format!("{root}/d/after"), Entry::file("x", 0o600)),
            remove(&format!("{root}/a file")),
        ]
    };
    let bad: [fn(&str) -> Change; 6] = [
        |root| write(&format!("{root}/a file/below"), Entry::file("x", 0o600)),
        |root| write(&format!("{root}/full"), Entry::file("x", 0o600)),
        |root| write(&format!("{root}/a file"), Entry::directory(0o700)),
        |root| remove(&format!("{root}/full")),
        |root| write(&format!("{root}/full"), Entry::link("x")),
        |root| write(&format!("{root}/{}", "n".repeat(300)), Entry::file("x", 0o600)),
    ];
    for bad in bad {
        same_as_here(&server, prepare, |root| [before(root), vec![bad(root)], after(root)].concat());
        same_as_here(&server, prepare, |root| [vec![bad(root)], after(root)].concat());
    }
    let ssh = server.connect();
    for path in ["relative", "/", "/ends/"] {
        let error = ssh.change_many(&[write(path, Entry::file("x", 0o600))]).unwrap_err();
        assert_eq!(error.io_kind(), Some(ErrorKind::InvalidInput), "{path}");
    }
}

#[test]
fn a_full_disk_leaves_what_fitted() {
    let test = "a_full_disk_leaves_what_fitted";
    if !rustix::process::geteuid().is_root() {
        crate::skip::skip(test, "mounting needs root");
        return;
    }
    let Some(server) = Server::start(test) else { return };
    let disk = tempfile::tempdir().unwrap();
    let root = disk.path().to_str().unwrap();
    crate::ssh::server::ok("mount", &["-t", "tmpfs", "-o", "size=1m", "none", root]);
    let changes = [
        write(&format!("{root}/small"), Entry::file("fits", 0o600)),
        write(&format!("{root}/large"), Entry::file(vec![1; 4_000_000], 0o600)),
        write(&format!("{root}/after"), Entry::file("would fit", 0o600)),
    ];
    let outcome = server.connect().change_many(&changes);
    let left = tree(disk.path());
    crate::ssh::server::ok("umount", &[root]);
    let error = outcome.unwrap_err();
    assert_eq!(error.io_kind(), Some(ErrorKind::StorageFull), "{error:?}");
    assert!(error.to_string().ends_with("/large`"), "{error}");
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left[1].starts_with("\"small\" 600"), "{left:?}");
}

#[test]
fn what_is_read_is_what_is_there() {
    let Some(server) = Server::start("what_is_read_is_what_is_there") else { return };
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let names = ["empty", "odd\nname 'é' \"$x\" `id` *", "-n", "zero", "big"];
    let contents: [&[u8]; 5] = [b"", b"--\n.\n", b"\0\xff", b"\0\0\0", &vec![9; 2_000_003]];
    for (name, content) in names.iter().zip(contents) {
        fs::write(root.join(name), content).unwrap();
        fs::set_permissions(root.join(name), PermissionsExt::from_mode(0o4640)).unwrap();
    }
    fs::create_dir(root.join("directory")).unwrap();
    std::os::unix::fs::symlink("odd\nname", root.join("link")).unwrap();
    std::os::unix::fs::symlink("directory", root.join("way")).unwrap();
    fs::write(root.join("directory/file"), "x").unwrap();
    let mut paths: Vec<String> =
        names.iter().map(|name| root.join(name).to_str().unwrap().to_owned()).collect();
    for name in ["directory", "link", "way", "way/file", "absent", "absent/below", "big/below a file"] {
        paths.push(root.join(name).to_str().unwrap().to_owned());
    }
    paths
        .extend(["/proc/sys/kernel/hostname", "/proc/self/mounts", "/sys/kernel/mm", "/"].map(str::to_owned));
    paths.extend((0..900).map(|n| root.join(format!("many {n}")).to_str().unwrap().to_owned()));
    for n in 0..450 {
        fs::write(root.join(format!("many {}", n * 2)), n.to_string()).unwrap();
    }
    let (ssh, local) = (server.connect(), Local::new("box"));
    let found = ssh.read_many(&paths).unwrap();
    for (path, found) in paths.iter().zip(&found) {
        if path == "/proc/self/mounts" {
            assert!(found.as_ref().unwrap().content().unwrap().len() > 10);
            continue;
        }
        assert_eq!(*found, local.read(path).unwrap(), "{path}");
    }
    assert_eq!(ssh.read_many(&[]).unwrap(), []);
    // A device is none of the kinds.
    let error = ssh.read("/dev/null").unwrap_err();
    assert_eq!(error.io_kind(), Some(ErrorKind::Other), "{error}");
}

#[test]
fn files_that_change_meanwhile_are_read_whole() {
    let Some(server) = Server::start("files_that_change_meanwhile_are_read_whole") else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("moving");
    let replace = |n: usize| {
        let new = directory.path().join("new");
        fs::write(&new, n.to_string().repeat(n)).unwrap();
        fs::rename(&new, &path).unwrap();
    };
    replace(5);
    let ssh = server.connect();
    let stop = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 1;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                replace(1 + n % 9);
                n += 1;
            }
        });
        for _ in 0..20 {
            let entry = ssh.read(path.to_str().unwrap()).unwrap().unwrap();
            let text = String::from_utf8(entry.content().unwrap().to_vec()).unwrap();
            let n: usize = text[..1].parse().unwrap();
            assert_eq!(text, n.to_string().repeat(n));
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn a_large_file_is_not_held_twice() {
    const SIZE: usize = 200 << 20;
    if !alone("ssh::files::a_large_file_is_not_held_twice") {
        return;
    }
    let Some(server) = Server::start("a_large_file_is_not_held_twice") else { return };
    let ssh = server.connect();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image.tar").to_str().unwrap().to_owned();
    let content: Vec<u8> = (0..SIZE / 4).flat_map(|n| u32::try_from(n).unwrap().to_le_bytes()).collect();
    let changes = [write(&path, Entry { kind: EntryKind::File(content), ..Entry::file("", 0o600) })];
    let before = memory();
    let start = std::time::Instant::now();
    ssh.change_many(&changes).unwrap();
    let took = start.elapsed();
    let grown = memory().saturating_sub(before);
    println!("200 MiB written in {took:?}, {grown} KiB more memory at most");
    let Change::Write { entry, .. } = &changes[0] else { unreachable!() };
    let same = fs::read(&path).unwrap() == entry.content().unwrap();
    assert!(same);
    assert!(grown < 20 * 1024, "{grown} KiB more");
}

/// The most memory that this process ever had, in KiB.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

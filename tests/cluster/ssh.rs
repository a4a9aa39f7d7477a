//! Hosts over SSH as they are: real sudo, passwords behind PAM, a user without rights, a cable that is pulled; and that a
//! host says of itself over SSH what it says on itself.

use crate::lab;
use crate::lab::Host as LabHost;
use crate::turn::Turn;
use kubewright::cluster::site::Access;
use kubewright::cluster::site::HostKeyChecking;
use kubewright::cluster::site::Sudo;
use kubewright::facts::HostFacts;
use kubewright::facts::Questions;
use kubewright::facts::gather;
use kubewright::host::Change;
use kubewright::host::Command;
use kubewright::host::Entry;
use kubewright::host::Host;
use kubewright::host::HostError;
use kubewright::host::Local;
use kubewright::host::ssh::Environment;
use kubewright::host::ssh::Operator;
use kubewright::host::ssh::Ssh;
use kubewright::host::ssh::SshError;
use kubewright::host::ssh::Trouble;
use kubewright::host::ssh::config::SshConfig;
use kubewright::host::ssh::prompt::Nobody;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::MutexGuard;
use std::time::Duration;
use std::time::Instant;
use tempfile::TempDir;
use zeroize::Zeroizing;

const NAME: &str = "kwt-s1";
const OCTET: u8 = 71;

/// Says of the host that it runs on what [`gather`] finds there.
const TELLS: &str = "KUBEWRIGHT_TEST_TELLS_FACTS";

/// A host with a user `ops`, and an operator who has a home of their own.
struct Scene {
    host: LabHost,
    home: TempDir,
    /// There is one host of that name.
    _turn: MutexGuard<'static, ()>,
}

impl Scene {
    fn new() -> Self {
        static TURN: Turn = Turn::new();
        let turn = TURN.take();
        let host = LabHost::with_runtime(NAME, OCTET);
        host.ok("useradd -m -s /bin/bash ops && echo 'ops:open sesame' | chpasswd");
        host.ok("install -d -o ops -m 700 ~ops/.ssh && install -o ops ~/.ssh/authorized_keys ~ops/.ssh/");
        Self { host, home: tempfile::tempdir().unwrap(), _turn: turn }
    }

    fn access(user: &str) -> Access {
        Access {
            host: format!("10.77.0.{OCTET}"),
            user: Some(user.to_owned()),
            identity_file: Some(lab::key()),
            host_key_checking: Some(HostKeyChecking::AcceptNew),
            ..Access::default()
        }
    }

    fn operator(&self, password: Option<&str>) -> Operator {
        let environment = Environment {
            home: Some(self.home.path().to_owned()),
            password: password.map(|text| Zeroizing::new(text.to_owned())),
            ..Environment::default()
        };
        let mut operator = Operator::new(environment, Arc::new(Nobody)).unwrap();
        operator.config = SshConfig::default();
        operator
    }

    fn connect(&self, access: &Access, password: Option<&str>) -> Result<Ssh, SshError> {
        Ssh::connect(NAME, access, &self.operator(password))
    }
}

fn questions() -> Questions {
    let mut questions = Questions::general();
    questions.paths.extend(["/etc/kubernetes/manifests".to_owned(), "/root".to_owned()]);
    questions.names.insert("localhost".to_owned());
    questions.directories.extend(["/var/lib/etcd".to_owned(), "/var/lib/containerd".to_owned()]);
    questions.ports.extend([22, 10250]);
    questions.cri_socket = Some("unix:///var/run/containerd/containerd.sock".to_owned());
    questions.images.insert("registry.k8s.io/pause:3.10.1".to_owned());
    questions.images.insert("registry.k8s.io/no-such-image:1".to_owned());
    questions.accounts = true;
    questions
}

/// Facts without what differs between two looks: free space, and the number of a process.
fn stable(mut facts: HostFacts) -> serde_json::Value {
    for disk in facts.checks.disks.values_mut() {
        disk.free = 0;
    }
    serde_json::to_value(facts).unwrap()
}

/// Run on a lab host by the test below; elsewhere it has nothing to say.
#[test]
fn facts_are_told_where_they_are_asked_for() {
    if std::env::var_os(TELLS).is_some() {
        let facts = gather::gather(&Local::new(NAME), &questions().local(BTreeMap::new())).unwrap();
        println!("facts:{}", stable(facts));
    }
}

#[test]
fn a_host_says_over_ssh_what_it_says_on_itself() {
    if !lab::bare_available("a_host_says_over_ssh_what_it_says_on_itself") {
        return;
    }
    let scene = Scene::new();
    scene.host.ok("echo 'ops ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/ops");
    scene.host.put(&std::env::current_exe().unwrap(), "/root/tells");
    let line =
        format!("{TELLS}=1 /root/tells --exact ssh::facts_are_told_where_they_are_asked_for --nocapture");
    let said = scene.host.ok(&line);
    let local = said.lines().find_map(|line| line.split_once("facts:")).unwrap().1;
    let local: serde_json::Value = serde_json::from_str(local).unwrap();
    // As it is, and where sshd opens no streams and the socket is root's alone.
    for (user, forwarding) in [("root", "yes"), ("root", "no"), ("ops", "yes")] {
        scene.host.ok(&format!("echo 'AllowStreamLocalForwarding {forwarding}' >/root/lines"));
        scene
            .host
            .ok("cat /root/lines /etc/ssh/sshd_config >/root/new && cat /root/new >/etc/ssh/sshd_config");
        scene.host.ok("systemctl reload ssh");
        let ssh = scene.connect(&Scene::access(user), None).unwrap();
        let start = Instant::now();
        let far = stable(gather::gather(&ssh, &questions()).unwrap());
        println!("facts as {user} in {:?}", start.elapsed());
        let (far, near) = (far.as_object().unwrap(), local.as_object().unwrap());
        for (name, value) in near {
            if name != "checks" {
                assert_eq!(far.get(name), Some(value), "{name} as {user}");
            }
        }
        let (far, near) = (far["checks"].as_object().unwrap(), near["checks"].as_object().unwrap());
        for (name, value) in near {
            assert_eq!(far.get(name), Some(value), "{name} as {user}, streams: {forwarding}");
        }
        assert_eq!(far.len(), near.len());
        let basics = gather::basics(&ssh).unwrap();
        assert_eq!(basics.hostname, NAME);
        assert_eq!(basics.cri_sockets, ["unix:///var/run/containerd/containerd.sock"]);
    }
}

#[test]
fn a_user_becomes_root_as_sudoers_has_it() {
    if !lab::bare_available("a_user_becomes_root_as_sudoers_has_it") {
        return;
    }
    let scene = Scene::new();
    let sudoers = |text: &str| scene.host.write("/etc/sudoers.d/ops", text);
    let access = Scene::access("ops");
    let whoami = Command::change("sh").args(["-c", "id -un; cat"]).stdin("given");
    let outcome = |password: Option<&str>| scene.connect(&access, password).unwrap().run(&whoami);
    let refused = |password: Option<&str>| match outcome(password).unwrap_err() {
        HostError::Ssh(error) => *error,
        other => panic!("{other:?}"),
    };
    let error = refused(None);
    assert_eq!(error.trouble, Trouble::SudoRefused, "{error}");
    let error = refused(Some("open sesame"));
    assert!(error.message.contains("does not let ops become root"), "{error}");
    for (text, password) in [
        ("ops ALL=(ALL) NOPASSWD: ALL\n", None),
        ("ops ALL=(ALL) NOPASSWD: ALL\n", Some("not asked for")),
        ("ops ALL=(ALL) ALL\n", Some("open sesame")),
        ("Defaults use_pty\nDefaults:ops timestamp_timeout=0\nops ALL=(ALL) ALL\n", Some("open sesame")),
    ] {
        sudoers(text);
        let ssh = scene.connect(&access, password).unwrap();
        let output = ssh.run(&whoami).unwrap();
        assert_eq!((output.status, output.text().as_str()), (0, "root\ngiven"), "{text}: {output:?}");
        let owned = Entry { owner: Some((0, 0)), ..Entry::file("of root", 0o600) };
        let changes: Vec<Change> = (0..50)
            .map(|n| Change::Write { path: format!("/etc/kubewright-test/file {n}"), entry: owned.clone() })
            .collect();
        ssh.change_many(&changes).unwrap();
        ssh.settle().unwrap();
        assert_eq!(ssh.read("/etc/kubewright-test/file 49").unwrap(), Some(owned));
        assert_eq!(scene.host.ok("stat -c '%U %a' /etc/kubewright-test/file*49").trim(), "root 600");
        let slow = Command::query("sleep").arg("765").timeout(Duration::from_millis(800));
        assert!(matches!(ssh.run(&slow), Err(HostError::Timeout { .. })), "{text}");
        assert_ne!(scene.host.run("pgrep -f 'sleep 765'").code, 0, "{text}");
        scene.host.ok("rm -r /etc/kubewright-test");
    }
    sudoers("ops ALL=(ALL) ALL\n");
    let error = refused(None);
    assert!(error.message.contains("nobody told it"), "{error}");
    let error = refused(Some("hunter2"));
    assert!(error.message.contains("does not take the password"), "{error}");
    sudoers("Defaults:ops requiretty\nops ALL=(ALL) NOPASSWD: ALL\n");
    let error = refused(None);
    assert!(error.message.contains("wants a terminal"), "{error}");
    let wrong =
        scene.host.ok("journalctl -t sudo --no-pager | grep -c 'incorrect password'").trim().to_owned();
    assert_eq!(wrong, "1", "a wrong password is given once");
}

#[test]
fn a_user_without_rights_gets_as_far_as_it_may() {
    if !lab::bare_available("a_user_without_rights_gets_as_far_as_it_may") {
        return;
    }
    let scene = Scene::new();
    let ssh = scene.connect(&Access { sudo: Sudo::Never, ..Scene::access("ops") }, None).unwrap();
    let write = |path: &str| Change::Write { path: path.to_owned(), entry: Entry::file("x", 0o640) };
    let denied = |changes: &[Change], at: &str| {
        let error = ssh.change_many(changes).unwrap_err();
        assert_eq!(error.io_kind(), Some(ErrorKind::PermissionDenied), "{error:?}");
        assert!(error.to_string().contains(&format!("`{at}`")), "{error}");
    };
    let changes =
        [write("/home/ops/one"), write("/home/ops/d/two"), write("/etc/three"), write("/home/ops/e/four")];
    denied(&changes, "/etc/three");
    assert_eq!(scene.host.ok("cd /home/ops && stat -c '%n %U %a' one d d/two").lines().count(), 3);
    assert_ne!(scene.host.run("ls /home/ops/e").code, 0);
    assert_eq!(scene.host.ok("find / -xdev -name .kubewright-new").trim(), "");
    denied(&[Change::Remove { path: "/etc/passwd".to_owned() }], "/etc/passwd");
    denied(&[Change::Remove { path: "/root/absent".to_owned() }], "/root/absent");
    let owned = Entry { owner: Some((0, 0)), ..Entry::file("x", 0o600) };
    denied(&[Change::Write { path: "/home/ops/owned".to_owned(), entry: owned }], "/home/ops/owned");
    scene.host.ok("install -m 600 /dev/null /home/ops/closed; chown root /home/ops/closed");
    for (path, expected) in [
        ("/home/ops/absent", Ok(false)),
        ("/home/ops/absent/below", Ok(false)),
        ("/home/ops/one", Ok(true)),
        ("/home/ops/closed", Err(ErrorKind::PermissionDenied)),
        ("/root/absent", Err(ErrorKind::PermissionDenied)),
        ("/root/.ssh/authorized_keys", Err(ErrorKind::PermissionDenied)),
        ("/etc/shadow", Err(ErrorKind::PermissionDenied)),
    ] {
        let found = ssh.read(path).map(|entry| entry.is_some()).map_err(|error| error.io_kind().unwrap());
        assert_eq!(found, expected, "{path}");
    }
}

#[test]
fn passwords_are_taken_in_either_way() {
    if !lab::bare_available("passwords_are_taken_in_either_way") {
        return;
    }
    let scene = Scene::new();
    let access = Access { identity_file: None, sudo: Sudo::Never, ..Scene::access("ops") };
    let configure = |text: &str| {
        scene.host.ok("[ -e /root/original ] || cp /etc/ssh/sshd_config /root/original");
        scene.host.write("/root/lines", text);
        scene.host.ok("cat /root/lines /root/original >/etc/ssh/sshd_config && systemctl reload ssh");
    };
    for (text, method) in [
        ("PasswordAuthentication yes\nKbdInteractiveAuthentication no\n", "password"),
        ("PasswordAuthentication no\nKbdInteractiveAuthentication yes\n", "keyboard-interactive"),
    ] {
        configure(text);
        let ssh = scene.connect(&access, Some("open sesame")).unwrap();
        assert_eq!(ssh.run(&Command::query("id").arg("-un")).unwrap().text(), "ops");
        let error = scene.connect(&access, Some("hunter2")).map(drop).unwrap_err();
        assert_eq!(error.trouble, Trouble::AuthFailed);
        assert!(error.message.contains(&format!("tried {method}")), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    // A key and a password together, as some sites have it.
    configure("AuthenticationMethods publickey,password\n");
    let both = Access { identity_file: Some(lab::key()), ..access };
    scene.connect(&both, Some("open sesame")).unwrap();
    let error = scene.connect(&both, None).map(drop).unwrap_err();
    assert!(error.message.contains("more is asked for"), "{error}");
}

#[test]
fn a_cable_that_is_pulled_ends_what_runs_and_a_plugged_one_goes_on() {
    if !lab::bare_available("a_cable_that_is_pulled_ends_what_runs_and_a_plugged_one_goes_on") {
        return;
    }
    let scene = Scene::new();
    let config = scene.home.path().join("config");
    std::fs::write(&config, "ServerAliveInterval 2\n").unwrap();
    let mut operator = scene.operator(None);
    operator.config = SshConfig::read(&[config], None).unwrap();
    let access = Access { connect_timeout: Some(Duration::from_secs(2)), ..Scene::access("root") };
    let ssh = Ssh::connect(NAME, &access, &operator).unwrap();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| ssh.run(&Command::change("sleep").arg("100")));
        std::thread::sleep(Duration::from_secs(1));
        scene.host.cut();
        let start = Instant::now();
        let error = running.join().unwrap().unwrap_err();
        assert!(matches!(error, HostError::Lost { .. }), "{error:?}");
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    });
    let error = ssh.read("/etc/hostname").unwrap_err();
    assert!(matches!(&error, HostError::Ssh(error) if error.trouble == Trouble::Unreachable), "{error:?}");
    scene.host.heal();
    assert!(ssh.read("/etc/hostname").unwrap().is_some());
    // The power goes while a file is written: what is there is the old one or the new one.
    ssh.write("/root/file", &Entry::file(vec![b'a'; 1000], 0o600)).unwrap();
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| ssh.write("/root/file", &Entry::file(vec![b'b'; 300 << 20], 0o600)));
        std::thread::sleep(Duration::from_millis(400));
        scene.host.crash();
        let error = writing.join().unwrap().unwrap_err();
        assert!(matches!(error, HostError::Lost { .. } | HostError::Ssh(_)), "{error:?}");
    });
    scene.host.on();
    let entry = ssh.read("/root/file").unwrap().unwrap();
    assert_eq!(entry.content().unwrap(), vec![b'a'; 1000]);
    ssh.write("/root/file", &Entry::file("c", 0o600)).unwrap();
    assert_eq!(scene.host.ok("ls -A /root | grep -c kubewright-new || true").trim(), "0");
}

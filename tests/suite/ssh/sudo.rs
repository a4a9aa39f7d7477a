//! Becoming root through a sudo that plays its part: it refuses, asks, and runs as the real one does.

use crate::ssh::server::Scripted;
use crate::ssh::server::Server;
use kubewright::cluster::site::Sudo;
use kubewright::host::Command;
use kubewright::host::Entry;
use kubewright::host::Host;
use kubewright::host::HostError;
use kubewright::host::Socket;
use kubewright::host::ssh::Ssh;
use kubewright::host::ssh::SshError;
use kubewright::host::ssh::Trouble;
use kubewright::host::ssh::prompt::Answers;
use std::fs;
use std::io::Read as _;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use zeroize::Zeroizing;

/// Takes the options of the real one; `mode` says how it behaves, the password is `open sesame`.
const FAKE: &str = r#"#!/bin/sh
here=${0%/*}
echo "$*" >>"$here/calls"
mode=$(cat "$here/mode")
ask= prompt=
while [ $# -gt 0 ]; do
  case $1 in
  -n) ask=no; shift ;;
  -S) ask=yes; shift ;;
  -p) prompt=$2; shift 2 ;;
  --) shift; break ;;
  esac
done
case $mode in
tty) echo 'sudo: sorry, you must have a tty to run sudo' >&2; exit 1 ;;
stranger) echo 'ops is not in the sudoers file.  This incident will be reported.' >&2; exit 1 ;;
password)
  [ "$ask" = no ] && { echo 'sudo: a password is required' >&2; exit 1; }
  echo 'We trust you have received the usual lecture.' >&2
  for try in 1 2 3; do
    printf '%s' "$prompt" >&2
    IFS= read -r given || { echo 'sudo: no password was provided' >&2; exit 1; }
    [ "$given" = 'open sesame' ] && { SUDO_USER=ops exec "$@"; }
    echo "$given" >>"$here/wrong"
    echo 'Sorry, try again.' >&2
  done
  echo 'sudo: 3 incorrect password attempts' >&2
  exit 1
  ;;
free) SUDO_USER=ops exec "$@" ;;
esac
"#;

/// A server whose users find this sudo first.
fn server(test: &str) -> Option<Server> {
    let server = Server::with_lines(test, "SetEnv PATH=@DIR@/bin:/usr/bin:/bin HOME=@DIR@/home")?;
    let bin = server.path("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("sudo"), FAKE).unwrap();
    fs::set_permissions(bin.join("sudo"), PermissionsExt::from_mode(0o755)).unwrap();
    Some(server)
}

fn mode(server: &Server, mode: &str) {
    fs::write(server.path("bin/mode"), mode).unwrap();
}

fn connect(server: &Server, password: Option<&str>, asked: &Arc<Scripted>) -> Ssh {
    let ssh = server.connect_with(|access, operator| {
        access.sudo = Sudo::Always;
        operator.sudo_password = password.map(|text| Zeroizing::new(text.to_owned()));
        operator.answers = Answers::new(Arc::clone(asked) as Arc<_>);
    });
    ssh.unwrap()
}

fn whoami() -> Command {
    Command::query("sh")
        .args(["-c", "echo $SUDO_USER; cat; exit 7"])
        .stdin("given")
        .timeout(Duration::from_secs(10))
}

fn refused(ssh: &Ssh) -> SshError {
    match ssh.run(&whoami()).unwrap_err() {
        HostError::Ssh(error) => *error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn commands_and_files_go_through_sudo() {
    let Some(server) = server("commands_and_files_go_through_sudo") else { return };
    let nobody = Scripted::new(&[]);
    for (how, password) in
        [("free", None), ("free", Some("not asked for")), ("password", Some("open sesame"))]
    {
        mode(&server, how);
        let ssh = connect(&server, password, &nobody);
        let output = ssh.run(&whoami()).unwrap();
        assert_eq!((output.status, output.text().as_str()), (7, "ops\ngiven"), "{how} {password:?}");
        assert_eq!(output.error_tail(), "");
        let path = server.path("a/file").display().to_string();
        ssh.write(&path, &Entry::file(vec![0; 1_000_000], 0o600)).unwrap();
        assert_eq!(ssh.read(&path).unwrap().unwrap().content().unwrap().len(), 1_000_000);
        ssh.settle().unwrap();
        let socket = server.path(&format!("socket {how} {}", password.is_some())).display().to_string();
        let listener = UnixListener::bind(&socket).unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut text = [0; 5];
            stream.read_exact(&mut text).unwrap();
            stream.write_all(&text).unwrap();
        });
        let mut stream = ssh.connect(&Socket::Unix { path: socket }).unwrap();
        stream.write_all(b"hello").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        assert!(
            fs::read_to_string(server.path("bin/calls"))
                .unwrap()
                .lines()
                .all(|call| !call.contains("sesame"))
        );
    }
    assert!(nobody.asked().is_empty());
    // What takes too long is ended as root too.
    let ssh = connect(&server, Some("open sesame"), &nobody);
    let slow = Command::query("sleep").arg("456").timeout(Duration::from_millis(500));
    assert!(matches!(ssh.run(&slow), Err(HostError::Timeout { .. })));
}

#[test]
fn the_refusals_of_sudo_are_told_apart() {
    let Some(server) = server("the_refusals_of_sudo_are_told_apart") else { return };
    let nobody = Scripted::new(&[]);
    for (how, password, said, mended) in [
        ("tty", None, "wants a terminal", "!requiretty"),
        ("tty", Some("open sesame"), "wants a terminal", "!requiretty"),
        ("stranger", None, "does not let", "/etc/sudoers.d"),
        ("password", None, "nobody told it", "KUBEWRIGHT_SUDO_PASSWORD"),
        ("password", Some("hunter2"), "does not take the password", "sudoPasswordFile"),
    ] {
        mode(&server, how);
        let error = refused(&connect(&server, password, &nobody));
        assert_eq!(error.trouble, Trouble::SudoRefused, "{how}: {error}");
        assert!(error.message.contains(said), "{how}: {error}");
        assert!(error.hint.as_ref().unwrap().contains(mended), "{how}: {error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    // The wrong password was given once: three of them may lock an account.
    assert_eq!(fs::read_to_string(server.path("bin/wrong")).unwrap(), "hunter2\n");
    fs::remove_file(server.path("bin/sudo")).unwrap();
    mode(&server, "free");
    if !fs::exists("/usr/bin/sudo").unwrap() {
        let error = refused(&connect(&server, None, &nobody));
        assert_eq!(error.trouble, Trouble::SudoRefused);
        assert!(error.message.contains("there is no sudo"), "{error}");
    }
}

#[test]
fn the_password_is_asked_for_when_sudo_wants_one() {
    let Some(server) = server("the_password_is_asked_for_when_sudo_wants_one") else { return };
    mode(&server, "password");
    let asked = Scripted::new(&["wrong", "open sesame"]);
    let ssh = connect(&server, None, &asked);
    assert_eq!(ssh.run(&whoami()).unwrap().status, 7);
    assert_eq!(ssh.run(&whoami()).unwrap().status, 7);
    let user = crate::ssh::server::user();
    let question = format!("password of {user} for sudo on box");
    assert_eq!(asked.asked(), [question.clone(), format!("{question} (again)")]);
}

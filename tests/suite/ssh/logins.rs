//! Being let in.

use crate::ssh::server::Scripted;
use crate::ssh::server::Server;
use crate::ssh::server::make_key;
use crate::ssh::server::ok;
use crate::ssh::server::public;
use crate::ssh::server::user;
use kubewright::host::Command;
use kubewright::host::Host;
use kubewright::host::ssh::Trouble;
use kubewright::host::ssh::prompt::Answers;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process;
use std::process::Stdio;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use zeroize::Zeroizing;

fn authorize(server: &Server, key: &Path) {
    fs::write(server.path("authorized"), public(key)).unwrap();
}

#[test]
fn keys_of_every_kind_and_format_are_used() {
    let Some(server) = Server::start("keys_of_every_kind_and_format_are_used") else { return };
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let key = server.path(kind);
        make_key(&key, kind, "");
        authorize(&server, &key);
        let formats: &[&str] = if kind == "ed25519" { &["RFC4716"] } else { &["RFC4716", "PEM", "PKCS8"] };
        let all = formats.iter().flat_map(|format| [(format, ""), (format, "open sesame")]);
        let mut before = "";
        for (format, passphrase) in all {
            let path = key.to_str().unwrap();
            ok("ssh-keygen", &["-q", "-p", "-P", before, "-N", passphrase, "-m", format, "-f", path]);
            before = passphrase;
            let ssh = server.connect_with(|access, operator| {
                access.identity_file = Some(key.display().to_string());
                operator.passphrase = Some(Zeroizing::new("open sesame".to_owned()));
            });
            let ssh = ssh.unwrap_or_else(|error| panic!("{kind} {format} {passphrase:?}: {error}"));
            assert!(ssh.run(&Command::query("true")).unwrap().success());
        }
    }
}

#[test]
fn a_passphrase_is_asked_for_until_it_fits() {
    let Some(server) = Server::start("a_passphrase_is_asked_for_until_it_fits") else { return };
    let key = server.path("locked");
    make_key(&key, "ed25519", "open sesame");
    authorize(&server, &key);
    let file = key.display().to_string();
    let attempt = |given: Option<&str>, answers: &[&'static str]| {
        let asked = Scripted::new(answers);
        let outcome = server.connect_with(|access, operator| {
            access.identity_file = Some(file.clone());
            operator.passphrase = given.map(|text| Zeroizing::new(text.to_owned()));
            operator.answers = Answers::new(Arc::clone(&asked) as Arc<_>);
        });
        (outcome.map(drop), asked.asked())
    };
    let question = format!("passphrase of {file}");
    assert_eq!(attempt(Some("open sesame"), &[]), (Ok(()), vec![]));
    assert_eq!(attempt(None, &["open sesame"]), (Ok(()), vec![question.clone()]));
    let again = format!("{question} (again)");
    assert_eq!(attempt(None, &["wrong", "open sesame"]), (Ok(()), vec![question.clone(), again.clone()]));
    assert_eq!(attempt(Some("wrong"), &["open sesame"]), (Ok(()), vec![again]));
    let (outcome, _) = attempt(None, &["wrong", "wrong", "wrong", "wrong"]);
    let error = outcome.unwrap_err();
    assert_eq!(error.trouble, Trouble::AuthFailed);
    assert!(error.message.contains("the passphrase does not open it"), "{error}");
    assert!(!error.to_string().contains("wrong"), "{error}");
    let (outcome, _) = attempt(None, &[]);
    let error = outcome.unwrap_err();
    assert!(error.message.contains("its passphrase is not known"), "{error}");
    assert!(error.hint.unwrap().contains("KUBEWRIGHT_SSH_PASSPHRASE"));
}

#[test]
fn a_key_is_used_with_the_certificate_beside_it() {
    let test = "a_key_is_used_with_the_certificate_beside_it";
    let Some(server) = Server::with_lines(test, "TrustedUserCAKeys @DIR@/authority.pub") else { return };
    make_key(&server.path("authority"), "ed25519", "");
    fs::write(server.path("authorized"), "").unwrap();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let key = server.path(&format!("certified_{kind}"));
        make_key(&key, kind, "");
        let attempt = || {
            server.connect_with(|access, _| access.identity_file = Some(key.display().to_string())).map(drop)
        };
        assert_eq!(attempt().unwrap_err().trouble, Trouble::AuthFailed);
        let authority = server.path("authority").display().to_string();
        ok(
            "ssh-keygen",
            &["-q", "-s", &authority, "-I", "me", "-n", &user(), &format!("{}.pub", key.display())],
        );
        attempt().unwrap_or_else(|error| panic!("{kind}: {error}"));
        // The server may know the key itself and not the authority.
        fs::write(server.path("authorized"), public(&key)).unwrap();
        make_key(&server.path(&format!("stranger_{kind}")), "ed25519", "");
        let stranger = server.path(&format!("stranger_{kind}")).display().to_string();
        ok(
            "ssh-keygen",
            &["-q", "-s", &stranger, "-I", "me", "-n", &user(), &format!("{}.pub", key.display())],
        );
        attempt().unwrap_or_else(|error| panic!("{kind} by a stranger: {error}"));
        fs::write(server.path("authorized"), "").unwrap();
    }
}

/// An agent, ended with the test.
struct Agent {
    child: process::Child,
    socket: PathBuf,
}

impl Agent {
    fn start(directory: &Path) -> Self {
        let socket = directory.join("agent");
        let child = process::Command::new("ssh-agent")
            .args(["-D", "-a", socket.to_str().unwrap()])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        for _ in 0..200 {
            if socket.exists() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        Self { child, socket }
    }

    fn add(&self, key: &Path) {
        let status = process::Command::new("ssh-add")
            .args(["-q", key.to_str().unwrap()])
            .env("SSH_AUTH_SOCK", &self.socket)
            .stdin(Stdio::null())
            .status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_key_of_the_agent_is_tried() {
    let Some(server) = Server::start("every_key_of_the_agent_is_tried") else { return };
    let agent = Agent::start(server.directory.path());
    let keys: Vec<PathBuf> = (0..9).map(|n| server.path(&format!("agent_{n}"))).collect();
    for key in &keys[..4] {
        make_key(key, "ed25519", "");
        agent.add(key);
    }
    authorize(&server, &keys[3]);
    let with_agent = |named: Option<&Path>| {
        server.connect_with(|access, operator| {
            access.identity_file = named.map(|key| key.display().to_string());
            operator.agent = Some(agent.socket.clone());
        })
    };
    with_agent(None).unwrap();
    // More keys than the server lets one try: the one that is named comes first.
    for key in &keys[4..] {
        make_key(key, "ed25519", "");
        agent.add(key);
    }
    authorize(&server, &keys[8]);
    let error = with_agent(None).map(drop).unwrap_err();
    assert_eq!(error.trouble, Trouble::AuthFailed);
    assert_eq!(error.message.matches("of the agent").count(), 5, "{error}");
    assert!(error.message.contains("more keys than a server lets one try"), "{error}");
    // The private key is the agent's alone.
    fs::remove_file(&keys[8]).unwrap();
    fs::write(&keys[8], "gone").unwrap();
    with_agent(Some(&keys[8])).unwrap();
    let error = server.connect_with(|_, operator| operator.agent = Some("/nowhere".into())).map(drop);
    assert_eq!(error.unwrap_err().trouble, Trouble::AuthFailed);
}

#[test]
fn what_was_tried_is_told() {
    let Some(server) = Server::start("what_was_tried_is_told") else { return };
    make_key(&server.path("stranger"), "ed25519", "");
    let stranger = server.path("stranger").display().to_string();
    let error =
        server.connect_with(|access, _| access.identity_file = Some(stranger.clone())).map(drop).unwrap_err();
    assert_eq!(error.trouble, Trouble::AuthFailed);
    assert!(error.message.contains(&format!("tried key {stranger}")), "{error}");
    assert!(error.message.contains("it accepts publickey"), "{error}");
    let absent = server.path("absent").display().to_string();
    let error =
        server.connect_with(|access, _| access.identity_file = Some(absent.clone())).map(drop).unwrap_err();
    assert!(error.message.contains("nothing could be tried"), "{error}");
    assert!(error.message.contains(&format!("there is no key {absent}")), "{error}");
    fs::write(server.path("garbage"), "no key at all").unwrap();
    let garbage = server.path("garbage").display().to_string();
    let error = server.connect_with(|access, _| access.identity_file = Some(garbage)).map(drop).unwrap_err();
    assert_eq!(error.trouble, Trouble::AuthFailed, "{error}");
    // Another user than the one that the server knows.
    let error =
        server.connect_with(|access, _| access.user = Some("nobody-here".into())).map(drop).unwrap_err();
    assert!(error.message.contains("nobody-here@127.0.0.1"), "{error}");
}

#[test]
fn keys_in_the_home_directory_are_found() {
    let Some(server) = Server::start("keys_in_the_home_directory_are_found") else { return };
    let home = server.path("home");
    fs::create_dir(home.join(".ssh")).unwrap();
    make_key(&home.join(".ssh/id_ecdsa"), "ecdsa", "");
    make_key(&home.join(".ssh/mine"), "ed25519", "");
    authorize(&server, &home.join(".ssh/id_ecdsa"));
    server.connect_with(|access, _| access.identity_file = None).unwrap();
    authorize(&server, &home.join(".ssh/mine"));
    server.connect_with(|access, _| access.identity_file = Some("~/.ssh/mine".to_owned())).unwrap();
}

//! Secrets on the command line of the real program: nobody sees them in the process list, and nothing else changes.
#![expect(clippy::disallowed_methods, reason = "tests start the program and look at it")]

use crate::binary::PROGRAM;
use crate::binary::kubewright;
use std::fs;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use std::time::Instant;

const SECRET: &str = "0123456789abcdef";
const TOKEN: &str = "abcdef.0123456789abcdef";
const KEY: &str = "9555b74008f24687eb964bd90a164ecb5760a89481d9c55a77c129b7db438168";
const LIMIT: Duration = Duration::from_secs(20);

/// A kubeconfig of an API that takes connections and says nothing.
fn silent_api(directory: &Path) -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let ca = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/requests/ca.crt")).unwrap();
    let data = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, ca);
    let text = format!(
        "clusters: [{{name: k, cluster: {{server: '{url}', certificate-authority-data: {data}}}}}]\n\
         contexts: [{{name: c, context: {{cluster: k, user: u}}}}]\ncurrent-context: c\n\
         users: [{{name: u, user: {{token: t}}}}]\n"
    );
    let path = directory.join("kubeconfig");
    fs::write(&path, text).unwrap();
    (listener, path.to_str().unwrap().to_owned())
}

/// What the kernel tells everybody of a process.
fn command_line(child: &Child) -> String {
    let bytes = fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
    String::from_utf8(bytes).unwrap().replace('\0', " ").trim_end().to_owned()
}

#[test]
fn the_process_list_shows_no_secret_while_it_works() {
    let directory = tempfile::tempdir().unwrap();
    let (listener, kubeconfig) = silent_api(directory.path());
    let create = ["token", "create", "--kubeconfig", &kubeconfig];
    let key_flag = format!("--certificate-key={KEY}");
    let cases: [(&[&str], &str); 4] = [
        (&[TOKEN], "abcdef.<hidden>"),
        (
            &[TOKEN, "--print-join-command", "--certificate-key", KEY],
            "--print-join-command --certificate-key <hidden>",
        ),
        (&["--print-join-command", &key_flag], "--certificate-key=<hidden>"),
        (&["--description", TOKEN], "--description abcdef.<hidden>"),
    ];
    for (extra, expected) in cases {
        let mut child = Command::new(PROGRAM)
            .args(create)
            .args(extra)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It has parsed its arguments and asks the API: from here on it waits.
        let connection = listener.accept().unwrap();
        let line = command_line(&child);
        assert!(line.ends_with(expected), "{line}");
        assert!(!line.contains(SECRET) && !line.contains(KEY), "{line}");
        let environment = fs::read(format!("/proc/{}/environ", child.id())).unwrap();
        assert!(!String::from_utf8_lossy(&environment).contains(SECRET));
        let name = fs::read_to_string(format!("/proc/{}/comm", child.id())).unwrap();
        assert_eq!(name.trim(), "kubewright");
        // The same process: it is the one that was started, and ends as the one.
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        drop(connection);
    }
}

/// What arrives in the API is what was typed.
#[test]
fn the_work_is_done_with_the_true_words() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("user.conf");
    fs::create_dir(directory.path().join("pki")).unwrap();
    let ca = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/requests/ca.crt");
    fs::copy(ca, directory.path().join("pki/ca.crt")).unwrap();
    let config = directory.path().join("config.yaml");
    let pki = directory.path().join("pki").display().to_string();
    let text = format!(
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.36.2\n\
         controlPlaneEndpoint: api.example.com:6443\ncertificatesDir: {pki}\n"
    );
    fs::write(&config, text).unwrap();
    for token in [TOKEN, "a.very-different-token"] {
        for flag in [vec!["--token".to_owned(), token.to_owned()], vec![format!("--token={token}")]] {
            let mut args = vec!["kubeconfig", "user", "--client-name", "jane", "-o", out.to_str().unwrap()];
            args.extend(["--config", config.to_str().unwrap()]);
            args.extend(flag.iter().map(String::as_str));
            let outcome = kubewright(&args);
            assert_eq!((outcome.code, outcome.out.as_str()), (0, ""), "{}", outcome.err);
            let written = fs::read_to_string(&out).unwrap();
            assert!(written.contains(&format!("    token: {token}\n")), "{written}");
        }
    }
}

#[test]
fn exit_codes_and_streams_are_those_of_a_run_without_secrets() {
    let nowhere = "/nonexistent/kubeconfig";
    let cases: [(&[&str], i32); 4] = [
        (&["token", "delete", TOKEN, "--kubeconfig", nowhere], 7),
        (&["token", "create", TOKEN, "--ttl", "x"], 2),
        (&["version", "-o", "short", TOKEN], 2),
        (&["config", "validate", "-f", TOKEN], 3),
    ];
    for (args, code) in cases {
        let outcome = kubewright(args);
        assert_eq!(outcome.code, code, "{args:?}: {}", outcome.err);
        assert_eq!(outcome.out, "", "{args:?}");
        assert!(outcome.err.starts_with("error: "), "{args:?}: {}", outcome.err);
    }
    // Standard input is that of the process.
    let outcome = crate::binary::fed(&["config", "validate", "-f", "-", TOKEN], b"");
    assert_eq!(outcome.code, 2, "{}", outcome.err);
}

#[test]
fn what_was_typed_wrongly_is_not_repeated() {
    for args in [
        &["token", "list", TOKEN][..],
        &["certs", "certificate-key", KEY],
        &["init", "--tokn", TOKEN],
        &["token", "create", TOKEN, "--ttl", "x"],
        &["token", "create", "abcdef.0123456789ABCDEF"],
        &["token", "delete", "abcdef.0123456789abcdef0"],
    ] {
        let outcome = kubewright(args);
        assert_eq!(outcome.code, 2, "{args:?}");
        let text = outcome.err.to_lowercase();
        assert!(!text.contains(SECRET) && !text.contains(KEY), "{args:?}: {}", outcome.err);
    }
}

#[test]
fn a_mark_that_was_typed_is_refused_like_any_other_word() {
    for mark in ["<arguments:0>", "<arguments:1>", "<arguments:99>"] {
        let start = Instant::now();
        let outcome = kubewright(&[mark, "version"]);
        assert_eq!(outcome.code, 2, "{mark}: {}", outcome.err);
        assert!(start.elapsed() < LIMIT);
    }
}

/// Ctrl-C after the change of programs ends the run as ever.
#[test]
fn signals_reach_it() {
    let directory = tempfile::tempdir().unwrap();
    let (listener, kubeconfig) = silent_api(directory.path());
    let mut child = Command::new(PROGRAM)
        .args(["token", "create", TOKEN, "--kubeconfig", &kubeconfig])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let connection = listener.accept().unwrap();
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    let start = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if start.elapsed() > LIMIT => panic!("it goes on"),
            None => thread::sleep(Duration::from_millis(20)),
        }
    };
    assert_eq!(status.signal(), Some(2));
    drop(connection);
}

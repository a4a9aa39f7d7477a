//! Running commands.

use crate::ssh::server::Server;
use kubewright::host::Command;
use kubewright::host::Host;
use kubewright::host::HostError;
use kubewright::host::Local;
use kubewright::host::command::Word;
use std::fs;
use std::io::ErrorKind;
use std::thread;
use std::time::Duration;
use std::time::Instant;

fn sh(script: &str) -> Command {
    Command::query("sh").args(["-c", script]).timeout(Duration::from_secs(20))
}

#[test]
fn commands_come_to_the_same_as_on_this_machine() {
    let Some(server) = Server::start("commands_come_to_the_same_as_on_this_machine") else { return };
    let (ssh, local) = (server.connect(), Local::new("box"));
    let words = ["", "a b", "it's", "$HOME `id` \\n \"x\"", "two\nlines\n", "é*?~", "-n", "!!", "%s"];
    let mut echo = Command::query("printf").arg("%s|").args(words);
    echo.args.push(Word::Secret("hunter2".into()));
    for command in [
        echo,
        sh("echo out; echo err >&2; exit 3"),
        sh("printf 'no end'; printf 'no end' >&2"),
        sh("printf '%s' \"$A\"").env("A", "it's\n\"x\" $B"),
        sh("cat; cat").stdin("given\n\0binary\u{ff}"),
        sh("wc -c").stdin(vec![b'x'; 3_000_000]),
        sh("head -c 2000000 /dev/zero; exit 1"),
        sh("cat"),
        sh("echo $LC_ALL"),
        // It ends without reading what it is given.
        sh("exit 5").stdin(vec![b'x'; 20_000_000]),
        sh("exec 2>&1; kill -TERM $$"),
        Command::query("true"),
    ] {
        let (there, here) = (ssh.run(&command).unwrap(), local.run(&command).unwrap());
        assert_eq!((there.status, there.stdout), (here.status, here.stdout), "{command}");
        // A shell may say that a signal ended what it ran.
        if here.status < 128 {
            assert_eq!(there.stderr, here.stderr, "{command}");
        }
    }
    let absent = ssh.run(&Command::query("no-such-program")).unwrap_err();
    assert!(matches!(absent, HostError::Start { .. }), "{absent}");
    assert_eq!(absent.io_kind(), Some(ErrorKind::NotFound));
}

#[test]
fn a_signal_is_not_success() {
    let Some(server) = Server::start("a_signal_is_not_success") else { return };
    let ssh = server.connect();
    assert_eq!(ssh.run(&sh("kill -9 $$")).unwrap().status, 128 + 9);
    // Nobody is left to tell the status: the shell around it dies as well.
    let output = ssh.run(&sh("kill -9 $PPID; sleep 0.1; kill -9 $$")).unwrap();
    assert_eq!(output.status, 128 + 9);
    assert_eq!(ssh.run(&sh("kill -TERM $PPID $$")).unwrap().status, 128 + 15);
}

#[test]
fn much_on_standard_error_does_not_block() {
    let Some(server) = Server::start("much_on_standard_error_does_not_block") else { return };
    let ssh = server.connect();
    let output =
        ssh.run(&sh("head -c 8000000 /dev/zero >&2; echo done; head -c 8000000 /dev/zero >&2")).unwrap();
    assert_eq!((output.status, output.text().as_str(), output.stderr.len()), (0, "done", 16_000_000));
}

#[test]
fn a_command_longer_than_a_command_line_may_be() {
    let Some(server) = Server::start("a_command_longer_than_a_command_line_may_be") else { return };
    let ssh = server.connect();
    let words: Vec<String> = (0..20).map(|n| n.to_string().repeat(50_000)).collect();
    let output = ssh.run(&Command::query("printf").arg("%s").args(words.clone())).unwrap();
    assert!(output.text() == words.concat(), "{} bytes", output.stdout.len());
}

#[test]
fn the_process_list_shows_no_secret() {
    let Some(server) = Server::start("the_process_list_shows_no_secret") else { return };
    let ssh = server.connect();
    let mut command = sh("ps -eo args | grep -c [h]unter2; cat").stdin("hunter2 in input\n");
    command.env.push(("TOKEN".to_owned(), Word::Secret("hunter2".into())));
    let output = ssh.run(&command).unwrap();
    assert_eq!(output.text(), "0\nhunter2 in input");
    let error = ssh.run(&Command { timeout: Duration::from_millis(50), ..sh("sleep 5") }).unwrap_err();
    assert!(matches!(error, HostError::Timeout { .. }), "{error}");
    assert!(!format!("{ssh:?}").contains("hunter2"));
}

#[test]
fn what_takes_too_long_is_ended_with_all_that_it_started() {
    let Some(server) = Server::start("what_takes_too_long_is_ended_with_all_that_it_started") else { return };
    let ssh = server.connect();
    let marker = server.path("pids");
    let script = format!("sleep 987 & echo $! >>{0}; echo $$ >>{0}; wait", marker.display());
    let started = Instant::now();
    let error = ssh.run(&sh(&script).timeout(Duration::from_secs(4))).unwrap_err();
    assert!(matches!(error, HostError::Timeout { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    let text = fs::read_to_string(marker).unwrap();
    let processes: Vec<&str> = text.lines().collect();
    assert_eq!(processes.len(), 2);
    for process in processes {
        let gone = || !fs::exists(format!("/proc/{process}")).unwrap();
        let start = Instant::now();
        while !gone() && start.elapsed() < Duration::from_secs(15) {
            thread::sleep(Duration::from_millis(20));
        }
        assert!(gone(), "{process} lives");
    }
    // The connection is as good as before.
    assert_eq!(ssh.run(&sh("echo on")).unwrap().text(), "on");
}

#[test]
fn a_process_left_in_the_background_is_not_waited_for() {
    let Some(server) = Server::start("a_process_left_in_the_background_is_not_waited_for") else { return };
    let ssh = server.connect();
    let started = Instant::now();
    let output = ssh.run(&sh("sleep 30 & echo started; exit 4")).unwrap();
    assert_eq!((output.status, output.text().as_str()), (4, "started"));
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    server.cut_connections();
}

#[test]
fn more_commands_at_once_than_sessions_wait_for_each_other() {
    let test = "more_commands_at_once_than_sessions_wait_for_each_other";
    for sessions in [10, 2, 1] {
        let Some(server) = Server::with_lines(test, &format!("MaxSessions {sessions}")) else { return };
        let ssh = server.connect();
        thread::scope(|scope| {
            let runs: Vec<_> = (0..12)
                .map(|n| {
                    let ssh = &ssh;
                    scope.spawn(move || ssh.run(&sh(&format!("sleep 0.05; echo {n}"))).unwrap().text())
                })
                .collect();
            for (n, run) in runs.into_iter().enumerate() {
                assert_eq!(run.join().unwrap(), n.to_string());
            }
        });
        let connections = server.log().matches("Accepted publickey").count();
        assert_eq!(connections, 1, "MaxSessions {sessions}");
    }
}

#[test]
fn what_the_login_shell_prints_is_left_out() {
    let Some(server) = Server::start("what_the_login_shell_prints_is_left_out") else { return };
    // As a startup file of the shell would.
    fs::write(server.path("noise"), "echo welcome; echo careful >&2\n").unwrap();
    let lines = format!("SetEnv BASH_ENV={}", server.path("noise").display());
    let Some(noisy) = Server::with_lines("what_the_login_shell_prints_is_left_out", &lines) else { return };
    let ssh = noisy.connect();
    let output = ssh.run(&sh("echo out; echo err >&2")).unwrap();
    assert_eq!((output.text().as_str(), output.error_tail().as_str()), ("out", "err"));
    let entry = ssh.read("/etc/passwd").unwrap();
    assert_eq!(entry, Local::new("box").read("/etc/passwd").unwrap());
}

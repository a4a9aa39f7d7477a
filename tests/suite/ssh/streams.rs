//! Streams to sockets of the host.

use crate::skip::skip;
use crate::ssh::server::CLOSED;
use crate::ssh::server::Server;
use crate::ssh::server::Silent;
use crate::ssh::server::alone;
use kubewright::host::Command;
use kubewright::host::Host;
use kubewright::host::HostError;
use kubewright::host::Socket;
use kubewright::host::Stream;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use std::time::Instant;

/// Sends back what comes, in capital letters, until the end.
fn shout(mut stream: impl Read + Write) {
    let mut buffer = [0; 9000];
    while let Ok(size @ 1..) = stream.read(&mut buffer) {
        buffer.make_ascii_uppercase();
        if stream.write_all(&buffer[..size]).is_err() {
            return;
        }
    }
}

fn talk(stream: Stream) {
    let Stream::Unix(stream) = stream else { panic!("a socket of this machine") };
    let mut writer = stream.try_clone().unwrap();
    let sent: Vec<u8> = (0..2_000_000).map(|n| b'a' + u8::try_from(n % 26).unwrap()).collect();
    let expected = sent.to_ascii_uppercase();
    let writing = thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut back = Vec::new();
    (&stream).read_to_end(&mut back).unwrap();
    writing.join().unwrap();
    assert!(back == expected, "{} bytes came back", back.len());
}

#[test]
fn a_stream_that_does_not_open_keeps_nobody_waiting() {
    let Some(server) = Server::start("a_stream_that_does_not_open_keeps_nobody_waiting") else { return };
    let (ssh, silent) = (Arc::new(server.connect()), Silent::new());
    let slow = {
        let (ssh, to) = (Arc::clone(&ssh), Socket::Tcp { host: "127.0.0.1".into(), port: silent.port });
        thread::spawn(move || ssh.connect_within(&to, Duration::from_mins(1)).map(drop))
    };
    // The server is asked meanwhile; it goes on trying for two minutes.
    thread::sleep(Duration::from_millis(300));
    let echo = Command::query("echo").arg("here").timeout(Duration::from_secs(20));
    // The first one has a channel that was opened beforehand.
    for _ in 0..3 {
        assert_eq!(ssh.run(&echo).unwrap().text(), "here");
    }
    let path = server.path("a socket").to_str().unwrap().to_owned();
    let unix = UnixListener::bind(&path).unwrap();
    thread::spawn(move || shout(unix.accept().unwrap().0));
    talk(ssh.connect(&Socket::Unix { path }).unwrap());
    assert!(!slow.is_finished(), "the address answered: {:?}", slow.join());
}

#[test]
fn streams_lead_to_sockets_of_the_host() {
    let Some(server) = Server::start("streams_lead_to_sockets_of_the_host") else { return };
    let ssh = server.connect();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in tcp.incoming() {
            thread::spawn(move || shout(stream.unwrap()));
        }
    });
    let path = server.path("a socket").to_str().unwrap().to_owned();
    let unix = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for stream in unix.incoming() {
            thread::spawn(move || shout(stream.unwrap()));
        }
    });
    let sockets = [Socket::Tcp { host: "127.0.0.1".into(), port }, Socket::Unix { path: path.clone() }];
    // More than the server allows sessions, and a command beside them.
    thread::scope(|scope| {
        for n in 0..14 {
            let (ssh, socket) = (&ssh, &sockets[n % 2]);
            scope.spawn(move || talk(ssh.connect(socket).unwrap()));
        }
        assert_eq!(ssh.run(&Command::query("echo").arg("beside")).unwrap().text(), "beside");
    });
    // One that nobody ends, and one that nobody reads, go with the caller.
    drop(ssh.connect(&sockets[0]).unwrap());
    let mut unread = ssh.connect(&sockets[1]).unwrap();
    unread.write_all(&vec![b'x'; 100_000]).unwrap();
    drop(unread);
    assert_eq!(ssh.run(&Command::query("true")).unwrap().status, 0);
}

#[test]
fn a_socket_at_which_nobody_listens_is_an_error() {
    let Some(server) = Server::start("a_socket_at_which_nobody_listens_is_an_error") else { return };
    let ssh = server.connect();
    let port = CLOSED;
    let deaf = server.path("deaf").to_str().unwrap().to_owned();
    drop(UnixListener::bind(&deaf).unwrap());
    for (socket, kind) in [
        (Socket::Unix { path: server.path("nothing").to_str().unwrap().to_owned() }, ErrorKind::NotFound),
        (Socket::Unix { path: deaf }, ErrorKind::ConnectionRefused),
        (Socket::Tcp { host: "127.0.0.1".into(), port }, ErrorKind::ConnectionRefused),
    ] {
        let error = ssh.connect(&socket).unwrap_err();
        assert!(matches!(error, HostError::Connect { .. }), "{error:?}");
        assert_eq!(error.io_kind(), Some(kind), "{error:?}");
    }
    assert_eq!(ssh.run(&Command::query("true")).unwrap().status, 0);
}

#[test]
fn an_idle_connection_costs_nothing_and_answers_the_server() {
    // The server asks every second whether anybody is there, and hangs up on silence.
    let test = "an_idle_connection_costs_nothing_and_answers_the_server";
    if !alone("ssh::streams::an_idle_connection_costs_nothing_and_answers_the_server") {
        return;
    }
    let Some(server) = Server::with_lines(test, "ClientAliveInterval 1\nClientAliveCountMax 2") else {
        return;
    };
    let ssh = server.connect();
    let before = cpu();
    thread::sleep(Duration::from_secs(5));
    let spent = cpu().saturating_sub(before);
    assert_eq!(ssh.run(&Command::query("echo").arg("still")).unwrap().text(), "still");
    assert_eq!(server.log().matches("Accepted publickey").count(), 1, "{}", server.log());
    assert!(spent < Duration::from_millis(200), "{spent:?} of processor time in 5 s");
}

/// The processor time of this process.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let ticks: u64 = stat
        .rsplit(") ")
        .next()
        .unwrap()
        .split(' ')
        .skip(11)
        .take(2)
        .map(|n| n.parse::<u64>().unwrap())
        .sum();
    Duration::from_millis(ticks * 10)
}

#[test]
fn keys_are_renewed_while_data_flows() {
    let Some(server) = Server::with_lines("keys_are_renewed_while_data_flows", "RekeyLimit 1M") else {
        return;
    };
    let ssh = server.connect();
    let start = Instant::now();
    let command = Command::query("sh")
        .args(["-c", "cat | tr a b; head -c 9000000 /dev/zero"])
        .stdin(vec![b'a'; 9_000_000]);
    let output = ssh.run(&command).unwrap();
    assert_eq!(output.stdout.len(), 18_000_000, "after {:?}", start.elapsed());
    assert!(output.stdout[..9_000_000].iter().all(|byte| *byte == b'b'));
}

/// A directory with these programs of this machine.
fn tools(server: &Server, name: &str, programs: &[&str]) -> String {
    let directory = server.path(name);
    std::fs::create_dir(&directory).unwrap();
    for program in programs {
        let found =
            ["/usr/bin", "/bin"].map(|at| Path::new(at).join(program)).into_iter().find(|path| path.exists());
        std::os::unix::fs::symlink(found.unwrap(), directory.join(program)).unwrap();
    }
    directory.display().to_string()
}

#[test]
fn where_the_server_allows_no_streams_a_program_makes_them() {
    let test = "where_the_server_allows_no_streams_a_program_makes_them";
    let Some(helper) = Server::start(test) else { return };
    let base = ["sh", "bash", "head", "cat"];
    for (bridge, lists) in [("python3", true), ("perl", true), ("", false)] {
        if lists && !Path::new("/usr/bin").join(bridge).exists() {
            skip(test, &format!("there is no /usr/bin/{bridge}"));
            continue;
        }
        let programs: Vec<&str> = base.into_iter().chain(lists.then_some(bridge)).collect();
        let path = tools(&helper, &format!("with {bridge}"), &programs).replace(' ', "_");
        let _ = std::fs::rename(helper.path(&format!("with {bridge}")), &path);
        let lines =
            format!("DisableForwarding yes\nSetEnv PATH={path} HOME={}", helper.path("home").display());
        let Some(server) = Server::with_lines(test, &lines) else { return };
        let ssh = server.connect();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        thread::spawn(move || {
            tcp.incoming().for_each(|stream| drop(thread::spawn(move || shout(stream.unwrap()))));
        });
        let unix_path = server.path("it's a socket").to_str().unwrap().to_owned();
        let unix = UnixListener::bind(&unix_path).unwrap();
        thread::spawn(move || {
            unix.incoming().for_each(|stream| drop(thread::spawn(move || shout(stream.unwrap()))));
        });
        let sockets = [Socket::Tcp { host: "127.0.0.1".into(), port }, Socket::Unix { path: unix_path }];
        if !lists {
            let error = ssh.connect(&sockets[0]).unwrap_err();
            let HostError::Connect { source, .. } = &error else { panic!("{error}") };
            assert!(source.to_string().contains("python3, perl or socat"), "{source}");
            continue;
        }
        thread::scope(|scope| {
            for socket in &sockets {
                scope.spawn(|| talk(ssh.connect(socket).unwrap()));
            }
        });
        drop(ssh.connect(&sockets[0]).unwrap());
        let closed = CLOSED;
        for (socket, kind) in [
            (Socket::Tcp { host: "127.0.0.1".into(), port: closed }, ErrorKind::ConnectionRefused),
            (Socket::Unix { path: server.path("nothing").to_str().unwrap().to_owned() }, ErrorKind::NotFound),
        ] {
            let error = ssh.connect(&socket).unwrap_err();
            assert_eq!(error.io_kind(), Some(kind), "{error:?}");
        }
        assert_eq!(ssh.run(&Command::query("echo").arg("on")).unwrap().text(), "on");
    }
}

//! Questions to servers, with each of the tools that hosts have, and servers that answer, close, or say nothing.
#![expect(clippy::disallowed_methods, reason = "a test's own servers")]

use crate::skip::skip;
use kubewright::facts::exchange;
use kubewright::facts::exchange::Question;
use kubewright::facts::exchange::Transport;
use kubewright::host::Command;
use kubewright::host::Host as _;
use kubewright::host::Local;
use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::net::UdpSocket;
use std::os::unix::fs::symlink;
use std::thread;

/// Answers one question backwards, and over TCP with a length in front and in two pieces.
fn servers() -> (u16, u16) {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let ports = (udp.local_addr().unwrap().port(), tcp.local_addr().unwrap().port());
    thread::spawn(move || {
        let mut question = [0; 64];
        while let Ok((count, peer)) = udp.recv_from(&mut question) {
            let answer: Vec<u8> = question[..count].iter().rev().copied().collect();
            udp.send_to(&answer, peer).unwrap();
        }
    });
    thread::spawn(move || {
        for mut peer in tcp.incoming().flatten() {
            let mut question = [0; 3];
            peer.read_exact(&mut question).unwrap();
            for part in [&[0][..], &[3, question[2]], &[question[1], question[0]]] {
                peer.write_all(part).unwrap();
                thread::sleep(std::time::Duration::from_millis(20));
            }
        }
    });
    ports
}

fn ask(tool: &str, questions: &[Question]) -> std::collections::BTreeMap<usize, Result<Vec<u8>, String>> {
    let path = tempfile::tempdir().unwrap();
    for program in [tool, "sh"] {
        symlink(format!("/usr/bin/{program}"), path.path().join(program)).unwrap();
    }
    let command: Command = exchange::command(questions).env("PATH", path.path().to_str().unwrap());
    exchange::answers(&Local::new("here").run(&command).unwrap().text())
}

#[test]
fn asks_with_whatever_tool_a_host_has() {
    let (udp, tcp) = servers();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let question = |transport, port| Question {
        transport,
        server: "127.0.0.1".parse().unwrap(),
        port,
        bytes: vec![1, 0, 0xff],
    };
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let questions = [
        question(Transport::Udp, udp),
        question(Transport::Tcp, tcp),
        question(Transport::Tcp, closed),
        question(Transport::Udp, silent.local_addr().unwrap().port()),
    ];
    for tool in ["perl", "python3"] {
        if !std::path::Path::new("/usr/bin").join(tool).exists() {
            skip("exchange::asks_with_whatever_tool_a_host_has", &format!("no /usr/bin/{tool}"));
            continue;
        }
        let answers = ask(tool, &questions);
        assert_eq!(answers[&0], Ok(vec![0xff, 0, 1]), "{tool}");
        assert_eq!(answers[&1], Ok(vec![0, 3, 0xff, 0, 1]), "{tool}");
        assert_eq!(answers[&2], Err("Connection refused".to_owned()), "{tool}");
        assert_eq!(answers[&3], Err("silent".to_owned()), "{tool}");
    }
}

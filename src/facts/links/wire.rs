//! What the agent on a host is told, and what it says; pure.

use crate::facts::links::Protocol;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

/// How long a connection may take in milliseconds: a lost first packet is sent again after a second.
const CONNECT_LIMIT: u32 = 1300;

/// What one step on a host is to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Order {
    pub mode: Mode,
    /// Names the run: its first eight characters are public on the host.
    pub token: String,
    /// Seconds after which a listener ends, whatever happens.
    pub life: usize,
    pub listen: Vec<(Protocol, IpAddr)>,
    pub to: Vec<(usize, Protocol, IpAddr)>,
    pub volleys: Vec<Volley>,
    /// Looked for in the table of neighbours, after the try of this number, which is not waited for like others.
    pub vip: Option<(usize, IpAddr)>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    Listen,
    Connect,
    Collect,
}

/// Packets of several sizes that nobody on the way may cut in pieces, the largest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Volley {
    pub id: usize,
    pub port: u16,
    pub address: IpAddr,
    /// Bytes of whole IP packets.
    pub sizes: Vec<u32>,
}

impl Order {
    pub(super) fn text(&self) -> String {
        let mode = match self.mode {
            Mode::Listen => "listen",
            Mode::Connect => "connect",
            Mode::Collect => "collect",
        };
        let mut text =
            format!("mode {mode}\ntoken {}\nlife {}\nlimit {CONNECT_LIMIT}\n", self.token, self.life);
        if let Some((id, _)) = self.vip {
            let _ = writeln!(text, "brief {id}");
        }
        for (protocol, address) in &self.listen {
            let _ = writeln!(text, "listen {} {address}", words(*protocol));
        }
        for (id, protocol, address) in &self.to {
            let _ = writeln!(text, "to {id} {} {address}", words(*protocol));
        }
        for Volley { id, port, address, sizes } in &self.volleys {
            let sizes: Vec<String> = sizes.iter().map(u32::to_string).collect();
            let _ = writeln!(text, "volley {id} {port} {address} {}", sizes.join(" "));
        }
        text
    }
}

fn words(protocol: Protocol) -> String {
    match protocol {
        Protocol::Tcp(port) => format!("tcp {port}"),
        Protocol::Udp(port) => format!("udp {port}"),
        Protocol::Ip(number) => format!("ip {number}"),
    }
}

/// What a step said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// The host has neither perl nor Python.
    pub no_tool: bool,
    pub listeners: BTreeMap<Protocol, Listener>,
    pub ends: BTreeMap<usize, End>,
    /// Bytes of payload by the number of the probe or volley.
    pub got: BTreeMap<usize, u32>,
    pub collected: bool,
    /// The hardware address that the link names for the VIP.
    pub neighbour: Option<String>,
    /// The host's clock in microseconds: when it began and when it ended, if it tells.
    pub times: Option<(i64, i64)>,
    /// Something failed as a whole.
    pub failed: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Listener {
    Ours,
    /// Somebody listens already.
    Busy,
    Failed(String),
}

/// How a try ended for the one who tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// Microseconds; 0 where the kernel does not tell.
    Open(u64),
    Refused,
    Silent,
    Unreachable(String),
    /// Whether it arrived is for the listener to tell.
    Sent,
    Failed(String),
}

pub(super) fn read(text: &str) -> Said {
    let mut said = Said::default();
    let (mut began, mut ended) = (None, None);
    for line in text.lines() {
        if let Some(time) = line.strip_prefix("began:") {
            began = micros(time, 999_999);
        } else if let Some(time) = line.strip_prefix("ended:") {
            ended = micros(time, 0);
        } else if let Some(entry) = line.strip_prefix("arp:") {
            said.neighbour = said.neighbour.take().or_else(|| arp(entry));
        } else if let Some(entry) = line.strip_prefix("neighbour:") {
            said.neighbour = said.neighbour.take().or_else(|| neighbour(entry));
        } else {
            said.take(line);
        }
    }
    said.times = began.zip(ended);
    said
}

impl Said {
    fn take(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| words.get(at).and_then(|word| word.parse::<usize>().ok());
        let rest = |from: usize| words.get(from..).unwrap_or_default().join(" ");
        match words.as_slice() {
            ["no-tool"] => self.no_tool = true,
            ["collected"] => self.collected = true,
            ["got", _, size] => {
                if let (Some(id), Ok(size)) = (number(1), size.parse()) {
                    self.got.insert(id, size);
                }
            }
            ["at", _, end, ..] => {
                let end = match *end {
                    "open" => End::Open(words.get(3).and_then(|word| word.parse().ok()).unwrap_or_default()),
                    "refused" => End::Refused,
                    "silent" => End::Silent,
                    "sent" => End::Sent,
                    "unreachable" => End::Unreachable(rest(3)),
                    _ => End::Failed(rest(3)),
                };
                self.ends.extend(number(1).map(|id| (id, end)));
            }
            [state, protocol, port, ..] if let Some(protocol) = protocol_of(protocol, port) => {
                let listener = match *state {
                    "listening" => Listener::Ours,
                    "busy" => Listener::Busy,
                    _ => Listener::Failed(rest(3)),
                };
                self.listeners.insert(protocol, listener);
            }
            [] => {}
            _ => self.failed = self.failed.take().or_else(|| Some(line.to_owned())),
        }
    }
}

fn protocol_of(name: &str, number: &str) -> Option<Protocol> {
    match name {
        "tcp" => number.parse().ok().map(Protocol::Tcp),
        "udp" => number.parse().ok().map(Protocol::Udp),
        "ip" => number.parse().ok().map(Protocol::Ip),
        _ => None,
    }
}

/// `1763664000.123456789`. A `date` that knows whole seconds only leaves `unknown` microseconds open.
fn micros(text: &str, unknown: i64) -> Option<i64> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let known = fraction.len() >= 6 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let part = if known { fraction[..6].parse().ok()? } else { unknown };
    seconds.parse::<i64>().ok()?.checked_mul(1_000_000)?.checked_add(part)
}

/// `192.0.2.100 0x1 0x2 52:54:00:12:34:56 * eth0`; bit 2 of the flags says that the address is known.
fn arp(entry: &str) -> Option<String> {
    let words: Vec<&str> = entry.split_whitespace().collect();
    let flags = u32::from_str_radix(words.get(2)?.trim_start_matches("0x"), 16).ok()?;
    (flags & 2 != 0).then(|| (*words.get(3).unwrap_or(&"")).to_owned())
}

/// `2001:db8::100 dev eth0 lladdr 52:54:00:12:34:56 REACHABLE`.
fn neighbour(entry: &str) -> Option<String> {
    let mut words = entry.split_whitespace().skip_while(|word| *word != "lladdr").skip(1);
    let mac = words.next()?.to_owned();
    (!entry.ends_with("FAILED")).then_some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn understands_what_an_agent_says() {
        let said = read(
            "began:100.250000000\nlistening tcp 6443\nbusy tcp 10250\nfailed ip 112 Operation not permitted\n\
             at 1 open 337\nat 2 refused\nat 3 silent\nat 4 unreachable No route to host\nat 5 sent\n\
             at 6 failed Operation not permitted\ngot 7 1472\ncollected\n\
             arp:192.0.2.100 0x1 0x2 52:54:00:12:34:56 * eth0\nended:100.5\n",
        );
        assert_eq!(said.times, Some((100_250_000, 100_000_000)));
        assert_eq!(said.listeners[&Protocol::Tcp(6443)], Listener::Ours);
        assert_eq!(said.listeners[&Protocol::Tcp(10250)], Listener::Busy);
        assert_eq!(said.listeners[&Protocol::Ip(112)], Listener::Failed("Operation not permitted".into()));
        let ends = [
            End::Open(337),
            End::Refused,
            End::Silent,
            End::Unreachable("No route to host".into()),
            End::Sent,
            End::Failed("Operation not permitted".into()),
        ];
        assert_eq!(said.ends.into_values().collect::<Vec<_>>(), ends);
        assert_eq!((said.got[&7], said.collected, said.no_tool), (1472, true, false));
        assert_eq!(said.neighbour.unwrap(), "52:54:00:12:34:56");
        assert_eq!(said.failed, None);
    }

    #[test]
    fn strange_answers_are_told() {
        for (text, failed) in [
            ("perl: warning: x", Some("perl: warning: x")),
            ("failed fork 0 no memory", Some("failed fork 0 no memory")),
            ("", None),
            ("at x open", None),
        ] {
            assert_eq!(read(text).failed.as_deref(), failed, "{text}");
        }
        assert_eq!(read("arp:192.0.2.1 0x1 0x0 00:00:00:00:00:00 * eth0").neighbour, None);
        assert_eq!(
            read("neighbour:2001:db8::1 dev eth0 lladdr 52:54:00:12:34:56 STALE").neighbour.unwrap(),
            "52:54:00:12:34:56"
        );
        assert_eq!(read("began:100.%N\nended:100.%N").times, Some((100_999_999, 100_000_000)));
    }

    #[test]
    fn orders_are_lines() {
        let order = Order {
            mode: Mode::Connect,
            token: "t".into(),
            life: 10,
            listen: vec![(Protocol::Tcp(1), "::1".parse().unwrap())],
            to: vec![(3, Protocol::Ip(112), "192.0.2.1".parse().unwrap())],
            volleys: vec![Volley {
                id: 4,
                port: 8472,
                address: "192.0.2.1".parse().unwrap(),
                sizes: vec![1500, 1280],
            }],
            vip: Some((9, "192.0.2.100".parse().unwrap())),
        };
        assert_eq!(
            order.text(),
            "mode connect\ntoken t\nlife 10\nlimit 1300\nbrief 9\nlisten tcp 1 ::1\nto 3 ip 112 192.0.2.1\n\
             volley 4 8472 192.0.2.1 1500 1280\n"
        );
    }
}

//! Questions to servers as a host, or a pod on it, would ask them: bytes to an address, and the bytes that come back.

use crate::facts::tool;
use crate::facts::tool::Program;
use crate::host::Command;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

/// One after the other.
const SCRIPT: &str = "LC_ALL=C\nexport LC_ALL\nwith_tool\n";
const PERL: &str = include_str!("agent.pl");
const PYTHON: &str = include_str!("agent.py");
/// What one question may take, with room for a busy host.
const LIMIT_EACH: Duration = Duration::from_secs(6);

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub transport: Transport,
    pub server: IpAddr,
    pub port: u16,
    pub bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    Udp,
    /// The answer begins with its length in two bytes, as in DNS (RFC 1035, 4.2.2).
    Tcp,
}

impl Transport {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// The command that asks them all, one after the other.
pub fn command(questions: &[Question]) -> Command {
    let mut orders = String::new();
    for (number, question) in questions.iter().enumerate() {
        let hex: String = question.bytes.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let Question { transport, server, port, .. } = question;
        let _ = writeln!(orders, "{number} {} {server} {port} {hex}", transport.as_str());
    }
    let program = Program { perl: PERL, python: PYTHON, input: &orders };
    let script = tool::script(program, &[], SCRIPT);
    let limit = LIMIT_EACH.saturating_mul(u32::try_from(questions.len()).unwrap_or(u32::MAX)).max(LIMIT_EACH);
    Command::query("sh").arg("-s").stdin(script).timeout(limit)
}

/// What came back, by the number of the question: bytes, or why there are none.
pub fn answers(text: &str) -> BTreeMap<usize, Result<Vec<u8>, String>> {
    let answer = |line: &str| {
        let (number, rest) = line.split_once(' ')?;
        let answer = match rest.split_once(' ').unwrap_or((rest, "")) {
            ("answer", hex) => bytes(hex).ok_or_else(|| "an answer that cannot be read".to_owned()),
            ("trouble", why) => Err(why.to_owned()),
            _ => return None,
        };
        Some((number.parse().ok()?, answer))
    };
    text.lines().filter_map(answer).collect()
}

/// Whether the host has nothing to ask with.
pub fn has_no_tool(text: &str) -> bool {
    text.lines().any(|line| line == "no-tool")
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.trim().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(byte).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_line_by_line() {
        let text = "0 answer 00ff\n1 trouble Connection refused\nperl: warning\n2 answer 0\n3 answer \n";
        let found = answers(text);
        assert_eq!(found[&0], Ok(vec![0, 255]));
        assert_eq!(found[&1], Err("Connection refused".to_owned()));
        assert!(found[&2].is_err());
        assert_eq!(found[&3], Ok(Vec::new()));
        assert_eq!(found.len(), 4);
        assert!(has_no_tool("no-tool\n") && !has_no_tool(text));
    }
}

//! What hosts are asked to run to look at the endpoint, and what they say.

use super::Request;
use crate::host::Command;
use std::net::IpAddr;

/// Between two requests of one machine, and between two looks at a host.
pub const INTERVAL_MS: u64 = 100;
/// What one command covers: requests go on while those before are still waiting.
pub const CHUNK_MS: u64 = 1000;
/// The exit code of a machine that has no curl.
pub const NO_CURL: i32 = 127;

/// Asks a number of times, an interval apart, not waiting for answers. The clock is the host's uptime: nobody sets it.
const ASK: &str = r#"command -v curl >/dev/null || exit 127
ca=$(cat)
read -r up _ </proc/uptime
echo "start $up"
n=0
while [ "$n" -lt "$2" ]; do
  n=$((n + 1))
  (
    read -r sent _ </proc/uptime
    status=$(printf '%s\n' "$ca" | curl -s -o /dev/null -w '%{http_code}' --noproxy '*' --max-time 2 --cacert /dev/stdin "$1")
    code=$?
    read -r ended _ </proc/uptime
    echo "$sent $ended ${status:-000} $code"
  ) &
  sleep 0.1
done
wait"#;

/// Requests to an address of the API, verified against an authority (PEM).
pub fn ask(url: &str, authority: &[u8], times: u64) -> Command {
    Command::query("sh").args(["-c", ASK, "sh", url]).arg(times.to_string()).stdin(authority)
}

/// Reads what [`ask`] says; it was sent at this time. `None` when it is something else.
pub fn requests(from: &str, sent: u64, said: &str) -> Option<Vec<Request>> {
    let mut lines = said.lines();
    let start = milliseconds(lines.next()?.strip_prefix("start ")?)?;
    lines
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [began, ended, status, code] = words.as_slice() else { return None };
            let at = |text: &str| Some(sent + milliseconds(text)?.saturating_sub(start));
            let trouble = trouble(status, code.parse().ok()?);
            Some(Request { from: from.to_owned(), sent: at(began)?, ended: at(ended)?, trouble })
        })
        .collect()
}

/// An API server answers also who it does not know.
fn trouble(status: &str, code: i32) -> Option<String> {
    match (status, code) {
        ("200" | "401" | "403", 0) => None,
        (status, 0) => Some(format!("status {status}")),
        (_, 6) => Some("its name cannot be resolved".to_owned()),
        (_, 7) => Some("no connection".to_owned()),
        (_, 28) => Some("no answer within two seconds".to_owned()),
        (_, 35 | 52 | 56) => Some("the connection was closed".to_owned()),
        (_, 60) => Some("its certificate is not one of the cluster's authority".to_owned()),
        (_, code) => Some(format!("curl failed with code {code}")),
    }
}

/// `12345.67` seconds.
fn milliseconds(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.')?;
    let hundredths: u64 = part.get(..2)?.parse().ok()?;
    Some(whole.parse::<u64>().ok()? * 1000 + hundredths * 10)
}

/// Says something when the host has one of these addresses, and nothing when it has none.
pub fn has_address(addresses: &[IpAddr]) -> Command {
    let script = r#"for address; do ip -o addr show to "$address" || exit; done"#;
    Command::query("sh").args(["-c", script, "sh"]).args(addresses.iter().map(ToString::to_string))
}

/// Succeeds where a process of this name runs, in whatever container.
pub fn runs(program: &str) -> Command {
    Command::query("sh").args(["-c", r#"cat /proc/[0-9]*/comm 2>/dev/null | grep -qx "$1""#, "sh", program])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_in_our_time() {
        let said = "start 100.50\n100.50 100.53 200 0\n100.60 101.60 000 28\n100.71 100.72 000 60\n100.80 100.81 401 0\n\
                    100.90 100.91 500 0\n";
        let request = |sent, ended, trouble: Option<&str>| Request {
            from: "w1".to_owned(),
            sent,
            ended,
            trouble: trouble.map(str::to_owned),
        };
        let expected = vec![
            request(2000, 2030, None),
            request(2100, 3100, Some("no answer within two seconds")),
            request(2210, 2220, Some("its certificate is not one of the cluster's authority")),
            request(2300, 2310, None),
            request(2400, 2410, Some("status 500")),
        ];
        assert_eq!(requests("w1", 2000, said), Some(expected));
        assert_eq!(requests("w1", 0, "start 1.00\nsomething else"), None);
        assert_eq!(requests("w1", 0, ""), None);
    }
}

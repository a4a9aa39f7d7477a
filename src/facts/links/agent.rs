//! The commands that make a host listen, try and tell.

use crate::facts::links::wire::Order;
use crate::facts::tool;
use crate::facts::tool::Program;
use crate::host::Command;
use std::time::Duration;

const SCRIPT: &str = include_str!("agent.sh");
const PERL: &str = include_str!("agent.pl");
const PYTHON: &str = include_str!("agent.py");
/// Far more than any step takes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// One step on a host. It leaves nothing behind: a listener ends by itself, and sooner when it is collected.
pub(super) fn command(order: &Order) -> Command {
    let vip = order.vip.map(|(_, vip)| vip.to_string()).unwrap_or_default();
    let program = Program { perl: PERL, python: PYTHON, input: &order.text() };
    let script = tool::script(program, &[("vip", &vip)], SCRIPT);
    Command::query("sh").arg("-s").stdin(script).timeout(TIMEOUT)
}

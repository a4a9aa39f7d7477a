//! The check `ClockSkew`. Certificates are dated by the operator's machine, leases and etcd by the hosts.

use crate::facts::links::Protocol;
use crate::preflight::Problem;
use crate::preflight::fleet::Between;
use crate::preflight::fleet::Found;
use crate::preflight::fleet::listed;
use std::time::Duration;

const WARNING: Duration = Duration::from_secs(1);
/// sealos stops there, too.
const ERROR: Duration = Duration::from_secs(5);
/// How the operator's machine is called in findings.
const HERE: &str = "this machine";

const REPAIR: &str =
    "`systemctl enable --now systemd-timesyncd` or chrony, and `chronyc makestep` to set it at once";

pub(super) fn skew(between: &Between, _: Option<Protocol>) -> Found {
    let Some(links) = between.links else { return not_measured("no clock was compared") };
    let mut middles: Vec<i64> = links.clocks.values().map(|offset| offset.middle()).collect();
    middles.sort_unstable();
    let Some(median) = middles.get(middles.len() / 2).copied() else {
        return not_measured("no host told its time");
    };
    let ours_is_off = middles.len() > 1
        && agreeing(&middles, median)
        && Duration::from_micros(median.unsigned_abs()) > WARNING;
    let reference = if ours_is_off { median } else { 0 };
    let mut problems = Vec::new();
    if ours_is_off {
        let near = links.clocks.values().filter(|offset| offset.certain(median) <= WARNING);
        let apart = near.map(|offset| offset.certain(0)).min().unwrap_or_default();
        problems.extend(judge(HERE, -median, apart, "most hosts'").map(|problem| problem.between([HERE])));
    }
    let whose = if ours_is_off { "most hosts'" } else { "this machine's" };
    for (name, offset) in &links.clocks {
        let apart = offset.certain(reference);
        let problem = judge(name, offset.middle() - reference, apart, whose);
        problems.extend(problem.map(|problem| problem.between([name.as_str()])));
    }
    let silent: Vec<&str> =
        between.facts.keys().copied().filter(|name| !links.clocks.contains_key(*name)).collect();
    let not_done =
        if silent.is_empty() { Vec::new() } else { vec![format!("{} told no time", listed(&silent))] };
    Found { problems, not_done }
}

/// Whether more than half of the clocks are near the one in the middle.
fn agreeing(middles: &[i64], median: i64) -> bool {
    let near =
        middles.iter().filter(|middle| Duration::from_micros(middle.abs_diff(median)) <= WARNING).count();
    near * 2 > middles.len()
}

fn judge(name: &str, micros: i64, apart: Duration, whose: &str) -> Option<Problem> {
    let direction = if micros > 0 { "ahead of" } else { "behind" };
    let text = format!("the clock of {name} is {} {direction} {whose}", seconds(apart));
    let problem = if apart > ERROR {
        Problem::error(text)
    } else if apart > WARNING {
        Problem::warning(text)
    } else {
        return None;
    };
    Some(problem.repair(REPAIR))
}

fn seconds(apart: Duration) -> String {
    if apart < Duration::from_mins(1) {
        format!("{:.1} s", apart.as_secs_f64())
    } else {
        crate::cluster::GoDuration::from_secs(i64::try_from(apart.as_secs()).unwrap_or(i64::MAX)).to_string()
    }
}

fn not_measured(why: &str) -> Found {
    Found { problems: Vec::new(), not_done: vec![why.to_owned()] }
}

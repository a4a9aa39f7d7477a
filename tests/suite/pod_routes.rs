//! The script of the pod network `bridge`, run by a real shell with real routes and a real packet filter.

use crate::skip::skip;
use crate::support::scenario::Scenario;
use kubewright::facts::question::BRIDGE_SCRIPT;
use kubewright::host::Command;
use kubewright::host::Host as _;
use kubewright::host::Local;
use kubewright::plan::Action;
use kubewright::plan::Place;

/// A host of its own: a link to the others, a route of somebody else, and one of ours to a node that has left.
const HOST: &str = "set -e
ip link set lo up
ip link add eth0 type dummy
ip link set eth0 up
ip addr add 198.51.100.21/24 dev eth0
ip -6 addr add 2001:db8::21/64 dev eth0 nodad
ip route add 203.0.113.0/24 via 198.51.100.1
ip route add 10.244.9.0/24 via 198.51.100.29 proto 177
ip -6 route add fd00:10:244:9::/64 via 2001:db8::29 proto 177
";

/// The script as `w1` gets it.
fn script(name: &str) -> String {
    let plan = Scenario::load(name, None).plan();
    let found = plan.steps.iter().find_map(|step| match &step.action {
        Action::File(file) if file.path == BRIDGE_SCRIPT && step.place == Place::Host("w1".to_owned()) => {
            file.content.text().map(str::to_owned)
        }
        _ => None,
    });
    found.expect("w1 is a node")
}

fn run(words: &str) -> Option<String> {
    let script = script("cni-bridge-dual-stack");
    let text = format!("{HOST}cat >\"$0.script\" <<'SCRIPT'\n{script}SCRIPT\n{words}\n");
    let here = std::env::temp_dir().join(format!("pod-network-{}-{}", std::process::id(), words.len()));
    let command = Command::query("unshare").args(["-n", "sh", "-c", &text]).arg(here.display().to_string());
    let output = Local::new("here").run(&command).ok()?;
    assert!(output.success(), "{}{}", output.text(), String::from_utf8_lossy(&output.stderr));
    Some(output.text())
}

fn can_run(test: &str) -> bool {
    let probe = "command -v nft && command -v ip && nft list ruleset && ip link add probe type dummy";
    let command = Command::query("unshare").args(["-n", "sh", "-c", probe]);
    let able = Local::new("here").run(&command).is_ok_and(|output| output.success());
    if !able {
        skip(test, "no network namespace can be made here, or ip or nft is missing");
    }
    able
}

#[test]
fn routes_are_set_once_and_foreign_ones_are_left_alone() {
    if !can_run("routes_are_set_once_and_foreign_ones_are_left_alone") {
        return;
    }
    let look = "ip route; ip -6 route show proto 177; nft list ruleset";
    let once = run(&format!("sh \"$0.script\" start; {look}; rm \"$0.script\"")).unwrap();
    for line in [
        "203.0.113.0/24 via 198.51.100.1",
        "10.244.0.0/25 via 198.51.100.11 dev eth0 proto 177",
        "fd00:10:244::/64 via 2001:db8::11 dev eth0",
        "ip saddr 10.244.0.0/16 ip daddr != { 10.244.0.0/16, 224.0.0.0/4 } masquerade",
        "ip6 saddr fd00:10:244::/56 ip6 daddr != { fd00:10:244::/56, ff00::/8 } masquerade",
    ] {
        assert!(once.contains(line), "no {line:?} in\n{once}");
    }
    assert!(!once.contains("10.244.9.0") && !once.contains("fd00:10:244:9::"), "{once}");
    let twice = format!("sh \"$0.script\" start; sh \"$0.script\" start; {look}; rm \"$0.script\"");
    assert_eq!(run(&twice).unwrap(), once);
}

#[test]
fn nothing_of_it_stays_when_it_stops() {
    if !can_run("nothing_of_it_stays_when_it_stops") {
        return;
    }
    let words = "sh \"$0.script\" start; sh \"$0.script\" stop; sh \"$0.script\" stop
ip route; ip -6 route show proto 177; nft list ruleset; rm \"$0.script\"";
    let left = run(words).unwrap();
    assert!(left.contains("203.0.113.0/24 via 198.51.100.1"), "{left}");
    assert!(!left.contains("proto 177") && !left.contains("fd00:") && !left.contains("table"), "{left}");
}

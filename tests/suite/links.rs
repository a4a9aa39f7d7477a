//! Measuring between two hosts that are network namespaces of this machine, with each of the tools that hosts have.

use crate::fixture;
use crate::pki::fixture::node;
use crate::skip::skip;
use kubewright::clock::System;
use kubewright::cluster::Cluster;
use kubewright::cluster::HostPort;
use kubewright::cluster::Role;
use kubewright::cluster::site::EndpointProvider;
use kubewright::facts::Links;
use kubewright::facts::links;
use kubewright::facts::links::Outcome;
use kubewright::facts::links::Protocol;
use kubewright::facts::links::Wanted;
use kubewright::host::Command;
use kubewright::host::Entry;
use kubewright::host::Fleet;
use kubewright::host::Host;
use kubewright::host::HostError;
use kubewright::host::Local;
use kubewright::host::Output;
use kubewright::host::Socket;
use kubewright::host::Stream;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A namespace with the programs of this machine, but for some.
struct Namespace {
    name: String,
    without: &'static [&'static str],
    machine: Local,
}

impl Namespace {
    fn gone(&self) -> HostError {
        let source = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        HostError::Connect { host: self.name.clone(), socket: "any".to_owned(), source }
    }
}

impl Host for Namespace {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, command: &Command) -> Result<Output, HostError> {
        let hide = |path: &&str| format!("mount --bind /dev/null {path}; ");
        let hidden = self.without.iter().map(hide).collect::<Vec<_>>().concat();
        let mut inside =
            Command::query("ip").args(["netns", "exec", &self.name, "unshare", "-m", "sh", "-c"]);
        inside = inside.arg(format!("{hidden}exec {command}")).timeout(command.timeout);
        // The interpreters of the system, and no wrapper of the one who runs the tests.
        inside = inside.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        inside.stdin.clone_from(&command.stdin);
        self.machine.run(&inside)
    }

    fn read(&self, _: &str) -> Result<Option<Entry>, HostError> {
        Err(self.gone())
    }

    fn write(&self, _: &str, _: &Entry) -> Result<(), HostError> {
        Err(self.gone())
    }

    fn remove(&self, _: &str) -> Result<(), HostError> {
        Err(self.gone())
    }

    fn connect(&self, _: &Socket) -> Result<Stream, HostError> {
        Err(self.gone())
    }
}

/// Two namespaces on one wire, removed when they go out of scope.
struct Wire;

const NAMES: [&str; 2] = ["kwsuite1", "kwsuite2"];
const PERL: &str = "/usr/bin/perl";
const PYTHON: &str = "/usr/bin/python3";

fn ip(line: &str) -> bool {
    let output = Local::new("here").run(&Command::query("ip").args(line.split(' ')));
    output.is_ok_and(|output| output.success())
}

impl Wire {
    /// `None` where this machine cannot make one.
    fn new() -> Option<Self> {
        let [one, other] = NAMES;
        if !ip(&format!("netns add {one}")) {
            return None;
        }
        let wire = Self;
        let mut made = ip(&format!("netns add {other}"))
            && ip(&format!("-n {one} link add eth0 type veth peer name eth0 netns {other}"));
        for (index, name) in NAMES.iter().enumerate() {
            for line in [
                format!("addr add 192.0.2.{}/24 dev eth0", index + 1),
                format!("addr add 2001:db8::{}/64 dev eth0 nodad", index + 1),
                "link set lo up".to_owned(),
                "link set eth0 up".to_owned(),
            ] {
                made = made && ip(&format!("-n {name} {line}"));
            }
        }
        made.then_some(wire)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for name in NAMES {
            ip(&format!("netns del {name}"));
        }
    }
}

fn cluster(addresses: [&str; 2]) -> Cluster {
    let mut cluster = fixture::cluster();
    let nodes = NAMES.iter().zip(addresses);
    cluster.nodes = nodes.map(|(name, address)| node(name, address, Role::ControlPlane)).collect();
    let vip = format!("{}9", addresses[0].strip_suffix('1').unwrap());
    cluster.site.balancing = Some(fixture::keepalived(&vip, 8443));
    cluster.endpoint = Some(HostPort::new(vip, 8443));
    cluster.site.endpoint_provider = EndpointProvider::KeepalivedHaproxy;
    cluster.site.cni = fixture::flannel();
    cluster
}

fn measure(addresses: [&str; 2], without: [&'static [&'static str]; 2]) -> Links {
    let mut fleet = Fleet::new();
    for (name, without) in NAMES.into_iter().zip(without) {
        fleet.insert(Arc::new(Namespace { name: name.to_owned(), without, machine: Local::new(name) }));
    }
    links::measure(&fleet, &BTreeMap::new(), &Wanted::of(&cluster(addresses)), 2, &System)
}

const FOURTH: [&str; 2] = ["192.0.2.1", "192.0.2.2"];
const SIXTH: [&str; 2] = ["2001:db8::1", "2001:db8::2"];

#[test]
fn measures_with_whatever_tool_a_host_has() {
    let test = "measures_with_whatever_tool_a_host_has";
    let tools = [PERL, PYTHON].into_iter().filter(|tool| !std::path::Path::new(tool).exists());
    if let Some(missing) = tools.into_iter().next() {
        skip(test, &format!("no {missing}"));
        return;
    }
    let Some(_wire) = Wire::new() else {
        skip(test, "no network namespaces: needs root and iproute2");
        return;
    };
    for addresses in [FOURTH, SIXTH] {
        for without in [[&[][..], &[]], [&[PERL], &[]], [&[PERL], &[PERL]]] {
            let links = measure(addresses, without);
            let what = format!("{addresses:?} without {without:?}: {links:#?}");
            assert_eq!(links.trouble, BTreeMap::new(), "{what}");
            assert_eq!(links.reached.len(), 14, "{what}");
            let open = |outcome: &Outcome| matches!(outcome, Outcome::Open(_));
            assert!(links.reached.iter().all(|reached| open(&reached.outcome)), "{what}");
            assert!(
                links.mtus.len() == 2 && links.mtus.iter().all(|mtu| mtu.largest == Some(1500)),
                "{what}"
            );
            assert!(links.latency(NAMES[0], NAMES[1]).unwrap() > Duration::ZERO, "{what}");
            assert!(
                links.clocks.values().all(|offset| offset.certain(0) < Duration::from_millis(5)),
                "{what}"
            );
            let vip = links.vip.as_ref().unwrap();
            assert!(vip.seen.values().all(|seen| !seen.answers && seen.mac.is_none()), "{what}");
        }
    }
    without_a_tool();
    without_a_host();
    narrow_wire();
}

fn without_a_tool() {
    let links = measure(FOURTH, [&[], &[PERL, PYTHON]]);
    assert!(links.trouble[NAMES[1]].contains("neither perl nor Python"), "{:?}", links.trouble);
    for reached in &links.reached {
        let Outcome::NotDone(why) = &reached.outcome else {
            // Its connections are made by its sshd, which this host has not got.
            assert_eq!((reached.probe.from.as_str(), &reached.outcome), (NAMES[1], &Outcome::Refused));
            continue;
        };
        assert!(why.contains("neither perl nor Python"), "{reached:?}");
    }
    let udp = links.reached.iter().filter(|reached| reached.probe.protocol == Protocol::Udp(8472));
    assert!(udp.count() == 2 && links.mtus.is_empty());
}

/// A host that nobody connected to: what it does with packets proves nothing.
fn without_a_host() {
    let mut fleet = Fleet::new();
    fleet.insert(Arc::new(Namespace {
        name: NAMES[0].to_owned(),
        without: &[],
        machine: Local::new(NAMES[0]),
    }));
    let links = links::measure(&fleet, &BTreeMap::new(), &Wanted::of(&cluster(FOURTH)), 2, &System);
    assert_eq!(links.reached.len(), 14);
    assert!(links.reached.iter().all(|reached| matches!(reached.outcome, Outcome::NotDone(_))), "{links:#?}");
}

fn narrow_wire() {
    assert!(ip(&format!("-n {} link set eth0 mtu 1410", NAMES[1])));
    for without in [&[][..], &[PERL]] {
        let links = measure(FOURTH, [without, without]);
        assert!(links.mtus.iter().all(|mtu| mtu.largest == Some(1410)), "{:?}", links.mtus);
    }
}

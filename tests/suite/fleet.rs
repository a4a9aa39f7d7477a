//! Preflight over all hosts of a cluster, one difference from five healthy hosts at a time. What operators read is in
//! `tests/fleet/CASE.txt` (`BLESS=1` writes it).

use crate::fixture;
use crate::pki::fixture::node;
use crate::support::text;
use kubewright::cluster::Cluster;
use kubewright::cluster::HostPort;
use kubewright::cluster::Role;
use kubewright::cluster::kubeadm::Arg;
use kubewright::cluster::site::EndpointProvider;
use kubewright::facts::ClusterFacts;
use kubewright::facts::HostFacts;
use kubewright::facts::Links;
use kubewright::facts::NodeFacts;
use kubewright::facts::checks::DefaultRoute;
use kubewright::facts::checks::Kubelet;
use kubewright::facts::checks::Nic;
use kubewright::facts::checks::Route;
use kubewright::facts::checks::Service;
use kubewright::facts::links::Offset;
use kubewright::facts::links::Outcome;
use kubewright::facts::links::PathMtu;
use kubewright::facts::links::Probe;
use kubewright::facts::links::Protocol;
use kubewright::facts::links::Purpose;
use kubewright::facts::links::Reached;
use kubewright::facts::links::Seen;
use kubewright::facts::links::VRRP;
use kubewright::facts::links::Vip;
use kubewright::facts::links::Wanted;
use kubewright::facts::links::wanted::EVERY_PAIR_UP_TO;
use kubewright::facts::runtime::Connection;
use kubewright::preflight::EtcdVersions;
use kubewright::preflight::FleetReport;
use kubewright::preflight::FleetSubject;
use kubewright::preflight::HostInput;
use kubewright::preflight::Ignore;
use kubewright::preflight::Severity;
use kubewright::preflight::Unreachable;
use kubewright::preflight::fleet_preflight;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

const HOSTS: [(&str, &str, Role); 5] = [
    ("cp1", "192.0.2.11", Role::ControlPlane),
    ("cp2", "192.0.2.12", Role::ControlPlane),
    ("cp3", "192.0.2.13", Role::ControlPlane),
    ("w1", "192.0.2.21", Role::Worker),
    ("w2", "192.0.2.22", Role::Worker),
];
const VIP: &str = "192.0.2.100";

/// Five hosts, and all that a test may want to change about them.
struct Fleet {
    cluster: Cluster,
    hosts: BTreeMap<String, Result<HostInput, Unreachable>>,
    links: Option<Links>,
    prepare: bool,
    running: ClusterFacts,
    ignore: Vec<String>,
}

impl Fleet {
    fn healthy() -> Self {
        let mut cluster = fixture::cluster();
        cluster.nodes = HOSTS.map(|(name, address, role)| node(name, address, role)).into();
        cluster.endpoint = Some(HostPort::new(VIP, 8443));
        cluster.site.endpoint_provider = EndpointProvider::KeepalivedHaproxy;
        cluster.site.balancing = Some(fixture::keepalived(VIP, 8443));
        cluster.site.cni = fixture::flannel();
        let hosts = cluster.nodes.iter().enumerate().map(|(index, node)| {
            let facts = host(index, &node.name, &node.advertise_address.to_string());
            (node.name.clone(), Ok(HostInput { facts, images: Vec::new(), ours: BTreeSet::new() }))
        });
        let hosts = hosts.collect();
        let links = Some(perfect(&cluster));
        Self { cluster, hosts, links, prepare: false, running: ClusterFacts::default(), ignore: Vec::new() }
    }

    fn facts(&mut self, name: &str) -> &mut HostFacts {
        &mut self.hosts.get_mut(name).unwrap().as_mut().unwrap().facts
    }

    /// A cluster that runs, with these versions of its API servers and kubelets.
    fn runs(&mut self, api_servers: &[(&str, &str)], kubelets: &[(&str, &str)]) {
        let version = |(host, text): &(&str, &str)| ((*host).to_owned(), text.parse().unwrap());
        let node = |(name, kubelet): &(&str, &str)| NodeFacts {
            name: (*name).to_owned(),
            kubelet_version: (*kubelet).to_owned(),
            ..NodeFacts::default()
        };
        self.running.runs = true;
        self.running.api_servers = api_servers.iter().map(version).collect();
        self.running.nodes = kubelets.iter().map(node).collect();
    }

    fn links(&mut self) -> &mut Links {
        self.links.as_mut().unwrap()
    }

    /// The first control plane sees somebody with this hardware address.
    fn answers_at_the_address(&mut self, mac: String) {
        let seen = &mut self.links().vip.as_mut().unwrap().seen;
        seen.insert("cp1".into(), Seen { answers: true, mac: Some(mac) });
    }

    /// What becomes of the probes that `which` names.
    fn outcome(&mut self, outcome: &Outcome, which: impl Fn(&Probe) -> bool) {
        let mut changed = 0;
        for reached in self.links().reached.iter_mut().filter(|reached| which(&reached.probe)) {
            reached.outcome = outcome.clone();
            changed += 1;
        }
        assert!(changed > 0, "no probe is like this");
    }

    fn run(&self) -> FleetReport {
        let subject = FleetSubject {
            cluster: &self.cluster,
            hosts: &self.hosts,
            links: self.links.as_ref(),
            prepare: self.prepare,
            etcd: &EtcdVersions::new(),
            running: &self.running,
        };
        fleet_preflight(&subject, &Ignore::new(&self.ignore, &[]).unwrap())
    }
}

fn host(index: usize, name: &str, address: &str) -> HostFacts {
    let mut facts = fixture::healthy();
    name.clone_into(&mut facts.hostname);
    facts.addresses = vec!["127.0.0.1".parse().unwrap(), address.parse().unwrap()];
    let checks = &mut facts.checks;
    checks.machine_id = Some(format!("{index:032x}"));
    checks.product_uuid = Some(format!("4c4c4544-0000-1000-8000-{index:012x}"));
    checks.ssh_host_keys = BTreeSet::from([format!("ssh-ed25519 AAAA{index}")]);
    checks.kernel.machine = "x86_64".into();
    checks.os = Some("Debian GNU/Linux 12 (bookworm)".to_owned());
    checks.nics.insert("eth0".to_owned(), Nic { mac: format!("52:54:00:00:00:{index:02x}"), mtu: 1500 });
    checks.nics.insert("docker0".to_owned(), Nic { mac: "02:42:ac:11:00:01".to_owned(), mtu: 1500 });
    checks.routes = vec![route("192.0.2.0/24", "eth0", None)];
    checks.default_routes = vec![DefaultRoute { interface: "eth0".to_owned(), metric: 0, ipv6: false }];
    checks.default_addresses = vec![address.parse().unwrap()];
    checks.names = BTreeMap::from([(name.to_owned(), vec![address.parse().unwrap()])]);
    facts
}

fn route(network: &str, interface: &str, via: Option<&str>) -> Route {
    let via = via.map(|via| via.parse().unwrap());
    Route { network: network.parse().unwrap(), interface: interface.to_owned(), via }
}

/// Everything open, near, of one time, and nobody at the VIP.
fn perfect(cluster: &Cluster) -> Links {
    let wanted = Wanted::of(cluster);
    let mut mtus = Vec::new();
    for probe in wanted.probes.iter().filter(|probe| probe.purpose == Purpose::PodNetwork) {
        let (from, to) = (probe.from.clone(), probe.to.clone());
        mtus.push(PathMtu { from, to, largest: Some(1500), tried: vec![1280, 1400, 1500] });
    }
    let reached = wanted.probes.into_iter().map(|probe| {
        let tcp = matches!(probe.protocol, Protocol::Tcp(_));
        Reached { probe, outcome: Outcome::Open(tcp.then_some(Duration::from_micros(400))) }
    });
    let (endpoint, watchers) = wanted.vip.unwrap();
    let seen = watchers.into_iter().map(|name| (name, Seen::default())).collect();
    Links {
        reached: reached.collect(),
        mtus,
        clocks: cluster.nodes.iter().map(|node| (node.name.clone(), clock(0.0))).collect(),
        vip: Some(Vip { endpoint, seen }),
        trouble: BTreeMap::new(),
    }
}

/// A clock so many seconds ahead, known to 4 ms.
#[expect(clippy::cast_possible_truncation, reason = "seconds of a test")]
fn clock(seconds: f64) -> Offset {
    let micros = (seconds * 1e6) as i64;
    Offset { least: micros - 2000, most: micros + 2000 }
}

/// A difference from a healthy fleet, and the checks that must tell it: with `E`, `W` or `N` for their severity.
type Case = (&'static str, fn(&mut Fleet), &'static [&'static str]);

const CASES: &[Case] = &[
    ("healthy", |_| {}, &[]),
    // A cluster that runs, and is to have v1.36.2.
    (
        "version-ahead",
        |fleet| {
            fleet.runs(
                &[("cp1", "v1.35.9"), ("cp2", "v1.36.1"), ("cp3", "v1.36.2")],
                &[("cp1", "v1.35.9"), ("w1", "v1.33.0"), ("w2", "v1.36.7"), ("old", "unknown")],
            );
        },
        &[],
    ),
    (
        "version-back",
        |fleet| {
            fleet.runs(
                &[("cp1", "v1.36.3"), ("cp2", "v1.36.2"), ("cp3", "v1.36.3")],
                &[("cp1", "v1.36.3"), ("w1", "v1.36.2")],
            );
        },
        &["E VersionDowngrade"],
    ),
    (
        "version-two-minors",
        |fleet| fleet.runs(&[("cp1", "v1.34.8"), ("cp2", "v1.35.1"), ("cp3", "v1.34.8")], &[]),
        &["E VersionStep"],
    ),
    (
        "version-of-kubelets",
        |fleet| {
            fleet.runs(
                &[("cp1", "v1.36.1")],
                &[("cp1", "v1.36.1"), ("w1", "v1.32.4"), ("w2", "v1.37.0"), ("w3", "v1.32.4")],
            );
        },
        &["E KubeletSkew", "E KubeletSkew"],
    ),
    ("clones", clones, &["E HostClones"]),
    (
        "same-product-uuid",
        |fleet| product_uuids(fleet, "4C4C4544-0001-1000-8000-000000000001"),
        &["W HostClones"],
    ),
    ("no-product-uuid", |fleet| product_uuids(fleet, "00000000-0000-0000-0000-000000000000"), &[]),
    (
        "same-hostname",
        |fleet| {
            for name in ["w1", "w2"] {
                fleet.facts(name).hostname = "debian".into();
            }
        },
        &["E UniqueHostname", "W NodeHostname", "W NodeHostname"],
    ),
    ("hostname-with-domain", |fleet| fleet.facts("w1").hostname = "w1.example.com".into(), &[]),
    (
        "blocked-port",
        |fleet| {
            fleet.outcome(&Outcome::Silent, |probe| {
                probe.to == "cp2" && probe.protocol == Protocol::Tcp(2379)
            });
            fleet.outcome(&Outcome::Refused, |probe| {
                (probe.from.as_str(), probe.to.as_str(), probe.protocol) == ("w1", "cp1", Protocol::Tcp(6443))
            });
            fleet.outcome(&Outcome::Unreachable("No route to host".into()), |probe| {
                (probe.from.as_str(), probe.to.as_str(), probe.protocol)
                    == ("cp1", "w2", Protocol::Tcp(10250))
            });
            fleet
                .outcome(&Outcome::Silent, |probe| probe.to == "w1" && probe.protocol == Protocol::Udp(8472));
            fleet.outcome(&Outcome::Silent, |probe| probe.to == "cp3" && probe.protocol == VRRP);
        },
        &[
            "E TCPReachable-2379",
            "E TCPReachable-6443",
            "E TCPReachable-10250",
            "E UDPReachable-8472",
            "E VRRPReachable",
        ],
    ),
    (
        "blocked-by-firewalld",
        |fleet| {
            let active = Service { active: Some(true), enabled: true };
            fleet.facts("cp1").checks.services.insert("firewalld".to_owned(), active);
            fleet.outcome(&Outcome::Unreachable("No route to host".into()), |probe| probe.to == "cp1");
        },
        &[
            "E TCPReachable-2379",
            "E TCPReachable-2380",
            "E TCPReachable-6443",
            "E TCPReachable-8443",
            "E TCPReachable-10250",
            "E UDPReachable-8472",
            "E VRRPReachable",
        ],
    ),
    (
        "no-listener",
        |fleet| {
            let why =
                "nobody listened there: it has neither perl nor Python, so it cannot listen for a moment";
            fleet.outcome(&Outcome::NotDone(why.into()), |probe| probe.to == "w2");
            fleet.links().mtus.retain(|mtu| mtu.to != "w2");
            fleet.links().clocks.remove("w2");
        },
        &[],
    ),
    ("not-measured", |fleet| fleet.links = None, &[]),
    (
        "clocks",
        |fleet| {
            for (name, seconds) in [("cp2", -3.5), ("w1", 4000.25), ("w2", 0.9)] {
                fleet.links().clocks.insert(name.into(), clock(seconds));
            }
        },
        &["W ClockSkew", "E ClockSkew"],
    ),
    (
        "own-clock",
        |fleet| {
            let all = fleet.links().clocks.iter_mut();
            all.for_each(|(_, offset)| *offset = clock(7.0));
            fleet.links().clocks.insert("w1".into(), clock(0.0));
        },
        &["E ClockSkew", "E ClockSkew"],
    ),
    (
        "slow-clock-answer",
        |fleet| {
            // An answer that took nine seconds says nothing about a clock.
            fleet.links().clocks.insert("w1".into(), Offset { least: -9_000_000, most: 10_000 });
        },
        &[],
    ),
    (
        "mixed",
        |fleet| {
            let checks = &mut fleet.facts("w2").checks;
            checks.kernel.machine = "aarch64".into();
            checks.kernel.release = "5.15.0-91-generic".into();
            checks.os = Some("Ubuntu 22.04.3 LTS".into());
            checks.runtime.connection =
                Connection::Ok { name: "cri-o".to_owned(), version: "1.36.0".to_owned() };
            fleet.facts("w1").checks.kubelet = Kubelet::Says("Kubernetes v1.35.1".into());
        },
        &["W MixedArchitectures", "N MixedSystems", "N MixedSystems", "W MixedRuntimes", "W MixedKubelets"],
    ),
    (
        "far-members",
        |fleet| {
            let slow = Outcome::Open(Some(Duration::from_micros(24_300)));
            fleet.outcome(&slow, |probe| probe.from == "cp3" || probe.to == "cp3");
            let far = Outcome::Open(Some(Duration::from_millis(140)));
            let cps = ["cp1", "cp2"];
            fleet.outcome(&far, |probe| cps.contains(&&*probe.from) && cps.contains(&&*probe.to));
        },
        &["E EtcdLatency", "W EtcdLatency", "W EtcdLatency"],
    ),
    (
        "far-members-told-etcd",
        |fleet| {
            let arg = Arg { name: "heartbeat-interval".into(), value: "300".into() };
            fleet.cluster.configuration.etcd.local.as_mut().unwrap().extra_args.push(arg);
            fleet.outcome(&Outcome::Open(Some(Duration::from_millis(140))), |_| true);
        },
        &["W EtcdLatency", "W EtcdLatency", "W EtcdLatency"],
    ),
    (
        "narrow-path",
        |fleet| {
            let narrow = fleet.links().mtus.iter_mut().filter(|mtu| mtu.to == "w2");
            narrow.for_each(|mtu| mtu.largest = Some(1400));
        },
        &["E PathMTU"],
    ),
    (
        "overlap",
        |fleet| {
            let add = |facts: &mut HostFacts, route| facts.checks.routes.push(route);
            add(fleet.facts("cp1"), route("10.244.8.0/22", "eth1", None));
            add(fleet.facts("w1"), route("10.0.0.0/8", "tun0", Some("192.0.2.1")));
            // Made by a pod network: a bridge, and a way over another node.
            add(fleet.facts("w2"), route("10.244.3.0/24", "cni0", None));
            add(fleet.facts("w2"), route("10.244.1.0/24", "eth0", Some("192.0.2.21")));
        },
        &["E NetworkOverlap", "W NetworkOverlap", "W NetworkOverlap"],
    ),
    (
        "wrong-address",
        |fleet| {
            fleet.cluster.nodes[3].advertise_address = "192.0.2.22".parse().unwrap();
            fleet.cluster.nodes[4].advertise_address = "192.0.2.99".parse().unwrap();
            let facts = fleet.facts("cp3");
            facts.checks.default_addresses = vec!["198.51.100.13".parse().unwrap()];
        },
        &["E NodeAddress", "E NodeAddress", "N NodeAddressRoute"],
    ),
    (
        "vip-taken",
        |fleet| {
            fleet.answers_at_the_address("00:00:5e:00:01:33".to_owned());
        },
        &["E VIPAvailable"],
    ),
    ("vip-of-a-worker", |fleet| fleet.facts("w1").addresses.push(VIP.parse().unwrap()), &["E VIPAvailable"]),
    (
        "vip-is-ours",
        |fleet| {
            fleet.facts("cp2").addresses.push(VIP.parse().unwrap());
            fleet.answers_at_the_address("52:54:00:00:00:01".to_owned());
        },
        &[],
    ),
    (
        // It came there after the host was asked.
        "vip-ours-by-now",
        |fleet| {
            let mac = fleet.facts("cp2").checks.nics["eth0"].mac.clone();
            fleet
                .links()
                .vip
                .as_mut()
                .unwrap()
                .seen
                .insert("cp1".into(), Seen { answers: true, mac: Some(mac) });
        },
        &[],
    ),
    (
        "vip-of-a-worker-by-now",
        |fleet| {
            let mac = fleet.facts("w1").checks.nics["eth0"].mac.clone();
            fleet
                .links()
                .vip
                .as_mut()
                .unwrap()
                .seen
                .insert("cp1".into(), Seen { answers: true, mac: Some(mac) });
        },
        &["E VIPAvailable"],
    ),
    (
        "vip-twice",
        |fleet| {
            for name in ["cp1", "cp2"] {
                fleet.facts(name).addresses.push(VIP.parse().unwrap());
            }
        },
        &["E VIPAvailable"],
    ),
    (
        "vip-off-link",
        |fleet| fleet.cluster.site.balancing = Some(fixture::keepalived("198.51.100.100", 8443)),
        &["E VIPSubnet"],
    ),
    (
        "host-off",
        |fleet| {
            let why = "192.0.2.13:22: no route to host".to_owned();
            fleet.hosts.insert("cp3".into(), Err(Unreachable { why, repair: String::new() }));
            fleet.outcome(&Outcome::Silent, |probe| probe.to == "cp3");
            fleet.outcome(&Outcome::NotDone("cp3 was not reached".into()), |probe| probe.from == "cp3");
            fleet.links().clocks.remove("cp3");
            fleet.links().mtus.retain(|mtu| mtu.from != "cp3" && mtu.to != "cp3");
        },
        &["E HostReachable"],
    ),
    (
        "everything-at-once",
        |fleet| {
            clones(fleet);
            let repair = "`ssh-keygen -R w2` when the host was made anew".to_owned();
            let why = "the host key is not the one in known_hosts".to_owned();
            fleet.hosts.insert("w2".into(), Err(Unreachable { why, repair }));
            let why = "192.0.2.13:22: connection refused".to_owned();
            fleet.hosts.insert("cp3".into(), Err(Unreachable { why, repair: String::new() }));
            fleet.outcome(&Outcome::Silent, |probe| {
                probe.to == "cp2" && probe.protocol == Protocol::Tcp(2380)
            });
            fleet.facts("w1").checks.swap.active = vec!["/dev/sda2".into()];
            fleet.facts("cp1").existing_paths.insert("/etc/kubernetes/kubelet.conf".into());
            fleet.facts("cp1").existing_paths.insert("/etc/kubernetes/manifests/etcd.yaml".into());
        },
        &["E HostReachable", "E HostReachable", "E HostClones", "E TCPReachable-2380"],
    ),
];

fn clones(fleet: &mut Fleet) {
    let original = fleet.facts("cp1").checks.clone();
    for name in ["cp2", "w1"] {
        let checks = &mut fleet.facts(name).checks;
        checks.machine_id.clone_from(&original.machine_id);
        checks.ssh_host_keys.clone_from(&original.ssh_host_keys);
    }
    fleet.facts("w1").checks.nics.insert("eth0".to_owned(), original.nics["eth0"].clone());
}

fn product_uuids(fleet: &mut Fleet, uuid: &str) {
    for (name, ..) in HOSTS {
        fleet.facts(name).checks.product_uuid = Some(uuid.to_owned());
    }
}

fn told(report: &FleetReport) -> Vec<String> {
    let letter = |severity| match severity {
        Severity::Error => "E",
        Severity::Warning => "W",
        Severity::Note => "N",
        Severity::Prepared => "P",
    };
    let findings = report.between.findings.iter();
    findings.map(|finding| format!("{} {}", letter(finding.severity), finding.check)).collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "tests write their own expectations")]
fn each_difference_is_told_and_nothing_else() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fleet");
    for (name, change, expected) in CASES {
        let mut fleet = Fleet::healthy();
        change(&mut fleet);
        let report = fleet.run();
        let mut found = told(&report);
        let mut wanted: Vec<&str> = expected.to_vec();
        found.sort();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "{name}:\n{}", report.table());
        let path = folder.join(format!("{name}.txt"));
        if text::blessing() {
            std::fs::write(&path, report.table()).unwrap();
        }
        text::assert_same(&path.display().to_string(), &text::read(&path), &report.table());
    }
    let files: BTreeSet<String> = text::files(&folder)
        .iter()
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(files, CASES.iter().map(|(name, ..)| (*name).to_owned()).collect());
}

#[test]
fn every_check_between_hosts_can_be_ignored_by_its_name() {
    for (name, change, expected) in CASES {
        let mut fleet = Fleet::healthy();
        change(&mut fleet);
        fleet.ignore = expected.iter().map(|told| told[2..].to_owned()).collect();
        let between = fleet.run().between;
        assert!(!between.failed(), "{name}:\n{}", between.table());
        let errors = expected.iter().filter(|told| told.starts_with('E')).count();
        assert_eq!(between.findings.iter().filter(|finding| finding.ignored).count(), errors, "{name}");
    }
}

#[test]
fn what_was_not_tried_is_never_passed() {
    for case in ["no-listener", "not-measured"] {
        let mut fleet = Fleet::healthy();
        let (_, change, _) = CASES.iter().find(|(name, ..)| *name == case).unwrap();
        change(&mut fleet);
        let report = fleet.run();
        let open: BTreeSet<&str> = report.not_done.iter().map(|not_done| not_done.check.as_str()).collect();
        for check in ["TCPReachable-10250", "ClockSkew", "PathMTU"] {
            assert!(open.contains(check), "{check}: {open:?}");
        }
        for check in &report.between.passed {
            assert!(!open.contains(check.as_str()), "{case}: {check} is told as passed");
        }
        assert!(!report.failed());
    }
}

#[test]
fn preparation_opens_what_a_known_firewall_closes() {
    let mut fleet = Fleet::healthy();
    let active = Service { active: Some(true), enabled: true };
    fleet.facts("cp1").checks.services.insert("firewalld".to_owned(), active);
    fleet.outcome(&Outcome::Refused, |probe| probe.to == "cp1" && probe.protocol == Protocol::Tcp(6443));
    assert!(fleet.run().failed());
    fleet.prepare = true;
    let report = fleet.run();
    assert_eq!(told(&report), ["P TCPReachable-6443"]);
    assert!(!report.failed());
}

#[test]
fn findings_name_their_hosts_in_json() {
    let mut fleet = Fleet::healthy();
    clones(&mut fleet);
    fleet.facts("w2").checks.swap.active = vec!["/dev/sda2".into()];
    let json = fleet.run().json();
    assert_eq!(json["ok"], false);
    assert_eq!(json["between"]["findings"][0]["hosts"], serde_json::json!(["cp1", "cp2", "w1"]));
    assert_eq!(json["between"]["findings"][0]["check"], "HostClones");
    let hosts: Vec<&str> =
        json["hosts"].as_array().unwrap().iter().map(|host| host["host"].as_str().unwrap()).collect();
    assert_eq!(hosts, ["cp1", "cp2", "cp3", "w1", "w2"]);
    assert_eq!(json["hosts"][4]["findings"][0]["check"], "Swap");
    assert_eq!(json["hosts"][0]["ok"], true);
}

#[test]
fn each_role_is_judged_by_what_it_will_do() {
    let mut fleet = Fleet::healthy();
    for (name, address, role) in [("lb1", "192.0.2.31", Role::LoadBalancer), ("e1", "192.0.2.41", Role::Etcd)]
    {
        fleet.cluster.nodes.push(node(name, address, role));
        let mut facts = host(9, name, address);
        if role == Role::LoadBalancer {
            facts.checks.kubelet = Kubelet::Missing;
            facts.checks.cpus = Some(1);
        }
        let input = HostInput { facts, images: Vec::new(), ours: BTreeSet::new() };
        fleet.hosts.insert(name.to_owned(), Ok(input));
    }
    let report = fleet.run();
    let made = |name: &str| {
        let host = report.hosts.iter().find(|host| host.host == name).unwrap();
        let found = host.findings.iter().map(|finding| finding.check.clone());
        found.chain(host.passed.clone()).collect::<BTreeSet<String>>()
    };
    for (check, hosts) in [
        ("IsPrivilegedUser", "cp1 w1 lb1 e1"),
        ("Port-6443", "cp1"),
        ("Port-2379", "e1"),
        ("DirAvailable--var-lib-etcd", "e1"),
        ("ImagePull", "cp1 e1"),
        ("KubeletVersion", "cp1 w1 e1"),
        ("CRI", "cp1 w1 e1"),
        ("Port-10250", "cp1 w1 e1"),
        ("BridgeNetfilter", "cp1 w1"),
        ("NodeLabels", "cp1 w1"),
        ("TimeSync", "cp1 w1 lb1 e1"),
        ("AdvertiseAddress", ""),
    ] {
        for name in ["cp1", "w1", "lb1", "e1"] {
            let expected = hosts.split(' ').any(|host| host == name);
            assert_eq!(made(name).contains(check), expected, "{check} of {name}");
        }
    }
    // Ports that were tried need no guess.
    let untried = Fleet { links: None, ..Fleet::healthy() }.run();
    let guessed = |report: &FleetReport| report.hosts[0].passed.iter().any(|name| name == "FirewallPorts");
    assert!(guessed(&untried) && !guessed(&report));
}

#[test]
fn who_talks_to_whom() {
    let fleet = Fleet::healthy();
    let wanted = Wanted::of(&fleet.cluster);
    let from = |to: &str, protocol| {
        let probes = wanted.probes.iter().filter(|probe| probe.to == to && probe.protocol == protocol);
        probes.map(|probe| probe.from.as_str()).collect::<Vec<_>>().join(" ")
    };
    for (to, protocol, expected) in [
        ("cp1", Protocol::Tcp(6443), "cp2 cp3 w1 w2"),
        ("cp1", Protocol::Tcp(2379), "cp2 cp3"),
        ("cp1", Protocol::Tcp(2380), "cp2 cp3"),
        ("cp1", Protocol::Tcp(8443), "cp2 cp3 w1 w2"),
        ("cp1", VRRP, "cp2 cp3"),
        ("w1", Protocol::Tcp(10250), "cp1 cp2 cp3"),
        ("w1", Protocol::Tcp(6443), ""),
        ("w1", Protocol::Udp(8472), "cp1 cp2 cp3 w2"),
        ("cp2", Protocol::Udp(8472), "cp1 cp3 w1 w2"),
    ] {
        assert_eq!(from(to, protocol), expected, "{to} {protocol}");
    }
    let (endpoint, watchers) = wanted.vip.as_ref().unwrap();
    assert_eq!((endpoint.host.as_str(), watchers.join(" ").as_str()), (VIP, "cp1 cp2 cp3"));
}

#[test]
fn roles_of_their_own_move_the_ports() {
    let mut fleet = Fleet::healthy();
    fleet.cluster.nodes.push(node("lb1", "192.0.2.31", Role::LoadBalancer));
    fleet.cluster.nodes.push(node("e1", "192.0.2.41", Role::Etcd));
    fleet.cluster.nodes.push(node("e2", "192.0.2.42", Role::Etcd));
    let wanted = Wanted::of(&fleet.cluster);
    let has = |from: &str, to: &str, protocol| {
        wanted.probes.iter().any(|probe| probe.from == from && probe.to == to && probe.protocol == protocol)
    };
    for (from, to, port, expected) in [
        ("lb1", "cp1", 6443, true),
        ("w1", "lb1", 8443, true),
        ("w1", "cp1", 8443, false),
        ("cp1", "e1", 2379, true),
        ("e2", "e1", 2380, true),
        ("cp1", "e1", 2380, false),
        ("cp1", "cp2", 2379, false),
        ("e1", "cp1", 6443, false),
        ("cp1", "e1", 10250, false),
    ] {
        assert_eq!(has(from, to, Protocol::Tcp(port)), expected, "{from} {to} {port}");
    }
}

#[test]
fn a_large_cluster_is_tried_by_a_ring_of_workers() {
    let mut fleet = Fleet::healthy();
    for index in 0..200 {
        fleet.cluster.nodes.push(node(&format!("x{index}"), &format!("198.51.{index}.7"), Role::Worker));
    }
    let count = fleet.cluster.nodes.len();
    assert!(count > EVERY_PAIR_UP_TO);
    let wanted = Wanted::of(&fleet.cluster);
    let pods: Vec<&Probe> =
        wanted.probes.iter().filter(|probe| probe.protocol == Protocol::Udp(8472)).collect();
    let between_workers = |probe: &&&Probe| !probe.from.starts_with("cp") && !probe.to.starts_with("cp");
    let workers = count - 3;
    assert_eq!(pods.iter().filter(between_workers).count(), 2 * workers);
    assert_eq!(pods.len(), 2 * workers + 3 * 2 + 2 * 3 * workers);
    for node in &fleet.cluster.nodes {
        let tried = pods.iter().filter(|probe| probe.to == node.name).count();
        assert!(tried >= 5, "{} is tried by {tried}", node.name);
    }
}

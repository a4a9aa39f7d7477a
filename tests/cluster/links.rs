//! What lies between hosts, measured on real ones: firewalls, narrow links, copies, wrong clocks, a taken address.

use crate::lab;
use kubewright::clock::System;
use kubewright::cluster::Cluster;
use kubewright::cluster::Secret;
use kubewright::config;
use kubewright::facts::ClusterFacts;
use kubewright::facts::HostFacts;
use kubewright::facts::Links;
use kubewright::facts::Questions;
use kubewright::facts::gather;
use kubewright::facts::links;
use kubewright::facts::links::Outcome;
use kubewright::facts::links::Protocol;
use kubewright::facts::links::VRRP;
use kubewright::facts::links::Wanted;
use kubewright::host::Command;
use kubewright::host::Entry;
use kubewright::host::Fleet;
use kubewright::host::Host;
use kubewright::host::HostError;
use kubewright::host::Output;
use kubewright::host::Socket;
use kubewright::host::Stream;
use kubewright::preflight;
use kubewright::preflight::EtcdVersions;
use kubewright::preflight::FleetReport;
use kubewright::preflight::FleetSubject;
use kubewright::preflight::HostInput;
use kubewright::preflight::Ignore;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

const NAMES: [(&str, u8); 4] = [("kwt-b1", 91), ("kwt-b2", 92), ("kwt-b3", 93), ("kwt-b4", 94)];
/// The machine's own address on the lab's bridge: somebody answers there.
const TAKEN: &str = "10.77.0.1";
const FREE: &str = "10.77.0.99";

/// A lab host over ssh, as far as measuring asks for it, that can go away after some commands.
struct Ssh {
    name: String,
    address: String,
    key: String,
    control: String,
    commands: AtomicUsize,
    limit: usize,
}

impl Ssh {
    fn refused(&self) -> HostError {
        let source = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        HostError::Unreachable { host: self.name.clone(), source }
    }
}

impl Host for Ssh {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, command: &Command) -> Result<Output, HostError> {
        if self.commands.fetch_add(1, Ordering::SeqCst) >= self.limit {
            return Err(self.refused());
        }
        let mut child = std::process::Command::new("ssh")
            .args(["-i", &self.key, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"])
            .args(["-o", "LogLevel=ERROR", "-o", "ControlMaster=auto", "-o", "ControlPersist=20"])
            .args(["-o", &format!("ControlPath={}", self.control)])
            .args([&format!("root@{}", self.address), &command.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let input = command.stdin.clone().unwrap_or_default();
        child.stdin.take().unwrap().write_all(&input).unwrap();
        let output = child.wait_with_output().unwrap();
        let status = output.status.code().unwrap_or(-1);
        Ok(Output { status, stdout: output.stdout, stderr: output.stderr })
    }

    fn read(&self, _: &str) -> Result<Option<Entry>, HostError> {
        Err(self.refused())
    }

    fn write(&self, _: &str, _: &Entry) -> Result<(), HostError> {
        Err(self.refused())
    }

    fn remove(&self, _: &str) -> Result<(), HostError> {
        Err(self.refused())
    }

    fn connect(&self, _: &Socket) -> Result<Stream, HostError> {
        Err(self.refused())
    }
}

/// The hosts, whose connections stay open in `directory`; after `limit` commands they are gone.
fn fleet(directory: &tempfile::TempDir, limit: usize) -> Fleet {
    let mut fleet = Fleet::new();
    for (name, octet) in NAMES {
        fleet.insert(Arc::new(Ssh {
            name: name.to_owned(),
            address: format!("10.77.0.{octet}"),
            key: lab::key(),
            control: directory.path().join(name).display().to_string(),
            commands: AtomicUsize::new(0),
            limit,
        }));
    }
    fleet
}

/// Three control planes with a virtual address, and a worker.
fn cluster(vip: &str) -> Cluster {
    let hosts: Vec<String> = NAMES
        .iter()
        .enumerate()
        .map(|(index, (name, octet))| {
            let role = if index < 3 { "control-plane" } else { "worker" };
            format!("  - {{name: {name}, address: 10.77.0.{octet}, roles: [{role}]}}\n")
        })
        .collect();
    let hosts = hosts.concat();
    let text = format!(
        "apiVersion: kubewright.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: lab}}\nspec:\n  hosts:\n{hosts}  \
         endpoint: {{host: {vip}, port: 8443, provider: keepalived-haproxy}}\n  network: {{cni: {{provider: flannel}}}}\n\
         ---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n\
         networking: {{podSubnet: 10.244.0.0/16}}\n"
    );
    let file = config::File { name: "cluster.yaml", bytes: text.as_bytes() };
    let tokens = vec![Secret::new("abcdef.0123456789abcdef")];
    let environment = config::Environment { tokens, ..config::Environment::default() };
    let overrides = config::Overrides::default();
    config::load(Some(file), &environment, &overrides, config::Strictness::Strict, config::Purpose::Render)
        .unwrap_or_else(|issues| panic!("{issues}"))
        .cluster
}

fn facts(fleet: &Fleet) -> BTreeMap<String, HostFacts> {
    let answers = gather::gather_all(fleet, NAMES.len(), |_| Questions::general());
    answers.into_iter().map(|(name, facts)| (name, facts.unwrap())).collect()
}

fn measure(fleet: &Fleet, cluster: &Cluster, facts: &BTreeMap<String, HostFacts>) -> (Links, Duration) {
    let begin = Instant::now();
    let links = links::measure(fleet, facts, &Wanted::of(cluster), NAMES.len(), &System);
    (links, begin.elapsed())
}

fn judge(cluster: &Cluster, facts: &BTreeMap<String, HostFacts>, links: &Links) -> FleetReport {
    let input =
        |facts: &HostFacts| Ok(HostInput { facts: facts.clone(), images: Vec::new(), ours: BTreeSet::new() });
    let hosts = facts.iter().map(|(name, facts)| (name.clone(), input(facts))).collect();
    let subject = FleetSubject {
        cluster,
        hosts: &hosts,
        links: Some(links),
        prepare: false,
        etcd: &EtcdVersions::new(),
        running: &ClusterFacts::default(),
    };
    preflight::fleet_preflight(&subject, &Ignore::default())
}

/// The check names of errors and warnings between hosts.
fn told(report: &FleetReport) -> Vec<String> {
    let loud = report.between.errors().chain(report.between.warnings());
    loud.map(|finding| finding.check.clone()).collect()
}

/// `from>to protocol outcome` of all that is not open.
fn blocked(links: &Links) -> Vec<String> {
    let others = links.reached.iter().filter(|reached| !matches!(reached.outcome, Outcome::Open(_)));
    let mut told: Vec<String> = others
        .map(|reached| {
            let probe = &reached.probe;
            let end = |name: &str| name.trim_start_matches("kwt-").to_owned();
            format!("{}>{} {} {:?}", end(&probe.from), end(&probe.to), probe.protocol, reached.outcome)
        })
        .collect();
    told.sort();
    told
}

/// Sockets of ours that listen on a host.
fn listeners(host: &lab::Host) -> String {
    let ports = "6443|2379|2380|8443|8472|10250";
    host.ok(&format!(
        "ss -Hltunp | grep -E ':({ports}) ' || true; ss -Hwlnp || true; ss -Hxl | grep kubewright || true"
    ))
}

#[test]
fn what_stands_between_hosts_is_found() {
    if !lab::bare_available("what_stands_between_hosts_is_found") {
        return;
    }
    let hosts = NAMES.map(|(name, octet)| lab::Host::bare(name, octet));
    let [b1, b2, b3, b4] = &hosts;
    let directory = tempfile::tempdir().unwrap();
    let hosts_of_run = fleet(&directory, usize::MAX);
    let healthy = facts(&hosts_of_run);

    // Nothing is in the way.
    let (links, took) = measure(&hosts_of_run, &cluster(FREE), &healthy);
    println!("{} probes between {} hosts took {took:?}", links.reached.len(), NAMES.len());
    assert_eq!(blocked(&links), Vec::<String>::new());
    assert_eq!(links.trouble, BTreeMap::new());
    assert!(took < Duration::from_secs(2), "{took:?}");
    for offset in links.clocks.values() {
        assert!(offset.certain(0) < Duration::from_millis(1), "one machine has one clock: {offset:?}");
    }
    assert!(links.mtus.iter().all(|mtu| mtu.largest == Some(1500)), "{:?}", links.mtus);
    let latency = links.latency("kwt-b1", "kwt-b2").unwrap();
    assert!(latency > Duration::ZERO && latency < Duration::from_millis(10), "{latency:?}");
    let report = judge(&cluster(FREE), &healthy, &links);
    assert_eq!(told(&report), Vec::<String>::new(), "{}", report.table());
    for host in &hosts {
        assert_eq!(listeners(host), "");
    }

    // Something is in the way, in each of the ways that packet filters know.
    b2.ok("iptables -A INPUT -p tcp --dport 2379 -s 10.77.0.91 -j DROP");
    b3.ok("iptables -A INPUT -p tcp --dport 6443 -s 10.77.0.94 -j REJECT");
    b3.ok("iptables -A INPUT -p tcp --dport 2380 -j REJECT --reject-with icmp-host-prohibited");
    b4.ok("iptables -A INPUT -p tcp --dport 10250 -s 10.77.0.92 -j REJECT --reject-with tcp-reset");
    b4.ok("iptables -A INPUT -p udp --dport 8472 -j DROP");
    b1.ok("iptables -A INPUT -p udp --dport 8472 -s 10.77.0.93 -j REJECT");
    b2.ok("iptables -A INPUT -p 112 -s 10.77.0.93 -j DROP");
    b4.ok("iptables -A OUTPUT -p tcp --dport 8443 -d 10.77.0.91 -j DROP");
    let (links, took) = measure(&hosts_of_run, &cluster(FREE), &healthy);
    println!("with blocked ports it took {took:?}");
    assert!(took < Duration::from_secs(4), "{took:?}");
    let expected = [
        "b1>b2 2379/tcp Silent",
        "b1>b3 2380/tcp Unreachable(\"No route to host\")",
        "b1>b4 8472/udp Silent",
        "b2>b3 2380/tcp Unreachable(\"No route to host\")",
        "b2>b4 10250/tcp Refused",
        "b2>b4 8472/udp Silent",
        "b3>b1 8472/udp Silent",
        "b3>b2 VRRP (IP protocol 112) Silent",
        "b3>b4 8472/udp Silent",
        "b4>b1 8443/tcp Silent",
        "b4>b3 6443/tcp Refused",
    ];
    assert_eq!(blocked(&links), expected);
    let report = judge(&cluster(FREE), &healthy, &links);
    println!("{}", report.table());
    let names: BTreeSet<String> = told(&report).into_iter().collect();
    let all = [2379, 2380, 6443, 8443, 10250].map(|port| format!("TCPReachable-{port}"));
    let others = ["UDPReachable-8472", "VRRPReachable"].map(str::to_owned);
    assert_eq!(names, all.into_iter().chain(others).collect());
    for host in &hosts {
        host.ok("iptables -F INPUT; iptables -F OUTPUT");
        assert_eq!(listeners(host), "");
    }

    others_than_ports(&hosts_of_run, &hosts);
    listeners_end_by_themselves(&directory, &healthy, &hosts);
}

/// A copied host, a clock that is ahead, a narrow link, a route in the way, and an address that is taken.
fn others_than_ports(fleet: &Fleet, hosts: &[lab::Host; 4]) {
    let [b1, b2, b3, b4] = hosts;
    let id = b1.ok("cat /etc/machine-id");
    b2.write("/etc/machine-id", &id);
    let key = b1.ok("cat /etc/ssh/ssh_host_ed25519_key.pub");
    b2.write("/etc/ssh/ssh_host_ed25519_key.pub", &key);
    b3.write("/usr/local/bin/date", "#!/bin/sh\nexec /usr/bin/date -d '-7 seconds' \"$@\"\n");
    b3.ok("chmod 755 /usr/local/bin/date");
    b4.ok("ip link set host0 mtu 1400 && ip route add 10.96.7.0/24 via 10.77.0.1");
    // Somebody listens already, and is asked like everybody.
    b1.ok("systemd-run -q --unit busy --collect socat TCP-LISTEN:10250,fork,reuseaddr /dev/null");
    b1.ok("systemd-run -q --unit busy-udp --collect socat -u UDP-RECV:8472 OPEN:/dev/null");
    b1.until(Duration::from_secs(5), "ss -Hltun | grep -q :10250 && ss -Hltun | grep -q :8472");
    let cluster = cluster(TAKEN);
    let found = facts(fleet);
    let (links, took) = measure(fleet, &cluster, &found);
    println!("it took {took:?}");
    let not_done: Vec<String> = blocked(&links);
    assert_eq!(not_done.len(), 3, "{not_done:?}");
    assert!(
        not_done.iter().all(|line| line.contains("b1 8472/udp NotDone(\"something there uses it already")),
        "{not_done:?}"
    );
    let off = links.clocks["kwt-b3"].certain(0);
    assert!(off > Duration::from_millis(6900) && off <= Duration::from_millis(7001), "{off:?}");
    for mtu in &links.mtus {
        let narrow = mtu.to == "kwt-b4" || mtu.from == "kwt-b4";
        assert_eq!(mtu.largest, Some(if narrow { 1400 } else { 1500 }), "{mtu:?}");
    }
    let report = judge(&cluster, &found, &links);
    println!("{}", report.table());
    let names: BTreeSet<String> = told(&report).into_iter().collect();
    let expected = ["HostClones", "ClockSkew", "NetworkOverlap", "VIPAvailable", "PathMTU"];
    assert_eq!(names, expected.map(str::to_owned).into());
    let clones = report.between.findings.iter().find(|finding| finding.check == "HostClones").unwrap();
    assert_eq!(clones.hosts, ["kwt-b1", "kwt-b2"]);
    b1.ok("systemctl stop busy busy-udp");
}

/// The connections break when everybody listens.
fn listeners_end_by_themselves(
    directory: &tempfile::TempDir,
    facts: &BTreeMap<String, HostFacts>,
    hosts: &[lab::Host; 4],
) {
    let (links, _) = measure(&fleet(directory, 1), &cluster(FREE), facts);
    let open = links.reached.iter().any(|reached| matches!(reached.outcome, Outcome::Open(_)));
    assert!(!open && links.trouble.len() == NAMES.len(), "{:?}", links.trouble);
    for host in hosts {
        assert!(listeners(host).contains(":6443 ") || listeners(host).contains(":10250 "));
    }
    std::thread::sleep(Duration::from_secs(12));
    for host in hosts {
        assert_eq!(listeners(host), "");
        assert_eq!(host.ok("find /tmp /run /var/tmp -name '*kubewright*'"), "");
    }
    let vrrp = Wanted::of(&cluster(FREE)).probes.iter().filter(|probe| probe.protocol == VRRP).count();
    let udp = Wanted::of(&cluster(FREE))
        .probes
        .iter()
        .filter(|probe| probe.protocol == Protocol::Udp(8472))
        .count();
    assert_eq!((vrrp, udp), (6, 12));
}

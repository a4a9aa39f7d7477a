//! The virtual address of a rendered cluster on real HAProxy and keepalived: three control planes in network
//! namespaces, their API servers played by openssl. Who has the address is looked at on every host; how long it does
//! not answer is what a client sees.

#![expect(clippy::disallowed_methods, reason = "real programs in real time")]

use crate::skip::skip;
use crate::support::scenario::Scenario;
use kubewright::plan::Action;
use kubewright::plan::Content;
use kubewright::plan::Place;
use kubewright::plan::Plan;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::Duration;
use std::time::Instant;

const TEST: &str = "the_address_moves_when_it_should_and_stays_when_it_can";
const VIP: &str = "198.51.100.180";
/// The longest that the API may not answer.
const LIMIT: Duration = Duration::from_secs(5);

fn run(command: &str) -> Option<String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let output = Command::new(words[0]).args(&words[1..]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn must(command: &str) -> String {
    run(command).unwrap_or_else(|| panic!("{command}"))
}

/// A control plane: a network namespace with a cable to the others.
struct Machine {
    namespace: String,
    /// The end of its cable at the switch.
    cable: String,
    directory: PathBuf,
    api: Option<Child>,
    haproxy: Option<Child>,
    keepalived: Option<Child>,
}

impl Machine {
    fn new(net: &str, name: &str, address: &str, interface: &str, plan: &Plan) -> Self {
        let (namespace, cable) = (format!("{net}{name}"), format!("{net}{name}"));
        must(&format!("ip netns add {namespace}"));
        must(&format!("ip link add {cable} type veth peer name {interface} netns {namespace}"));
        must(&format!("ip link set {cable} master {net} up"));
        must(&format!("ip -n {namespace} addr add {address}/24 dev {interface}"));
        must(&format!("ip -n {namespace} link set {interface} up"));
        must(&format!("ip -n {namespace} link set lo up"));
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("endpoint-moves").join(&namespace);
        fs::create_dir_all(&directory).unwrap();
        let machine = Self { namespace, cable, directory, api: None, haproxy: None, keepalived: None };
        machine.write(name, plan);
        machine
    }

    /// The files of the plan, which name each other where they now are.
    fn write(&self, name: &str, plan: &Plan) {
        let of_host = plan.steps.iter().filter(|step| step.place == Place::Host(name.to_owned()));
        for step in of_host {
            let Action::File(file) = &step.action else { continue };
            let ours = ["/etc/haproxy/", "/etc/keepalived/"].iter().any(|start| file.path.starts_with(start));
            if !ours {
                continue;
            }
            let mut text = match &file.content {
                Content::Text(text) => text.clone(),
                _ => text_of(&self.directory.join("../ca.crt")),
            };
            for start in ["/etc/haproxy/", "/etc/keepalived/"] {
                text = text.replace(start, &format!("{}{start}", self.directory.display()));
            }
            let path = self.directory.join(file.path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(file.mode)).unwrap();
        }
    }

    fn start(&self, command: &str) -> Child {
        let program = command.split_whitespace().next().unwrap();
        let log = fs::File::create(self.directory.join(format!("{program}.log"))).unwrap();
        // A client that goes away is no reason to end.
        let script = format!("trap '' PIPE; exec {command}");
        Command::new("ip")
            .args(["netns", "exec", &self.namespace, "sh", "-c", &script])
            .current_dir(self.directory.join(".."))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// Answers `/readyz` with a file of that name.
    fn start_api(&mut self) {
        self.api = Some(self.start("openssl s_server -quiet -accept 6443 -cert api.crt -key api.key -WWW"));
    }

    fn start_haproxy(&mut self) {
        let config = self.directory.join("etc/haproxy/haproxy.cfg");
        self.haproxy = Some(self.start(&format!("haproxy -W -db -f {}", config.display())));
    }

    fn start_keepalived(&mut self) {
        let (config, directory) =
            (self.directory.join("etc/keepalived/keepalived.conf"), self.directory.display());
        let files = format!("-p {directory}/keepalived.pid -r {directory}/vrrp.pid");
        self.keepalived = Some(self.start(&format!("keepalived -n -l -f {} {files}", config.display())));
    }

    fn holds(&self) -> bool {
        run(&format!("ip -n {} -o addr show to {VIP}", self.namespace)).is_some_and(|said| !said.is_empty())
    }

    /// As a power cut: nothing is said, and what was configured is gone.
    fn crash(&mut self) {
        must(&format!("ip link set {} down", self.cable));
        for child in [&mut self.keepalived, &mut self.haproxy, &mut self.api] {
            kill(child);
        }
        let held = run(&format!("ip -n {} -o addr show to {VIP}", self.namespace)).unwrap_or_default();
        if let Some(interface) = held.split_whitespace().nth(1) {
            let _ = run(&format!("ip -n {} addr del {VIP}/32 dev {interface}", self.namespace));
        }
    }

    fn boot(&mut self) {
        must(&format!("ip link set {} up", self.cable));
        self.start_api();
        self.start_balancing();
    }

    /// keepalived comes after HAProxy, as its unit says.
    fn start_balancing(&mut self) {
        self.start_haproxy();
        let start = Instant::now();
        let answers =
            format!("ip netns exec {} curl -fs -o /dev/null http://127.0.0.1:8404/healthz", self.namespace);
        while run(&answers).is_none() {
            assert!(start.elapsed() < LIMIT, "HAProxy does not answer; see {}", self.directory.display());
            sleep(Duration::from_millis(50));
        }
        self.start_keepalived();
    }
}

fn kill(child: &mut Option<Child>) {
    if let Some(mut child) = child.take() {
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn text_of(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// The machines, the switch between them, and a client at it.
struct Net {
    name: String,
    machines: Vec<Machine>,
}

impl Net {
    fn new() -> Self {
        let name = format!("kwv{}", std::process::id() % 10_000);
        must(&format!("ip link add {name} type bridge"));
        // From here on, everything is taken away again.
        let mut net = Self { name: name.clone(), machines: Vec::new() };
        must(&format!("ip link set {name} up"));
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("endpoint-moves");
        fs::create_dir_all(&root).unwrap();
        certificates(&root);
        fs::write(root.join("readyz"), "ok").unwrap();
        let client = format!("{name}c");
        must(&format!("ip netns add {client}"));
        must(&format!("ip link add {client} type veth peer name eth0 netns {client}"));
        must(&format!("ip link set {client} master {name} up"));
        must(&format!("ip -n {client} addr add 198.51.100.99/24 dev eth0"));
        must(&format!("ip -n {client} link set eth0 up"));
        let scenario = Scenario::load("endpoint-keepalived", None);
        let plan = scenario.plan();
        for node in scenario.cluster.control_planes() {
            let interface = &scenario.facts[&node.name].interface_addresses[0].interface;
            let address = node.advertise_address.to_string();
            net.machines.push(Machine::new(&name, &node.name, &address, interface, &plan));
        }
        net
    }

    fn holders(&self) -> Vec<usize> {
        (0..self.machines.len()).filter(|number| self.machines[*number].holds()).collect()
    }

    /// The one that holds the address, within a time.
    fn holder_other_than(&self, other: Option<usize>, limit: Duration) -> (usize, Duration) {
        let start = Instant::now();
        loop {
            if let [holder] = self.holders()[..]
                && Some(holder) != other
            {
                return (holder, start.elapsed());
            }
            assert!(start.elapsed() < limit, "holders after {limit:?}: {:?}", self.holders());
            sleep(Duration::from_millis(20));
        }
    }

    fn until_it_is_at(&self, holder: usize, limit: Duration) {
        let start = Instant::now();
        while self.holders() != [holder] {
            assert!(start.elapsed() < limit, "holders after {limit:?}: {:?}", self.holders());
            sleep(Duration::from_millis(20));
        }
    }

    fn ask(&self) -> bool {
        asked(&self.name)
    }

    /// Does something, and says for how long a client got no answer meanwhile: the longest time between two.
    fn gap(&mut self, act: impl FnOnce(&mut Self)) -> Duration {
        let (stop, longest) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Duration::ZERO)));
        assert!(self.ask(), "it answers before");
        let client = std::thread::spawn({
            let (stop, longest, net) = (Arc::clone(&stop), Arc::clone(&longest), self.name.clone());
            move || {
                let mut last = Instant::now();
                while !stop.load(Ordering::Relaxed) {
                    if asked(&net) {
                        let mut longest = longest.lock().unwrap();
                        *longest = last.elapsed().max(*longest);
                        last = Instant::now();
                    }
                    sleep(Duration::from_millis(20));
                }
                let mut longest = longest.lock().unwrap();
                *longest = last.elapsed().max(*longest);
            }
        });
        act(self);
        // Long enough to see an address that goes back.
        sleep(Duration::from_secs(3));
        stop.store(true, Ordering::Relaxed);
        client.join().unwrap();
        *longest.lock().unwrap()
    }
}

fn asked(net: &str) -> bool {
    let ca = Path::new(env!("CARGO_TARGET_TMPDIR")).join("endpoint-moves/ca.crt");
    let command = format!(
        "ip netns exec {net}c curl -s -o /dev/null --max-time 1 --noproxy * --cacert {} --resolve kubernetes:8443:{VIP} \
         https://kubernetes:8443/readyz",
        ca.display()
    );
    run(&command).is_some()
}

impl Drop for Net {
    fn drop(&mut self) {
        for machine in &mut self.machines {
            for child in [&mut machine.keepalived, &mut machine.haproxy, &mut machine.api] {
                kill(child);
            }
            let _ = run(&format!("ip netns del {}", machine.namespace));
            let _ = run(&format!("ip link del {}", machine.cable));
        }
        let _ = run(&format!("ip netns del {}c", self.name));
        let _ = run(&format!("ip link del {}c", self.name));
        let _ = run(&format!("ip link del {}", self.name));
    }
}

/// An authority, and what an API server serves with.
fn certificates(directory: &Path) {
    let authority_key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let mut parameters = rcgen::CertificateParams::default();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "authority");
    let authority = parameters.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(parameters, authority_key);
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let mut leaf = rcgen::CertificateParams::new(vec!["kubernetes".to_owned()]).unwrap();
    leaf.distinguished_name.push(rcgen::DnType::CommonName, "kube-apiserver");
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    for (file, text) in
        [("ca.crt", authority.pem()), ("api.crt", leaf.pem()), ("api.key", key.serialize_pem())]
    {
        fs::write(directory.join(file), text).unwrap();
    }
}

fn missing() -> Option<String> {
    for program in ["haproxy -v", "keepalived --version", "curl --version", "openssl version"] {
        if run(program).is_none() {
            return Some(format!("no {}", program.split_whitespace().next().unwrap_or_default()));
        }
    }
    let probe = format!("kwp{}", std::process::id() % 10_000);
    let made = run(&format!("ip netns add {probe}")).is_some();
    let _ = run(&format!("ip netns del {probe}"));
    (!made).then(|| "network namespaces cannot be made here (root can)".to_owned())
}

#[test]
fn the_address_moves_when_it_should_and_stays_when_it_can() {
    if let Some(why) = missing() {
        return skip(TEST, &why);
    }
    let mut net = Net::new();
    for machine in &mut net.machines {
        machine.start_balancing();
    }
    // Before there is any API server, as in a new cluster, the address is there already.
    let (first, after) = net.holder_other_than(None, Duration::from_secs(8));
    println!("address up {:.1} s after keepalived, on cp{}", after.as_secs_f32(), first + 1);
    assert!(!net.ask());
    let other = (first + 1) % 3;
    net.machines[other].start_api();
    let start = Instant::now();
    while !net.ask() {
        assert!(start.elapsed() < LIMIT, "nobody answers");
    }
    let served = start.elapsed();
    println!("address answers {:.2} s after the first API server", served.as_secs_f32());
    assert!(served < Duration::from_millis(1500), "{served:?}");
    // Some time for the one whose API server is up.
    // A third one may have it for a moment, where a busy machine checks late.
    net.until_it_is_at(other, Duration::from_secs(12));
    for number in (0..3).filter(|number| *number != other) {
        net.machines[number].start_api();
    }
    sleep(Duration::from_secs(3));
    assert_eq!(net.holders(), [other], "it stays where it is as good");

    let mut moves = Vec::new();
    let gap = net.gap(|net| net.machines[other].crash());
    moves.push(("its holder loses power", gap));
    let (holder, _) = net.holder_other_than(Some(other), LIMIT);
    net.machines[other].boot();
    sleep(Duration::from_secs(6));
    assert_eq!(net.holders(), [holder], "it does not go back");

    let gap = net.gap(|net| kill(&mut net.machines[holder].haproxy));
    moves.push(("its holder's HAProxy dies", gap));
    let (third, _) = net.holder_other_than(Some(holder), LIMIT);
    net.machines[holder].start_haproxy();
    sleep(Duration::from_secs(6));
    assert_eq!(net.holders(), [third], "it does not go back");

    let start = Instant::now();
    let gap = net.gap(|net| kill(&mut net.machines[third].api));
    moves.push(("its holder's API server dies", gap));
    let (last, _) = net.holder_other_than(Some(third), Duration::from_secs(6));
    println!("address left the dead API server after at most {:.1} s", start.elapsed().as_secs_f32());
    net.machines[third].start_api();
    sleep(Duration::from_secs(6));
    assert_eq!(net.holders(), [last], "it does not go back");

    for (what, gap) in moves {
        println!("{what}: no answer for {:.2} s", gap.as_secs_f32());
        assert!(gap < LIMIT, "{what}: {gap:?}");
    }
}

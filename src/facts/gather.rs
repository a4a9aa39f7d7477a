//! Asking a host: one probe, and beside it the container runtime.

use crate::facts::CA_DIRECTORIES;
use crate::facts::HostFacts;
use crate::facts::InterfaceAddress;
use crate::facts::PreflightFacts;
use crate::facts::Questions;
use crate::facts::RuntimeFacts;
use crate::facts::local;
use crate::facts::parse::Answers;
use crate::facts::parse::accounts;
use crate::facts::parse::kernel;
use crate::facts::parse::network;
use crate::facts::parse::system;
use crate::facts::question::CRI_SOCKETS;
use crate::facts::question::KERNEL_OPTIONS;
use crate::facts::question::PROGRAMS;
use crate::facts::question::SERVICES;
use crate::facts::runtime;
use crate::facts::sync;
use crate::host::Command;
use crate::host::Entry;
use crate::host::EntryKind;
use crate::host::Fleet;
use crate::host::Host;
use crate::host::HostError;
use crate::host::fleet::side_by_side;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

const PROBE: &str = include_str!("probe.sh");
const PROBE_TIMEOUT: Duration = Duration::from_secs(30);

/// What must be known before a configuration can be completed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Basics {
    /// Lower case.
    pub hostname: String,
    /// Addresses of the interfaces with a default route, the best route first, IPv4 before IPv6.
    pub default_addresses: Vec<IpAddr>,
    /// Known runtime sockets that somebody answers at, in kubeadm's order.
    pub cri_sockets: Vec<String>,
}

/// The name, the default addresses and the runtimes of a host; asked in five small files, without a command.
///
/// # Errors
/// The host cannot be reached.
pub fn basics(host: &dyn Host) -> Result<Basics, HostError> {
    let files = [
        "/proc/sys/kernel/hostname",
        "/proc/net/route",
        "/proc/net/ipv6_route",
        "/proc/net/if_inet6",
        "/proc/net/fib_trie",
    ];
    let mut text = String::new();
    let paths: Vec<String> = files.map(str::to_owned).into();
    for (file, entry) in files.into_iter().zip(host.read_many(&paths)?) {
        let Some(entry) = entry else { continue };
        let EntryKind::File(content) = entry.kind else { continue };
        for line in String::from_utf8_lossy(&content).lines() {
            let _ = writeln!(text, "{file}:{line}");
        }
    }
    let answers = Answers::new(&text);
    let routes = network::default_routes(&answers);
    Ok(Basics {
        hostname: hostname(&answers),
        default_addresses: network::default_addresses(&routes, &network::addresses(&answers)),
        cri_sockets: runtime::answering(host, CRI_SOCKETS.to_vec()),
    })
}

/// Asks a host everything in `questions`.
///
/// # Errors
/// The host cannot be reached, or has no POSIX shell.
pub fn gather(host: &dyn Host, questions: &Questions) -> Result<HostFacts, HostError> {
    let (probe, runtime) = std::thread::scope(|scope| {
        let runtime = scope.spawn(|| runtime::ask(host, questions));
        let probe = host.run(&probe_command(questions));
        (probe, runtime.join().unwrap_or_default())
    });
    let text = probe?.text();
    let mut facts = interpret(&text, questions);
    let there = Answers::new(&text).all("socket").collect();
    facts.checks.runtime = runtime;
    facts.checks.runtime.sockets = runtime::others(host, &there, &facts.checks.runtime);
    facts.texts = texts(host, &questions.texts)?;
    if let Some(directory) = &questions.measure_sync {
        facts.checks.etcd_sync_micros = sync::latency(host, directory)?;
    }
    Ok(facts)
}

fn texts(host: &dyn Host, wanted: &BTreeSet<String>) -> Result<BTreeMap<String, String>, HostError> {
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let paths: Vec<String> = wanted.iter().cloned().collect();
    let entries = host.read_many(&paths)?;
    let text = |entry: Entry| entry.content().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    Ok(paths.into_iter().zip(entries).filter_map(|(path, entry)| Some((path, text(entry?)?))).collect())
}

/// Asks every host of `fleet` the `questions` for the node of its name, side by side.
pub fn gather_all(
    fleet: &Fleet,
    parallel: usize,
    questions: impl Fn(&str) -> Questions + Sync,
) -> BTreeMap<String, Result<HostFacts, HostError>> {
    let hosts: Vec<&Arc<dyn Host>> = fleet.iter().collect();
    let ask = |host: &Arc<dyn Host>| (host.name().to_owned(), gather(&**host, &questions(host.name())));
    side_by_side(hosts, parallel, ask).into_iter().collect()
}

/// The one command that asks everything. It leaves the host as it was; only where no kernel configuration is to be
/// found it loads the module `configs` for a moment, as kubeadm does.
pub fn probe_command(questions: &Questions) -> Command {
    Command::query("sh").arg("-s").stdin(script(questions)).timeout(PROBE_TIMEOUT)
}

fn script(questions: &Questions) -> String {
    let flag = |asked: bool| if asked { "1" } else { "" }.to_owned();
    let lines = |items: Vec<String>| items.join("\n");
    let variables = [
        ("paths", lines(questions.paths.iter().cloned().collect())),
        ("names", lines(questions.names.iter().cloned().collect())),
        ("programs", lines(PROGRAMS.map(str::to_owned).into())),
        ("sockets", lines(CRI_SOCKETS.map(|socket| socket.trim_start_matches("unix://").to_owned()).into())),
        ("directories", lines(questions.directories.iter().cloned().collect())),
        ("services", lines(SERVICES.map(str::to_owned).into())),
        ("ports", lines(questions.ports.iter().map(u16::to_string).collect())),
        ("kernel_options", KERNEL_OPTIONS.join("|")),
        ("kubelet", flag(questions.kubelet)),
        ("addresses", flag(!questions.local)),
        ("disks", flag(!questions.local)),
        ("accounts", flag(questions.accounts)),
    ];
    let mut script = String::new();
    for (name, value) in variables {
        let _ = writeln!(script, "{name}='{}'", value.replace('\'', r"'\''"));
    }
    script + PROBE
}

/// From the text of a probe to facts; pure but for a local machine's own kernel. The runtime's are not among them.
pub fn interpret(text: &str, questions: &Questions) -> HostFacts {
    let answers = Answers::new(text);
    let mut addresses = network::addresses(&answers);
    if questions.local {
        addresses = local::addresses();
    }
    let checks = checks(&answers, questions, &addresses);
    let exists = |path: &&&str| checks.paths.contains_key(**path);
    let mut unique: Vec<IpAddr> = addresses.iter().map(|found| found.address).collect();
    unique.sort();
    unique.dedup();
    let mut of_interfaces: Vec<_> =
        addresses.into_iter().filter(|found| !found.interface.is_empty()).collect();
    of_interfaces.sort();
    HostFacts {
        hostname: hostname(&answers),
        init_system: system::init_system(&answers),
        systemd_resolved: checks.is_active("systemd-resolved"),
        ca_directories: CA_DIRECTORIES.iter().filter(exists).map(|&path| path.to_owned()).collect(),
        proxy_env: proxies(&questions.environment),
        existing_paths: checks.paths.keys().cloned().collect(),
        addresses: unique,
        interface_addresses: of_interfaces,
        accounts: accounts::accounts(&answers),
        platform: system::platform(&answers),
        texts: BTreeMap::new(),
        etcd_start: None,
        etcd_servers: Vec::new(),
        checks,
    }
}

fn checks(answers: &Answers, questions: &Questions, addresses: &[InterfaceAddress]) -> PreflightFacts {
    let default_routes = network::default_routes(answers);
    let nearest = system::nearest(answers);
    PreflightFacts {
        uid: kernel::uid(answers),
        cpus: kernel::cpus(answers),
        memory: questions.local.then(local::memory).flatten().or_else(|| kernel::memory(answers)),
        kernel: kernel::kernel(answers),
        cgroups: kernel::cgroups(answers),
        swap: system::swap(answers),
        selinux: system::selinux(answers),
        modules: kernel::modules(answers),
        sysctls: kernel::sysctls(answers),
        listeners: network::listeners(answers),
        firewall: network::firewall(answers),
        default_addresses: network::default_addresses(&default_routes, addresses),
        default_routes,
        interfaces: network::interfaces(answers),
        nics: network::nics(answers),
        routes: network::routes(answers),
        services: system::services(answers),
        programs: Some(answers.all("program").map(str::to_owned).collect()),
        kubelet: system::kubelet(answers),
        runtime: RuntimeFacts::default(),
        time: system::time(answers),
        disks: if questions.local { local::disks(&nearest) } else { system::disks(answers) },
        names: network::names(answers),
        paths: system::paths(answers),
        leftovers: system::leftovers(answers),
        etcd_sync_micros: None,
        machine_id: answers.first("/etc/machine-id").map(str::to_owned),
        product_uuid: answers.first("/sys/class/dmi/id/product_uuid").map(str::to_owned),
        ssh_host_keys: system::ssh_host_keys(answers),
        os: system::os(answers),
    }
}

fn hostname(answers: &Answers) -> String {
    answers.first("/proc/sys/kernel/hostname").unwrap_or_default().to_lowercase()
}

fn proxies(environment: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let is_proxy = |name: &String| name.to_lowercase().ends_with("_proxy");
    environment
        .iter()
        .filter(|(name, _)| is_proxy(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

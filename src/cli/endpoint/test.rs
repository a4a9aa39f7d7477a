//! `kubewright endpoint test`.

use crate::cli::confirm;
use crate::cli::endpoint::args::TestArgs;
use crate::cli::endpoint::course::Came;
use crate::cli::endpoint::course::Course;
use crate::cli::endpoint::machines;
use crate::cli::endpoint::watch::Machine;
use crate::cli::endpoint::watch::Watch;
use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::fleet;
use crate::cli::fleet::Connected;
use crate::cli::interrupt;
use crate::cli::limit;
use crate::cli::load;
use crate::cli::output;
use crate::cli::settings::Settings;
use crate::cli::status::host::answers_at;
use crate::cli::tested;
use crate::cluster::Balancing;
use crate::cluster::Cluster;
use crate::cluster::HostPort;
use crate::cluster::Node;
use crate::endpoint::Failure;
use crate::endpoint::Part;
use crate::endpoint::Report;
use crate::endpoint::Terms;
use crate::endpoint::measure;
use crate::host::Fleet;
use crate::host::Host as _;
use crate::report::Event;
use crate::report::Reporter;
use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// How many hosts are worked on at the same time.
const PARALLEL: usize = 50;

/// Runs the command.
///
/// # Errors
/// As the exit codes say; what is wrong with the endpoint is part of the report.
pub(super) fn run(args: &TestArgs, settings: &Settings) -> Result<Exit, CliError> {
    let reporter = settings.reporter();
    let cluster = load::for_fleet(&args.file, &reporter)?.cluster;
    let only = limit::resolve(&cluster, &args.limit)?;
    let parts = parts(args, &cluster)?;
    if !parts.is_empty() && !args.yes && !std::io::stdin().is_terminal() {
        let error = CliError::new(Exit::Usage, anyhow::anyhow!("nobody is there to confirm the test"));
        return Err(error.hint("--yes goes on without asking; --fail none only measures"));
    }
    let interrupt = interrupt::flag().or_exit(Exit::Failure)?;
    let Connected { hosts, unreachable } = fleet::connect(&cluster, PARALLEL, settings, &reporter);
    for (host, trouble) in &unreachable {
        if cluster.balances(cluster.node(host).expect("it is a host of the file")) {
            let error = anyhow::anyhow!("{host} may have the address, and cannot be asked: {}", trouble.why);
            return Err(CliError::new(Exit::Host, error).hint("nothing was changed"));
        }
        warn(&reporter, host, &trouble.why);
    }
    let held = (!parts.is_empty()).then(|| {
        let holder = fleet::holder(&format!("kubewright endpoint test -f {}", args.file.display()), settings);
        let hosts = fleet::in_order(&cluster, &hosts);
        fleet::take_locks(&hosts, &holder, args.break_lock.as_deref(), PARALLEL, &interrupt, &reporter)
    });
    // It is given back when this ends.
    let _held = held.transpose()?;
    if !parts.is_empty() && !args.yes {
        ask_leave(&cluster, &parts, &interrupt)?;
    }
    let test = Test { args, settings, cluster: &cluster, hosts: &hosts, interrupt: &interrupt };
    let report = test.go(&parts, only)?;
    tested::tell(args.output, &report, || report.text())?;
    Ok(tested::exit(report.interrupted, report.healthy))
}

/// What is failed. Of an endpoint that is somebody else's, nothing; a part that is named must be there.
fn parts(args: &TestArgs, cluster: &Cluster) -> Result<Vec<Part>, CliError> {
    let parts = args.fail.parts();
    match parts {
        [part] => {
            if let Err(why) = Failure::possible(cluster, *part) {
                let error = anyhow::anyhow!("there is no {} to be failed: {why}", part.as_str());
                return Err(CliError::new(Exit::Usage, error).hint("--fail none only measures"));
            }
            Ok(vec![*part])
        }
        parts if cluster.site.balancing.is_some() => Ok(parts.to_vec()),
        _ => Ok(Vec::new()),
    }
}

fn ask_leave(cluster: &Cluster, parts: &[Part], interrupt: &AtomicBool) -> Result<(), CliError> {
    let names: Vec<&str> = parts.iter().map(|part| part.as_str()).collect();
    let at = machines::endpoint(cluster);
    output::people(&format!(
        "Fail the {} of {at}? {} cannot be reached there for some seconds. [y/N] ",
        names.join(" and then the "),
        cluster.name
    ));
    if confirm::yes(interrupt)? {
        return Ok(());
    }
    Err(CliError::new(Exit::Interrupted, anyhow::anyhow!("not confirmed; nothing was changed")))
}

fn warn(reporter: &Reporter, host: &str, why: &str) {
    let message = format!("it is left out: {why}");
    reporter.tell(&Event::Warning { host: Some(host.to_owned()), message, hint: None });
}

struct Test<'a> {
    args: &'a TestArgs,
    settings: &'a Settings,
    cluster: &'a Cluster,
    hosts: &'a Fleet,
    interrupt: &'a AtomicBool,
}

impl Test<'_> {
    fn go(&self, parts: &[Part], only: Option<BTreeSet<String>>) -> Result<Report, CliError> {
        let authority = self.authority()?;
        let machines = self.machines(only.as_ref(), &authority)?;
        let addresses = self.cluster.virtual_addresses();
        let balancers = self.cluster.balancers().into_iter().filter(|_| !addresses.is_empty());
        let balancers = balancers.filter_map(|node| self.hosts.get(&node.name).map(Arc::clone)).collect();
        let names: Vec<String> = machines.iter().map(|machine| machine.name.clone()).collect();
        self.tell(format!("asking {} from {}", machines::endpoint(self.cluster), names.join(" and ")));
        let watch = Watch::begin(&machines, &authority, balancers, &addresses);
        let preempt =
            matches!(&self.cluster.site.balancing, Some(Balancing::Keepalived(said)) if said.preempt);
        let mut course = Course {
            cluster: self.cluster,
            hosts: self.hosts,
            parts,
            only,
            preempt,
            observe: self.args.observe.to_std(),
            max_gap: self.args.max_gap.to_std(),
            watch: &watch,
            interrupt: self.interrupt,
            well: &|node| self.well(node),
            tell: &|what| self.tell(what),
            came: Came::default(),
        };
        let interrupted = course.go().is_err();
        let Came { stages, findings, mut notes } = course.came;
        if self.cluster.site.balancing.is_none() {
            let provider = self.cluster.site.endpoint_provider.as_str();
            notes
                .push(format!("provider {provider}: the endpoint is not ours to fail, it was only measured"));
        }
        let log = watch.end();
        let report = Report {
            cluster: self.cluster.name.clone(),
            endpoint: machines::endpoint(self.cluster).to_string(),
            provider: self.cluster.site.endpoint_provider.as_str().to_owned(),
            findings,
            notes,
            interrupted,
            measured_from: names,
            interval_ms: measure::INTERVAL_MS,
            observe_ms: milliseconds(self.args.observe.to_std()),
            ..Report::default()
        };
        let max_gap_ms = milliseconds(self.args.max_gap.to_std());
        Ok(report.judged(&stages, &log, Terms { max_gap_ms, moves: !addresses.is_empty(), preempt }))
    }

    /// What the endpoint's certificate is verified with, from a control plane.
    fn authority(&self) -> Result<Vec<u8>, CliError> {
        let path = format!("{}/ca.crt", self.cluster.certificates_dir());
        let reached = self.cluster.control_planes().filter_map(|node| self.hosts.get(&node.name));
        let mut found =
            reached.filter_map(|host| host.read(&path).ok().flatten()?.content().map(<[u8]>::to_vec));
        found.next().ok_or_else(|| {
            let error = anyhow::anyhow!("no control plane that can be asked has {path}");
            CliError::new(Exit::Host, error).hint("is there a cluster? `kubewright apply` makes one")
        })
    }

    fn machines(&self, only: Option<&BTreeSet<String>>, authority: &[u8]) -> Result<Vec<Machine>, CliError> {
        let machines = if self.cluster.node_local().is_some() {
            let meant = self.cluster.balancers().into_iter();
            let meant = meant.filter(|node| only.is_none_or(|only| only.contains(&node.name)));
            let meant = meant.take(if only.is_some() { usize::MAX } else { 1 });
            let machine = |node: &Node| {
                machines::of_node(self.cluster, node, self.hosts, authority)
                    .map_err(|why| format!("{}: {why}", node.name))
            };
            meant.map(machine).collect()
        } else {
            machines::of_endpoint(self.cluster, self.hosts, authority)
        };
        machines.map_err(|why| {
            let error = anyhow::anyhow!("nobody can ask the endpoint: {why}");
            CliError::new(Exit::Host, error).hint("install curl on one of these hosts")
        })
    }

    /// Whether what a host does for the endpoint runs, and serves at the host's own address.
    fn well(&self, node: &Node) -> Result<(), String> {
        let host = self.hosts.get(&node.name).ok_or("it cannot be reached")?;
        let (program, at) = match &self.cluster.site.balancing {
            Some(Balancing::Keepalived(said)) => {
                (Some("keepalived"), HostPort::new(node.advertise_address.to_string(), said.port))
            }
            Some(Balancing::KubeVip(_)) => (Some("kube-vip"), self.cluster.local_host_port(node)),
            Some(Balancing::NodeLocal(local)) => (None, local.host_port(node)),
            None => return Ok(()),
        };
        if let Some(program) = program {
            let found = host.run(&measure::runs(program)).map_err(|error| error.to_string())?;
            if !found.success() {
                return Err(format!("{program} does not run"));
            }
        }
        answers_at(&**host, &at).map_err(|why| format!("no API at {at}: {why}"))
    }

    fn tell(&self, what: String) {
        if !self.settings.quiet {
            output::people(&(what + "\n"));
        }
    }
}

fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

//! `kubewright reset -f`: the way back of all hosts of a cluster, side by side.

use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::fleet;
use crate::cli::interrupt;
use crate::cli::load;
use crate::cli::output;
use crate::cli::reset_args;
use crate::cli::reset_args::ResetArgs;
use crate::cli::reset_host::End;
use crate::cli::reset_host::HostReset;
use crate::cli::reset_host::LEAVE;
use crate::cli::reset_words as words;
use crate::cli::settings::Settings;
use crate::clock::Clock as _;
use crate::clock::System;
use crate::cluster::Cluster;
use crate::cluster::Node;
use crate::etcd::EtcdProvider as _;
use crate::host::fleet::side_by_side;
use crate::phase::reset::Facts;
use crate::phase::select;
use crate::phase::workflow::RESET;
use crate::plan::display;
use crate::plan::display::Detail;
use crate::report::Event;
use crate::report::Record;
use crate::report::Reporter;
use crate::report::Totals;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const PARALLEL: u16 = 50;

/// What came of a host, for the table at the end.
enum Came {
    /// Why nothing was done, or not all.
    Trouble(String),
    Clean,
    /// Only some phases, or interrupted.
    Over,
    Ended(End),
}

/// A host that is reset, and what it is like.
struct Target<'a> {
    node: &'a Node,
    reset: HostReset<'a>,
    facts: Facts,
}

/// Resets the hosts of a cluster.
///
/// # Errors
/// The configuration has problems, or nobody confirms.
pub(super) fn run(
    file: &Path,
    args: &ResetArgs,
    alone: Option<&str>,
    settings: &Settings,
) -> Result<Exit, CliError> {
    let reporter = settings.reporter();
    let configuration = reset_args::configuration(args, &reporter)?;
    let selected = match alone {
        Some(phase) => select::only(RESET, phase),
        None => select::skipping(RESET, &configuration.skip_phases),
    };
    let selected = selected.or_exit(Exit::Usage)?;
    let mut cluster = load::for_fleet(file, &reporter)?.cluster;
    let all: BTreeSet<String> = members(&cluster);
    keep(&mut cluster, &args.limit)?;
    let parallel = usize::from(args.parallel.unwrap_or(PARALLEL));
    let interrupt = interrupt::flag().or_exit(Exit::Failure)?;
    let fleet::Connected { hosts, unreachable } = fleet::connect(&cluster, parallel, settings, &reporter);
    let events = |event: Event| reporter.tell(&event);
    let mut choices = reset_args::choices(args, &configuration, &reporter);
    if args.cert_dir.is_none() {
        cluster.certificates_dir().clone_into(&mut choices.certificates_dir);
    }
    let reset = |node: &Node| {
        Some(HostReset {
            host: Arc::clone(hosts.get(&node.name)?),
            choices: choices.clone(),
            socket: args.cri_socket.clone().unwrap_or_else(|| node.cri_socket.clone()),
            selected: selected.clone(),
            dry_run: configuration.dry_run,
            interrupt: Arc::clone(&interrupt),
            events: &events,
        })
    };
    let asked: Vec<_> = cluster.nodes.iter().filter_map(|node| Some((node, reset(node)?))).collect();
    let asked = side_by_side(asked, parallel, |(node, reset)| {
        let facts = reset.facts(None);
        (node, reset, facts)
    });
    let mut results: BTreeMap<String, Came> = BTreeMap::new();
    results.extend(unreachable.into_iter().map(|(name, trouble)| (name, Came::Trouble(trouble.why))));
    let mut targets = Vec::new();
    for (node, reset, facts) in asked {
        match facts {
            Ok(facts) if reset.is_clean(&facts) => drop(results.insert(node.name.clone(), Came::Clean)),
            Ok(facts) => targets.push(Target { node, reset, facts }),
            Err(error) => drop(results.insert(node.name.clone(), Came::Trouble(one_line(&error)))),
        }
    }
    let whole = all.iter().all(|name| cluster.node(name).is_some());
    if !etcd_goes_on(&targets, whole) {
        for target in &mut targets {
            target.reset.selected.retain(|one| one.name != LEAVE);
        }
    }
    let start = System.monotonic();
    let steps = targets.iter().map(|target| target.reset.plan(&target.facts).steps.len()).sum();
    let names: Vec<String> = targets.iter().map(|target| target.node.name.clone()).collect();
    if args.explain {
        for target in &targets {
            settings.say(&display::text(&target.reset.plan(&target.facts), Detail::Explained));
        }
    }
    if !configuration.dry_run && !targets.is_empty() && !configuration.force {
        confirm(&targets, &results)?;
    }
    let held = (!configuration.dry_run).then(|| {
        let meant: Vec<_> = targets.iter().map(|target| Arc::clone(&target.reset.host)).collect();
        let holder = fleet::holder(&format!("kubewright reset -f {}", file.display()), settings);
        fleet::take_locks(&meant, &holder, None, parallel, &interrupt, &reporter)
    });
    let held = held.transpose()?;
    reporter.tell(&Event::RunStarted { hosts: names, steps, dry_run: configuration.dry_run });
    let mut records = Vec::new();
    for (name, done, result) in
        if configuration.dry_run { look(&targets, parallel) } else { take_away(targets, parallel) }
    {
        records.extend(done);
        results.insert(name, result);
    }
    drop(held);
    let interrupted = interrupt.load(Ordering::Relaxed);
    finished(&reporter, &records, interrupted, System.monotonic().saturating_sub(start));
    settings.say(&table(&cluster, &results, configuration.dry_run));
    Ok(if interrupted { Exit::Interrupted } else { exit(&results) })
}

/// The hosts of the cluster's own etcd.
fn members(cluster: &Cluster) -> BTreeSet<String> {
    cluster.etcd_members().map(|node| node.name.clone()).collect()
}

/// Leaves the hosts that are meant.
fn keep(cluster: &mut Cluster, limit: &[String]) -> Result<(), CliError> {
    if let Some(unknown) = limit.iter().find(|name| cluster.node(name).is_none()) {
        let names: Vec<&str> = cluster.nodes.iter().map(|node| node.name.as_str()).collect();
        let error = anyhow::anyhow!("the file has no host {unknown}");
        return Err(CliError::new(Exit::Usage, error).hint(format!("its hosts: {}", names.join(", "))));
    }
    if !limit.is_empty() {
        cluster.nodes.retain(|node| limit.contains(&node.name));
    }
    Ok(())
}

/// Whether etcd has members that are not reset, so that those that are must leave it. `whole` says that all that
/// run it by the file are meant: then nobody is left unless etcd itself says so.
fn etcd_goes_on(targets: &[Target<'_>], whole: bool) -> bool {
    let ours: BTreeSet<&str> =
        targets.iter().filter_map(|target| target.facts.etcd.peer_url.as_deref()).collect();
    let lists = targets.iter().filter(|target| target.facts.etcd.peer_url.is_some()).find_map(|target| {
        target.reset.etcd(&target.facts).client().and_then(|etcd| etcd.member_list()).ok()
    });
    match lists {
        Some(members) => {
            members.iter().any(|member| !member.peer_urls.iter().any(|url| ours.contains(url.as_str())))
        }
        None => !whole,
    }
}

/// Workers first; etcd after the API servers that use it; load balancers last, since the others may be reached through
/// them.
fn rank(node: &Node) -> u8 {
    match node {
        node if node.is_control_plane() => 1,
        node if node.becomes_node() => 0,
        node if node.is_etcd_host() => 2,
        _ => 3,
    }
}

type Done = (String, Vec<Record>, Came);

fn look(targets: &[Target<'_>], parallel: usize) -> Vec<Done> {
    side_by_side(targets.iter().collect(), parallel, |target| {
        let done = target.reset.execute(&target.reset.plan(&target.facts), &target.facts);
        (target.node.name.clone(), done, Came::Over)
    })
}

fn take_away(targets: Vec<Target<'_>>, parallel: usize) -> Vec<Done> {
    let mut all = Vec::new();
    let mut by_rank: BTreeMap<u8, Vec<Target<'_>>> = BTreeMap::new();
    for target in targets {
        by_rank.entry(rank(target.node)).or_default().push(target);
    }
    for (_, mut group) in by_rank {
        // etcd lets one member go at a time.
        for target in &mut group {
            let left = target.reset.leave(&target.facts);
            target.reset.selected.retain(|one| one.name != LEAVE);
            all.push((target.node.name.clone(), left, Came::Over));
        }
        all.extend(side_by_side(group, parallel, |Target { node, reset, facts }| {
            let name = node.name.clone();
            match reset.take_away(facts) {
                Ok((done, End::Over)) => (name, done, Came::Over),
                Ok((done, end)) => (name, done, Came::Ended(end)),
                Err(error) => (name, Vec::new(), Came::Trouble(one_line(&error))),
            }
        }));
    }
    all
}

fn confirm(targets: &[Target<'_>], results: &BTreeMap<String, Came>) -> Result<(), CliError> {
    if !std::io::stdin().is_terminal() {
        let error = CliError::new(Exit::Preflight, anyhow::anyhow!("there is nobody to confirm the reset"));
        return Err(
            error.hint("say `--yes` to go on without the question; `--dry-run` shows what would be done")
        );
    }
    let mut text =
        String::from("[reset] These hosts are taken out of the cluster, with their certificates and data:\n");
    for target in targets {
        let pods = target.facts.runtime.pods.iter().filter(|pod| pod.of_kubelet).count();
        let _ = writeln!(text, "[reset]   {}: {pods} pods end", target.node.name);
    }
    for (name, result) in results {
        if let Came::Trouble(why) = result {
            let _ = writeln!(text, "[reset]   {name}: left out, {why}");
        }
    }
    text.push_str("[reset] Are you sure you want to proceed? [y/N]: ");
    output::people(&text);
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).or_exit(Exit::Failure)?;
    if ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
        return Ok(());
    }
    let error = CliError::new(Exit::Preflight, anyhow::anyhow!("the reset was not confirmed"));
    Err(error.hint("nothing was changed"))
}

fn finished(reporter: &Reporter, records: &[Record], interrupted: bool, passed: std::time::Duration) {
    reporter.tell(&Event::RunFinished {
        totals: Totals::of(records),
        interrupted,
        elapsed_ms: u64::try_from(passed.as_millis()).unwrap_or(u64::MAX),
    });
}

/// A line for each host, in the order of the file, and the differences that are left.
fn table(cluster: &Cluster, results: &BTreeMap<String, Came>, dry_run: bool) -> String {
    let mut text = String::new();
    let width = cluster.nodes.iter().map(|node| node.name.len()).max().unwrap_or_default();
    for node in &cluster.nodes {
        let Some(result) = results.get(&node.name) else { continue };
        let said = match result {
            Came::Trouble(why) => format!("not reset: {why}"),
            Came::Clean => "there is nothing to reset".to_owned(),
            Came::Over if dry_run => "looked at only".to_owned(),
            Came::Over => "done as far as was asked for".to_owned(),
            Came::Ended(End::Different(..)) => "not as it was before the cluster, see below".to_owned(),
            Came::Ended(End::Proven(facts, _)) => words::proven(facts).trim_end().to_owned(),
            Came::Ended(End::Over) => String::new(),
        };
        let _ = writeln!(text, "{:<width$}  {said}", node.name);
    }
    for (name, result) in results {
        if let Came::Ended(End::Different(facts, proof)) = result {
            let _ = write!(text, "\n{name}:\n{}", words::difference(facts, proof));
        }
    }
    text
}

fn exit(results: &BTreeMap<String, Came>) -> Exit {
    let any = |wanted: fn(&Came) -> bool| results.values().any(wanted);
    if any(|result| matches!(result, Came::Ended(End::Different(..)))) {
        Exit::Failure
    } else if any(|result| matches!(result, Came::Trouble(_))) {
        Exit::Host
    } else {
        Exit::Success
    }
}

fn one_line(error: &CliError) -> String {
    format!("{:#}", error.cause)
}

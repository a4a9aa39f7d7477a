//! `kubewright status`: how a cluster is, asked of its hosts and through its API.

pub(super) mod host;

use crate::api::Api;
use crate::apply;
use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::fleet;
use crate::cli::fleet::FleetSession;
use crate::cli::load;
use crate::cli::output;
use crate::cli::settings::Settings;
use crate::clock::Clock as _;
use crate::clock::System;
use crate::cluster::Cluster;
use crate::cluster::HostPort;
use crate::cluster::Node;
use crate::etcd::Etcd;
use crate::etcd::EtcdError;
use crate::host::fleet::side_by_side;
use crate::kube::yaml;
use crate::phase::select;
use crate::phase::workflow::CLUSTER;
use crate::plan::Identity;
use crate::report::Outcome;
use crate::report::Reporter;
use crate::status::EndpointStatus;
use crate::status::EtcdStatus;
use crate::status::HostRow;
use crate::status::MemberRow;
use crate::status::NodeRow;
use crate::status::Report;
use clap::Args;
use clap::ValueEnum;
use std::collections::BTreeMap;
use std::path::PathBuf;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Show how a cluster is: nodes, etcd, endpoint, certificates, components, and what `apply` would change
///
/// Everything is asked side by side, over SSH and through the control planes; nothing is changed. What does not answer
/// is part of the report. The exit code is 0 when all is well, and 9 when something wants attention.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct StatusCommand {
    /// File with the cluster
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: PathBuf,

    /// Form of the report
    #[arg(short, long, value_enum, default_value_t)]
    output: StatusOutput,

    /// Do not look what `apply` would change
    #[arg(long)]
    no_drift: bool,

    /// How many hosts are asked at the same time
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    parallel: u16,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum StatusOutput {
    #[default]
    Table,
    /// One object with `"schema": 1`
    Json,
    Yaml,
}

const EXAMPLES: &str = "\
Examples:
  kubewright status -f cluster.yaml
  kubewright status -f cluster.yaml -o json --no-drift
  watch -n 10 kubewright status -f cluster.yaml --no-drift";

/// Runs the command.
///
/// # Errors
/// The configuration has problems. That something does not answer is part of the report.
pub(super) fn run(command: &StatusCommand, settings: &Settings) -> Result<Exit, CliError> {
    // The report is the result; how it came about is not told.
    let quiet = Settings { quiet: true, face: crate::cli::settings::Face::Plain, ..settings.clone() };
    let reporter = quiet.reporter();
    // What others wrote plays a part in what `apply` would change only.
    let load = if command.no_drift { load::for_fleet } else { load::for_fleet_plan };
    let cluster = load(&command.file, &reporter)?.cluster;
    let report = look(cluster, command, settings, &reporter)?.judged();
    output::data(&match command.output {
        StatusOutput::Table => report.text(),
        StatusOutput::Json => serde_json::to_string_pretty(&report).or_exit(Exit::Failure)? + "\n",
        StatusOutput::Yaml => yaml::to_string(&serde_json::to_value(&report).or_exit(Exit::Failure)?),
    });
    Ok(if report.healthy { Exit::Success } else { Exit::Attention })
}

fn look(
    cluster: Cluster,
    command: &StatusCommand,
    settings: &Settings,
    reporter: &Reporter,
) -> Result<Report, CliError> {
    let parallel = usize::from(command.parallel);
    let connected = fleet::connect(&cluster, parallel, settings, reporter);
    let (session, troubles) = FleetSession::open_to_look(cluster, connected, parallel, reporter)?;
    let now = System.now();
    let mut report = Report { cluster: session.cluster.name.clone(), ..Report::default() };
    report.hosts = rows(&session, &troubles, parallel, now);
    report.endpoint = endpoint(&session, &troubles);
    report.etcd = etcd(&session);
    report.api_trouble = api_trouble(&session, reporter);
    report.nodes = nodes(&session, now);
    if !command.no_drift {
        match drift(&session, &troubles, parallel, reporter) {
            Ok(drift) => add_drift(&mut report, &drift),
            Err(why) => report.drift_trouble = Some(why),
        }
    }
    Ok(report)
}

fn rows(
    session: &FleetSession,
    troubles: &BTreeMap<String, String>,
    parallel: usize,
    now: OffsetDateTime,
) -> Vec<HostRow> {
    side_by_side(session.cluster.nodes.iter().collect(), parallel, |node| {
        let row = HostRow {
            name: node.name.clone(),
            address: node.advertise_address.to_string(),
            control_plane: node.is_control_plane(),
            trouble: troubles.get(&node.name).map(|why| without_name(why, &node.name)),
            ..HostRow::default()
        };
        match session.hosts.get(&node.name).filter(|_| row.trouble.is_none()) {
            Some(found) => host::look(session, node, &**found, row, now),
            None => row,
        }
    })
}

/// An error without the host's name in front, which stands beside it.
fn without_name(why: &str, name: &str) -> String {
    why.strip_prefix(name).and_then(|why| why.strip_prefix(": ")).unwrap_or(why).to_owned()
}

/// Why the API says nothing.
fn api_trouble(session: &FleetSession, reporter: &Reporter) -> Option<String> {
    if session.running.runs {
        return None;
    }
    if !session.has_authority() {
        return Some("no control plane that could be asked has the cluster's authority".to_owned());
    }
    let asked = session.client(Identity::Admin, reporter).and_then(|api| ask(&*api));
    asked.err().or_else(|| Some("it did not answer".to_owned()))
}

fn ask(api: &dyn Api) -> Result<(), String> {
    api.raw("/livez").map(drop).map_err(|error| error.to_string())
}

fn nodes(session: &FleetSession, now: OffsetDateTime) -> Vec<NodeRow> {
    let (cluster, running) = (&session.cluster, &session.running);
    let expected = cluster.nodes.iter().filter(|node| node.becomes_node()).map(Node::registered_name);
    let mut names: Vec<&str> = expected.collect();
    let listed = names.len();
    let more = running.nodes.iter().map(|node| node.name.as_str()).filter(|name| !names.contains(name));
    let more: Vec<&str> = more.collect();
    names.extend(more);
    let row = |(at, name): (usize, &str)| {
        let row = NodeRow { name: name.to_owned(), in_file: at < listed, ..NodeRow::default() };
        let Some(node) = running.node(name) else { return row };
        let created = OffsetDateTime::parse(&node.created, &Rfc3339).ok();
        NodeRow {
            registered: true,
            ready: node.ready,
            cordoned: node.cordoned,
            version: node.kubelet_version.clone(),
            roles: node.roles().into_iter().map(str::to_owned).collect(),
            age_seconds: created.map(|created| (now - created).whole_seconds()),
            ..row
        }
    };
    names.into_iter().enumerate().map(row).collect()
}

fn etcd(session: &FleetSession) -> Option<EtcdStatus> {
    if !session.cluster.has_local_etcd() {
        return None;
    }
    let Some(etcd) = session.etcd() else {
        let trouble = "no host that could be asked runs a member".to_owned();
        return Some(EtcdStatus { trouble: Some(trouble), members: Vec::new() });
    };
    Some(match members(etcd) {
        Ok(members) => EtcdStatus { trouble: None, members },
        Err(error) => EtcdStatus { trouble: Some(error.to_string()), members: Vec::new() },
    })
}

fn members(etcd: &dyn Etcd) -> Result<Vec<MemberRow>, EtcdError> {
    let members = etcd.member_list()?;
    let row = |member: &crate::etcd::Member| {
        let row = MemberRow {
            name: member.name.clone(),
            id: member.id.to_string(),
            peer_url: member.peer_urls.first().cloned().unwrap_or_default(),
            learner: member.is_learner,
            ..MemberRow::default()
        };
        let Some(endpoint) = member.client_urls.first() else {
            return MemberRow { errors: vec!["it has not started".to_owned()], ..row };
        };
        match etcd.status(endpoint) {
            Ok(status) => MemberRow {
                healthy: status.errors.is_empty(),
                leader: status.leader == Some(member.id),
                version: status.version,
                db_size: Some(status.db_size),
                errors: status.errors,
                ..row
            },
            Err(error) => MemberRow { errors: vec![error.to_string()], ..row },
        }
    };
    Ok(members.iter().map(row).collect())
}

fn endpoint(session: &FleetSession, troubles: &BTreeMap<String, String>) -> Option<EndpointStatus> {
    let cluster = &session.cluster;
    let endpoint = cluster.endpoint.as_ref()?;
    let virtual_addresses = cluster.virtual_addresses();
    let asked = || cluster.nodes.iter().filter(|node| !troubles.contains_key(&node.name));
    let holds = |name: &str| {
        let facts = session.facts().get(name);
        facts.is_some_and(|facts| virtual_addresses.iter().any(|one| facts.addresses.contains(one)))
    };
    let holders = asked().filter(|node| holds(&node.name)).map(|node| node.name.clone()).collect();
    let from = asked().find_map(|node| session.hosts.get(&node.name));
    let tried = from.map(|host| host::answers_at(&**host, endpoint));
    Some(EndpointStatus {
        address: HostPort::new(endpoint.host.clone(), endpoint.port).to_string(),
        provider: cluster.site.endpoint_provider.as_str().to_owned(),
        virtual_addresses: virtual_addresses.iter().map(ToString::to_string).collect(),
        holders,
        tried_from: from.map(|host| host.name().to_owned()),
        trouble: tried.and_then(Result::err),
    })
}

/// How many steps of a dry run would change something, by host; those through the API have none.
fn drift(
    session: &FleetSession,
    troubles: &BTreeMap<String, String>,
    parallel: usize,
    reporter: &Reporter,
) -> Result<BTreeMap<Option<String>, usize>, String> {
    let told = |error: CliError| format!("{:#}", error.cause);
    let control_planes = session.cluster.control_planes();
    if control_planes.into_iter().all(|node| troubles.contains_key(&node.name)) {
        return Err("no control plane can be asked".to_owned());
    }
    let selected = select::skipping(CLUSTER, &[]).map_err(|error| error.to_string())?;
    let plan = session.plan(&selected).map_err(told)?;
    let bundle = session.bundle(&plan, true, reporter).map_err(told)?;
    let resolver = session.resolver(bundle, true);
    let options = apply::Options { dry_run: true, parallel, ..apply::Options::default() };
    let report = session.execute(&plan, &resolver, &options, &|_| {});
    if let Some(failure) = report.failures.first() {
        return Err(failure.causes.join(": "));
    }
    let mut drift: BTreeMap<Option<String>, usize> = BTreeMap::new();
    for record in report.records {
        *drift.entry(record.host).or_default() += usize::from(record.outcome == Outcome::WouldChange);
    }
    Ok(drift)
}

fn add_drift(report: &mut Report, drift: &BTreeMap<Option<String>, usize>) {
    let of = |host: Option<&String>| drift.get(&host.cloned()).copied().unwrap_or_default();
    for row in report.hosts.iter_mut().filter(|row| row.trouble.is_none()) {
        row.drift = Some(of(Some(&row.name)));
    }
    report.api_drift = report.api_trouble.is_none().then(|| of(None));
}

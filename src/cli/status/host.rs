//! How one host is.

use crate::cli::fleet::FleetSession;
use crate::cluster::Balancing;
use crate::cluster::HostPort;
use crate::cluster::Node;
use crate::cluster::endpoint::Haproxy;
use crate::cluster::endpoint::RunAs;
use crate::host::Command;
use crate::host::Host;
use crate::host::HostError;
use crate::host::Socket;
use crate::host::http;
use crate::lock;
use crate::pki::expiry;
use crate::plan::Probe;
use crate::status::Certificate;
use crate::status::Component;
use crate::status::HostRow;
use serde_json::Value;
use std::error::Error as _;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// For each thing that is asked.
const LIMIT: Duration = Duration::from_secs(10);

/// Looks at a host that answers.
pub(super) fn look(
    session: &FleetSession,
    node: &Node,
    host: &dyn Host,
    row: HostRow,
    now: OffsetDateTime,
) -> HostRow {
    let mut components: Vec<Component> = Vec::new();
    let mut add = |name: &str, answer: Result<(), String>| {
        components.push(Component { name: name.to_owned(), trouble: answer.err() });
    };
    if node.is_server() {
        for (name, probe) in session.health_probes(node) {
            add(&name, ask(host, node, &probe));
        }
    } else if node.becomes_node() {
        add("kubelet", get(host, false, "127.0.0.1", 10248, "/healthz"));
    }
    if session.cluster.balances(node) {
        for (name, answer) in balancing(session, node, host) {
            add(&name, answer);
        }
    }
    let lock = locked(host);
    let certificate = certificate(session, node, now);
    HostRow { components, certificate, lock: lock.unwrap_or_else(|why| Some(why.into())), ..row }
}

fn ask(host: &dyn Host, node: &Node, probe: &Probe) -> Result<(), String> {
    match probe {
        Probe::Http { tls, host: address, port, path } => get(host, *tls, address, *port, path),
        // Its own API server: anybody may ask for its health.
        _ => get(host, true, &node.advertise_address.to_string(), node.bind_port, "/livez"),
    }
}

/// HAProxy, keepalived, and what HAProxy thinks of the API server beside it.
fn balancing(session: &FleetSession, node: &Node, host: &dyn Host) -> Vec<(String, Result<(), String>)> {
    let (haproxy, units): (&Haproxy, &[&str]) = match &session.cluster.site.balancing {
        Some(Balancing::Keepalived(keepalived)) => (
            &keepalived.haproxy,
            if keepalived.run_as == RunAs::Service { &["keepalived", "haproxy"] } else { &[] },
        ),
        Some(Balancing::NodeLocal(local)) => {
            (&local.haproxy, if local.run_as == RunAs::Service { &["haproxy"] } else { &[] })
        }
        Some(Balancing::KubeVip(_)) | None => return Vec::new(),
    };
    let mut found: Vec<(String, Result<(), String>)> =
        units.iter().map(|unit| ((*unit).to_owned(), active(host, unit))).collect();
    let monitor = |path: &str| get(host, false, "127.0.0.1", haproxy.monitor_port, path);
    found.push(("haproxy monitor".to_owned(), monitor("/healthz")));
    if node.is_control_plane() {
        found.push(("haproxy backend".to_owned(), monitor("/apiserver")));
    }
    found
}

fn active(host: &dyn Host, unit: &str) -> Result<(), String> {
    let output =
        host.run(&Command::query("systemctl").args(["is-active", unit])).map_err(|error| told(&error))?;
    if output.success() { Ok(()) } else { Err(output.text().trim().to_owned()) }
}

fn get(host: &dyn Host, tls: bool, address: &str, port: u16, path: &str) -> Result<(), String> {
    match status(host, tls, address, port, path)? {
        (200, _) => Ok(()),
        (status, body) => {
            Err(format!("status {status}: {}", body.trim().chars().take(200).collect::<String>()))
        }
    }
}

fn status(host: &dyn Host, tls: bool, address: &str, port: u16, path: &str) -> Result<(u16, String), String> {
    let socket = Socket::Tcp { host: address.to_owned(), port };
    let stream = host.connect_within(&socket, LIMIT).map_err(|error| told(&error))?;
    stream.set_timeout(LIMIT).map_err(|error| error.to_string())?;
    let answer = if tls {
        http::get_unverified_tls(stream, address, &socket, path)
    } else {
        http::get(stream, &socket, path)
    };
    answer.map_err(|error| error.to_string())
}

fn told(error: &HostError) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

/// Whether an API server answers there: also one that wants to know first who asks.
pub(in crate::cli) fn answers_at(host: &dyn Host, endpoint: &HostPort) -> Result<(), String> {
    match status(host, true, &endpoint.host, endpoint.port, "/livez")? {
        (200..=299 | 401 | 403, _) => Ok(()),
        (status, body) => {
            Err(format!("status {status}: {}", body.trim().chars().take(200).collect::<String>()))
        }
    }
}

/// The lock's own words: JSON where it is, text where it is not.
fn locked(host: &dyn Host) -> Result<Option<Value>, String> {
    let entry = host.read(lock::PATH).map_err(|error| told(&error))?;
    let Some(entry) = entry else { return Ok(None) };
    let text = String::from_utf8_lossy(entry.content().unwrap_or_default()).trim().to_owned();
    Ok(Some(serde_json::from_str(&text).unwrap_or_else(|_| text.into())))
}

/// What expires first on the host.
fn certificate(session: &FleetSession, node: &Node, now: OffsetDateTime) -> Option<Certificate> {
    let inventory = session.inventory(&node.name)?;
    let report = expiry::check(&session.cluster, node, inventory, now).ok()?;
    let rows = report.certificates.iter().chain(&report.authorities).chain(&report.kubelet);
    let found = rows.filter_map(|row| Some((row.name, row.found.as_ref()?)));
    let (name, first) = found.min_by_key(|(_, found)| found.expires)?;
    Some(Certificate {
        name: name.to_owned(),
        expires: first.expires.format(&Rfc3339).unwrap_or_default(),
        days_left: first.residual.whole_days(),
    })
}

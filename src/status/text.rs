//! A report for people: a table for each kind of thing, and at the end what wants attention.

use super::HostRow;
use super::MemberRow;
use super::NodeRow;
use super::Report;
use crate::report::text::ending;
use crate::report::text::table;
use std::fmt::Write as _;

impl Report {
    pub fn text(&self) -> String {
        let mut text = String::new();
        let nodes = self.nodes.iter().map(node);
        text.push_str(&below(["NODE", "STATUS", "ROLES", "AGE", "VERSION"], nodes));
        if let Some(etcd) = &self.etcd {
            let members = etcd.members.iter().map(member);
            text.push('\n');
            text.push_str(&below(["ETCD", "STATUS", "ROLE", "DB SIZE", "VERSION"], members));
        }
        let hosts = self.hosts.iter().map(host);
        text.push('\n');
        text.push_str(&below(["HOST", "COMPONENTS", "CERTIFICATES", "LOCK", "DRIFT"], hosts));
        if let Some(endpoint) = &self.endpoint {
            let holder = match endpoint.holders.as_slice() {
                [] if endpoint.virtual_addresses.is_empty() => String::new(),
                [] => ", held by nobody".to_owned(),
                holders => format!(", held by {}", holders.join(" and ")),
            };
            let answers = match (&endpoint.trouble, &endpoint.tried_from) {
                (None, Some(_)) => ", answers",
                (Some(_), _) => ", does not answer",
                (None, None) => "",
            };
            let _ =
                writeln!(text, "\nendpoint {} ({}){holder}{answers}", endpoint.address, endpoint.provider);
        }
        text.push('\n');
        text.push_str(&ending(&[], None, &self.findings));
        text
    }
}

fn node(row: &NodeRow) -> [String; 5] {
    let mut status = match (row.registered, row.ready) {
        (false, _) => "unknown".to_owned(),
        (true, true) => "ready".to_owned(),
        (true, false) => "not ready".to_owned(),
    };
    if row.cordoned {
        status.push_str(", cordoned");
    }
    if !row.in_file {
        status.push_str(", not in the file");
    }
    let roles = if row.roles.is_empty() { "-".to_owned() } else { row.roles.join(",") };
    [row.name.clone(), status, roles, row.age_seconds.map_or_else(dash, age), or_dash(&row.version)]
}

fn member(row: &MemberRow) -> [String; 5] {
    let name = if row.name.is_empty() { &row.peer_url } else { &row.name };
    let status = if row.healthy { "healthy".to_owned() } else { row.errors.join(", ") };
    let role = match (row.learner, row.leader) {
        (true, _) => "learner",
        (_, true) => "leader",
        _ => "voter",
    };
    [name.clone(), status, role.to_owned(), row.db_size.map_or_else(dash, size), or_dash(&row.version)]
}

fn host(row: &HostRow) -> [String; 5] {
    if row.trouble.is_some() {
        return [row.name.clone(), "cannot be asked".to_owned(), dash(), dash(), dash()];
    }
    let ill: Vec<&str> =
        row.components.iter().filter(|one| one.trouble.is_some()).map(|one| one.name.as_str()).collect();
    let components = match (row.components.len(), ill.as_slice()) {
        (0, _) => dash(),
        (count, []) => format!("{count} well"),
        (count, ill) => format!("{} of {count} well, not {}", count - ill.len(), ill.join(", ")),
    };
    let certificate =
        row.certificate.as_ref().map_or_else(dash, |one| format!("{} days ({})", one.days_left, one.name));
    let lock = if row.lock.is_some() { "locked".to_owned() } else { dash() };
    let drift = match row.drift {
        None => dash(),
        Some(0) => "none".to_owned(),
        Some(count) => count.to_string(),
    };
    [row.name.clone(), components, certificate, lock, drift]
}

fn below(header: [&str; 5], rows: impl Iterator<Item = [String; 5]>) -> String {
    let header = header.map(str::to_owned);
    table(&[header].into_iter().chain(rows).map(Vec::from).collect::<Vec<_>>())
}

fn dash() -> String {
    "-".to_owned()
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { dash() } else { text.to_owned() }
}

/// `3m`, `5h`, `12d`.
fn age(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

fn size(bytes: u64) -> String {
    let mib = 1024 * 1024;
    format!("{}.{} MiB", bytes / mib, bytes % mib * 10 / mib)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_at_a_glance() {
        for (seconds, expected) in [(5, "5s"), (119, "119s"), (600, "10m"), (7200, "2h"), (864_000, "10d")] {
            assert_eq!(age(seconds), expected);
        }
        assert_eq!(size(3 * 1024 * 1024 + 600 * 1024), "3.5 MiB");
    }
}

//! A report for people: a table for each kind of thing, and at the end what wants attention.

use super::HostRow;
use super::MemberRow;
use super::NodeRow;
use super::Report;
use std::fmt::Write as _;

impl Report {
    pub fn text(&self) -> String {
        let mut text = String::new();
        let nodes: Vec<_> = self.nodes.iter().map(node).collect();
        text.push_str(&table(["NODE", "STATUS", "ROLES", "AGE", "VERSION"], &nodes));
        if let Some(etcd) = &self.etcd {
            let members: Vec<_> = etcd.members.iter().map(member).collect();
            text.push('\n');
            text.push_str(&table(["ETCD", "STATUS", "ROLE", "DB SIZE", "VERSION"], &members));
        }
        let hosts: Vec<_> = self.hosts.iter().map(host).collect();
        text.push('\n');
        text.push_str(&table(["HOST", "COMPONENTS", "CERTIFICATES", "LOCK", "DRIFT"], &hosts));
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
        if self.findings.is_empty() {
            text.push_str("\nall is well\n");
        } else {
            text.push_str("\nwants attention:\n");
            for finding in &self.findings {
                let _ = writeln!(text, "  {finding}");
            }
        }
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

fn table(header: [&str; 5], rows: &[[String; 5]]) -> String {
    let length = |text: &str| text.chars().count();
    let width = |column: usize| {
        rows.iter().map(|row| length(&row[column])).max().unwrap_or_default().max(length(header[column]))
    };
    let widths: Vec<usize> = (0..4).map(width).collect();
    let line = |cells: [&str; 5]| {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        line + cells[4] + "\n"
    };
    std::iter::once(line(header))
        .chain(rows.iter().map(|row| line(row.each_ref().map(String::as_str))))
        .collect()
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

    #[test]
    fn columns_stand_in_line() {
        let row = |cells: [&str; 5]| cells.map(str::to_owned);
        let text = table(["A", "B", "C", "D", "E"], &[row(["long", "x", "y", "z", "end"])]);
        assert_eq!(text, "A     B  C  D  E\nlong  x  y  z  end\n");
    }
}

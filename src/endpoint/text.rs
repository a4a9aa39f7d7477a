//! A report for people.

use super::Report;
use super::Row;
use crate::report::text::ending;
use crate::report::text::table;

const HEADER: [&str; 7] = ["FAILED", "ON", "GAP", "LOST", "ADDRESS AFTER", "MOVED AFTER", "THEN"];

impl Report {
    pub fn text(&self) -> String {
        let from = if self.measured_from.is_empty() {
            "nowhere".to_owned()
        } else {
            self.measured_from.join(" and ")
        };
        let mut text = format!(
            "endpoint {} ({}), asked every {} ms from {from}\n\n",
            self.endpoint, self.provider, self.interval_ms
        );
        let header = HEADER.map(str::to_owned).to_vec();
        let rows: Vec<Vec<String>> = [header].into_iter().chain(self.stages.iter().map(cells)).collect();
        text.push_str(&table(&rows));
        text.push('\n');
        let interrupted = self.interrupted.then_some("interrupted: what had been failed was mended");
        text.push_str(&ending(&self.notes, interrupted, &self.findings));
        text
    }
}

fn cells(row: &Row) -> Vec<String> {
    let dash = || "-".to_owned();
    let after = if row.failed.is_some() { &row.holder_after } else { &row.holder_before };
    let then = match (row.failed, row.came_back_after_ms) {
        (_, Some(after)) => format!("back after {after} ms"),
        (Some(_), None) if row.holder_before.is_some() => "stayed there".to_owned(),
        _ => dash(),
    };
    vec![
        row.what.clone(),
        row.host.clone().unwrap_or_else(dash),
        format!("{} ms", row.gap_ms),
        format!("{} of {}", row.lost, row.requests),
        after.clone().unwrap_or_else(dash),
        row.moved_after_ms.map_or_else(dash, |after| format!("{after} ms")),
        then,
    ]
}

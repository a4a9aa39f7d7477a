//! A report for people.

use super::Report;
use super::Row;
use std::fmt::Write as _;

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
        let rows: Vec<[String; 7]> = self.stages.iter().map(cells).collect();
        text.push_str(&table(&rows));
        text.push('\n');
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        if self.interrupted {
            text.push_str("interrupted: what had been failed was mended\n");
        }
        if self.findings.is_empty() {
            text.push_str("all is well\n");
        } else {
            text.push_str("wants attention:\n");
            for finding in &self.findings {
                let _ = writeln!(text, "  {finding}");
            }
        }
        text
    }
}

fn cells(row: &Row) -> [String; 7] {
    let dash = || "-".to_owned();
    let after = if row.failed.is_some() { &row.holder_after } else { &row.holder_before };
    let then = match (row.failed, row.came_back_after_ms) {
        (_, Some(after)) => format!("back after {after} ms"),
        (Some(_), None) if row.holder_before.is_some() => "stayed there".to_owned(),
        _ => dash(),
    };
    [
        row.what.clone(),
        row.host.clone().unwrap_or_else(dash),
        format!("{} ms", row.gap_ms),
        format!("{} of {}", row.lost, row.requests),
        after.clone().unwrap_or_else(dash),
        row.moved_after_ms.map_or_else(dash, |after| format!("{after} ms")),
        then,
    ]
}

fn table(rows: &[[String; 7]]) -> String {
    let header = HEADER.map(str::to_owned);
    let all = || std::iter::once(&header).chain(rows);
    let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |row: &[String; 7]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    all().map(line).collect()
}

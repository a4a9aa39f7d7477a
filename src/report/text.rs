//! What the reports of several commands have in common, for people.

use std::fmt::Write as _;

/// Rows below a header, each column as wide as its widest cell, two spaces apart.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// The last lines: what is to be known, and what wants attention, or that nothing does.
pub fn ending(notes: &[String], interrupted: Option<&str>, findings: &[String]) -> String {
    let mut text = String::new();
    for note in notes {
        let _ = writeln!(text, "note: {note}");
    }
    if let Some(interrupted) = interrupted {
        let _ = writeln!(text, "{interrupted}");
    }
    if findings.is_empty() {
        text.push_str("all is well\n");
    } else {
        text.push_str("wants attention:\n");
        for finding in findings {
            let _ = writeln!(text, "  {finding}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [row(["A", "B", "C"]), row(["long", "ü", "end"]), row(["x", "", ""])];
        assert_eq!(table(&rows), "A     B  C\nlong  ü  end\nx\n");
        assert_eq!(table(&[]), "");
    }

    #[test]
    fn what_wants_attention_comes_last() {
        let said = |text: &str| [text.to_owned()];
        assert_eq!(ending(&[], None, &[]), "all is well\n");
        let text = ending(&said("n"), Some("interrupted"), &said("f"));
        assert_eq!(text, "note: n\ninterrupted\nwants attention:\n  f\n");
    }
}

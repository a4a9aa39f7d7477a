//! Tables as Go's `tabwriter` lays them out for kubeadm.

use std::fmt::Write;

/// Columns of at least ten characters with three between them; the last one is as long as it is.
pub fn aligned(rows: &[Vec<String>]) -> String {
    let length = |text: &str| text.chars().count();
    let width =
        |column: usize| rows.iter().map(|row| length(&row[column]) + 3).max().unwrap_or_default().max(10);
    let columns = rows.first().map_or(0, |row| row.len().saturating_sub(1));
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (cell, width) in row.iter().zip(&widths) {
            write!(text, "{cell:<width$}").expect("a string takes any text");
        }
        text.push_str(row.last().map_or("", String::as_str));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["A", "B", "C"], ["a long cell", "ü", "the end"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(aligned(&rows), "A             B         C\na long cell   ü         the end\n");
        assert_eq!(aligned(&[]), "");
    }
}

//! The reference of all documents, from the tables by which they are read.

use crate::config::schema::Field;
use crate::config::schema::KNOWN;
use crate::config::schema::Known;
use crate::config::schema::Schema;
use crate::config::schema::Shape;
use crate::config::schema::V1BETA3;
use std::fmt::Write as _;

const HEAD: &str = "\
# Configuration

Every field of every document that is read, printed by `kubewright config reference` from the tables by which documents are
read. `kubewright config print cluster` prints a commented example. Documents of kubeadm.k8s.io/v1beta3 are read too, and
`kubewright config migrate` rewrites them.
";

/// The reference as Markdown.
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    // What is ours comes first; the older version of kubeadm's documents is for migrating only.
    let (ours, others): (Vec<&Known>, Vec<&Known>) = KNOWN
        .iter()
        .filter(|known| known.api_version != V1BETA3)
        .partition(|known| known.api_version.starts_with("kubewright.dev/"));
    for known in ours.into_iter().chain(others) {
        let _ = write!(text, "\n## {}\n\n`apiVersion: {}`\n\n", known.kind, known.api_version);
        text.push_str("| field | value | meaning |\n|---|---|---|\n");
        rows(&mut text, known.schema, "");
    }
    text
}

fn rows(text: &mut String, schema: &Schema, above: &str) {
    for field in schema.fields {
        let path = format!("{above}{}", field.name);
        let _ = writeln!(text, "| `{path}` | {} | {} |", words(&field.shape), cell(field));
        let (inner, end) = within(&field.shape);
        if let Some(inner) = inner {
            rows(text, inner, &format!("{path}{end}."));
        }
    }
}

/// What a vertical line in it would end.
fn cell(field: &Field) -> String {
    field.doc.replace('|', "\\|")
}

/// The structure that a value is made of, and how its place is written below the field's.
fn within(shape: &Shape) -> (Option<&'static Schema>, &'static str) {
    match shape {
        Shape::Object(inner) => (Some(inner), ""),
        Shape::List(Shape::Object(inner)) => (Some(inner), "[]"),
        Shape::Map(Shape::Object(inner)) => (Some(inner), ".*"),
        _ => (None, ""),
    }
}

/// What a value looks like, in words.
fn words(shape: &Shape) -> String {
    match shape {
        Shape::Text => "text".to_owned(),
        Shape::Enum(values) | Shape::Advice(values) => values
            .iter()
            .filter(|value| !value.is_empty())
            .map(|value| format!("`{value}`"))
            .collect::<Vec<_>>()
            .join(", "),
        Shape::Bool => "`true`, `false`".to_owned(),
        Shape::Int(from, to) => number(*from, *to),
        Shape::Float => "number".to_owned(),
        Shape::Duration => "duration".to_owned(),
        Shape::Interval => "nanoseconds or duration".to_owned(),
        Shape::Time => "time".to_owned(),
        Shape::Quantity => "quantity".to_owned(),
        Shape::List(inner) => format!("list: {}", words(inner)),
        Shape::TextOrTexts => "text, or list: text".to_owned(),
        Shape::Map(inner) => format!("map: {}", words(inner)),
        Shape::Object(_) => "object".to_owned(),
        Shape::Any => "anything".to_owned(),
    }
}

/// The range of a whole number, unless it is only what fits into one.
fn number(from: i64, to: i64) -> String {
    let wide = |bound: i64| [i64::from(i32::MIN), i64::from(i32::MAX), i64::MIN, i64::MAX].contains(&bound);
    match (wide(from), wide(to)) {
        (true, true) => "whole number".to_owned(),
        (false, true) => format!("whole number, {from} or more"),
        _ => format!("whole number, {from} to {to}"),
    }
}

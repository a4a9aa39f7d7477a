//! One walk over a document and its schema: finds every field that does not belong and every value of the wrong
//! kind, and keeps the rest.

use crate::cluster::GoDuration;
use crate::config::Strictness;
use crate::config::issue::Severity;
use crate::config::path::Path;
use crate::config::path::Segment;
use crate::config::report::Report;
use crate::config::schema::Schema;
use crate::config::schema::Shape;
use crate::config::suggest::nearest;
use crate::config::yaml::Entry;
use crate::config::yaml::Node;
use crate::config::yaml::Value;
use serde_json::Map;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The part of `node` that fits `schema`. A field that does not fit is reported and left out, as Go leaves out
/// nulls.
pub(crate) fn check(
    report: &mut Report,
    strictness: Strictness,
    node: &Node,
    schema: &Schema,
    path: &Path,
) -> Map<String, serde_json::Value> {
    Checker { report, strictness }.object(node, schema, path).unwrap_or_default()
}

struct Checker<'a> {
    report: &'a mut Report,
    strictness: Strictness,
}

type Checked = Option<serde_json::Value>;

impl Checker<'_> {
    fn object(
        &mut self,
        node: &Node,
        schema: &Schema,
        path: &Path,
    ) -> Option<Map<String, serde_json::Value>> {
        let entries = match &node.value {
            Value::Null => return Some(Map::new()),
            Value::Map(entries) => entries,
            _ => {
                self.wrong(node, path, "a mapping");
                return None;
            }
        };
        self.repeated(entries, path);
        let mut object = Map::new();
        for entry in entries {
            let inner = path.key(&entry.key);
            match schema.field(&entry.key) {
                Some(field) => {
                    if let Some(value) = self.value(&entry.node, &field.shape, &inner) {
                        object.insert(entry.key.clone(), value);
                    }
                }
                None if path.segments.is_empty() && matches!(entry.key.as_str(), "apiVersion" | "kind") => {}
                None => self.unknown(entry, schema, &inner),
            }
        }
        Some(object)
    }

    fn repeated(&mut self, entries: &[Entry], path: &Path) {
        for (index, entry) in entries.iter().enumerate() {
            if let Some(first) = entries[..index].iter().find(|earlier| earlier.key == entry.key) {
                let severity = self.severity();
                let message =
                    format!("the key `{}` is given twice; the first is in line {}", entry.key, first.at.line);
                self.report
                    .at(severity, Some(entry.at), &path.key(&entry.key), message)
                    .hint("keep one of them");
            }
        }
    }

    fn severity(&self) -> Severity {
        match self.strictness {
            Strictness::Strict => Severity::Error,
            Strictness::Lenient => Severity::Warning,
        }
    }

    fn unknown(&mut self, entry: &Entry, schema: &Schema, path: &Path) {
        let names: Vec<&str> = schema.fields.iter().map(|field| field.name).collect();
        let hint = match nearest(&entry.key, names.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => match schema.search(&entry.key, 3) {
                Some(place) => format!("did you mean `{place}`?"),
                None if names.len() <= 12 => format!("known here: {}", names.join(", ")),
                None => "see `kubewright config print` for the fields that exist".to_owned(),
            },
        };
        let ignored = if self.strictness == Strictness::Lenient { "; it is ignored" } else { "" };
        let message = format!("unknown field `{}`{ignored}", entry.key);
        let severity = self.severity();
        self.report.at(severity, Some(entry.at), path, message).hint(hint);
    }

    fn value(&mut self, node: &Node, shape: &Shape, path: &Path) -> Checked {
        if node.value == Value::Null {
            return None;
        }
        match shape {
            Shape::Any => Some(node.to_json()),
            Shape::Text => self.text(node, path).map(Into::into),
            Shape::Enum(words) => self.word(node, words, path, Strictness::Strict),
            Shape::Advice(words) => self.word(node, words, path, self.strictness),
            Shape::Bool => match node.value {
                Value::Bool(flag, _) => Some(flag.into()),
                _ => self.wrong(node, path, "true or false"),
            },
            Shape::Int(min, max) => self.number(node, *min, *max, path),
            Shape::Float => match node.value {
                Value::Int(..) | Value::Uint(..) | Value::Float(..) => Some(node.to_json()),
                _ => self.wrong(node, path, "a number"),
            },
            Shape::Duration => self.duration(node, path),
            Shape::Interval => match node.value {
                Value::Int(..) => Some(node.to_json()),
                _ => self.duration(node, path),
            },
            Shape::Quantity => match node.value {
                Value::Int(..) | Value::Float(..) => Some(node.to_json().to_string().into()),
                _ => self.text(node, path).map(Into::into),
            },
            Shape::Time => self.time(node, path),
            Shape::List(inner) => self.list(node, inner, path),
            Shape::TextOrTexts if matches!(node.value, Value::List(_)) => self.list(node, &Shape::Text, path),
            Shape::TextOrTexts => self.text(node, path).map(|text| vec![text].into()),
            Shape::Map(inner) => self.map(node, inner, path),
            Shape::Object(schema) => self.object(node, schema, path).map(Into::into),
        }
    }

    fn text(&mut self, node: &Node, path: &Path) -> Option<String> {
        if let Some(text) = node.text() {
            return Some(text.to_owned());
        }
        self.wrong(node, path, "a string");
        None
    }

    fn word(&mut self, node: &Node, words: &[&str], path: &Path, strictness: Strictness) -> Checked {
        let text = self.text(node, path)?;
        if words.contains(&text.as_str()) {
            return Some(text.into());
        }
        if text.is_empty() && !matches!(path.segments.last(), Some(Segment::Index(_))) {
            return None;
        }
        let hint = match nearest(&text, words.iter().copied()) {
            Some(word) => format!("did you mean `{word}`? possible are: {}", words.join(", ")),
            None => format!("possible are: {}", words.join(", ")),
        };
        self.report.strict(strictness, path, format!("`{text}` is not possible here")).hint(hint);
        (strictness == Strictness::Lenient).then(|| text.into())
    }

    fn number(&mut self, node: &Node, min: i64, max: i64, path: &Path) -> Checked {
        let number = match &node.value {
            Value::Int(..) | Value::Uint(..) | Value::Float(..) => node.to_json().as_i64(),
            _ => return self.wrong(node, path, "a whole number"),
        };
        match number {
            Some(number) if (min..=max).contains(&number) => Some(number.into()),
            _ => {
                self.report
                    .error(path, format!("{} is out of range", node.describe()))
                    .hint(format!("a whole number from {min} to {max}"));
                None
            }
        }
    }

    fn duration(&mut self, node: &Node, path: &Path) -> Checked {
        let text = match (&node.value, node.text()) {
            (_, Some(text)) => text,
            (Value::Int(_, text), _) => {
                let message = format!("expected a duration, found the number `{text}`");
                self.report.error(path, message).hint(format!("with a unit: {text}s, {text}m, {text}h"));
                return None;
            }
            _ => return self.wrong(node, path, "a duration"),
        };
        match text.parse::<GoDuration>() {
            Ok(_) => Some(text.into()),
            Err(error) => {
                self.report.error(path, error.to_string()).hint("units are h, m, s, ms; days are 24h each");
                None
            }
        }
    }

    fn time(&mut self, node: &Node, path: &Path) -> Checked {
        let text = self.text(node, path)?;
        if OffsetDateTime::parse(&text, &Rfc3339).is_ok() {
            return Some(text.into());
        }
        self.report.error(path, format!("`{text}` is not a time")).hint("such as 2030-01-31T12:00:00Z");
        None
    }

    fn list(&mut self, node: &Node, inner: &Shape, path: &Path) -> Checked {
        let Value::List(items) = &node.value else {
            return self.wrong(node, path, "a list");
        };
        let checked = items.iter().enumerate().filter_map(|(index, item)| {
            let path = path.index(index);
            match (&item.value, inner) {
                (Value::Null, Shape::Object(_)) => Some(serde_json::Value::Object(Map::new())),
                (Value::Null, Shape::Text) => Some("".into()),
                _ => self.value(item, inner, &path),
            }
        });
        Some(checked.collect())
    }

    fn map(&mut self, node: &Node, inner: &Shape, path: &Path) -> Checked {
        let Value::Map(entries) = &node.value else {
            return self.wrong(node, path, "a mapping");
        };
        self.repeated(entries, path);
        let mut map = Map::new();
        for entry in entries {
            match (&entry.node.value, inner) {
                (Value::Null, Shape::Text) => {
                    map.insert(entry.key.clone(), "".into());
                }
                _ => {
                    if let Some(value) = self.value(&entry.node, inner, &path.key(&entry.key)) {
                        map.insert(entry.key.clone(), value);
                    }
                }
            }
        }
        Some(map.into())
    }

    fn wrong(&mut self, node: &Node, path: &Path, expected: &str) -> Checked {
        let hint = wrong_hint(node, expected, path);
        let message = format!("expected {expected}, found {}", node.describe());
        let issue = self.report.error(path, message);
        issue.hint = hint;
        None
    }
}

fn wrong_hint(node: &Node, expected: &str, path: &Path) -> Option<String> {
    let is_args = path.field().to_lowercase().ends_with("extraargs");
    match (&node.value, expected) {
        (Value::Bool(_, text) | Value::Int(_, text) | Value::Uint(_, text) | Value::Float(_, text), "a string") => {
            Some(format!("quote it: \"{text}\""))
        }
        (Value::Map(_), "a list") if is_args => Some(
            "v1beta4 has a list: `- name: NAME` and `value: \"VALUE\"`; `kubewright config migrate` rewrites v1beta3 files"
                .to_owned(),
        ),
        (Value::List(_), "a mapping") if is_args => {
            Some("v1beta3 has a mapping of names to values; lists belong to kubeadm.k8s.io/v1beta4".to_owned())
        }
        (Value::Text(_) | Value::Int(..) | Value::Bool(..) | Value::Float(..), "a list") => {
            Some("write it as a list, each item after `- `".to_owned())
        }
        (Value::Text(text), "true or false") if matches!(text.as_str(), "true" | "false" | "yes" | "no") => {
            Some("write it without quotes".to_owned())
        }
        (Value::Text(text), "a whole number" | "a number") if text.parse::<f64>().is_ok() => {
            Some("write it without quotes".to_owned())
        }
        (Value::List(_), "a string") => Some("one string; several values are joined by commas".to_owned()),
        _ => None,
    }
}

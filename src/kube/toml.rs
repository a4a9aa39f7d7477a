//! TOML documents of others, changed in part: comments, order and everything that nobody asked to change stay.

use serde_json::Map;
use serde_json::Value;
use toml_edit::Array;
use toml_edit::DocumentMut;
use toml_edit::InlineTable;
use toml_edit::Item;
use toml_edit::Table;

/// A document and its values.
#[derive(Debug, Clone)]
pub struct Document {
    text: DocumentMut,
    value: Value,
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// It is no TOML; the message says where.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
        let value = of_table(text.as_table());
        Ok(Self { text, value })
    }

    /// What it says, as JSON has it. A date is a text.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The text with these values instead: only what differs is written.
    pub fn rewritten(mut self, wanted: &Value) -> String {
        let empty = Map::new();
        let (old, new) = (self.value.as_object().unwrap_or(&empty), wanted.as_object().unwrap_or(&empty));
        update(self.text.as_table_mut(), old, new);
        self.text.to_string()
    }
}

fn of_table(table: &Table) -> Value {
    Value::Object(table.iter().map(|(key, item)| (key.to_owned(), of_item(item))).collect())
}

fn of_item(item: &Item) -> Value {
    match item {
        Item::None => Value::Null,
        Item::Value(value) => of_value(value),
        Item::Table(table) => of_table(table),
        Item::ArrayOfTables(tables) => Value::Array(tables.iter().map(of_table).collect()),
    }
}

fn of_value(value: &toml_edit::Value) -> Value {
    use toml_edit::Value as Toml;
    match value {
        Toml::String(text) => Value::from(text.value().clone()),
        Toml::Integer(number) => Value::from(*number.value()),
        Toml::Float(number) => Value::from(*number.value()),
        Toml::Boolean(flag) => Value::from(*flag.value()),
        Toml::Datetime(time) => Value::from(time.value().to_string()),
        Toml::Array(array) => Value::Array(array.iter().map(of_value).collect()),
        Toml::InlineTable(table) => {
            Value::Object(table.iter().map(|(key, value)| (key.to_owned(), of_value(value))).collect())
        }
    }
}

fn update(table: &mut Table, old: &Map<String, Value>, new: &Map<String, Value>) {
    let gone: Vec<&String> = old.keys().filter(|key| !new.contains_key(*key)).collect();
    for key in gone {
        table.remove(key);
    }
    for (key, wanted) in new.iter().filter(|(key, wanted)| old.get(*key) != Some(*wanted)) {
        match (table.get_mut(key), old.get(key), wanted) {
            (Some(Item::Table(inner)), Some(Value::Object(old)), Value::Object(new)) => {
                update(inner, old, new);
            }
            (Some(Item::Value(there)), _, wanted) if !wanted.is_object() => {
                // The comment behind the value stays.
                let decor = there.decor().clone();
                if let Some(value) = to_value(wanted) {
                    *there = value;
                    *there.decor_mut() = decor;
                }
            }
            _ => {
                if let Some(item) = to_item(wanted) {
                    table.insert(key, item);
                }
            }
        }
    }
}

fn to_item(value: &Value) -> Option<Item> {
    let Value::Object(fields) = value else { return to_value(value).map(Item::Value) };
    let mut table = Table::new();
    // A table that only holds others needs no line of its own.
    table.set_implicit(!fields.is_empty() && fields.values().all(Value::is_object));
    for (key, field) in fields {
        if let Some(item) = to_item(field) {
            table.insert(key, item);
        }
    }
    Some(Item::Table(table))
}

/// TOML has no null.
fn to_value(value: &Value) -> Option<toml_edit::Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => match number.as_i64() {
            Some(number) => number.into(),
            None => number.as_f64()?.into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => items.iter().filter_map(to_value).collect::<Array>().into(),
        Value::Object(fields) => fields
            .iter()
            .filter_map(|(key, field)| Some((key.as_str(), to_value(field)?)))
            .collect::<InlineTable>()
            .into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TEXT: &str = "# mine\nversion = 2\n\n[plugins.\"a.b\"]\n  # why\n  on = false # really\n  dirs = [\"x\"]\n\n  \
                        [plugins.\"a.b\".deep]\n    kept = 1\n\n[other]\nsince = 2024-01-01\n";

    #[test]
    fn what_does_not_differ_is_not_touched() {
        let document = Document::parse(TEXT).unwrap();
        let same = document.value().clone();
        assert_eq!(document.rewritten(&same), TEXT);
    }

    #[test]
    fn only_what_differs_is_written() {
        let document = Document::parse(TEXT).unwrap();
        let mut wanted = document.value().clone();
        wanted["plugins"]["a.b"]["on"] = json!(true);
        wanted["plugins"]["a.b"]["deep"]["new"] = json!({"list": ["y", "z"], "n": 3});
        wanted["plugins"]["a.b"].as_object_mut().unwrap().remove("dirs");
        let text = document.rewritten(&wanted);
        for line in [
            "# mine",
            "  on = true # really",
            "  # why",
            "since = 2024-01-01",
            "kept = 1",
            "list = [\"y\", \"z\"]",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("dirs"), "{text}");
        assert_eq!(Document::parse(&text).unwrap().value(), &wanted);
    }

    #[test]
    fn says_where_it_is_no_toml() {
        let error = Document::parse("a = 1\nb = [\n").unwrap_err();
        assert!(error.contains("line 2") || error.contains("line 3"), "{error}");
    }
}

//! A node of a document and its place.

use crate::config::issue::Position;
use crate::config::path::Path;
use crate::config::path::Segment;

#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub at: Position,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    /// With the text as it was written: `yes` is a boolean too.
    Bool(bool, String),
    Int(i64, String),
    /// Larger than an `i64` can hold.
    Uint(u64, String),
    Float(f64, String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its value. Repeated keys are all kept, so that they can be reported.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub key: String,
    pub at: Position,
    pub node: Node,
}

impl Node {
    /// The value of a key; of a repeated one the last, as Go has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().rev().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// Where a path leads: the place of the last node on the way that exists. A key's value counts, unless it
    /// is a collection: then the key itself is shown.
    pub fn locate(&self, path: &Path) -> Position {
        let mut node = self;
        let mut at = self.at;
        for segment in &path.segments {
            let next = match (segment, &node.value) {
                (Segment::Key(key), Value::Map(_)) => match node.entry(key) {
                    Some(entry) => {
                        at = if entry.node.is_collection() { entry.at } else { entry.node.at };
                        &entry.node
                    }
                    None => return at,
                },
                (Segment::Index(index), Value::List(items)) => match items.get(*index) {
                    Some(item) => {
                        at = item.at;
                        item
                    }
                    None => return at,
                },
                _ => return at,
            };
            node = next;
        }
        at
    }

    pub fn is_collection(&self) -> bool {
        matches!(self.value, Value::List(_) | Value::Map(_))
    }

    /// What the node is, for a message: ``the boolean `yes` ``, `a list`.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(_, text) => format!("the boolean `{text}`"),
            Value::Int(_, text) | Value::Uint(_, text) | Value::Float(_, text) => {
                format!("the number `{text}`")
            }
            Value::Text(_) => "a string".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }

    /// The same as a JSON value, without checking anything; of repeated keys the last wins.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(flag, _) => (*flag).into(),
            Value::Int(number, _) => (*number).into(),
            Value::Uint(number, _) => (*number).into(),
            Value::Float(number, _) => json_number(*number),
            Value::Text(text) => text.clone().into(),
            Value::List(items) => items.iter().map(Node::to_json).collect(),
            Value::Map(entries) => {
                serde_json::Value::Object(entries.iter().map(|e| (e.key.clone(), e.node.to_json())).collect())
            }
        }
    }
}

/// A whole number stays one, as it does on Go's way from YAML through JSON.
fn json_number(number: f64) -> serde_json::Value {
    #[expect(clippy::cast_possible_truncation, reason = "only within the range in which an f64 is exact")]
    if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 {
        (number as i64).into()
    } else {
        number.into()
    }
}

//! Parser events put together to a tree.

use crate::config::issue::Position;
use crate::config::yaml::Entry;
use crate::config::yaml::MAX_DEPTH;
use crate::config::yaml::MAX_NODES;
use crate::config::yaml::Node;
use crate::config::yaml::Value;
use crate::kube::yaml::scalar::Meaning;
use crate::kube::yaml::scalar::meaning;
use saphyr_parser::Event;
use saphyr_parser::Marker;
use saphyr_parser::Parser;
use saphyr_parser::ScalarStyle;
use saphyr_parser::Tag;
use std::collections::HashMap;

type Problem = (Position, String, Option<&'static str>);

/// The tree of the one document in `text`, or `None` when there is nothing in it.
pub(super) fn build(text: &str, first_line: usize) -> Result<Option<Node>, Problem> {
    let mut builder = Builder { first_line, ..Builder::default() };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| syntax(&builder, text, &error))?;
        builder.take(event, builder.position(span.start))?;
    }
    Ok(builder.root.filter(|node| node.value != Value::Null))
}

fn syntax(builder: &Builder, text: &str, error: &saphyr_parser::ScanError) -> Problem {
    let at = builder.position(*error.marker());
    let cut_off = text.chars().skip(error.marker().index()).all(char::is_whitespace);
    let hint = if cut_off || error.info().contains("end of stream") {
        Some("the text ends in the middle of something: is the file complete?")
    } else if text.lines().any(|line| line.trim_start_matches(' ').starts_with('\t')) {
        Some("YAML is indented with spaces, never with tabs")
    } else {
        None
    };
    (at, format!("not valid YAML: {}", error.info()), hint)
}

#[derive(Default)]
struct Builder {
    first_line: usize,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    nodes: usize,
    anchors: HashMap<usize, (Node, usize)>,
}

/// A collection whose end is still to come.
struct Open {
    at: Position,
    anchor: usize,
    /// The number of nodes when it began.
    nodes: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<Key>, merges: Vec<Entry> },
}

enum Key {
    Name(String, Position),
    Merge,
}

impl Builder {
    fn position(&self, marker: Marker) -> Position {
        Position { line: marker.line() + self.first_line - 1, column: marker.col() + 1 }
    }

    fn take(&mut self, event: Event<'_>, at: Position) -> Result<(), Problem> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err((at, "a second document must begin with a line `---`".to_owned(), None));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                if plain && text == "<<" && self.expects_key() {
                    self.begin_merge();
                    return Ok(());
                }
                let value = scalar(&text, plain, tag.as_deref()).map_err(|message| (at, message, None))?;
                self.count(1, at)?;
                self.finish(Node { at, value }, anchor, 1)?;
            }
            Event::SequenceStart(anchor, _) => self.begin(Content::List(Vec::new()), anchor, at)?,
            Event::MappingStart(anchor, _) => {
                let content = Content::Map { entries: Vec::new(), key: None, merges: Vec::new() };
                self.begin(content, anchor, at)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end()?,
            Event::Alias(anchor) => {
                let Some((node, size)) = self.anchors.get(&anchor) else {
                    return Err((at, "an alias inside the very node that it names".to_owned(), None));
                };
                let (node, size) = (Node { at, ..node.clone() }, *size);
                self.count(size, at)?;
                self.finish(node, 0, size)?;
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn count(&mut self, nodes: usize, at: Position) -> Result<(), Problem> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            let message =
                format!("the document has more than {MAX_NODES} nodes when its aliases are expanded");
            return Err((at, message, Some("write out what is needed instead of nesting aliases")));
        }
        Ok(())
    }

    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { content: Content::Map { key: None, .. }, .. }))
    }

    fn begin_merge(&mut self) {
        if let Some(Open { content: Content::Map { key, .. }, .. }) = self.open.last_mut() {
            *key = Some(Key::Merge);
        }
    }

    fn begin(&mut self, content: Content, anchor: usize, at: Position) -> Result<(), Problem> {
        if self.open.len() >= MAX_DEPTH {
            return Err((at, format!("nested more than {MAX_DEPTH} levels deep"), None));
        }
        if self.expects_key() {
            let hint = Some("a value that begins with `{` or `[` must be quoted to be text");
            return Err((at, "a list or mapping cannot be a key".to_owned(), hint));
        }
        self.open.push(Open { at, anchor, nodes: self.nodes, content });
        self.count(1, at)
    }

    fn end(&mut self) -> Result<(), Problem> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.content {
            Content::List(items) => Value::List(items),
            Content::Map { mut entries, merges, .. } => {
                for merged in merges {
                    if !entries.iter().any(|entry| entry.key == merged.key) {
                        entries.push(merged);
                    }
                }
                Value::Map(entries)
            }
        };
        let size = self.nodes - open.nodes;
        self.finish(Node { at: open.at, value }, open.anchor, size)
    }

    /// Puts a whole node where it belongs.
    fn finish(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), Problem> {
        if anchor > 0 {
            self.count(size, node.at)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map { entries, key, merges }) => match key.take() {
                None => *key = Some(Key::Name(key_name(&node)?, node.at)),
                Some(Key::Name(name, at)) => entries.push(Entry { key: name, at, node }),
                Some(Key::Merge) => merge(merges, node)?,
            },
        }
        Ok(())
    }
}

/// A key as text, as the way through JSON makes it.
fn key_name(node: &Node) -> Result<String, Problem> {
    match &node.value {
        Value::Text(text) => Ok(text.clone()),
        Value::Bool(flag, _) => Ok(flag.to_string()),
        Value::Int(number, _) => Ok(number.to_string()),
        Value::Uint(number, _) => Ok(number.to_string()),
        Value::Float(number, _) => Ok(number.to_string()),
        Value::Null => Err((node.at, "a key is empty".to_owned(), None)),
        Value::List(_) | Value::Map(_) => {
            Err((node.at, "a list or mapping cannot be a key".to_owned(), None))
        }
    }
}

/// Entries of a merge come after the mapping's own; of several sources the first counts.
fn merge(merges: &mut Vec<Entry>, source: Node) -> Result<(), Problem> {
    match source.value {
        Value::Map(entries) => {
            for entry in entries {
                if !merges.iter().any(|known| known.key == entry.key) {
                    merges.push(entry);
                }
            }
            Ok(())
        }
        Value::List(sources) => sources.into_iter().try_for_each(|source| match source.value {
            Value::Map(_) => merge(merges, source),
            _ => Err(merge_problem(source.at)),
        }),
        _ => Err(merge_problem(source.at)),
    }
}

fn merge_problem(at: Position) -> Problem {
    (
        at,
        "`<<` merges mappings, and this is none".to_owned(),
        Some("quote the key if `<<` is meant as a name"),
    )
}

fn scalar(text: &str, plain: bool, tag: Option<&Tag>) -> Result<Value, String> {
    let owned = || text.to_owned();
    let tag = match tag {
        Some(tag) if tag.is_yaml_core_schema() => tag.suffix.as_str(),
        Some(_) => return Ok(Value::Text(owned())),
        None if plain => "",
        None => "str",
    };
    let meant = if tag == "str" { Meaning::Text } else { meaning(text) };
    let value = match meant {
        Meaning::Null => Value::Null,
        Meaning::Bool(flag) => Value::Bool(flag, owned()),
        Meaning::Int(number) => Value::Int(number, owned()),
        Meaning::Uint(number) => Value::Uint(number, owned()),
        Meaning::Float(number) if number.is_finite() => Value::Float(number, owned()),
        Meaning::Float(_) => return Err(format!("`{text}` is a number that JSON does not have")),
        Meaning::Timestamp | Meaning::Merge | Meaning::Text => Value::Text(owned()),
    };
    let fits = match tag {
        "" | "str" | "timestamp" => true,
        "null" => value == Value::Null,
        "bool" => matches!(value, Value::Bool(..)),
        "int" => matches!(value, Value::Int(..) | Value::Uint(..)),
        "float" => matches!(value, Value::Int(..) | Value::Uint(..) | Value::Float(..)),
        other => return Err(format!("the tag `!!{other}` is not supported")),
    };
    if fits { Ok(value) } else { Err(format!("`{text}` is not what its tag `!!{tag}` says")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::fmt::Write as _;

    fn value(text: &str) -> serde_json::Value {
        build(text, 1).unwrap().unwrap().to_json()
    }

    #[test]
    fn resolves_scalars_as_go_does() {
        assert_eq!(
            value(
                "{a: yes, b: 0644, c: 1_000, d: 'yes', e: \"1\", f: ~, g: 1e3, h: 1.10, i: 2020-01-01, j: !!str 5}"
            ),
            json!({"a": true, "b": 420, "c": 1000, "d": "yes", "e": "1", "f": null, "g": 1000, "h": 1.1,
                   "i": "2020-01-01", "j": "5"})
        );
        assert_eq!(value("{1: a, yes: b, 1.5: c}"), json!({"1": "a", "true": "b", "1.5": "c"}));
    }

    #[test]
    fn reads_json() {
        assert_eq!(
            value("{\"a\": [1, {\"b\": \"c\\n\"}], \"d\": null}"),
            json!({"a": [1, {"b": "c\n"}], "d": null})
        );
    }

    #[test]
    fn merges_with_own_keys_first() {
        assert_eq!(
            value("a: &a {x: 1, p: 1}\nb: &b {p: 2, z: 2}\nc:\n  <<: [*a, *b]\n  x: 9\n")["c"],
            json!({"x": 9, "p": 1, "z": 2})
        );
    }

    #[test]
    fn remembers_places() {
        let root = build("a:\n  - b: 1\n    c: [x, y]\n", 10).unwrap().unwrap();
        let path = crate::config::path::Path::of("", "a").index(0).key("c").index(1);
        assert_eq!(root.locate(&path), Position { line: 12, column: 12 });
    }

    #[test]
    fn refuses_bombs_and_nonsense() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let parts = vec![format!("*a{}", level - 1); 10].join(", ");
            writeln!(bomb, "a{level}: &a{level} [{parts}]").unwrap();
        }
        let deep = "[".repeat(100) + &"]".repeat(100);
        let nested = "[".repeat(5000);
        for text in [
            bomb.as_str(),
            &deep,
            &nested,
            "a: &a [*a]",
            "a: *b",
            "? [a]\n: b",
            "<<: 5",
            "{a: .inf}",
            "a: 'x",
            "a: b: c",
            "a:\n\tb: c",
            "!!int x",
            "~: 1",
            "a\n...\nb: c",
        ] {
            assert!(build(text, 1).is_err(), "{}", &text[..text.len().min(40)]);
        }
    }

    #[test]
    fn nothing_is_nothing() {
        for text in ["# only a comment\n", "\n", "~\n", "null"] {
            assert_eq!(build(text, 1), Ok(None), "{text:?}");
        }
    }
}

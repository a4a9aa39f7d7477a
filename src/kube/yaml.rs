//! YAML as Kubernetes writes it: sorted keys, lists level with their key, quotes exactly where a YAML 1.1
//! reader would otherwise see something other than the text.
//!
//! The layout follows go-yaml v2 behind `sigs.k8s.io/yaml`, so that what is written can be compared with
//! kubeadm's output byte for byte. One difference: a long line with spaces is not folded at column 80.

pub mod scalar;

use serde_json::Map;
use serde_json::Number;
use serde_json::Value;
use std::cmp::Ordering;
use std::fmt::Write as _;

/// The document as YAML, with a newline at the end and no `---`.
pub fn to_string(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => write_map(&mut out, map, 0, false),
        Value::Array(items) if !items.is_empty() => write_list(&mut out, items, 0),
        other => {
            write_leaf(&mut out, other, 0);
            out.push('\n');
        }
    }
    out
}

/// Several documents in one stream, separated by `---`.
pub fn to_stream<'a>(documents: impl IntoIterator<Item = &'a Value>) -> String {
    documents.into_iter().map(to_string).collect::<Vec<_>>().join("---\n")
}

/// `inline` means that the first key continues a line that holds `- ` already.
fn write_map(out: &mut String, map: &Map<String, Value>, indent: usize, mut inline: bool) {
    let mut keys: Vec<&String> = map.keys().collect();
    keys.sort_by(|a, b| natural(a, b));
    for key in keys {
        if !inline {
            pad(out, indent);
        }
        inline = false;
        write_key(out, key);
        match &map[key] {
            Value::Object(inner) if !inner.is_empty() => {
                out.push('\n');
                write_map(out, inner, indent + 2, false);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                write_list(out, items, indent);
            }
            leaf => {
                out.push(' ');
                write_leaf(out, leaf, indent);
                out.push('\n');
            }
        }
    }
}

fn write_list(out: &mut String, items: &[Value], indent: usize) {
    for item in items {
        pad(out, indent);
        write_item(out, item, indent);
    }
}

fn write_item(out: &mut String, item: &Value, indent: usize) {
    out.push_str("- ");
    match item {
        Value::Object(map) if !map.is_empty() => write_map(out, map, indent + 2, true),
        Value::Array(items) if !items.is_empty() => {
            for (index, inner) in items.iter().enumerate() {
                if index > 0 {
                    pad(out, indent + 2);
                }
                write_item(out, inner, indent + 2);
            }
        }
        leaf => {
            write_leaf(out, leaf, indent);
            out.push('\n');
        }
    }
}

fn write_leaf(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&go_number(number)),
        Value::String(text) => write_text(out, text, indent),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
}

fn write_key(out: &mut String, key: &str) {
    match Style::of(key) {
        Style::Literal => write_double_quoted(out, key),
        style => style.write(out, key),
    }
    out.push(':');
}

fn write_text(out: &mut String, text: &str, indent: usize) {
    match Style::of(text) {
        Style::Literal => write_literal(out, text, indent + 2),
        style => style.write(out, text),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Literal,
}

impl Style {
    fn of(text: &str) -> Self {
        let shape = Shape::of(text);
        if text.contains('\n') {
            return if shape.special || shape.trailing_space { Self::DoubleQuoted } else { Self::Literal };
        }
        if shape.special || !scalar::stays_text(text) {
            Self::DoubleQuoted
        } else if shape.indicators || shape.trailing_space {
            Self::SingleQuoted
        } else {
            Self::Plain
        }
    }

    fn write(self, out: &mut String, text: &str) {
        match self {
            Self::Plain => out.push_str(text),
            Self::SingleQuoted => {
                let _ = write!(out, "'{}'", text.replace('\'', "''"));
            }
            Self::DoubleQuoted | Self::Literal => write_double_quoted(out, text),
        }
    }
}

/// What stands in the way of writing a text plainly.
struct Shape {
    /// Characters that mean something to YAML where they stand, or a space in front.
    indicators: bool,
    /// Characters that only double quotes can hold, or a space before a line break.
    special: bool,
    trailing_space: bool,
}

impl Shape {
    fn of(text: &str) -> Self {
        let mut shape = Self {
            indicators: ["---", "...", " "].iter().any(|start| text.starts_with(start)),
            special: false,
            trailing_space: text.ends_with(' '),
        };
        let mut previous = None;
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            let before_blank = rest.peek().is_none_or(|next| matches!(next, ' ' | '\n' | '\t'));
            let after_blank = matches!(previous, None | Some(' ' | '\n' | '\t'));
            shape.indicators |= match (previous, c) {
                (None, c) if "#,[]{}&*!|>'\"%@`".contains(c) => true,
                (None, '?' | ':' | '-') | (_, ':') => before_blank,
                (_, '#') => after_blank,
                _ => false,
            };
            shape.special |= !printable(c) || (previous == Some(' ') && c == '\n');
            previous = Some(c);
        }
        shape
    }
}

/// The characters that go-yaml leaves as they are; a tab is not among them.
fn printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
        && !matches!(c, '\u{2028}' | '\u{2029}')
}

fn write_double_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\0' => out.push_str("\\0"),
            c if printable(c) => out.push(c),
            c if u32::from(c) <= 0xff => {
                let _ = write!(out, "\\x{:02X}", u32::from(c));
            }
            c if u32::from(c) <= 0xffff => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => {
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
        }
    }
    out.push('"');
}

fn write_literal(out: &mut String, text: &str, indent: usize) {
    out.push('|');
    if text.starts_with([' ', '\n']) {
        out.push('2');
    }
    if !text.ends_with('\n') {
        out.push('-');
    } else if text.ends_with("\n\n") || text == "\n" {
        out.push('+');
    }
    let body = text.strip_suffix('\n').unwrap_or(text);
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            pad(out, indent);
            out.push_str(line);
        }
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// Go's `strconv.FormatFloat(x, 'g', -1, 64)` for what is not an integer.
fn go_number(number: &Number) -> String {
    let Some(float) = number.as_f64().filter(|_| number.is_f64()) else { return number.to_string() };
    let scientific = format!("{float:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return format!("{float}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// Keys in go-yaml's order: numbers inside names count as numbers, so `a2` comes before `a10`.
fn natural(a: &str, b: &str) -> Ordering {
    let left: Vec<char> = a.chars().collect();
    let right: Vec<char> = b.chars().collect();
    for i in 0..left.len().min(right.len()) {
        let (x, y) = (left[i], right[i]);
        if x == y {
            continue;
        }
        return match (x.is_alphabetic(), y.is_alphabetic()) {
            (true, true) => x.cmp(&y),
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => numbers(&left, &right, i),
        };
    }
    left.len().cmp(&right.len())
}

fn numbers(left: &[char], right: &[char], at: usize) -> Ordering {
    let zero = left[at] == '0' || right[at] == '0';
    let mut before = left[..at].iter().rev().take_while(|c| c.is_ascii_digit());
    let lead = u128::from(zero && before.any(|c| *c != '0'));
    let read = |side: &[char]| {
        side[at..].iter().map_while(|c| c.to_digit(10)).fold((lead, 0_usize), |(number, length), digit| {
            (number.saturating_mul(10).saturating_add(u128::from(digit)), length + 1)
        })
    };
    read(left).cmp(&read(right)).then(left[at].cmp(&right[at]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lays_out_like_kubernetes() {
        let value = json!({
            "spec": {"containers": [{"name": "a", "args": ["--x", "-y"], "env": []}], "empty": {}},
            "kind": "Pod", "apiVersion": "v1", "none": null, "nested": [[1, 2], [{"a": 1, "b": 2}]],
        });
        let expected = "\
apiVersion: v1
kind: Pod
nested:
- - 1
  - 2
- - a: 1
    b: 2
none: null
spec:
  containers:
  - args:
    - --x
    - -y
    env: []
    name: a
  empty: {}
";
        assert_eq!(to_string(&value), expected);
    }

    #[test]
    fn quotes_what_yaml_1_1_reads_otherwise() {
        for text in [
            "yes",
            "Yes",
            "no",
            "on",
            "off",
            "y",
            "n",
            "Y",
            "N",
            "true",
            "null",
            "~",
            "",
            "0644",
            "010",
            "0o644",
            "0x1F",
            "0b11",
            "1_000",
            "08",
            "12:30:45",
            "190:20:30",
            "1e3",
            ".5",
            "1.10",
            "2020-01-01",
            "<<",
            "=",
            "685_230.15",
            ".inf",
            ".nan",
            "18446744073709551616",
            "5",
            "-1",
            "2001-12-14t21:59:43.10-05:00",
        ] {
            assert_eq!(to_string(&json!(text)), format!("\"{text}\"\n"), "{text}");
        }
    }

    #[test]
    fn leaves_plain_text_plain() {
        for text in
            ["10.96.0.0/12", "host:6443", "a b", "v1.36.2", "--flag=x", "/etc/a", "::1", "a#b", "NaN", "ä"]
        {
            assert_eq!(to_string(&json!(text)), format!("{text}\n"), "{text}");
        }
    }

    #[test]
    fn single_quotes_what_only_looks_like_syntax() {
        for (text, expected) in [
            ("*.example.com", "'*.example.com'"),
            ("a: b", "'a: b'"),
            ("a #b", "'a #b'"),
            ("it's: so", "'it''s: so'"),
            (" a", "' a'"),
            ("- a", "'- a'"),
            ("--- a", "'--- a'"),
            ("a:", "'a:'"),
            ("{}", "'{}'"),
            ("@a", "'@a'"),
        ] {
            assert_eq!(to_string(&json!(text)), format!("{expected}\n"), "{text}");
        }
    }

    #[test]
    fn writes_lines_as_literals() {
        for (text, expected) in [
            ("a\nb\n", "k: |\n  a\n  b\n"),
            ("a\nb", "k: |-\n  a\n  b\n"),
            ("a\n\nb\n", "k: |\n  a\n\n  b\n"),
            ("a\n\n", "k: |+\n  a\n\n"),
            (" a\nb\n", "k: |2\n   a\n  b\n"),
            ("a \nb\n", "k: \"a \\nb\\n\"\n"),
            ("a\tb\n", "k: \"a\\tb\\n\"\n"),
        ] {
            assert_eq!(to_string(&json!({"k": text})), expected, "{text:?}");
        }
    }

    #[test]
    fn orders_keys_naturally() {
        let value = json!({"a10": 1, "a2": 1, "A": 1, "b": 1, "a-b": 1, "ab": 1});
        let keys: Vec<String> =
            to_string(&value).lines().map(|line| line.split(':').next().unwrap().to_owned()).collect();
        assert_eq!(keys, ["A", "a-b", "a2", "a10", "ab", "b"]);
    }

    #[test]
    fn writes_numbers_as_go_does() {
        for (number, expected) in [
            (json!(0.8), "0.8"),
            (json!(1_000_000), "1000000"),
            (json!(1_234_567.5), "1.2345675e+06"),
            (json!(0.00001), "1e-05"),
            (json!(-3), "-3"),
        ] {
            assert_eq!(to_string(&number), format!("{expected}\n"));
        }
    }

    #[test]
    fn separates_documents() {
        assert_eq!(to_stream([&json!({"a": 1}), &json!({"b": 2})]), "a: 1\n---\nb: 2\n");
    }
}

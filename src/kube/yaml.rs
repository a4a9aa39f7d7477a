//! YAML as kubeadm writes it, which is YAML that every reader takes for the same values.
//!
//! Keys are sorted, sequences stand at their parent's column, and a string that YAML 1.1 would read as something
//! else (`yes`, `0644`, `12:30`) is quoted. The choices of style and the line width are those of the Go library
//! behind kubeadm (libyaml's emitter rules), so that files compare byte by byte. We quote a little more than it
//! does: what looks like a number or a date is quoted even when it is out of range, and `<<` is.

pub mod scalar;

use serde_json::Map;
use serde_json::Value;
use std::fmt::Write as _;

/// Where a long line may be broken at a space.
const WIDTH: usize = 80;

/// The document as text, ending in a newline.
pub fn to_string(value: &Value) -> String {
    let mut writer = Writer::default();
    match value {
        Value::Object(map) if !map.is_empty() => writer.mapping(map, 0, 0),
        Value::Array(items) if !items.is_empty() => writer.sequence(items, 0, 0),
        scalar => {
            writer.scalar(scalar, 0);
            writer.text.push('\n');
        }
    }
    writer.text
}

/// Several documents in one stream, separated by `---`.
pub fn to_stream<'a>(documents: impl IntoIterator<Item = &'a Value>) -> String {
    documents.into_iter().map(to_string).collect::<Vec<_>>().join("---\n")
}

#[derive(Default)]
struct Writer {
    text: String,
}

impl Writer {
    /// Writes a mapping at `indent`; the cursor already stands `done` columns into its first line.
    fn mapping(&mut self, map: &Map<String, Value>, indent: usize, done: usize) {
        let mut entries: Vec<_> = map.iter().collect();
        entries.sort_by_cached_key(|(key, _)| natural_order(key));
        for (position, (key, value)) in entries.into_iter().enumerate() {
            self.indent(if position == 0 { indent - done } else { indent });
            self.string(key, None);
            self.text.push(':');
            match value {
                Value::Object(inner) if !inner.is_empty() => {
                    self.text.push('\n');
                    self.mapping(inner, indent + 2, 0);
                }
                Value::Array(items) if !items.is_empty() => {
                    self.text.push('\n');
                    self.sequence(items, indent, 0);
                }
                scalar => self.last_on_line(scalar, indent),
            }
        }
    }

    fn sequence(&mut self, items: &[Value], indent: usize, done: usize) {
        for (position, item) in items.iter().enumerate() {
            self.indent(if position == 0 { indent - done } else { indent });
            self.text.push('-');
            match item {
                Value::Object(inner) if !inner.is_empty() => {
                    self.text.push(' ');
                    self.mapping(inner, indent + 2, indent + 2);
                }
                Value::Array(inner) if !inner.is_empty() => {
                    self.text.push(' ');
                    self.sequence(inner, indent + 2, indent + 2);
                }
                scalar => self.last_on_line(scalar, indent),
            }
        }
    }

    fn last_on_line(&mut self, scalar: &Value, indent: usize) {
        self.text.push(' ');
        self.scalar(scalar, indent);
        if !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    fn scalar(&mut self, value: &Value, indent: usize) {
        match value {
            Value::String(text) => self.string(text, Some(indent + 2)),
            Value::Object(_) => self.text.push_str("{}"),
            Value::Array(_) => self.text.push_str("[]"),
            Value::Null | Value::Bool(_) | Value::Number(_) => self.text.push_str(&value.to_string()),
        }
    }

    /// Writes a string; `continuation` is the column of its further lines, `None` for a key, which has none.
    fn string(&mut self, text: &str, continuation: Option<usize>) {
        match (style(text, continuation.is_none()), continuation) {
            (Style::Literal, Some(indent)) => self.literal(text, indent),
            (Style::Plain, _) => self.folded(text, continuation),
            (Style::Single, _) => {
                self.text.push('\'');
                self.folded(&text.replace('\'', "''"), continuation);
                self.text.push('\'');
            }
            (Style::Double | Style::Literal, _) => self.double(text, continuation),
        }
    }

    fn folded(&mut self, text: &str, continuation: Option<usize>) {
        let chars: Vec<char> = text.chars().collect();
        for (i, &c) in chars.iter().enumerate() {
            let inside = i > 0 && i + 1 < chars.len();
            let alone = inside && chars[i - 1] != ' ' && chars[i + 1] != ' ';
            match continuation {
                Some(indent) if c == ' ' && alone && self.column() > WIDTH => self.break_line(indent),
                _ => self.text.push(c),
            }
        }
    }

    fn double(&mut self, text: &str, continuation: Option<usize>) {
        self.text.push('"');
        let chars: Vec<char> = text.chars().collect();
        for (i, &c) in chars.iter().enumerate() {
            let inside = i > 0 && i + 1 < chars.len() && chars[i - 1] != ' ';
            match continuation {
                Some(indent) if c == ' ' && inside && self.column() > WIDTH => {
                    self.break_line(indent);
                    if chars[i + 1] == ' ' {
                        self.text.push('\\');
                    }
                }
                _ => self.escaped(c),
            }
        }
        self.text.push('"');
    }

    fn escaped(&mut self, c: char) {
        let short = match c {
            '\0' => '0',
            '\x07' => 'a',
            '\x08' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\x0b' => 'v',
            '\x0c' => 'f',
            '\r' => 'r',
            '\x1b' => 'e',
            '"' => '"',
            '\\' => '\\',
            '\u{85}' => 'N',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            c if is_printable(c) => return self.text.push(c),
            c => {
                let code = u32::from(c);
                let written = match code {
                    0..=0xff => write!(self.text, "\\x{code:02X}"),
                    0x100..=0xffff => write!(self.text, "\\u{code:04X}"),
                    _ => write!(self.text, "\\U{code:08X}"),
                };
                return written.expect("writing to a string cannot fail");
            }
        };
        self.text.push('\\');
        self.text.push(short);
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.text.push('|');
        if text.starts_with([' ', '\n']) {
            self.text.push('2');
        }
        let body = text.strip_suffix('\n');
        match body {
            None => self.text.push('-'),
            Some(body) if body.is_empty() || body.ends_with('\n') => self.text.push('+'),
            Some(_) => {}
        }
        self.text.push('\n');
        for line in body.unwrap_or(text).split('\n') {
            if !line.is_empty() {
                self.indent(indent);
                self.text.push_str(line);
            }
            self.text.push('\n');
        }
    }

    fn break_line(&mut self, indent: usize) {
        self.text.push('\n');
        self.indent(indent);
    }

    fn indent(&mut self, columns: usize) {
        self.text.extend(std::iter::repeat_n(' ', columns));
    }

    fn column(&self) -> usize {
        self.text.chars().rev().take_while(|c| *c != '\n').count()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

fn style(text: &str, key: bool) -> Style {
    let allowed = analyse(text);
    if text.contains('\n') {
        return if allowed.literal && !key { Style::Literal } else { Style::Double };
    }
    if reads_as_another_type(text) {
        return Style::Double;
    }
    match allowed {
        Allowed { plain: true, .. } => Style::Plain,
        Allowed { single: true, .. } => Style::Single,
        _ => Style::Double,
    }
}

struct Allowed {
    plain: bool,
    single: bool,
    literal: bool,
}

/// Which styles can hold the text and give it back unchanged.
fn analyse(text: &str) -> Allowed {
    let special = !text.chars().all(is_printable);
    let space_before_break = text.contains(" \n");
    let any = !special && !space_before_break;
    let at_the_edge = text.starts_with([' ', '\n']) || text.ends_with([' ', '\n']);
    Allowed {
        plain: any && !at_the_edge && !text.contains('\n') && !has_indicator(text),
        single: any && !text.contains("\n "),
        literal: any && !text.is_empty() && !text.ends_with(' '),
    }
}

/// Whether a character of the text would mean something in a plain scalar.
fn has_indicator(text: &str) -> bool {
    if text.starts_with("---") || text.starts_with("...") {
        return true;
    }
    let chars: Vec<char> = text.chars().collect();
    chars.iter().enumerate().any(|(i, &c)| {
        let blank_follows = chars.get(i + 1).is_none_or(|next| " \t\n".contains(*next));
        let blank_precedes = i == 0 || " \t\n".contains(chars[i - 1]);
        match c {
            '#' => blank_precedes,
            ':' => blank_follows,
            '?' | '-' => i == 0 && blank_follows,
            ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => {
                i == 0
            }
            _ => false,
        }
    })
}

/// What the Go library prints as it is; tabs and characters beyond the basic plane are escaped. So are, for every
/// reader's sake, the line separators of Unicode.
fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
        && !matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}')
}

/// Words that YAML 1.1 does not read as strings.
const WORDS: [&str; 40] = [
    "", "~", "null", "Null", "NULL", "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON",
    "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF", ".nan", ".NaN", ".NAN",
    ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF", "<<",
];

fn reads_as_another_type(text: &str) -> bool {
    WORDS.contains(&text) || is_number(text) || is_sexagesimal(text) || is_timestamp(text)
}

/// Digits may be grouped with `_`, though not in a number that starts with its point.
fn is_number(text: &str) -> bool {
    if text.starts_with('_') {
        return false;
    }
    if text.starts_with('.') {
        return is_decimal(text);
    }
    let text = text.replace('_', "");
    let digits = text.strip_prefix(['+', '-']).unwrap_or(&text);
    let based = |prefix: [&str; 2], radix| {
        let rest = digits.strip_prefix(prefix[0]).or_else(|| digits.strip_prefix(prefix[1]));
        rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_digit(radix)))
    };
    based(["0x", "0X"], 16) || based(["0o", "0O"], 8) || based(["0b", "0B"], 2) || is_decimal(digits)
}

fn is_decimal(digits: &str) -> bool {
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.strip_prefix(['+', '-']).unwrap_or(exponent)),
        None => (digits, "0"),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let complete = !exponent.is_empty() && mantissa.len() > mantissa.matches('.').count();
    complete && [whole, fraction, exponent].into_iter().all(all_digits)
}

/// `190:20:30` and `20:30.15` are numbers of base sixty to YAML 1.1.
fn is_sexagesimal(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut parts = digits.split(':');
    let first = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    let numeral = |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == '_');
    let Some((last, middle)) = rest.split_last() else { return false };
    let (last, fraction) = last.split_once('.').unwrap_or((last, ""));
    let sixtieth =
        |text: &str| text.len() <= 2 && text.parse::<u8>().is_ok_and(|value| value < 60) && numeral(text);
    first.starts_with(|c: char| c.is_ascii_digit())
        && numeral(first)
        && numeral(fraction)
        && middle.iter().all(|part| sixtieth(part))
        && sixtieth(last)
}

/// `2026-01-31`, alone or followed by a time of day.
fn is_timestamp(text: &str) -> bool {
    let end = text.find(['T', 't', ' ']).unwrap_or(text.len());
    let (date, time) = text.split_at(end);
    let parts: Vec<&str> = date.split('-').collect();
    let number = |text: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&text.len()) && text.chars().all(|c| c.is_ascii_digit())
    };
    parts.len() == 3
        && number(parts[0], 4..=4)
        && number(parts[1], 1..=2)
        && number(parts[2], 1..=2)
        && (time.is_empty() || time[1..].starts_with(|c: char| c.is_ascii_digit()))
}

/// A piece of a key; they sort as listed.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    Symbol(char),
    /// How many digits without leading zeros, those digits, and how many in all.
    Number(usize, String, usize),
    Letter(char),
}

/// The order in which the Go library writes keys: numbers by their value, symbols before letters. Where its own
/// comparison runs in circles (`a2`, `a10`, `a1b`), whole numbers are compared.
fn natural_order(key: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = key;
    while let Some(first) = rest.chars().next() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (piece, length) = if digits > 0 {
            let value = rest[..digits].trim_start_matches('0');
            (Piece::Number(value.len(), value.to_owned(), digits), digits)
        } else if first.is_alphabetic() {
            (Piece::Letter(first), first.len_utf8())
        } else {
            (Piece::Symbol(first), first.len_utf8())
        };
        pieces.push(piece);
        rest = &rest[length..];
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn writes_collections_in_sorted_blocks() {
        let value = json!({
            "b": [{"z": 1, "a": {"deep": true}}, [1, [2]], "text"],
            "a": {},
            "c": [],
            "d": null,
            "a10": 1,
            "a2": 0.5,
        });
        let expected = "a: {}\na2: 0.5\na10: 1\nb:\n- a:\n    deep: true\n  z: 1\n- - 1\n  - - 2\n- text\nc: []\nd: null\n";
        assert_eq!(to_string(&value), expected);
        assert_eq!(to_string(&json!({})), "{}\n");
        assert_eq!(to_string(&json!([])), "[]\n");
        assert_eq!(to_string(&json!("plain")), "plain\n");
    }

    #[test]
    fn quotes_what_another_reader_would_take_for_something_else() {
        for (text, written) in [
            ("yes", "\"yes\""),
            ("off", "\"off\""),
            ("y", "\"y\""),
            ("Null", "\"Null\""),
            ("", "\"\""),
            ("~", "\"~\""),
            ("1", "\"1\""),
            ("0644", "\"0644\""),
            ("08", "\"08\""),
            ("0x1F", "\"0x1F\""),
            ("0o17", "\"0o17\""),
            ("1_000", "\"1_000\""),
            ("1e3", "\"1e3\""),
            (".5", "\".5\""),
            ("-1.", "\"-1.\""),
            ("12:30:45", "\"12:30:45\""),
            ("2020-01-01", "\"2020-01-01\""),
            ("2020-01-01T10:00:00Z", "\"2020-01-01T10:00:00Z\""),
            ("<<", "\"<<\""),
            ("1e400", "\"1e400\""),
            ("0xFFFFFFFFFFFFFFFFFF", "\"0xFFFFFFFFFFFFFFFFFF\""),
            ("2020-13-45", "\"2020-13-45\""),
            ("_1", "_1"),
            ("0m", "0m"),
            ("10.96.0.10", "10.96.0.10"),
            ("1.36.2", "1.36.2"),
            ("192.0.2.10:6443", "192.0.2.10:6443"),
            ("fd00:10:200::a", "fd00:10:200::a"),
            ("::", "'::'"),
            ("[2001:db8::10]:6443", "'[2001:db8::10]:6443'"),
            ("--bind-address=::", "'--bind-address=::'"),
            ("*", "'*'"),
            ("it's", "it's"),
            ("'quoted", "'''quoted'"),
            ("a # b", "'a # b'"),
            ("a #", "'a #'"),
            ("a: b", "'a: b'"),
            ("- a", "'- a'"),
            ("-a", "-a"),
            ("---", "'---'"),
            (" lead", "' lead'"),
            ("tab\there", "\"tab\\there\""),
            ("bell\u{7}\u{1f600}", "\"bell\\a\\U0001F600\""),
            ("grüß", "grüß"),
        ] {
            assert_eq!(to_string(&json!({ "k": text })), format!("k: {written}\n"), "{text:?}");
        }
    }

    #[test]
    fn writes_lines_as_literals_where_they_can_hold_them() {
        for (text, written) in [
            ("a\nb\n", "|\n  a\n  b\n"),
            ("a\nb", "|-\n  a\n  b\n"),
            ("a\n\nb\n\n", "|+\n  a\n\n  b\n\n"),
            ("a\n", "|\n  a\n"),
            ("\n", "|2+\n\n"),
            (" a\nb", "|2-\n   a\n  b\n"),
            ("a \nb", "\"a \\nb\"\n"),
            ("a\tb\n", "\"a\\tb\\n\"\n"),
            ("a\nb ", "\"a\\nb \"\n"),
        ] {
            assert_eq!(to_string(&json!({ "k": text })), format!("k: {written}"), "{text:?}");
        }
    }

    #[test]
    fn breaks_long_lines_at_a_space() {
        let words = "0123456789 ".repeat(9);
        let written = to_string(&json!({ "k": words.trim_end() }));
        let expected = format!("k: {}\n  0123456789\n", words[..87].trim_end());
        assert_eq!(written, expected);
        let back: Value = serde_yaml::from_str(&written).unwrap();
        assert_eq!(back, json!({ "k": words.trim_end() }));
    }

    #[test]
    fn reads_back_as_the_same_value() {
        let texts = [
            "a\n\nb\n\n\n",
            "\n\na",
            " a\n b\n",
            "x: y\n  - z\n",
            "# no\n",
            "a\r\nb",
            "\u{2028}",
            "-",
            "?",
            "? a",
        ];
        for text in texts {
            let value = json!({ "k": text, "l": [text, {"m": text}] });
            let written = to_string(&value);
            let back: Value = serde_yaml::from_str(&written).unwrap();
            assert_eq!(back, value, "{written}");
        }
    }
}

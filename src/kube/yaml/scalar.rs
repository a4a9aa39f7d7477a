//! What a plain scalar means to a YAML 1.1 reader such as Go's `sigs.k8s.io/yaml`, which every Kubernetes
//! component uses.

/// The meaning of a plain (unquoted) scalar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Meaning {
    Null,
    Bool(bool),
    Int(i64),
    /// Larger than an `i64` can hold.
    Uint(u64),
    Float(f64),
    /// A date or time: read as the text it is written as, but never written unquoted.
    Timestamp,
    /// The merge key `<<`.
    Merge,
    Text,
}

const TRUE: [&str; 11] = ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"];
const FALSE: [&str; 11] = ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"];
const NULL: [&str; 5] = ["", "~", "null", "Null", "NULL"];
const NOT_A_NUMBER: [&str; 3] = [".nan", ".NaN", ".NAN"];
const INFINITE: [&str; 6] = [".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"];
const MINUS_INFINITE: [&str; 3] = ["-.inf", "-.Inf", "-.INF"];

/// Resolves a plain scalar the way go-yaml v2 does.
pub fn meaning(text: &str) -> Meaning {
    named(text).unwrap_or_else(|| match text.as_bytes().first() {
        Some(b'.') => text.parse().ok().filter(|n: &f64| n.is_finite()).map_or(Meaning::Text, Meaning::Float),
        Some(b'+' | b'-' | b'0'..=b'9') => numeric(text),
        _ => Meaning::Text,
    })
}

/// Whether the text, written without quotes, would be read back as the same string.
pub fn stays_text(text: &str) -> bool {
    meaning(text) == Meaning::Text && !is_base60(text) && text != "="
}

fn named(text: &str) -> Option<Meaning> {
    let table: [(&[&str], Meaning); 7] = [
        (&TRUE, Meaning::Bool(true)),
        (&FALSE, Meaning::Bool(false)),
        (&NULL, Meaning::Null),
        (&NOT_A_NUMBER, Meaning::Float(f64::NAN)),
        (&INFINITE, Meaning::Float(f64::INFINITY)),
        (&MINUS_INFINITE, Meaning::Float(f64::NEG_INFINITY)),
        (&["<<"], Meaning::Merge),
    ];
    table.into_iter().find(|(words, _)| words.contains(&text)).map(|(_, meaning)| meaning)
}

fn numeric(text: &str) -> Meaning {
    if is_timestamp(text) {
        return Meaning::Timestamp;
    }
    let plain = text.replace('_', "");
    if let Some(number) = integer(&plain) {
        return match (i64::try_from(number), u64::try_from(number)) {
            (Ok(signed), _) => Meaning::Int(signed),
            (_, Ok(unsigned)) => Meaning::Uint(unsigned),
            _ => Meaning::Text,
        };
    }
    if is_float(&plain)
        && let Ok(number) = plain.parse::<f64>()
        && number.is_finite()
    {
        return Meaning::Float(number);
    }
    Meaning::Text
}

/// An integer with the prefixes of Go: `0x`, `0o`, `0b`, and a bare leading zero for octal.
fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = if let Some(rest) = lower.strip_prefix("0x") {
        (16, rest)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (8, rest)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (2, rest)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let number = i128::from_str_radix(digits, radix).ok()?;
    let number = if negative { -number } else { number };
    (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&number).then_some(number)
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mantissa_fits = digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    let exponent_fits = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    mantissa_fits && exponent_fits
}

/// A date, alone or followed by a time. Deliberately generous: quoting once too often does no harm.
fn is_timestamp(text: &str) -> bool {
    let Some((year, rest)) = text.split_once('-') else { return false };
    let Some((month, rest)) = rest.split_once('-') else { return false };
    let day_end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (day, time) = rest.split_at(day_end);
    let digits = |part: &str, longest: usize| {
        (1..=longest).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
    };
    year.len() == 4
        && digits(year, 4)
        && digits(month, 2)
        && digits(day, 2)
        && (time.is_empty()
            || (time.starts_with(['T', 't', ' ']) && time.contains(':') && !time.contains("--")))
}

/// `12:30:45` was a number in base 60 in YAML 1.1: `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`
fn is_base60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (body, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let mut parts = body.split(':');
    let Some(first) = parts.next() else { return false };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let sixty = |part: &str| matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']);
    first.starts_with(|c: char| c.is_ascii_digit())
        && digits(first)
        && digits(fraction)
        && body.contains(':')
        && parts.all(sixty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_plain_scalars_as_go_does() {
        for (text, expected) in [
            ("yes", Meaning::Bool(true)),
            ("No", Meaning::Bool(false)),
            ("on", Meaning::Bool(true)),
            ("y", Meaning::Bool(true)),
            ("yEs", Meaning::Text),
            ("0644", Meaning::Int(420)),
            ("010", Meaning::Int(8)),
            ("0o644", Meaning::Int(420)),
            ("0x1F", Meaning::Int(31)),
            ("0b11", Meaning::Int(3)),
            ("-0b11", Meaning::Int(-3)),
            ("1_000", Meaning::Int(1000)),
            ("08", Meaning::Float(8.0)),
            ("1e3", Meaning::Float(1000.0)),
            (".5", Meaning::Float(0.5)),
            ("1.10", Meaning::Float(1.1)),
            ("1.", Meaning::Float(1.0)),
            ("685_230.15", Meaning::Float(685_230.15)),
            ("18446744073709551615", Meaning::Uint(u64::MAX)),
            ("18446744073709551616", Meaning::Float(18_446_744_073_709_551_616.0)),
            ("12:30:45", Meaning::Text),
            ("2020-01-01", Meaning::Timestamp),
            ("2001-12-14t21:59:43.10-05:00", Meaning::Timestamp),
            ("", Meaning::Null),
            ("~", Meaning::Null),
            ("<<", Meaning::Merge),
            (".inf", Meaning::Float(f64::INFINITY)),
            ("1e999", Meaning::Text),
            ("NaN", Meaning::Text),
            ("v1.36.2", Meaning::Text),
            ("1.36.2", Meaning::Text),
            ("10.96.0.0/12", Meaning::Text),
            ("2001:db8::1", Meaning::Text),
            ("-", Meaning::Text),
            ("+", Meaning::Text),
            ("0x", Meaning::Text),
        ] {
            assert_eq!(meaning(text), expected, "{text}");
        }
        assert!(matches!(meaning(".nan"), Meaning::Float(number) if number.is_nan()));
    }

    #[test]
    fn knows_what_must_be_quoted() {
        for text in ["12:30:45", "190:20:30", "1:30.5", "=", "yes", "0644", "2020-01-01", "", "<<"] {
            assert!(!stays_text(text), "{text}");
        }
        for text in ["a", "10.0.0.1:6443", "1:2:x", "NaN", "1.36.2", "::1"] {
            assert!(stays_text(text), "{text}");
        }
    }
}

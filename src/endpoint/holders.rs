//! Who had the virtual address, and when.

use super::Look;
use serde::Serialize;
use std::collections::BTreeMap;

/// An address is handed over when the old holder hears of the new one. Two that have it for no longer are not two holders.
const HANDOVER: u64 = 500;

/// A host had the address from the end of the first look that saw it to the beginning of the last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    pub host: String,
    pub from_ms: u64,
    pub until_ms: u64,
}

/// Two hosts that had the address at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overlap {
    pub hosts: [String; 2],
    pub at_ms: u64,
    pub for_ms: u64,
}

/// The times of holding, by their beginning.
pub(super) fn spans(looks: &[Look]) -> Vec<Span> {
    let mut by_host: BTreeMap<&str, Vec<&Look>> = BTreeMap::new();
    for look in looks {
        by_host.entry(&look.host).or_default().push(look);
    }
    let mut spans: Vec<Span> = Vec::new();
    for looks in by_host.values_mut() {
        looks.sort_by_key(|look| look.asked);
        for held in looks.chunk_by(|one, next| one.holds == next.holds).filter(|held| held[0].holds) {
            let (first, last) = (held[0], held[held.len() - 1]);
            spans.push(Span {
                host: first.host.clone(),
                from_ms: first.told,
                // One look only is a moment.
                until_ms: last.asked.max(first.told),
            });
        }
    }
    spans.sort_by_key(|span| span.from_ms);
    spans
}

/// Every two hosts that had it at once, for longer than a handover takes, within these times.
pub(super) fn overlaps(spans: &[Span], from: u64, until: u64) -> Vec<Overlap> {
    let mut found = Vec::new();
    for (number, one) in spans.iter().enumerate() {
        for other in spans[number + 1..].iter().filter(|other| other.host != one.host) {
            let begin = one.from_ms.max(other.from_ms).max(from);
            let end = one.until_ms.min(other.until_ms).min(until);
            if end.saturating_sub(begin) > HANDOVER {
                let hosts = [one.host.clone(), other.host.clone()];
                found.push(Overlap { hosts, at_ms: begin, for_ms: end - begin });
            }
        }
    }
    found
}

/// Who took the address last, at some moment.
pub(super) fn holder_at(spans: &[Span], moment: u64) -> Option<&str> {
    spans.iter().rev().find(|span| span.from_ms <= moment).map(|span| span.host.as_str())
}

/// The times of holding that began after one moment and not after another.
pub(super) fn taken(spans: &[Span], after: u64, until: u64) -> Vec<&Span> {
    spans.iter().filter(|span| span.from_ms > after && span.from_ms <= until).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(host: &str, asked: u64, holds: bool) -> Look {
        Look { host: host.to_owned(), asked, told: asked + 10, holds }
    }

    fn span(host: &str, from_ms: u64, until_ms: u64) -> Span {
        Span { host: host.to_owned(), from_ms, until_ms }
    }

    #[test]
    fn a_time_of_holding_is_what_is_certain() {
        let looks = [
            look("a", 0, true),
            look("b", 0, false),
            look("a", 100, true),
            look("b", 100, false),
            look("a", 200, false),
            look("b", 200, true),
            look("a", 300, true),
        ];
        assert_eq!(spans(&looks), [span("a", 10, 100), span("b", 210, 210), span("a", 310, 310)]);
    }

    #[test]
    fn two_holders_are_two_for_longer_than_a_handover() {
        let spans = [span("a", 0, 2000), span("b", 1600, 9000), span("c", 3000, 3501)];
        let hosts = |one: &str, other: &str| [one.to_owned(), other.to_owned()];
        let expected = Overlap { hosts: hosts("b", "c"), at_ms: 3000, for_ms: 501 };
        assert_eq!(overlaps(&spans, 0, 10_000), [expected]);
        // A part of it only.
        assert_eq!(overlaps(&spans, 0, 3400), []);
    }
}

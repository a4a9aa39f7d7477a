//! What was seen, and what of it wants attention.

use super::Log;
use super::Part;
use super::Report;
use super::Request;
use super::Row;
use super::SCHEMA;
use super::Span;
use super::Stage;
use super::holders::holder_at;
use super::holders::overlaps;
use super::holders::spans;
use super::holders::taken;
use std::collections::BTreeMap;

/// What is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The longest gap that is no finding.
    pub max_gap_ms: u64,
    /// Whether there is an address that moves.
    pub moves: bool,
    /// Whether it returns to the host that is first in line.
    pub preempt: bool,
}

impl Report {
    /// Fills in what came of the stages, and the findings.
    #[must_use]
    pub fn judged(mut self, stages: &[Stage], log: &Log, terms: Terms) -> Self {
        let spans = spans(&log.looks);
        let mut findings: Vec<String> = Vec::new();
        for stage in stages {
            let row = row(stage, log, &spans);
            findings.extend(judge(stage, &row, &spans, terms));
            self.stages.push(row);
        }
        findings.append(&mut self.findings);
        findings.extend(log.troubles.iter().cloned());
        self.schema = SCHEMA;
        self.max_gap_ms = terms.max_gap_ms;
        self.healthy = findings.is_empty();
        self.findings = findings;
        self.holders = spans;
        self
    }
}

impl Log {
    /// Who has the address now, by the last look at each host.
    pub fn holders(&self) -> Vec<&str> {
        let mut last: BTreeMap<&str, (u64, bool)> = BTreeMap::new();
        for look in &self.looks {
            let known = last.entry(&look.host).or_default();
            *known = (*known).max((look.told, look.holds));
        }
        last.into_iter().filter(|(_, (_, holds))| *holds).map(|(host, _)| host).collect()
    }

    /// Whether a request was answered that was sent after a moment.
    pub fn answered_since(&self, moment: u64, from: Option<&str>) -> bool {
        let counts = |request: &&Request| from.is_none_or(|from| request.from == from);
        let answered = |request: &Request| request.sent >= moment && request.trouble.is_none();
        self.requests.iter().filter(counts).any(answered)
    }

    /// Why the last request was not answered, of a machine that got no answer since a moment.
    pub fn silent_since(&self, moment: u64) -> Vec<(&str, &str)> {
        let mut last: BTreeMap<&str, &Request> = BTreeMap::new();
        for request in &self.requests {
            let known = last.entry(&request.from).or_insert(request);
            if request.sent >= known.sent {
                *known = request;
            }
        }
        let silent = last.into_iter().filter(|(from, _)| !self.answered_since(moment, Some(from)));
        silent.filter_map(|(from, request)| Some((from, request.trouble.as_deref()?))).collect()
    }
}

fn row(stage: &Stage, log: &Log, spans: &[Span]) -> Row {
    let requests: Vec<&Request> = log
        .requests
        .iter()
        .filter(|one| stage.seen_by.as_ref().is_none_or(|from| *from == one.from))
        .collect();
    let during: Vec<&&Request> =
        requests.iter().filter(|one| one.sent >= stage.begun && one.sent < stage.ended).collect();
    let mut row = Row {
        failed: stage.part,
        host: stage.host.clone(),
        what: stage.what.clone(),
        gap_ms: gap(&requests, stage),
        requests: during.len(),
        lost: during.iter().filter(|one| one.trouble.is_some()).count(),
        moves: taken(spans, stage.begun, stage.ended).len(),
        two_holders: overlaps(spans, stage.begun, stage.ended),
        ..Row::default()
    };
    let Some(failed) = stage.failed else {
        row.holder_before = holder_at(spans, stage.ended).map(str::to_owned);
        return row;
    };
    let mended = stage.mended.unwrap_or(stage.ended);
    let before = holder_at(spans, failed);
    row.holder_before = before.map(str::to_owned);
    row.holder_after = holder_at(spans, mended).map(str::to_owned);
    let moved = taken(spans, failed, mended).into_iter().find(|span| Some(span.host.as_str()) != before);
    row.moved_after_ms = moved.map(|span| span.from_ms - failed);
    let back = taken(spans, mended, stage.ended).into_iter().find(|span| Some(span.host.as_str()) == before);
    row.came_back_after_ms = back.map(|span| span.from_ms - mended);
    row
}

/// The longest time between two answers of one machine, of which the second came during the stage, or should have.
fn gap(requests: &[&Request], stage: &Stage) -> u64 {
    let mut by_machine: BTreeMap<&str, Vec<&Request>> = BTreeMap::new();
    for request in requests.iter().filter(|one| one.sent < stage.ended) {
        by_machine.entry(&request.from).or_default().push(request);
    }
    let longest = |requests: &Vec<&Request>| {
        let mut answers: Vec<u64> =
            requests.iter().filter(|one| one.trouble.is_none()).map(|one| one.ended).collect();
        answers.sort_unstable();
        // Where there was none at the end, up to the last that waited for one in vain.
        let last = requests.iter().map(|one| one.ended).max();
        let first = requests.iter().map(|one| one.sent).min();
        let edges: Vec<u64> = first.into_iter().chain(answers).chain(last).collect();
        let pauses = edges.windows(2).filter(|pair| pair[1] > stage.begun);
        pauses.map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    };
    by_machine.values().map(longest).max().unwrap_or_default()
}

fn judge(stage: &Stage, row: &Row, spans: &[Span], terms: Terms) -> Vec<String> {
    let when = match &stage.host {
        Some(host) => format!("{} on {host}", stage.what),
        None => "while nothing was failed".to_owned(),
    };
    let mut found = Vec::new();
    if row.gap_ms > terms.max_gap_ms {
        found.push(format!(
            "{when}: the API did not answer for {} ms, longer than {} ms",
            row.gap_ms, terms.max_gap_ms
        ));
    }
    found.extend(row.two_holders.iter().map(|two| {
        format!(
            "{when}: {} and {} had the address at once, for at least {} ms from {} ms on",
            two.hosts[0], two.hosts[1], two.for_ms, two.at_ms
        )
    }));
    if terms.moves {
        found.extend(moves(stage, row, spans, terms).into_iter().map(|what| format!("{when}: {what}")));
    }
    found
}

/// Moves that nobody wanted, and those that did not come.
fn moves(stage: &Stage, row: &Row, spans: &[Span], terms: Terms) -> Option<String> {
    let (failed, mended) = match stage.failed {
        Some(failed) => (failed, stage.mended.unwrap_or(stage.ended)),
        None => (stage.ended, stage.ended),
    };
    let there = taken(spans, failed, mended).len();
    let away = taken(spans, stage.begun, failed).len();
    let back = taken(spans, mended, stage.ended);
    if stage.failed.is_some() && row.moved_after_ms.is_none() {
        return Some("the address did not move to another host".to_owned());
    }
    let returns = terms.preempt && back.iter().all(|span| Some(&span.host) == row.holder_before.as_ref());
    let allowed = usize::from(returns);
    if away > 0 || there > usize::from(stage.failed.is_some()) || back.len() > allowed {
        let hosts: Vec<&str> =
            taken(spans, stage.begun, stage.ended).iter().map(|span| &*span.host).collect();
        return Some(format!("the address flapped: taken by {}", hosts.join(", then ")));
    }
    None
}

impl Part {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Holder => "holder",
            Self::Proxy => "proxy",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Look;
    use super::*;

    const TERMS: Terms = Terms { max_gap_ms: 5000, moves: true, preempt: false };

    /// A host's times of holding as looks, every 100 ms for 20 seconds.
    fn looks(host: &str, held: &[(u64, u64)]) -> Vec<Look> {
        let holds = |at: u64| held.iter().any(|(from, until)| (*from..*until).contains(&at));
        let look = |at: u64| Look { host: host.to_owned(), asked: at, told: at + 5, holds: holds(at) };
        (0..200).map(|number| look(number * 100)).collect()
    }

    /// A request every 100 ms for 20 seconds, answered at once except between two moments.
    fn requests(from: &str, silent: (u64, u64)) -> Vec<Request> {
        let request = |at: u64| {
            let lost = (silent.0..silent.1).contains(&at);
            let trouble = lost.then(|| "no connection".to_owned());
            Request { from: from.to_owned(), sent: at, ended: at + 10, trouble }
        };
        (0..200).map(|number| request(number * 100)).collect()
    }

    fn stage() -> Stage {
        Stage {
            part: Some(Part::Holder),
            host: Some("a".to_owned()),
            what: "keepalived stopped".to_owned(),
            begun: 2000,
            failed: Some(2100),
            mended: Some(10_000),
            ended: 19_000,
            seen_by: None,
        }
    }

    fn log(a: &[(u64, u64)], b: &[(u64, u64)], silent: (u64, u64)) -> Log {
        let looks = [looks("a", a), looks("b", b)].concat();
        Log { looks, requests: requests("w1", silent), ..Log::default() }
    }

    fn judged(stage: &Stage, log: &Log, terms: Terms) -> Report {
        Report::default().judged(std::slice::from_ref(stage), log, terms)
    }

    #[test]
    fn an_address_that_moves_once_is_well() {
        let log = log(&[(0, 2200)], &[(3000, 99_999)], (2200, 3000));
        let report = judged(&stage(), &log, TERMS);
        assert_eq!(report.findings, Vec::<String>::new());
        let row = &report.stages[0];
        // From the answer to the request at 2100 to the answer to that at 3000.
        assert_eq!((row.gap_ms, row.lost, row.requests, row.moves), (900, 8, 170, 1));
        assert_eq!((row.moved_after_ms, row.came_back_after_ms), (Some(905), None));
        assert_eq!([&row.holder_before, &row.holder_after], [&Some("a".into()), &Some("b".into())]);
        assert_eq!(log.holders(), ["b"]);
        assert!(log.answered_since(19_000, None) && !log.answered_since(19_000, Some("w2")));
    }

    #[test]
    fn an_address_may_come_back_where_it_is_to() {
        let log = log(&[(0, 2200), (11_000, 99_999)], &[(3000, 11_000)], (2200, 3000));
        let back = judged(&stage(), &log, Terms { preempt: true, ..TERMS });
        assert_eq!((back.findings.len(), back.stages[0].came_back_after_ms), (0, Some(1005)));
        let report = judged(&stage(), &log, TERMS);
        assert_eq!(report.findings, ["keepalived stopped on a: the address flapped: taken by b, then a"]);
    }

    #[test]
    fn what_is_wrong_is_found() {
        let still = Stage { failed: None, mended: None, what: "nothing".into(), host: None, ..stage() };
        let cases = [
            (
                stage(),
                log(&[(0, 2200)], &[(3000, 99_999)], (2200, 9000)),
                "keepalived stopped on a: the API did not answer for 6900 ms, longer than 5000 ms",
            ),
            (
                stage(),
                log(&[(0, 2200)], &[], (0, 0)),
                "keepalived stopped on a: the address did not move to another host",
            ),
            (
                stage(),
                log(&[(0, 2200), (4000, 5000)], &[(3000, 4000), (5000, 99_999)], (0, 0)),
                "keepalived stopped on a: the address flapped: taken by b, then a, then b",
            ),
            (
                still.clone(),
                log(&[(0, 99_999)], &[(0, 99_999)], (0, 0)),
                "while nothing was failed: a and b had the address at once, for at least 17000 ms from 2000 ms on",
            ),
            (
                still,
                log(&[(0, 4000)], &[(4000, 99_999)], (0, 0)),
                "while nothing was failed: the address flapped: taken by b",
            ),
        ];
        for (stage, log, expected) in cases {
            let report = judged(&stage, &log, TERMS);
            assert_eq!(report.findings, [expected]);
            assert!(!report.healthy && report.text().contains(expected), "{}", report.text());
        }
    }

    #[test]
    fn an_api_that_never_answers_again_is_a_gap_to_the_end() {
        let log = log(&[(0, 2200)], &[(3000, 99_999)], (2200, 99_999));
        let row = &judged(&stage(), &log, TERMS).stages[0];
        assert_eq!(row.gap_ms, 18_910 - 2110);
        assert_eq!(log.silent_since(10_000), [("w1", "no connection")]);
    }
}

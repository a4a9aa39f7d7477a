//! A report for people.

use crate::network::Report;
use crate::network::Tried;
use crate::report::text::ending;
use crate::report::text::table;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A wider matrix helps nobody: findings and counts say the same.
const MATRIX_UP_TO: usize = 16;

impl Report {
    pub fn text(&self) -> String {
        let mut text = format!(
            "pod network {} of {}: TCP and UDP from pods of each node to those of the others\n\n",
            self.network, self.cluster
        );
        text.push_str(&if self.nodes.len() <= MATRIX_UP_TO { self.matrix() } else { self.counts() });
        text.push('\n');
        let sizes: BTreeSet<u32> = self.packets.iter().filter_map(|packet| packet.largest).collect();
        match (sizes.first(), sizes.last()) {
            (Some(least), Some(most)) if least == most => {
                let _ = writeln!(text, "the largest packet between pods: {most} bytes");
            }
            (Some(least), Some(most)) => {
                let _ = writeln!(text, "the largest packets between pods: {least} to {most} bytes");
            }
            _ => {}
        }
        let interrupted = self.interrupted.then_some("interrupted");
        text.push_str(&ending(&self.notes, interrupted, &self.findings));
        text
    }

    fn matrix(&self) -> String {
        let others = ["SERVICE", "DNS", "CLOSED BY POLICY"].map(str::to_owned);
        let header = ["FROM".to_owned()].into_iter().chain(self.nodes.iter().cloned()).chain(others);
        let mut rows = vec![header.collect::<Vec<String>>()];
        for from in &self.nodes {
            let way = |to: &String| {
                let of_pair = self.pod_to_pod.iter().filter(|tried| tried.from == *from && tried.to == *to);
                cell(of_pair)
            };
            let mut row = vec![from.clone()];
            row.extend(self.nodes.iter().map(way));
            row.push(cell(self.service.iter().filter(|tried| tried.from == *from)).replace("tcp ", ""));
            row.push(cell(self.dns.iter().filter(|tried| tried.from == *from)));
            row.push(self.guards(from));
            rows.push(row);
        }
        table(&rows)
    }

    /// How the pod of a node that a policy closes looked to those who tried.
    fn guards(&self, node: &str) -> String {
        let seen: Vec<&str> = self
            .policy
            .iter()
            .filter(|tried| tried.to == node)
            .map(|tried| tried.outcome.split(':').next().unwrap_or_default())
            .collect();
        match seen.as_slice() {
            [] => "-".to_owned(),
            [first, rest @ ..] if rest.iter().all(|one| one == first) => (*first).to_owned(),
            all => all.join(", "),
        }
    }

    fn counts(&self) -> String {
        let lines = [
            ("pods to pods", &self.pod_to_pod),
            ("control planes to pods", &self.host_to_pod),
            ("the service", &self.service),
            ("the name service", &self.dns),
            ("closed by policy", &self.policy),
        ];
        let row = |(what, all): (&str, &Vec<Tried>)| {
            let ok = all.iter().filter(|tried| tried.ok).count();
            vec![what.to_owned(), format!("{ok} of {}", all.len())]
        };
        let header = vec!["WHAT".to_owned(), "AS IT SHOULD BE".to_owned()];
        table(&[vec![header], lines.into_iter().map(row).collect()].concat())
    }
}

/// `ok`, or what is not: the protocol and how it ended.
fn cell<'a>(tries: impl Iterator<Item = &'a Tried>) -> String {
    let mut any = false;
    let mut wrong: Vec<String> = Vec::new();
    for tried in tries {
        any = true;
        let protocol = tried.port.rsplit('/').next().unwrap_or_default();
        let outcome = tried.outcome.split(':').next().unwrap_or_default();
        let said = format!("{protocol} {outcome}");
        if !tried.ok && !wrong.contains(&said) {
            wrong.push(said);
        }
    }
    match (any, wrong.is_empty()) {
        (false, _) => "-".to_owned(),
        (true, true) => "ok".to_owned(),
        (true, false) => wrong.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_nodes_only_counts_are_shown() {
        let nodes = (0..40).map(|number| format!("n{number}")).collect();
        let tried = |ok| Tried {
            from: "n1".to_owned(),
            to: "n2".to_owned(),
            address: "10.1.2.3".to_owned(),
            port: "10080/tcp".to_owned(),
            ok,
            outcome: "open".to_owned(),
        };
        let report = Report { nodes, pod_to_pod: vec![tried(true), tried(false)], ..Report::default() };
        assert!(report.text().contains("pods to pods            1 of 2\n"), "{}", report.text());
    }
}

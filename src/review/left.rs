//! What a run left undone.

use crate::plan::Place;
use crate::plan::Plan;
use crate::report::Report;
use std::collections::BTreeMap;

/// The phases that were not brought to their end, a line for each host; empty when all of them were.
pub fn lines(plan: &Plan, report: &Report) -> Vec<String> {
    let mut done: BTreeMap<(&str, Option<&str>, &str, String), usize> = BTreeMap::new();
    for record in &report.records {
        let key =
            (record.phase.as_str(), record.host.as_deref(), record.title.as_str(), record.subject.clone());
        *done.entry(key).or_default() += 1;
    }
    let mut left: Vec<(&str, Vec<&str>)> = Vec::new();
    for step in &plan.steps {
        let host = match &step.place {
            Place::Host(host) => Some(host.as_str()),
            Place::Cluster => None,
        };
        let key = (step.phase.as_str(), host, step.title.as_str(), step.subject());
        if let Some(count) = done.get_mut(&key).filter(|count| **count > 0) {
            *count -= 1;
            continue;
        }
        let place = host.unwrap_or("through the Kubernetes API");
        match left.iter_mut().find(|(known, _)| *known == place) {
            Some((_, phases)) if phases.contains(&step.phase.as_str()) => {}
            Some((_, phases)) => phases.push(&step.phase),
            None => left.push((place, vec![&step.phase])),
        }
    }
    left.into_iter().map(|(place, phases)| format!("{place}: {}", phases.join(", "))).collect()
}

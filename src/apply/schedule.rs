//! Which steps may run side by side.

use crate::plan::Place;
use crate::plan::Plan;
use crate::plan::Step;

/// Steps that may run side by side: one phase, and either hosts or the API.
pub(crate) struct Group<'a> {
    pub phase: &'a str,
    /// With their position in the plan.
    pub steps: Vec<(usize, &'a Step)>,
}

/// Consecutive steps of one phase; steps through the API stand apart, since hosts may depend on their order.
pub(crate) fn groups(plan: &Plan) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for (index, step) in plan.steps.iter().enumerate() {
        let fits = |group: &&mut Group<'_>| {
            let cluster = |step: &Step| step.place == Place::Cluster;
            group.phase == step.phase && group.steps.iter().all(|(_, other)| cluster(other) == cluster(step))
        };
        match groups.last_mut().filter(fits) {
            Some(group) => group.steps.push((index, step)),
            None => groups.push(Group { phase: &step.phase, steps: vec![(index, step)] }),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Action;

    #[test]
    fn a_group_is_one_phase_on_hosts_or_through_the_api() {
        let step = |phase: &str, place| Step {
            phase: phase.to_owned(),
            place,
            title: String::new(),
            reason: String::new(),
            action: Action::Absent { path: String::new() },
        };
        let host = |phase, name: &str| step(phase, Place::Host(name.to_owned()));
        let steps = vec![
            host("a", "cp1"),
            host("a", "cp2"),
            host("a", "cp1"),
            host("b", "cp1"),
            step("b", Place::Cluster),
            step("b", Place::Cluster),
            host("b", "cp1"),
            host("a", "cp1"),
        ];
        let plan = Plan { steps, ..Plan::default() };
        let sizes: Vec<_> = groups(&plan).iter().map(|group| (group.phase, group.steps.len())).collect();
        assert_eq!(sizes, [("a", 3), ("b", 1), ("b", 2), ("b", 1), ("a", 1)]);
    }
}

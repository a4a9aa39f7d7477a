//! Which step may begin now: the lanes of a plan, how far each has come, and what each waits for.

use crate::plan::Action;
use crate::plan::Gate;
use crate::plan::Lane;
use crate::plan::Order;
use crate::plan::Place;
use crate::plan::Plan;
use crate::plan::Step;
use std::collections::BTreeSet;

/// How far every lane has come.
pub(crate) struct Board<'a> {
    plan: &'a Plan,
    lanes: Vec<Row>,
    /// By position in the plan: steps of one group may run side by side where the order is [`Order::Listed`].
    groups: Vec<usize>,
}

struct Row {
    lane: Lane,
    /// Positions in the plan.
    steps: Vec<usize>,
    /// How many of them are done.
    done: usize,
    at_work: bool,
    /// It failed, or waits for what will never be; then why.
    stopped: Option<String>,
}

/// Steps of one lane to be done now, in order; more than one only when they are all about files.
pub(crate) struct Turn {
    lane: usize,
    /// Positions in the plan.
    pub steps: Vec<usize>,
}

enum Ready {
    Now,
    Later,
    /// What it waits for will never be.
    Never(String),
}

impl<'a> Board<'a> {
    pub(crate) fn new(plan: &'a Plan) -> Self {
        let mut lanes: Vec<Row> = Vec::new();
        for (index, step) in plan.steps.iter().enumerate() {
            let lane = lane_of(plan, step);
            match lanes.iter_mut().find(|row| row.lane == lane) {
                Some(row) => row.steps.push(index),
                None => {
                    lanes.push(Row { lane, steps: vec![index], done: 0, at_work: false, stopped: None });
                }
            }
        }
        Self { plan, lanes, groups: groups(plan) }
    }

    /// The next steps that may begin, which count as begun from now on. What waits for something elsewhere comes
    /// last, so that a single worker gets to all that others wait for.
    pub(crate) fn take(&mut self) -> Option<Turn> {
        self.stop_hopeless();
        let ready: Vec<usize> = (0..self.lanes.len()).filter(|lane| self.may_begin(*lane)).collect();
        let waits =
            |lane: &usize| matches!(self.next_step(*lane).map(|step| &step.action), Some(Action::Wait(_)));
        let lane = ready.iter().copied().find(|lane| !waits(lane)).or_else(|| ready.first().copied())?;
        let steps = self.turn(lane);
        self.lanes[lane].at_work = true;
        Some(Turn { lane, steps })
    }

    /// Whether any lane is at work, so that more may be ready soon.
    pub(crate) fn is_busy(&self) -> bool {
        self.lanes.iter().any(|row| row.at_work)
    }

    /// So many steps of the turn came to their end; `failed` says why the lane goes no further.
    pub(crate) fn give_back(&mut self, turn: &Turn, done: usize, failed: Option<String>) {
        let row = &mut self.lanes[turn.lane];
        row.at_work = false;
        row.done += done;
        row.stopped = failed;
    }

    /// The lanes that were not finished, though nothing of their own went wrong, and what they waited for.
    pub(crate) fn blocked(&self) -> impl Iterator<Item = (&Lane, &str)> {
        let blocked = self.lanes.iter().filter(|row| row.done < row.steps.len());
        blocked.filter_map(|row| Some((&row.lane, row.stopped.as_deref().filter(|why| !why.is_empty())?)))
    }

    /// Whether the lane of a host failed.
    pub(crate) fn has_failed(&self, host: &str) -> bool {
        self.lanes.iter().any(|row| row.stopped.is_some() && row.lane == Lane::Host(host.to_owned()))
    }

    /// Whether nothing more comes of a set of steps: each is done, or its lane goes no further.
    pub(crate) fn is_over(&self, of: impl Fn(usize) -> bool) -> bool {
        self.lanes.iter().all(|row| {
            let mut left = row.steps[row.done..].iter().filter(|index| of(**index));
            left.next().is_none() || row.stopped.is_some()
        })
    }

    /// Steps that are shown and counted together.
    pub(crate) fn group_of(&self, index: usize) -> usize {
        self.groups[index]
    }

    fn next_step(&self, lane: usize) -> Option<&'a Step> {
        let row = &self.lanes[lane];
        row.steps.get(row.done).map(|index| &self.plan.steps[*index])
    }

    fn may_begin(&self, lane: usize) -> bool {
        let row = &self.lanes[lane];
        let idle = !row.at_work && row.stopped.is_none() && row.done < row.steps.len();
        idle && matches!(self.ready(lane, row.steps[row.done], 0), Ready::Now)
    }

    /// The next step, and where it is about files, those after it that are so too.
    fn turn(&self, lane: usize) -> Vec<usize> {
        let row = &self.lanes[lane];
        let left = &row.steps[row.done..];
        let mut turn = vec![left[0]];
        let about_files = |index: usize| is_about_files(&self.plan.steps[index].action);
        // What is there for the second step about a path is what the first one wrote.
        let mut seen = BTreeSet::from([self.plan.steps[left[0]].subject()]);
        if about_files(left[0]) {
            let more = left.iter().enumerate().skip(1).take_while(|(ahead, index)| {
                about_files(**index)
                    && seen.insert(self.plan.steps[**index].subject())
                    && matches!(self.ready(lane, **index, *ahead), Ready::Now)
            });
            turn.extend(more.map(|(_, index)| *index));
        }
        turn
    }

    /// Lanes that wait for what will never be stop; others may wait for them.
    fn stop_hopeless(&mut self) {
        loop {
            let hopeless = (0..self.lanes.len()).find_map(|lane| {
                let row = &self.lanes[lane];
                let next = row.steps.get(row.done).filter(|_| row.stopped.is_none() && !row.at_work)?;
                match self.ready(lane, *next, 0) {
                    Ready::Never(why) => Some((lane, why)),
                    Ready::Now | Ready::Later => None,
                }
            });
            let Some((lane, why)) = hopeless else { return };
            self.lanes[lane].stopped = Some(why);
        }
    }

    /// Whether a step may begin when so many steps of its lane that come before it are as good as done.
    fn ready(&self, lane: usize, index: usize, ahead: usize) -> Ready {
        match &self.plan.order {
            Order::Listed => self.ready_as_listed(lane, index, ahead),
            Order::Paced(gates) => {
                let step = &self.plan.steps[index];
                let all =
                    gates.iter().filter(|gate| gate.concerns(step)).map(|gate| self.open(gate, lane, ahead));
                let mut worst = Ready::Now;
                for one in all {
                    match one {
                        Ready::Never(why) => return Ready::Never(why),
                        Ready::Later => worst = Ready::Later,
                        Ready::Now => {}
                    }
                }
                worst
            }
        }
    }

    /// Every step of an earlier group must be done.
    fn ready_as_listed(&self, lane: usize, index: usize, ahead: usize) -> Ready {
        let group = self.groups[index];
        let mut ready = Ready::Now;
        for (number, row) in self.lanes.iter().enumerate() {
            let done = row.done + if number == lane { ahead } else { 0 };
            let earlier = row.steps.get(done).is_some_and(|next| self.groups[*next] < group);
            match (&row.stopped, earlier) {
                (_, false) => {}
                (Some(_), true) => return Ready::Never(String::new()),
                (None, true) => ready = Ready::Later,
            }
        }
        ready
    }

    fn open(&self, gate: &Gate, lane: usize, ahead: usize) -> Ready {
        let waiting = &self.lanes[lane].lane;
        let mut keepers = 0;
        let mut hope = false;
        for (number, row) in
            self.lanes.iter().enumerate().filter(|(_, row)| gate.looks_at(&row.lane, waiting))
        {
            let last = row.steps.iter().rposition(|index| self.plan.steps[*index].phase == gate.after);
            let Some(last) = last else { continue };
            keepers += 1;
            if row.done + (if number == lane { ahead } else { 0 }) > last {
                return Ready::Now;
            }
            hope |= row.stopped.is_none();
        }
        match (keepers, hope) {
            (0, _) => Ready::Now,
            (_, true) => Ready::Later,
            (_, false) => Ready::Never(gate.to_string()),
        }
    }
}

/// Steps that only compare and write entries of the file system, many of which cost no more than one.
pub(crate) fn is_about_files(action: &Action) -> bool {
    matches!(action, Action::File(_) | Action::Directory { .. } | Action::Link { .. } | Action::Absent { .. })
}

/// Where the order is as listed, all that goes through the API is one lane.
fn lane_of(plan: &Plan, step: &Step) -> Lane {
    match (&plan.order, &step.place) {
        (Order::Listed, Place::Cluster) => Lane::Api,
        _ => Lane::of(step),
    }
}

/// Listed: consecutive steps of one phase, where steps through the API stand apart, since hosts may depend on their
/// order. Paced: the phase.
fn groups(plan: &Plan) -> Vec<usize> {
    let mut groups = Vec::new();
    let mut names: Vec<(&str, bool)> = Vec::new();
    for step in &plan.steps {
        let cluster = step.place == Place::Cluster && plan.order == Order::Listed;
        let key = (step.phase.as_str(), cluster);
        let known = match plan.order {
            Order::Listed => names.last().filter(|last| **last == key).map(|_| names.len() - 1),
            Order::Paced(_) => names.iter().position(|name| *name == key),
        };
        let group = known.unwrap_or_else(|| {
            names.push(key);
            names.len() - 1
        });
        groups.push(group);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::At;

    fn step(phase: &str, lane: &Lane, path: &str) -> Step {
        let (place, about) = match lane {
            Lane::Host(host) => (Place::Host(host.clone()), None),
            Lane::Api => (Place::Cluster, None),
            Lane::ApiFor(host) => (Place::Cluster, Some(host.clone())),
        };
        let action = match path {
            "" => Action::Service(crate::plan::ServiceSpec {
                unit: String::new(),
                enabled: None,
                restart_on: Vec::new(),
                reload_on: Vec::new(),
                anew: false,
                best_effort: false,
            }),
            path => Action::Absent { path: path.to_owned() },
        };
        Step { phase: phase.to_owned(), place, about, title: String::new(), reason: String::new(), action }
    }

    fn host(name: &str) -> Lane {
        Lane::Host(name.to_owned())
    }

    /// Does one turn after the other; those of lanes that are to fail fail. What was done, in order.
    fn work(plan: &Plan, failing: &[usize]) -> (Vec<Vec<usize>>, Vec<String>) {
        let mut board = Board::new(plan);
        let mut turns = Vec::new();
        while let Some(turn) = board.take() {
            let fails = turn.steps.iter().position(|index| failing.contains(index));
            let failed = fails.map(|_| String::new());
            board.give_back(&turn, fails.unwrap_or(turn.steps.len()), failed);
            turns.push(turn.steps);
        }
        let blocked = board.blocked().map(|(lane, why)| format!("{lane:?} {why}")).collect();
        (turns, blocked)
    }

    #[test]
    fn as_listed_a_phase_waits_for_the_one_before_it() {
        let (one, two) = (host("cp1"), host("cp2"));
        let steps = vec![
            step("a", &one, "/1"),
            step("a", &two, ""),
            step("a", &one, ""),
            step("b", &one, "/2"),
            step("b", &Lane::Api, "x"),
            step("c", &two, "/3"),
        ];
        let plan = Plan { steps, ..Plan::default() };
        assert_eq!(work(&plan, &[]).0, [vec![0], vec![2], vec![1], vec![3], vec![4], vec![5]]);
        // The others finish the phase, and nothing comes after it.
        assert_eq!(work(&plan, &[0]).0, [vec![0], vec![1]]);
    }

    #[test]
    fn files_of_one_host_come_together_over_phases() {
        let one = host("cp1");
        let steps =
            vec![step("a", &one, "/1"), step("b", &one, "/2"), step("b", &one, ""), step("b", &one, "/3")];
        let plan = Plan { steps, ..Plan::default() };
        assert_eq!(work(&plan, &[]).0, [vec![0, 1], vec![2], vec![3]]);
    }

    #[test]
    fn paced_lanes_wait_for_their_gates_only() {
        let gate = |phase: &str, after: &str, at| Gate {
            phase: phase.to_owned(),
            lane: None,
            after: after.to_owned(),
            at,
        };
        let (one, two, worker) = (host("cp1"), host("cp2"), host("w1"));
        let steps = vec![
            step("start", &one, "/1"),
            step("start", &two, "/1"),
            step("work", &worker, "/1"),
            step("mark", &Lane::ApiFor("w1".to_owned()), ""),
            step("store", &Lane::Api, ""),
        ];
        let gates = vec![
            gate("work", "start", At::AnyHost),
            gate("mark", "work", At::SameHost),
            gate("store", "never planned", At::AnyHost),
        ];
        let plan = Plan { steps, order: Order::Paced(gates), ..Plan::default() };
        assert_eq!(work(&plan, &[]).0, [vec![0], vec![1], vec![2], vec![3], vec![4]]);
        // One host that fails stops nobody who has another.
        assert_eq!(work(&plan, &[0]), (vec![vec![0], vec![1], vec![2], vec![3], vec![4]], vec![]));
        let (turns, blocked) = work(&plan, &[0, 1]);
        assert_eq!(turns, [vec![0], vec![1], vec![4]]);
        assert_eq!(blocked, [r#"Host("w1") start on any host"#, r#"ApiFor("w1") work on the same host"#]);
    }
}

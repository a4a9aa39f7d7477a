//! Which step may begin now: the lanes of a plan, how far each has come, and what each waits for.

use crate::plan::Action;
use crate::plan::ApplyHow;
use crate::plan::Fill;
use crate::plan::Gate;
use crate::plan::Hole;
use crate::plan::Identity;
use crate::plan::Keeper;
use crate::plan::Lane;
use crate::plan::ObjectSpec;
use crate::plan::Order;
use crate::plan::Place;
use crate::plan::Plan;
use crate::plan::Step;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// How far every lane has come.
///
/// A lane is looked at when it has come further, and when one that it waits for has: a thousand hosts would take long if
/// each step of one of them were a reason to look at all.
pub(crate) struct Board<'a> {
    plan: &'a Plan,
    lanes: Vec<Row<'a>>,
    by_lane: BTreeMap<Lane, usize>,
    /// The lanes of hosts that have steps of a phase.
    hosts: BTreeMap<&'a str, Vec<usize>>,
    /// Gates by the phase whose steps wait.
    gates: BTreeMap<&'a str, Vec<&'a Gate>>,
    /// Lanes whose next step may begin; those whose next step is a wait come last.
    ready: BTreeSet<(bool, usize)>,
    busy: usize,
    /// By position in the plan: steps of one group may run side by side where the order is [`Order::Listed`].
    groups: Vec<usize>,
    /// By group: its steps that are not done and still may be.
    left: Vec<usize>,
}

struct Row<'a> {
    lane: Lane,
    /// Positions in the plan.
    steps: Vec<usize>,
    /// How many of them are done.
    done: usize,
    /// Where the last step of each phase stands among them.
    last: BTreeMap<&'a str, usize>,
    at_work: bool,
    /// It failed, or waits for what will never be; then why.
    stopped: Option<String>,
    /// Lanes to be looked at when the step of this number is done, or nothing more comes.
    watchers: BTreeSet<(usize, usize)>,
}

/// Steps of one lane to be done now; more than one only when they are all about files, in order, or about objects that do
/// not need each other.
pub(crate) struct Turn {
    lane: usize,
    /// Positions in the plan.
    pub steps: Vec<usize>,
}

enum Ready {
    Now,
    /// When one of these lanes has done the step of this number.
    Later(Vec<(usize, usize)>),
    /// What it waits for will never be.
    Never(String),
}

impl<'a> Board<'a> {
    pub(crate) fn new(plan: &'a Plan) -> Self {
        let mut lanes: Vec<Row<'a>> = Vec::new();
        let mut by_lane = BTreeMap::new();
        let mut hosts: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, step) in plan.steps.iter().enumerate() {
            let lane = lane_of(plan, step);
            let number = *by_lane.entry(lane.clone()).or_insert(lanes.len());
            if number == lanes.len() {
                lanes.push(Row::new(lane));
            }
            let row = &mut lanes[number];
            let is_first = row.last.insert(&step.phase, row.steps.len()).is_none();
            row.steps.push(index);
            if is_first && matches!(row.lane, Lane::Host(_)) {
                hosts.entry(&step.phase).or_default().push(number);
            }
        }
        let mut gates: BTreeMap<&str, Vec<&Gate>> = BTreeMap::new();
        if let Order::Paced(all) = &plan.order {
            for gate in all {
                gates.entry(&gate.phase).or_default().push(gate);
            }
        }
        let groups = groups(plan);
        let mut left = vec![0; groups.iter().max().map_or(0, |last| last + 1)];
        for group in &groups {
            left[*group] += 1;
        }
        let ready = BTreeSet::new();
        let mut board = Self { plan, lanes, by_lane, hosts, gates, ready, busy: 0, groups, left };
        board.look_at((0..board.lanes.len()).collect());
        board
    }

    /// The next steps that may begin, which count as begun from now on. What waits for something elsewhere comes
    /// last, so that a single worker gets to all that others wait for.
    pub(crate) fn take(&mut self) -> Option<Turn> {
        let (_, lane) = self.ready.pop_first()?;
        let steps = self.turn(lane);
        self.lanes[lane].at_work = true;
        self.busy += 1;
        Some(Turn { lane, steps })
    }

    /// Whether any lane is at work, so that more may be ready soon.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy > 0
    }

    /// So many steps of the turn came to their end; `failed` says why the lane goes no further.
    pub(crate) fn give_back(&mut self, turn: &Turn, done: usize, failed: Option<String>) {
        self.busy -= 1;
        for index in &turn.steps[..done] {
            self.left[self.groups[*index]] -= 1;
        }
        let row = &mut self.lanes[turn.lane];
        row.at_work = false;
        row.done += done;
        if let Some(why) = failed {
            self.stop(turn.lane, why);
        }
        let again = match self.plan.order {
            Order::Listed => (0..self.lanes.len()).collect(),
            Order::Paced(_) => {
                let mut again = self.lanes[turn.lane].told();
                again.push(turn.lane);
                again
            }
        };
        self.look_at(again);
    }

    /// The lanes that were not finished, though nothing of their own went wrong, and what they waited for.
    pub(crate) fn blocked(&self) -> impl Iterator<Item = (&Lane, &str)> {
        let blocked = self.lanes.iter().filter(|row| row.done < row.steps.len());
        blocked.filter_map(|row| Some((&row.lane, row.stopped.as_deref().filter(|why| !why.is_empty())?)))
    }

    /// Nothing is done on a host.
    pub(crate) fn give_up(&mut self, host: &str) {
        let Some(lane) = self.by_lane.get(&Lane::Host(host.to_owned())).copied() else { return };
        self.ready.remove(&(false, lane));
        self.ready.remove(&(true, lane));
        self.stop(lane, String::new());
        self.look_at((0..self.lanes.len()).collect());
    }

    /// Whether the lane of a host failed.
    pub(crate) fn has_failed(&self, host: &str) -> bool {
        let lane = self.by_lane.get(&Lane::Host(host.to_owned()));
        lane.is_some_and(|lane| self.lanes[*lane].stopped.is_some())
    }

    /// The steps of a host that are not done, by position in the plan.
    pub(crate) fn left_on(&self, host: &str) -> Vec<usize> {
        let lane = self.by_lane.get(&Lane::Host(host.to_owned())).map(|lane| &self.lanes[*lane]);
        lane.map(|row| row.steps[row.done..].to_vec()).unwrap_or_default()
    }

    /// Whether nothing more comes of a group: each step is done, or its lane goes no further.
    pub(crate) fn is_over(&self, group: usize) -> bool {
        self.left[group] == 0
    }

    /// Steps that are shown and counted together.
    pub(crate) fn group_of(&self, index: usize) -> usize {
        self.groups[index]
    }

    /// Sees whether lanes may go on, and where they may not, who is to tell when that may be otherwise.
    fn look_at(&mut self, mut lanes: Vec<usize>) {
        while let Some(lane) = lanes.pop() {
            let row = &self.lanes[lane];
            let idle = !row.at_work && row.stopped.is_none();
            let Some(next) = row.steps.get(row.done).copied().filter(|_| idle) else { continue };
            match self.ready(lane, next, 0) {
                Ready::Now => {
                    let waits = matches!(self.plan.steps[next].action, Action::Wait(_));
                    self.ready.insert((waits, lane));
                }
                Ready::Later(keepers) => {
                    for (keeper, step) in keepers {
                        self.lanes[keeper].watchers.insert((step, lane));
                    }
                }
                Ready::Never(why) => {
                    self.stop(lane, why);
                    lanes.extend(self.lanes[lane].told());
                }
            }
        }
    }

    fn stop(&mut self, lane: usize, why: String) {
        let row = &mut self.lanes[lane];
        row.stopped = Some(why);
        for index in &row.steps[row.done..] {
            self.left[self.groups[*index]] -= 1;
        }
    }

    /// The next step, and where it is about files or about an object of its own, those after it that are so too.
    fn turn(&self, lane: usize) -> Vec<usize> {
        let row = &self.lanes[lane];
        let left = &row.steps[row.done..];
        let mut turn = vec![left[0]];
        let kind = |index: usize| Together::of(&self.plan.order, &self.plan.steps[index].action);
        // What is there for the second step about a path is what the first one wrote.
        let mut seen = BTreeSet::from([self.plan.steps[left[0]].subject()]);
        if let Some(together) = kind(left[0]) {
            let more = left.iter().enumerate().skip(1).take_while(|(ahead, index)| {
                kind(**index) == Some(together)
                    && seen.insert(self.plan.steps[**index].subject())
                    && matches!(self.ready(lane, **index, *ahead), Ready::Now)
            });
            turn.extend(more.map(|(_, index)| *index));
        }
        turn
    }

    /// Whether a step may begin when so many steps of its lane that come before it are as good as done.
    fn ready(&self, lane: usize, index: usize, ahead: usize) -> Ready {
        if self.plan.order == Order::Listed {
            return self.ready_as_listed(lane, index, ahead);
        }
        let step = &self.plan.steps[index];
        let gates = self.gates.get(step.phase.as_str()).into_iter().flatten();
        let mut closed = Vec::new();
        for gate in gates.filter(|gate| gate.concerns(step)) {
            match self.open(gate, lane, ahead) {
                Ready::Now => {}
                Ready::Later(keepers) => closed.extend(keepers),
                never @ Ready::Never(_) => return never,
            }
        }
        if closed.is_empty() { Ready::Now } else { Ready::Later(closed) }
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
                // Whoever comes further, all are looked at again.
                (None, true) => ready = Ready::Later(Vec::new()),
            }
        }
        ready
    }

    fn open(&self, gate: &Gate, lane: usize, ahead: usize) -> Ready {
        let keepers = self.keepers(gate, &self.lanes[lane].lane);
        let done = |number: usize| self.lanes[number].done + if number == lane { ahead } else { 0 };
        if keepers.is_empty() || keepers.iter().any(|(number, last)| done(*number) > *last) {
            return Ready::Now;
        }
        let hope = keepers.into_iter().filter(|(number, _)| self.lanes[*number].stopped.is_none());
        let hope: Vec<_> = hope.collect();
        if hope.is_empty() { Ready::Never(gate.to_string()) } else { Ready::Later(hope) }
    }

    /// The lanes that can open a gate, with the number of the step that does.
    fn keepers(&self, gate: &Gate, waiting: &Lane) -> Vec<(usize, usize)> {
        let last = |number: usize| Some((number, *self.lanes[number].last.get(gate.after.as_str())?));
        match gate.keeper(waiting) {
            Keeper::AnyHost => {
                let hosts = self.hosts.get(gate.after.as_str()).into_iter().flatten();
                hosts.filter_map(|number| last(*number)).collect()
            }
            Keeper::Lane(lane) => {
                self.by_lane.get(&lane).and_then(|number| last(*number)).into_iter().collect()
            }
            Keeper::Nobody => Vec::new(),
        }
    }
}

impl Row<'_> {
    fn new(lane: Lane) -> Self {
        Self {
            lane,
            steps: Vec::new(),
            done: 0,
            last: BTreeMap::new(),
            at_work: false,
            stopped: None,
            watchers: BTreeSet::new(),
        }
    }

    /// The lanes that are to be looked at now.
    fn told(&mut self) -> Vec<usize> {
        let from = if self.stopped.is_some() { self.steps.len() } else { self.done };
        let later = self.watchers.split_off(&(from, 0));
        std::mem::replace(&mut self.watchers, later).into_iter().map(|(_, lane)| lane).collect()
    }
}

/// Steps that are done together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Together {
    Files,
    Objects,
}

impl Together {
    fn of(order: &Order, action: &Action) -> Option<Self> {
        match action {
            Action::Object(spec) if *order != Order::Listed && needs_no_other(spec) => Some(Self::Objects),
            action => is_about_files(action).then_some(Self::Files),
        }
    }
}

/// Whether an object neither needs another one, nor does another one need it to be there first. Pods are made of
/// workloads as soon as they are there, and are tried again ever later where their account or their files are missing.
fn needs_no_other(spec: &ObjectSpec) -> bool {
    const NEEDED: [&str; 2] = ["Namespace", "CustomResourceDefinition"];
    const WORKLOADS: [&str; 6] = ["Deployment", "DaemonSet", "StatefulSet", "Job", "CronJob", "Pod"];
    let kind = spec.object.value["kind"].as_str().unwrap_or_default();
    let asks_for_another = |hole: &Hole| matches!(hole.fill, Fill::UidOf(_));
    !NEEDED.contains(&kind)
        && !WORKLOADS.contains(&kind)
        && spec.identity == Identity::Admin
        // What an add-on consists of comes in an order of its own.
        && matches!(spec.how, ApplyHow::CreateOrReplace | ApplyHow::CreateOnly)
        && !spec.object.holes.iter().any(asks_for_another)
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
                anew: None,
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

//! The course of a test: nothing failed, then one part after the other, each mended before the next.

use crate::cli::endpoint::down::Down;
use crate::cli::endpoint::watch::Watch;
use crate::clock::Clock as _;
use crate::clock::System;
use crate::cluster::Cluster;
use crate::cluster::Node;
use crate::endpoint::Failure;
use crate::endpoint::Part;
use crate::endpoint::Stage;
use crate::host::Fleet;
use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long the endpoint is looked at before anything is failed.
const BEFORE: Duration = Duration::from_secs(2);
/// How long to wait for first answers.
const FIRST: Duration = Duration::from_secs(5);
/// How long a part that was mended may take until it is well: the kubelet takes its time with pods.
const WELL: Duration = Duration::from_mins(1);
/// How long an address that is to return may take.
const RETURN: Duration = Duration::from_secs(15);
/// Between two looks at what is waited for.
const PAUSE: Duration = Duration::from_millis(50);

/// Ctrl-C; what was failed has been mended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Interrupted;

/// A test.
pub(super) struct Course<'a> {
    pub cluster: &'a Cluster,
    pub hosts: &'a Fleet,
    pub parts: &'a [Part],
    /// The only hosts on which something may be failed.
    pub only: Option<BTreeSet<String>>,
    /// Whether the address returns to the host that is first in line.
    pub preempt: bool,
    pub observe: Duration,
    pub max_gap: Duration,
    pub watch: &'a Watch,
    pub interrupt: &'a AtomicBool,
    /// Whether what a host does for the endpoint runs and serves.
    pub well: &'a dyn Fn(&Node) -> Result<(), String>,
    /// Told what goes on.
    pub tell: &'a dyn Fn(String),
    pub came: Came,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Came {
    pub stages: Vec<Stage>,
    pub findings: Vec<String>,
    pub notes: Vec<String>,
}

impl<'a> Course<'a> {
    /// Goes through all of it.
    ///
    /// # Errors
    /// The operator interrupts.
    pub(super) fn go(&mut self) -> Result<(), Interrupted> {
        if !self.before()? || self.parts.is_empty() {
            return Ok(());
        }
        for part in self.parts {
            if let Err(why) = Failure::possible(self.cluster, *part) {
                self.came.notes.push(why);
                continue;
            }
            for node in self.targets() {
                self.stage(*part, node)?;
            }
        }
        Ok(())
    }

    /// Looks while nothing is failed. Whether something may be.
    fn before(&mut self) -> Result<bool, Interrupted> {
        let moves = self.has_address();
        let balancers = self.cluster.balancers().len();
        self.wait(FIRST, PAUSE, |course| {
            let log = course.watch.so_far();
            let seen: BTreeSet<&str> = log.looks.iter().map(|look| look.host.as_str()).collect();
            (!moves || seen.len() == balancers) && log.answered_since(0, None)
        })?;
        let begun = self.watch.now();
        self.sleep(if self.parts.is_empty() { self.observe.max(BEFORE) } else { BEFORE })?;
        self.wait(FIRST, PAUSE, |course| {
            let log = course.watch.so_far();
            log.answered_since(begun, None) && log.silent_since(begun).is_empty()
        })?;
        let ended = self.watch.now();
        let what = "nothing".to_owned();
        self.came.stages.push(Stage { what, begun, ended, ..Stage::default() });
        let log = self.watch.so_far();
        let silent = log.silent_since(begun).into_iter();
        let mut wrong: Vec<String> =
            silent.map(|(from, why)| format!("the endpoint does not answer {from}: {why}")).collect();
        match log.holders().as_slice() {
            _ if !moves => {}
            [] => wrong.push("no host has the address of the endpoint".to_owned()),
            [_] => {}
            // The judge says so, with the times.
            many => self.came.notes.push(format!("{} have the address", many.join(" and "))),
        }
        let fine = wrong.is_empty() && (!moves || log.holders().len() == 1);
        drop(log);
        if !fine && !self.parts.is_empty() {
            self.came.notes.push("nothing was failed, since the endpoint is not well".to_owned());
        }
        self.came.findings.append(&mut wrong);
        Ok(fine)
    }

    fn has_address(&self) -> bool {
        !self.cluster.virtual_addresses().is_empty()
    }

    /// Where a part is failed: the host that has the address now; without one, nodes with a balancer of their own.
    fn targets(&mut self) -> Vec<&'a Node> {
        let may = |name: &str| self.only.as_ref().is_none_or(|only| only.contains(name));
        let cluster: &'a Cluster = self.cluster;
        let balancers = cluster.balancers();
        if !self.has_address() {
            let meant = balancers.into_iter().filter(|node| may(&node.name));
            return meant.take(if self.only.is_some() { usize::MAX } else { 1 }).collect();
        }
        let holders: Vec<String> = self.watch.so_far().holders().into_iter().map(str::to_owned).collect();
        let [holder] = holders.as_slice() else {
            self.came
                .findings
                .push(format!("no host alone has the address, so nothing more was failed: {holders:?}"));
            return Vec::new();
        };
        if !may(holder) {
            self.came.notes.push(format!("{holder} has the address, and is not to be failed"));
            return Vec::new();
        }
        balancers.into_iter().filter(|node| node.name == *holder).collect()
    }

    fn stage(&mut self, part: Part, node: &Node) -> Result<(), Interrupted> {
        let refused = |why: String| format!("the {} on {} was not failed: {why}", part.as_str(), node.name);
        let failure = match self.may_fail(part, node) {
            Ok(failure) => failure,
            Err(why) => {
                self.came.findings.push(refused(why));
                return Ok(());
            }
        };
        let host = &self.hosts.get(&node.name).expect("it was looked at");
        let (what, heals) = (failure.title(), failure.heals());
        let longest = self.max_gap * 2 + Duration::from_secs(10);
        let begun = self.watch.now();
        let down = match Down::fail(failure, host, longest + self.observe + WELL) {
            Ok(down) => down,
            Err(why) => {
                self.came.findings.push(refused(why));
                return Ok(());
            }
        };
        let done = self.watch.now();
        (self.tell)(format!("{what} on {}", node.name));
        let moves = self.has_address();
        let seen_by = (!moves).then(|| node.name.clone());
        let mut since = (!moves).then_some(done);
        self.wait(longest, PAUSE, |course| {
            let log = course.watch.so_far();
            if since.is_none() && matches!(log.holders().as_slice(), [other] if *other != node.name) {
                since = Some(course.watch.now());
            }
            since.is_some_and(|since| log.answered_since(since, seen_by.as_deref()))
        })?;
        self.sleep(self.observe)?;
        if let Err(why) = down.mend() {
            let again = if heals { "" } else { "; the host does so by itself within minutes" };
            let what = format!("{what} on {}: it could not be mended from here{again}: {why}", node.name);
            self.came.findings.push(what);
        }
        let mended = self.watch.now();
        (self.tell)(format!("mended on {}", node.name));
        self.until_well(node)?;
        if moves && self.preempt {
            self.wait(RETURN, PAUSE, |course| course.watch.so_far().holders() == [node.name.as_str()])?;
        }
        self.sleep(self.observe)?;
        self.came.stages.push(Stage {
            part: Some(part),
            host: Some(node.name.clone()),
            what,
            begun,
            failed: Some(begun),
            mended: Some(mended),
            ended: self.watch.now(),
            seen_by,
        });
        Ok(())
    }

    /// How a part is failed, where somebody can take over.
    fn may_fail(&self, part: Part, node: &Node) -> Result<Failure, String> {
        let failure = Failure::of(self.cluster, part, node)?;
        if !self.has_address() {
            (self.well)(node)?;
            return Ok(failure);
        }
        let others = self.cluster.balancers().into_iter().filter(|other| other.name != node.name);
        let mut unable = Vec::new();
        for other in others {
            match (self.well)(other) {
                Ok(()) => return Ok(failure),
                Err(why) => unable.push(format!("{}: {why}", other.name)),
            }
        }
        let why = if unable.is_empty() { "there is no other".to_owned() } else { unable.join("; ") };
        Err(format!("no other host can take over: {why}"))
    }

    fn until_well(&mut self, node: &Node) -> Result<(), Interrupted> {
        let mut trouble = None;
        self.wait(WELL, Duration::from_millis(500), |course| {
            trouble = (course.well)(node).err();
            trouble.is_none()
        })?;
        if let Some(why) = trouble {
            let limit = WELL.as_secs();
            self.came
                .findings
                .push(format!("{} is not well {limit} s after it was mended: {why}", node.name));
        }
        Ok(())
    }

    /// Waits until something is so, or for the longest; whether it is so, others know better.
    fn wait(
        &self,
        longest: Duration,
        pause: Duration,
        mut is_so: impl FnMut(&Self) -> bool,
    ) -> Result<(), Interrupted> {
        let until = System.monotonic() + longest;
        loop {
            if self.interrupt.load(Ordering::Relaxed) {
                return Err(Interrupted);
            }
            if is_so(self) || System.monotonic() >= until {
                return Ok(());
            }
            System.sleep(pause);
        }
    }

    fn sleep(&self, duration: Duration) -> Result<(), Interrupted> {
        self.wait(duration, PAUSE, |_| false)
    }
}

#[cfg(test)]
mod tests;

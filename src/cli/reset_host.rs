//! The way back of one host, here or far away: pass after pass, and the proof at the end.

use crate::api::provider::Kubeconfigs;
use crate::apply;
use crate::apply::Resolve;
use crate::apply::World;
use crate::cli::error::CliError;
use crate::cli::images::CriImages;
use crate::cli::pods::CriPods;
use crate::cli::reset_etcd::LocalEtcd;
use crate::cli::reset_facts;
use crate::clock::Clock as _;
use crate::clock::System;
use crate::host::Fleet;
use crate::host::Host;
use crate::phase::reset;
use crate::phase::reset::Choices;
use crate::phase::reset::FORGET;
use crate::phase::reset::Facts;
use crate::phase::reset::Proof;
use crate::phase::select::Selected;
use crate::plan::Content;
use crate::plan::Fill;
use crate::plan::Plan;
use crate::report::Event;
use crate::report::Outcome;
use crate::report::Record;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The phase that makes the host's etcd leave the others.
pub(super) const LEAVE: &str = "remove-etcd-member";

/// How often what remains is taken up again: what a pod does while it ends may need another look.
const PASSES: usize = 3;

/// What is carried out from one look at the host.
const PARTS: [&[&str]; 2] = [&[LEAVE, "cleanup-node"], &["cleanup-network", "restore-host"]];

/// Between two of them, for what goes by itself.
const PAUSE: Duration = Duration::from_secs(1);

/// The reset of one host.
pub(super) struct HostReset<'a> {
    pub host: Arc<dyn Host>,
    pub choices: Choices,
    /// Of the container runtime; empty where the host is to say.
    pub socket: String,
    pub selected: Vec<Selected>,
    pub dry_run: bool,
    pub interrupt: Arc<AtomicBool>,
    pub events: &'a (dyn Fn(Event) + Sync),
}

/// What came of it.
#[derive(Debug)]
pub(super) enum End {
    /// All that was asked for is done, or it was interrupted.
    Over,
    /// The host is as it was.
    Proven(Box<Facts>, Proof),
    /// Something is left.
    Different(Box<Facts>, Proof),
}

impl HostReset<'_> {
    /// What is so now; `before` is what an earlier look of this run said.
    ///
    /// # Errors
    /// The host cannot be asked.
    pub(super) fn facts(&self, before: Option<&Facts>) -> Result<Facts, CliError> {
        let facts = reset_facts::gather(&*self.host, &self.choices, &self.socket, before)?;
        if before.is_none()
            && let Some(failure) = &facts.runtime.failure
        {
            self.warn(
                format!("pods cannot be removed: {failure}"),
                "start the container runtime, or name its socket with --cri-socket, and run this again",
            );
        }
        Ok(facts)
    }

    pub(super) fn runs(&self, phase: &str) -> bool {
        self.selected.iter().any(|one| one.name == phase)
    }

    /// Whether nothing of a cluster, and no record of one, is on the host.
    pub(super) fn is_clean(&self, facts: &Facts) -> bool {
        self.runs(FORGET)
            && reset::proof(facts).holds()
            && facts.receipt.is_none()
            && facts.baseline.is_none()
    }

    pub(super) fn plan(&self, facts: &Facts) -> Plan {
        reset::plan(facts, &self.selected)
    }

    /// Pass after pass, until nothing is left. In each the network comes after the node, and is looked at again: the
    /// pods that were still there when the first look was taken are those that changed it.
    ///
    /// # Errors
    /// The host cannot be looked at any more.
    pub(super) fn take_away(&self, facts: Facts) -> Result<(Vec<Record>, End), CliError> {
        let mut records = Vec::new();
        let mut now = facts;
        for pass in 1..=PASSES {
            for part in PARTS {
                let plan = self.part(&now, part);
                if !plan.steps.is_empty() {
                    let done = self.execute(&plan, &now);
                    self.hint_at_member(&done, &now);
                    records.extend(done);
                    now = self.facts(Some(&now))?;
                }
            }
            let proof = reset::proof(&now);
            if self.interrupted() || !self.runs(FORGET) {
                break;
            }
            if proof.holds() {
                records.extend(self.execute(&self.part(&now, &[FORGET]), &now));
                return Ok((records, End::Proven(Box::new(now), proof)));
            }
            if pass == PASSES {
                return Ok((records, End::Different(Box::new(now), proof)));
            }
            System.sleep(PAUSE);
        }
        Ok((records, End::Over))
    }

    /// Lets the host's etcd leave the others, where it has one and that is wanted.
    pub(super) fn leave(&self, facts: &Facts) -> Vec<Record> {
        let done = self.execute(&self.part(facts, &[LEAVE]), facts);
        self.hint_at_member(&done, facts);
        done
    }

    fn interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }

    /// The steps of some of the selected phases.
    fn part(&self, facts: &Facts, phases: &[&str]) -> Plan {
        let mut plan = self.plan(facts);
        plan.steps.retain(|step| phases.contains(&step.phase.as_str()));
        plan
    }

    /// Carries out a plan, and returns what came of each step. To whoever listens, all of them are one run.
    pub(super) fn execute(&self, plan: &Plan, facts: &Facts) -> Vec<Record> {
        let mut hosts = Fleet::new();
        hosts.insert(Arc::clone(&self.host));
        let options = apply::Options {
            dry_run: self.dry_run,
            receipt: None,
            keep_going: true,
            ..apply::Options::default()
        };
        let events = |event: Event| {
            if !matches!(event, Event::RunStarted { .. } | Event::RunFinished { .. }) {
                (self.events)(event);
            }
        };
        let etcd = self.etcd(facts);
        let world = World {
            hosts: &hosts,
            api: &Kubeconfigs::new(|_| Ok(None)),
            etcd: &etcd,
            resolver: &Nothing,
            images: &CriImages,
            pods: &CriPods,
            clock: &System,
            events: &events,
            interrupt: &self.interrupt,
            options: &options,
        };
        apply::execute(plan, &world).records
    }

    /// The etcd of the host, with its own certificates.
    pub(super) fn etcd(&self, facts: &Facts) -> LocalEtcd {
        let endpoints = facts.etcd.endpoints.clone();
        LocalEtcd::new(Arc::clone(&self.host), endpoints, &self.choices.certificates_dir)
    }

    /// A member that stays behind is in the way of the next control plane on this host.
    fn hint_at_member(&self, records: &[Record], facts: &Facts) {
        let failed = |record: &&Record| record.phase == LEAVE && record.outcome == Outcome::Warned;
        if records.iter().any(|record| failed(&record)) {
            let url = facts.etcd.peer_url.clone().unwrap_or_default();
            self.warn(
                format!("etcd may still count the member {url}"),
                "if the cluster goes on, remove it there: `etcdctl member list`, then `etcdctl member remove ID`",
            );
        }
    }

    fn warn(&self, message: String, hint: &str) {
        let host = Some(self.host.name().to_owned());
        (self.events)(Event::Warning { host, message, hint: Some(hint.to_owned()) });
    }
}

/// A reset writes nothing but text.
struct Nothing;

impl Resolve for Nothing {
    fn content(&self, _: &Content) -> anyhow::Result<Vec<u8>> {
        anyhow::bail!("a reset makes no certificates")
    }

    fn fill(&self, _: &Fill) -> anyhow::Result<Option<String>> {
        Ok(None)
    }
}

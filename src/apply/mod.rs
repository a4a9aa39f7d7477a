//! Carrying out a plan: compare, apply what differs, record. Nothing is decided here.
//!
//! A run can be interrupted at any moment, and repeated: what is as wanted is left alone, and what an earlier run
//! began is finished. The record on each host ([`receipt`]) is written before an error is returned.

mod artifact;
mod batch;
mod clear;
pub mod compare;
pub mod diff;
mod drain;
mod failure;
mod file;
mod image;
mod ledger;
mod manager;
mod member;
mod object;
mod package;
mod pod;
mod progress;
pub mod receipt;
mod record;
mod replaced;
mod retry;
mod rollout;
mod rules;
mod run;
mod schedule;
mod server_side;
mod service;
mod site;
mod step;
mod taint;
mod undo;
mod wait;

use crate::api::ApiProvider;
use crate::clock::Clock;
use crate::etcd::EtcdProvider;
use crate::host::Fleet;
use crate::host::Host;
use crate::plan::Container;
use crate::plan::Content;
use crate::plan::Fill;
use crate::plan::Plan;
use crate::plan::Supply;
use crate::report::Event;
use crate::report::Report;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use time::OffsetDateTime;

/// Everything that execution meets.
#[derive(Clone, Copy)]
pub struct World<'a> {
    pub hosts: &'a Fleet,
    pub api: &'a dyn ApiProvider,
    /// The cluster's own etcd, for plans that change its members.
    pub etcd: &'a dyn EtcdProvider,
    pub resolver: &'a dyn Resolve,
    pub images: &'a dyn Images,
    pub pods: &'a dyn Pods,
    pub clock: &'a dyn Clock,
    /// Called from any of the run's threads.
    pub events: &'a (dyn Fn(Event) + Sync),
    /// Set by Ctrl-C: the run ends after the step at hand, or within a wait.
    pub interrupt: &'a AtomicBool,
    pub options: &'a Options,
}

/// How a plan is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct Options {
    /// Only look: every host and the API are wrapped so that nothing can be changed.
    pub dry_run: bool,
    /// Add a diff to the event of every file and object that differs.
    pub diff: bool,
    /// How many hosts are worked on at the same time.
    pub parallel: usize,
    /// How long a refused or unanswered API request is repeated (`kubernetesAPICall`).
    pub api_timeout: Duration,
    /// Where each host keeps its receipt; `None` for none at all.
    pub receipt: Option<String>,
    /// A step that fails is a warning, and the run goes on with the next: for taking a host apart, of which as much
    /// as possible is to go.
    pub keep_going: bool,
    /// Fields that somebody else has set are taken over, where they differ.
    pub force_conflicts: bool,
    /// How often a step that can be repeated is tried again after the connection to its host was lost.
    pub retries: u32,
    /// Hosts on which nothing can be done, and why; the others go on without them.
    pub unfit: BTreeMap<String, String>,
    /// The last hint of every failure: how to go on.
    pub resume: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dry_run: false,
            diff: false,
            parallel: 10,
            api_timeout: Duration::from_mins(1),
            receipt: Some(receipt::PATH.to_owned()),
            keep_going: false,
            force_conflicts: false,
            retries: 1,
            unfit: BTreeMap::new(),
            resume:
                "when it is mended, run the same command again: what is done already is found and skipped"
                    .to_owned(),
        }
    }
}

/// Makes bytes of what a plan only names.
pub trait Resolve: Sync {
    /// The bytes of a file.
    ///
    /// # Errors
    /// There is no such certificate or key.
    fn content(&self, content: &Content) -> anyhow::Result<Vec<u8>>;

    /// What belongs into a hole; `None` leaves it out. Never asked for [`Fill::UidOf`] and [`Fill::Expiration`].
    ///
    /// # Errors
    /// There is no such token, certificate or file.
    fn fill(&self, fill: &Fill) -> anyhow::Result<Option<String>>;

    /// The bytes that this machine gives to hosts, and how many they are. Those of a download are verified.
    ///
    /// # Errors
    /// This machine does not have them and cannot get them.
    fn supply(&self, supply: &Supply) -> anyhow::Result<(Box<dyn Read + Send>, u64)> {
        anyhow::bail!("nobody can be asked for {supply}")
    }

    /// Whether the value that stands in a live object's hole already says the same, for those that differ each time
    /// they are made (encryption with a random nonce). `None`: compare with [`Resolve::fill`].
    ///
    /// # Errors
    /// As for [`Resolve::fill`].
    fn is_current(&self, fill: &Fill, live: &str) -> anyhow::Result<Option<bool>> {
        let _ = (fill, live);
        Ok(None)
    }
}

/// Images and pods on a host, through its container runtime.
pub trait Images: Sync {
    /// Whether the runtime behind this socket has the image.
    ///
    /// # Errors
    /// The runtime does not answer.
    fn present(&self, host: &dyn Host, socket: &str, reference: &str) -> anyhow::Result<bool>;

    /// Pulls the image.
    ///
    /// # Errors
    /// The runtime does not answer, or cannot get the image.
    fn pull(&self, host: &dyn Host, socket: &str, reference: &str) -> anyhow::Result<()>;
}

/// Pods on a host, through its container runtime.
pub trait Pods: Sync {
    /// Whether the runtime behind this socket knows the pod.
    ///
    /// # Errors
    /// The runtime does not answer.
    fn present(&self, host: &dyn Host, socket: &str, id: &str) -> anyhow::Result<bool>;

    /// Ends the pod and removes it, its network included.
    ///
    /// # Errors
    /// The runtime does not answer, or cannot remove it.
    fn remove(&self, host: &dyn Host, socket: &str, id: &str) -> anyhow::Result<()>;

    /// The runtime's own names of all pods with a name such as `kube-system/etcd-cp1`, those that ended included.
    ///
    /// # Errors
    /// The runtime does not answer.
    fn named(&self, host: &dyn Host, socket: &str, name: &str) -> anyhow::Result<Vec<String>>;

    /// When the newest container of this kind was made, by the host's clock; `None` when there is none.
    ///
    /// # Errors
    /// The runtime does not answer.
    fn made(&self, host: &dyn Host, container: &Container) -> anyhow::Result<Option<OffsetDateTime>>;

    /// What the newest container of this kind complained of last; nothing when there is none.
    ///
    /// # Errors
    /// The runtime does not answer, or the log cannot be read.
    fn complaints(&self, host: &dyn Host, container: &Container) -> anyhow::Result<Vec<String>>;
}

/// For runs that take no pods away.
#[derive(Debug, Clone, Copy)]
pub struct NoPods;

impl Pods for NoPods {
    fn present(&self, _: &dyn Host, _: &str, id: &str) -> anyhow::Result<bool> {
        anyhow::bail!("nobody can be asked for the pod {id}")
    }

    fn remove(&self, _: &dyn Host, _: &str, id: &str) -> anyhow::Result<()> {
        anyhow::bail!("nobody can be asked to remove the pod {id}")
    }

    fn named(&self, _: &dyn Host, _: &str, name: &str) -> anyhow::Result<Vec<String>> {
        anyhow::bail!("nobody can be asked for the pod {name}")
    }

    fn made(&self, _: &dyn Host, _: &Container) -> anyhow::Result<Option<OffsetDateTime>> {
        Ok(None)
    }

    fn complaints(&self, _: &dyn Host, _: &Container) -> anyhow::Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// Makes a plan true.
///
/// What runs side by side says [`Plan::order`].
pub fn execute(plan: &Plan, world: &World<'_>) -> Report {
    run::Run::new(plan, world).go()
}

impl fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("hosts", self.hosts)
            .field("options", self.options)
            .finish_non_exhaustive()
    }
}

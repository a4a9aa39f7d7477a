//! A plan is carried out, or looked at, on the hosts of a cluster.

use crate::apply;
use crate::apply::World;
use crate::cli::fleet::FleetSession;
use crate::cli::images::CriImages;
use crate::cli::pods::CriPods;
use crate::cli::resolver::Resolver;
use crate::clock::System;
use crate::etcd::EtcdProvider;
use crate::etcd::Known;
use crate::etcd::NoEtcd;
use crate::facts::baseline;
use crate::host::Fleet;
use crate::host::Host;
use crate::host::fleet::side_by_side;
use crate::pki::Bundle;
use crate::plan::Plan;
use crate::report::Event;
use crate::report::Report;
use crate::review::Review;
use crate::review::Seen;
use crate::review::Watched;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

/// What a plan would do, and what was looked at for that.
pub(in crate::cli) struct Look {
    pub review: Review,
    pub seen: BTreeMap<String, Seen>,
    pub report: Report,
}

impl FleetSession {
    /// What a plan's references stand for.
    pub(in crate::cli) fn resolver(&self, bundle: Arc<Bundle>, dry_run: bool) -> Resolver<'_> {
        let reached = |name: &String| self.hosts.get(name);
        let host = self.cluster.control_planes().find_map(|node| reached(&node.name));
        let host = host.or_else(|| self.hosts.iter().next()).expect("a run without hosts ends at preflight");
        Resolver::new(&self.cluster, bundle, self.ttl_token.clone(), &**host, dry_run)
    }

    /// Carries out a plan, or looks what it would do. What goes wrong on the way is in the report. Before the first
    /// change ever of a host, how it is now is written down for `reset`; nothing is done where that cannot be.
    pub(in crate::cli) fn execute(
        &self,
        plan: &Plan,
        resolver: &Resolver<'_>,
        options: &apply::Options,
        events: &(dyn Fn(Event) + Sync),
    ) -> Report {
        let unfit = if options.dry_run { BTreeMap::new() } else { self.record_baselines() };
        let options = apply::Options { unfit, ..options.clone() };
        self.carry_out(plan, resolver, &options, &self.hosts, events)
    }

    /// The same for a plan that changes no host, so that nothing needs to be known of how hosts were before.
    pub(in crate::cli) fn execute_through_api(
        &self,
        plan: &Plan,
        resolver: &Resolver<'_>,
        options: &apply::Options,
        events: &(dyn Fn(Event) + Sync),
    ) -> Report {
        self.carry_out(plan, resolver, options, &self.hosts, events)
    }

    /// Looks what a plan would do, and what there is now.
    pub(in crate::cli) fn look(
        &self,
        plan: &Plan,
        resolver: &Resolver<'_>,
        events: &(dyn Fn(Event) + Sync),
    ) -> Look {
        let watched: Vec<Arc<Watched>> =
            self.hosts.iter().map(|host| Arc::new(Watched::new(Arc::clone(host)))).collect();
        let mut hosts = Fleet::new();
        for host in &watched {
            hosts.insert(Arc::<Watched>::clone(host));
        }
        let told = Mutex::new(Vec::new());
        let options = apply::Options {
            dry_run: true,
            diff: true,
            parallel: self.parallel,
            ..apply::Options::default()
        };
        let report = self.carry_out(plan, resolver, &options, &hosts, &|event| {
            events(event.clone());
            told.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        });
        let told = told.into_inner().unwrap_or_else(PoisonError::into_inner);
        let seen: BTreeMap<_, _> = watched.iter().map(|host| (host.name().to_owned(), host.seen())).collect();
        let endpoint = self.cluster.site.balancing.as_ref().and(self.cluster.endpoint.as_ref());
        let endpoint = endpoint.map(ToString::to_string);
        let names = self.hosts.names().map(str::to_owned).collect();
        let review = Review::new(plan, &told, &seen, endpoint.as_deref(), names);
        Look { review, seen, report }
    }

    fn carry_out(
        &self,
        plan: &Plan,
        resolver: &Resolver<'_>,
        options: &apply::Options,
        hosts: &Fleet,
        events: &(dyn Fn(Event) + Sync),
    ) -> Report {
        let api = self.api(Arc::clone(&resolver.bundle));
        let etcd = self.etcd.clone().map(Known);
        let world = World {
            hosts,
            api: &api,
            etcd: etcd.as_ref().map_or(&NoEtcd as &dyn EtcdProvider, |known| known),
            resolver,
            images: &CriImages,
            pods: &CriPods,
            clock: &System,
            events,
            interrupt: &self.interrupt,
            options,
        };
        apply::execute(plan, &world)
    }

    /// The hosts that cannot write down how they are, and why.
    fn record_baselines(&self) -> BTreeMap<String, String> {
        let written = side_by_side(self.untouched().iter().collect(), self.parallel, |(name, untouched)| {
            let record = |host: &Arc<dyn Host>| match untouched {
                Ok(untouched) => baseline::record(&**host, untouched.clone(), self.now)
                    .map_err(|error| format!("{error:#}")),
                Err(error) => Err(format!("{error:#}")),
            };
            let why = record(self.hosts.get(name)?).err()?;
            Some((name.clone(), format!("the state before the first change cannot be kept: {why}")))
        });
        written.into_iter().flatten().collect()
    }
}

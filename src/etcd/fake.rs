//! An etcd in memory, with the habits of the real one that callers depend on: one learner at a time, no change while
//! a voter is down, a learner that takes its time to start and to catch up.

use crate::etcd::Etcd;
use crate::etcd::EtcdError;
use crate::etcd::EtcdProvider;
use crate::etcd::Member;
use crate::etcd::MemberId;
use crate::etcd::Status;
use crate::etcd::error::Tried;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// Clients share one cluster. Members are named after the host in their URLs.
#[derive(Debug, Clone)]
pub struct Fake {
    store: Arc<Mutex<Store>>,
}

#[derive(Debug)]
struct Store {
    members: Vec<Member>,
    last_id: u64,
    dead: BTreeSet<String>,
    complaints: BTreeMap<String, String>,
    unplugged: bool,
    /// After how many questions for the members a learner starts; `None` for never.
    starts_after: Option<usize>,
    asked: usize,
    /// How often a learner is not ready before it is.
    lag: usize,
    mutations: usize,
    log: Vec<String>,
    fault: Option<(usize, Fault)>,
}

/// What happens at the n-th change (counted from 0).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is answered with this and not made; later ones succeed.
    Refuse(EtcdError),
    /// The connection is lost before it is made, and etcd stays silent.
    DieBefore,
    /// The connection is lost after it was made, and etcd stays silent.
    DieAfter,
}

impl Fake {
    /// A healthy cluster of these voters, at `https://NAME:2380` and `https://NAME:2379`. Learners start at once.
    pub fn with_voters(names: &[&str]) -> Self {
        let store = Store {
            members: Vec::new(),
            last_id: 0xa0,
            dead: BTreeSet::new(),
            complaints: BTreeMap::new(),
            unplugged: false,
            starts_after: Some(0),
            asked: 0,
            lag: 0,
            mutations: 0,
            log: Vec::new(),
            fault: None,
        };
        let fake = Self { store: Arc::new(Mutex::new(store)) };
        for name in names {
            let mut store = fake.lock();
            let peer_url = format!("https://{name}:2380");
            store.add(&peer_url, false);
            store.start(&peer_url);
        }
        fake
    }

    /// Learners start after they were asked for so often; with `None` never.
    pub fn learners_start_after(&self, questions: Option<usize>) {
        self.lock().starts_after = questions;
    }

    /// The next promotions are refused so often because the learner lags behind.
    pub fn lag(&self, times: usize) {
        self.lock().lag = times;
    }

    /// A member stops answering.
    pub fn kill(&self, name: &str) {
        self.lock().dead.insert(name.to_owned());
    }

    /// A member answers, and complains.
    pub fn complain(&self, name: &str, what: &str) {
        self.lock().complaints.insert(name.to_owned(), what.to_owned());
    }

    /// Stops or goes on answering.
    pub fn unplug(&self, unplugged: bool) {
        self.lock().unplugged = unplugged;
    }

    pub fn break_at(&self, turn: usize, fault: Fault) {
        self.lock().fault = Some((turn, fault));
    }

    /// Ends every fault, and revives the dead.
    pub fn heal(&self) {
        let mut store = self.lock();
        store.fault = None;
        store.unplugged = false;
        store.dead.clear();
    }

    pub fn members(&self) -> Vec<Member> {
        self.lock().members.clone()
    }

    /// How many changes were asked for so far.
    pub fn mutations(&self) -> usize {
        self.lock().mutations
    }

    /// Every change that was made: `add https://cp2:2380`.
    pub fn log(&self) -> Vec<String> {
        self.lock().log.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(
        &self,
        work: impl FnOnce(&mut Store) -> Result<String, EtcdError>,
    ) -> Result<Vec<Member>, EtcdError> {
        let mut store = self.lock();
        if store.unplugged {
            return Err(silent("etcd"));
        }
        let turn = store.mutations;
        store.mutations += 1;
        let fault = store.fault.clone().filter(|(at, _)| *at == turn).map(|(_, fault)| fault);
        match fault {
            Some(Fault::Refuse(error)) => return Err(error),
            Some(Fault::DieBefore) => {
                store.unplugged = true;
                return Err(silent("etcd"));
            }
            _ => {}
        }
        let done = work(&mut store)?;
        store.log.push(done);
        if fault == Some(Fault::DieAfter) {
            store.unplugged = true;
            return Err(silent("etcd"));
        }
        Ok(store.members.clone())
    }
}

impl Store {
    fn add(&mut self, peer_url: &str, is_learner: bool) {
        self.last_id += 1;
        self.members.push(Member {
            id: MemberId(self.last_id),
            name: String::new(),
            peer_urls: vec![peer_url.to_owned()],
            client_urls: Vec::new(),
            is_learner,
        });
        self.asked = 0;
    }

    fn start(&mut self, peer_url: &str) {
        let host = peer_url.trim_start_matches("https://").trim_end_matches(":2380").to_owned();
        for member in self.members.iter_mut().filter(|member| member.has_peer_url(peer_url)) {
            member.client_urls = vec![format!("https://{host}:2379")];
            member.name.clone_from(&host);
        }
    }

    fn start_learner(&mut self) {
        let waiting = self.members.iter().find(|member| !member.has_started());
        let Some(url) = waiting.and_then(|member| member.peer_urls.first().cloned()) else { return };
        if self.starts_after.is_some_and(|after| self.asked > after) {
            self.start(&url);
        }
        self.asked += 1;
    }

    fn position(&self, id: MemberId) -> Result<usize, EtcdError> {
        self.members.iter().position(|member| member.id == id).ok_or(EtcdError::MemberNotFound)
    }

    fn voters(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| !member.is_learner)
    }

    fn dead_voters(&self) -> usize {
        self.voters().filter(|member| self.dead.contains(&member.name)).count()
    }

    fn expect_quorum(&self) -> Result<(), EtcdError> {
        let lost = self.dead_voters() * 2 >= self.voters().count();
        if lost { Err(EtcdError::Unhealthy { message: "no leader".to_owned() }) } else { Ok(()) }
    }
}

impl Etcd for Fake {
    fn member_list(&self) -> Result<Vec<Member>, EtcdError> {
        let mut store = self.lock();
        if store.unplugged {
            return Err(silent("etcd"));
        }
        store.start_learner();
        Ok(store.members.clone())
    }

    fn member_add_learner(&self, peer_url: &str) -> Result<Vec<Member>, EtcdError> {
        self.change(|store| {
            store.expect_quorum()?;
            if store.members.iter().any(|member| member.has_peer_url(peer_url)) {
                return Err(EtcdError::PeerUrlExists);
            }
            if store.members.iter().any(|member| member.is_learner) {
                return Err(EtcdError::TooManyLearners);
            }
            if store.dead_voters() > 0 {
                return Err(EtcdError::Unhealthy { message: "unhealthy cluster".to_owned() });
            }
            store.add(peer_url, true);
            Ok(format!("add {peer_url}"))
        })
    }

    fn member_promote(&self, id: MemberId) -> Result<Vec<Member>, EtcdError> {
        self.change(|store| {
            store.expect_quorum()?;
            let at = store.position(id)?;
            if !store.members[at].is_learner {
                return Err(EtcdError::NotLearner);
            }
            if store.lag > 0 || !store.members[at].has_started() {
                store.lag = store.lag.saturating_sub(1);
                return Err(EtcdError::NotReady);
            }
            store.members[at].is_learner = false;
            Ok(format!("promote {}", store.members[at].peer_urls.join(",")))
        })
    }

    fn member_remove(&self, id: MemberId) -> Result<Vec<Member>, EtcdError> {
        self.change(|store| {
            store.expect_quorum()?;
            let at = store.position(id)?;
            let gone = store.members.remove(at);
            Ok(format!("remove {}", gone.peer_urls.join(",")))
        })
    }

    fn status(&self, endpoint: &str) -> Result<Status, EtcdError> {
        let store = self.lock();
        let here = |member: &&Member| member.client_urls.iter().any(|url| url == endpoint);
        let member = store.members.iter().find(here).filter(|member| !store.dead.contains(&member.name));
        let member = member.filter(|_| !store.unplugged).ok_or_else(|| silent(endpoint))?;
        Ok(Status {
            version: "3.6.8".to_owned(),
            db_size: 20_480,
            leader: store.voters().find(|member| !store.dead.contains(&member.name)).map(|member| member.id),
            raft_index: 100,
            errors: store.complaints.get(&member.name).cloned().into_iter().collect(),
            is_learner: member.is_learner,
        })
    }

    fn snapshot(&self, into: &mut dyn io::Write) -> Result<u64, EtcdError> {
        let store = b"a store of no use";
        into.write_all(store).map_err(|error| EtcdError::Unusable { why: error.to_string() })?;
        Ok(store.len() as u64)
    }
}

impl EtcdProvider for Fake {
    fn client(&self) -> Result<Arc<dyn Etcd>, EtcdError> {
        Ok(Arc::new(self.clone()))
    }
}

fn silent(endpoint: &str) -> EtcdError {
    EtcdError::Unreachable(Tried(vec![(endpoint.to_owned(), "connection refused".to_owned())]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behaves_like_etcd() {
        let etcd = Fake::with_voters(&["cp1"]);
        etcd.learners_start_after(Some(1));
        let members = etcd.member_add_learner("https://cp2:2380").unwrap();
        let id = members[1].id;
        assert_eq!(etcd.member_add_learner("https://cp2:2380"), Err(EtcdError::PeerUrlExists));
        assert_eq!(etcd.member_add_learner("https://cp3:2380"), Err(EtcdError::TooManyLearners));
        assert_eq!(etcd.member_promote(id), Err(EtcdError::NotReady));
        let started = || etcd.member_list().unwrap()[1].has_started();
        assert_eq!([started(), started(), started()], [false, false, true]);
        etcd.member_promote(id).unwrap();
        assert_eq!(etcd.member_promote(id), Err(EtcdError::NotLearner));
        etcd.kill("cp2");
        assert!(matches!(etcd.member_add_learner("https://cp3:2380"), Err(EtcdError::Unhealthy { .. })));
        etcd.heal();
        etcd.member_remove(id).unwrap();
        assert_eq!(etcd.member_remove(id), Err(EtcdError::MemberNotFound));
        assert_eq!(
            etcd.log(),
            ["add https://cp2:2380", "promote https://cp2:2380", "remove https://cp2:2380"]
        );
    }
}

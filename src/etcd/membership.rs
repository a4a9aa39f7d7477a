//! Who the members of an etcd are, and how they are: what a plan is made from.

use crate::etcd::Etcd;
use crate::etcd::EtcdError;
use crate::etcd::Member;
use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Membership {
    /// In etcd's order.
    pub members: Vec<Member>,
    /// Of the members with a vote, in the same order.
    pub health: Vec<EndpointHealth>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointHealth {
    /// A member's first client URL, or its name for people where it has none.
    pub endpoint: String,
    /// What is wrong with it; `None` when it answers without complaint.
    pub error: Option<String>,
}

impl Membership {
    /// Asks for the members, and each of those with a vote how it is.
    ///
    /// # Errors
    /// Nobody tells who the members are.
    pub fn gather(etcd: &dyn Etcd) -> Result<Self, EtcdError> {
        let members = etcd.member_list()?;
        let health =
            members.iter().filter(|member| !member.is_learner).map(|member| health(etcd, member)).collect();
        Ok(Self { members, health })
    }

    /// Whether more than half of the voters answer without errors, which is kubeadm's rule.
    pub fn healthy(&self) -> bool {
        self.health.iter().filter(|one| one.error.is_none()).count() * 2 > self.health.len()
    }

    /// The same without the member with this peer URL.
    pub fn forget(&mut self, url: &str) {
        let mut voters = self.members.iter().filter(|member| !member.is_learner);
        let gone = voters.position(|member| member.has_peer_url(url)).filter(|at| *at < self.health.len());
        gone.map(|at| self.health.remove(at));
        self.members.retain(|member| !member.has_peer_url(url));
    }

    /// The member with this peer URL.
    pub fn by_peer_url(&self, url: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.has_peer_url(url))
    }

    /// The member with this peer URL, when it has ever run.
    pub fn started(&self, url: &str) -> Option<&Member> {
        self.by_peer_url(url).filter(|member| member.has_started())
    }

    /// The members with a vote that do not answer, or complain, and how they are.
    pub fn sick_members(&self) -> impl Iterator<Item = (&Member, &EndpointHealth)> {
        let voters = self.members.iter().filter(|member| !member.is_learner);
        voters.zip(&self.health).filter(|(_, health)| health.error.is_some())
    }

    /// The voters that do not answer, or complain.
    pub fn sick(&self) -> impl Iterator<Item = &EndpointHealth> {
        self.health.iter().filter(|one| one.error.is_some())
    }
}

fn health(etcd: &dyn Etcd, member: &Member) -> EndpointHealth {
    let Some(endpoint) = member.client_urls.first() else {
        return EndpointHealth { endpoint: member.to_string(), error: Some("it has not started".to_owned()) };
    };
    let error = match etcd.status(endpoint) {
        Ok(status) if status.errors.is_empty() => None,
        Ok(status) => Some(status.errors.join(", ")),
        Err(EtcdError::Unreachable(tried) | EtcdError::TlsRefused(tried)) => {
            Some(tried.0.into_iter().map(|(_, reason)| reason).collect::<Vec<_>>().join(", "))
        }
        Err(error) => Some(error.to_string()),
    };
    EndpointHealth { endpoint: endpoint.clone(), error }
}

/// `https://192.0.2.3:2379 (connection refused)`.
impl fmt::Display for EndpointHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            Some(error) => write!(f, "{} ({error})", self.endpoint),
            None => f.write_str(&self.endpoint),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etcd::Fake;

    #[test]
    fn more_than_half_must_answer() {
        for (voters, dead, healthy) in [
            (1, 0, true),
            (1, 1, false),
            (2, 1, false),
            (3, 1, true),
            (3, 2, false),
            (4, 2, false),
            (5, 2, true),
        ] {
            let names = &["cp1", "cp2", "cp3", "cp4", "cp5"][..voters];
            let fake = Fake::with_voters(names);
            names.iter().rev().take(dead).for_each(|name| fake.kill(name));
            let found = Membership::gather(&fake).unwrap();
            assert_eq!(found.healthy(), healthy, "{voters} voters, {dead} dead: {found:?}");
            assert_eq!(found.sick().count(), dead);
        }
        assert!(!Membership::default().healthy());
    }

    #[test]
    fn a_learner_does_not_count_and_a_complaint_does() {
        let fake = Fake::with_voters(&["cp1", "cp2", "cp3"]);
        fake.member_add_learner("https://cp4:2380").unwrap();
        fake.complain("cp2", "NOSPACE");
        let found = Membership::gather(&fake).unwrap();
        assert_eq!((found.members.len(), found.health.len()), (4, 3));
        assert_eq!(found.sick().map(ToString::to_string).collect::<Vec<_>>(), ["https://cp2:2379 (NOSPACE)"]);
        assert!(found.healthy());
        assert!(!found.by_peer_url("https://cp4:2380").unwrap().has_started());
    }
}

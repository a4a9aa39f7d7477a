//! An etcd that is looked at but not changed.

use crate::etcd::Etcd;
use crate::etcd::EtcdError;
use crate::etcd::Member;
use crate::etcd::MemberId;
use crate::etcd::Status;
use std::fmt;
use std::io;
use std::sync::Arc;

/// Looking passes through, every change is refused.
#[derive(Clone)]
pub struct DryRun {
    real: Arc<dyn Etcd>,
}

impl DryRun {
    pub fn new(real: Arc<dyn Etcd>) -> Self {
        Self { real }
    }
}

impl Etcd for DryRun {
    fn member_list(&self) -> Result<Vec<Member>, EtcdError> {
        self.real.member_list()
    }

    fn member_add_learner(&self, peer_url: &str) -> Result<Vec<Member>, EtcdError> {
        refused(format!("adding {peer_url} to etcd"))
    }

    fn member_promote(&self, id: MemberId) -> Result<Vec<Member>, EtcdError> {
        refused(format!("promoting etcd's member {id}"))
    }

    fn member_remove(&self, id: MemberId) -> Result<Vec<Member>, EtcdError> {
        refused(format!("removing etcd's member {id}"))
    }

    fn status(&self, endpoint: &str) -> Result<Status, EtcdError> {
        self.real.status(endpoint)
    }

    fn snapshot(&self, into: &mut dyn io::Write) -> Result<u64, EtcdError> {
        self.real.snapshot(into)
    }
}

fn refused<T>(what: String) -> Result<T, EtcdError> {
    Err(EtcdError::DryRun { what })
}

impl fmt::Debug for DryRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DryRun")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etcd::Fake;

    #[test]
    fn looks_and_changes_nothing() {
        let fake = Fake::with_voters(&["cp1"]);
        let dry = DryRun::new(Arc::new(fake.clone()));
        let members = dry.member_list().unwrap();
        assert!(dry.status(&members[0].client_urls[0]).is_ok());
        for refused in [
            dry.member_add_learner("https://cp2:2380"),
            dry.member_promote(members[0].id),
            dry.member_remove(members[0].id),
        ] {
            assert!(matches!(refused, Err(EtcdError::DryRun { .. })));
        }
        assert_eq!(fake.mutations(), 0);
    }
}

//! Whether etcd's data is on a host, once etcd has told who its members are.

use crate::etcd::Member;
use crate::facts::HostFacts;
use crate::host::Command;
use crate::host::Host;

/// Asks a host again that had no data when it was asked, and whose member has started by now: a kubelet that an
/// interrupted run has left behind may have started it since. A host that is wrongly taken for lost would lose a member
/// that is alive, so only a clear no counts.
pub fn look_again(host: &dyn Host, data: &str, member: Option<&Member>, facts: &mut HostFacts) {
    if facts.existing_paths.contains(data) || !member.is_some_and(Member::has_started) {
        return;
    }
    let said = host.run(&Command::query("test").args(["-e", data]));
    if !said.is_ok_and(|output| output.status == 1) {
        facts.existing_paths.insert(data.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etcd::MemberId;
    use crate::host::fake::Fake;
    use crate::host::fake::said;

    const DATA: &str = "/var/lib/etcd/member";

    /// Whether a host without data counts as one that has some, by its member and by what it says when it is asked
    /// again.
    fn has_data(member: Option<&Member>, again: i32) -> bool {
        let host = Fake::new("cp1").on(&["test", "-e", DATA], said(again, ""));
        let mut facts = HostFacts::assumed("cp1");
        look_again(&host, DATA, member, &mut facts);
        facts.existing_paths.contains(DATA)
    }

    #[test]
    fn data_that_came_since_is_seen() {
        let member = |name: &str, is_learner| Member {
            id: MemberId(1),
            name: name.to_owned(),
            peer_urls: Vec::new(),
            client_urls: Vec::new(),
            is_learner,
        };
        let runs = member("cp1", true);
        assert!(has_data(Some(&runs), 0));
        assert!(!has_data(Some(&runs), 1), "it is lost");
        assert!(has_data(Some(&runs), 255), "nobody can tell");
        assert!(has_data(Some(&member("", false)), 0), "whoever has a vote may have run");
        assert!(!has_data(Some(&member("", true)), 0), "it is awaited");
        assert!(!has_data(None, 0), "etcd does not know it");
    }
}

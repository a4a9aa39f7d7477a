//! Members of the cluster's own etcd in a plan, by the URL at which their peers reach them.

use crate::cluster::GoDuration;

/// A change of etcd's members that is made so, and repeated for as long as `limit` while etcd is not ready for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberSpec {
    /// `https://192.0.2.2:2380`.
    pub peer_url: String,
    pub change: MemberChange,
    pub limit: GoDuration,
    /// How long at most while etcd says that it is not healthy enough for the change.
    pub unhealthy: GoDuration,
    /// A failure is a warning.
    pub best_effort: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberChange {
    /// It is among the members; a new one is a learner. etcd takes one learner at a time, so this may have to wait for
    /// another host.
    Announce,
    /// It has a vote.
    Promote,
    /// It is not among the members. The last member of a cluster stays.
    Remove,
    /// It is not among the members, if this run announced it and it has no vote; otherwise it stays, and whatever else
    /// was to be undone after it as well.
    Withdraw,
}

impl MemberSpec {
    pub(super) fn subject(&self) -> String {
        match self.change {
            MemberChange::Promote => vote(&self.peer_url),
            _ => format!("etcd member {}", self.peer_url),
        }
    }
}

/// What a member has once it was promoted, as a step's subject: another thing than a member that was only announced.
pub fn vote(peer_url: &str) -> String {
    format!("vote of etcd member {peer_url}")
}

/// Stands in the text where etcd's members belong.
const HOLE: &str = "<as etcd lists them>";

/// The manifest of an etcd that joins a running one: all but the members, which only etcd can say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoiningManifest {
    /// With [`JoiningManifest::hole`] at most once; not at all where the operator says the members.
    pub text: String,
    /// What the joining member is called.
    pub name: String,
    pub peer_url: String,
}

impl JoiningManifest {
    pub const fn hole() -> &'static str {
        HOLE
    }

    /// The manifest with these members: `cp1=https://192.0.2.1:2380,cp2=https://192.0.2.2:2380`.
    pub fn filled(&self, members: &str) -> String {
        self.text.replacen(HOLE, members, 1)
    }

    /// Whether another text is the same manifest with any members.
    pub fn fits(&self, text: &str) -> bool {
        match self.text.split_once(HOLE) {
            None => self.text == text,
            Some((before, after)) => text
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after))
                .is_some_and(|members| !members.contains(char::is_whitespace)),
        }
    }
}

impl MemberChange {
    /// For programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Announce => "announce",
            Self::Promote => "promote",
            Self::Remove => "remove",
            Self::Withdraw => "withdraw",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_the_same_with_any_members() {
        let text = format!("- --initial-cluster={}\n- --name=cp2\n", JoiningManifest::hole());
        let manifest = JoiningManifest { text, name: "cp2".into(), peer_url: "https://b:2380".into() };
        assert_eq!(manifest.filled("cp2=b"), "- --initial-cluster=cp2=b\n- --name=cp2\n");
        for (text, same) in [
            ("- --initial-cluster=cp1=a,cp2=b\n- --name=cp2\n", true),
            ("- --initial-cluster=\n- --name=cp2\n", true),
            ("- --initial-cluster=cp2=b\n- --name=cp3\n", false),
            ("- --initial-cluster=cp2=b\n- --new=x\n- --name=cp2\n", false),
            ("", false),
        ] {
            assert_eq!(manifest.fits(text), same, "{text}");
        }
        let fixed = JoiningManifest { text: "x".into(), ..manifest };
        assert_eq!((fixed.filled("cp2=b").as_str(), fixed.fits("x"), fixed.fits("y")), ("x", true, false));
    }
}

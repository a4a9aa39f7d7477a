//! System accounts: who has a number, and which numbers may be given out.

use serde::Deserialize;
use serde::Serialize;

/// The text files of a host; the default is a host on which nobody has an account of interest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Accounts {
    /// `/etc/passwd`.
    pub users: Vec<User>,
    /// `/etc/group`.
    pub groups: Vec<Group>,
    /// `SYS_UID_MIN` and `SYS_UID_MAX` of `/etc/login.defs`.
    pub system_users: IdRange,
    /// `SYS_GID_MIN` and `SYS_GID_MAX`.
    pub system_groups: IdRange,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub name: String,
    pub user: u32,
    pub group: u32,
    pub shell: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub name: String,
    pub group: u32,
    pub members: Vec<String>,
}

/// Both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRange {
    pub min: u32,
    pub max: u32,
}

impl Default for IdRange {
    /// What kubeadm takes where `/etc/login.defs` says nothing.
    fn default() -> Self {
        Self { min: 100, max: 999 }
    }
}

impl IdRange {
    pub fn contains(self, id: u32) -> bool {
        (self.min..=self.max).contains(&id)
    }
}

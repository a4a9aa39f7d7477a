//! What a member of etcd was started with, read from its static pod.

use serde::Deserialize;
use serde::Serialize;

/// Flags that matter to an etcd without data only, and stay in the manifest for as long as it lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EtcdStart {
    /// `--initial-cluster`: `cp1=https://192.0.2.1:2380,cp2=https://192.0.2.2:2380`.
    pub members: String,
    /// `--initial-cluster-state=existing`: it joined others that ran.
    #[serde(default)]
    pub existing: bool,
}

impl EtcdStart {
    /// From the text of a manifest; `None` when it says nothing of it.
    pub fn of_manifest(text: &str) -> Option<Self> {
        let flag =
            |name: &str| text.lines().find_map(|line| line.trim().strip_prefix("- ")?.strip_prefix(name));
        let members = flag("--initial-cluster=")?.trim_matches(['"', '\'']).to_owned();
        let existing = flag("--initial-cluster-state=").is_some_and(|state| state == "existing");
        Some(Self { members, existing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_flags() {
        let text = |state: &str| {
            format!("  - command:\n    - etcd\n    - --initial-cluster=a=https://x:2380\n{state}")
        };
        let start = |existing| Some(EtcdStart { members: "a=https://x:2380".to_owned(), existing });
        assert_eq!(EtcdStart::of_manifest(&text("")), start(false));
        assert_eq!(EtcdStart::of_manifest(&text("    - --initial-cluster-state=existing\n")), start(true));
        assert_eq!(EtcdStart::of_manifest("kind: Pod\n"), None);
    }
}

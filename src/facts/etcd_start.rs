//! What a member of etcd was started with, and which etcd an API server uses, read from their static pods.

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
        let members = flag(text, "--initial-cluster=")?.to_owned();
        let existing = flag(text, "--initial-cluster-state=").is_some_and(|state| state == "existing");
        Some(Self { members, existing })
    }
}

/// The URLs in the manifest of an API server.
pub fn servers_of_manifest(text: &str) -> Vec<String> {
    let servers = flag(text, "--etcd-servers=").into_iter().flat_map(|servers| servers.split(','));
    servers.map(str::to_owned).collect()
}

fn flag<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let value = text.lines().find_map(|line| line.trim().strip_prefix("- ")?.strip_prefix(name))?;
    Some(value.trim_matches(['"', '\'']))
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

    #[test]
    fn reads_where_an_api_server_has_its_data() {
        let text = "    - --etcd-cafile=/x\n    - --etcd-servers=https://a:2379,https://b:2379\n";
        assert_eq!(servers_of_manifest(text), ["https://a:2379", "https://b:2379"]);
        assert_eq!(servers_of_manifest("kind: Pod\n"), Vec::<String>::new());
    }
}

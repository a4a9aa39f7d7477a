//! The member of etcd on this host, which leaves before it stops: the others would wait for it, and a new member on
//! the same host would be refused.

use super::Etcd;
use super::Facts;
use super::Undo;
use crate::phase::Draft;
use crate::plan::Action;
use crate::plan::MemberChange;
use crate::plan::MemberSpec;
use serde_json::Value;
use std::collections::BTreeSet;

/// Its data goes later, when nothing writes there any more. What remains of a member shows in etcd and nowhere on this
/// host, so that this is no part of the proof.
pub(super) fn undo(facts: &Facts) -> Vec<Undo> {
    let Some(peer_url) = facts.etcd.peer_url.clone() else { return Vec::new() };
    let spec = MemberSpec {
        peer_url,
        change: MemberChange::Remove,
        limit: facts.choices.etcd_timeout,
        unhealthy: facts.choices.etcd_timeout,
        best_effort: true,
    };
    let reason = "the other members would wait for it, and refuse a new one on this host";
    vec![Undo::new(Draft::new("etcd's member on this host removed", reason, Action::Member(spec))).minor()]
}

impl Etcd {
    /// What the manifest of a static pod of etcd says; nothing for a text that is none.
    pub fn of_manifest(text: &str) -> Self {
        let pod: Value = serde_yaml::from_str(text).unwrap_or_default();
        let list =
            |pointer: &str| pod.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
        let data = list("/spec/volumes").into_iter().find(|volume| volume["name"] == "etcd-data");
        let words: Vec<String> = ["/spec/containers/0/command", "/spec/containers/0/args"]
            .iter()
            .flat_map(|pointer| list(pointer))
            .filter_map(|word| word.as_str().map(str::to_owned))
            .collect();
        let flag = |name: &str| {
            words.iter().find_map(|word| word.strip_prefix("--")?.strip_prefix(name)?.strip_prefix('='))
        };
        let first = |name| flag(name).and_then(|urls| urls.split(',').next()).map(str::to_owned);
        let own = first("advertise-client-urls");
        let port = own.as_deref().and_then(|url| url.rsplit(':').next()?.parse::<u16>().ok()).unwrap_or(2379);
        // The others listen for clients where their peers find them, at the same port as this one.
        let peers = flag("initial-cluster")
            .unwrap_or_default()
            .split(',')
            .filter_map(|member| member.split_once('='));
        let others = peers.filter_map(|(_, url)| Some(format!("{}:{port}", url.rsplit_once(':')?.0)));
        let mut seen = BTreeSet::new();
        Self {
            data_dir: data.and_then(|volume| volume["hostPath"]["path"].as_str().map(str::to_owned)),
            peer_url: first("initial-advertise-peer-urls"),
            endpoints: own.into_iter().chain(others).filter(|url| seen.insert(url.clone())).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_manifest() {
        let text = "kind: Pod\nspec:\n  containers:\n  - command:\n    - etcd\n    - --advertise-client-urls=https://192.0.2.1:2379\n\
                    \u{20}   - --initial-advertise-peer-urls=https://192.0.2.1:2380\n\
                    \u{20}   - --initial-cluster=cp2=https://192.0.2.2:2380,cp1=https://192.0.2.1:2380\n\
                    \u{20} volumes:\n  - name: etcd-certs\n    hostPath: {path: /x}\n  - name: etcd-data\n    hostPath: {path: /srv/etcd}\n";
        let etcd = Etcd::of_manifest(text);
        assert_eq!(etcd.data_dir.as_deref(), Some("/srv/etcd"));
        assert_eq!(etcd.peer_url.as_deref(), Some("https://192.0.2.1:2380"));
        assert_eq!(etcd.endpoints, ["https://192.0.2.1:2379", "https://192.0.2.2:2379"]);
        for text in ["", "x", "[1]", "kind: Pod\nspec: {}\n"] {
            assert_eq!(Etcd::of_manifest(text), Etcd::default(), "{text}");
        }
    }
}

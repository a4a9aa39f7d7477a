//! `--limit`: some of the hosts, by name or by role.

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cluster::Cluster;
use crate::cluster::Node;
use crate::cluster::Role;
use std::collections::BTreeSet;

type HasRole = fn(&Node) -> bool;

/// The words for roles, as the `Cluster` document has them.
const ROLES: [(&str, HasRole); 4] = [
    ("control-plane", Node::is_control_plane),
    ("worker", |node| node.becomes_node() && !node.is_control_plane()),
    ("load-balancer", |node| node.roles.contains(&Role::LoadBalancer)),
    ("etcd", Node::is_etcd_host),
];

/// The hosts that some words name; `None` without words: all of them.
///
/// # Errors
/// A word names nothing; all of those are listed.
pub(super) fn resolve(cluster: &Cluster, words: &[String]) -> Result<Option<BTreeSet<String>>, CliError> {
    if words.is_empty() {
        return Ok(None);
    }
    let mut hosts = BTreeSet::new();
    let mut unknown = Vec::new();
    for word in words.iter().map(|word| word.trim()) {
        let before = hosts.len();
        let role = ROLES.iter().find(|(name, _)| *name == word);
        let of_role = |node: &&Node| role.is_some_and(|(_, has)| has(node));
        let named = cluster.nodes.iter().filter(|node| node.name == word || of_role(node));
        hosts.extend(named.map(|node| node.name.clone()));
        let known = cluster.nodes.iter().any(|node| node.name == word);
        if !known && hosts.len() == before && !cluster.nodes.iter().any(|node| of_role(&node)) {
            unknown.push(complaint(cluster, word, role.is_some()));
        }
    }
    if unknown.is_empty() {
        return Ok(Some(hosts));
    }
    let error = CliError::new(Exit::Usage, anyhow::anyhow!("--limit: {}", unknown.join("; ")));
    let roles = ROLES.map(|(name, _)| name).join(", ");
    Err(error.hint(format!("a limit names hosts of the file, or roles: {roles}")))
}

fn complaint(cluster: &Cluster, word: &str, is_role: bool) -> String {
    if is_role {
        return format!("no host has the role `{word}`");
    }
    let names = cluster.nodes.iter().map(|node| node.name.as_str()).chain(ROLES.map(|(name, _)| name));
    let nearest = names
        .map(|name| (strsim::jaro_winkler(word, name), name))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let suggestion = nearest.map(|(_, name)| format!(" (did you mean `{name}`?)")).unwrap_or_default();
    format!("there is no host or role `{word}`{suggestion}")
}

//! Connecting to every host of a cluster.

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::settings::Settings;
use crate::cluster::Cluster;
use crate::host::Fleet;
use crate::host::ssh;
use crate::host::ssh::Operator;
use crate::host::ssh::config::SshConfig;
use crate::host::ssh::prompt::Answers;
use crate::host::ssh::prompt::Nobody;
use crate::report::Reporter;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Connects to all hosts side by side; every host that cannot be reached is in the error.
///
/// # Errors
/// A host cannot be reached.
pub(in crate::cli) fn connect(
    cluster: &Cluster,
    parallel: usize,
    settings: &Settings,
    reporter: &Reporter,
) -> Result<Fleet, CliError> {
    let (fleet, troubles) = reach(cluster, parallel, settings, reporter);
    if troubles.is_empty() {
        return Ok(fleet);
    }
    let error = anyhow::anyhow!(
        "{} of {} hosts cannot be reached:\n  {}",
        troubles.len(),
        cluster.nodes.len(),
        troubles.into_values().collect::<Vec<_>>().join("\n  ")
    );
    Err(CliError::new(Exit::Host, error).hint("nothing was changed"))
}

/// Connects to all hosts side by side: those that can be reached, and why the others cannot.
pub(in crate::cli) fn reach(
    cluster: &Cluster,
    parallel: usize,
    settings: &Settings,
    reporter: &Reporter,
) -> (Fleet, BTreeMap<String, String>) {
    let _ = reporter;
    let hosts: Vec<_> =
        cluster.nodes.iter().filter_map(|node| Some((node.name.clone(), node.access.clone()?))).collect();
    let names: Vec<String> = hosts.iter().map(|(name, _)| name.clone()).collect();
    let mut fleet = Fleet::new();
    let mut troubles = BTreeMap::new();
    for (name, answer) in names.into_iter().zip(ssh::connect_all(hosts, &operator(settings), parallel)) {
        match answer {
            Ok(host) => fleet.insert(Arc::new(host)),
            Err(error) => drop(troubles.insert(name, error.to_string())),
        }
    }
    (fleet, troubles)
}

fn operator(_: &Settings) -> Operator {
    let home = PathBuf::from("/root");
    Operator {
        known_hosts: vec![home.join(".ssh/known_hosts")],
        home: Some(home),
        user: Some("root".into()),
        agent: None,
        password: None,
        sudo_password: None,
        passphrase: None,
        config: SshConfig::default(),
        answers: Answers::new(Arc::new(Nobody)),
    }
}

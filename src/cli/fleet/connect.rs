//! Connecting to every host of a cluster.

use crate::cli::settings::Settings;
use crate::cluster::Cluster;
use crate::host::Fleet;
use crate::host::ssh;
use crate::host::ssh::Operator;
use crate::host::ssh::config::SshConfig;
use crate::host::ssh::prompt::Answers;
use crate::host::ssh::prompt::Nobody;
use crate::preflight::fleet::Unreachable;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The hosts that are reached, and why the others are not.
#[derive(Debug, Default)]
pub(in crate::cli) struct Connected {
    pub hosts: Fleet,
    pub unreachable: BTreeMap<String, Unreachable>,
}

/// Connects to all hosts side by side.
pub(in crate::cli) fn connect(cluster: &Cluster, parallel: usize, settings: &Settings) -> Connected {
    let hosts: Vec<_> =
        cluster.nodes.iter().filter_map(|node| Some((node.name.clone(), node.access.clone()?))).collect();
    let mut connected = Connected::default();
    for answer in ssh::connect_all(hosts, &operator(settings), parallel) {
        match answer {
            Ok(host) => connected.hosts.insert(Arc::new(host)),
            Err(error) => {
                let repair = error.hint.unwrap_or_default();
                connected.unreachable.insert(error.host, Unreachable { why: error.message, repair });
            }
        }
    }
    connected
}

fn operator(settings: &Settings) -> Operator {
    let home = PathBuf::from(settings.home.clone().unwrap_or_default());
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

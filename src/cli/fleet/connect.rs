//! Connecting to every host of a cluster.

use crate::cli::settings::Settings;
use crate::cli::terminal::Terminal;
use crate::cluster::Cluster;
use crate::host::Fleet;
use crate::host::ssh;
use crate::host::ssh::Operator;
use crate::host::ssh::SshError;
use crate::preflight::fleet::Unreachable;
use crate::report::Event;
use crate::report::Reporter;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The hosts that are reached, and why the others are not.
#[derive(Debug, Default)]
pub(in crate::cli) struct Connected {
    pub hosts: Fleet,
    pub unreachable: BTreeMap<String, Unreachable>,
}

impl Connected {
    fn refuse(&mut self, host: String, error: SshError) {
        let repair = error.hint.unwrap_or_default();
        self.unreachable.insert(host, Unreachable { why: error.message, repair });
    }
}

/// Connects to all hosts side by side.
pub(in crate::cli) fn connect(
    cluster: &Cluster,
    parallel: usize,
    settings: &Settings,
    reporter: &Reporter,
) -> Connected {
    let hosts: Vec<_> =
        cluster.nodes.iter().filter_map(|node| Some((node.name.clone(), node.access.clone()?))).collect();
    let mut connected = Connected::default();
    let operator = match Operator::new(settings.ssh.clone(), Arc::new(Terminal::new(settings.terminal))) {
        Ok(operator) => operator,
        Err(error) => {
            for (host, _) in hosts {
                connected.refuse(host, error.clone());
            }
            return connected;
        }
    };
    for message in operator.config.warnings.clone() {
        reporter.tell(&Event::Warning { host: None, message, hint: None });
    }
    for answer in ssh::connect_all(hosts, &operator, parallel) {
        match answer {
            Ok(host) => connected.hosts.insert(Arc::new(host)),
            Err(error) => connected.refuse(error.host.clone(), error),
        }
    }
    connected
}

//! Names of the hosts, interfaces that others must leave alone, and labels of `SELinux`.

use super::Preparing;
use super::file;
use super::rendered;
use super::run;
use super::sh;
use crate::cluster::Cluster;
use crate::facts::question::HOSTS_FILE;
use crate::host::Command;
use crate::plan::Action;
use crate::plan::ServiceSpec;
use crate::plan::Step;
use serde::Serialize;
use std::fmt::Write as _;

const BEGIN: &str = "# BEGIN kubewright\n";
const END: &str = "# END kubewright\n";
const UNMANAGED: &str = "/etc/NetworkManager/conf.d/kubewright.conf";

#[derive(Serialize)]
struct Nothing {}

impl Preparing<'_> {
    pub(super) fn network(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.cluster.prepare.etc_hosts {
            let there = self.facts.texts.get(HOSTS_FILE).map(String::as_str).unwrap_or_default();
            let reason = "the hosts know each other without a name server";
            steps.push(self.step(
                "network",
                HOSTS_FILE,
                reason,
                file(HOSTS_FILE, with_hosts(there, self.cluster)),
            ));
        }
        if self.checks.is_active("NetworkManager") && self.node.becomes_node() {
            let text = rendered("etc/NetworkManager/conf.d/kubewright.conf", &Nothing {});
            let reason = "NetworkManager would take the pod network's interfaces for its own";
            steps.push(self.step("network", "pod interfaces unmanaged", reason, file(UNMANAGED, text)));
            let action = Action::Service(ServiceSpec {
                unit: "NetworkManager".to_owned(),
                enabled: None,
                restart_on: vec![UNMANAGED.to_owned()],
                reload_on: Vec::new(),
                anew: None,
                best_effort: true,
            });
            steps.push(self.step("network", "NetworkManager knows", "its configuration changed", action));
        }
        steps
    }

    /// A static pod may only write where its label lets it.
    pub(super) fn labels(&self) -> Vec<Step> {
        let data = self.cluster.configuration.etcd.local.as_ref().map(|etcd| etcd.data_dir.as_str());
        let Some(data) = data.filter(|_| self.cluster.runs_etcd(self.node) && self.selinux_for_containers())
        else {
            return Vec::new();
        };
        let reason = "with SELinux, etcd's container may write only where the label says so";
        let directory = Action::Directory { path: data.to_owned(), mode: 0o700 };
        let label = Command::change("chcon").args(["-R", "-t", "container_file_t", data]);
        let labelled = sh(r#"stat -c %C "$1" | grep -q ':container_file_t:'"#).arg(data);
        vec![
            self.step("runtime", "directory of etcd's data", reason, directory),
            self.step("runtime", "SELinux label of etcd's data", reason, run(label, labelled, Vec::new())),
        ]
    }
}

/// The file with our block at its end, or in the place where it was.
fn with_hosts(there: &str, cluster: &Cluster) -> String {
    let mut block = BEGIN.to_owned();
    for node in &cluster.nodes {
        let _ = writeln!(block, "{} {}", node.advertise_address, node.name);
    }
    block.push_str(END);
    if let Some((before, rest)) = there.split_once(BEGIN)
        && let Some((_, after)) = rest.split_once(END)
    {
        return format!("{before}{block}{after}");
    }
    let gap = if there.is_empty() || there.ends_with('\n') { "" } else { "\n" };
    format!("{there}{gap}{block}")
}

//! The kubelet's unit, and how kubeadm's variables come to it.

use super::Preparing;
use super::file;
use super::rendered;
use crate::artifact::Name;
use crate::cluster::Cluster;
use crate::cluster::Node;
use crate::cluster::prepare::Source;
use crate::facts::Family;
use crate::facts::HostFacts;
use crate::plan::Action;
use crate::plan::Step;
use serde::Serialize;

const UNIT: &str = "/etc/systemd/system/kubelet.service";
const DROP_INS: &str = "/etc/systemd/system/kubelet.service.d";
/// The same name as in kubeadm's package, whose file it hides.
const DROP_IN: &str = "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf";

#[derive(Serialize)]
struct Values<'a> {
    program: &'a str,
    environment: &'a str,
}

/// Paths of preparation because of which the kubelet is restarted; none where preparation does not bring it.
pub fn watched(cluster: &Cluster, node: &Node, facts: &HostFacts) -> Vec<String> {
    let to = Preparing { cluster, node, facts, checks: &facts.checks };
    let marker = to.brings(Name::Kubelet).map(|_| Name::Kubelet.marker());
    to.files().into_iter().map(|(path, _)| path.to_owned()).chain(marker).collect()
}

impl Preparing<'_> {
    pub(super) fn kubelet(&self) -> Vec<Step> {
        let reason = "the kubelet is started as kubeadm's packages start it";
        let step = |(path, text): (&str, String)| {
            let name = path.rsplit('/').next().unwrap_or(path);
            self.step("kubelet", format!("kubelet's {name}"), reason, file(path, text))
        };
        let files: Vec<Step> = self.files().into_iter().map(step).collect();
        let directory = Action::Directory { path: DROP_INS.to_owned(), mode: 0o755 };
        let made = self.step(
            "kubelet",
            "directory of the kubelet's drop-ins",
            "a reset takes it away again",
            directory,
        );
        if files.is_empty() { files } else { std::iter::once(made).chain(files).collect() }
    }

    /// A package brings the unit, and only kubeadm's package the rest.
    fn files(&self) -> Vec<(&'static str, String)> {
        if self.source() == Source::None || !self.systemd() {
            return Vec::new();
        }
        let packaged = self.source() == Source::Packages;
        let values = Values {
            program: if packaged { "/usr/bin/kubelet" } else { "/usr/local/bin/kubelet" },
            environment: match self.facts.platform.family() {
                Some(Family::RedHat | Family::Suse) => "/etc/sysconfig/kubelet",
                Some(Family::Debian) | None => "/etc/default/kubelet",
            },
        };
        let unit = (UNIT, rendered("etc/systemd/system/kubelet.service", &values));
        let drop_in = (DROP_IN, rendered("etc/systemd/system/kubelet.service.d/10-kubeadm.conf", &values));
        if packaged { vec![drop_in] } else { vec![unit, drop_in] }
    }
}

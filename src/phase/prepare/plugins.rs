//! Plugins of the pod network, found by a runtime that looks for them elsewhere than where the network's pods put them.

use super::Preparing;
use super::run;
use super::sh;
use crate::cluster::cni::PLUGIN_DIRECTORY;
use crate::facts::question::CNI_DIRECTORIES;
use crate::host::Command;
use crate::kube::containerd;
use crate::plan::Step;

/// Arguments: the directory with the plugins, the one that is looked into, names. It may be the same under two names,
/// and whatever is there already, a link that leads nowhere yet included, is used as it is.
const FOUND: &str = r#"[ "$1" -ef "$2" ] && exit; into=$2; shift 2; for it; do [ -e "$into/$it" ] || [ -h "$into/$it" ] || exit 1; done"#;

const LINK: &str = r#"from=$1 into=$2; shift 2; for it; do [ -e "$into/$it" ] || ln -sfn "$from/$it" "$into/" || exit 1; done"#;

impl Preparing<'_> {
    /// Links in the directory of a distribution's containerd; `config` is containerd's, as it will be. The basic
    /// plugins stay where the distribution has them, so the directory itself is not changed.
    pub(super) fn plugins(&self, config: &str) -> Option<Step> {
        let names = self.cluster.site.cni.own_plugins();
        let looked_into = containerd::plugin_directories(config);
        let first = looked_into.first()?;
        let elsewhere = looked_into.iter().all(|directory| directory != PLUGIN_DIRECTORY);
        let known = CNI_DIRECTORIES.contains(&first.as_str());
        if names.is_empty() || !self.node.becomes_node() || !elsewhere || !known {
            return None;
        }
        let provider = self.cluster.site.cni.provider().as_str();
        let reason =
            format!("containerd looks there, and the pods of {provider} put them into {PLUGIN_DIRECTORY}");
        let with = |command: Command| command.args([PLUGIN_DIRECTORY, first]).args(names.iter().copied());
        let link = with(Command::change("sh").args(["-c", LINK, "sh"]));
        let title = format!("plugins of {provider} in {first}");
        Some(self.step("runtime", title, &reason, run(link, with(sh(FOUND)), Vec::new())))
    }
}

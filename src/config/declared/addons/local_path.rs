//! `spec.addons.localPath`: volumes in a directory of the node.

use super::Around;
use crate::cluster::addon;
use crate::config::declared::manifest::some;
use crate::config::path::Path;
use crate::config::report::Report;
use serde::Deserialize;

const IMAGE: &str = "docker.io/rancher/local-path-provisioner:v0.0.37";
const HELPER_IMAGE: &str = "docker.io/library/busybox:1.37.0";
const PATH: &str = "/opt/local-path-provisioner";
/// Where volumes would be in somebody's way, or gone after a restart.
const UNFIT: [&str; 8] = ["/", "/boot", "/dev", "/etc", "/proc", "/run", "/sys", "/tmp"];

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LocalPath {
    pub enabled: Option<bool>,
    path: Option<String>,
    default_class: bool,
    reclaim_policy: Option<String>,
    image: Option<String>,
    helper_image: Option<String>,
}

impl LocalPath {
    pub(super) fn meaning(&self, around: &Around<'_>) -> addon::LocalPath {
        addon::LocalPath {
            image: around.image(self.image.as_ref(), IMAGE),
            helper_image: around.image(self.helper_image.as_ref(), HELPER_IMAGE),
            path: some(self.path.as_ref()).unwrap_or_else(|| PATH.to_owned()),
            default_class: self.default_class,
            retain: self.reclaim_policy.as_deref() == Some("Retain"),
        }
    }

    pub(super) fn validate(&self, report: &mut Report, path: &Path) {
        super::image(report, self.image.as_ref(), &path.key("image"));
        super::image(report, self.helper_image.as_ref(), &path.key("helperImage"));
        let Some(directory) = some(self.path.as_ref()) else { return };
        let path = path.key("path");
        if !directory.starts_with('/') || directory.split('/').any(|part| part == "..") {
            report
                .error(&path, format!("`{directory}` is not an absolute path"))
                .hint(format!("such as {PATH}, or a directory below /var where /opt is read-only"));
            return;
        }
        let within = |unfit: &&&str| match **unfit {
            "/" => directory.trim_end_matches('/').is_empty(),
            unfit => std::path::Path::new(&directory).starts_with(unfit),
        };
        if let Some(unfit) = UNFIT.iter().find(within) {
            report
                .error(
                    &path,
                    format!("volumes in {unfit} would be in the way of the system, or gone after a restart"),
                )
                .hint(format!("such as {PATH}"));
        }
    }
}

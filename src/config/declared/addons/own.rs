//! `spec.addons.manifests`: objects of the operator.

use crate::cluster::cni::Manifest as ManifestModel;
use crate::config::declared::manifest::Manifest;
use crate::config::path::Path;
use crate::config::report::Report;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Own {
    pub name: String,
    sources: Vec<Manifest>,
}

impl Own {
    pub(super) fn meaning(&self) -> Vec<ManifestModel> {
        self.sources.iter().filter_map(Manifest::meaning).collect()
    }

    pub(super) fn validate(&self, report: &mut Report, path: &Path) {
        let path = path.key("sources");
        if self.sources.is_empty() {
            report.missing(&path, "the add-on has no sources", "sources: [{file: PATH}]");
        }
        for (index, manifest) in self.sources.iter().enumerate() {
            manifest.validate(report, &path.index(index));
        }
    }
}

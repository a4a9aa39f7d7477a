//! `spec.addons.charts`: charts of the operator, which helm renders.

use crate::cluster::addon::Chart as ChartModel;
use crate::config::declared::manifest::some;
use crate::config::documents::Object;
use crate::config::name;
use crate::config::path::Path;
use crate::config::report::Report;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Chart {
    pub name: String,
    #[serde(rename = "chart")]
    source: String,
    repository: Option<String>,
    version: Option<String>,
    namespace: Option<String>,
    values: Object,
    values_file: Option<String>,
}

impl Chart {
    pub(super) fn meaning(&self) -> ChartModel {
        ChartModel {
            chart: self.source.clone(),
            repository: some(self.repository.as_ref()),
            version: some(self.version.as_ref()),
            namespace: some(self.namespace.as_ref()).unwrap_or_else(|| self.name.clone()),
            values_file: some(self.values_file.as_ref()),
            values: self.values.clone(),
            rendered: Vec::new(),
        }
    }

    pub(super) fn validate(&self, report: &mut Report, path: &Path) {
        if self.source.is_empty() {
            report.missing(
                &path.key("chart"),
                "no chart is named",
                "chart: ./folder, oci://registry.example.com/charts/name, or a name with repository: URL",
            );
        }
        let repository = some(self.repository.as_ref()).unwrap_or_default();
        crate::config::declared::prepare::url(report, &repository, &path.key("repository"));
        let far = !repository.is_empty() || self.source.contains("://");
        if far && some(self.version.as_ref()).is_none() {
            report.missing(
                &path.key("version"),
                "a chart from elsewhere without a version may be another one tomorrow",
                "version: 1.2.3",
            );
        }
        if !repository.is_empty() && self.source.contains("://") {
            report
                .error(&path.key("repository"), "the chart is a URL already")
                .hint("leave repository out, or name the chart within it");
        }
        if !far && some(self.version.as_ref()).is_some() {
            report
                .error(&path.key("version"), "a chart on the disk is of the version that it is")
                .hint("leave version out");
        }
        let namespace = some(self.namespace.as_ref()).unwrap_or_default();
        if !namespace.is_empty() && (!name::is_subdomain(&namespace) || namespace.contains('.')) {
            report
                .error(&path.key("namespace"), format!("`{namespace}` cannot be a namespace"))
                .hint("lower-case letters, digits and `-`");
        }
    }
}

//! `spec.addons.kubernetesDashboard`: the archived dashboard, from a copy that the operator has.

use crate::cluster::addon;
use crate::cluster::addon::Chart;
use crate::cluster::addon::What;
use crate::config::declared::manifest::Manifest;
use crate::config::declared::manifest::some;
use crate::config::documents::Object;
use crate::config::path::Path;
use crate::config::report::Report;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct KubernetesDashboard {
    pub enabled: Option<bool>,
    manifest: Option<Manifest>,
    chart: Option<String>,
    values: Object,
}

impl KubernetesDashboard {
    pub(super) fn meaning(&self) -> Option<What> {
        if let Some(manifest) = self.manifest.as_ref().and_then(Manifest::meaning) {
            return Some(What::Manifests(vec![manifest]));
        }
        Some(What::Chart(Chart {
            chart: some(self.chart.as_ref())?,
            repository: None,
            version: None,
            namespace: addon::KUBERNETES_DASHBOARD.to_owned(),
            values_file: None,
            values: self.values.clone(),
            rendered: Vec::new(),
        }))
    }

    pub(super) fn validate(&self, report: &mut Report, path: &Path) {
        report
            .warning(path, "the Kubernetes Dashboard is archived, and nobody mends its vulnerabilities")
            .hint("headlamp took its place");
        if let Some(manifest) = &self.manifest {
            manifest.validate(report, &path.key("manifest"));
        }
        match (&self.manifest, some(self.chart.as_ref())) {
            (None, None) => report.missing(
                path,
                "its repository of charts is gone, so that it needs a copy that you have",
                "chart: ./kubernetes-dashboard-7.14.0.tgz, or manifest: {file: dashboard.yaml}",
            ),
            (Some(_), Some(_)) => {
                report
                    .error(&path.key("chart"), "manifest and chart cannot both be set")
                    .hint("keep one of them");
            }
            _ => {}
        }
        if !self.values.is_empty() && some(self.chart.as_ref()).is_none() {
            report
                .error(&path.key("values"), "values are of a chart, and there is none")
                .hint("leave them out");
        }
    }
}

//! `spec.addons.metricsServer`: what nodes and pods take.

use super::Around;
use super::MOST_PODS;
use super::Surroundings;
use crate::cluster::GoDuration;
use crate::cluster::addon;
use crate::config::documents::Object;
use crate::config::path::Path;
use crate::config::report::Report;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

const IMAGE: &str = "registry.k8s.io/metrics-server/metrics-server:v0.9.0";
/// What its project's manifests say.
const RESOLUTION: GoDuration = GoDuration::from_secs(15);
/// It waits 10 seconds for a kubelet, and does not start where that is more than nine tenths of the resolution
/// (`cmd/metrics-server/app/options` of v0.9.0).
const SHORTEST_RESOLUTION: GoDuration = GoDuration::from_secs(12);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct MetricsServer {
    pub enabled: Option<bool>,
    replicas: Option<u32>,
    resolution: Option<GoDuration>,
    resources: Option<Resources>,
    image: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Resources {
    requests: Object,
    limits: Object,
}

impl MetricsServer {
    pub(super) fn meaning(&self, around: &Around<'_>) -> addon::MetricsServer {
        addon::MetricsServer {
            image: around.image(self.image.as_ref(), IMAGE),
            replicas: self.replicas.unwrap_or(1),
            resolution: self.resolution.unwrap_or(RESOLUTION).to_string(),
            resources: self.resources.as_ref().map_or_else(usual, Resources::meaning),
        }
    }

    pub(super) fn validate(&self, report: &mut Report, path: &Path) {
        super::image(report, self.image.as_ref(), &path.key("image"));
        if let Some(short) = self.resolution.filter(|resolution| *resolution < SHORTEST_RESOLUTION) {
            report
                .error(
                    &path.key("resolution"),
                    format!("{short} leaves kubelets no time to answer, and metrics-server would not start"),
                )
                .hint(format!("at least {SHORTEST_RESOLUTION}"));
        }
    }

    pub(super) fn validate_against(&self, report: &mut Report, around: &Surroundings<'_>, path: &Path) {
        let replicas = self.replicas.unwrap_or(1);
        let nodes = around.nodes;
        if usize::try_from(replicas).is_ok_and(|replicas| replicas > nodes) {
            report
                .error(
                    &path.key("replicas"),
                    format!("{MOST_PODS}, and for {replicas} there are {nodes} nodes"),
                )
                .hint(format!("at most {nodes}"));
        }
    }
}

/// What its project asks for up to a hundred nodes.
fn usual() -> Value {
    json!({"requests": {"cpu": "100m", "memory": "200Mi"}})
}

impl Resources {
    fn meaning(&self) -> Value {
        let given = [("requests", &self.requests), ("limits", &self.limits)];
        let given = given.into_iter().filter(|(_, amounts)| !amounts.is_empty());
        Value::Object(given.map(|(name, amounts)| (name.to_owned(), amounts.clone().into())).collect())
    }
}

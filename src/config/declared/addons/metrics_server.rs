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
/// So long a kubelet may take to answer; it does not start when it is to ask more often.
const KUBELET_TIMEOUT: GoDuration = GoDuration::from_secs(10);

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
        if let Some(short) = self.resolution.filter(|resolution| *resolution <= KUBELET_TIMEOUT) {
            report
                .error(
                    &path.key("resolution"),
                    format!(
                        "a kubelet may take {KUBELET_TIMEOUT} to answer, and would be asked every {short}"
                    ),
                )
                .hint("15s, or another time above 10s");
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

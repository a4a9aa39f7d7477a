//! The shape that the four pods share.

use crate::cluster::GoDuration;
use crate::kube::static_pod::probe::Endpoint;
use crate::kube::static_pod::rootless::Security;
use crate::kube::static_pod::volume::Volumes;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

/// The priority of `system-node-critical`.
const PRIORITY: u64 = 2_000_001_000;

/// What one component's pod is made of.
pub(super) struct Blueprint {
    pub(super) name: &'static str,
    pub(super) annotation: Option<(&'static str, String)>,
    pub(super) image: String,
    pub(super) flags: Vec<String>,
    pub(super) env: Vec<Value>,
    pub(super) endpoint: Endpoint,
    pub(super) paths: ProbePaths,
    /// How long the component may take to start.
    pub(super) start_limit: GoDuration,
    pub(super) requests: Value,
    pub(super) volumes: Volumes,
    pub(super) security: Security,
}

pub(super) struct ProbePaths {
    pub(super) liveness: &'static str,
    pub(super) readiness: Option<&'static str>,
    pub(super) startup: &'static str,
}

impl Blueprint {
    pub(super) fn pod(self) -> Value {
        let mut metadata = json!({
            "name": self.name,
            "namespace": "kube-system",
            "labels": {"component": self.name, "tier": "control-plane"},
        });
        if let Some((key, value)) = &self.annotation {
            metadata["annotations"] = json!({ *key: value });
        }
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata,
            "spec": {
                "containers": [self.container()],
                "hostNetwork": true,
                "priority": PRIORITY,
                "priorityClassName": "system-node-critical",
                "securityContext": self.security.pod(),
                "volumes": self.volumes.sources(),
            },
            "status": {},
        })
    }

    fn container(&self) -> Value {
        let command: Vec<&str> =
            std::iter::once(self.name).chain(self.flags.iter().map(String::as_str)).collect();
        let optional = [
            ("env", (!self.env.is_empty()).then(|| json!(self.env))),
            ("readinessProbe", self.paths.readiness.map(|path| self.endpoint.readiness(path))),
            ("securityContext", self.security.container()),
        ];
        let mut container = json!({
            "name": self.name,
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "command": command,
            "livenessProbe": self.endpoint.liveness(self.paths.liveness),
            "ports": [{"name": "probe-port", "containerPort": self.endpoint.port, "protocol": "TCP"}],
            "resources": {"requests": self.requests},
            "startupProbe": self.endpoint.startup(self.paths.startup, self.start_limit),
            "volumeMounts": self.volumes.mounts(),
        });
        let present = optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        if let Value::Object(fields) = &mut container {
            fields.extend(present.collect::<Map<_, _>>());
        }
        container
    }
}

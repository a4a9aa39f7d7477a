//! The operator's patches on the documents that we write.
//!
//! Three kinds, as kubeadm has them: strategic (lists of pods and deployments merge by their keys), merge
//! (RFC 7386) and JSON (RFC 6902).

mod schema;
mod strategic;

use crate::cluster::Patch;
use crate::cluster::PatchKind;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::json;

/// What can be patched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    Etcd,
    KubeApiserver,
    KubeControllerManager,
    KubeScheduler,
    KubeletConfiguration,
    CorednsDeployment,
    /// containerd's `config.toml`.
    Containerd,
}

/// A patch that does not fit.
#[derive(Debug, thiserror::Error)]
#[error(
    "patch {patch} of type \"{media_type}\" cannot be applied to target \"{target}\": {why}; correct the patch \
     or remove it"
)]
pub struct PatchError {
    /// The file, and the document in it.
    pub patch: String,
    pub media_type: &'static str,
    pub target: Target,
    pub why: String,
}

impl Target {
    pub const ALL: [Self; 7] = [
        Self::Etcd,
        Self::KubeApiserver,
        Self::KubeControllerManager,
        Self::KubeScheduler,
        Self::KubeletConfiguration,
        Self::CorednsDeployment,
        Self::Containerd,
    ];

    /// The name by which a patch file is meant for this target.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::KubeletConfiguration => "kubeletconfiguration",
            Self::CorednsDeployment => "corednsdeployment",
            Self::Containerd => "containerd",
        }
    }

    fn schema(self) -> &'static schema::Schema {
        match self {
            Self::KubeletConfiguration | Self::Containerd => &schema::PLAIN,
            Self::CorednsDeployment => &schema::DEPLOYMENT,
            Self::Etcd | Self::KubeApiserver | Self::KubeControllerManager | Self::KubeScheduler => {
                &schema::POD
            }
        }
    }

    /// The document as its type keeps it: what the type does not know is dropped, as kubeadm does.
    fn retyped(self, value: Value) -> Result<Value, String> {
        match self {
            Self::KubeletConfiguration => as_kubelet_configuration(value),
            Self::Containerd => Ok(value),
            Self::CorednsDeployment => through::<Deployment>(value),
            Self::Etcd | Self::KubeApiserver | Self::KubeControllerManager | Self::KubeScheduler => {
                through::<Pod>(value)
            }
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of a kind of patch in HTTP, which is how kubeadm names it too.
pub fn media_type(kind: PatchKind) -> &'static str {
    match kind {
        PatchKind::Strategic => "application/strategic-merge-patch+json",
        PatchKind::Merge => "application/merge-patch+json",
        PatchKind::Json => "application/json-patch+json",
    }
}

/// Applies those of `patches` that are meant for `target`, in their order. Without any, the document is untouched.
pub fn apply(patches: &[Patch], target: Target, mut document: Value) -> Result<Value, PatchError> {
    for patch in patches.iter().filter(|patch| patch.target == target.as_str()) {
        document =
            apply_one(patch, target, document).and_then(|value| target.retyped(value)).map_err(|why| {
                PatchError { patch: patch.source.clone(), media_type: media_type(patch.kind), target, why }
            })?;
    }
    Ok(document)
}

fn apply_one(patch: &Patch, target: Target, mut document: Value) -> Result<Value, String> {
    match patch.kind {
        PatchKind::Strategic => strategic::merge(document, &patch.value, target.schema()),
        PatchKind::Merge if !patch.value.is_object() => Err("a merge patch must be a mapping".to_owned()),
        PatchKind::Merge => {
            json_patch::merge(&mut document, &patch.value);
            Ok(document)
        }
        PatchKind::Json => {
            let operations: json_patch::Patch = serde_json::from_value(patch.value.clone())
                .map_err(|error| format!("it is not a list of JSON patch operations: {error}"))?;
            json_patch::patch(&mut document, &operations).map_err(|error| error.to_string())?;
            Ok(document)
        }
    }
}

fn through<T: DeserializeOwned + Serialize>(mut value: Value) -> Result<Value, String> {
    quantities_as_text(&mut value);
    let typed: T =
        serde_json::from_value(value).map_err(|error| format!("the result is invalid: {error}"))?;
    serde_json::to_value(typed).map_err(|error| error.to_string())
}

/// Kubernetes reads `cpu: 1` as it reads `cpu: "1"`; the types here know text only.
fn quantities_as_text(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                match field {
                    Value::Object(amounts) if ["requests", "limits"].contains(&key.as_str()) => {
                        amounts.values_mut().filter(|amount| amount.is_number()).for_each(as_text);
                    }
                    other => quantities_as_text(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(quantities_as_text),
        _ => {}
    }
}

fn as_text(amount: &mut Value) {
    *amount = json!(amount.to_string());
}

fn as_kubelet_configuration(value: Value) -> Result<Value, String> {
    let expected = [("apiVersion", "kubelet.config.k8s.io/v1beta1"), ("kind", "KubeletConfiguration")];
    match expected.iter().find(|(field, wanted)| value[field] != json!(wanted)) {
        None => Ok(value),
        Some((field, wanted)) => Err(format!("the result is invalid: {field} must stay {wanted}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "etcd"},
            "spec": {
                "containers": [{"name": "etcd", "command": ["etcd", "--v=1"], "env": [{"name": "A", "value": "1"}]}],
                "volumes": [{"name": "data", "hostPath": {"path": "/data", "type": ""}}],
            },
            "status": {},
        })
    }

    fn patch(kind: PatchKind, value: Value) -> Patch {
        Patch { target: "etcd".to_owned(), kind, value, source: "etcd0.yaml".to_owned() }
    }

    #[test]
    fn kinds_apply_in_order_and_only_to_their_target() {
        let mut other = patch(PatchKind::Merge, json!({"metadata": {"name": "other"}}));
        other.target = "kube-scheduler".to_owned();
        let patches = [
            other,
            patch(PatchKind::Merge, json!({"metadata": {"labels": {"a": "merge"}}})),
            patch(
                PatchKind::Strategic,
                json!({"spec": {"containers": [
                    {"name": "etcd", "resources": {"requests": {"cpu": 1}}, "nonsense": true},
                ]}}),
            ),
            patch(
                PatchKind::Json,
                json!([{"op": "add", "path": "/spec/containers/0/command/-", "value": "--v=5"}]),
            ),
        ];
        let mut expected = pod();
        expected["metadata"]["labels"] = json!({"a": "merge"});
        expected["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "1"}});
        expected["spec"]["containers"][0]["command"] = json!(["etcd", "--v=1", "--v=5"]);
        assert_eq!(apply(&patches, Target::Etcd, pod()).unwrap(), expected);
        assert_eq!(apply(&[], Target::Etcd, pod()).unwrap(), pod());
    }

    #[test]
    fn an_error_names_the_file_the_kind_and_the_target() {
        for (kind, value, why) in [
            (PatchKind::Json, json!([{"op": "remove", "path": "/spec/nothing"}]), "/spec/nothing"),
            (PatchKind::Json, json!({"op": "add"}), "not a list of JSON patch operations"),
            (PatchKind::Merge, json!({"spec": {"containers": "none"}}), "the result is invalid"),
            (PatchKind::Merge, json!(["a"]), "must be a mapping"),
            (PatchKind::Strategic, json!({"spec": {"containers": [{"image": "x"}]}}), "name"),
        ] {
            let error = apply(&[patch(kind, value)], Target::Etcd, pod()).unwrap_err().to_string();
            assert!(error.contains("etcd0.yaml"), "{error}");
            assert!(error.contains(media_type(kind)), "{error}");
            assert!(error.contains("target \"etcd\""), "{error}");
            assert!(error.contains(why), "{error} lacks {why}");
        }
    }

    #[test]
    fn a_kubelet_configuration_stays_one() {
        let document = json!({"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration"});
        let mut wrong = patch(PatchKind::Merge, json!({"kind": "Other"}));
        wrong.target = "kubeletconfiguration".to_owned();
        let error = apply(&[wrong.clone()], Target::KubeletConfiguration, document.clone()).unwrap_err();
        assert!(error.to_string().contains("kind must stay KubeletConfiguration"), "{error}");
        wrong.value = json!({"clusterDNS": ["10.0.0.10"]});
        let patched = apply(&[wrong], Target::KubeletConfiguration, document).unwrap();
        assert_eq!(patched["clusterDNS"], json!(["10.0.0.10"]));
    }
}

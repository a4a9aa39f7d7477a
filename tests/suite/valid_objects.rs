//! Every object of every scenario, as the API server would read it: a field that its kind does not have would be dropped
//! there, or refused, and is found here.

use crate::support::documents;
use crate::support::scenario;
use crate::support::scenario::Scenario;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api;
use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kubewright::cluster::Layout;
use kubewright::kube::static_pod::MANIFESTS_DIR;
use kubewright::plan::Action;
use kubewright::plan::Fill;
use kubewright::plan::Object;
use kubewright::plan::ObjectRef;
use kubewright::plan::Plan;
use kubewright::plan::Step;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// Kinds that only definitions know, of which nothing here says what fields they have.
const FOREIGN: [&str; 8] = [
    "crd.projectcalico.org/v1 IPPool",
    "gateway.networking.k8s.io/v1 GatewayClass",
    "metallb.io/v1beta1 BGPAdvertisement",
    "metallb.io/v1beta1 IPAddressPool",
    "metallb.io/v1beta1 L2Advertisement",
    "metallb.io/v1beta2 BGPPeer",
    "example.com/v1 Watcher",
    "shop.example.com/v1 Shelf",
];

/// Reads an object as its type, writes it again, and says what differs.
fn reread<T: DeserializeOwned + Serialize>(value: &Value) -> Result<(), String> {
    let typed: T = serde_json::from_value(value.clone()).map_err(|error| error.to_string())?;
    let again = serde_json::to_value(typed).map_err(|error| error.to_string())?;
    let mut lost = Vec::new();
    differences(value, &again, "", &mut lost);
    if lost.is_empty() { Ok(()) } else { Err(lost.join("; ")) }
}

/// The fields of `wanted` that `found` has not, or otherwise.
fn differences(wanted: &Value, found: &Value, at: &str, lost: &mut Vec<String>) {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            for (key, value) in wanted {
                match found.get(key) {
                    Some(other) => differences(value, other, &format!("{at}/{key}"), lost),
                    None => lost.push(format!("{at}/{key} is no field")),
                }
            }
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            for (index, (one, other)) in wanted.iter().zip(found).enumerate() {
                differences(one, other, &format!("{at}/{index}"), lost);
            }
        }
        (one, other) if one != other => lost.push(format!("{at} comes back as {other}")),
        _ => {}
    }
}

fn check(value: &Value) -> Result<(), String> {
    use api::apps::v1::*;
    use api::core::v1::*;
    use api::networking::v1::*;
    use api::policy::v1::PodDisruptionBudget;
    use api::rbac::v1::*;
    use api::storage::v1::StorageClass;
    let name = ObjectRef::of(value);
    match (name.api_version.as_str(), name.kind.as_str()) {
        ("v1", "ConfigMap") => reread::<ConfigMap>(value),
        ("v1", "Namespace") => reread::<Namespace>(value),
        ("v1", "Node") => reread::<Node>(value),
        ("v1", "Pod") => reread::<Pod>(value),
        ("v1", "Secret") => reread::<Secret>(value),
        ("v1", "Service") => reread::<Service>(value),
        ("v1", "ServiceAccount") => reread::<ServiceAccount>(value),
        ("apps/v1", "DaemonSet") => reread::<DaemonSet>(value),
        ("apps/v1", "Deployment") => reread::<Deployment>(value),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition") => reread::<CustomResourceDefinition>(value),
        ("apiregistration.k8s.io/v1", "APIService") => reread::<APIService>(value),
        ("networking.k8s.io/v1", "Ingress") => reread::<Ingress>(value),
        ("networking.k8s.io/v1", "IngressClass") => reread::<IngressClass>(value),
        ("policy/v1", "PodDisruptionBudget") => reread::<PodDisruptionBudget>(value),
        ("rbac.authorization.k8s.io/v1", "ClusterRole") => reread::<ClusterRole>(value),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") => reread::<ClusterRoleBinding>(value),
        ("rbac.authorization.k8s.io/v1", "Role") => reread::<Role>(value),
        ("rbac.authorization.k8s.io/v1", "RoleBinding") => reread::<RoleBinding>(value),
        ("storage.k8s.io/v1", "StorageClass") => reread::<StorageClass>(value),
        (api_version, kind) if FOREIGN.contains(&format!("{api_version} {kind}").as_str()) => Ok(()),
        (api_version, kind) => Err(format!("nobody here knows the kind {kind} of {api_version}")),
    }
}

/// What a hole holds, in the form that its place asks for.
fn filled(object: &Object) -> Value {
    let is_secret = object.value["kind"] == "Secret";
    documents::filled(object, |fill| {
        let text = documents::placeholder(fill);
        let bytes = is_secret && !matches!(fill, Fill::UidOf(_));
        if bytes || matches!(fill, Fill::Authority { encoded: true, .. }) {
            STANDARD.encode(text)
        } else {
            text
        }
    })
}

/// The pods that an object makes, and a pod that stands in a configuration as text.
fn pod_specs(value: &Value) -> Vec<Value> {
    let of_template = value.pointer("/spec/template/spec").cloned();
    let in_text = value["data"].get("helperPod.yaml").and_then(Value::as_str);
    let of_text = in_text.map(|text| serde_yaml::from_str::<Value>(text).unwrap()["spec"].clone());
    of_template.into_iter().chain(of_text).collect()
}

/// The objects of a plan, and the static pods of its hosts.
fn objects(plan: &Plan) -> Vec<Value> {
    let of_step = |step: &Step| match &step.action {
        Action::Object(spec) => Some(filled(&spec.object)),
        Action::File(file) if file.path.starts_with(MANIFESTS_DIR) => {
            Some(serde_yaml::from_str(file.content.text().unwrap()).unwrap())
        }
        _ => None,
    };
    plan.steps.iter().filter_map(of_step).collect()
}

#[test]
fn every_object_of_every_scenario_is_what_its_kind_may_be() {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = BTreeSet::new();
    let layouts = [None, Some(Layout::Five), Some(Layout::Kubeadm)];
    let any = scenario::of_any_layout();
    for name in scenario::names() {
        let fitting = layouts.into_iter().filter(|layout| layout.is_none() || any.contains(&name));
        for value in fitting.flat_map(|layout| objects(&Scenario::load(&name, layout).plan())) {
            *kinds.entry(value["kind"].as_str().unwrap().to_owned()).or_default() += 1;
            let mut complain = |outcome: Result<(), String>| {
                wrong.extend(outcome.err().map(|why| format!("{name}: {}: {why}", ObjectRef::of(&value))));
            };
            complain(check(&value));
            for pod in pod_specs(&value) {
                complain(reread::<PodSpec>(&pod));
            }
        }
    }
    assert!(kinds.len() > 15 && kinds["Deployment"] > 20 && kinds["Pod"] > 20, "{kinds:?}");
    assert!(wrong.is_empty(), "{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn what_a_kind_does_not_have_is_found() {
    let deployment = |pod: Value| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {
            "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod}}})
    };
    let container = json!({"name": "c", "image": "i", "ports": [{"containerPort": 80}]});
    let right = deployment(json!({"containers": [container]}));
    assert_eq!(check(&right), Ok(()));
    let mut misspelt = right.clone();
    misspelt["spec"]["template"]["spec"]["hostNetwrok"] = true.into();
    assert_eq!(check(&misspelt).unwrap_err(), "/spec/template/spec/hostNetwrok is no field");
    let mut mistyped = right.clone();
    mistyped["spec"]["replicas"] = "2".into();
    assert!(check(&mistyped).unwrap_err().contains("invalid type"), "{:?}", check(&mistyped));
    let mut unknown = right;
    unknown["kind"] = "Deployments".into();
    assert!(check(&unknown).unwrap_err().contains("nobody here knows"));
}

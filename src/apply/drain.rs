//! Draining a node, and deleting objects: what goes when a node leaves the cluster.

use crate::api::Api;
use crate::api::ApiError;
use crate::api::Selector;
use crate::apply::failure::StepError;
use crate::apply::run::Done;
use crate::apply::run::Run;
use crate::apply::wait::TooLate;
use crate::apply::wait::until;
use crate::facts::nodes::PodFacts;
use crate::facts::nodes::PodKind;
use crate::facts::nodes::is_ready;
use crate::plan::DeleteSpec;
use crate::plan::DrainSpec;
use crate::plan::Identity;
use crate::plan::ObjectRef;
use crate::plan::Step;
use crate::report::FailureKind;
use crate::report::Outcome;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// How soon an eviction that was refused is asked for again: a budget allows more when other pods have become ready.
const AGAIN: Duration = Duration::from_secs(2);

/// How many names one line of progress holds.
const NAMES: usize = 3;

/// Cordons a node and evicts its pods, until none is left. A dry run says how many there are.
pub(crate) fn drain(run: &Run<'_>, step: &Step, spec: &DrainSpec) -> Result<Done, StepError> {
    let api = run.client(Identity::Admin)?;
    let name = ObjectRef::new("v1", "Node", "", &spec.node);
    let Some(node) = api.get(&name)? else {
        return Ok(Done::new(Outcome::Ok).detail("there is no such node"));
    };
    let cordoned = node["spec"]["unschedulable"] == true;
    let leaving = leaving(&*api, &spec.node)?;
    if cordoned && leaving.is_empty() {
        return Ok(Done::new(Outcome::Ok));
    }
    if run.world.options.dry_run {
        return Ok(Done::new(Outcome::WouldChange).detail(counted(leaving.len())));
    }
    if !cordoned {
        api.patch(&name, &json!({"spec": {"unschedulable": true}}))?;
    }
    let mut eviction = Eviction::default();
    let limit = spec.limit.to_std();
    let done = until(run, step, &step.subject(), limit, || {
        Ok(eviction.round(&*api, &spec.node, run.world.clock.monotonic()))
    })?;
    match done {
        Ok(()) => Ok(Done::new(Outcome::Changed).detail(eviction.told())),
        Err(TooLate { waited, last }) => Err(eviction.too_late(spec, waited, last)),
    }
}

fn counted(pods: usize) -> String {
    format!("{pods} {} to evict", if pods == 1 { "pod" } else { "pods" })
}

/// The pods that do not belong to the node itself.
fn leaving(api: &dyn Api, node: &str) -> Result<Vec<Value>, ApiError> {
    let everywhere = ObjectRef::new("v1", "Pod", "", "");
    let pods = api.list(&everywhere, &Selector::all().field("spec.nodeName", node))?;
    Ok(pods.into_iter().filter(|pod| PodKind::of(pod) != PodKind::Stays).collect())
}

/// What has happened to the pods so far.
#[derive(Default)]
struct Eviction {
    /// Whether the node's kubelet is there to end them. Without it they stay until the Node object goes.
    ready: bool,
    /// Why a pod is still there, by its name.
    left: BTreeMap<String, String>,
    /// When each was last asked to go.
    asked: BTreeMap<String, Duration>,
    evicted: usize,
    abandoned: usize,
}

impl Eviction {
    /// Asks those that may be asked; `Err`: not all are gone, and why.
    fn round(&mut self, api: &dyn Api, node: &str, now: Duration) -> Result<(), String> {
        let pods = leaving(api, node).map_err(|error| error.to_string())?;
        // Asked each time: that a kubelet has stopped shows after most of a minute.
        let live = api.get(&ObjectRef::new("v1", "Node", "", node)).map_err(|error| error.to_string())?;
        self.ready = live.as_ref().is_some_and(is_ready);
        let mut left = BTreeMap::new();
        self.abandoned = 0;
        for pod in &pods {
            let name = PodFacts::of(pod).to_string();
            if !pod["metadata"]["deletionTimestamp"].is_null() {
                if self.ready {
                    left.insert(name, "it is ending".to_owned());
                } else {
                    self.abandoned += 1;
                }
                continue;
            }
            let recent = self.asked.get(&name).is_some_and(|asked| now < *asked + AGAIN);
            let known = self.left.get(&name).filter(|_| recent).cloned();
            if let Some(why) = known.map_or_else(|| self.evict(api, pod, &name, now), Some) {
                left.insert(name, why);
            }
        }
        self.left = left;
        if self.left.is_empty() { Ok(()) } else { Err(self.progress()) }
    }

    /// Why it is still there; `None` when it is gone.
    fn evict(&mut self, api: &dyn Api, pod: &Value, name: &str, now: Duration) -> Option<String> {
        self.asked.insert(name.to_owned(), now);
        match api.evict(&ObjectRef::of(pod)) {
            Ok(()) => {
                self.evicted += 1;
                // Whether it is gone shows the next look.
                Some("it is ending".to_owned())
            }
            Err(error) if error.is_missing() => None,
            Err(ApiError::Status { code: 429, message, .. }) => Some(message),
            Err(error) => Some(error.to_string()),
        }
    }

    fn progress(&self) -> String {
        let names: Vec<String> =
            self.left.iter().take(NAMES).map(|(name, why)| format!("{name} ({why})")).collect();
        let more = self.left.len().saturating_sub(NAMES);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        format!("{} left: {}{more}", self.left.len(), names.join(", "))
    }

    fn told(&self) -> String {
        let evicted = format!("{} evicted", self.evicted);
        if self.abandoned == 0 {
            return evicted;
        }
        format!("{evicted}; its kubelet does not answer, so that {} end with the Node object", self.abandoned)
    }

    fn too_late(&self, spec: &DrainSpec, waited: Duration, last: String) -> StepError {
        let cause = anyhow::anyhow!("node {} was not drained within {}", spec.node, spec.limit);
        let left: Vec<String> = self.left.iter().map(|(name, why)| format!("{name}: {why}")).collect();
        let left = if left.is_empty() { last } else { left.join("\n") };
        StepError::new(FailureKind::Timeout, cause)
            .detail("waited", format!("{:.1} s", waited.as_secs_f32()))
            .detail("not gone", left)
            .hint("where a disruption budget allows no eviction, give its workload more replicas: `kubectl get pdb -A`")
            .hint(format!(
                "the node stays cordoned; to keep it: back into the file, and `kubectl uncordon {}`",
                spec.node
            ))
    }
}

/// The kinds of objects that somebody makes on purpose.
const INHABITANTS: [(&str, &str); 8] = [
    ("apps/v1", "Deployment"),
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "StatefulSet"),
    ("v1", "Pod"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "Service"),
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
];
/// What a controller puts into every namespace.
const EVERYWHERE: &str = "kube-root-ca.crt";

/// Something in a namespace that would be lost with it. What belongs to something else goes with that.
fn inhabitant(api: &dyn Api, namespace: &str) -> Result<Option<ObjectRef>, ApiError> {
    for (api_version, kind) in INHABITANTS {
        let found = api.list(&ObjectRef::new(api_version, kind, namespace, ""), &Selector::all())?;
        let on_purpose = |object: &&Value| {
            object["metadata"].get("ownerReferences").is_none()
                && object["metadata"].get("deletionTimestamp").is_none()
                && object["metadata"]["name"] != EVERYWHERE
        };
        if let Some(object) = found.iter().find(on_purpose) {
            return Ok(Some(ObjectRef::of(object)));
        }
    }
    Ok(None)
}

/// Deletes an object; one that is gone already is fine.
pub(crate) fn delete(run: &Run<'_>, spec: &DeleteSpec) -> Result<Done, StepError> {
    let api = run.client(Identity::Admin)?;
    if api.get(&spec.object)?.is_none() {
        return Ok(Done::new(Outcome::Ok));
    }
    if spec.unless_used
        && let Some(used) = inhabitant(api.as_ref(), &spec.object.name)?
    {
        return Ok(Done::new(Outcome::Ok).detail(format!("kept: {used} is in it")));
    }
    match api.delete(&spec.object) {
        Err(error) if !error.is_missing() => Err(error.into()),
        _ => Ok(Done::new(run.changed())),
    }
}

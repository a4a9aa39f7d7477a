//! The objects of one add-on as steps: first what others need to be there, at last the wait for what is to run.

use super::inventory;
use crate::cluster::GoDuration;
use crate::facts::ClusterFacts;
use crate::phase::Draft;
use crate::phase::objects;
use crate::plan::Action;
use crate::plan::ApplyHow;
use crate::plan::Identity;
use crate::plan::Object;
use crate::plan::ObjectRef;
use crate::plan::Probe;
use crate::plan::Wait;
use anyhow::bail;
use serde_json::Value;
use std::collections::BTreeSet;

const DEFINITION: &str = "CustomResourceDefinition";
/// The server takes up a definition within a second or two.
const ESTABLISHED: GoDuration = GoDuration::from_mins(1);
/// The API server looks every half minute, or when something changes.
const SERVED: GoDuration = GoDuration::from_mins(2);
/// What runs pods that are waited for.
const RUNS_PODS: [&str; 3] = ["DaemonSet", "Deployment", "StatefulSet"];

/// What comes and goes under one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    pub name: String,
    /// In the order in which their author wants them.
    pub objects: Vec<Object>,
    /// What can only be written when the others run.
    pub afterwards: Vec<Object>,
    /// Why it is there.
    pub reason: String,
}

impl Bundle {
    /// Namespaces, then definitions of kinds, then everything else as it comes.
    fn sorted(&self) -> Vec<&Object> {
        let mut sorted: Vec<&Object> = self.objects.iter().collect();
        sorted.sort_by_key(|object| match object.value["kind"].as_str() {
            Some("Namespace") => 0,
            Some(DEFINITION) => 1,
            _ => 2,
        });
        sorted
    }

    /// Its members, in the order in which they are applied.
    pub fn members(&self) -> Vec<ObjectRef> {
        let all = self.sorted().into_iter().chain(&self.afterwards);
        all.map(|object| ObjectRef::of(&object.value)).collect()
    }

    /// Plans it. What belonged to it before stays noted until it is gone; what it runs may take `limit` to come up.
    ///
    /// # Errors
    /// An object is in it twice.
    pub fn drafts(&self, running: &ClusterFacts, limit: GoDuration) -> anyhow::Result<Vec<Draft>> {
        self.check()?;
        let mut members = self.members();
        let known: BTreeSet<ObjectRef> = members.iter().cloned().collect();
        let before = before(running, &self.name);
        members.extend(before.into_iter().filter(|member| !known.contains(member)));
        let noted = "what belongs to the add-on is noted before it is there, so that it can go again";
        let mut drafts = vec![server_side(inventory::object(&self.name, &members), noted)];
        let is_first =
            |object: &&Object| ["Namespace", DEFINITION].map(Value::from).contains(&object.value["kind"]);
        let (first, rest): (Vec<&Object>, Vec<&Object>) = self.sorted().into_iter().partition(is_first);
        drafts.extend(first.iter().map(|object| self.applied(object)));
        let definitions = first.iter().filter(|object| object.value["kind"] == DEFINITION);
        drafts.extend(definitions.map(|object| established(&object.value)));
        drafts.extend(rest.iter().map(|object| self.applied(object)));
        drafts.extend(
            rest.iter()
                .filter(|object| runs_pods(&object.value))
                .map(|object| rolled_out(&object.value, limit)),
        );
        drafts.extend(
            rest.iter().filter(|object| is_served(&object.value)).map(|object| served(&object.value)),
        );
        drafts.extend(self.afterwards.iter().map(|object| self.applied(object)));
        Ok(drafts)
    }

    fn check(&self) -> anyhow::Result<()> {
        let mut seen = BTreeSet::new();
        for object in self.objects.iter().chain(&self.afterwards) {
            let name = ObjectRef::of(&object.value);
            if seen.contains(&name) {
                bail!("{name} is twice in the add-on {}; leave out one of them", self.name);
            }
            seen.insert(name);
        }
        Ok(())
    }

    fn applied(&self, object: &Object) -> Draft {
        let mut object = object.clone();
        inventory::mark(&mut object.value, &self.name);
        server_side(object, &self.reason)
    }
}

/// The members that an earlier run has noted.
pub fn before(running: &ClusterFacts, addon: &str) -> Vec<ObjectRef> {
    let installed = running.addons.iter().find(|installed| installed.name == addon);
    let lines = installed.into_iter().flat_map(|installed| &installed.members);
    lines.filter_map(|line| inventory::member(line)).collect()
}

pub(super) fn server_side(object: Object, reason: &str) -> Draft {
    objects::draft(object, ApplyHow::ServerSide, Identity::Admin, reason)
}

fn established(definition: &Value) -> Draft {
    let name = ObjectRef::of(definition).name;
    Draft::new(
        format!("{name} established"),
        "objects of this kind can only be written then",
        Action::Wait(Wait {
            probe: Probe::Established { definition: name.clone(), identity: Identity::Admin },
            limit: ESTABLISHED,
            setting: None,
            advice: vec![format!("kubectl describe crd {name}")],
            container: None,
        }),
    )
}

fn runs_pods(object: &Value) -> bool {
    object["apiVersion"] == "apps/v1" && object["kind"].as_str().is_some_and(|kind| RUNS_PODS.contains(&kind))
}

/// A group of the API that pods answer for.
fn is_served(object: &Value) -> bool {
    object["kind"] == "APIService" && object["spec"]["service"].is_object()
}

fn served(object: &Value) -> Draft {
    let name = ObjectRef::of(object).name;
    Draft::new(
        format!("{name} available"),
        "the API server hands on what is asked of it, and gets answers",
        Action::Wait(Wait {
            probe: Probe::Available { service: name.clone(), identity: Identity::Admin },
            limit: SERVED,
            setting: None,
            advice: vec![format!("kubectl describe apiservice {name}")],
            container: None,
        }),
    )
}

fn rolled_out(object: &Value, limit: GoDuration) -> Draft {
    let name = ObjectRef::of(object);
    let kind = name.kind.to_lowercase();
    let (namespace, own) = (&name.namespace, &name.name);
    Draft::new(
        format!("{name} rolled out"),
        "its pods run as it says",
        Action::Wait(Wait {
            probe: Probe::RolledOut { object: name.clone(), identity: Identity::Admin },
            limit,
            setting: Some("--addon-timeout of apply, --timeout of addon apply"),
            advice: vec![
                format!("kubectl -n {namespace} describe {kind} {own}"),
                format!("kubectl -n {namespace} get pods -o wide"),
                format!("kubectl -n {namespace} get events --sort-by=.lastTimestamp"),
            ],
            container: None,
        }),
    )
}

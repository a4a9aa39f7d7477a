//! An API server in memory, with the habits of the real one that callers depend on.

use crate::api::Api;
use crate::api::ApiError;
use crate::api::ApiProvider;
use crate::api::FIELD_MANAGER;
use crate::api::Selector;
use crate::api::ServerSide;
use crate::api::merge::merge;
use crate::api::resources::list_path;
use crate::plan::Identity;
use crate::plan::ObjectRef;
use crate::plan::object::place;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// Clones share one store. As a provider, it knows the two identities apart.
#[derive(Debug, Clone)]
pub struct Fake {
    identity: Identity,
    store: Arc<Mutex<Store>>,
}

#[derive(Debug, Default)]
struct Store {
    objects: BTreeMap<ObjectRef, Value>,
    pages: BTreeMap<String, String>,
    version: u64,
    mutations: usize,
    fault: Option<(usize, Fault)>,
    unplugged: bool,
    admin_needs: Option<ObjectRef>,
    /// Who has set which fields, by JSON pointer.
    owners: BTreeMap<ObjectRef, Owners>,
    /// No controller acts, so that nothing is ever rolled out or established.
    idle: bool,
    /// Pods that a disruption budget keeps, and how often an eviction is refused until it allows one.
    budgets: BTreeMap<ObjectRef, usize>,
}

/// Fields by whoever has set them.
type Owners = BTreeMap<String, BTreeSet<String>>;

/// What happens at the n-th change (counted from 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is answered with this status and not made; later ones succeed.
    Refuse(u16),
    /// The connection is lost before it is made, and the API stays silent.
    DieBefore,
    /// The connection is lost after it was made, and the API stays silent.
    DieAfter,
}

impl Default for Fake {
    fn default() -> Self {
        Self::new()
    }
}

impl Fake {
    pub fn new() -> Self {
        Self { identity: Identity::Admin, store: Arc::default() }
    }

    /// The administrator may do nothing until this object exists, as with kubeadm's first cluster role binding.
    #[must_use]
    pub fn admin_needs(self, object: ObjectRef) -> Self {
        self.lock().admin_needs = Some(object);
        self
    }

    /// Puts an object there from outside, as a controller would.
    pub fn put(&self, object: Value) {
        let mut store = self.lock();
        let object = store.stamped(object, None);
        store.objects.insert(ObjectRef::of(&object), object);
    }

    /// Takes an object away from outside, as a controller would.
    pub fn remove(&self, object: &ObjectRef) {
        self.lock().objects.remove(object);
    }

    /// Somebody changes a field by hand, and is known for that from then on.
    pub fn edit(&self, object: &ObjectRef, pointer: &str, value: Value, manager: &str) {
        let mut store = self.lock();
        let owners = store.owners.entry(object.clone()).or_default();
        for fields in owners.values_mut() {
            fields.remove(pointer);
        }
        owners.entry(manager.to_owned()).or_default().insert(pointer.to_owned());
        let mut edited = store.objects[object].clone();
        let _ = place(&mut edited, pointer, value);
        let edited = store.stamped(edited.clone(), Some(&edited));
        store.objects.insert(object.clone(), edited);
    }

    /// Controllers stand still: nothing is rolled out, and no definition is established.
    pub fn idle(&self) {
        self.lock().idle = true;
    }

    /// They go on, and do what they have left.
    pub fn wake(&self) {
        let mut store = self.lock();
        store.idle = false;
        store.objects.values_mut().for_each(act);
    }

    /// A disruption budget that refuses the eviction of this pod so many times.
    pub fn protect(&self, pod: ObjectRef, times: usize) {
        self.lock().budgets.insert(pod, times);
    }

    /// The answer to a plain GET.
    pub fn page(&self, path: &str, text: &str) {
        self.lock().pages.insert(path.to_owned(), text.to_owned());
    }

    pub fn break_at(&self, turn: usize, fault: Fault) {
        self.lock().fault = Some((turn, fault));
    }

    /// Stops or goes on answering.
    pub fn unplug(&self, unplugged: bool) {
        self.lock().unplugged = unplugged;
    }

    /// Ends every fault.
    pub fn heal(&self) {
        let mut store = self.lock();
        store.fault = None;
        store.unplugged = false;
    }

    pub fn objects(&self) -> BTreeMap<ObjectRef, Value> {
        self.lock().objects.clone()
    }

    /// How many changes were asked for so far.
    pub fn mutations(&self) -> usize {
        self.lock().mutations
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self) -> Result<MutexGuard<'_, Store>, ApiError> {
        let store = self.lock();
        if store.unplugged {
            return Err(silent());
        }
        let needed = store.admin_needs.as_ref().filter(|_| self.identity == Identity::Admin);
        if needed.is_some_and(|needed| !store.objects.contains_key(needed)) {
            return Err(status(403, "Forbidden", "User \"kubernetes-admin\" cannot do that"));
        }
        Ok(store)
    }

    fn change<T>(&self, work: impl FnOnce(&mut Store) -> Result<T, ApiError>) -> Result<T, ApiError> {
        let mut store = self.look()?;
        let turn = store.mutations;
        store.mutations += 1;
        let fault = store.fault.filter(|(at, _)| *at == turn).map(|(_, fault)| fault);
        match fault {
            None => work(&mut store),
            Some(Fault::Refuse(code)) => Err(status(code, "Injected", "refused by the test")),
            Some(Fault::DieBefore) => {
                store.unplugged = true;
                Err(silent())
            }
            Some(Fault::DieAfter) => {
                let _ = work(&mut store);
                store.unplugged = true;
                Err(silent())
            }
        }
    }
}

impl Store {
    /// What the server adds: a UID for ever, a resource version with every change.
    fn stamped(&mut self, mut object: Value, old: Option<&Value>) -> Value {
        self.version += 1;
        let uid =
            old.map_or_else(|| json!(format!("uid-{}", self.version)), |old| old["metadata"]["uid"].clone());
        object["metadata"]["uid"] = uid;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        object
    }

    fn set(&mut self, object: Value) -> Result<Value, ApiError> {
        let name = ObjectRef::of(&object);
        let old = self.objects.get(&name).cloned().ok_or_else(|| ApiError::missing(&name))?;
        let expected =
            object.pointer("/metadata/resourceVersion").filter(|version| version.as_str() != Some("0"));
        if expected.is_some_and(|version| *version != old["metadata"]["resourceVersion"]) {
            return Err(status(409, "Conflict", "the object has been modified"));
        }
        let object = self.stamped(object, Some(&old));
        self.objects.insert(name, object.clone());
        Ok(object)
    }
}

impl Store {
    /// An object as server-side apply leaves it, and who has set which of its fields then. Lists count as one field.
    fn merged(&self, wanted: &Value, how: ServerSide) -> Result<(Value, Owners), ApiError> {
        let name = ObjectRef::of(wanted);
        let mut object = self.objects.get(&name).cloned().unwrap_or_else(|| json!({}));
        let mut owners = self.owners.get(&name).cloned().unwrap_or_default();
        let mut now = BTreeSet::new();
        leaves(wanted, "", &mut now);
        let before = owners.remove(FIELD_MANAGER).unwrap_or_default();
        let others = |pointer: &String| owners.iter().find(|(_, fields)| fields.contains(pointer));
        let differs = |pointer: &&String| object.pointer(pointer) != wanted.pointer(pointer);
        let conflicts: Vec<String> = now
            .iter()
            .filter(differs)
            .filter_map(|pointer| {
                let (manager, _) = others(pointer)?;
                Some(format!("conflict with \"{manager}\": {}", pointer.replace('/', ".")))
            })
            .collect();
        if !conflicts.is_empty() && !how.force {
            let message =
                format!("Apply failed with {} conflicts: {}", conflicts.len(), conflicts.join(", "));
            return Err(status(409, "Conflict", &message));
        }
        for pointer in before.difference(&now).filter(|pointer| others(pointer).is_none()) {
            if let Some((parent, key)) = pointer.rsplit_once('/')
                && let Some(Value::Object(map)) = object.pointer_mut(parent)
            {
                map.remove(&key.replace("~1", "/").replace("~0", "~"));
            }
        }
        for pointer in &now {
            let value = wanted.pointer(pointer).cloned().unwrap_or_default();
            let _ = place(&mut object, pointer, value);
        }
        for fields in owners.values_mut() {
            fields.retain(|field| !now.contains(field) || !how.force);
        }
        owners.insert(FIELD_MANAGER.to_owned(), now);
        Ok((object, owners))
    }
}

/// The JSON pointers of all fields that hold no map.
fn leaves(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                leaves(value, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        _ => {
            found.insert(at.to_owned());
        }
    }
}

/// What controllers make of an object at once.
fn act(object: &mut Value) {
    match object["kind"].as_str() {
        Some("CustomResourceDefinition") => {
            object["status"]["conditions"] = json!([{"type": "Established", "status": "True"}]);
        }
        Some("APIService") => {
            object["status"]["conditions"] = json!([{"type": "Available", "status": "True"}]);
        }
        Some("DaemonSet") => {
            object["status"] = json!({
                "desiredNumberScheduled": 1, "updatedNumberScheduled": 1, "numberAvailable": 1,
            });
        }
        Some("Deployment" | "StatefulSet") => {
            let replicas = object["spec"]["replicas"].as_u64().unwrap_or(1);
            object["status"] = json!({
                "replicas": replicas, "updatedReplicas": replicas, "availableReplicas": replicas,
            });
        }
        _ => {}
    }
}

impl Api for Fake {
    fn get(&self, object: &ObjectRef) -> Result<Option<Value>, ApiError> {
        Ok(self.look()?.objects.get(object).cloned())
    }

    fn list(&self, collection: &ObjectRef, selector: &Selector) -> Result<Vec<Value>, ApiError> {
        list_path(collection)?;
        let store = self.look()?;
        let found = store.objects.iter().filter(|(name, _)| name.is_in(collection));
        Ok(found.map(|(_, object)| object).filter(|object| selector.matches(object)).cloned().collect())
    }

    fn create(&self, object: &Value) -> Result<Value, ApiError> {
        self.change(|store| {
            let name = ObjectRef::of(object);
            if store.objects.contains_key(&name) {
                return Err(ApiError::exists(&name));
            }
            let object = store.stamped(object.clone(), None);
            store.objects.insert(name, object.clone());
            Ok(object)
        })
    }

    fn replace(&self, object: &Value) -> Result<Value, ApiError> {
        self.change(|store| store.set(object.clone()))
    }

    /// Here, as for the server, a part is replaced and the rest is what it was; an approval is a part of the status.
    fn replace_part(&self, object: &Value, subresource: &str) -> Result<Value, ApiError> {
        self.change(|store| {
            let name = ObjectRef::of(object);
            let mut value = store.objects.get(&name).cloned().ok_or_else(|| ApiError::missing(&name))?;
            let part = match subresource {
                "approval" | "status" => "status",
                other => return Err(status(404, "NotFound", &format!("no subresource {other}"))),
            };
            value[part] = object[part].clone();
            value["metadata"]["resourceVersion"] = object["metadata"]["resourceVersion"].clone();
            store.set(value)
        })
    }

    fn patch(&self, object: &ObjectRef, patch: &Value) -> Result<Value, ApiError> {
        self.change(|store| {
            let mut value = store.objects.get(object).cloned().ok_or_else(|| ApiError::missing(object))?;
            merge(&mut value, patch);
            store.set(value)
        })
    }

    fn apply(&self, object: &Value, how: ServerSide) -> Result<Value, ApiError> {
        if how.preview {
            return self.look()?.merged(object, how).map(|(object, _)| object);
        }
        self.change(|store| {
            let name = ObjectRef::of(object);
            let (mut merged, owners) = store.merged(object, how)?;
            store.owners.insert(name.clone(), owners);
            let old = store.objects.get(&name).cloned();
            if old.as_ref() == Some(&merged) {
                return Ok(merged);
            }
            if !store.idle {
                act(&mut merged);
            }
            let merged = store.stamped(merged, old.as_ref());
            store.objects.insert(name, merged.clone());
            Ok(merged)
        })
    }

    fn delete(&self, object: &ObjectRef) -> Result<(), ApiError> {
        self.change(|store| match store.objects.remove(object) {
            Some(_) => Ok(()),
            None => Err(ApiError::missing(object)),
        })
    }

    fn evict(&self, pod: &ObjectRef) -> Result<(), ApiError> {
        self.change(|store| {
            if let Some(left) = store.budgets.get_mut(pod).filter(|left| **left > 0) {
                *left -= 1;
                let message = "Cannot evict pod as it would violate the pod's disruption budget.";
                return Err(status(429, "TooManyRequests", message));
            }
            store.objects.remove(pod).map(drop).ok_or_else(|| ApiError::missing(pod))
        })
    }

    /// Health is public, so nobody needs rights for it.
    fn raw(&self, path: &str) -> Result<String, ApiError> {
        let store = self.lock();
        if store.unplugged {
            return Err(silent());
        }
        store.pages.get(path).cloned().ok_or_else(|| status(404, "NotFound", "no such page"))
    }
}

impl ApiProvider for Fake {
    fn client(&self, identity: Identity) -> Result<Arc<dyn Api>, ApiError> {
        Ok(Arc::new(Self { identity, store: Arc::clone(&self.store) }))
    }
}

fn silent() -> ApiError {
    ApiError::Unreachable {
        server: "https://fake".to_owned(),
        message: "no route to host".to_owned(),
        refused: false,
    }
}

fn status(code: u16, reason: &str, message: &str) -> ApiError {
    ApiError::Status { code, reason: reason.to_owned(), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behaves_like_the_server() {
        let api = Fake::new();
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}});
        let name = ObjectRef::of(&object);
        assert!(matches!(api.replace(&object), Err(ApiError::Status { code: 404, .. })));
        let first = api.create(&object).unwrap();
        assert!(api.create(&object).unwrap_err().is_conflict());
        let second = api.patch(&name, &json!({"metadata": {"labels": {"a": "b"}}})).unwrap();
        assert_eq!(first["metadata"]["uid"], second["metadata"]["uid"]);
        assert!(api.replace(&first).unwrap_err().is_conflict(), "an old version is refused");
        api.replace(&second).unwrap();
        api.delete(&name).unwrap();
        assert!(api.delete(&name).unwrap_err().is_missing());
    }

    #[test]
    fn lists_by_namespace_label_and_field() {
        let api = Fake::new();
        for (namespace, name, tier) in [("a", "one", "x"), ("a", "two", "y"), ("b", "three", "x")] {
            let metadata = json!({"name": name, "namespace": namespace, "labels": {"tier": tier}});
            api.put(
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"nodeName": name}}),
            );
        }
        let pods = |namespace: &str| ObjectRef::new("v1", "Pod", namespace, "");
        for (selector, expected) in [
            (Selector::all(), &["one", "two"][..]),
            (Selector::all().label("tier", "x"), &["one"]),
            (Selector::all().field("spec.nodeName", "two"), &["two"]),
            (Selector::all().label("tier", "x").field("spec.nodeName", "two"), &[]),
        ] {
            let found = api.list(&pods("a"), &selector).unwrap();
            let names: Vec<_> = found.iter().map(|pod| pod["metadata"]["name"].as_str().unwrap()).collect();
            assert_eq!(names, expected, "{selector:?}");
        }
        assert_eq!(api.list(&pods(""), &Selector::all()).unwrap().len(), 3);
        let gadgets = ObjectRef::new("v1", "Gadget", "", "");
        assert!(matches!(api.list(&gadgets, &Selector::all()), Err(ApiError::Invalid { .. })));
    }

    #[test]
    fn a_part_is_replaced_alone() {
        let api = Fake::new();
        let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "spec": {"a": 1}});
        let mut stored = api.create(&object).unwrap();
        stored["spec"]["a"] = json!(2);
        stored["status"] = json!({"b": 3});
        let after = api.replace_part(&stored, "status").unwrap();
        assert_eq!((&after["spec"]["a"], &after["status"]["b"]), (&json!(1), &json!(3)));
        assert!(api.replace_part(&stored, "status").unwrap_err().is_conflict(), "an old version is refused");
        assert!(api.replace_part(&after, "scale").unwrap_err().is_missing());
    }
}

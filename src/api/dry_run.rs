//! An API that is looked at but not changed.

use crate::api::Api;
use crate::api::ApiError;
use crate::api::Selector;
use crate::api::ServerSide;
use crate::api::merge::merge;
use crate::plan::ObjectRef;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

/// Looking goes to the real API where there is one that answers; otherwise nothing exists. Writing is only
/// remembered, so that a later look sees it.
pub struct DryRun {
    real: Option<Arc<dyn Api>>,
    silent: AtomicBool,
    /// `None` stands for what would be deleted.
    written: Arc<Mutex<BTreeMap<ObjectRef, Option<Value>>>>,
}

impl DryRun {
    pub fn new(real: Option<Arc<dyn Api>>) -> Self {
        let silent = AtomicBool::new(real.is_none());
        Self { real, silent, written: Arc::default() }
    }

    /// The same dry run on behalf of another identity: it looks through another client and knows the same writes.
    #[must_use]
    pub fn through(&self, real: Option<Arc<dyn Api>>) -> Self {
        Self { written: Arc::clone(&self.written), ..Self::new(real) }
    }

    /// Whether answers are about a cluster that nobody could ask.
    pub fn assumes_nothing_there(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    /// What would have been written, by name.
    pub fn written(&self) -> BTreeMap<ObjectRef, Value> {
        let written = self.lock();
        let kept = written.iter().filter_map(|(name, object)| Some((name.clone(), object.clone()?)));
        kept.collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ObjectRef, Option<Value>>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the real API, once: one that does not answer is not asked again.
    fn ask<T>(&self, question: impl FnOnce(&dyn Api) -> Result<T, ApiError>) -> Result<Option<T>, ApiError> {
        match self.real.as_deref().filter(|_| !self.assumes_nothing_there()).map(question) {
            None => Ok(None),
            Some(Err(ApiError::Unreachable { .. })) => {
                self.silent.store(true, Ordering::Relaxed);
                Ok(None)
            }
            Some(answer) => answer.map(Some),
        }
    }

    fn remember(&self, object: &Value) -> Value {
        self.lock().insert(ObjectRef::of(object), Some(object.clone()));
        object.clone()
    }
}

impl Api for DryRun {
    fn get(&self, object: &ObjectRef) -> Result<Option<Value>, ApiError> {
        if let Some(written) = self.lock().get(object) {
            return Ok(written.clone());
        }
        self.ask(|api| api.get(object)).map(Option::flatten)
    }

    fn list(&self, collection: &ObjectRef, selector: &Selector) -> Result<Vec<Value>, ApiError> {
        let mut found: BTreeMap<ObjectRef, Value> = BTreeMap::new();
        for object in self.ask(|api| api.list(collection, selector))?.unwrap_or_default() {
            found.insert(ObjectRef::of(&object), object);
        }
        for (name, object) in self.lock().iter().filter(|(name, _)| name.is_in(collection)) {
            match object.as_ref().filter(|object| selector.matches(object)) {
                Some(object) => found.insert(name.clone(), object.clone()),
                None => found.remove(name),
            };
        }
        Ok(found.into_values().collect())
    }

    fn create(&self, object: &Value) -> Result<Value, ApiError> {
        let name = ObjectRef::of(object);
        if self.get(&name)?.is_some() {
            return Err(ApiError::exists(&name));
        }
        Ok(self.remember(object))
    }

    fn replace(&self, object: &Value) -> Result<Value, ApiError> {
        let name = ObjectRef::of(object);
        self.get(&name)?.ok_or_else(|| ApiError::missing(&name))?;
        Ok(self.remember(object))
    }

    fn replace_part(&self, object: &Value, _: &str) -> Result<Value, ApiError> {
        self.replace(object)
    }

    fn patch(&self, object: &ObjectRef, patch: &Value) -> Result<Value, ApiError> {
        let mut value = self.get(object)?.ok_or_else(|| ApiError::missing(object))?;
        merge(&mut value, patch);
        Ok(self.remember(&value))
    }

    /// The server itself says what would come of it, as long as only it has changed the object.
    fn apply(&self, object: &Value, how: ServerSide) -> Result<Value, ApiError> {
        let name = ObjectRef::of(object);
        let known = self.lock().get(&name).cloned().flatten();
        let after = match (self.get(&name)?, known) {
            (None, _) => object.clone(),
            (Some(_), Some(mut written)) => {
                merge(&mut written, object);
                written
            }
            (Some(_), None) => {
                let preview = ServerSide { preview: true, ..how };
                let answer = self.ask(|api| api.apply(object, preview))?;
                answer.unwrap_or_else(|| object.clone())
            }
        };
        if how.preview {
            return Ok(after);
        }
        Ok(self.remember(&after))
    }

    fn delete(&self, object: &ObjectRef) -> Result<(), ApiError> {
        self.get(object)?.ok_or_else(|| ApiError::missing(object))?;
        self.lock().insert(object.clone(), None);
        Ok(())
    }

    fn evict(&self, pod: &ObjectRef) -> Result<(), ApiError> {
        self.delete(pod)
    }

    fn raw(&self, path: &str) -> Result<String, ApiError> {
        self.ask(|api| api.raw(path))?.ok_or_else(|| ApiError::DryRun { what: format!("asking for {path}") })
    }
}

impl fmt::Debug for DryRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DryRun").field("silent", &self.silent).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fake::Fake;
    use serde_json::json;

    fn config_map(name: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}})
    }

    #[test]
    fn reads_through_and_remembers_writes() {
        let fake = Arc::new(Fake::new());
        fake.put(config_map("there"));
        let api = DryRun::new(Some(fake.clone()));
        assert!(api.create(&config_map("there")).unwrap_err().is_conflict());
        api.create(&config_map("new")).unwrap();
        let new = ObjectRef::of(&config_map("new"));
        api.patch(&new, &json!({"data": {"a": "b"}})).unwrap();
        assert_eq!(api.get(&new).unwrap().unwrap()["data"]["a"], "b");
        assert_eq!(fake.mutations(), 0);
    }

    #[test]
    fn lists_what_would_be_there() {
        let fake = Arc::new(Fake::new());
        for name in ["kept", "changed", "gone"] {
            fake.put(config_map(name));
        }
        let api = DryRun::new(Some(fake.clone()));
        let named = |name| ObjectRef::of(&config_map(name));
        api.delete(&named("gone")).unwrap();
        assert!(api.delete(&named("gone")).unwrap_err().is_missing());
        api.patch(&named("changed"), &json!({"metadata": {"labels": {"new": "yes"}}})).unwrap();
        api.create(&config_map("new")).unwrap();
        let listed = |selector: &Selector| -> Vec<String> {
            let found = api.list(&named(""), selector).unwrap();
            found.iter().map(|object| object["metadata"]["name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(listed(&Selector::all()), ["changed", "kept", "new"]);
        assert_eq!(listed(&Selector::all().label("new", "yes")), ["changed"]);
        assert_eq!(api.get(&named("gone")).unwrap(), None);
        api.create(&config_map("gone")).unwrap();
        assert_eq!(fake.mutations(), 0);
    }

    #[test]
    fn an_api_that_does_not_answer_counts_as_empty() {
        let fake = Arc::new(Fake::new());
        fake.put(config_map("there"));
        fake.unplug(true);
        let api = DryRun::new(Some(fake));
        assert_eq!(api.get(&ObjectRef::of(&config_map("there"))).unwrap(), None);
        assert!(api.assumes_nothing_there());
    }
}

//! One API behind several servers: the one that answered last is asked first.

use crate::api::Api;
use crate::api::ApiError;
use crate::api::Selector;
use crate::api::ServerSide;
use crate::plan::ObjectRef;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// Asks the servers of a cluster in turn until one answers.
pub struct Failover {
    servers: Vec<Arc<dyn Api>>,
    current: AtomicUsize,
}

impl Failover {
    /// # Panics
    /// Never; without servers every question is answered by an error.
    pub fn new(servers: Vec<Arc<dyn Api>>) -> Self {
        Self { servers, current: AtomicUsize::new(0) }
    }

    /// A server that does not answer has done nothing, as far as one can know; whoever asks compares before writing.
    fn ask<T>(&self, question: impl Fn(&dyn Api) -> Result<T, ApiError>) -> Result<T, ApiError> {
        let first = self.current.load(Ordering::Relaxed);
        let mut silent = ApiError::Invalid { what: "a cluster without API servers".to_owned() };
        for turn in 0..self.servers.len() {
            let number = (first + turn) % self.servers.len();
            match question(&*self.servers[number]) {
                Err(error @ ApiError::Unreachable { .. }) => silent = error,
                answer => {
                    self.current.store(number, Ordering::Relaxed);
                    return answer;
                }
            }
        }
        Err(silent)
    }
}

impl Api for Failover {
    fn get(&self, object: &ObjectRef) -> Result<Option<Value>, ApiError> {
        self.ask(|api| api.get(object))
    }

    fn list(&self, collection: &ObjectRef, selector: &Selector) -> Result<Vec<Value>, ApiError> {
        self.ask(|api| api.list(collection, selector))
    }

    fn create(&self, object: &Value) -> Result<Value, ApiError> {
        self.ask(|api| api.create(object))
    }

    fn replace(&self, object: &Value) -> Result<Value, ApiError> {
        self.ask(|api| api.replace(object))
    }

    fn replace_part(&self, object: &Value, subresource: &str) -> Result<Value, ApiError> {
        self.ask(|api| api.replace_part(object, subresource))
    }

    fn patch(&self, object: &ObjectRef, patch: &Value) -> Result<Value, ApiError> {
        self.ask(|api| api.patch(object, patch))
    }

    fn apply(&self, object: &Value, how: ServerSide) -> Result<Value, ApiError> {
        self.ask(|api| api.apply(object, how))
    }

    fn delete(&self, object: &ObjectRef) -> Result<(), ApiError> {
        self.ask(|api| api.delete(object))
    }

    fn evict(&self, pod: &ObjectRef) -> Result<(), ApiError> {
        self.ask(|api| api.evict(pod))
    }

    fn raw(&self, path: &str) -> Result<String, ApiError> {
        self.ask(|api| api.raw(path))
    }
}

impl std::fmt::Debug for Failover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Failover({} servers)", self.servers.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Fake;
    use crate::api::NoApi;
    use crate::api::provider::ApiProvider as _;
    use crate::plan::Identity;
    use serde_json::json;

    struct Silent;

    impl Api for Silent {
        fn get(&self, _: &ObjectRef) -> Result<Option<Value>, ApiError> {
            Err(Self::error())
        }
        fn list(&self, _: &ObjectRef, _: &Selector) -> Result<Vec<Value>, ApiError> {
            Err(Self::error())
        }
        fn create(&self, _: &Value) -> Result<Value, ApiError> {
            Err(Self::error())
        }
        fn replace(&self, _: &Value) -> Result<Value, ApiError> {
            Err(Self::error())
        }
        fn replace_part(&self, _: &Value, _: &str) -> Result<Value, ApiError> {
            Err(Self::error())
        }
        fn patch(&self, _: &ObjectRef, _: &Value) -> Result<Value, ApiError> {
            Err(Self::error())
        }
        fn apply(&self, _: &Value, _: ServerSide) -> Result<Value, ApiError> {
            Err(Self::error())
        }
        fn delete(&self, _: &ObjectRef) -> Result<(), ApiError> {
            Err(Self::error())
        }
        fn evict(&self, _: &ObjectRef) -> Result<(), ApiError> {
            Err(Self::error())
        }
        fn raw(&self, _: &str) -> Result<String, ApiError> {
            Err(Self::error())
        }
    }

    impl Silent {
        fn error() -> ApiError {
            ApiError::Unreachable {
                server: "https://silent".into(),
                message: "no route".into(),
                refused: false,
            }
        }
    }

    #[test]
    fn asks_the_next_one_when_one_is_silent_and_stays_with_it() {
        let fake = Fake::new();
        fake.page("/livez", "ok");
        let answering = fake.client(Identity::Admin).unwrap();
        let api = Failover::new(vec![Arc::new(Silent), answering]);
        assert_eq!(api.raw("/livez").unwrap(), "ok");
        assert_eq!(api.current.load(Ordering::Relaxed), 1);
        api.create(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}})).unwrap();
        // A refusal is an answer.
        assert!(matches!(api.raw("/nothing"), Err(ApiError::Status { .. })));
    }

    #[test]
    fn says_that_nobody_answers() {
        let api = Failover::new(vec![Arc::new(Silent), Arc::new(Silent)]);
        assert!(matches!(api.raw("/livez"), Err(ApiError::Unreachable { .. })));
        assert!(Failover::new(Vec::new()).raw("/livez").is_err());
        assert!(NoApi.client(Identity::Admin).is_err());
    }
}

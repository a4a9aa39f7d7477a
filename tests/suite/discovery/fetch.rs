//! What a joining host reads from the cluster.

use crate::discovery::Still;
use crate::discovery::compare;
use kubewright::api::Api;
use kubewright::api::ApiError;
use kubewright::api::Selector;
use kubewright::api::ServerSide;
use kubewright::clock::Clock;
use kubewright::discovery::World;
use kubewright::discovery::stored;
use kubewright::discovery::stored::FetchError;
use kubewright::host::Local;
use kubewright::plan::ObjectRef;
use serde_json::Value;
use serde_json::json;
use std::error::Error as _;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

type Answer = Result<Option<Value>, ApiError>;

/// Answers the n-th question of an object as the test says.
struct Script<F> {
    answer: F,
    asked: Mutex<Vec<String>>,
}

impl<F: Fn(usize, &str) -> Answer + Send + Sync> Api for Script<F> {
    fn get(&self, object: &ObjectRef) -> Answer {
        let mut asked = self.asked.lock().unwrap();
        let number = asked.iter().filter(|name| **name == object.name).count();
        asked.push(object.name.clone());
        assert_eq!(object.namespace, "kube-system");
        (self.answer)(number, &object.name)
    }

    fn list(&self, collection: &ObjectRef, _: &Selector) -> Result<Vec<Value>, ApiError> {
        panic!("{collection}")
    }

    fn replace_part(&self, object: &Value, _: &str) -> Result<Value, ApiError> {
        panic!("{object}")
    }

    fn apply(&self, object: &Value, _: ServerSide) -> Result<Value, ApiError> {
        panic!("{object}")
    }

    fn delete(&self, object: &ObjectRef) -> Result<(), ApiError> {
        panic!("{object}")
    }

    fn evict(&self, pod: &ObjectRef) -> Result<(), ApiError> {
        panic!("{pod}")
    }

    fn create(&self, object: &Value) -> Result<Value, ApiError> {
        panic!("{object}")
    }

    fn replace(&self, object: &Value) -> Result<Value, ApiError> {
        panic!("{object}")
    }

    fn patch(&self, object: &ObjectRef, _: &Value) -> Result<Value, ApiError> {
        panic!("{object}")
    }

    fn raw(&self, path: &str) -> Result<String, ApiError> {
        panic!("{path}")
    }
}

fn script<F: Fn(usize, &str) -> Answer + Send + Sync>(answer: F) -> Script<F> {
    Script { answer, asked: Mutex::default() }
}

fn status(code: u16) -> ApiError {
    ApiError::Status { code, reason: String::new(), message: format!("message of {code}") }
}

fn silent() -> ApiError {
    ApiError::Unreachable {
        server: "https://10.0.0.1:6443".to_owned(),
        message: "connection refused".to_owned(),
        refused: true,
    }
}

const LIMIT: Duration = Duration::from_mins(1);

fn with_world<T>(interrupt: bool, work: impl FnOnce(&World<'_>) -> T) -> (T, Duration) {
    let (host, clock, interrupt) = (Local::new("w1"), Still::default(), AtomicBool::new(interrupt));
    let done = work(&World { host: &host, clock: &clock, events: &|_| {}, interrupt: &interrupt });
    (done, clock.monotonic())
}

#[test]
fn what_is_slow_to_appear_is_asked_for_again() {
    let api = script(|number, name| match (number, name) {
        (0..3, "kubeadm-config") => Err(status(403)),
        (0..5, "kubelet-config") => Err(silent()),
        (0, "kube-proxy") => Err(status(500)),
        _ => Ok(Some(json!({"name": name}))),
    });
    let (stored, slept) = with_world(false, |world| stored::fetch(&api, world, LIMIT));
    let stored = stored.unwrap();
    assert_eq!(stored.kubeadm_config["name"], "kubeadm-config");
    assert_eq!(stored.kubelet_config["name"], "kubelet-config");
    assert_eq!(stored.kube_proxy.unwrap()["name"], "kube-proxy");
    assert!(slept < Duration::from_secs(3), "{slept:?}");
}

#[test]
fn kube_proxy_may_be_missing_or_forbidden() {
    for forbidden in [true, false] {
        let api = script(move |_, name| match name {
            "kube-proxy" if forbidden => Err(status(403)),
            "kube-proxy" => Ok(None),
            _ => Ok(Some(json!({}))),
        });
        let (stored, slept) = with_world(false, |world| stored::fetch(&api, world, LIMIT));
        assert!(stored.unwrap().kube_proxy.is_none());
        assert_eq!(slept, Duration::ZERO);
    }
}

#[test]
fn what_cannot_be_read_is_told_apart() {
    let mut said = Vec::new();
    let mut note = |name: &'static str, result: Result<(), FetchError>| {
        let error = result.expect_err(name);
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        said.push((name, format!("error: {error}{cause}\nhint: {}\n", error.hint())));
    };
    let all = [
        ("not a cluster of kubeadm", 404, Duration::from_secs(3)),
        ("the token has expired", 401, Duration::from_secs(3)),
        ("the token may not read it", 403, Duration::from_secs(3)),
        ("the API server is in trouble", 500, LIMIT),
        ("the API server does not understand", 400, Duration::ZERO),
    ];
    for (name, code, limit) in all {
        let api = script(move |_, _| if code == 404 { Ok(None) } else { Err(status(code)) });
        let (result, slept) = with_world(false, |world| stored::fetch(&api, world, LIMIT).map(drop));
        assert!(slept <= limit && (slept > limit / 3 || limit.is_zero()), "{name}: {slept:?}");
        note(name, result);
    }
    for (name, code) in [("the Secret is gone", 404), ("the Secret may not be read", 403)] {
        let api = script(move |_, _| if code == 404 { Ok(None) } else { Err(status(code)) });
        let (result, _) = with_world(false, |world| stored::fetch_certificates(&api, world, LIMIT).map(drop));
        note(name, result);
    }
    let api = script(|_, _| Err(silent()));
    note("nobody answers", with_world(false, |world| stored::fetch(&api, world, LIMIT).map(drop)).0);
    note("an interrupt", with_world(true, |world| stored::fetch(&api, world, LIMIT).map(drop)).0);
    compare("stored.txt", &said);
}

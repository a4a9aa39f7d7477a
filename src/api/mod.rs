//! The other seam: the Kubernetes API, in its own words.

pub mod dry_run;
pub mod failover;
pub mod fake;
pub mod kube;
pub mod merge;
pub mod provider;
pub mod resources;
pub mod select;
pub mod through;

pub use dry_run::DryRun;
pub use failover::Failover;
pub use fake::Fake;
pub use kube::KubeApi;
pub use provider::Access;
pub use provider::ApiProvider;
pub use provider::Kubeconfigs;
pub use provider::NoApi;
pub use select::Selector;
pub use through::Through;

use crate::plan::ObjectRef;
use serde_json::Value;

/// A cluster's API on behalf of one identity.
pub trait Api: Send + Sync {
    /// The object as it is; `None` when there is none.
    ///
    /// # Errors
    /// The API does not answer or refuses.
    fn get(&self, object: &ObjectRef) -> Result<Option<Value>, ApiError>;

    /// The objects of a kind, in a namespace, or in all where `collection` says none; its name plays no part. Every page of
    /// the answer is fetched, and each object says its `apiVersion` and `kind`.
    ///
    /// # Errors
    /// As for [`Api::get`].
    fn list(&self, collection: &ObjectRef, selector: &Selector) -> Result<Vec<Value>, ApiError>;

    /// Creates an object and returns it as the API stored it.
    ///
    /// # Errors
    /// [`ApiError::Status`] with 409 when it exists.
    fn create(&self, object: &Value) -> Result<Value, ApiError>;

    /// Replaces an object wholly.
    ///
    /// # Errors
    /// As for [`Api::get`].
    fn replace(&self, object: &Value) -> Result<Value, ApiError>;

    /// Replaces one part of an object through its subresource (`approval`, `status`); the rest is left as it is.
    ///
    /// # Errors
    /// As for [`Api::get`].
    fn replace_part(&self, object: &Value, subresource: &str) -> Result<Value, ApiError>;

    /// Changes an object by a strategic merge patch.
    ///
    /// # Errors
    /// As for [`Api::get`].
    fn patch(&self, object: &ObjectRef, patch: &Value) -> Result<Value, ApiError>;

    /// Makes the fields of `object` so, as this program's own, and returns the object as it is then (server-side apply).
    /// What an earlier call set and this one does not is taken away, where nobody else sets it too.
    ///
    /// # Errors
    /// [`ApiError::Status`] with 409 when somebody else has set a field to something else.
    fn apply(&self, object: &Value, how: ServerSide) -> Result<Value, ApiError>;

    /// Deletes an object; what belongs to it goes in the background.
    ///
    /// # Errors
    /// [`ApiError::Status`] with 404 when there is none.
    fn delete(&self, object: &ObjectRef) -> Result<(), ApiError>;

    /// Asks a pod to end as far as disruption budgets allow it (the Eviction API).
    ///
    /// # Errors
    /// [`ApiError::Status`] with 429 while a budget allows none, with 404 when there is no such pod.
    fn evict(&self, pod: &ObjectRef) -> Result<(), ApiError>;

    /// The answer to a plain GET such as `/livez`.
    ///
    /// # Errors
    /// As for [`Api::get`].
    fn raw(&self, path: &str) -> Result<String, ApiError>;
}

/// The name under which the API keeps which fields this program has set.
pub const FIELD_MANAGER: &str = "kubewright";

/// How fields are made so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerSide {
    /// The server only says what would come of it.
    pub preview: bool,
    /// Fields that others have set are taken over.
    pub force: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The API answered with an error status.
    #[error("the API server says {code}: {message}")]
    Status { code: u16, reason: String, message: String },
    /// No answer: nothing listens, or TLS failed, or it took too long. `refused` says that its host did answer: nobody
    /// listens there.
    #[error("the API server at {server} does not answer: {message}")]
    Unreachable { server: String, message: String, refused: bool },
    #[error("not done in a dry run: {what}")]
    DryRun { what: String },
    /// Nobody to ask on behalf of.
    #[error("cannot use {identity}: {why}")]
    Credentials { identity: &'static str, why: String },
    #[error("the kubeconfig cannot be used: {why}")]
    Kubeconfig { why: String },
    /// Our own mistake, found before anything was sent.
    #[error("cannot ask for {what}")]
    Invalid { what: String },
}

impl ApiError {
    /// What a server says to the creation of an object that exists.
    pub(crate) fn exists(object: &ObjectRef) -> Self {
        let (reason, message) = ("AlreadyExists".to_owned(), format!("{object} already exists"));
        Self::Status { code: 409, reason, message }
    }

    /// What a server says to a change of an object that does not exist.
    pub(crate) fn missing(object: &ObjectRef) -> Self {
        Self::Status { code: 404, reason: "NotFound".to_owned(), message: format!("{object} not found") }
    }

    /// A kind that the server does not know, or not yet: its definition may be on its way.
    pub(crate) fn no_such_kind(object: &ObjectRef) -> Self {
        let message = format!("the server knows no kind {} of {}", object.kind, object.api_version);
        Self::Status { code: 404, reason: "NotFound".to_owned(), message }
    }

    /// Whether the same request may succeed later: everything but a request that is wrong in itself.
    /// Forbidden and unknown heal, since roles and namespaces of a new cluster appear a moment after it answers.
    pub fn may_heal(&self) -> bool {
        match self {
            Self::Status { code, .. } => !matches!(code, 400 | 405 | 406 | 413 | 415 | 422),
            Self::Unreachable { .. } => true,
            Self::DryRun { .. }
            | Self::Credentials { .. }
            | Self::Kubeconfig { .. }
            | Self::Invalid { .. } => false,
        }
    }

    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Status { code: 403, .. })
    }

    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Status { code: 404, .. })
    }

    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Status { code: 409, .. })
    }
}

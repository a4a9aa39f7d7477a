//! The other seam: the Kubernetes API, in its own words.

use crate::plan::ObjectRef;
use serde_json::Value;

/// A cluster's API on behalf of one identity.
pub trait Api: Send + Sync {
    /// The object as it is; `None` when there is none.
    ///
    /// # Errors
    /// The API does not answer or refuses.
    fn get(&self, object: &ObjectRef) -> Result<Option<Value>, ApiError>;

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

    /// Changes an object by a strategic merge patch.
    ///
    /// # Errors
    /// As for [`Api::get`].
    fn patch(&self, object: &ObjectRef, patch: &Value) -> Result<Value, ApiError>;

    /// The answer to a plain GET such as `/livez`.
    ///
    /// # Errors
    /// As for [`Api::get`].
    fn raw(&self, path: &str) -> Result<String, ApiError>;
}

#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The API answered with an error status.
    #[error("the API server says {code}: {message}")]
    Status { code: u16, reason: String, message: String },
    /// No answer: nothing listens, or TLS failed, or it took too long.
    #[error("the API server at {server} does not answer: {message}")]
    Unreachable { server: String, message: String },
    #[error("not done in a dry run: {what}")]
    DryRun { what: String },
}

impl ApiError {
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Status { code: 403, .. })
    }

    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Status { code: 409, .. })
    }
}

//! Finding the bootstrap token of an earlier run.

use crate::api::Api;
use crate::api::ApiError;
use crate::api::Selector;
use crate::cluster::Secret;
use crate::kube::token;
use crate::kube::token::StoredToken;
use serde_json::Value;
use time::OffsetDateTime;

/// A token that lives, may be used for joining, and signs `cluster-info`: what `init` makes when it is told nothing.
pub(super) fn default_token(api: &dyn Api, now: OffsetDateTime) -> Option<(String, Secret)> {
    let secrets = secrets(api).ok()?;
    let mut tokens = secrets.iter().filter_map(|secret| token::read(secret).ok());
    tokens.find(|token: &StoredToken| token.joins_nodes(now)).map(|token| (token.id, token.secret))
}

/// The Secrets of all bootstrap tokens, in the order of their names.
///
/// # Errors
/// The API does not answer or refuses.
pub(super) fn secrets(api: &dyn Api) -> Result<Vec<Value>, ApiError> {
    api.list(&token::secret_ref(""), &Selector::all().field("type", token::TYPE))
}

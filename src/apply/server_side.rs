//! Objects made so field by field, each field with a keeper: what the API server calls server-side apply.

use crate::api::Api;
use crate::api::ApiError;
use crate::api::ServerSide;
use crate::apply::diff;
use crate::apply::run::Done;
use crate::apply::run::Run;
use crate::plan::Object;
use crate::report::Outcome;
use serde_json::Value;

/// What the server writes down by itself, whatever is wanted.
const KEPT_BY_SERVER: [&str; 3] = ["managedFields", "resourceVersion", "generation"];

/// Makes an object so. The server says beforehand what would come of it, so that what is so already is left alone, and
/// what it takes from others is seen.
pub(super) fn apply(
    run: &Run<'_>,
    api: &dyn Api,
    object: &Object,
    wanted: &Value,
    live: Option<&Value>,
    name: &str,
) -> Result<Done, ApiError> {
    let options = run.world.options;
    let how = ServerSide { preview: true, force: options.force_conflicts };
    let shown = |after: &Value| {
        options.diff.then(|| diff::whole(name, object, live.map(essence).as_ref(), &essence(after)))
    };
    let Some(before) = live else {
        api.apply(wanted, ServerSide { preview: false, ..how })?;
        return Ok(Done { diff: shown(wanted), ..Done::new(run.changed()) });
    };
    let after = match api.apply(wanted, how) {
        // A dry run shows what is kept from being changed, and who keeps it.
        Err(ApiError::Status { code: 409, message, .. }) if options.dry_run => {
            let after = api.apply(wanted, ServerSide { force: true, ..how })?;
            let done = Done { diff: shown(&after), ..Done::new(Outcome::WouldChange) };
            return Ok(done.detail(format!("it would be refused without --force-conflicts: {message}")));
        }
        answer => answer?,
    };
    if essence(&after) == essence(before) {
        return Ok(Done::new(Outcome::Ok));
    }
    api.apply(wanted, ServerSide { preview: false, ..how })?;
    Ok(Done { diff: shown(&after), ..Done::new(run.changed()) })
}

/// An object without what the server and the controllers keep in it.
fn essence(object: &Value) -> Value {
    let mut essence = object.clone();
    if let Some(metadata) = essence.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in KEPT_BY_SERVER {
            metadata.remove(field);
        }
    }
    if let Some(map) = essence.as_object_mut() {
        map.remove("status");
    }
    essence
}

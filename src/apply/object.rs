//! API objects: compared with what is there, then created, replaced or marked.

use crate::api::Api;
use crate::api::ApiError;
use crate::apply::compare::is_part;
use crate::apply::diff;
use crate::apply::failure::StepError;
use crate::apply::receipt::sha256;
use crate::apply::run::Done;
use crate::apply::run::Run;
use crate::apply::server_side;
use crate::apply::taint;
use crate::apply::wait;
use crate::cluster::GoDuration;
use crate::plan::ApplyHow;
use crate::plan::Fill;
use crate::plan::Identity;
use crate::plan::Object;
use crate::plan::ObjectRef;
use crate::plan::ObjectSpec;
use crate::plan::Step;
use crate::plan::object;
use crate::report::FailureKind;
use crate::report::Outcome;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Somebody else keeps a field.
const KEPT: &str = "take the change over into the configuration, undo it in the cluster, or run with `--force-conflicts` to \
                    overwrite it";

enum Trouble {
    Api(ApiError),
    /// Repeating does not help.
    Fill(anyhow::Error),
}

impl From<ApiError> for Trouble {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

/// Makes an object so. What may heal is repeated for as long as the options say.
pub(crate) fn apply(run: &Run<'_>, step: &Step, spec: &ObjectSpec) -> Result<Done, StepError> {
    let options = run.world.options;
    let name = ObjectRef::of(&spec.object.value);
    let in_vain = |error: ApiError, waited: Duration| {
        let step = StepError::from(error).detail("waited", format!("{:.1} s", waited.as_secs_f32()));
        StepError { cause: step.cause.context(format!("cannot apply {name}")), ..step }
    };
    let mut last = None;
    let done = wait::until(run, step, &name.to_string(), options.api_timeout, || {
        match attempt_as(run, spec, &name) {
            Ok(done) => Ok(Ok(done)),
            Err(Trouble::Fill(error)) => {
                let error = error.context(format!("cannot make {name}"));
                Err(StepError::new(FailureKind::Content, error))
            }
            Err(Trouble::Api(error)) if spec.how == ApplyHow::ServerSide && error.is_conflict() => {
                Err(in_vain(error, Duration::ZERO).hint(KEPT))
            }
            Err(Trouble::Api(error)) if options.dry_run || !error.may_heal() => {
                Err(in_vain(error, Duration::ZERO))
            }
            Err(Trouble::Api(error)) => {
                let said = error.to_string();
                last = Some(error);
                Ok(Err(said))
            }
        }
    })?;
    done.map_err(|late| match last {
        Some(error) => in_vain(error, late.waited),
        None => StepError::plan(late.last),
    })
}

/// The super administrator is only asked for what the administrator may not do yet, so that its kubeconfig can be
/// put away once the cluster runs.
fn attempt_as(run: &Run<'_>, spec: &ObjectSpec, name: &ObjectRef) -> Result<Done, Trouble> {
    let ask = |identity| {
        let client = run.client(identity)?;
        attempt(run, client.as_ref(), spec, name)
    };
    // A dry run does not give the administrator its rights, and looks through the other identity instead.
    let fall_back = spec.identity == Identity::SuperAdmin || run.world.options.dry_run;
    match ask(Identity::Admin) {
        Err(Trouble::Api(error))
            if fall_back && (error.is_forbidden() || matches!(error, ApiError::Credentials { .. })) =>
        {
            ask(Identity::SuperAdmin)
        }
        answer => answer,
    }
}

fn attempt(run: &Run<'_>, api: &dyn Api, spec: &ObjectSpec, name: &ObjectRef) -> Result<Done, Trouble> {
    let live = api.get(name)?;
    if spec.how == ApplyHow::MarkNode {
        return mark(run, api, spec, name, live.as_ref());
    }
    if live.is_some() && spec.how == ApplyHow::CreateOnly {
        return Ok(finished(&spec.object, Outcome::Ok, None));
    }
    let wanted = filled(run, api, &spec.object, live.as_ref())?;
    if spec.how == ApplyHow::ServerSide {
        let done = server_side::apply(run, api, &spec.object, &wanted, live.as_ref(), &name.to_string())?;
        return Ok(Done { digest: Some(digest(&spec.object)), ..done });
    }
    if live.as_ref().is_some_and(|live| is_part(&wanted, live)) {
        return Ok(finished(&spec.object, Outcome::Ok, None));
    }
    let diff =
        run.world.options.diff.then(|| diff::object(&name.to_string(), &spec.object, live.as_ref(), &wanted));
    match live {
        None => api.create(&wanted)?,
        Some(live) => api.replace(&over(wanted, &live))?,
    };
    Ok(finished(&spec.object, run.changed(), diff))
}

fn mark(
    run: &Run<'_>,
    api: &dyn Api,
    spec: &ObjectSpec,
    name: &ObjectRef,
    live: Option<&Value>,
) -> Result<Done, Trouble> {
    let registered = live.filter(|node| taint::is_registered(node));
    let Some(live) = registered else {
        if run.world.options.dry_run {
            return Ok(Done::new(Outcome::WouldChange));
        }
        return Err(ApiError::missing(name).into());
    };
    let Some(patch) = taint::mark(&spec.object.value, live) else {
        return Ok(finished(&spec.object, Outcome::Ok, None));
    };
    api.patch(name, &patch)?;
    Ok(finished(&spec.object, run.changed(), None).detail(taint::told(&patch, live)))
}

fn finished(object: &Object, outcome: Outcome, diff: Option<String>) -> Done {
    Done { diff, digest: Some(digest(object)), ..Done::new(outcome) }
}

fn digest(object: &Object) -> String {
    sha256(object.value.to_string().as_bytes())
}

/// A replacement carries the version that was compared, so that a change in between is not lost, and what the server
/// once chose for a Service and does not let anybody change.
fn over(mut wanted: Value, live: &Value) -> Value {
    wanted["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
    if wanted["kind"] == "Service" {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort"] {
            if let (None, Some(chosen)) = (wanted["spec"].get(field), live["spec"].get(field)) {
                wanted["spec"][field] = chosen.clone();
            }
        }
    }
    wanted
}

/// The object with its holes filled.
fn filled(run: &Run<'_>, api: &dyn Api, object: &Object, live: Option<&Value>) -> Result<Value, Trouble> {
    let mut value = object.value.clone();
    // kubeadm sends some objects with version 0, meaning any; it is a condition and no part of what is wanted.
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("resourceVersion");
    }
    for hole in &object.holes {
        let there = live.and_then(|live| live.pointer(&hole.pointer)).and_then(Value::as_str);
        let text = match &hole.fill {
            Fill::UidOf(other) => Some(uid(run, api, other)?),
            Fill::Expiration(after) => Some(expiration(run.world.clock.now(), *after, there)),
            fill => resolved(run, fill, there).map_err(Trouble::Fill)?,
        };
        if let Some(text) = text {
            object::place(&mut value, &hole.pointer, text.into())
                .ok_or_else(|| Trouble::Fill(anyhow::anyhow!("the object has no place {}", hole.pointer)))?;
        }
    }
    Ok(value)
}

fn resolved(run: &Run<'_>, fill: &Fill, there: Option<&str>) -> anyhow::Result<Option<String>> {
    let resolver = run.world.resolver;
    if let Some(there) = there
        && resolver.is_current(fill, there)? == Some(true)
    {
        return Ok(Some(there.to_owned()));
    }
    resolver.fill(fill)
}

fn uid(run: &Run<'_>, api: &dyn Api, object: &ObjectRef) -> Result<String, ApiError> {
    let live = api.get(object)?.ok_or_else(|| ApiError::missing(object))?;
    match live["metadata"]["uid"].as_str() {
        Some(uid) => Ok(uid.to_owned()),
        None if run.world.options.dry_run => Ok(format!("uid of {object}")),
        None => Err(ApiError::Invalid { what: format!("the UID of {object}, which has none") }),
    }
}

/// The time of expiry in base64: the existing one while it lies ahead, otherwise counted from now.
fn expiration(now: OffsetDateTime, after: GoDuration, there: Option<&str>) -> String {
    let ahead = there.filter(|text| {
        let text = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        text.and_then(|text| OffsetDateTime::parse(&text, &Rfc3339).ok()).is_some_and(|time| time > now)
    });
    if let Some(there) = ahead {
        return there.to_owned();
    }
    object::expiration(now, after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use time::macros::datetime;

    #[test]
    fn keeps_an_expiry_that_lies_ahead() {
        let (now, day) = (datetime!(2026-01-01 00:00:00.5 UTC), GoDuration::from_hours(24));
        let new = STANDARD.encode("2026-01-02T00:00:00Z");
        let ahead = STANDARD.encode("2026-01-01T01:00:00Z");
        let past = STANDARD.encode("2025-12-31T01:00:00Z");
        for (there, expected) in [(None, &new), (Some(&ahead), &ahead), (Some(&past), &new)] {
            assert_eq!(&expiration(now, day, there.map(String::as_str)), expected);
        }
    }

    #[test]
    fn a_service_keeps_its_address() {
        let live = json!({"metadata": {"resourceVersion": "5"}, "spec": {"clusterIP": "10.96.0.10", "x": 1}});
        let wanted = json!({"kind": "Service", "metadata": {"name": "d"}, "spec": {"ports": []}});
        let replacement = over(wanted, &live);
        assert_eq!(replacement["spec"], json!({"ports": [], "clusterIP": "10.96.0.10"}));
        assert_eq!(replacement["metadata"]["resourceVersion"], "5");
    }
}

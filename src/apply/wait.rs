//! Waiting for a condition, with a limit, and with the last answer kept for whoever must find out why.

use crate::api::ApiError;
use crate::apply::failure::StepError;
use crate::apply::member;
use crate::apply::rollout;
use crate::apply::run::Done;
use crate::apply::run::Run;
use crate::apply::taint;
use crate::host::Command;
use crate::host::Host;
use crate::host::Socket;
use crate::host::Stream;
use crate::host::http;
use crate::host::read_through;
use crate::plan::Identity;
use crate::plan::ObjectRef;
use crate::plan::Place;
use crate::plan::Probe;
use crate::plan::Step;
use crate::plan::Wait;
use crate::report::Event;
use crate::report::FailureKind;
use crate::report::Outcome;
use serde_json::Value;
use std::time::Duration;

/// How long one attempt at a health endpoint may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// Between the first attempts.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);

/// Between the later ones, as kubeadm repeats its calls.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How often a wait that goes on is told.
const TELL_INTERVAL: Duration = Duration::from_secs(5);

/// Waits until the probe succeeds. A dry run only looks once.
pub(crate) fn hold(
    run: &Run<'_>,
    step: &Step,
    wait: &Wait,
    host: Option<&dyn Host>,
) -> Result<Done, StepError> {
    if run.world.options.dry_run {
        return Ok(match ask(run, &wait.probe, host)? {
            Ok(()) => Done::new(Outcome::Ok),
            Err(last) => Done::new(Outcome::Skipped).detail(format!("a dry run does not wait; now: {last}")),
        });
    }
    let limit = wait.limit.to_std();
    match until(run, step, &wait.probe.to_string(), limit, || ask(run, &wait.probe, host))? {
        Ok(()) => Ok(Done::new(Outcome::Ok)),
        Err(TooLate { waited, last }) => Err(too_late(run, wait, host, waited, &last)),
    }
}

/// The limit passed.
pub(crate) struct TooLate {
    pub waited: Duration,
    /// Why the last attempt did not do.
    pub last: String,
}

/// Repeats an attempt until it succeeds, and tells every few seconds what it waits for. `Err` inside: not yet, and
/// why.
pub(crate) fn until<T>(
    run: &Run<'_>,
    step: &Step,
    subject: &str,
    limit: Duration,
    mut attempt: impl FnMut() -> Result<Result<T, String>, StepError>,
) -> Result<Result<T, TooLate>, StepError> {
    let clock = run.world.clock;
    let start = clock.monotonic();
    let mut told = Duration::ZERO;
    loop {
        let last = match attempt()? {
            Ok(done) => return Ok(Ok(done)),
            Err(answer) => answer,
        };
        let waited = clock.monotonic().saturating_sub(start);
        if run.interrupted() {
            return Err(StepError::interrupted());
        }
        if waited >= limit {
            return Ok(Err(TooLate { waited, last }));
        }
        if waited >= told + TELL_INTERVAL {
            told = waited;
            tell(run, step, subject, [waited, limit], last);
        }
        clock.sleep(pause(waited).min(limit.saturating_sub(waited)));
    }
}

/// An eighth of the time that has passed: what comes soon is noticed soon, and what takes long is not asked for much.
fn pause(waited: Duration) -> Duration {
    (waited / 8).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
}

fn tell(run: &Run<'_>, step: &Step, subject: &str, [waited, limit]: [Duration; 2], last: String) {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    run.tell(Event::Waiting {
        phase: step.phase.clone(),
        host: match &step.place {
            Place::Host(name) => Some(name.clone()),
            Place::Cluster => None,
        },
        subject: subject.to_owned(),
        elapsed_ms: millis(waited),
        limit_ms: millis(limit),
        last,
    });
}

fn too_late(run: &Run<'_>, wait: &Wait, host: Option<&dyn Host>, waited: Duration, last: &str) -> StepError {
    let cause = anyhow::anyhow!("{} did not come true within {}", wait.probe, wait.limit);
    let mut error = StepError::new(FailureKind::Timeout, cause)
        .detail("waited", format!("{:.1} s, last answer: {last}", waited.as_secs_f32()));
    if let (Some(container), Some(host)) = (&wait.container, host) {
        // Where nobody can say more, there is still the advice.
        let said = run.world.pods.complaints(host, container).unwrap_or_default();
        error = error.detail(&format!("{} says", container.name), said.join("\n"));
    }
    if !wait.advice.is_empty() {
        error = error.detail("look at", wait.advice.join("\n"));
    }
    match wait.setting {
        Some(setting) => error.hint(format!("where more time is all it needs, {setting} gives it")),
        None => error,
    }
}

/// `Err` inside: not yet, and why.
fn ask(run: &Run<'_>, probe: &Probe, host: Option<&dyn Host>) -> Result<Result<(), String>, StepError> {
    match probe {
        Probe::Http { tls, host: address, port, path } => {
            let host = host.ok_or_else(|| StepError::plan(format!("waiting for {probe} needs a host")))?;
            ask_http(host, *tls, address, *port, path)
        }
        Probe::Api { path, identity } => match run.client_at(host, *identity).and_then(|api| api.raw(path)) {
            Ok(_) => Ok(Ok(())),
            Err(error) => silent(&error, host).map_or_else(|| Ok(Err(error.to_string())), Err),
        },
        Probe::NodeRegistered { node, identity } => {
            let name = ObjectRef::new("v1", "Node", "", node);
            Ok(match run.client(*identity).and_then(|api| api.get(&name)) {
                Ok(Some(node)) if taint::is_registered(&node) => Ok(()),
                Ok(Some(_)) => Err(format!("it has no label {} yet", taint::HOSTNAME_LABEL)),
                Ok(None) => Err("there is no such node".to_owned()),
                Err(error) => Err(error.to_string()),
            })
        }
        Probe::Established { definition, identity } => {
            let name = ObjectRef::new("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", definition);
            Ok(look_at(run, *identity, &name).and_then(|object| rollout::is_established(&object)))
        }
        Probe::RolledOut { object, identity } => {
            Ok(look_at(run, *identity, object).and_then(|object| rollout::is_rolled_out(&object)))
        }
        Probe::Available { service, identity } => {
            let name = ObjectRef::new("apiregistration.k8s.io/v1", "APIService", "", service);
            Ok(look_at(run, *identity, &name).and_then(|object| rollout::is_available(&object)))
        }
        Probe::Path { path } => {
            let host = host.ok_or_else(|| StepError::plan(format!("waiting for {probe} needs a host")))?;
            let there = read_through(host, path)?.is_some();
            Ok(if there { Ok(()) } else { Err("it is not there yet".to_owned()) })
        }
        Probe::EtcdStarted { peer_url, .. } => Ok(member::has_started(run, peer_url)),
        Probe::EtcdHealthy => Ok(member::is_healthy(run)),
    }
}

fn look_at(run: &Run<'_>, identity: Identity, name: &ObjectRef) -> Result<Value, String> {
    let object = run.client(identity).and_then(|api| api.get(name)).map_err(|error| error.to_string())?;
    object.ok_or_else(|| "there is no such object".to_owned())
}

/// An API server may be silent since its host is: why that cannot be reached. A host that refuses is not asked: starting a
/// command there at every attempt takes processors from the very API server that is waited for.
fn silent(error: &ApiError, host: Option<&dyn Host>) -> Option<StepError> {
    let ApiError::Unreachable { refused: false, .. } = error else { return None };
    let error = host?.run(&Command::query("true")).err()?;
    Some(StepError::of_question(error)).filter(StepError::may_pass)
}

fn ask_http(
    host: &dyn Host,
    tls: bool,
    address: &str,
    port: u16,
    path: &str,
) -> Result<Result<(), String>, StepError> {
    let socket = Socket::Tcp { host: address.to_owned(), port };
    let stream = match host.connect(&socket) {
        Ok(stream) => stream,
        Err(error) => {
            // What refuses is known to whoever waits.
            let reason = std::error::Error::source(&error).map(ToString::to_string);
            let said = StepError::of_question(error).not_yet()?;
            return Ok(Err(reason.unwrap_or(said)));
        }
    };
    let tls = tls.then_some(address);
    Ok(answer(stream, &socket, tls, path))
}

/// `tls` is the name that is asked for.
fn answer(stream: Stream, socket: &Socket, tls: Option<&str>, path: &str) -> Result<(), String> {
    stream.set_timeout(ATTEMPT_TIMEOUT).map_err(|error| error.to_string())?;
    let (status, body) = match tls {
        Some(address) => http::get_unverified_tls(stream, address, socket, path),
        None => http::get(stream, socket, path),
    }
    .map_err(|error| error.to_string())?;
    if status == 200 { Ok(()) } else { Err(format!("status {status}: {}", last_line(&body))) }
}

fn last_line(body: &str) -> String {
    // Health endpoints list their checks; the ones that fail say so.
    let failing: Vec<&str> = body.lines().filter(|line| line.starts_with("[-]")).collect();
    if failing.is_empty() { body.trim().chars().take(200).collect() } else { failing.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Fake;
    use crate::host::fake::Fault;

    fn unreachable(refused: bool) -> ApiError {
        ApiError::Unreachable { server: "https://cp1:6443".to_owned(), message: String::new(), refused }
    }

    #[test]
    fn only_a_host_that_says_nothing_is_asked_whether_it_is_there() {
        let host = Fake::new("cp1");
        host.break_at(Fault::DieBefore(0));
        host.remove("/any").unwrap_err();
        assert!(silent(&unreachable(true), Some(&host)).is_none());
        assert!(silent(&unreachable(false), None).is_none());
        assert!(silent(&unreachable(false), Some(&host)).is_some_and(|error| error.may_pass()));
        host.heal();
        assert!(silent(&unreachable(false), Some(&host)).is_none());
    }
}

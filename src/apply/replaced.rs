//! Waiting until the kubelet has replaced static pods whose manifests changed: until then the old ones answer, and
//! whoever looks takes them for the new ones.

use crate::apply::failure::StepError;
use crate::apply::run::Done;
use crate::apply::run::Run;
use crate::apply::site::Site;
use crate::apply::wait::TooLate;
use crate::apply::wait::until;
use crate::host::Command;
use crate::host::Entry;
use crate::host::Host;
use crate::plan::ReplacedSpec;
use crate::plan::StaticPod;
use crate::plan::Step;
use crate::report::Outcome;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use time::OffsetDateTime;

/// Waits for the pods whose manifests the record says have changed.
pub(crate) fn hold(
    run: &Run<'_>,
    step: &Step,
    spec: &ReplacedSpec,
    site: &mut Site,
) -> Result<Done, StepError> {
    let pending = site.ledger.as_ref().and_then(|ledger| ledger.pending(ReplacedSpec::SUBJECT));
    let Some(changed) = pending.filter(|_| !run.world.options.dry_run).cloned() else {
        return Ok(Done::new(Outcome::Ok));
    };
    let moments = moments(site.host.as_ref(), &changed)?;
    let awaited: Vec<(&StaticPod, OffsetDateTime)> =
        spec.pods.iter().filter_map(|pod| Some((pod, *moments.get(&pod.manifest)?))).collect();
    let host = site.host.as_ref();
    let ended = until(run, step, ReplacedSpec::SUBJECT, spec.limit.to_std(), || {
        for (pod, moment) in &awaited {
            if let Some(why) = still_old(run, host, pod, *moment)? {
                return Ok(Err(why));
            }
        }
        Ok(Ok(()))
    })?;
    if let Some(ledger) = site.ledger.as_mut() {
        ledger.restarted(ReplacedSpec::SUBJECT);
    }
    Ok(match ended {
        Ok(()) => {
            let names: Vec<&str> = awaited.iter().map(|(pod, _)| pod.container.name.as_str()).collect();
            Done::new(Outcome::Ok).detail(format!("replaced: {}", names.join(", ")))
        }
        Err(TooLate { waited, last }) => {
            let detail = format!("not replaced within {:.0} s: {last}", waited.as_secs_f32());
            Done::new(Outcome::Warned).detail(detail)
        }
    })
}

/// Why a pod does not count as replaced yet.
fn still_old(
    run: &Run<'_>,
    host: &dyn Host,
    pod: &StaticPod,
    moment: OffsetDateTime,
) -> Result<Option<String>, StepError> {
    let name = &pod.container.name;
    Ok(match run.world.pods.made(host, &pod.container).map_err(StepError::of_question) {
        Ok(Some(made)) if made >= moment => None,
        Ok(Some(_)) => Some(format!("the container {name} is older than {}", pod.manifest)),
        Ok(None) => Some(format!("there is no container {name}")),
        Err(error) => Some(error.not_yet()?),
    })
}

/// When each of the files was put in place, by the host's own clock, as is the age of containers. It is the moment of
/// the change that counts: the time of the content came with it.
fn moments(host: &dyn Host, paths: &BTreeSet<String>) -> Result<BTreeMap<String, OffsetDateTime>, StepError> {
    let stat = Command::query("stat").args(["-c", "%Z %n", "--"]).args(paths);
    // A file that is gone is not waited for; it says so on stderr.
    let text = host.run(&stat)?.text();
    let moment = |line: &str| {
        let (seconds, path) = line.split_once(' ')?;
        Some((path.to_owned(), OffsetDateTime::from_unix_timestamp(seconds.parse().ok()?).ok()?))
    };
    Ok(text.lines().filter_map(moment).collect())
}

/// Whether a kubelet may see another pod in a manifest than in the one that was there: it does not look at comments
/// and layout, and the pod of a new manifest is not there yet.
pub(crate) fn is_altered(old: Option<&Entry>, new: &Entry) -> bool {
    let Some(old) = old.and_then(Entry::content) else { return false };
    let pod = |text: &[u8]| serde_yaml::from_slice::<Value>(text).ok();
    let (old, new) = (pod(old), new.content().and_then(pod));
    old.is_none() || old != new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_kubelet_sees_counts() {
        let manifest = |text: &str| Entry::file(text, 0o600);
        let new = manifest("spec: {containers: [{name: a, command: [a, --b]}]}\n");
        for (old, altered) in [
            (None, false),
            (Some(manifest("spec:\n  containers:\n  - command: [a, '--b'] # mine\n    name: a\n")), false),
            (Some(manifest("spec: {containers: [{name: a, command: [a, --c]}]}\n")), true),
            (Some(manifest("spec: [")), true),
        ] {
            assert_eq!(is_altered(old.as_ref(), &new), altered, "{old:?}");
        }
    }
}

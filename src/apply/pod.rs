//! Pods that are taken away from a container runtime.

use crate::apply::failure::StepError;
use crate::apply::run::Done;
use crate::apply::run::Run;
use crate::host::Host;
use crate::plan::PodSpec;
use crate::report::FailureKind;
use crate::report::Outcome;

pub(crate) fn remove(run: &Run<'_>, spec: &PodSpec, host: &dyn Host) -> Result<Done, StepError> {
    let failed = |error: anyhow::Error| {
        StepError::new(FailureKind::Command, error)
            .hint("`crictl pods` shows it, and `crictl rmp -f` removes it")
    };
    let (pods, socket) = (run.world.pods, spec.cri_socket.as_str());
    let found = match &spec.id {
        Some(id) => {
            pods.present(host, socket, id).map(|there| there.then(|| id.clone()).into_iter().collect())
        }
        None => pods.named(host, socket, &spec.name),
    };
    let found: Vec<String> = found.map_err(failed)?;
    if found.is_empty() {
        return Ok(Done::new(Outcome::Ok));
    }
    if !run.world.options.dry_run {
        found.iter().try_for_each(|id| pods.remove(host, socket, id)).map_err(failed)?;
    }
    Ok(Done::new(run.changed()))
}

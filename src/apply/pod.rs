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
    if !run.world.pods.present(host, &spec.cri_socket, &spec.id).map_err(failed)? {
        return Ok(Done::new(Outcome::Ok));
    }
    if !run.world.options.dry_run {
        run.world.pods.remove(host, &spec.cri_socket, &spec.id).map_err(failed)?;
    }
    Ok(Done::new(run.changed()))
}

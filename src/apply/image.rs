//! Images: there already, pulled by the runtime, or loaded from an archive.

use crate::apply::artifact;
use crate::apply::failure::StepError;
use crate::apply::receipt;
use crate::apply::run::Done;
use crate::apply::run::Run;
use crate::apply::wait;
use crate::host::Command;
use crate::host::Host;
use crate::plan::ImageArchiveSpec;
use crate::plan::ImageSpec;
use crate::plan::Step;
use crate::report::Outcome;
use std::time::Duration;

/// How long a runtime may need until it answers after its start.
const RUNTIME_STARTS: Duration = Duration::from_secs(30);

/// Lets the runtime pull an image that it lacks, or that is always pulled.
pub(crate) fn pull(run: &Run<'_>, step: &Step, spec: &ImageSpec, host: &dyn Host) -> Result<Done, StepError> {
    let present = is_present(run, step, &spec.cri_socket, &spec.reference, host)?;
    if run.world.options.dry_run {
        return Ok(Done::new(if present { Outcome::Ok } else { Outcome::WouldChange }));
    }
    if present && !spec.always {
        return Ok(Done::new(Outcome::Ok));
    }
    run.world.images.pull(host, &spec.cri_socket, &spec.reference).map_err(StepError::of_question)?;
    Ok(if present { Done::new(Outcome::Ok).detail("pulled again") } else { Done::new(Outcome::Changed) })
}

/// Whether the runtime has an image. One that was started a moment ago says that it is not initialized yet.
fn is_present(
    run: &Run<'_>,
    step: &Step,
    socket: &str,
    reference: &str,
    host: &dyn Host,
) -> Result<bool, StepError> {
    let ask = || run.world.images.present(host, socket, reference).map_err(StepError::of_question);
    let first = match ask() {
        Ok(present) => return Ok(present),
        // Without a runtime to ask, all that can be said is that the image is wanted.
        Err(_) if run.world.options.dry_run => return Ok(false),
        Err(error) if error.may_pass() => return Err(error),
        Err(error) => error,
    };
    let again = || match ask() {
        Ok(present) => Ok(Ok(present)),
        Err(error) => error.not_yet().map(Err),
    };
    wait::until(run, step, reference, RUNTIME_STARTS, again)?.map_err(|_| first)
}

/// Loads an archive where the runtime lacks one of its images.
pub(crate) fn load(
    run: &Run<'_>,
    step: &Step,
    spec: &ImageArchiveSpec,
    host: &dyn Host,
) -> Result<Done, StepError> {
    let mut missing = Vec::new();
    for reference in &spec.references {
        if !is_present(run, step, &spec.cri_socket, reference, host)? {
            missing.push(reference.as_str());
        }
    }
    if missing.is_empty() {
        return Ok(Done::new(Outcome::Ok));
    }
    let lacking = missing.join(", ");
    if !run.world.options.dry_run {
        let name = spec.references.join(" ");
        let part = artifact::part(run, &receipt::sha256(name.as_bytes())["sha256:".len()..]);
        // One that an earlier push left may be of another build of the image, which no digest would tell.
        host.remove(&part)?;
        artifact::obtain(run, &spec.supply, "", &part, host)?;
        let loaded = artifact::must(host, &import(&spec.cri_socket, &part, &spec.references));
        host.remove(&part)?;
        loaded.map_err(|error| error.hint("is it an archive of `docker save` or `ctr images export`?"))?;
    }
    Ok(Done::new(run.changed()).detail(lacking))
}

/// How images come to where CRI-O, podman and skopeo keep theirs, from the archive `$1` with the references that follow.
/// CRI-O itself takes in no archives, and its release brings no program that does.
const INTO_CONTAINERS_STORAGE: &str = r#"archive=$1; shift
if command -v skopeo >/dev/null 2>&1; then
  for it; do skopeo copy -q "docker-archive:$archive:$it" "containers-storage:$it" || exit; done
elif command -v podman >/dev/null 2>&1; then podman load -q -i "$archive"
else echo "neither skopeo nor podman is here" >&2; exit 1; fi"#;

/// Each runtime has its own way of taking in images.
fn import(cri_socket: &str, part: &str, references: &[String]) -> Command {
    if cri_socket.contains("crio") {
        let load = ["-c", INTO_CONTAINERS_STORAGE, "sh", part];
        Command::change("sh").args(load).args(references)
    } else if cri_socket.contains("dockerd") {
        Command::change("docker").args(["load", "-q", "-i", part])
    } else {
        let address = cri_socket.trim_start_matches("unix://");
        Command::change("ctr").args(["-a", address, "-n", "k8s.io", "images", "import", part])
    }
    .timeout(artifact::LIMIT)
}

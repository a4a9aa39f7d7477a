//! One match from what a plan can ask for to how it is done.

use crate::apply::artifact;
use crate::apply::batch;
use crate::apply::clear;
use crate::apply::drain;
use crate::apply::failure::StepError;
use crate::apply::image;
use crate::apply::member;
use crate::apply::object;
use crate::apply::package;
use crate::apply::pod;
use crate::apply::receipt::Before;
use crate::apply::replaced;
use crate::apply::rules;
use crate::apply::run::Done;
use crate::apply::run::Run;
use crate::apply::service;
use crate::apply::site::Site;
use crate::apply::wait;
use crate::host::Command;
use crate::host::Host;
use crate::host::HostError;
use crate::plan::Action;
use crate::plan::Place;
use crate::plan::RunSpec;
use crate::plan::Step;
use crate::report::Outcome;
use std::io::ErrorKind;

/// Makes a step true, or in a dry run says whether it is. `site` is the step's host; for a step through the API it
/// is the host on which it is written down.
pub(crate) fn perform(run: &Run<'_>, step: &Step, site: Option<&mut Site>) -> Result<Done, StepError> {
    match &step.action {
        Action::Object(spec) => object::apply(run, step, spec),
        Action::Wait(wait) => {
            let host = site.filter(|_| step.place != Place::Cluster).map(|site| site.host.as_ref());
            wait::hold(run, step, wait, host)
        }
        Action::Member(spec) => member::change(run, step, spec),
        Action::Drain(spec) => drain::drain(run, step, spec),
        Action::Delete(spec) => drain::delete(run, spec),
        _ => on_host(run, step, of_host(step, site)?),
    }
}

/// The step's own host.
pub(crate) fn of_host<'s>(step: &Step, site: Option<&'s mut Site>) -> Result<&'s mut Site, StepError> {
    let site = site.filter(|_| step.place != Place::Cluster);
    site.ok_or_else(|| StepError::plan(format!("`{}` needs a host", step.subject())))
}

fn on_host(run: &Run<'_>, step: &Step, site: &mut Site) -> Result<Done, StepError> {
    match &step.action {
        Action::File(_) | Action::Directory { .. } | Action::Link { .. } | Action::Absent { .. } => {
            let done = batch::perform(run, &[step], site).pop();
            done.unwrap_or_else(|| Err(StepError::plan("nothing came of it".to_owned())))
        }
        Action::Service(spec) => service::converge(run, spec, site),
        Action::Run(spec) => command(run, spec, site),
        Action::Replaced(spec) => replaced::hold(run, step, spec, site),
        Action::Image(spec) => image::pull(run, step, spec, site.host.as_ref()),
        Action::Artifact(spec) => artifact::place(run, spec, site),
        Action::Package(spec) => package::install(run, spec, site.host.as_ref()),
        Action::Key(spec) => package::key(run, spec, site),
        Action::ImageArchive(spec) => image::load(run, step, spec, site.host.as_ref()),
        Action::Clear(spec) => clear::clear(run, spec, site),
        Action::Stop(spec) => service::stop(run, spec, site),
        Action::Pod(spec) => pod::remove(run, spec, site.host.as_ref()),
        Action::Rules(spec) => rules::remove(run, spec, site),
        Action::Object(_) | Action::Wait(_) | Action::Member(_) | Action::Drain(_) | Action::Delete(_) => {
            Err(StepError::plan("this needs no host".to_owned()))
        }
    }
}

fn command(run: &Run<'_>, spec: &RunSpec, site: &mut Site) -> Result<Done, StepError> {
    match run_unless(run, spec, site) {
        Err(error) if spec.best_effort => Ok(Done::new(Outcome::Warned).detail(error.line())),
        other => other,
    }
}

fn run_unless(run: &Run<'_>, spec: &RunSpec, site: &mut Site) -> Result<Done, StepError> {
    if let Some(unless) = &spec.unless
        && succeeds(site.host.as_ref(), unless)?
    {
        return Ok(Done::new(Outcome::Ok));
    }
    if !run.world.options.dry_run {
        remember(spec, site)?;
    }
    let output = site.host.run(&spec.command)?;
    if !output.success() {
        return Err(StepError::command(&spec.command, &output));
    }
    Ok(Done::new(run.changed()))
}

/// Whether a condition holds; a program that is not there (yet) has not succeeded.
fn succeeds(host: &dyn Host, condition: &Command) -> Result<bool, HostError> {
    match host.run(condition) {
        Err(HostError::Start { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(false),
        answer => Ok(answer?.success()),
    }
}

fn remember(spec: &RunSpec, site: &mut Site) -> Result<(), StepError> {
    let Site { host, ledger: Some(ledger), .. } = site else { return Ok(()) };
    for memory in &spec.remember {
        ledger.before(host.as_ref(), &memory.key, || {
            let output = host.run(&memory.query)?;
            let there = output.success();
            // A sysctl of a module that is not loaded has no value.
            Ok(if there { Before::Value { text: output.text() } } else { Before::Absent })
        })?;
    }
    Ok(())
}

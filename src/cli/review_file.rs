//! A reviewed plan as a file: `plan --out` and `apply --plan`.

use crate::cli::error::CliError;
use crate::cli::error::OrExit;
use crate::cli::exit::Exit;
use crate::cli::fleet::FleetSession;
use crate::cli::fleet::Look;
use crate::cli::load;
use crate::cli::load::Loaded;
use crate::clock::Clock as _;
use crate::clock::System;
use crate::plan::Plan;
use crate::review::Reviewed;
use crate::review::reviewed::Made;
use crate::review::reviewed::PlanChoices;
use anyhow::Context as _;
use std::fmt::Write as _;
use std::path::Path;
use time::format_description::well_known::Rfc3339;

/// How many differences are listed.
const LISTED: usize = 40;

/// Reads the file.
///
/// # Errors
/// It is no plan, or a newer program's.
pub(super) fn read(path: &Path) -> Result<Reviewed, CliError> {
    let bytes = load::read_file(path)?;
    Reviewed::parse(&bytes).with_context(|| format!("`{}`", path.display())).or_exit(Exit::Configuration)
}

/// What was looked at in this run, for a file or to compare with one.
pub(super) fn of(
    session: &FleetSession,
    loaded: &Loaded,
    choices: &PlanChoices,
    plan: &Plan,
    look: &Look,
) -> Reviewed {
    let now = System.now();
    let made = Made {
        cluster: &session.cluster.name,
        time: now.replace_nanosecond(0).unwrap_or(now).format(&Rfc3339).unwrap_or_default(),
        configuration: loaded.digest.clone(),
        choices: PlanChoices { ttl_token_id: session.options.ttl_token_id.clone(), ..choices.clone() },
        etcd: session.running.etcd.as_ref(),
    };
    Reviewed::new(made, plan, &look.review, &look.seen)
}

/// Writes the file; only its owner can read it.
///
/// # Errors
/// It cannot be written.
pub(super) fn write(path: &str, reviewed: &Reviewed) -> Result<(), CliError> {
    load::write_file(path, reviewed.text().as_bytes(), 0o600)
}

/// Whether the plan still holds.
///
/// # Errors
/// Something changed since; all of it is listed.
pub(super) fn compare(reviewed: &Reviewed, now: &Reviewed) -> Result<(), CliError> {
    let lines = reviewed.differences(now);
    if lines.is_empty() {
        return Ok(());
    }
    let mut text = format!("the plan of {} does not hold any more:", reviewed.time);
    for line in lines.iter().take(LISTED) {
        let _ = write!(text, "\n  {line}");
    }
    if lines.len() > LISTED {
        let _ = write!(text, "\n  and {} more", lines.len() - LISTED);
    }
    let error = CliError::new(Exit::Outdated, anyhow::anyhow!(text));
    Err(error.hint("nothing was changed; look at a new plan with `kubewright plan -f FILE --out PLAN`"))
}

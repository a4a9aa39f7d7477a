//! Binaries: in place already, downloaded by the host, or pushed to it; verified before anything is replaced.

use crate::apply::failure::StepError;
use crate::apply::run::Done;
use crate::apply::run::Run;
use crate::apply::site::Site;
use crate::host::Command;
use crate::host::Host;
use crate::host::Output;
use crate::plan::ArtifactSpec;
use crate::plan::Supply;
use crate::plan::Unpack;
use crate::report::FailureKind;
use crate::report::Outcome;
use std::fmt::Write as _;
use std::io::Read;
use std::time::Duration;

const SCRIPT: &str = include_str!("artifact.sh");
/// A slow line and a large file.
pub(super) const LIMIT: Duration = Duration::from_mins(30);
/// What is pushed at a time, in bytes: memory stays small, however many hosts are pushed to.
const CHUNK: usize = 8 << 20;

/// Whether all that the marker lists is as it was left: same size, same time of change.
const IN_PLACE: &str = r#"{ read -r word sum && [ "$word $sum" = "sha256 $2" ] || exit 1
while read -r size time path; do [ "$(stat -c '%s %Y' "$path" 2>/dev/null)" = "$size $time" ] || exit 1; done; } <"$1""#;
/// Whether the program itself has the digest, whoever put it there.
const SAME_FILE: &str = r#"[ -f "$1" ] && [ -x "$1" ] && [ "$(sha256sum <"$1" | cut -d ' ' -f 1)" = "$2" ]"#;

/// Puts an artifact in place.
pub(crate) fn place(run: &Run<'_>, spec: &ArtifactSpec, site: &mut Site) -> Result<Done, StepError> {
    let digest = Some(format!("sha256:{}", spec.sha256));
    if in_place(spec, site.host.as_ref())? {
        return Ok(Done { digest, ..Done::new(Outcome::Ok) });
    }
    let diff = (run.world.options.diff || run.world.options.dry_run).then(|| diff(spec));
    if !run.world.options.dry_run {
        site.before_replacing(&spec.marker)?;
        let part = part(run, &spec.sha256);
        obtain(run, &spec.supply, &spec.sha256, &part, site.host.as_ref())?;
        unpack(spec, &part, site.host.as_ref())?;
    }
    site.changed.push(spec.marker.clone());
    Ok(Done { diff, digest, ..Done::new(run.changed()).detail(spec.name.clone()) })
}

fn in_place(spec: &ArtifactSpec, host: &dyn Host) -> Result<bool, StepError> {
    let so = |script: &str, file: &str| -> Result<bool, StepError> {
        let command = Command::query("sh").args(["-c", script, "sh", file, &spec.sha256]);
        Ok(host.run(&command)?.success())
    };
    Ok(so(IN_PLACE, &spec.marker)?
        || match &spec.unpack {
            Unpack::File { path } => so(SAME_FILE, path)?,
            Unpack::Trees(_) => false,
        })
}

/// Where a download waits until it is verified: beside the receipt.
pub(super) fn part(run: &Run<'_>, sha256: &str) -> String {
    let receipt = run.world.options.receipt.as_deref().unwrap_or(crate::apply::receipt::PATH);
    let directory = receipt.rsplit_once('/').map_or("", |(directory, _)| directory);
    format!("{directory}/download/{sha256}.part")
}

fn script(words: &[&str]) -> Command {
    Command::change("sh").args(["-s", "--"]).args(words.iter().copied()).stdin(SCRIPT).timeout(LIMIT)
}

/// Brings the bytes to the host.
pub(super) fn obtain(
    run: &Run<'_>,
    supply: &Supply,
    sha256: &str,
    part: &str,
    host: &dyn Host,
) -> Result<(), StepError> {
    match supply {
        Supply::Host { url } => {
            let command = script(&["get", url, sha256, part]);
            let output = host.run(&command)?;
            if output.success() { Ok(()) } else { Err(not_obtained(url, &output)) }
        }
        Supply::Operator { .. } | Supply::File { .. } => {
            let (reader, size) = run.world.resolver.supply(supply).map_err(|error| {
                StepError::new(FailureKind::Content, error.context(format!("cannot get {supply}")))
            })?;
            push(reader, size, part, host)
        }
    }
}

fn not_obtained(url: &str, output: &Output) -> StepError {
    let (cause, hint) = match output.status {
        11 => (
            format!("{url} is not what was wanted, and was thrown away"),
            "ask the project for its checksum; behind a proxy or a mirror, look what it delivers",
        ),
        13 => (
            "this host has nothing to download with".to_owned(),
            "install curl, or let this machine download: spec.artifacts.via: operator",
        ),
        _ => (
            format!("cannot download {url}"),
            "the next run goes on where this one ended; spec.artifacts.mirror names another place, and via: operator \
             downloads by this machine",
        ),
    };
    StepError::new(FailureKind::Command, anyhow::Error::msg(cause))
        .detail("output", output.error_tail())
        .hint(hint)
}

/// Pushes a stream, and goes on where an earlier push of the same bytes ended.
fn push(mut reader: Box<dyn Read + Send>, size: u64, part: &str, host: &dyn Host) -> Result<(), StepError> {
    let begin = r#"mkdir -p "${1%/*}" && chmod 0700 "${1%/*}" && touch "$1" && stat -c %s "$1""#;
    let output = must(host, &Command::change("sh").args(["-c", begin, "sh", part]))?;
    let mut there: u64 = output.text().trim().parse().unwrap_or_default();
    if there > size {
        must(host, &Command::change("truncate").args(["-s", "0", part]))?;
        there = 0;
    }
    let unread = |error| StepError::new(FailureKind::Content, anyhow::Error::new(error));
    std::io::copy(&mut reader.by_ref().take(there), &mut std::io::sink()).map_err(unread)?;
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        reader.by_ref().take(CHUNK as u64).read_to_end(&mut chunk).map_err(unread)?;
        if chunk.is_empty() {
            return Ok(());
        }
        must(
            host,
            &Command::change("sh").args(["-c", r#"cat >>"$1""#, "sh", part]).stdin(chunk).timeout(LIMIT),
        )?;
    }
}

pub(super) fn must(host: &dyn Host, command: &Command) -> Result<Output, StepError> {
    let output = host.run(command)?;
    if output.success() { Ok(output) } else { Err(StepError::command(command, &output)) }
}

fn unpack(spec: &ArtifactSpec, part: &str, host: &dyn Host) -> Result<(), StepError> {
    let mut words = vec!["file", part, &spec.sha256, &spec.marker];
    match &spec.unpack {
        Unpack::File { path } => words.push(path),
        Unpack::Trees(trees) => {
            words[0] = "trees";
            words.extend(trees.iter().flat_map(|(inside, into)| [inside.as_str(), into.as_str()]));
        }
    }
    let output = host.run(&script(&words))?;
    match output.status {
        0 => Ok(()),
        11 => Err(StepError::new(
            FailureKind::Content,
            anyhow::anyhow!("what came to the host is not {}, and was thrown away", spec.name),
        )
        .detail("output", output.error_tail())),
        _ => Err(StepError::new(FailureKind::Command, anyhow::anyhow!("cannot put {} in place", spec.name))
            .detail("output", output.error_tail())),
    }
}

fn diff(spec: &ArtifactSpec) -> String {
    let mut text = String::new();
    for place in spec.places() {
        let _ = writeln!(text, "+ {place} of {}", spec.name);
    }
    text
}

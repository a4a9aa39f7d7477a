//! Emptying directories: never behind a mount, never through a link.

use crate::apply::failure::StepError;
use crate::apply::run::Done;
use crate::apply::run::Run;
use crate::apply::site::Site;
use crate::host::Command;
use crate::host::EntryKind;
use crate::host::Host;
use crate::plan::Clear;
use crate::plan::ClearSpec;
use crate::report::FailureKind;
use crate::report::Outcome;
use std::collections::BTreeSet;

pub(crate) fn clear(run: &Run<'_>, spec: &ClearSpec, site: &mut Site) -> Result<Done, StepError> {
    let host = site.host.as_ref();
    let Some(real) = real_path(host, &spec.path)? else { return Ok(Done::new(Outcome::Ok)) };
    let mounts = mounts(host)?;
    let inside = format!("{}/", real.trim_end_matches('/'));
    let below: Vec<&String> = mounts.iter().filter(|mount| mount.starts_with(&inside)).collect();
    // In a dry run what is mounted there is still to be unmounted.
    if spec.what == Clear::Everything && !below.is_empty() && !run.world.options.dry_run {
        let mounted: Vec<&str> = below.iter().map(|mount| mount.as_str()).collect();
        let cause =
            anyhow::anyhow!("`{}` is left as it is: {} is mounted below it", spec.path, mounted.join(", "));
        return Err(StepError::new(FailureKind::Host, cause)
            .hint("find out with `fuser -vm` who uses it, and unmount it"));
    }
    let mut there = entries(host, &spec.path)?;
    if run.world.options.dry_run {
        there.retain(|found| is_left(host, found));
    }
    let doomed = doomed(spec, &there);
    let last =
        spec.itself && doomed.len() == there.len() && !mounts.contains(&real) && is_directory(host, spec)?;
    if doomed.is_empty() && !last {
        return Ok(Done::new(Outcome::Ok));
    }
    let diff = diff(&spec.path, &doomed, last);
    let detail = match doomed.len() {
        0 => "it was empty".to_owned(),
        1 => "1 entry".to_owned(),
        count => format!("{count} entries"),
    };
    if !run.world.options.dry_run {
        if !doomed.is_empty() {
            let command = removal(spec);
            let output = host.run(&command)?;
            if !output.success() {
                return Err(StepError::command(&command, &output));
            }
        }
    } else if let Some(error) = doomed.iter().find_map(|path| host.remove(path).err()) {
        return Err(error.into());
    }
    if last {
        host.remove(&spec.path)?;
    }
    let diff = (run.world.options.diff || run.world.options.dry_run).then_some(diff);
    Ok(Done { diff, ..Done::new(run.changed()).detail(detail) })
}

/// Where a directory is when links are followed; `None` when there is none.
fn real_path(host: &dyn Host, path: &str) -> Result<Option<String>, StepError> {
    let output =
        host.run(&Command::query("sh").args(["-c", r#"cd "$1" 2>/dev/null && pwd -P"#, "sh", path]))?;
    Ok(output.success().then(|| output.text()))
}

fn is_directory(host: &dyn Host, spec: &ClearSpec) -> Result<bool, StepError> {
    Ok(host.read(&spec.path)?.is_some_and(|entry| entry.kind == EntryKind::Directory))
}

fn mounts(host: &dyn Host) -> Result<BTreeSet<String>, StepError> {
    let output = host.run(&Command::query("cat").arg("/proc/self/mountinfo"))?;
    let text = output.text();
    let points = text.lines().filter_map(|line| line.split(' ').nth(4));
    Ok(points
        .map(|point| point.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\"))
        .collect())
}

/// One thing in a directory.
struct Found {
    path: String,
    directory: bool,
}

/// Everything in the directory, on its own file system.
fn entries(host: &dyn Host, path: &str) -> Result<Vec<Found>, StepError> {
    let start = format!("{path}/");
    let list = |kind: &[&str]| -> Result<BTreeSet<String>, StepError> {
        let command =
            Command::query("find").arg(&start).args(["-xdev", "-mindepth", "1"]).args(kind.to_vec());
        let output = host.run(&command.arg("-print0"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.split('\0').filter(|path| !path.is_empty()).map(|path| path.replace("//", "/")).collect())
    };
    let directories = list(&["-type", "d"])?;
    let all = list(&[])?;
    Ok(all.into_iter().map(|path| Found { directory: directories.contains(&path), path }).collect())
}

/// Whether no earlier step of a dry run would have taken it away. What cannot be read (a socket) is there.
fn is_left(host: &dyn Host, found: &Found) -> bool {
    !matches!(host.read(&found.path), Ok(None))
}

/// What goes, in order.
fn doomed(spec: &ClearSpec, there: &[Found]) -> Vec<String> {
    let held = |found: &Found| {
        let inside = format!("{}/", found.path);
        let above = |path: &String| *path == found.path || path.starts_with(&inside);
        let full = |other: &Found| !other.directory && other.path.starts_with(&inside);
        spec.keep.iter().any(above)
            || spec.what == Clear::EmptyDirectories && (!found.directory || there.iter().any(full))
    };
    there.iter().filter(|found| !held(found)).map(|found| found.path.clone()).collect()
}

fn removal(spec: &ClearSpec) -> Command {
    let command =
        Command::change("find").arg(format!("{}/", spec.path)).args(["-xdev", "-depth", "-mindepth", "1"]);
    let command = match spec.what {
        Clear::Everything => command,
        Clear::EmptyDirectories => command.args(["-type", "d"]),
    };
    let kept = with_parents(&spec.path, &spec.keep);
    let command = kept.iter().fold(command, |command, path| command.args(["!", "-path", &literal(path)]));
    match spec.what {
        Clear::Everything => command.arg("-delete"),
        // One that is not empty says so and stays.
        Clear::EmptyDirectories => {
            command.args(["-exec", "sh", "-c", r#"rmdir -- "$@" 2>/dev/null; :"#, "sh", "{}", "+"])
        }
    }
}

/// The kept paths below a directory, and the directories that lead to them.
fn with_parents(directory: &str, keep: &BTreeSet<String>) -> BTreeSet<String> {
    let inside = format!("{directory}/");
    let mut all = BTreeSet::new();
    for path in keep.iter().filter(|path| path.starts_with(&inside)) {
        for (end, _) in path.match_indices('/').filter(|(end, _)| *end > directory.len()) {
            all.insert(path[..end].to_owned());
        }
        all.insert(path.clone());
    }
    all
}

/// A path as a pattern that matches nothing else.
fn literal(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    for c in path.chars() {
        if ['*', '?', '[', '\\'].contains(&c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

/// What goes, without what goes with something above it.
fn diff(path: &str, doomed: &[String], itself: bool) -> String {
    if itself {
        return format!("- {path}/\n");
    }
    let set: BTreeSet<&str> = doomed.iter().map(String::as_str).collect();
    let top = |path: &&String| path.rsplit_once('/').is_none_or(|(parent, _)| !set.contains(parent));
    let lines: Vec<String> = doomed.iter().filter(top).map(|path| format!("- {path}")).collect();
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(what: Clear, keep: &[&str]) -> ClearSpec {
        let keep = keep.iter().map(|path| (*path).to_owned()).collect();
        ClearSpec { path: "/d".to_owned(), what, keep, itself: true }
    }

    fn found(paths: &[&str]) -> Vec<Found> {
        let one = |path: &&str| Found {
            path: path.trim_end_matches('/').to_owned(),
            directory: path.ends_with('/'),
        };
        paths.iter().map(one).collect()
    }

    #[test]
    fn spares_what_is_kept_and_what_leads_there() {
        let there = found(&["/d/a/", "/d/a/b", "/d/a/kept", "/d/aa", "/d/e/", "/d/e/f/"]);
        for (spec, expected) in [
            (spec(Clear::Everything, &[]), vec!["/d/a", "/d/a/b", "/d/a/kept", "/d/aa", "/d/e", "/d/e/f"]),
            (spec(Clear::Everything, &["/d/a/kept"]), vec!["/d/a/b", "/d/aa", "/d/e", "/d/e/f"]),
            (spec(Clear::EmptyDirectories, &[]), vec!["/d/e", "/d/e/f"]),
            (spec(Clear::EmptyDirectories, &["/d/e"]), vec!["/d/e/f"]),
        ] {
            assert_eq!(doomed(&spec, &there), expected, "{spec:?}");
        }
    }

    #[test]
    fn names_what_stays_as_a_pattern() {
        let command = removal(&spec(Clear::Everything, &["/d/a*/kept", "/elsewhere"])).to_string();
        assert_eq!(
            command,
            r"find /d/ -xdev -depth -mindepth 1 '!' -path '/d/a\*' '!' -path '/d/a\*/kept' -delete"
        );
    }

    #[test]
    fn shows_the_top_of_what_goes() {
        let doomed = ["/d/a", "/d/a/b", "/d/c"].map(str::to_owned);
        assert_eq!(diff("/d", &doomed, false), "- /d/a\n- /d/c\n");
        assert_eq!(diff("/d", &doomed, true), "- /d/\n");
    }
}

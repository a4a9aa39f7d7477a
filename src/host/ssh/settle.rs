//! Bringing to the disk what was written.

use crate::host::HostError;
use crate::host::ssh::Ssh;
use crate::host::ssh::run::Job;
use crate::host::ssh::shell::quoted;
use crate::host::ssh::talk;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

/// A link is part of its directory, and what is gone needs nothing. A `sync` that takes no names brings everything.
const SCRIPT: &str = r#"
settle() {
  for path do
    shift
    if [ -e "$path" ] && ! [ -h "$path" ]; then set -- "$@" "$path"; fi
  done
  [ $# = 0 ] || sync -- "$@" || { [ $? = 1 ] && sync; }
}
"#;

/// Paths for one process: as many as surely fit on a command line.
const GROUP: usize = 400;

/// For a slow disk with much to write.
const LIMIT: Duration = Duration::from_mins(5);

impl Ssh {
    pub(super) fn bring_to_disk(&self) -> Result<(), HostError> {
        let paths = self.unsettled().clone();
        if paths.is_empty() {
            return Ok(());
        }
        let script = script(&paths);
        let job = Job {
            what: "bringing files to the disk",
            script: &script,
            limit: LIMIT,
            repeat: true,
            open: false,
        };
        let output = self.perform(&job, talk::finish)?;
        if !output.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(HostError::File {
                host: self.name.clone(),
                action: "bring to the disk",
                path: paths.iter().next().cloned().unwrap_or_default(),
                source: io::Error::other(said),
            });
        }
        self.unsettled().retain(|path| !paths.contains(path));
        Ok(())
    }
}

/// What brings these paths to the disk, and ends the shell with status 1 when that cannot be done.
pub(super) fn script(paths: &BTreeSet<String>) -> String {
    let above = |path: &'_ String| -> Vec<String> {
        path.match_indices('/').map(|(at, _)| path[..at.max(1)].to_owned()).collect()
    };
    let directories: BTreeSet<String> = paths.iter().flat_map(above).collect();
    // Contents before the directories that lead to them.
    let all: Vec<&String> = paths.iter().chain(directories.iter().rev()).collect();
    let mut script = SCRIPT.to_owned();
    for group in all.chunks(GROUP) {
        script.push_str("settle");
        for path in group {
            let _ = write!(script, " {}", *quoted(path));
        }
        script.push_str(" || exit 1\n");
    }
    script
}

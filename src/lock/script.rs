//! What runs on a host for its lock, in POSIX shell. A hard link is made or refused atomically, and by then the file
//! is whole: of a run that is killed on the way only a part may arrive, which would be nobody's lock.

use crate::host::Command;
use crate::lock::Holder;

/// Ends a script that found somebody else's lock; standard output then has the seconds since it was renewed, and the
/// file.
pub(super) const HELD: i32 = 9;

const TAKE: &str = r#"
umask 022
mkdir -p "${1%/*}" || exit 3
t="$1.$2"
cat >"$t" || { rm -f "$t"; exit 3; }
[ "$(wc -c <"$t")" -eq "$3" ] || { rm -f "$t"; echo 'only a part of it arrived' >&2; exit 3; }
why=$(ln "$t" "$1" 2>&1) && { rm -f "$t"; exit 0; }
rm -f "$t"
[ -e "$1" ] || { echo "$why" >&2; exit 3; }
grep -qF "\"$2\"" "$1" && exit 0
echo $(( $(date +%s) - $(stat -c %Y "$1") ))
cat "$1"
exit 9
"#;

const LOOK: &str = r#"
[ -e "$1" ] || exit 0
echo $(( $(date +%s) - $(stat -c %Y "$1") ))
cat "$1"
exit 9
"#;

const RENEW: &str = r#"grep -qF "\"$2\"" "$1" && touch "$1""#;

/// The directory goes with it where nothing else is there: a reset leaves none.
const RELEASE: &str = r#"
grep -qsF "\"$2\"" "$1" && rm -f "$1"
rmdir "${1%/*}" 2>/dev/null
exit 0
"#;

/// What is moved away is looked at before it is thrown away: somebody may have taken the lock meanwhile.
const BREAK: &str = r#"
t="$1.$3"
mv "$1" "$t" 2>/dev/null || exit 0
if [ -z "$2" ] || grep -qF "\"$2\"" "$t"; then rm -f "$t"; exit 0; fi
ln "$t" "$1" 2>/dev/null
rm -f "$t"
exit 9
"#;

pub(super) fn take(path: &str, holder: &Holder) -> Command {
    let text = holder.text();
    sh(Command::change("sh"), TAKE, &[path, &holder.run, &text.len().to_string()]).stdin(text)
}

pub(super) fn look(path: &str) -> Command {
    sh(Command::query("sh"), LOOK, &[path])
}

pub(super) fn renew(path: &str, run: &str) -> Command {
    sh(Command::change("sh"), RENEW, &[path, run])
}

pub(super) fn release(path: &str, run: &str) -> Command {
    sh(Command::change("sh"), RELEASE, &[path, run])
}

pub(super) fn break_off(path: &str, of: &str, by: &str) -> Command {
    sh(Command::change("sh"), BREAK, &[path, of, by])
}

fn sh(command: Command, script: &str, words: &[&str]) -> Command {
    command.args(["-c", script.trim(), "kubewright-lock"]).args(words.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Host as _;
    use crate::host::Local;
    use crate::lock::holder::Process;

    #[test]
    fn a_part_of_a_lock_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock").to_str().unwrap().to_owned();
        let holder = Holder {
            run: "aaaa".to_owned(),
            user: "jane".to_owned(),
            machine: "laptop".to_owned(),
            since: "2026-05-01T12:00:00Z".to_owned(),
            command: "kubewright apply".to_owned(),
            process: Process::default(),
        };
        let (host, text) = (Local::new("here"), holder.text());
        for arrived in [0, text.len() / 2, text.len() - 1] {
            let output = host.run(&take(&path, &holder).stdin(&text[..arrived])).unwrap();
            assert_eq!((output.status, output.error_tail().as_str()), (3, "only a part of it arrived"));
            assert_eq!(host.read(&path).unwrap(), None);
            assert_eq!(host.read(&format!("{path}.aaaa")).unwrap(), None);
        }
        assert!(host.run(&take(&path, &holder)).unwrap().success());
    }
}

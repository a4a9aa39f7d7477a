//! What the login shell of the host is told.
//!
//! The command line is always the same few words, which every shell understands; the command itself follows on standard
//! input. So neither its length nor its secrets matter to the process list.

use crate::host::Command;
use zeroize::Zeroizing;

/// What marks our own lines among those of a command; made anew for each connection.
#[derive(Debug, Clone)]
pub(super) struct Marks {
    word: String,
}

/// Whose rights a command runs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rights {
    Own,
    /// `sudo`, which must not ask.
    Sudo,
    /// `sudo`, which asks for the password on standard input.
    SudoAsking,
}

impl Marks {
    pub(super) fn new(random: [u8; 8]) -> Self {
        Self { word: format!("kubewright-{:016x}", u64::from_ne_bytes(random)) }
    }

    /// Stands in both outputs before anything that the command writes, with the number of its shell; on a line of its
    /// own.
    pub(super) fn start(&self) -> String {
        format!("{} started ", self.word)
    }

    /// Stands in standard error when the command has ended, with its exit status.
    pub(super) fn end(&self) -> String {
        format!("{} ended ", self.word)
    }

    /// Stands in standard error when there is no such program.
    pub(super) fn missing(&self) -> String {
        format!("{} missing", self.word)
    }

    /// What sudo asks with.
    pub(super) fn prompt(&self) -> String {
        format!("{} password:", self.word)
    }

    /// The command line for the login shell. It has no quote within quotes, no line break and no `!`: it also works with
    /// csh and fish.
    pub(super) fn line(&self, rights: Rights) -> String {
        let start = self.start();
        // An account other than root's often has no sbin in its path.
        let script = format!(
            "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; LC_ALL=C; export PATH LC_ALL; \
             printf \"{start}%s\\n\" \"$$\"; printf \"{start}%s\\n\" \"$$\" >&2; IFS= read -r kw; eval \"$kw\""
        );
        match rights {
            Rights::Own => format!("exec sh -c '{script}'"),
            Rights::Sudo => format!("exec env LC_ALL=C sudo -n -- sh -c '{script}'"),
            Rights::SudoAsking => {
                format!("exec env LC_ALL=C sudo -S -p '{}' -- sh -c '{script}'", self.prompt())
            }
        }
    }

    /// The line that runs a command, as the shell of [`Marks::line`] reads it. `with_input` leaves it the rest of
    /// standard input.
    pub(super) fn command(&self, command: &Command) -> Zeroizing<String> {
        let mut line = Zeroizing::new(String::new());
        for (name, value) in &command.env {
            push(&mut line, &[name, "=", &quoted(value.expose()), "; export ", name, "; "]);
        }
        let program = quoted(&command.program);
        let missing = self.missing();
        push(
            &mut line,
            &["command -v ", &program, " >/dev/null 2>&1 || { printf '", &missing, "' >&2; exit 127; }; "],
        );
        line.push_str(&program);
        for arg in &command.args {
            push(&mut line, &[" ", &quoted(arg.expose())]);
        }
        if command.stdin.is_none() {
            line.push_str(" </dev/null");
        }
        push(&mut line, &["; kw=$?; printf '", &self.end(), "%s\\n' \"$kw\" >&2; exit \"$kw\""]);
        with_line_breaks(&line)
    }

    /// The line that runs a script of ours, which is the first `size` bytes of what follows; the script reads the rest.
    pub(super) fn script(&self, size: usize) -> Zeroizing<String> {
        let end = self.end();
        Zeroizing::new(format!(
            "( eval \"$(head -c {size})\" ); kw=$?; printf '{end}%s\\n' \"$kw\" >&2; exit \"$kw\"\n"
        ))
    }
}

/// A word as the shell takes it.
pub(super) fn quoted(word: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("'{}'", word.replace('\'', r"'\''")))
}

fn push(line: &mut String, parts: &[&str]) {
    for part in parts {
        line.push_str(part);
    }
}

/// Ends the line; line breaks within it are taken out of quotes, since the shell reads one line.
fn with_line_breaks(line: &str) -> Zeroizing<String> {
    if !line.contains('\n') {
        return Zeroizing::new(format!("{line}\n"));
    }
    Zeroizing::new(format!("kn=$(printf '\\n.'); kn=${{kn%.}}; {}\n", line.replace('\n', "'\"$kn\"'")))
}

/// The script that ends the process group of a shell, with all that the shell started.
pub(super) fn kill_group(shell: u32) -> String {
    format!(
        "read -r stat </proc/{shell}/stat || exit 0; stat=${{stat##*) }}; set -- $stat; \
         [ \"$3\" -gt 1 ] && kill -s KILL -- \"-$3\""
    )
}

/// The signal of a name without `SIG`, as RFC 4254 section 6.10 lists them.
pub(super) fn signal(name: &str) -> Option<i32> {
    const SIGNALS: [(&str, i32); 17] = [
        ("HUP", 1),
        ("INT", 2),
        ("QUIT", 3),
        ("ILL", 4),
        ("TRAP", 5),
        ("ABRT", 6),
        ("BUS", 7),
        ("FPE", 8),
        ("KILL", 9),
        ("USR1", 10),
        ("SEGV", 11),
        ("USR2", 12),
        ("PIPE", 13),
        ("ALRM", 14),
        ("TERM", 15),
        ("XCPU", 24),
        ("SYS", 31),
    ];
    SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::command::Word;
    use std::io::Write;
    use std::process::Command as Local;
    use std::process::Stdio;

    fn marks() -> Marks {
        Marks::new([0; 8])
    }

    /// What a real shell makes of a line.
    #[expect(clippy::disallowed_methods, reason = "a shell is asked")]
    fn evaluated(line: &str) -> (String, String, Option<i32>) {
        let mut shell = Local::new("sh")
            .args(["-c", "IFS= read -r kw; eval \"$kw\""])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        shell.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
        let output = shell.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr), output.status.code())
    }

    #[test]
    fn words_arrive_as_they_are() {
        for word in ["", "a b", "it's", "$HOME `id` \\n \"x\"", "two\nlines\n", "\n", "é*?~", "-n", "'\n'"] {
            let command = Command::query("printf").arg("%s|").arg(word).arg("end").env("A", word);
            let line = marks().command(&command);
            assert_eq!(line.matches('\n').count(), 1, "{}", *line);
            let (stdout, stderr, status) = evaluated(&line);
            assert_eq!(stdout, format!("{word}|end|"));
            assert_eq!((stderr.as_str(), status), ("kubewright-0000000000000000 ended 0\n", Some(0)));
            let command = Command::query("sh").args(["-c", "printf %s \"$A\""]).env("A", word);
            assert_eq!(evaluated(&marks().command(&command)).0, word);
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "shells are asked")]
    fn every_login_shell_understands_the_command_line() {
        let command = Command::query("sh").args(["-c", "echo \"it's\"; cat"]).stdin("given");
        let mut tried = 0;
        for shell in ["bash", "dash", "zsh", "fish", "tcsh", "ksh"] {
            let child = Local::new(shell)
                .args(["-c", &marks().line(Rights::Own)])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn();
            let Ok(mut child) = child else { continue };
            let input = format!("{}given", *marks().command(&command));
            child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let (first, rest) = text.split_once('\n').unwrap();
            assert!(first.starts_with(&marks().start()), "{shell}: {first}");
            assert_eq!((rest, output.status.code()), ("it's\ngiven", Some(0)), "{shell}");
            tried += 1;
        }
        assert!(tried > 0, "this machine has no shell");
    }

    #[test]
    fn status_and_absence_are_told() {
        let ended = |line: &str| evaluated(line).1;
        let exit = Command::query("sh").args(["-c", "exit 3"]);
        assert_eq!(ended(&marks().command(&exit)), "kubewright-0000000000000000 ended 3\n");
        let script = "read -r x; exit 4\n";
        let fed = format!("{}{script}", *marks().script(script.len()));
        assert_eq!(ended(&fed), "kubewright-0000000000000000 ended 4\n");
        let absent = marks().command(&Command::query("no-such-program"));
        assert_eq!(evaluated(&absent), (String::new(), marks().missing(), Some(127)));
    }

    #[test]
    fn the_process_list_sees_no_command() {
        let mut command = Command::change("kubeadm").env("TOKEN", "abc");
        command.args.push(Word::Secret("hunter2".into()));
        for rights in [Rights::Own, Rights::Sudo, Rights::SudoAsking] {
            let line = marks().line(rights);
            assert!(!line.contains("hunter2") && !line.contains('\n') && !line.contains('!'), "{line}");
        }
        assert!(marks().command(&command).contains("hunter2"));
    }

    #[test]
    fn signals_have_their_numbers() {
        assert_eq!((signal("KILL"), signal("TERM"), signal("NO")), (Some(9), Some(15), None));
    }
}

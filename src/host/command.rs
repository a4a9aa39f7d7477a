//! Commands as values: they print as they can be pasted, and with their secrets masked.

use std::fmt;
use std::time::Duration;

#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    pub program: String,
    pub args: Vec<Word>,
    pub env: Vec<(String, Word)>,
    pub stdin: Option<Vec<u8>>,
    /// Whether running it changes the machine; a dry run runs only those that do not.
    pub changes: bool,
    pub timeout: Duration,
}

/// A word of a command line, printed masked when it is secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Word {
    Plain(String),
    Secret(String),
}

/// What a finished command left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Exit status; 128 plus the signal's number for a command that a signal ended.
    pub status: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

/// Generous for a package manager, finite for everything else.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(2);

impl Command {
    /// A command that only looks.
    pub fn query(program: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            stdin: None,
            changes: false,
            timeout: DEFAULT_TIMEOUT,
        }
    }

    /// A command that changes the machine.
    pub fn change(program: impl Into<String>) -> Self {
        Self { changes: true, ..Self::query(program) }
    }

    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(Word::Plain(arg.into()));
        self
    }

    #[must_use]
    pub fn args<I: IntoIterator<Item = S>, S: Into<String>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(|arg| Word::Plain(arg.into())));
        self
    }

    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), Word::Plain(value.into())));
        self
    }

    #[must_use]
    pub fn stdin(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(input.into());
        self
    }

    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl Word {
    /// The word itself, for the one who executes it.
    pub fn expose(&self) -> &str {
        match self {
            Self::Plain(word) | Self::Secret(word) => word,
        }
    }
}

impl Output {
    pub fn success(&self) -> bool {
        self.status == 0
    }

    /// Standard output as text, without the trailing line break.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end_matches('\n').to_owned()
    }

    /// The last lines of standard error, capped: enough to see why, never a flood.
    pub fn error_tail(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.env {
            write!(f, "{name}={value} ")?;
        }
        write!(f, "{}", quoted(&self.program))?;
        for arg in &self.args {
            write!(f, " {arg}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command(`{self}`)")
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(word) => f.write_str(&quoted(word)),
            Self::Secret(_) => f.write_str("'<secret>'"),
        }
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_it_can_be_pasted_and_masks_secrets() {
        let mut command = Command::change("sh").arg("-c").arg("echo it's").env("A", "b c");
        command.args.push(Word::Secret("hunter2".into()));
        assert_eq!(command.to_string(), r"A='b c' sh -c 'echo it'\''s' '<secret>'");
        assert!(!format!("{command:?}").contains("hunter2"));
    }
}

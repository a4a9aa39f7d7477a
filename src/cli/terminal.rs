//! Questions whose answers nobody may see.

use crate::cli::output;
use crate::host::ssh::prompt::Ask;
use crate::host::ssh::prompt::Question;
use console::Term;
use zeroize::Zeroizing;

/// Asks on the terminal, where there is one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terminal {
    interactive: bool,
}

impl Terminal {
    /// `interactive`: somebody sees what is written to standard error.
    pub(super) fn new(interactive: bool) -> Self {
        Self { interactive }
    }
}

impl Ask for Terminal {
    fn ask(&self, question: &Question, again: bool) -> Option<Zeroizing<String>> {
        if !self.interactive {
            return None;
        }
        let terminal = Term::stderr();
        let text = text(question, again);
        if matches!(question, Question::Challenge { echo: true, .. }) {
            output::people(&text);
            return terminal.read_line().ok().map(Zeroizing::new);
        }
        terminal.write_str(&text).ok()?;
        terminal.read_secure_line().ok().map(Zeroizing::new)
    }
}

fn text(question: &Question, again: bool) -> String {
    format!("{}{question}: ", if again { "that was wrong; " } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_terminal_nobody_answers() {
        let question = Question::Passphrase { file: "/home/me/.ssh/id_ed25519".to_owned() };
        assert_eq!(Terminal::new(false).ask(&question, false), None);
        assert_eq!(text(&question, true), "that was wrong; passphrase of /home/me/.ssh/id_ed25519: ");
    }
}

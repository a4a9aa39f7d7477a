//! Secrets that nobody wrote down: who uses this module says how they are asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use zeroize::Zeroizing;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// What opens a private key.
    Passphrase { file: String },
    /// What lets a user in.
    Password { user: String, host: String },
    /// What lets a user become root.
    SudoPassword { user: String, host: String },
    /// Whatever the host asks (keyboard-interactive), such as a one-time code.
    Challenge { user: String, host: String, text: String, echo: bool },
}

/// Somebody who can be asked.
pub trait Ask: Send + Sync {
    /// The answer; `None` when nobody answers. `again` means that the last answer was wrong.
    fn ask(&self, question: &Question, again: bool) -> Option<Zeroizing<String>>;
}

/// Nobody can be asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Ask for Nobody {
    fn ask(&self, _: &Question, _: bool) -> Option<Zeroizing<String>> {
        None
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passphrase { file } => write!(f, "passphrase of {file}"),
            Self::Password { user, host } => write!(f, "password of {user} on {host}"),
            Self::SudoPassword { user, host } => write!(f, "password of {user} for sudo on {host}"),
            Self::Challenge { user, host, text, .. } => {
                write!(f, "{user} on {host}: {}", text.trim_end_matches([' ', ':']))
            }
        }
    }
}

impl Question {
    /// Hosts for which one answer does: those with the same user are taken to share the password.
    fn subject(&self) -> Option<(u8, &str)> {
        match self {
            Self::Passphrase { file } => Some((0, file)),
            Self::Password { user, .. } => Some((1, user)),
            Self::SudoPassword { user, .. } => Some((2, user)),
            // A one-time code is good for one time.
            Self::Challenge { .. } => None,
        }
    }
}

/// Answers by what they are for.
type Known = BTreeMap<(u8, String), Zeroizing<String>>;

/// Remembers answers for a run, so that each question is asked once for all hosts.
#[derive(Clone)]
pub struct Answers {
    ask: Arc<dyn Ask>,
    known: Arc<Mutex<Known>>,
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers(…)")
    }
}

impl Answers {
    pub fn new(ask: Arc<dyn Ask>) -> Self {
        Self { ask, known: Arc::default() }
    }

    /// The answer. `wrong` is one that was tried in vain: the next is another one, given meanwhile or asked for.
    pub(super) fn get(
        &self,
        question: &Question,
        wrong: Option<&Zeroizing<String>>,
    ) -> Option<Zeroizing<String>> {
        let Some((kind, subject)) = question.subject() else {
            return self.ask.ask(question, wrong.is_some());
        };
        // Held while the operator types: others with the same question wait for the answer.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (kind, subject.to_owned());
        match known.get(&key) {
            Some(answer) if Some(answer) != wrong => Some(answer.clone()),
            _ => {
                let answer = self.ask.ask(question, wrong.is_some())?;
                known.insert(key, answer.clone());
                Some(answer)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(Mutex<Vec<String>>);

    impl Ask for Counting {
        fn ask(&self, question: &Question, again: bool) -> Option<Zeroizing<String>> {
            let mut asked = self.0.lock().unwrap();
            asked.push(format!("{question} {again}"));
            Some(Zeroizing::new(format!("answer {}", asked.len())))
        }
    }

    #[test]
    fn one_question_is_asked_once_for_all_hosts() {
        let counting = Arc::new(Counting(Mutex::default()));
        let answers = Answers::new(Arc::clone(&counting) as Arc<dyn Ask>);
        let password = |user: &str, host: &str| Question::Password { user: user.into(), host: host.into() };
        let first = answers.get(&password("ops", "a"), None).unwrap();
        assert_eq!(answers.get(&password("ops", "b"), None), Some(first.clone()));
        assert_ne!(answers.get(&password("other", "a"), None), Some(first.clone()));
        // Wrong for two hosts at once: one question more, not two.
        let second = answers.get(&password("ops", "a"), Some(&first));
        assert_eq!(answers.get(&password("ops", "b"), Some(&first)), second);
        assert_eq!(
            *counting.0.lock().unwrap(),
            ["password of ops on a false", "password of other on a false", "password of ops on a true"]
        );
        let code =
            Question::Challenge { user: "ops".into(), host: "a".into(), text: "Code: ".into(), echo: false };
        assert_ne!(answers.get(&code, None), answers.get(&code, None));
    }
}

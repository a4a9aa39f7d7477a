//! Proving who we are: the agent's keys, key files, keyboard-interactive, password.

use crate::host::ssh::error::SshError;
use crate::host::ssh::error::Trouble;
use crate::host::ssh::identity::Identity;
use crate::host::ssh::known_hosts;
use crate::host::ssh::prompt::Answers;
use crate::host::ssh::prompt::Question;
use crate::host::ssh::route::Login;
use ssh2::ErrorCode;
use ssh2::KeyboardInteractivePrompt;
use ssh2::Prompt;
use ssh2::Session;
use zeroize::Zeroizing;

/// sshd hangs up after six failures (`MaxAuthTries`); one is left for a password.
const MAX_KEYS: usize = 5;

/// How often a secret is asked for before giving up.
const MAX_QUESTIONS: usize = 3;

/// A private key or passphrase that libssh2 cannot use.
const ERROR_FILE: i32 = -16;
const ERROR_DISCONNECTED: [i32; 3] = [-13, -43, -7];

/// One login, and what was tried in it.
struct Attempt<'a> {
    session: &'a Session,
    login: &'a Login,
    answers: &'a Answers,
    tried: Vec<String>,
    /// What could not be tried, and why.
    trouble: Vec<String>,
    keys: usize,
    methods: Vec<String>,
}

/// Logs in.
pub(super) fn authenticate(session: &Session, login: &Login, answers: &Answers) -> Result<(), SshError> {
    let offered = session.auth_methods(&login.user).map(str::to_owned);
    if session.authenticated() {
        return Ok(());
    }
    let offered = offered.map_err(|error| {
        SshError::new(
            &login.label,
            Trouble::Protocol,
            format!("it offers no way to log in: {}", error.message()),
        )
    })?;
    let methods = offered.split(',').map(str::to_owned).collect();
    let mut attempt =
        Attempt { session, login, answers, tried: Vec::new(), trouble: Vec::new(), keys: 0, methods };
    let outcome = attempt.go();
    match outcome {
        Ok(true) => Ok(()),
        Ok(false) => Err(attempt.failed(None)),
        Err(error) => Err(attempt.failed(Some(&error))),
    }
}

impl Attempt<'_> {
    /// Whether we are in. An error ends the connection.
    fn go(&mut self) -> Result<bool, ssh2::Error> {
        let offers = |methods: &[String], name: &str| methods.iter().any(|method| method == name);
        if offers(&self.methods, "publickey") {
            let identities = self.identities();
            if self.try_agent(&identities)? || self.try_files(&identities)? {
                return Ok(true);
            }
        }
        if !offers(&self.methods, "password") && !offers(&self.methods, "keyboard-interactive") {
            self.ask_again();
        }
        let known = self.login.password.is_some();
        if known && offers(&self.methods, "password") && self.try_password()? {
            return Ok(true);
        }
        if offers(&self.methods, "keyboard-interactive") && self.try_interactive()? {
            return Ok(true);
        }
        if !known && offers(&self.methods, "password") && self.try_password()? {
            return Ok(true);
        }
        Ok(false)
    }

    /// A server that wants a key and a password offers the password when it has seen the key, and libssh2 does not tell
    /// such a key from one that is refused.
    fn ask_again(&mut self) {
        let Ok(methods) = self.session.auth_methods(&self.login.user).map(str::to_owned) else { return };
        let methods: Vec<String> = methods.split(',').map(str::to_owned).collect();
        if methods != self.methods {
            self.tried.push("which is accepted, and more is asked for".to_owned());
            self.methods = methods;
        }
    }

    fn identities(&mut self) -> Vec<Identity> {
        let mut identities = Vec::new();
        for file in &self.login.identities {
            match Identity::read(file) {
                Ok(Some(identity)) => identities.push(identity),
                Ok(None) if self.login.identities_named => {
                    self.trouble.push(format!("there is no key {}", file.display()));
                }
                Ok(None) => {}
                Err(error) => self.trouble.push(format!("cannot read the key {}: {error}", file.display())),
            }
        }
        identities
    }

    /// Tries the keys that the agent holds: those that were named first.
    fn try_agent(&mut self, identities: &[Identity]) -> Result<bool, ssh2::Error> {
        let Some(socket) = &self.login.agent else { return Ok(false) };
        let keys = self.session.agent().and_then(|mut agent| {
            agent.set_identity_path(socket)?;
            agent.connect()?;
            agent.list_identities()?;
            Ok((agent.identities()?, agent))
        });
        let (mut keys, agent) = match keys {
            Ok(found) => found,
            Err(error) => {
                self.trouble.push(format!(
                    "the agent at {} does not answer: {}",
                    socket.display(),
                    error.message()
                ));
                return Ok(false);
            }
        };
        let named = |blob: &[u8]| identities.iter().any(|identity| identity.public.as_deref() == Some(blob));
        if self.login.identities_only {
            keys.retain(|key| named(key.blob()));
        }
        keys.sort_by_key(|key| !named(key.blob()));
        for key in keys {
            if self.keys >= MAX_KEYS {
                self.trouble.push("the agent holds more keys than a server lets one try".to_owned());
                break;
            }
            self.keys += 1;
            let name =
                format!("key {} of the agent ({})", known_hosts::fingerprint(key.blob()), key.comment());
            let done = agent.userauth(&self.login.user, &key);
            if self.judge(name, done)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn try_files(&mut self, identities: &[Identity]) -> Result<bool, ssh2::Error> {
        for identity in identities {
            if self.keys >= MAX_KEYS {
                break;
            }
            self.keys += 1;
            if self.try_file(identity)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn try_file(&mut self, identity: &Identity) -> Result<bool, ssh2::Error> {
        let name = format!("key {}", identity.file.display());
        if !identity.encrypted {
            let mut done = self.with_key(identity, None, true);
            if identity.certificate.is_some() && !matches!(done, Ok(())) && !is_fatal(&done) {
                // The server may know the key although it does not know who certified it.
                done = self.with_key(identity, None, false);
            }
            return self.judge(name, done);
        }
        let question = Question::Passphrase { file: identity.file.display().to_string() };
        let mut wrong = None;
        for _ in 0..MAX_QUESTIONS {
            let given = self.login.passphrase.clone().filter(|_| wrong.is_none());
            let Some(passphrase) = given.or_else(|| self.answers.get(&question, wrong.as_ref())) else {
                let why = if wrong.is_some() {
                    "the passphrase does not open it"
                } else {
                    "its passphrase is not known"
                };
                self.trouble.push(format!("{name}: {why}"));
                return Ok(false);
            };
            let done = self.with_key(identity, Some(&passphrase), true);
            if is_key_trouble(&done) {
                wrong = Some(passphrase);
                continue;
            }
            return self.judge(name, done);
        }
        self.trouble.push(format!("{name}: the passphrase does not open it"));
        Ok(false)
    }

    fn with_key(
        &self,
        identity: &Identity,
        passphrase: Option<&Zeroizing<String>>,
        certified: bool,
    ) -> Result<(), ssh2::Error> {
        let certificate = identity.certificate.as_deref().filter(|_| certified);
        let passphrase = passphrase.map(|text| text.as_str());
        self.session.userauth_pubkey_memory(&self.login.user, certificate, &identity.private, passphrase)
    }

    fn try_password(&mut self) -> Result<bool, ssh2::Error> {
        let question = Question::Password { user: self.login.user.clone(), host: self.login.host.clone() };
        let mut wrong = None;
        for _ in 0..MAX_QUESTIONS {
            let given = self.login.password.clone().filter(|_| wrong.is_none());
            let asked = given.or_else(|| self.answers.get(&question, wrong.as_ref()));
            let Some(password) = asked else { return Ok(false) };
            let done = self.session.userauth_password(&self.login.user, &password);
            if self.judge("password".to_owned(), done)? {
                return Ok(true);
            }
            wrong = Some(password);
        }
        Ok(false)
    }

    fn try_interactive(&mut self) -> Result<bool, ssh2::Error> {
        let mut answering =
            Answering { login: self.login, answers: self.answers, used: false, unanswered: false };
        let done = self.session.userauth_keyboard_interactive(&self.login.user, &mut answering);
        if answering.unanswered {
            self.trouble.push("it asks something, and nobody answers".to_owned());
        }
        self.judge("keyboard-interactive".to_owned(), done)
    }

    /// Whether a try let us in; an error when there is no going on.
    fn judge(&mut self, name: String, done: Result<(), ssh2::Error>) -> Result<bool, ssh2::Error> {
        match done {
            Ok(()) if self.session.authenticated() => Ok(true),
            Ok(()) => {
                // One of several that are asked for.
                self.tried.push(format!("{name} (accepted, and more is asked for)"));
                Ok(false)
            }
            Err(error) if is_disconnected(&error) => {
                self.tried.push(name);
                Err(error)
            }
            Err(error) if error.code() == ErrorCode::Session(ERROR_FILE) => {
                self.trouble.push(format!("{name}: {}", error.message()));
                Ok(false)
            }
            Err(_) => {
                self.tried.push(name);
                Ok(false)
            }
        }
    }

    fn failed(&self, error: Option<&ssh2::Error>) -> SshError {
        let tried = if self.tried.is_empty() {
            "nothing could be tried".to_owned()
        } else {
            format!("tried {}", self.tried.join(", "))
        };
        let mut message = format!(
            "{} does not let us in: {tried}; it accepts {}",
            self.login.address(),
            self.methods.join(", ")
        );
        for trouble in &self.trouble {
            message = format!("{message}; {trouble}");
        }
        if let Some(error) = error {
            message = format!("{message}; it hung up ({})", error.message());
        }
        SshError::new(&self.login.label, Trouble::AuthFailed, message).hint(
            "name a key with `identityFile`, load one into the agent with `ssh-add`, or give the password in \
             KUBEWRIGHT_SSH_PASSWORD or `passwordFile` and a key's passphrase in KUBEWRIGHT_SSH_PASSPHRASE",
        )
    }
}

fn is_disconnected(error: &ssh2::Error) -> bool {
    ERROR_DISCONNECTED.iter().any(|code| error.code() == ErrorCode::Session(*code))
}

fn is_fatal(done: &Result<(), ssh2::Error>) -> bool {
    matches!(done, Err(error) if is_disconnected(error))
}

fn is_key_trouble(done: &Result<(), ssh2::Error>) -> bool {
    matches!(done, Err(error) if error.code() == ErrorCode::Session(ERROR_FILE))
}

/// Answers what the host asks. Most ask for the password and nothing else.
struct Answering<'a> {
    login: &'a Login,
    answers: &'a Answers,
    /// The password was given already: asking again means that it was wrong.
    used: bool,
    unanswered: bool,
}

impl Answering<'_> {
    fn answer(&mut self, prompt: &Prompt<'_>) -> String {
        let password = self.login.password.clone().filter(|_| !prompt.echo && !self.used);
        let (user, host) = (self.login.user.clone(), self.login.host.clone());
        let is_password = prompt.text.to_lowercase().contains("password");
        let question = if is_password {
            Question::Password { user, host }
        } else {
            Question::Challenge { user, host, text: prompt.text.to_string(), echo: prompt.echo }
        };
        self.used |= !prompt.echo;
        let answer = password.or_else(|| self.answers.get(&question, None));
        self.unanswered |= answer.is_none();
        answer.map(|answer| answer.to_string()).unwrap_or_default()
    }
}

impl KeyboardInteractivePrompt for Answering<'_> {
    fn prompt(&mut self, _: &str, _: &str, prompts: &[Prompt<'_>]) -> Vec<String> {
        prompts.iter().map(|prompt| self.answer(prompt)).collect()
    }
}

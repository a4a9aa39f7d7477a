//! Having something done on the host: connect where that is needed, become root, and make sense of what went wrong.

use crate::host::Command;
use crate::host::HostError;
use crate::host::Output;
use crate::host::ssh::Ssh;
use crate::host::ssh::connect::Link;
use crate::host::ssh::error::SshError;
use crate::host::ssh::error::Trouble;
use crate::host::ssh::prompt::Question;
use crate::host::ssh::shell::Rights;
use crate::host::ssh::shell::kill_group;
use crate::host::ssh::talk;
use crate::host::ssh::talk::Failure;
use crate::host::ssh::talk::Input;
use crate::host::ssh::talk::Speech;
use crate::host::ssh::talk::Talk;
use crate::host::ssh::talk::pieces;
use std::io;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long ending what took too long may take.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// How often a password for sudo is asked for.
const MAX_QUESTIONS: usize = 3;

/// How many connections are tried while streams that do not open keep others waiting.
const MAX_CONNECTIONS: usize = 5;

/// A script of ours.
pub(super) struct Job<'a> {
    /// What it is good for, in messages.
    pub(super) what: &'a str,
    pub(super) script: &'a str,
    pub(super) limit: Duration,
    /// It may be done again when the connection was lost meanwhile.
    pub(super) repeat: bool,
    /// Its input stays open after the script: the caller goes on with it.
    pub(super) open: bool,
}

/// What is to be run, however often it takes.
struct Order<'a, 'i> {
    what: &'a str,
    line: Zeroizing<String>,
    input: &'a dyn Fn() -> Input<'i>,
    limit: Duration,
    repeat: bool,
    open: bool,
}

impl Ssh {
    pub(super) fn run_command(&self, command: &Command) -> Result<Output, HostError> {
        let what = format!("running `{command}`");
        let input = || pieces(command.stdin.as_deref().unwrap_or_default());
        let order = Order {
            what: &what,
            line: self.marks.command(command),
            input: &input,
            limit: command.timeout,
            repeat: !command.changes,
            open: false,
        };
        let done = self.carry_out(&order, talk::finish);
        let start =
            |source| HostError::Start { host: self.name.clone(), command: command.to_string(), source };
        match done {
            Ok(output) => Ok(output),
            Err(Stop::NoProgram) => Err(start(io::ErrorKind::NotFound.into())),
            Err(Stop::Late) => Err(HostError::Timeout {
                host: self.name.clone(),
                command: command.to_string(),
                limit: command.timeout,
            }),
            Err(Stop::Error(error)) => Err(error),
        }
    }

    /// Runs a script and reads what it answers.
    pub(super) fn perform<T>(
        &self,
        job: &Job<'_>,
        read: impl Fn(Talk<'_>) -> Result<T, Failure>,
    ) -> Result<T, HostError> {
        self.perform_with(job, &|| pieces(&[]), read)
    }

    /// The same with input for the script.
    pub(super) fn perform_with<'a, T>(
        &self,
        job: &'a Job<'a>,
        input: &dyn Fn() -> Input<'a>,
        read: impl Fn(Talk<'_>) -> Result<T, Failure>,
    ) -> Result<T, HostError> {
        let all = || -> Input<'a> { Box::new(pieces(job.script.as_bytes()).chain(input())) };
        let order = Order {
            what: job.what,
            line: self.marks.script(job.script.len()),
            input: &all,
            limit: job.limit,
            repeat: job.repeat,
            open: job.open,
        };
        self.carry_out(&order, read).map_err(|stop| match stop {
            Stop::Error(error) => error,
            Stop::Late => {
                HostError::Timeout { host: self.name.clone(), command: job.what.to_owned(), limit: job.limit }
            }
            Stop::NoProgram => {
                HostError::from(SshError::new(&self.name, Trouble::Protocol, "it has no POSIX shell"))
            }
        })
    }

    fn carry_out<T>(
        &self,
        order: &Order<'_, '_>,
        read: impl Fn(Talk<'_>) -> Result<T, Failure>,
    ) -> Result<T, Stop> {
        let mut repeated = false;
        let mut wrong: Option<Zeroizing<String>> = None;
        let mut asked = 0;
        let mut elsewhere = 0;
        loop {
            let link = self.link()?;
            let password = self.sudo_password();
            let speech = Speech {
                rights: self.rights(password.as_ref()),
                password: password.clone(),
                line: order.line.clone(),
                input: (order.input)(),
                limit: order.limit,
                open: order.open,
            };
            let talk = Talk::start(&link.connection, &self.marks, speech);
            let failure = match read(talk) {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            match failure {
                Failure::Lost(_) if order.repeat && !repeated => repeated = true,
                Failure::NotBegun(_) if elsewhere < MAX_CONNECTIONS => elsewhere += 1,
                Failure::PasswordNeeded | Failure::PasswordWrong if asked < MAX_QUESTIONS => {
                    asked += 1;
                    wrong = password.or(wrong);
                    self.ask_for_sudo(wrong.as_ref())?;
                }
                other => return Err(self.stop(&link, order, other)),
            }
        }
    }

    /// What a failure means to the caller.
    fn stop(&self, link: &Link, order: &Order<'_, '_>, failure: Failure) -> Stop {
        let error = |trouble, message: String| SshError::new(&self.name, trouble, message);
        let error = match failure {
            Failure::NoProgram => return Stop::NoProgram,
            Failure::Late(shell) => {
                self.kill(link, shell);
                return Stop::Late;
            }
            Failure::Lost(why) | Failure::NotBegun(why) => {
                return Stop::Error(HostError::Lost {
                    host: self.name.clone(),
                    what: order.what.to_owned(),
                    source: io::Error::other(why),
                });
            }
            Failure::Refused(why) => error(Trouble::Protocol, format!("it lets us run nothing: {why}")),
            Failure::PasswordNeeded | Failure::PasswordWrong => self.wrong_password(),
            Failure::NotStarted { said } if self.route.sudo => self.sudo_refused(&said),
            Failure::NotStarted { said } => {
                error(Trouble::Protocol, format!("its login shell runs nothing: {}", or_silence(&said)))
                    .hint("a POSIX shell is needed; see the user's shell in /etc/passwd")
            }
        };
        Stop::Error(error.into())
    }

    /// Ends what runs too long, with all that it started; as well as can be.
    fn kill(&self, link: &Link, shell: Option<u32>) {
        let Some(shell) = shell else { return };
        let script = kill_group(shell);
        let password = self.sudo_password();
        let speech = Speech {
            rights: self.rights(password.as_ref()),
            password,
            line: self.marks.script(script.len()),
            input: pieces(script.as_bytes()),
            limit: KILL_LIMIT,
            open: false,
        };
        let _ = talk::finish(Talk::start(&link.connection, &self.marks, speech));
    }

    /// Whether commands run as root.
    pub(super) fn is_root(&self) -> bool {
        self.route.sudo || self.route.target.user == "root"
    }

    fn rights(&self, password: Option<&Zeroizing<String>>) -> Rights {
        match (self.route.sudo, password) {
            (false, _) => Rights::Own,
            (true, None) => Rights::Sudo,
            (true, Some(_)) => Rights::SudoAsking,
        }
    }

    fn ask_for_sudo(&self, wrong: Option<&Zeroizing<String>>) -> Result<(), Stop> {
        let target = &self.route.target;
        let question = Question::SudoPassword { user: target.user.clone(), host: self.name.clone() };
        match self.answers.get(&question, wrong) {
            Some(password) => {
                self.set_sudo_password(password);
                Ok(())
            }
            None => Err(Stop::Error(self.wrong_password().into())),
        }
    }

    fn wrong_password(&self) -> SshError {
        let user = &self.route.target.user;
        let hint = "give it in KUBEWRIGHT_SUDO_PASSWORD or `sudoPasswordFile`, or let the user run sudo without one \
                    (NOPASSWD in sudoers)";
        let message = match self.sudo_password() {
            Some(_) => format!("sudo does not take the password of {user}"),
            None => format!("sudo wants the password of {user}, and nobody told it"),
        };
        SshError::new(&self.name, Trouble::SudoRefused, message).hint(hint)
    }

    fn sudo_refused(&self, said: &str) -> SshError {
        let user = &self.route.target.user;
        let (message, hint) = if said.contains("must have a tty") {
            (
                format!("sudo wants a terminal for {user}"),
                format!("write `Defaults:{user} !requiretty` into a file below /etc/sudoers.d"),
            )
        } else if said.contains("not in the sudoers")
            || said.contains("not allowed")
            || said.contains("may not run")
        {
            (
                format!("sudo does not let {user} become root"),
                format!("write `{user} ALL=(ALL) ALL` into a file below /etc/sudoers.d, or log in as root"),
            )
        } else if said.contains("sudo") && (said.contains("not found") || said.contains("No such file")) {
            (format!("there is no sudo for {user}"), "install sudo, or log in as root".to_owned())
        } else {
            (format!("sudo does not start anything for {user}"), "try `sudo -n true` on the host".to_owned())
        };
        let message = format!("{message}: {}", or_silence(said));
        SshError::new(&self.name, Trouble::SudoRefused, message).hint(hint)
    }
}

fn or_silence(said: &str) -> &str {
    if said.is_empty() { "it says nothing" } else { said.lines().last().unwrap_or_default() }
}

/// Why something was not done.
pub(super) enum Stop {
    NoProgram,
    Late,
    Error(HostError),
}

impl From<SshError> for Stop {
    fn from(error: SshError) -> Self {
        Self::Error(error.into())
    }
}

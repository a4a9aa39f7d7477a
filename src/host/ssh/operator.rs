//! What the operator's machine contributes: its configuration, its known hosts, its secrets.

use crate::host::ssh::config::SshConfig;
use crate::host::ssh::error::SshError;
use crate::host::ssh::error::Trouble;
use crate::host::ssh::prompt::Answers;
use crate::host::ssh::prompt::Ask;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What the process was started with.
#[derive(Clone, Default)]
pub struct Environment {
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `USER`.
    pub user: Option<String>,
    /// `SSH_AUTH_SOCK`.
    pub agent: Option<PathBuf>,
    /// `KUBEWRIGHT_SSH_PASSWORD`: of every user on every host that has no file for it.
    pub password: Option<Zeroizing<String>>,
    /// `KUBEWRIGHT_SUDO_PASSWORD`.
    pub sudo_password: Option<Zeroizing<String>>,
    /// `KUBEWRIGHT_SSH_PASSPHRASE`: of every private key that has one.
    pub passphrase: Option<Zeroizing<String>>,
}

/// Everything that is needed of the operator's machine for reaching hosts.
#[derive(Clone)]
pub struct Operator {
    pub home: Option<PathBuf>,
    /// The name of the user here.
    pub user: Option<String>,
    /// The agent's socket.
    pub agent: Option<PathBuf>,
    /// Of every user on every host that has no file for it.
    pub password: Option<Zeroizing<String>>,
    pub sudo_password: Option<Zeroizing<String>>,
    /// Of every private key that has one.
    pub passphrase: Option<Zeroizing<String>>,
    pub config: SshConfig,
    /// Known hosts, the file of the user first; where the configuration names others, they replace the first.
    pub known_hosts: Vec<PathBuf>,
    pub answers: Answers,
}

impl Operator {
    /// Reads OpenSSH's configuration; questions go to `ask`, and each is asked once.
    ///
    /// # Errors
    /// A file of the configuration is there and cannot be read.
    pub fn new(environment: Environment, ask: Arc<dyn Ask>) -> Result<Self, SshError> {
        let own = |name: &str| environment.home.as_ref().map(|home| home.join(".ssh").join(name));
        let files: Vec<PathBuf> = own("config").into_iter().chain(["/etc/ssh/ssh_config".into()]).collect();
        let config = SshConfig::read(&files, environment.home.as_deref()).map_err(|error| {
            SshError::new(
                "this machine",
                Trouble::Settings,
                format!("cannot read the ssh configuration: {error}"),
            )
        })?;
        let known_hosts = own("known_hosts").into_iter().chain(["/etc/ssh/ssh_known_hosts".into()]).collect();
        Ok(Self {
            home: environment.home,
            user: environment.user,
            agent: environment.agent,
            password: environment.password,
            sudo_password: environment.sudo_password,
            passphrase: environment.passphrase,
            config,
            known_hosts,
            answers: Answers::new(ask),
        })
    }
}

/// Tells nothing of the secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("home", &self.home)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Tells nothing of the secrets.
impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operator").field("home", &self.home).field("user", &self.user).finish_non_exhaustive()
    }
}

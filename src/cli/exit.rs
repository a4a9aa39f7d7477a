//! Exit codes: documented here, decided in one place.

use std::process::ExitCode;

/// Why the program ended. The numbers are part of the interface; they never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is as wanted.
    Success = 0,
    /// Something went wrong while carrying out the plan, or in a way that no other code names.
    Failure = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The configuration file has problems; all of them were listed.
    Configuration = 3,
    /// Preflight checks failed; nothing was changed.
    Preflight = 4,
    /// Certificates or keys on the host contradict each other or the configuration; nothing was changed.
    Pki = 5,
    /// The host or its container runtime could not be asked or changed.
    Host = 6,
    /// The Kubernetes API did not answer or refused.
    Api = 7,
    /// A component did not become healthy in time.
    Timeout = 8,
    /// What was looked at wants attention: `status` found something, a certificate expires soon, or a signing request
    /// was refused.
    Attention = 9,
    /// The hosts, the cluster or the configuration are not as they were when the plan was made; nothing was changed.
    Outdated = 10,
    /// Another run holds the lock of a host; nothing was changed.
    Locked = 11,
    /// Interrupted; running the same command again goes on.
    Interrupted = 130,
}

impl Exit {
    /// What `--detailed-exitcode` answers when something would be changed; an error is then always
    /// [`Self::Failure`], so that the two cannot be mistaken for each other.
    pub const DIFFERENT: Self = Self::Usage;

    /// Every code with its meaning, for the help and the documentation.
    pub const TABLE: [(Self, &'static str); 13] = [
        (Self::Success, "all is as wanted"),
        (Self::Failure, "something went wrong while carrying out the plan"),
        (Self::Usage, "the command line makes no sense"),
        (Self::Configuration, "the configuration has problems; all of them were listed"),
        (Self::Preflight, "preflight checks failed; nothing was changed"),
        (Self::Pki, "existing certificates or keys cannot be used; nothing was changed"),
        (Self::Host, "the host or its container runtime could not be asked or changed"),
        (Self::Api, "the Kubernetes API did not answer or refused"),
        (Self::Timeout, "a component did not become healthy in time"),
        (
            Self::Attention,
            "what was looked at wants attention: status, a certificate that expires, a request that was refused",
        ),
        (Self::Outdated, "something changed since the plan was made; nothing was changed now"),
        (Self::Locked, "another run is at work on the cluster; nothing was changed"),
        (Self::Interrupted, "interrupted; the same command goes on"),
    ];
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

//! What can go wrong between us and etcd; typed, because callers branch on it.

use std::fmt;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EtcdError {
    #[error("no endpoint of etcd answers: {0}")]
    Unreachable(Tried),
    /// One side does not take the other's certificate.
    #[error("etcd and this host do not trust each other: {0}")]
    TlsRefused(Tried),
    #[error("etcd has as many learners as it takes at a time")]
    TooManyLearners,
    #[error("etcd has a member with this peer URL already")]
    PeerUrlExists,
    #[error("etcd has no such member")]
    MemberNotFound,
    #[error("the learner has not caught up with the leader yet")]
    NotReady,
    #[error("the member has its vote already")]
    NotLearner,
    /// No leader, or too few members that run for this change to be safe.
    #[error("etcd is not healthy enough for this: {message}")]
    Unhealthy { message: String },
    #[error("etcd answers {code}: {message}")]
    Other { code: String, message: String },
    /// There is nobody to ask, or nothing to ask with.
    #[error("cannot ask etcd: {why}")]
    Unusable { why: String },
    #[error("not done in a dry run: {what}")]
    DryRun { what: String },
}

/// Endpoints, and why each of them is of no use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tried(pub Vec<(String, String)>);

impl EtcdError {
    /// Whether the same request may succeed later.
    pub fn may_heal(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::TooManyLearners | Self::NotReady | Self::Unhealthy { .. })
    }
}

/// Why an endpoint gave no answer that counts.
#[derive(Debug)]
pub(super) enum Trouble {
    Silent(String),
    Tls(String),
    Answer(EtcdError),
}

impl Trouble {
    pub(super) fn late(limit: Duration) -> Self {
        Self::Silent(format!("no answer within {limit:?}"))
    }

    pub(super) fn of(status: &tonic::Status) -> Self {
        answer(status).map_or_else(|| Self::Silent(causes(status)), Self::Answer)
    }

    /// Whether another endpoint may answer better.
    pub(super) fn is_of_endpoint(&self) -> bool {
        match self {
            Self::Silent(_) | Self::Tls(_) => true,
            Self::Answer(error) => matches!(error, EtcdError::Unhealthy { .. }),
        }
    }
}

/// The error of a call that no endpoint answered.
pub(super) fn summed_up(tried: Vec<(String, Trouble)>) -> EtcdError {
    let unhealthy = tried.iter().find_map(|(_, trouble)| match trouble {
        Trouble::Answer(error) => Some(error.clone()),
        _ => None,
    });
    if let Some(error) = unhealthy {
        return error;
    }
    let all_tls = !tried.is_empty() && tried.iter().all(|(_, trouble)| matches!(trouble, Trouble::Tls(_)));
    let reasons = tried.into_iter().map(|(endpoint, trouble)| match trouble {
        Trouble::Silent(reason) | Trouble::Tls(reason) => (endpoint, reason),
        Trouble::Answer(error) => (endpoint, error.to_string()),
    });
    let tried = Tried(reasons.collect());
    if all_tls { EtcdError::TlsRefused(tried) } else { EtcdError::Unreachable(tried) }
}

/// What etcd says, by the beginning of its words (`etcdserver: ` left out); the longer ones come first.
const ANSWERS: [(&str, EtcdError); 6] = [
    ("too many learner members", EtcdError::TooManyLearners),
    ("Peer URLs already exists", EtcdError::PeerUrlExists),
    ("member not found", EtcdError::MemberNotFound),
    ("can only promote a learner member which is in sync", EtcdError::NotReady),
    ("can only promote a learner member", EtcdError::NotLearner),
    ("member ID already exist", EtcdError::PeerUrlExists),
];

/// Answers that pass, or that another member may not give.
const PASSING: [&str; 9] = [
    "unhealthy cluster",
    "re-configuration failed due to not enough started members",
    "no leader",
    "not leader",
    "leader changed",
    "request timed out",
    "rpc not supported for learner",
    "server stopped",
    "too many requests",
];

/// `None` when it is not etcd that speaks, but the connection.
fn answer(status: &tonic::Status) -> Option<EtcdError> {
    let message = status.message();
    let words = message.strip_prefix("etcdserver: ")?;
    let known = ANSWERS.into_iter().find(|(beginning, _)| words.starts_with(beginning));
    if let Some((_, error)) = known {
        return Some(error);
    }
    if PASSING.iter().any(|beginning| words.starts_with(beginning)) {
        return Some(EtcdError::Unhealthy { message: words.to_owned() });
    }
    Some(EtcdError::Other { code: format!("{:?}", status.code()), message: message.to_owned() })
}

/// The message with its causes, each once.
fn causes(status: &tonic::Status) -> String {
    let mut parts = vec![status.message().to_owned()];
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        let text = error.to_string();
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        cause = error.source();
    }
    parts.join(": ")
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none is known");
        }
        for (index, (endpoint, reason)) in self.0.iter().enumerate() {
            write!(f, "{}{endpoint} ({reason})", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    #[test]
    fn understands_what_etcd_says() {
        let unhealthy = |message: &str| EtcdError::Unhealthy { message: message.to_owned() };
        for (code, message, expected) in [
            (
                Code::FailedPrecondition,
                "etcdserver: too many learner members in cluster",
                EtcdError::TooManyLearners,
            ),
            (Code::FailedPrecondition, "etcdserver: Peer URLs already exists", EtcdError::PeerUrlExists),
            (Code::NotFound, "etcdserver: member not found", EtcdError::MemberNotFound),
            (
                Code::FailedPrecondition,
                "etcdserver: can only promote a learner member which is in sync with leader",
                EtcdError::NotReady,
            ),
            (
                Code::FailedPrecondition,
                "etcdserver: can only promote a learner member",
                EtcdError::NotLearner,
            ),
            (Code::Unavailable, "etcdserver: unhealthy cluster", unhealthy("unhealthy cluster")),
            (Code::Unavailable, "etcdserver: no leader", unhealthy("no leader")),
        ] {
            let Trouble::Answer(error) = Trouble::of(&tonic::Status::new(code, message)) else {
                unreachable!("{message}")
            };
            assert_eq!(error, expected);
        }
        let broken = tonic::Status::unavailable("broken pipe");
        assert!(matches!(Trouble::of(&broken), Trouble::Silent(_)));
        let other = tonic::Status::permission_denied("etcdserver: permission denied");
        assert!(matches!(Trouble::of(&other), Trouble::Answer(EtcdError::Other { .. })));
    }

    #[test]
    fn sums_up_what_no_endpoint_answered() {
        let silent = |endpoint: &str| (endpoint.to_owned(), Trouble::Silent("refused".to_owned()));
        let tls = |endpoint: &str| (endpoint.to_owned(), Trouble::Tls("unknown issuer".to_owned()));
        let unhealthy = EtcdError::Unhealthy { message: "no leader".to_owned() };
        assert_eq!(
            summed_up(vec![silent("a"), tls("b")]).to_string(),
            "no endpoint of etcd answers: a (refused), b (unknown issuer)"
        );
        assert!(matches!(summed_up(vec![tls("a"), tls("b")]), EtcdError::TlsRefused(_)));
        assert_eq!(
            summed_up(vec![silent("a"), ("b".to_owned(), Trouble::Answer(unhealthy.clone()))]),
            unhealthy
        );
        assert_eq!(summed_up(Vec::new()).to_string(), "no endpoint of etcd answers: none is known");
    }
}

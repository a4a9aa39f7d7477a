//! What keeps a cluster from being found or trusted, each told apart, and how to mend it.

use crate::discovery::moment::Moment;
use crate::discovery::moment::Shown;
use crate::discovery::spoken;
use crate::discovery::trouble::Trouble;
use std::time::Duration;
use time::OffsetDateTime;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    #[error("the configuration names neither a token nor a file by which the cluster could be found")]
    Nothing,
    /// Never repeats what was given: it may be nearly right.
    #[error("the token is not six and sixteen characters of a-z0-9, joined by a dot")]
    Token,
    #[error("`{0}` is not the hash of a CA certificate: `sha256:` and 64 hexadecimal digits")]
    Pin(String),
    #[error("without the hash of the cluster's CA, whoever answers would be trusted")]
    NoPins,
    #[error("`{0}` is not HOST:PORT")]
    Endpoint(String),
    #[error("{endpoint} {trouble}{}", tried(*.waited))]
    Unreachable { endpoint: String, trouble: Trouble, waited: Duration },
    #[error("{endpoint} publishes no cluster-info: {}{}", refusal(*.status), tried(*.waited))]
    NoClusterInfo { endpoint: String, status: u16, waited: Duration },
    #[error("{endpoint} does not accept the credentials of the discovery file (401)")]
    Unauthorized { endpoint: String },
    #[error("the cluster-info of {endpoint} cannot be used: {why}")]
    BadClusterInfo { endpoint: String, why: String },
    /// `known` are the ids of the tokens that have signed.
    #[error(
        "the cluster at {endpoint} does not know the token `{id}`, or it has expired: no signature by it came \
         within {}; {}", spoken(*.waited), signatures(known)
    )]
    UnknownToken { endpoint: String, id: String, known: Vec<String>, waited: Duration },
    #[error(
        "the signature of the cluster-info of {endpoint} by the token `{id}` does not verify: the secret half of the \
         token is wrong, or somebody changed the cluster-info on the way"
    )]
    Signature { endpoint: String, id: String },
    #[error(
        "the CA of the cluster at {endpoint} is not the expected one: expected {}, found {}",
        given.join(" or "), found.join(", ")
    )]
    WrongPin { endpoint: String, given: Vec<String>, found: Vec<String> },
    #[error("{endpoint} gave another cluster-info when it was asked again over verified TLS")]
    Changed { endpoint: String },
    /// `authority` says whose signature was expected.
    #[error("the certificate of {endpoint} is not signed by {authority}")]
    UnknownAuthority { endpoint: String, authority: &'static str },
    #[error("the certificate of {endpoint} is not made for `{name}`; it is made for {}", listed(made_for))]
    WrongName { endpoint: String, name: String, made_for: Vec<String> },
    #[error("{}", validity(endpoint, *.early, *.limit, moment))]
    Validity {
        endpoint: String,
        /// It is not valid yet; otherwise it has expired.
        early: bool,
        /// From when, or until when, it is valid.
        limit: OffsetDateTime,
        moment: Moment,
    },
    #[error("the certificate of {endpoint} cannot be accepted: {why}")]
    BadCertificate { endpoint: String, why: String },
    #[error("the discovery file {file} {problem}")]
    File { file: String, problem: FileProblem },
    #[error(
        "this host has joined the cluster at {server} before, and is asked to join another one now: the CA is {}, not {}",
        found.join(", "), asked.join(" or ")
    )]
    Joined { server: String, found: Vec<String>, asked: Vec<String> },
    #[error("interrupted")]
    Interrupted,
}

/// What is wrong with a kubeconfig that was given for discovery. `Display` reads on after its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileProblem {
    #[error("does not exist")]
    Absent,
    #[error("cannot be read: {0}")]
    Unreadable(String),
    #[error("cannot be fetched: {0}")]
    NotFetched(String),
    #[error("is not a kubeconfig: {0}")]
    Malformed(String),
    #[error("names no cluster: {0}")]
    NoCluster(String),
    #[error("has a server that is not an https URL: `{0}`")]
    Server(String),
    #[error("has no certificate authority, and the cluster-info of the cluster gives none")]
    NoAuthority,
    #[error("has a certificate authority that cannot be used: {0}")]
    Authority(String),
    #[error("refers to {path}, which cannot be read: {why}")]
    Embedded { path: String, why: String },
    #[error("has client credentials that cannot be used: {0}")]
    Credentials(String),
    #[error("has no credentials with which this host could ask for its certificate")]
    NoCredentials,
}

const NEW_TOKEN: &str = "`kubewright token create --print-join-command` on a control plane prints a join command with a new token";
const COPY: &str = "copy the join command again, or let `kubewright token create --print-join-command` on a control plane print another";

impl DiscoveryError {
    /// How to mend it; empty when there is nothing to do.
    pub fn hint(&self) -> String {
        match self {
            Self::Nothing | Self::Token | Self::Pin(_) | Self::NoPins => COPY.to_owned(),
            Self::Endpoint(_) => "such as 192.0.2.10:6443, without https://".to_owned(),
            Self::Unreachable { trouble, .. } => trouble.hint().to_owned(),
            Self::NoClusterInfo { status, .. } => no_cluster_info_hint(*status).to_owned(),
            Self::Unauthorized { .. } => "a token that has expired, or a file of another cluster?".to_owned(),
            Self::BadClusterInfo { .. } => {
                "`kubewright init phase bootstrap-token` on a control plane writes it again".to_owned()
            }
            Self::UnknownToken { known, .. } if known.is_empty() => format!(
                "{NEW_TOKEN}; if that does not help, the controller-manager, which signs, does not run"
            ),
            Self::UnknownToken { .. } => NEW_TOKEN.to_owned(),
            Self::Signature { .. } => format!("{COPY}; if it stays so, do not trust this network"),
            Self::WrongPin { .. } => {
                "is it the right cluster? If so, take the hash from a join command that a control plane prints; if \
                 not, somebody answers in its place"
                    .to_owned()
            }
            Self::Changed { .. } => {
                "somebody may be answering in the cluster's place; if the cluster was just changed, try again"
                    .to_owned()
            }
            Self::UnknownAuthority { .. } => {
                "a proxy or balancer that ends TLS, or another cluster, answers there; join through an address that \
                 leads to an API server directly"
                    .to_owned()
            }
            Self::WrongName { made_for, .. } => wrong_name_hint(made_for),
            Self::Validity { early, limit, moment, .. } => validity_hint(*early, *limit, moment).to_owned(),
            Self::BadCertificate { .. } => "look at it: openssl s_client -connect HOST:PORT -showcerts".to_owned(),
            Self::File { problem, .. } => problem.hint().to_owned(),
            Self::Joined { .. } => {
                "`kubewright reset` makes this host leave its cluster; for that one, take the hash from a join command \
                 that one of its control planes prints"
                    .to_owned()
            }
            Self::Interrupted => "nothing was changed".to_owned(),
        }
    }

    /// The same after waiting for it to heal.
    pub(super) fn after(mut self, time: Duration) -> Self {
        if let Self::Unreachable { waited, .. }
        | Self::NoClusterInfo { waited, .. }
        | Self::UnknownToken { waited, .. } = &mut self
        {
            *waited = time;
        }
        self
    }

    /// In a few words, while it is still hoped to heal.
    pub(super) fn brief(&self) -> String {
        match self {
            Self::Unreachable { trouble, .. } => format!("it {trouble}"),
            Self::NoClusterInfo { status, .. } => refusal(*status),
            Self::UnknownToken { id, .. } => format!("no signature by the token `{id}` yet"),
            other => other.to_string(),
        }
    }
}

impl FileProblem {
    fn hint(&self) -> &'static str {
        match self {
            Self::Absent | Self::Unreadable(_) => "name a kubeconfig on this host, or an https URL",
            Self::NotFetched(_) => "try it with curl on this host, or copy the file here",
            Self::Malformed(_) | Self::NoCluster(_) => {
                "`kubectl config view --flatten` prints a good one; its current context, or a cluster without a name, counts"
            }
            Self::Server(_) => "the server of the cluster must be https://HOST:PORT",
            Self::NoAuthority | Self::Authority(_) => {
                "put the cluster's CA in PEM into `certificate-authority-data`, in base64"
            }
            Self::Embedded { .. } => {
                "copy that file to this host, or put its content into the discovery file"
            }
            Self::Credentials(_) => {
                "`kubectl config view --flatten` shows how client credentials are written"
            }
            Self::NoCredentials => {
                "give a token with --tls-bootstrap-token, or a discovery file whose current user has a token or a client certificate"
            }
        }
    }
}

/// Nothing for a first attempt.
fn tried(waited: Duration) -> String {
    if waited < Duration::from_secs(1) { String::new() } else { format!("; tried for {}", spoken(waited)) }
}

fn refusal(status: u16) -> String {
    match status {
        401 => "it lets nobody ask without credentials (401)".to_owned(),
        403 => "it forbids everybody to read it (403)".to_owned(),
        404 => "there is none (404)".to_owned(),
        other => format!("it answers with status {other}"),
    }
}

fn no_cluster_info_hint(status: u16) -> &'static str {
    match status {
        401 => {
            "anonymous requests are turned off (--anonymous-auth=false): join with --discovery-file, whose kubeconfig may have credentials"
        }
        403 => {
            "if this cluster was made by kubeadm or kubewright, `kubewright init phase bootstrap-token` on a control plane allows it again; else join with --discovery-file"
        }
        _ => {
            "is this the API server of a cluster made by kubeadm or kubewright? If so, `kubewright init phase bootstrap-token` on a control plane writes it; else join with --discovery-file"
        }
    }
}

fn signatures(known: &[String]) -> String {
    if known.is_empty() {
        "no token has signed".to_owned()
    } else {
        format!("tokens that have signed: {}", known.join(", "))
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "no name at all".to_owned() } else { names.join(", ") }
}

fn wrong_name_hint(made_for: &[String]) -> String {
    let end = "or add it to `apiServer.certSANs` and renew the API server's certificate";
    match made_for {
        [] => format!("join through another address, {end}"),
        names => format!("join through one of these ({}), {end}", names.join(", ")),
    }
}

/// Whether the certificate is good by the server's clock, so that this host's is to blame.
fn is_good_there(early: bool, limit: OffsetDateTime, moment: &Moment) -> bool {
    moment.there.is_some_and(|there| if early { there >= limit } else { there <= limit })
}

fn validity(endpoint: &str, early: bool, limit: OffsetDateTime, moment: &Moment) -> String {
    let here = Shown(moment.here);
    let limit_text = Shown(limit);
    let state = if early { "is not valid before" } else { "has expired on" };
    let certificate = format!("the certificate of {endpoint} {state} {limit_text}");
    match (moment.difference(), moment.there) {
        (Some((apart, ahead)), Some(there)) if is_good_there(early, limit, moment) => format!(
            "this host's clock is {} {} that of {endpoint} (here {here}, there {}), so that its certificate, valid {} \
             {limit_text}, counts as {}",
            spoken(apart),
            if ahead { "ahead of" } else { "behind" },
            Shown(there),
            if early { "from" } else { "until" },
            if early { "not yet valid" } else { "expired" },
        ),
        (_, Some(there)) => format!("{certificate} (the clocks: here {here}, there {})", Shown(there)),
        (_, None) => format!("{certificate} (this host's clock: {here})"),
    }
}

fn validity_hint(early: bool, limit: OffsetDateTime, moment: &Moment) -> &'static str {
    if moment.difference().is_some() && is_good_there(early, limit, moment) {
        "set this host's clock (`timedatectl set-ntp true`), and join again"
    } else if early {
        "set the clocks of both hosts; if they are right, the certificate was made by a host whose clock was ahead"
    } else {
        "renew the API server's certificate on its host; if it should still be valid, the clocks are wrong"
    }
}

//! What one attempt to reach an API server ran into.

use std::error::Error;
use std::fmt;
use std::io;

/// Why no answer came. `Display` reads on after `HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    Refused,
    TimedOut,
    /// The name has no address; what the resolver said.
    NoName(String),
    NoRoute(String),
    /// The connection was closed before an answer: a balancer without a server behind it does so.
    Closed,
    NotTls,
    NotHttp(String),
    /// An answer that is no object of Kubernetes.
    NotKubernetes,
    /// A status that says nothing of the question, such as 503.
    Status(u16),
    /// The server refuses the client certificate.
    ClientRefused(String),
    Tls(String),
    Other(String),
}

impl Trouble {
    /// Sorts an error of the connection or of TLS; certificate errors are sorted by the caller beforehand.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        if let Some(tls) = find::<rustls::Error>(error) {
            return Self::of_tls(tls);
        }
        match find::<io::Error>(error) {
            Some(io) => Self::of_io(io),
            None => Self::Other(error.to_string()),
        }
    }

    fn of_tls(error: &rustls::Error) -> Self {
        use rustls::AlertDescription as Alert;
        match error {
            rustls::Error::InvalidMessage(_) => Self::NotTls,
            rustls::Error::AlertReceived(
                Alert::UnknownCA
                | Alert::BadCertificate
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::CertificateRequired
                | Alert::AccessDenied,
            ) => Self::ClientRefused(error.to_string()),
            other => Self::Tls(other.to_string()),
        }
    }

    fn of_io(error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        let text = error.to_string();
        match error.kind() {
            Kind::ConnectionRefused => Self::Refused,
            Kind::TimedOut | Kind::WouldBlock => Self::TimedOut,
            Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown | Kind::AddrNotAvailable => {
                Self::NoRoute(text)
            }
            Kind::UnexpectedEof | Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe => {
                Self::Closed
            }
            Kind::InvalidData => Self::NotHttp(text),
            Kind::NotFound => Self::NoName(text),
            // The resolver's errors have no kind of their own.
            _ if text.contains("lookup address") => {
                let said = text.rsplit(": ").next().unwrap_or_default().to_owned();
                Self::NoName(said)
            }
            _ => Self::Other(text),
        }
    }

    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Refused => {
                "is this the address and the port of the API server (usually 6443), and does it run there?"
            }
            Self::TimedOut => {
                "a firewall between the hosts, a wrong address, or a server that hangs; `curl -k https://HOST:PORT/livez` shows which"
            }
            Self::NoName(_) => "check the name and this host's DNS, or join by address",
            Self::NoRoute(_) => "check this host's addresses and routes",
            Self::Closed => {
                "a balancer that has no healthy server behind it does this; ask an API server itself"
            }
            Self::NotTls => {
                "something else than an API server listens there; is it the right port (usually 6443)?"
            }
            Self::NotHttp(_) | Self::NotKubernetes => "something else than an API server listens there",
            Self::Status(_) => "look at the log of the API server, and of the balancer before it",
            Self::ClientRefused(_) => {
                "the client certificate of the discovery file is not one of this cluster, or has expired"
            }
            Self::Tls(_) | Self::Other(_) => "look at the log of the API server",
        }
    }

    /// Whether waiting can help.
    pub(super) fn may_heal(&self) -> bool {
        !matches!(
            self,
            Self::NotTls | Self::NotHttp(_) | Self::NotKubernetes | Self::ClientRefused(_) | Self::Tls(_)
        )
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("refuses the connection"),
            Self::TimedOut => f.write_str("does not answer"),
            Self::NoName(said) => write!(f, "has no address: {said}"),
            Self::NoRoute(said) => write!(f, "cannot be reached: {said}"),
            Self::Closed => f.write_str("closes the connection without an answer"),
            Self::NotTls => f.write_str("does not speak TLS"),
            Self::NotHttp(said) => write!(f, "does not speak HTTP: {said}"),
            Self::NotKubernetes => f.write_str("answers with something else than a Kubernetes object"),
            Self::Status(code) => write!(f, "answers with status {code}"),
            Self::ClientRefused(said) => write!(f, "refuses the client certificate: {said}"),
            Self::Tls(said) => write!(f, "fails in TLS: {said}"),
            Self::Other(said) => write!(f, "cannot be asked: {said}"),
        }
    }
}

/// The outermost cause of a type. An I/O error that wraps another one names the other's source as its own.
pub(super) fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    let mut found = None;
    while let Some(error) = next {
        if let Some(it) = error.downcast_ref::<T>() {
            found = Some(it);
        }
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    found
}

//! One GET over the host's own sockets: within its time, interruptible, and with its failures sorted.

use crate::discovery::World;
use crate::discovery::error::DiscoveryError;
use crate::discovery::moment::Moment;
use crate::discovery::roots::Trust;
use crate::discovery::trouble;
use crate::discovery::trouble::Trouble;
use crate::host::HostError;
use crate::host::Socket;
use crate::host::Stream;
use crate::host::http;
use crate::host::http::Answer;
use crate::host::http::Request;
use rustls::CertificateError;
use rustls::ClientConnection;
use rustls::StreamOwned;
use rustls::pki_types::ServerName;
use rustls::pki_types::UnixTime;
use std::io;
use std::io::Read;
use std::io::Write;
use std::time::Duration;
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// How long one request may take after the connection stands, as kubeadm has it.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a silent connection is left to look for an interrupt.
const SLICE: Duration = Duration::from_millis(250);
/// A cluster-info or a kubeconfig is a few kilobytes; etcd refuses objects over 1.5 MB.
const ANSWER_LIMIT: u64 = 2 << 20;

/// Who is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// Without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// What the server's certificate must be made for: the host, unless the kubeconfig says otherwise.
    pub(super) name: String,
    /// What comes before the paths of the API: empty, or `/k8s/clusters/c-1`.
    pub(super) prefix: String,
}

/// A server, whether it is believed, and who asks it.
#[derive(Clone, Copy)]
pub(super) struct Peer<'a> {
    pub(super) target: &'a Target,
    pub(super) trust: &'a Trust,
    /// The value of that header.
    pub(super) authorization: Option<&'a Zeroizing<String>>,
}

/// An answer, and when it came.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) answer: Answer,
    pub(super) moment: Moment,
}

impl Target {
    pub(super) fn new(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port, name: host.to_owned(), prefix: String::new() }
    }

    /// `HOST:PORT`, for messages too.
    pub(super) fn endpoint(&self) -> String {
        self.socket().to_string()
    }

    fn socket(&self) -> Socket {
        Socket::Tcp { host: self.host.clone(), port: self.port }
    }
}

/// Asks once, for as long as `within` and the limit of a request allow.
pub(super) fn get(
    world: &World<'_>,
    peer: Peer<'_>,
    path: &str,
    within: Duration,
) -> Result<Asked, DiscoveryError> {
    exchange(world, peer, path, within).map_err(|error| {
        if world.interrupted() {
            return DiscoveryError::Interrupted;
        }
        match trouble::find::<rustls::Error>(&error) {
            Some(rustls::Error::InvalidCertificate(bad)) => refused(world, peer, bad),
            _ => unreachable(peer.target, Trouble::of(&error)),
        }
    })
}

pub(super) fn unreachable(target: &Target, trouble: Trouble) -> DiscoveryError {
    DiscoveryError::Unreachable { endpoint: target.endpoint(), trouble, waited: Duration::ZERO }
}

fn exchange(world: &World<'_>, peer: Peer<'_>, path: &str, within: Duration) -> io::Result<Asked> {
    let target = peer.target;
    let config = peer.trust.config(world.clock.now()).map_err(io::Error::other)?;
    let name = ServerName::try_from(target.name.clone())
        .map_err(|_| io::Error::new(io::ErrorKind::NotFound, "it is neither a name nor an address"))?;
    let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
    let stream = StreamOwned::new(connection, Patient::connect(world, &target.socket(), within)?);
    let path = format!("{}{path}", target.prefix);
    let mut headers = vec![("Accept", "application/json, */*")];
    headers.extend(peer.authorization.map(|value| ("Authorization", value.as_str())));
    let request = Request { path: &path, headers: &headers, limit: ANSWER_LIMIT };
    let answer = http::ask(stream, &target.socket(), &request)?;
    let moment = Moment::new(world.clock.now(), answer.header("date"));
    Ok(Asked { answer, moment })
}

/// Why a certificate was refused. For one outside its time the server is asked once more, without believing it, for
/// the only thing that says whose clock is wrong.
fn refused(world: &World<'_>, peer: Peer<'_>, bad: &CertificateError) -> DiscoveryError {
    use CertificateError as Bad;
    let endpoint = peer.target.endpoint();
    let validity = |early, limit: UnixTime| {
        let anybody = Peer { trust: &Trust::Anybody, authorization: None, ..peer };
        let moment = match exchange(world, anybody, "/livez", REQUEST_TIMEOUT) {
            Ok(asked) => asked.moment,
            Err(_) => Moment::new(world.clock.now(), None),
        };
        let limit =
            i64::try_from(limit.as_secs()).ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
        let limit = limit.unwrap_or(moment.here);
        DiscoveryError::Validity { endpoint: endpoint.clone(), early, limit, moment }
    };
    match bad {
        Bad::ExpiredContext { not_after, .. } => validity(false, *not_after),
        Bad::NotValidYetContext { not_before, .. } => validity(true, *not_before),
        Bad::NotValidForNameContext { presented, .. } => DiscoveryError::WrongName {
            endpoint,
            name: peer.target.name.clone(),
            made_for: presented.iter().map(|name| plain(name)).collect(),
        },
        Bad::UnknownIssuer | Bad::BadSignature => DiscoveryError::UnknownAuthority {
            endpoint,
            authority: match peer.trust {
                Trust::Verified { authority, .. } => authority,
                Trust::Anybody => "anybody",
            },
        },
        other => DiscoveryError::BadCertificate { endpoint, why: format!("{other:?}") },
    }
}

/// `DnsName("a.b")` and `IpAddress(10.0.0.1)` as rustls writes them, without the words.
fn plain(presented: &str) -> String {
    let inner = presented.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(presented).trim_matches('"').to_owned()
}

/// A stream whose waiting ends by a deadline or by an interrupt, also when the other side dribbles.
struct Patient<'a> {
    world: &'a World<'a>,
    stream: Stream,
    /// By the monotonic clock.
    deadline: Duration,
}

impl<'a> Patient<'a> {
    fn connect(world: &'a World<'a>, socket: &Socket, within: Duration) -> io::Result<Self> {
        let stream = world.host.connect(socket).map_err(cause)?;
        stream.set_timeout(SLICE)?;
        Ok(Self { world, stream, deadline: world.clock.monotonic() + within.min(REQUEST_TIMEOUT) })
    }

    fn patiently<T>(&mut self, mut work: impl FnMut(&mut Stream) -> io::Result<T>) -> io::Result<T> {
        loop {
            if self.world.interrupted() || self.world.clock.monotonic() >= self.deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match work(&mut self.stream) {
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                }
                other => return other,
            }
        }
    }
}

fn cause(error: HostError) -> io::Error {
    match error {
        HostError::Connect { source, .. } | HostError::Unreachable { source, .. } => source,
        other => io::Error::other(other),
    }
}

impl Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.patiently(|stream| stream.read(buffer))
    }
}

impl Write for Patient<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.patiently(|stream| stream.write(buffer))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

//! The real etcd: gRPC over TLS with a client certificate, over a host's own network.

use crate::etcd::Etcd;
use crate::etcd::EtcdError;
use crate::etcd::Member;
use crate::etcd::MemberId;
use crate::etcd::Status;
use crate::etcd::Tls;
use crate::etcd::error::Trouble;
use crate::etcd::error::summed_up;
use crate::etcd::message;
use crate::etcd::snapshot::Copy;
use crate::grpc;
use crate::grpc::Duplex;
use crate::host::Host;
use crate::host::Socket;
use crate::host::Stream;
use http::Uri;
use rustls::pki_types::ServerName;
use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::Channel;

/// How long an endpoint may take to accept a connection, and again to finish the handshake: one that is gone must not
/// hold up the others.
const CONNECT: Duration = Duration::from_secs(3);

/// How long it may take to answer: longer than the seven seconds after which etcd itself gives up on a change.
const ANSWER: Duration = Duration::from_secs(8);

/// How long to listen for why a connection broke.
const REFUSAL: Duration = Duration::from_secs(1);

const DEFAULT_PORT: u16 = 2379;

/// A cluster behind several endpoints. They are tried in turn, the one that answered last first; those that etcd's own
/// list names are added to them, so that the cluster is found although the first ones go away.
pub struct Client {
    host: Arc<dyn Host>,
    tls: Tls,
    tokio: Runtime,
    endpoints: Mutex<Vec<String>>,
}

impl Client {
    /// A client of these endpoints (`https://192.0.2.1:2379`), reached from `host`. Nobody is asked yet.
    ///
    /// # Errors
    /// The operating system refuses what an asynchronous runtime needs.
    pub fn new(host: Arc<dyn Host>, endpoints: Vec<String>, tls: Tls) -> Result<Self, EtcdError> {
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| EtcdError::Unusable { why: error.to_string() })?;
        Ok(Self { host, tls, tokio, endpoints: Mutex::new(endpoints) })
    }

    /// Where it looks for etcd, in the order in which it tries.
    pub fn endpoints(&self) -> Vec<String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn prefer(&self, endpoint: &str) {
        let mut endpoints = self.lock();
        if let Some(at) = endpoints.iter().position(|other| other == endpoint) {
            endpoints[..=at].rotate_right(1);
        }
    }

    /// Learners answer no questions about members.
    fn learn(&self, members: &[Member]) {
        let mut endpoints = self.lock();
        for url in members.iter().filter(|member| !member.is_learner).flat_map(|member| &member.client_urls) {
            if !endpoints.contains(url) {
                endpoints.push(url.clone());
            }
        }
    }

    fn members(&self, members: Vec<message::Member>) -> Vec<Member> {
        let members: Vec<Member> = members.into_iter().map(Member::from).collect();
        self.learn(&members);
        members
    }

    /// The first answer that counts.
    fn ask<Q, A>(&self, method: &str, request: &Q) -> Result<A, EtcdError>
    where
        Q: prost::Message + Clone + 'static,
        A: prost::Message + Default + 'static,
    {
        let mut tried = Vec::new();
        for endpoint in self.endpoints() {
            match self.ask_at(&endpoint, method, request.clone()) {
                Ok(answer) => {
                    self.prefer(&endpoint);
                    return Ok(answer);
                }
                Err(trouble) if trouble.is_of_endpoint() => tried.push((endpoint, trouble)),
                Err(trouble) => return Err(summed_up(vec![(endpoint, trouble)])),
            }
        }
        Err(summed_up(tried))
    }

    fn ask_at<Q, A>(&self, endpoint: &str, method: &str, request: Q) -> Result<A, Trouble>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        let (name, port) = address(endpoint).map_err(Trouble::Silent)?;
        let socket = Socket::Tcp { host: name.clone(), port };
        let connect = || {
            self.host.connect_within(&socket, CONNECT).map_err(|error| {
                let reason = std::error::Error::source(&error).map(ToString::to_string);
                Trouble::Silent(reason.unwrap_or_else(|| error.to_string()))
            })
        };
        let stream = connect()?;
        let channel = self.tokio.block_on(limited(CONNECT, Box::pin(self.channel(stream, &name))))?;
        let path = rpc(method);
        let call =
            async { grpc::unary(&channel, &path, request).await.map_err(|status| Trouble::of(&status)) };
        match self.tokio.block_on(limited(ANSWER, call)) {
            Err(Trouble::Silent(reason)) => {
                let refusal = connect().ok().and_then(|stream| self.refusal(stream, &name));
                Err(refusal.map_or(Trouble::Silent(reason), Trouble::Tls))
            }
            answer => answer,
        }
    }

    /// The stream of a member's store, and the channel that it lives on.
    fn begin_snapshot(&self, endpoint: &str) -> Result<(Parts, Channel), Trouble> {
        let (name, port) = address(endpoint).map_err(Trouble::Silent)?;
        let socket = Socket::Tcp { host: name.clone(), port };
        let stream = self.host.connect_within(&socket, CONNECT);
        let stream = stream.map_err(|error| Trouble::Silent(error.to_string()))?;
        let channel = self.tokio.block_on(limited(CONNECT, Box::pin(self.channel(stream, &name))))?;
        let path = rpc("Maintenance/Snapshot");
        let begin = async {
            let asked = grpc::server_stream(&channel, &path, message::SnapshotRequest {}).await;
            asked.map_err(|status| Trouble::of(&status))
        };
        let parts = self.tokio.block_on(limited(ANSWER, begin))?;
        Ok((parts, channel))
    }

    async fn channel(&self, stream: Stream, name: &str) -> Result<Channel, Trouble> {
        let stream = self.secured(stream, name).await?;
        grpc::channel(stream).await.map_err(|error| Trouble::Silent(error.to_string()))
    }

    async fn secured(&self, stream: Stream, name: &str) -> Result<TlsStream<Box<dyn Duplex>>, Trouble> {
        let silent = |error: io::Error| Trouble::Silent(error.to_string());
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| Trouble::Silent("it is no host name or address".to_owned()))?;
        let connector = TlsConnector::from(Arc::clone(&self.tls.config));
        let stream = grpc::duplex(stream).map_err(silent)?;
        connector.connect(name, stream).await.map_err(|error| {
            tls_reason(&error).map_or_else(|| Trouble::Silent(error.to_string()), Trouble::Tls)
        })
    }

    /// Why the server does not take our certificate, if that is so. With TLS 1.3 it says so after the handshake, and a
    /// request that is on its way by then fails for the lost connection instead; so nothing is asked here.
    fn refusal(&self, stream: Stream, name: &str) -> Option<String> {
        let listen = async {
            let mut stream = self.secured(stream, name).await.ok()?;
            let error = stream.read(&mut [0]).await.err()?;
            tls_reason(&error)
        };
        self.tokio.block_on(async { tokio::time::timeout(REFUSAL, listen).await.ok().flatten() })
    }
}

fn tls_reason(error: &io::Error) -> Option<String> {
    let of_tls = error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>);
    of_tls.then(|| error.to_string())
}

impl Etcd for Client {
    fn member_list(&self) -> Result<Vec<Member>, EtcdError> {
        let request = message::MemberListRequest { linearizable: true };
        let answer: message::MembersResponse = self.ask("Cluster/MemberList", &request)?;
        Ok(self.members(answer.members))
    }

    fn member_add_learner(&self, peer_url: &str) -> Result<Vec<Member>, EtcdError> {
        let request = message::MemberAddRequest { peer_urls: vec![peer_url.to_owned()], is_learner: true };
        let answer: message::MemberAddResponse = self.ask("Cluster/MemberAdd", &request)?;
        Ok(self.members(answer.members))
    }

    fn member_promote(&self, id: MemberId) -> Result<Vec<Member>, EtcdError> {
        let request = message::MemberIdRequest { id: id.0 };
        let answer: message::MembersResponse = self.ask("Cluster/MemberPromote", &request)?;
        Ok(self.members(answer.members))
    }

    fn member_remove(&self, id: MemberId) -> Result<Vec<Member>, EtcdError> {
        let request = message::MemberIdRequest { id: id.0 };
        let answer: message::MembersResponse = self.ask("Cluster/MemberRemove", &request)?;
        Ok(self.members(answer.members))
    }

    fn status(&self, endpoint: &str) -> Result<Status, EtcdError> {
        let answer = self.ask_at(endpoint, "Maintenance/Status", message::StatusRequest {});
        let answer: message::StatusResponse =
            answer.map_err(|trouble| summed_up(vec![(endpoint.to_owned(), trouble)]))?;
        Ok(Status {
            version: answer.version,
            db_size: u64::try_from(answer.db_size).unwrap_or(0),
            leader: Some(MemberId(answer.leader)).filter(|leader| leader.0 != 0),
            raft_index: answer.raft_index,
            errors: answer.errors,
            is_learner: answer.is_learner,
        })
    }

    fn snapshot(&self, into: &mut dyn io::Write) -> Result<u64, EtcdError> {
        let mut tried = Vec::new();
        for endpoint in self.endpoints() {
            // Once something was written, another member's copy cannot follow it.
            match self.begin_snapshot(&endpoint) {
                Ok((stream, _channel)) => {
                    return self
                        .tokio
                        .block_on(copy(stream, into))
                        .map_err(|trouble| summed_up(vec![(endpoint, trouble)]));
                }
                Err(trouble) if trouble.is_of_endpoint() => tried.push((endpoint, trouble)),
                Err(trouble) => return Err(summed_up(vec![(endpoint, trouble)])),
            }
        }
        Err(summed_up(tried))
    }
}

type Parts = tonic::Streaming<message::SnapshotResponse>;

/// Part after part, with a limit for each: how long all of it takes depends on how much it is.
async fn copy(mut parts: Parts, into: &mut dyn io::Write) -> Result<u64, Trouble> {
    let mut copy = Copy::new(into);
    let unusable = |why: String| Trouble::Answer(EtcdError::Unusable { why });
    let mut next = async || {
        let part = async { parts.message().await.map_err(|status| Trouble::of(&status)) };
        limited(ANSWER, part).await
    };
    while let Some(part) = next().await? {
        copy.add(&part.blob).map_err(|error| unusable(format!("the copy cannot be written: {error}")))?;
    }
    copy.end().map_err(unusable)
}

async fn limited<T>(limit: Duration, work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    tokio::time::timeout(limit, work).await.map_err(|_| Trouble::late(limit))?
}

/// The path of a method, `Service/Method`.
fn rpc(method: &str) -> String {
    format!("/etcdserverpb.{method}")
}

/// Host and port of an endpoint.
fn address(endpoint: &str) -> Result<(String, u16), String> {
    let uri: Uri = endpoint.parse().map_err(|error| format!("it is not a URL: {error}"))?;
    if uri.scheme_str() != Some("https") {
        return Err("it is not an https URL".to_owned());
    }
    let host = uri.host().ok_or("it names no host")?.trim_matches(['[', ']']);
    Ok((host.to_owned(), uri.port_u16().unwrap_or(DEFAULT_PORT)))
}

impl From<message::Member> for Member {
    fn from(member: message::Member) -> Self {
        Self {
            id: MemberId(member.id),
            name: member.name,
            peer_urls: member.peer_urls,
            client_urls: member.client_urls,
            is_learner: member.is_learner,
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("endpoints", &self.endpoints()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_endpoints() {
        for (endpoint, expected) in [
            ("https://192.0.2.1:2379", Some(("192.0.2.1", 2379))),
            ("https://[2001:db8::1]:12379/", Some(("2001:db8::1", 12379))),
            ("https://etcd.example.com", Some(("etcd.example.com", 2379))),
            ("http://192.0.2.1:2379", None),
            ("unix:///run/etcd", None),
            ("", None),
        ] {
            let found = address(endpoint).ok();
            assert_eq!(found, expected.map(|(host, port)| (host.to_owned(), port)), "{endpoint}");
        }
    }
}

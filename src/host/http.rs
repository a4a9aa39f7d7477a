//! The smallest HTTP/1.1 client that can ask a component for its health or its version, over a host's own sockets.

use crate::host::Socket;
use crate::host::Stream;
use rustls::ClientConfig;
use rustls::ClientConnection;
use rustls::DigitallySignedStruct;
use rustls::SignatureScheme;
use rustls::StreamOwned;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::danger::ServerCertVerified;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls::crypto::verify_tls12_signature;
use rustls::crypto::verify_tls13_signature;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::UnixTime;
use std::fmt;
use std::io;
use std::io::Read;
use std::io::Write;
use std::sync::Arc;
use std::sync::OnceLock;
use zeroize::Zeroizing;

/// More than any health endpoint says.
const ANSWER_LIMIT: u64 = 64 * 1024;

/// What is asked for.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub path: &'a str,
    /// Beside those that every request has; they may be secret.
    pub headers: &'a [(&'a str, &'a str)],
    /// How many bytes of an answer are read, head included; a longer one is an error.
    pub limit: u64,
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of that name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// Names the path only: a header may hold a token.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Status and body of a GET.
///
/// # Errors
/// The stream breaks, or what comes is not HTTP.
pub fn get(stream: impl Read + Write, socket: &Socket, path: &str) -> io::Result<(u16, String)> {
    let answer = ask(stream, socket, &Request { path, headers: &[], limit: ANSWER_LIMIT })?;
    Ok((answer.status, String::from_utf8_lossy(&answer.body).into_owned()))
}

/// The answer to a GET, whole: one that was cut off is an error.
///
/// # Errors
/// The stream breaks, what comes is not HTTP, or it is longer than the request allows.
pub fn ask(mut stream: impl Read + Write, socket: &Socket, request: &Request<'_>) -> io::Result<Answer> {
    let agent = concat!("kubewright/", env!("CARGO_PKG_VERSION"));
    let mut text = Zeroizing::new(format!(
        "GET {} HTTP/1.1\r\nHost: {socket}\r\nUser-Agent: {agent}\r\nConnection: close\r\n",
        request.path
    ));
    for (name, value) in request.headers {
        for part in [*name, ": ", *value, "\r\n"] {
            text.push_str(part);
        }
    }
    text.push_str("\r\n");
    stream.write_all(text.as_bytes())?;
    stream.flush()?;
    let mut answer = Vec::new();
    match stream.take(request.limit + 1).read_to_end(&mut answer) {
        // A server that closes TLS without saying so has still answered.
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error),
        _ => {}
    }
    let invalid = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    if answer.len() as u64 > request.limit {
        return Err(invalid("the answer is too long"));
    }
    if answer.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the connection was closed without an answer",
        ));
    }
    parse(&answer).ok_or_else(|| invalid("the answer is not HTTP"))
}

/// The same over TLS, whoever answers: the component made its certificate itself.
///
/// # Errors
/// As for [`get`], or the handshake fails.
pub fn get_unverified_tls(
    stream: Stream,
    address: &str,
    socket: &Socket,
    path: &str,
) -> io::Result<(u16, String)> {
    get_tls(stream, unverified_config()?, address, socket, path)
}

/// The same over TLS as `config` has it; the server must be called `name`.
///
/// # Errors
/// As for [`get`], or the handshake fails.
pub fn get_tls(
    stream: Stream,
    config: Arc<ClientConfig>,
    name: &str,
    socket: &Socket,
    path: &str,
) -> io::Result<(u16, String)> {
    let name = ServerName::try_from(name.to_owned())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "not a host name or address"))?;
    let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
    get(StreamOwned::new(connection, stream), socket, path)
}

fn parse(answer: &[u8]) -> Option<Answer> {
    let (head, body) = match find(answer, b"\r\n\r\n") {
        Some(end) => (&answer[..end], &answer[end + 4..]),
        None => (answer, &[][..]),
    };
    let head = String::from_utf8_lossy(head);
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.trim_end().get(..3)?.parse().ok()?;
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect();
    let mut answer = Answer { status, headers, body: Vec::new() };
    let chunked = answer.header("transfer-encoding").is_some_and(|how| how.eq_ignore_ascii_case("chunked"));
    let length = answer.header("content-length").and_then(|length| length.parse::<usize>().ok());
    answer.body = match length {
        _ if chunked => joined(body)?,
        // Cut off.
        Some(length) if length > body.len() => return None,
        _ => body.to_vec(),
    };
    Some(answer)
}

/// A body that came in chunks: each after its size in hexadecimal, the last one empty.
fn joined(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = find(rest, b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?.split(';').next()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        let after = &rest[end + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(after.get(..size)?);
        rest = after.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// TLS with whoever answers.
///
/// # Errors
/// The crypto library refuses its own defaults.
pub fn unverified_config() -> io::Result<Arc<ClientConfig>> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody { provider }))
        .with_no_client_auth();
    Ok(Arc::clone(CONFIG.get_or_init(|| Arc::new(config))))
}

/// Takes every certificate, but insists that the other side has its key.
#[derive(Debug)]
struct Anybody {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_answers() {
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Some((200, "ok"))),
            ("HTTP/1.0 503 Service Unavailable\r\n\r\n", Some((503, ""))),
            ("HTTP/1.1 204\r\n\r\n", Some((204, ""))),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n4;x=y\r\n{\"a\"\r\n3\r\n:1}\r\n0\r\n\r\n",
                Some((200, "{\"a\":1}")),
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nshort\r\n", None),
            ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", None),
            ("SSH-2.0-OpenSSH_9.2\r\n", None),
            ("HTTP/1.1 abc\r\n\r\n", None),
            ("", None),
        ] {
            let found = parse(answer.as_bytes());
            let found = found.map(|answer| (answer.status, String::from_utf8(answer.body).unwrap()));
            let expected = expected.map(|(status, body)| (status, body.to_owned()));
            assert_eq!(found, expected, "{answer:?}");
        }
    }
}

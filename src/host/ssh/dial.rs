//! From an address to a session that is ours: connect, shake hands, judge the host's key, log in.
#![expect(clippy::disallowed_methods, reason = "this is the seam")]

use crate::host::Socket;
use crate::host::ssh::auth;
use crate::host::ssh::connection::Connection;
use crate::host::ssh::connection::Forward;
use crate::host::ssh::connection::Use;
use crate::host::ssh::error::SshError;
use crate::host::ssh::error::Trouble;
use crate::host::ssh::host_key::Vouched;
use crate::host::ssh::prompt::Answers;
use crate::host::ssh::route::Login;
use crate::host::ssh::session::Broken;
use crate::host::ssh::wire::Wire;
use rustix::net::sockopt;
use ssh2::ErrorCode;
use ssh2::MethodType;
use ssh2::Session;
use std::io;
use std::net::TcpStream;
use std::net::ToSocketAddrs;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How often a host is called that does not answer, or that refuses.
pub(super) const ATTEMPTS: u32 = 3;

const PAUSE: Duration = Duration::from_millis(500);

/// How long sent data may stay without acknowledgement before the kernel gives the connection up.
const USER_TIMEOUT: Duration = Duration::from_mins(1);

/// libssh2's "unable to exchange encryption keys".
const KEX_FAILURES: [i32; 3] = [-5, -8, -10];

/// No agreement on which key the host shows.
struct OtherKind;

/// Connects to a host, directly or through another one, and logs in; one that does not answer is called `attempts`
/// times.
pub(super) fn dial(
    login: &Login,
    through: Option<&Connection>,
    answers: &Answers,
    purpose: Use,
    attempts: u32,
) -> Result<Connection, SshError> {
    // A host that does not answer behind a bastion keeps all others waiting while it is called.
    let is_stuck = || through.is_some_and(Connection::is_stuck);
    let mut attempt = 1;
    loop {
        match dial_once(login, through, answers, purpose) {
            // What may pass is tried again: a host that starts, an sshd with too many callers.
            Err(error) if error.trouble == Trouble::Unreachable && attempt < attempts && !is_stuck() => {
                attempt += 1;
                thread::sleep(PAUSE * attempt);
            }
            Err(mut error) if error.trouble == Trouble::Unreachable && attempts > 1 => {
                let plural = if attempt == 1 { "" } else { "s" };
                error.message = format!("{} ({attempt} attempt{plural})", error.message);
                return Err(error);
            }
            done => return done,
        }
    }
}

fn dial_once(
    login: &Login,
    through: Option<&Connection>,
    answers: &Answers,
    purpose: Use,
) -> Result<Connection, SshError> {
    let vouched = Vouched::new(login)?;
    let mut refused = None;
    for preference in vouched.preferences(login) {
        let wire = match through {
            Some(bastion) => through_bastion(login, bastion)?,
            None => Wire::Tcp(tcp(login)?),
        };
        let ours = wire.try_clone().map_err(|error| unreachable(login, &error))?;
        let (session, blob) = match handshake(login, wire, &preference)? {
            Ok(shaken) => shaken,
            Err(OtherKind) => continue,
        };
        match vouched.check(login, &blob) {
            // Another of its keys may be the one that was named.
            Err(error) if !login.pins.is_empty() && error.trouble == Trouble::HostKeyChanged => {
                refused.get_or_insert(error);
                continue;
            }
            other => other?,
        }
        auth::authenticate(&session, login, answers)?;
        return Connection::new(session, ours, purpose, login.keepalive)
            .map_err(|error| unreachable(login, &error));
    }
    Err(refused.unwrap_or_else(|| {
        SshError::new(&login.label, Trouble::Protocol, "it and we know no kind of host key in common")
            .hint("OpenSSH 7.2 or newer with an ed25519, ECDSA or RSA key is needed")
    }))
}

fn unreachable(login: &Login, error: &io::Error) -> SshError {
    let message = format!("cannot reach {}: {error}", login.address());
    SshError::new(&login.label, Trouble::Unreachable, message)
        .hint("see whether the host is up, and whether `sshAddress`, `port` and `bastion` are right")
}

fn tcp(login: &Login) -> Result<TcpStream, SshError> {
    let addresses =
        (login.host.as_str(), login.port).to_socket_addrs().map_err(|error| unreachable(login, &error))?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, login.connect_timeout) {
            Ok(stream) => {
                keep_watch(&stream).map_err(|error| unreachable(login, &error))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(unreachable(login, &last))
}

/// Makes the kernel notice a connection that died without a word.
fn keep_watch(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(15))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(15))?;
    sockopt::set_tcp_keepcnt(stream, 3)?;
    sockopt::set_tcp_user_timeout(stream, u32::try_from(USER_TIMEOUT.as_millis()).unwrap_or(u32::MAX))?;
    Ok(())
}

fn through_bastion(login: &Login, bastion: &Connection) -> Result<Wire, SshError> {
    let (answer, answered) = mpsc::channel();
    bastion.forward(Forward { to: Socket::Tcp { host: login.host.clone(), port: login.port }, answer });
    let broken = match answered.recv_timeout(login.connect_timeout) {
        Ok(Ok(stream)) => return Ok(Wire::Unix(stream)),
        Ok(Err(broken)) => broken,
        Err(_) => Broken::Refused("it does not answer".to_owned()),
    };
    let (trouble, why) = match broken {
        // The bastion works and says that the host does not.
        Broken::Refused(why) if why.contains("connect failed") || why.contains("does not answer") => {
            (Trouble::Unreachable, why)
        }
        Broken::Refused(why) | Broken::Lost(why) => (Trouble::BastionFailed, why),
    };
    let message = format!("the bastion cannot reach {}: {why}", login.address());
    Err(SshError::new(&login.label, trouble, message)
        .hint("see whether the host is up, and whether sshd on the bastion has `AllowTcpForwarding yes`"))
}

type Shaken = Result<(Session, Vec<u8>), OtherKind>;

/// Agrees on keys; the answer has the key that the host shows.
fn handshake(login: &Login, wire: Wire, preference: &str) -> Result<Shaken, SshError> {
    let failed = |error: &ssh2::Error| {
        let code = match error.code() {
            ErrorCode::Session(code) | ErrorCode::SFTP(code) => code,
        };
        let (trouble, hint) = match code {
            // The host is there and speaks something else, or hung up: too many callers, or not sshd.
            -13 | -43 | -7 | -2 | -9 | -30 => {
                (Trouble::Unreachable, "see whether sshd listens there and lets this machine in")
            }
            _ => (Trouble::Protocol, "OpenSSH 7.2 or newer is needed on the host"),
        };
        let message = format!("cannot shake hands with {}: {} ({code})", login.address(), error.message());
        SshError::new(&login.label, trouble, message).hint(hint)
    };
    let mut session = Session::new().map_err(|error| failed(&error))?;
    session.set_tcp_stream(wire);
    session.set_timeout(u32::try_from(login.connect_timeout.as_millis()).unwrap_or(u32::MAX));
    session.method_pref(MethodType::HostKey, preference).map_err(|error| failed(&error))?;
    if let Err(error) = session.handshake() {
        let no_agreement = KEX_FAILURES.iter().any(|code| error.code() == ErrorCode::Session(*code));
        if no_agreement && !login.pins.is_empty() {
            return Ok(Err(OtherKind));
        }
        return Err(failed(&error));
    }
    let blob = session.host_key().map(|(blob, _)| blob.to_vec());
    let blob = blob.ok_or_else(|| SshError::new(&login.label, Trouble::Protocol, "it shows no host key"))?;
    Ok(Ok((session, blob)))
}

//! Whether the host is the one that it should be.

use crate::cluster::site::HostKeyChecking;
use crate::host::ssh::error::SshError;
use crate::host::ssh::error::Trouble;
use crate::host::ssh::known_hosts;
use crate::host::ssh::known_hosts::KnownHosts;
use crate::host::ssh::known_hosts::Place;
use crate::host::ssh::known_hosts::Verdict;
use crate::host::ssh::route::Login;

/// The kinds of host keys in the order in which they are asked for, each with the signatures that go with it.
/// Certificates of hosts are not among them: only their authority could vouch for them.
const KINDS: [(&str, &str); 5] = [
    ("ssh-ed25519", "ssh-ed25519"),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"),
    ("ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384"),
    ("ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521"),
    ("ssh-rsa", "rsa-sha2-512,rsa-sha2-256"),
];

/// Who vouches for a host.
pub(super) struct Vouched {
    known: KnownHosts,
    name: String,
}

impl Vouched {
    /// Reads what is known of the host.
    pub(super) fn new(login: &Login) -> Result<Self, SshError> {
        let known = KnownHosts::read(&login.known_hosts).map_err(|error| {
            SshError::new(&login.label, Trouble::Settings, format!("cannot read known hosts: {error}"))
        })?;
        let name = known_hosts::listed_name(login.key_alias.as_deref().unwrap_or(&login.host), login.port);
        // An alias stands for the host, whatever its port.
        let name = login.key_alias.as_ref().map_or(name, |alias| alias.to_lowercase());
        Ok(Self { known, name })
    }

    /// The kinds of keys to ask for, one list for each attempt at a handshake. A server shows one key only, and prefers
    /// its own favourite to the one that is known here.
    pub(super) fn preferences(&self, login: &Login) -> Vec<String> {
        if !login.pins.is_empty() {
            // A fingerprint does not say of what kind its key is.
            let kinds = ["ssh-ed25519", "ecdsa-", "ssh-rsa"];
            return kinds.map(|wanted| list(|kind| kind.starts_with(wanted))).into();
        }
        let types = self.known.key_types(&self.name);
        let is_known = |kind: &str| types.iter().any(|known| known == kind);
        let known = list(is_known);
        let others = list(|kind| !is_known(kind));
        vec![[known, others].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(",")]
    }

    /// Judges the key that the host shows.
    pub(super) fn check(&self, login: &Login, blob: &[u8]) -> Result<(), SshError> {
        let shown = known_hosts::fingerprint(blob);
        let kind = known_hosts::key_type(blob).unwrap_or_else(|| "unknown kind".to_owned());
        let verdict = self.known.check(&self.name, blob);
        if let Verdict::Revoked(place) = &verdict {
            let message = format!("its key {shown} ({kind}) is revoked in {}", shown_place(place));
            return Err(SshError::new(&login.label, Trouble::HostKeyRevoked, message)
                .hint("give the host a new key; never use this one again"));
        }
        if !login.pins.is_empty() {
            return pinned(login, &shown, &kind);
        }
        match verdict {
            Verdict::Known | Verdict::Revoked(_) => Ok(()),
            Verdict::Changed { place, known } => {
                Err(changed(login, &self.name, &shown, &kind, &place, &known))
            }
            Verdict::Unknown { authority } => self.unknown(login, blob, &shown, &kind, authority.as_ref()),
        }
    }

    fn unknown(
        &self,
        login: &Login,
        blob: &[u8],
        shown: &str,
        kind: &str,
        authority: Option<&Place>,
    ) -> Result<(), SshError> {
        let file = login.known_hosts.first();
        if let (HostKeyChecking::AcceptNew, Some(file)) = (login.checking, file) {
            return known_hosts::append(file, &self.name, blob).map_err(|error| {
                let message = format!("cannot add its key to {}: {error}", file.display());
                SshError::new(&login.label, Trouble::Settings, message)
            });
        }
        let authority = authority.map(|place| {
            format!("; the certificate authority in {} is not understood here", shown_place(place))
        });
        let message = format!("its key {shown} ({kind}) is not known{}", authority.unwrap_or_default());
        let hint = format!(
            "compare it with `ssh-keygen -lf /etc/ssh/ssh_host_{}_key.pub` on the host, then write `hostKey: {shown}` in \
             its ssh settings, or connect once with `ssh -p {} {}`; `hostKeyChecking: accept-new` takes every new key",
            short(kind),
            login.port,
            login.host,
        );
        Err(SshError::new(&login.label, Trouble::HostKeyUnknown, message).hint(hint))
    }
}

fn list(wanted: impl Fn(&str) -> bool) -> String {
    let kinds = KINDS.iter().filter(|(kind, _)| wanted(kind));
    kinds.map(|(_, signatures)| *signatures).collect::<Vec<_>>().join(",")
}

fn pinned(login: &Login, shown: &str, kind: &str) -> Result<(), SshError> {
    let same = |pin: &String| pin.trim_end_matches('=') == shown;
    if login.pins.iter().any(same) {
        return Ok(());
    }
    let message =
        format!("it shows the key {shown} ({kind}), but `hostKey` says {}", login.pins.join(" or "));
    let hint = "somebody may stand between you and the host; if it was set up anew, mend `hostKey`";
    Err(SshError::new(&login.label, Trouble::HostKeyChanged, message).hint(hint))
}

fn changed(login: &Login, name: &str, shown: &str, kind: &str, place: &Place, known: &[u8]) -> SshError {
    let message = format!(
        "its key has changed: it shows {shown} ({kind}), {} says {} ({})",
        shown_place(place),
        known_hosts::fingerprint(known),
        known_hosts::key_type(known).unwrap_or_default(),
    );
    let hint = format!(
        "somebody may stand between you and the host; if it was set up anew, `ssh-keygen -R '{name}' -f {}` forgets the \
         old key",
        place.file.display()
    );
    SshError::new(&login.label, Trouble::HostKeyChanged, message).hint(hint)
}

fn shown_place(place: &Place) -> String {
    format!("{}:{}", place.file.display(), place.line)
}

/// The kind of a key as sshd names its files.
fn short(kind: &str) -> &str {
    match kind {
        "ssh-ed25519" => "ed25519",
        "ssh-rsa" => "rsa",
        _ => "ecdsa",
    }
}

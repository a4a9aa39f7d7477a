//! A host on the way to another one.

use std::fmt;
use std::str::FromStr;

/// `[ssh://][user@]host[:port]`, as OpenSSH's `ProxyJump` has it; an IPv6 address with a port stands in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    pub user: Option<String>,
    /// A name or an address.
    pub host: String,
    pub port: Option<u16>,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not user@host:port")]
pub struct HopError(String);

impl Hop {
    /// All hops of a list with commas, the first one first; `none` is no hop.
    ///
    /// # Errors
    /// One of them cannot be understood.
    pub fn list(text: &str) -> Result<Vec<Self>, HopError> {
        let words = text.split(',').map(str::trim);
        words.filter(|word| !word.is_empty() && !word.eq_ignore_ascii_case("none")).map(str::parse).collect()
    }
}

impl FromStr for Hop {
    type Err = HopError;

    fn from_str(text: &str) -> Result<Self, HopError> {
        let error = || HopError(text.to_owned());
        let plain = text.strip_prefix("ssh://").unwrap_or(text);
        let (user, rest) = match plain.rsplit_once('@') {
            Some((user, rest)) => (Some(user.to_owned()), rest),
            None => (None, plain),
        };
        let (host, port) = match rest.strip_prefix('[').map(|rest| rest.split_once(']')) {
            Some(Some((host, ""))) => (host, None),
            Some(Some((host, port))) => (host, Some(port.strip_prefix(':').ok_or_else(error)?)),
            Some(None) => return Err(error()),
            // A bare IPv6 address has more than one colon.
            None => match rest.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (rest, None),
            },
        };
        let port = port.map(str::parse).transpose().map_err(|_| error())?;
        let odd =
            |text: &str| text.is_empty() || text.contains(|c: char| c.is_whitespace() || "/@[]".contains(c));
        if odd(host) || user.as_deref().is_some_and(odd) || port == Some(0) {
            return Err(error());
        }
        Ok(Self { user, host: host.to_owned(), port })
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        match self.port {
            Some(port) if self.host.contains(':') => write!(f, "[{}]:{port}", self.host),
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_proxy_jump_takes() {
        for (text, user, host, port) in [
            ("jump", None, "jump", None),
            ("ops@jump.example.com:2222", Some("ops"), "jump.example.com", Some(2222)),
            ("ssh://a@b@10.0.0.1:22", None, "", None),
            ("ssh://ops@10.0.0.1", Some("ops"), "10.0.0.1", None),
            ("[fd00::1]:2222", None, "fd00::1", Some(2222)),
            ("ops@[fd00::1]", Some("ops"), "fd00::1", None),
            ("fd00::1", None, "fd00::1", None),
            ("", None, "", None),
            ("@jump", None, "", None),
            ("jump:", None, "", None),
            ("jump:0", None, "", None),
            ("jump:70000", None, "", None),
            ("[fd00::1", None, "", None),
            ("two words", None, "", None),
        ] {
            let expected = Hop { user: user.map(str::to_owned), host: host.to_owned(), port };
            let read = text.parse::<Hop>();
            if host.is_empty() {
                assert!(read.is_err(), "{text}: {read:?}");
            } else {
                assert_eq!(read, Ok(expected.clone()), "{text}");
                assert_eq!(expected.to_string().parse(), Ok(expected));
            }
        }
        assert_eq!(Hop::list("a, b:1 ,none,").unwrap().len(), 2);
        assert!(Hop::list("a,:").is_err());
    }
}

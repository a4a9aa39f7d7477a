//! Private keys on the operator's machine.
#![expect(clippy::disallowed_methods, reason = "this is the seam: files of the operator's machine")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// A private key with what belongs to it.
pub(super) struct Identity {
    pub(super) file: PathBuf,
    pub(super) private: Zeroizing<String>,
    /// What a certificate authority says of it, from the file beside it.
    pub(super) certificate: Option<String>,
    /// The public key, from the file beside it.
    pub(super) public: Option<Vec<u8>>,
    pub(super) encrypted: bool,
}

impl Identity {
    /// Reads a key; `None` when it is not there.
    pub(super) fn read(file: &Path) -> io::Result<Option<Self>> {
        let private = match fs::read_to_string(file) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let beside = |end: &str| {
            let mut name = file.as_os_str().to_owned();
            name.push(end);
            fs::read_to_string(PathBuf::from(name)).ok()
        };
        let public = beside(".pub").and_then(|text| STANDARD.decode(text.split_whitespace().nth(1)?).ok());
        Ok(Some(Self {
            file: file.to_owned(),
            encrypted: is_encrypted(&private),
            private,
            certificate: beside("-cert.pub").map(|text| text.trim().to_owned()),
            public,
        }))
    }
}

/// Whether a passphrase is needed to use a key, in OpenSSH's format, PKCS#8 or the older PEM format.
fn is_encrypted(text: &str) -> bool {
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return true;
    }
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let Ok(bytes) = STANDARD.decode(body).map(Zeroizing::new) else { return false };
    // "openssh-key-v1", then the name of the cipher (OpenSSH's PROTOCOL.key).
    let cipher = bytes.strip_prefix(b"openssh-key-v1\0").and_then(|rest| {
        let length = usize::try_from(u32::from_be_bytes(rest.get(..4)?.try_into().ok()?)).ok()?;
        rest.get(4..4 + length)
    });
    cipher.is_some_and(|cipher| cipher != b"none")
}

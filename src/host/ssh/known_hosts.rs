//! The files of known hosts (sshd(8), "`SSH_KNOWN_HOSTS` FILE FORMAT").
#![expect(clippy::disallowed_methods, reason = "this is the seam: files of the operator's machine")]

use aws_lc_rs::digest;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::fs;
use std::io;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;

/// A key as hosts show it: the bytes of RFC 4253 section 6.6.
pub(super) type Blob = Vec<u8>;

/// What the files say of hosts.
#[derive(Debug, Default)]
pub(super) struct KnownHosts {
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    place: Place,
    marker: Marker,
    hosts: Hosts,
    blob: Blob,
}

/// Where a line stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: PathBuf,
    /// From 1.
    pub(super) line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    None,
    Revoked,
    Authority,
}

#[derive(Debug)]
enum Hosts {
    Hashed {
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
    /// Those with `true` exclude.
    Patterns(Vec<(bool, String)>),
}

/// What the files say of one key of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Known,
    Unknown {
        /// A certificate authority vouches for hosts of this name, which is not understood here.
        authority: Option<Place>,
    },
    Changed {
        place: Place,
        known: Blob,
    },
    Revoked(Place),
}

impl KnownHosts {
    /// Reads those of the files that are there.
    pub(super) fn read(files: &[PathBuf]) -> io::Result<Self> {
        let mut known = Self::default();
        for file in files {
            match fs::read(file) {
                Ok(bytes) => known.add(file, &String::from_utf8_lossy(&bytes)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(io::Error::new(error.kind(), format!("{}: {error}", file.display())));
                }
            }
        }
        Ok(known)
    }

    fn add(&mut self, file: &Path, text: &str) {
        for (index, line) in text.lines().enumerate() {
            let place = Place { file: file.to_owned(), line: index + 1 };
            self.lines.extend(parse(line, place));
        }
    }

    fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Line> {
        self.lines.iter().filter(move |line| line.hosts.includes(name))
    }

    /// The types of the keys that the host is known by, without repetition.
    pub(super) fn key_types(&self, name: &str) -> Vec<String> {
        let mut types: Vec<String> = Vec::new();
        for line in self.of(name).filter(|line| line.marker == Marker::None) {
            types.extend(key_type(&line.blob).filter(|found| !types.contains(found)));
        }
        types
    }

    pub(super) fn check(&self, name: &str, blob: &[u8]) -> Verdict {
        let place = |line: &Line| line.place.clone();
        let with = |marker: Marker| self.of(name).filter(move |line| line.marker == marker);
        if let Some(line) = with(Marker::Revoked).find(|line| line.blob == blob) {
            return Verdict::Revoked(place(line));
        }
        if with(Marker::None).any(|line| line.blob == blob) {
            return Verdict::Known;
        }
        // The line to mend is the one of the same type, where there is one.
        let same = with(Marker::None).find(|line| key_type(&line.blob) == key_type(blob));
        match same.or_else(|| with(Marker::None).next()) {
            Some(line) => Verdict::Changed { place: place(line), known: line.blob.clone() },
            None => Verdict::Unknown { authority: with(Marker::Authority).next().map(place) },
        }
    }
}

impl Hosts {
    fn includes(&self, name: &str) -> bool {
        match self {
            Self::Hashed { salt, hash } => {
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
                hmac::verify(&key, name.as_bytes(), hash).is_ok()
            }
            Self::Patterns(patterns) => {
                let hit = |excluding: bool| {
                    patterns
                        .iter()
                        .any(|(excludes, pattern)| *excludes == excluding && matches(pattern, name))
                };
                hit(false) && !hit(true)
            }
        }
    }
}

/// Shell-like patterns with `*` and `?`; letters in any case.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    fn rest(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.first(), text.first()) {
            (None, None) => true,
            (Some(b'*'), _) => rest(&pattern[1..], text) || (!text.is_empty() && rest(pattern, &text[1..])),
            (Some(b'?'), Some(_)) => rest(&pattern[1..], &text[1..]),
            (Some(a), Some(b)) if a.eq_ignore_ascii_case(b) => rest(&pattern[1..], &text[1..]),
            _ => false,
        }
    }
    rest(pattern.as_bytes(), text.as_bytes())
}

fn parse(line: &str, place: Place) -> Option<Line> {
    let mut words = line.split_whitespace();
    let mut first = words.next().filter(|word| !word.starts_with('#'))?;
    let marker = match first {
        "@revoked" => Marker::Revoked,
        "@cert-authority" => Marker::Authority,
        _ => Marker::None,
    };
    if marker != Marker::None {
        first = words.next()?;
    }
    let (_, key) = (words.next()?, words.next()?);
    let blob = STANDARD.decode(key).ok()?;
    let hosts = match first.strip_prefix("|1|") {
        Some(hashed) => {
            let (salt, hash) = hashed.split_once('|')?;
            Hosts::Hashed { salt: STANDARD.decode(salt).ok()?, hash: STANDARD.decode(hash).ok()? }
        }
        None => Hosts::Patterns(first.split(',').map(pattern).collect()),
    };
    Some(Line { place, marker, hosts, blob })
}

fn pattern(word: &str) -> (bool, String) {
    match word.strip_prefix('!') {
        Some(excluded) => (true, excluded.to_owned()),
        None => (false, word.to_owned()),
    }
}

/// The name under which a host is listed.
pub(super) fn listed_name(host: &str, port: u16) -> String {
    let host = host.to_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

/// `ssh-ed25519`, as the key itself says it.
pub(super) fn key_type(blob: &[u8]) -> Option<String> {
    let length = usize::try_from(u32::from_be_bytes(blob.get(..4)?.try_into().ok()?)).ok()?;
    String::from_utf8(blob.get(4..4 + length)?.to_vec()).ok()
}

/// `SHA256:…`, as `ssh-keygen -l` prints it.
pub(super) fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(digest::digest(&digest::SHA256, blob)))
}

/// Adds a line to the file, and leaves the others as they are.
pub(super) fn append(file: &Path, name: &str, blob: &[u8]) -> io::Result<()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(directory) = file.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let before = match fs::read(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        before => before.unwrap_or_default(),
    };
    let gap = if before.last().is_none_or(|last| *last == b'\n') { "" } else { "\n" };
    let line = format!("{gap}{name} {} {}\n", key_type(blob).unwrap_or_default(), STANDARD.encode(blob));
    let mut open = fs::OpenOptions::new();
    open.create(true).append(true).mode(0o600).open(file)?.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(kind: &str, content: &str) -> Blob {
        let mut blob = u32::try_from(kind.len()).unwrap().to_be_bytes().to_vec();
        blob.extend(kind.bytes());
        blob.extend(content.bytes());
        blob
    }

    fn key(kind: &str, content: &str) -> String {
        format!("{kind} {}", STANDARD.encode(blob(kind, content)))
    }

    fn known(text: &str) -> KnownHosts {
        let mut known = KnownHosts::default();
        known.add(Path::new("k"), text);
        known
    }

    fn place(line: usize) -> Place {
        Place { file: "k".into(), line }
    }

    #[test]
    fn judges_keys_by_their_lines() {
        let ed = key("ssh-ed25519", "one");
        let rsa = key("ssh-rsa", "two");
        let salt = [7; 20];
        let hashing = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
        let hash = hmac::sign(&hashing, b"hidden");
        let text = format!(
            "# a comment\n\na,*.example.com,!bad.example.com {ed} a comment\n[b]:2222 {rsa}\n\
             @revoked * {}\n@cert-authority *.ca {rsa}\n|1|{}|{} {ed}\nnonsense\n",
            key("ssh-ed25519", "gone"),
            STANDARD.encode(salt),
            STANDARD.encode(hash.as_ref()),
        );
        let known = known(&text);
        let (one, two, gone) =
            (blob("ssh-ed25519", "one"), blob("ssh-rsa", "two"), blob("ssh-ed25519", "gone"));
        let unknown = Verdict::Unknown { authority: None };
        for (name, shown, verdict) in [
            ("a", &one, Verdict::Known),
            ("X.example.com", &one, Verdict::Known),
            ("bad.example.com", &one, unknown.clone()),
            ("a", &two, Verdict::Changed { place: place(3), known: one.clone() }),
            ("a", &gone, Verdict::Revoked(place(5))),
            ("stranger", &gone, Verdict::Revoked(place(5))),
            ("[b]:2222", &two, Verdict::Known),
            ("b", &two, unknown),
            ("x.ca", &two, Verdict::Unknown { authority: Some(place(6)) }),
            ("hidden", &one, Verdict::Known),
            ("hidden", &two, Verdict::Changed { place: place(7), known: one.clone() }),
        ] {
            assert_eq!(known.check(name, shown), verdict, "{name}");
        }
        assert_eq!(known.key_types("[b]:2222"), ["ssh-rsa"]);
        assert_eq!(known.key_types("x.ca"), Vec::<String>::new());
    }

    #[test]
    fn names_and_fingerprints_are_those_of_openssh() {
        assert_eq!(listed_name("Host", 22), "host");
        assert_eq!(listed_name("::1", 2222), "[::1]:2222");
        assert_eq!(fingerprint(b""), "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU");
        assert_eq!(key_type(b"\0\0\0\x09x"), None);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a file is looked at")]
    fn appends_and_never_rewrites() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("new/known_hosts");
        append(&file, "a", &blob("ssh-ed25519", "one")).unwrap();
        fs::write(&file, "# mine\nodd line without end").unwrap();
        append(&file, "[b]:2222", &blob("ssh-ed25519", "one")).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        let expected = format!("# mine\nodd line without end\n[b]:2222 {}\n", key("ssh-ed25519", "one"));
        assert_eq!(text, expected);
    }
}

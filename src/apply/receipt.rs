//! The record on each host: what was done, and what was there before.
//!
//! Resume, drift and reset stand on it. It never holds the content of anything that others may not read: digests
//! only, and copies of small files that are world-readable.

use crate::host::Entry;
use crate::host::EntryKind;
use crate::host::Host;
use crate::host::HostError;
use aws_lc_rs::digest;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Where it lies on every host.
pub const PATH: &str = "/var/lib/kubewright/receipt.json";

/// The version of the format; fields that are unknown here are kept as they are.
pub const VERSION: u32 = 1;

/// The largest file of which a copy is kept.
const COPY_LIMIT: usize = 64 * 1024;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    pub version: u32,
    #[serde(default)]
    pub host: String,
    /// By phase and subject: `certs/ca /etc/kubernetes/pki/ca.crt`.
    #[serde(default)]
    pub steps: BTreeMap<String, StepReceipt>,
    /// What was there before the first change, by path or by name (`service kubelet`); a [`Before`] each.
    #[serde(default)]
    before: BTreeMap<String, Value>,
    /// Units that must be restarted, and the files that ask for it: written down before those files change.
    #[serde(default)]
    pub pending_restarts: BTreeMap<String, BTreeSet<String>>,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepReceipt {
    pub phase: String,
    pub subject: String,
    /// Whether this program ever changed it.
    #[serde(default)]
    pub changed: bool,
    /// `sha256:` and the digest of what is there now.
    #[serde(default)]
    pub digest: Option<String>,
    /// RFC 3339, of the last change of this entry.
    #[serde(default)]
    pub time: String,
}

/// The state of something before this program first changed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "was", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Before {
    Absent,
    File {
        digest: String,
        mode: u32,
        owner: Option<(u32, u32)>,
        /// The content, when it is small and world-readable text.
        copy: Option<String>,
    },
    Directory {
        mode: u32,
        owner: Option<(u32, u32)>,
    },
    Link {
        target: String,
    },
    Service {
        active: bool,
        enabled: bool,
    },
    /// The output of a query, such as the value of a sysctl.
    Value {
        text: String,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    #[error(transparent)]
    Host(#[from] HostError),
    #[error("the receipt `{path}` cannot be understood")]
    Corrupt { path: String, source: serde_json::Error },
    #[error("the receipt `{path}` is not a regular file")]
    NotAFile { path: String },
    #[error("the receipt `{path}` has version {found}; this program knows version {VERSION}")]
    TooNew { path: String, found: u32 },
}

impl Receipt {
    pub fn new(host: &str) -> Self {
        Self {
            version: VERSION,
            host: host.to_owned(),
            steps: BTreeMap::new(),
            before: BTreeMap::new(),
            pending_restarts: BTreeMap::new(),
            unknown: Map::new(),
        }
    }

    /// The receipt of a host; `None` when it has none.
    ///
    /// # Errors
    /// It cannot be read or understood, or a newer version of this program wrote it.
    pub fn load(host: &dyn Host, path: &str) -> Result<Option<Self>, ReceiptError> {
        let Some(entry) = host.read(path)? else { return Ok(None) };
        let content = entry.content().ok_or_else(|| ReceiptError::NotAFile { path: path.to_owned() })?;
        let receipt: Self = serde_json::from_slice(content)
            .map_err(|source| ReceiptError::Corrupt { path: path.to_owned(), source })?;
        if receipt.version > VERSION {
            return Err(ReceiptError::TooNew { path: path.to_owned(), found: receipt.version });
        }
        Ok(Some(receipt))
    }

    /// Writes the receipt atomically, readable by root only.
    ///
    /// # Errors
    /// The host cannot write it; the old one is then untouched.
    pub fn save(&self, host: &dyn Host, path: &str) -> Result<(), HostError> {
        host.write(path, &self.entry())
    }

    /// The file that it is on the host.
    pub fn entry(&self) -> Entry {
        let mut text = serde_json::to_string_pretty(self).expect("a receipt holds only text and numbers");
        text.push('\n');
        Entry::file(text, 0o600)
    }

    /// What was there before; `None` when it was never written down, or a newer program wrote it down.
    pub fn before(&self, key: &str) -> Option<Before> {
        self.before.get(key).and_then(|value| serde_json::from_value(value.clone()).ok())
    }

    /// Everything that is written down about the time before.
    pub fn befores(&self) -> impl Iterator<Item = (&str, Before)> {
        self.before.keys().filter_map(|key| Some((key.as_str(), self.before(key)?)))
    }

    /// The subjects of all steps that were done, and the paths where nothing was before the first change: what
    /// stands there now is of our making, even when a run ended before it could write down its last steps.
    pub fn ours(&self) -> BTreeSet<String> {
        let done = self.steps.values().map(|step| step.subject.clone());
        let new =
            self.befores().filter(|(_, before)| *before == Before::Absent).map(|(path, _)| path.to_owned());
        done.chain(new).collect()
    }

    pub fn knows_before(&self, key: &str) -> bool {
        self.before.contains_key(key)
    }

    /// Writes down what was there before, unless that was done already.
    pub fn remember(&mut self, key: &str, before: &Before) {
        let value = serde_json::to_value(before).expect("a state holds only text and numbers");
        self.before.entry(key.to_owned()).or_insert(value);
    }
}

impl Before {
    /// The state of a path.
    pub fn of(entry: Option<&Entry>) -> Self {
        let Some(entry) = entry else { return Self::Absent };
        let (mode, owner) = (entry.mode, entry.owner);
        match &entry.kind {
            EntryKind::Directory => Self::Directory { mode, owner },
            EntryKind::Link(target) => Self::Link { target: target.clone() },
            EntryKind::File(content) => {
                Self::File { digest: sha256(content), mode, owner, copy: copy(content, mode) }
            }
        }
    }
}

fn copy(content: &[u8], mode: u32) -> Option<String> {
    let public = mode & 0o004 != 0 && content.len() <= COPY_LIMIT;
    let text = std::str::from_utf8(content).ok().filter(|_| public)?;
    (!text.contains("PRIVATE KEY")).then(|| text.to_owned())
}

/// `sha256:` and the digest in hexadecimal.
pub fn sha256(content: &[u8]) -> String {
    let mut text = String::from("sha256:");
    for byte in digest::digest(&digest::SHA256, content).as_ref() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Fake;

    #[test]
    fn copies_only_what_everybody_may_read() {
        for (content, mode, copied) in [
            ("net.ipv4.ip_forward = 1\n", 0o644, true),
            ("key\n", 0o600, false),
            ("-----BEGIN PRIVATE KEY-----", 0o644, false),
            ("\u{0}", 0o644, true),
        ] {
            let Before::File { copy, .. } = Before::of(Some(&Entry::file(content, mode))) else {
                unreachable!()
            };
            assert_eq!(copy.is_some(), copied, "{content}");
        }
    }

    #[test]
    fn keeps_the_first_state_and_what_it_does_not_know() {
        let text = r#"{"version": 1, "host": "cp1", "future": {"a": 1},
            "before": {"/x": {"was": "absent"}, "/y": {"was": "quantum", "spin": 1}}}"#;
        let host = Fake::new("cp1").with(PATH, Entry::file(text, 0o600));
        let mut receipt = Receipt::load(&host, PATH).unwrap().unwrap();
        receipt.remember("/x", &Before::Link { target: "/z".into() });
        receipt.remember("/y", &Before::Absent);
        receipt.save(&host, PATH).unwrap();
        let again = Receipt::load(&host, PATH).unwrap().unwrap();
        assert_eq!(again.before("/x"), Some(Before::Absent));
        assert_eq!((again.before("/y"), again.knows_before("/y")), (None, true));
        let written = host.read(PATH).unwrap().unwrap();
        assert_eq!(written.mode, 0o600);
        let value: Value = serde_json::from_slice(written.content().unwrap()).unwrap();
        assert_eq!(value["future"]["a"], 1);
        assert_eq!(value["before"]["/y"]["spin"], 1);
    }

    #[test]
    fn what_came_after_the_first_change_is_ours() {
        let mut receipt = Receipt::new("cp1");
        let step = StepReceipt {
            phase: "etcd/local".into(),
            subject: "/made".into(),
            changed: true,
            digest: None,
            time: String::new(),
        };
        receipt.steps.insert("etcd/local /made".into(), step);
        receipt.remember("/new", &Before::Absent);
        receipt.remember("/theirs", &Before::Link { target: "/x".into() });
        assert_eq!(receipt.ours(), ["/made", "/new"].map(str::to_owned).into());
    }

    #[test]
    fn a_broken_receipt_is_an_error() {
        for (text, newer) in [("", false), ("{", false), ("[]", false), ("{\"version\": 9}", true)] {
            let host = Fake::new("cp1").with(PATH, Entry::file(text, 0o600));
            match Receipt::load(&host, PATH) {
                Err(ReceiptError::TooNew { found: 9, .. }) => assert!(newer),
                Err(ReceiptError::Corrupt { .. }) => assert!(!newer),
                other => unreachable!("{text:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn digests_as_sha256sum_does() {
        assert_eq!(sha256(b"abc"), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}

//! Objects that somebody else wrote, as the `Cluster` document names them.

use crate::cluster::cni::Manifest as ManifestModel;
use crate::cluster::cni::ManifestFrom;
use crate::config::path::Path;
use crate::config::report::Report;
use serde::Deserialize;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Manifest {
    file: Option<String>,
    url: Option<String>,
    sha256: Option<String>,
}

/// A text that says something.
pub(super) fn some(text: Option<&String>) -> Option<String> {
    text.cloned().filter(|text| !text.is_empty())
}

impl Manifest {
    pub(super) fn meaning(&self) -> Option<ManifestModel> {
        let from = match (some(self.url.as_ref()), some(self.file.as_ref())) {
            (Some(url), _) => ManifestFrom::Url(url),
            (None, Some(file)) => ManifestFrom::File(file),
            (None, None) => return None,
        };
        Some(ManifestModel::new(from, some(self.sha256.as_ref()).map(|text| text.to_lowercase())))
    }

    pub(super) fn validate(&self, report: &mut Report, path: &Path) {
        let digest = some(self.sha256.as_ref());
        match (some(self.file.as_ref()), some(self.url.as_ref())) {
            (None, None) => {
                report.missing(path, "neither file nor url is set", "file: PATH, or url: … with its sha256");
            }
            (Some(_), Some(_)) => {
                report.error(path, "file and url cannot both be set").hint("keep one of them");
            }
            (None, Some(url)) => {
                super::prepare::url(report, &url, &path.key("url"));
                if digest.is_none() {
                    report.missing(
                        &path.key("sha256"),
                        "a download without a checksum may be anything",
                        "look at it, and write down what `sha256sum` says",
                    );
                }
            }
            (Some(_), None) => {}
        }
        digest_text(report, digest.as_deref().unwrap_or_default(), &path.key("sha256"));
    }
}

/// Complains of what is no SHA-256; an empty text says nothing.
pub(super) fn digest_text(report: &mut Report, digest: &str, path: &Path) {
    let whole = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !digest.is_empty() && !whole {
        report
            .error(path, format!("`{digest}` is not a SHA-256"))
            .hint("64 hexadecimal digits, as `sha256sum` prints them");
    }
}

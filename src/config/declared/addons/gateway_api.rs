//! `spec.addons.gatewayApi`: the kinds of the Gateway API, as their project publishes them.

use crate::cluster::cni::Manifest as ManifestModel;
use crate::cluster::cni::ManifestFrom;
use crate::config::declared::manifest::Manifest;
use crate::config::declared::manifest::digest_text;
use crate::config::declared::manifest::some;
use crate::config::path::Path;
use crate::config::report::Report;
use serde::Deserialize;

const VERSION: &str = "1.5.1";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct GatewayApi {
    pub enabled: Option<bool>,
    version: Option<String>,
    channel: Option<String>,
    sha256: Option<String>,
    manifest: Option<Manifest>,
}

impl GatewayApi {
    fn url(&self) -> String {
        let version = some(self.version.as_ref()).unwrap_or_else(|| VERSION.to_owned());
        let version = version.trim_start_matches('v');
        let channel = some(self.channel.as_ref()).unwrap_or_else(|| "standard".to_owned());
        format!(
            "https://github.com/kubernetes-sigs/gateway-api/releases/download/v{version}/{channel}-install.yaml"
        )
    }

    pub(super) fn meaning(&self) -> ManifestModel {
        let published = || {
            ManifestModel::new(
                ManifestFrom::Url(self.url()),
                some(self.sha256.as_ref()).map(|text| text.to_lowercase()),
            )
        };
        self.manifest.as_ref().and_then(Manifest::meaning).unwrap_or_else(published)
    }

    pub(super) fn validate(&self, report: &mut Report, path: &Path) {
        super::metallb::version(report, self.version.as_ref(), &path.key("version"));
        digest_text(report, &some(self.sha256.as_ref()).unwrap_or_default(), &path.key("sha256"));
        let Some(manifest) = &self.manifest else {
            if some(self.sha256.as_ref()).is_none() {
                let hint = format!("look at {}, and write down what `sha256sum` says", self.url());
                report.missing(
                    &path.key("sha256"),
                    "its project publishes no checksum, and a download without one may be anything",
                    &hint,
                );
            }
            return;
        };
        manifest.validate(report, &path.key("manifest"));
        let given = [
            ("version", some(self.version.as_ref()).is_some()),
            ("channel", some(self.channel.as_ref()).is_some()),
            ("sha256", some(self.sha256.as_ref()).is_some()),
        ];
        for (field, _) in given.into_iter().filter(|(_, given)| *given) {
            report
                .error(
                    &path.key(field),
                    format!("{field} is about what its project publishes, and manifest is your own copy"),
                )
                .hint("keep one of them");
        }
    }
}

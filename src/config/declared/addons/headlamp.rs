//! `spec.addons.headlamp`: a user interface.

use super::Around;
use crate::cluster::addon;
use crate::config::declared::manifest::some;
use crate::config::name;
use crate::config::path::Path;
use crate::config::report::Report;
use serde::Deserialize;

const IMAGE: &str = "ghcr.io/headlamp-k8s/headlamp:v0.45.0";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Headlamp {
    pub enabled: Option<bool>,
    cluster_role: Option<String>,
    host: Option<String>,
    tls_secret: Option<String>,
    image: Option<String>,
}

impl Headlamp {
    /// `class` is that of the ingress of the file.
    pub(super) fn meaning(&self, around: &Around<'_>, class: Option<&str>) -> addon::Headlamp {
        addon::Headlamp {
            image: around.image(self.image.as_ref(), IMAGE),
            cluster_role: some(self.cluster_role.as_ref()),
            host: some(self.host.as_ref()),
            ingress_class: class.map(str::to_owned),
            tls_secret: some(self.tls_secret.as_ref()),
        }
    }

    pub(super) fn validate(&self, report: &mut Report, path: &Path, ingress: bool) {
        super::image(report, self.image.as_ref(), &path.key("image"));
        if self.cluster_role.as_deref() == Some("cluster-admin") {
            report
                .warning(
                    &path.key("clusterRole"),
                    "whoever gets a token of Headlamp's service account may do everything in the cluster",
                )
                .hint("view, or a role of your own; or leave it out and log in with tokens of your users");
        }
        let host = some(self.host.as_ref()).unwrap_or_default();
        if !host.is_empty() && !name::is_subdomain(&host) {
            report
                .error(&path.key("host"), format!("`{host}` is not a name of a host"))
                .hint("lower-case, such as headlamp.example.com");
        }
        if host.is_empty() && some(self.tls_secret.as_ref()).is_some() {
            report
                .error(&path.key("tlsSecret"), "a certificate is for a name, and there is none")
                .hint("host: headlamp.example.com");
        }
        if !host.is_empty() && !ingress {
            report
                .warning(&path.key("host"), "nothing in this file lets requests from outside in")
                .hint("ingress: {provider: traefik}, unless something else does");
        }
    }
}

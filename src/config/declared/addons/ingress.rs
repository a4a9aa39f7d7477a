//! `spec.addons.ingress`: what lets requests from outside in.

use super::Around;
use crate::cluster::addon;
use crate::cluster::addon::Expose;
use crate::cluster::addon::IngressProvider;
use crate::config::path::Path;
use crate::config::report::Report;
use serde::Deserialize;

const TRAEFIK_IMAGE: &str = "docker.io/library/traefik:v3.7.14";
const HAPROXY_IMAGE: &str = "docker.io/haproxytech/kubernetes-ingress:3.2.15";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Ingress {
    pub enabled: Option<bool>,
    provider: Option<IngressProvider>,
    expose: Option<Expose>,
    replicas: Option<u32>,
    default_class: Option<bool>,
    image: Option<String>,
}

impl Ingress {
    fn expose(&self, metallb: bool) -> Expose {
        self.expose.unwrap_or(if metallb { Expose::LoadBalancer } else { Expose::Host })
    }

    /// The name of its class.
    pub(super) fn class(&self) -> &'static str {
        self.provider.unwrap_or(IngressProvider::Traefik).as_str()
    }

    pub(super) fn meaning(&self, around: &Around<'_>, metallb: bool, gateway_api: bool) -> addon::Ingress {
        let provider = self.provider.unwrap_or(IngressProvider::Traefik);
        let ours = match provider {
            IngressProvider::Traefik => TRAEFIK_IMAGE,
            IngressProvider::Haproxy => HAPROXY_IMAGE,
        };
        addon::Ingress {
            provider,
            image: around.image(self.image.as_ref(), ours),
            expose: self.expose(metallb),
            replicas: self.replicas.unwrap_or(2),
            default_class: self.default_class.unwrap_or(true),
            gateway_api: gateway_api && provider == IngressProvider::Traefik,
        }
    }

    pub(super) fn validate(&self, report: &mut Report, path: &Path) {
        super::image(report, self.image.as_ref(), &path.key("image"));
        if self.provider.is_none() {
            report.missing(&path.key("provider"), "no provider is named", "provider: traefik, or haproxy");
        }
    }

    pub(super) fn validate_against(&self, report: &mut Report, metallb: bool, path: &Path) {
        if self.expose(metallb) == Expose::Host && self.replicas.is_some() {
            report
                .error(&path.key("replicas"), "with `expose: host` there is a pod on every node")
                .hint("leave replicas out, or `expose: load-balancer` or `node-port`");
        }
        if self.expose == Some(Expose::LoadBalancer) && !metallb {
            report
                .warning(
                    &path.key("expose"),
                    "nobody in this file gives services of the type LoadBalancer an address",
                )
                .hint("metallb: {pools: […]}, or `expose: host`");
        }
    }
}

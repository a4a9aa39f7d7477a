//! kube-apiserver.

use crate::cluster::Cluster;
use crate::cluster::HostPort;
use crate::cluster::Node;
use crate::cluster::endpoint::loopback;
use crate::kube::args;
use crate::kube::args::Flags;
use crate::kube::images;
use crate::kube::static_pod::Site;
use crate::kube::static_pod::etcd::apart;
use crate::kube::static_pod::pod::Blueprint;
use crate::kube::static_pod::pod::ProbePaths;
use crate::kube::static_pod::probe::Endpoint;
use crate::kube::static_pod::rootless::Security;
use crate::kube::static_pod::volume::Volumes;
use serde_json::Value;
use serde_json::json;

/// Names the endpoint of the API server in this pod; kubeadm finds control planes by it.
pub const ENDPOINT_ANNOTATION: &str = "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint";

const NAME: &str = "kube-apiserver";

/// The pod as kubeadm writes it, before the operator's patches.
pub fn kube_apiserver(site: &Site) -> Value {
    let configuration = &site.cluster.configuration;
    let component = &configuration.api_server.component;
    let address = site.node.advertise_address.to_string();
    let mut volumes = Volumes::certificates(site);
    if let Some(etcd) = &configuration.etcd.external {
        volumes = volumes.external_etcd(etcd, site.cluster.certificates_dir());
    }
    let security = Security::new(site.rootless.map(|ids| ids.apiserver))
        .in_group(site.rootless.map(|ids| ids.sa_key_readers))
        .binding_low_ports();
    Blueprint {
        name: NAME,
        annotation: Some((
            ENDPOINT_ANNOTATION,
            HostPort::new(address.clone(), site.node.bind_port).to_string(),
        )),
        image: images::component(site.cluster, NAME),
        flags: flags(site).overlaid(&component.extra_args),
        env: args::env(&site.facts.proxy_env, &component.extra_envs),
        endpoint: Endpoint::https(address, site.node.bind_port),
        paths: ProbePaths { liveness: "/livez", readiness: Some("/readyz"), startup: "/livez" },
        start_limit: site.cluster.timeouts.control_plane_component_health_check,
        requests: json!({"cpu": "250m"}),
        volumes: volumes.overlaid(&component.extra_volumes),
        security,
    }
    .pod()
}

fn flags(site: &Site) -> Flags {
    let configuration = &site.cluster.configuration;
    let issuer = format!("https://kubernetes.default.svc.{}", configuration.networking.dns_domain);
    let mut flags = Flags::default()
        .with_all([
            ("allow-privileged", "true"),
            ("enable-admission-plugins", "NodeRestriction"),
            ("enable-bootstrap-token-auth", "true"),
            ("kubelet-preferred-address-types", "InternalIP,ExternalIP,Hostname"),
            ("requestheader-allowed-names", "front-proxy-client"),
            ("requestheader-extra-headers-prefix", "X-Remote-Extra-"),
            ("requestheader-group-headers", "X-Remote-Group"),
            ("requestheader-username-headers", "X-Remote-User"),
        ])
        .with_all([
            ("client-ca-file", site.pki("ca.crt")),
            ("kubelet-client-certificate", site.pki("apiserver-kubelet-client.crt")),
            ("kubelet-client-key", site.pki("apiserver-kubelet-client.key")),
            ("proxy-client-cert-file", site.pki("front-proxy-client.crt")),
            ("proxy-client-key-file", site.pki("front-proxy-client.key")),
            ("requestheader-client-ca-file", site.pki("front-proxy-ca.crt")),
            ("service-account-key-file", site.pki("sa.pub")),
            ("service-account-signing-key-file", site.pki("sa.key")),
            ("tls-cert-file", site.pki("apiserver.crt")),
            ("tls-private-key-file", site.pki("apiserver.key")),
        ])
        .with_all([
            ("advertise-address", site.node.advertise_address.to_string()),
            ("secure-port", site.node.bind_port.to_string()),
            ("service-account-issuer", issuer),
            ("service-cluster-ip-range", configuration.networking.service_subnet.clone()),
        ])
        .with_all(etcd_flags(site));
    // The API server refuses the two together.
    if args::last(&configuration.api_server.component.extra_args, "authorization-config").is_none() {
        flags = flags.with("authorization-mode", "Node,RBAC");
    }
    if site.cluster.five_chains() {
        flags = flags.with("kubelet-certificate-authority", site.pki("kubelet-ca.crt"));
    }
    flags
}

/// The etcd that the API server of a host is to use, unless the operator's own flags say otherwise.
pub fn etcd_servers(cluster: &Cluster, node: &Node) -> Vec<String> {
    let etcd = &cluster.configuration.etcd;
    if let Some(elsewhere) = etcd.external.clone().or_else(|| apart(cluster)) {
        return elsewhere.endpoints;
    }
    let own = HostPort::new(loopback(node.advertise_address), 2379);
    let extra = etcd.local.as_ref().map_or(&[][..], |local| &local.extra_args);
    let servers =
        args::last(extra, "advertise-client-urls").map_or_else(|| format!("https://{own}"), str::to_owned);
    servers.split(',').map(str::to_owned).collect()
}

fn etcd_flags(site: &Site) -> Vec<(&'static str, String)> {
    let mut flags = vec![("etcd-servers", etcd_servers(site.cluster, site.node).join(","))];
    let Some(external) = &site.cluster.configuration.etcd.external else {
        flags.extend([
            ("etcd-cafile", site.pki("etcd/ca.crt")),
            ("etcd-certfile", site.pki("apiserver-etcd-client.crt")),
            ("etcd-keyfile", site.pki("apiserver-etcd-client.key")),
        ]);
        return flags;
    };
    if !external.ca_file.is_empty() {
        flags.push(("etcd-cafile", external.ca_file.clone()));
    }
    if !external.cert_file.is_empty() && !external.key_file.is_empty() {
        flags.push(("etcd-certfile", external.cert_file.clone()));
        flags.push(("etcd-keyfile", external.key_file.clone()));
    }
    flags
}

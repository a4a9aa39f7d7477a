//! The rules of `ClusterConfiguration`.

use crate::cluster::kubeadm::ClusterConfiguration;
use crate::cluster::kubeadm::ExternalEtcd;
use crate::cluster::kubeadm::LocalEtcd;
use crate::config::defaults::CA_VALIDITY;
use crate::config::defaults::LEAF_VALIDITY;
use crate::config::name;
use crate::config::path::Path;
use crate::config::report::Report;
use crate::config::suggest::nearest;
use crate::config::validate::absolute;
use crate::config::validate::args;
use crate::config::validate::network;

/// kubeadm's feature gates in 1.36.
const FEATURE_GATES: [&str; 3] = ["NodeLocalCRISocket", "PublicKeysECDSA", "RootlessControlPlane"];

pub(crate) fn cluster(report: &mut Report, cluster: &ClusterConfiguration) {
    let root = Path::root("ClusterConfiguration");
    let at = |field| Path::of("ClusterConfiguration", field);
    network::networking(report, cluster, &root.key("networking"));
    repository(report, &cluster.image_repository, &root.key("imageRepository"));
    repository(report, &cluster.dns.image_repository, &at("dns.imageRepository"));
    sans(report, &cluster.api_server.cert_sans, &at("apiServer.certSANs"));
    args(report, &cluster.api_server.component.extra_args, &at("apiServer.extraArgs"));
    args(report, &cluster.controller_manager.extra_args, &at("controllerManager.extraArgs"));
    args(report, &cluster.scheduler.extra_args, &at("scheduler.extraArgs"));
    absolute(report, &cluster.certificates_dir, &root.key("certificatesDir"));
    feature_gates(report, cluster, &root.key("featureGates"));
    let endpoint = &cluster.control_plane_endpoint;
    if !endpoint.is_empty() && name::parse_host_port(endpoint).is_none() {
        report
            .error(
                &root.key("controlPlaneEndpoint"),
                format!("the endpoint `{endpoint}` is not host or host:port"),
            )
            .hint("an address or a lower-case DNS name, and a port from 1 to 65535; no scheme");
    }
    etcd(report, cluster, &root.key("etcd"));
    validity(report, cluster, &root);
}

fn repository(report: &mut Report, repository: &str, path: &Path) {
    if !repository.is_empty() && !name::is_image_repository(repository) {
        report
            .error(path, format!("invalid image repository format: `{repository}`"))
            .hint("such as registry.example.com:5000/k8s: no scheme, no tag, lower-case path");
    }
}

fn sans(report: &mut Report, sans: &[String], path: &Path) {
    for (index, san) in sans.iter().enumerate() {
        if !name::is_subdomain(san) && !name::is_wildcard(san) && name::parse_ip(san).is_none() {
            report
                .error(&path.index(index), format!("`{san}` is neither an IP address nor a DNS name"))
                .hint("lower-case DNS names, `*.` in front for a wildcard");
        }
    }
}

fn feature_gates(report: &mut Report, cluster: &ClusterConfiguration, path: &Path) {
    for gate in cluster.feature_gates.keys() {
        if !FEATURE_GATES.contains(&gate.as_str()) {
            let hint = match nearest(gate, FEATURE_GATES) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!(
                    "kubeadm's gates are {}; those of components go into extraArgs",
                    FEATURE_GATES.join(", ")
                ),
            };
            report.error(&path.key(gate), format!("`{gate}` is not a valid feature name")).hint(hint);
        } else if gate == "PublicKeysECDSA" {
            report
                .warning(&path.key(gate), "the feature gate PublicKeysECDSA is deprecated")
                .hint("set encryptionAlgorithm");
        }
    }
}

fn etcd(report: &mut Report, cluster: &ClusterConfiguration, path: &Path) {
    match (&cluster.etcd.local, &cluster.etcd.external) {
        (Some(_), Some(_)) => {
            report
                .error(path, "etcd.local and etcd.external are mutually exclusive")
                .hint("keep one of them");
        }
        (Some(etcd), None) => local_etcd(report, etcd, &path.key("local")),
        (None, Some(etcd)) => external_etcd(report, etcd, &path.key("external")),
        (None, None) => {}
    }
}

fn local_etcd(report: &mut Report, etcd: &LocalEtcd, path: &Path) {
    absolute(report, &etcd.data_dir, &path.key("dataDir"));
    sans(report, &etcd.server_cert_sans, &path.key("serverCertSANs"));
    sans(report, &etcd.peer_cert_sans, &path.key("peerCertSANs"));
    repository(report, &etcd.image_repository, &path.key("imageRepository"));
    args(report, &etcd.extra_args, &path.key("extraArgs"));
}

fn external_etcd(report: &mut Report, etcd: &ExternalEtcd, path: &Path) {
    let files = [("caFile", &etcd.ca_file), ("certFile", &etcd.cert_file), ("keyFile", &etcd.key_file)];
    for (field, file) in files.iter().filter(|(_, file)| !file.is_empty()) {
        absolute(report, file, &path.key(*field));
    }
    if etcd.cert_file.is_empty() != etcd.key_file.is_empty() {
        let missing = if etcd.cert_file.is_empty() { "certFile" } else { "keyFile" };
        report.error(path, "certFile and keyFile belong together").hint(format!("add {missing}"));
    } else if !etcd.cert_file.is_empty() && etcd.ca_file.is_empty() {
        report.error(path, "certFile and keyFile require caFile").hint("add caFile");
    }
    let https = files.iter().any(|(_, file)| !file.is_empty());
    if etcd.endpoints.is_empty() {
        report.missing(
            &path.key("endpoints"),
            "at least one endpoint must be specified",
            "endpoints: [https://HOST:2379]",
        );
    }
    urls(report, &etcd.endpoints, https, &path.key("endpoints"));
    if etcd.http_endpoints != etcd.endpoints {
        urls(report, &etcd.http_endpoints, false, &path.key("httpEndpoints"));
    }
}

fn urls(report: &mut Report, urls: &[String], https: bool, path: &Path) {
    for (index, url) in urls.iter().enumerate() {
        let path = path.index(index);
        let scheme = name::url_scheme(url);
        if scheme.is_empty() {
            report.error(&path, format!("the URL `{url}` has no scheme")).hint(format!("https://{url}"));
        } else if https && scheme != "https" {
            report
                .error(&path, format!("the URL `{url}` must be using https, since there are certificates"))
                .hint(url.replacen(scheme, "https", 1));
        }
    }
}

fn validity(report: &mut Report, cluster: &ClusterConfiguration, root: &Path) {
    let leaf = cluster.certificate_validity_period.unwrap_or(LEAF_VALIDITY);
    let ca = cluster.ca_certificate_validity_period.unwrap_or(CA_VALIDITY);
    for (field, value, most) in
        [("certificateValidityPeriod", leaf, LEAF_VALIDITY), ("caCertificateValidityPeriod", ca, CA_VALIDITY)]
    {
        if value.as_nanos() <= 0 {
            report
                .error(&root.key(field), format!("certificates valid for {value} would be invalid at once (kubeadm does not check this)"))
                .hint(format!("the default is {most}"));
        } else if value > most {
            report.warning(&root.key(field), format!("{value} is more than the recommended {most}"));
        }
    }
    if leaf > ca {
        let message = format!("certificates outlive their CA: {leaf} is more than {ca}");
        report.warning(&root.key("certificateValidityPeriod"), message);
    }
}

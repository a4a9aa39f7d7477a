//! kubeadm's defaults: first those that never change, then those that depend on this host and this moment.

use crate::cluster::DEFAULT_IMAGE_REPOSITORY;
use crate::cluster::GoDuration;
use crate::cluster::HostPort;
use crate::cluster::kubeadm::ApiEndpoint;
use crate::cluster::kubeadm::BootstrapTokenSpec;
use crate::cluster::kubeadm::ClusterConfiguration;
use crate::cluster::kubeadm::ControlPlaneComponent;
use crate::cluster::kubeadm::InitConfiguration;
use crate::cluster::kubeadm::JoinConfiguration;
use crate::cluster::kubeadm::LocalEtcd;
use crate::cluster::kubeadm::NodeRegistration;
use crate::cluster::kubeadm::ResetConfiguration;
use crate::cluster::kubeadm::Taint;
use crate::cluster::kubeadm::UpgradeConfiguration;
use crate::cluster::token::DEFAULT_GROUP;
use crate::config::environment::CONTAINERD_SOCKET;
use crate::config::environment::Environment;
use crate::config::name;
use crate::config::normal::normal;
use crate::config::path::Path;
use crate::config::report::Report;
use crate::config::schema::core::ENV_VAR;
use serde_json::Value;
use serde_json::json;
use std::net::Ipv4Addr;

pub(crate) const CERTIFICATES_DIR: &str = "/etc/kubernetes/pki";
pub(crate) const BIND_PORT: u16 = 6443;
/// kubeadm's default and recommended longest validity of certificates and of CAs: one year and ten.
pub(crate) const LEAF_VALIDITY: GoDuration = GoDuration::from_hours(8760);
pub(crate) const CA_VALIDITY: GoDuration = GoDuration::from_hours(87600);

fn fill(field: &mut String, default: &str) {
    if field.is_empty() {
        default.clone_into(field);
    }
}

pub(crate) fn init(init: &mut InitConfiguration) {
    if init.bootstrap_tokens.is_empty() {
        init.bootstrap_tokens.push(BootstrapTokenSpec::default());
    }
    init.bootstrap_tokens.iter_mut().for_each(token);
    endpoint(&mut init.local_api_endpoint);
    registration(&mut init.node_registration);
}

fn token(token: &mut BootstrapTokenSpec) {
    token.ttl.get_or_insert(GoDuration::from_hours(24));
    if token.usages.is_empty() {
        token.usages = vec!["signing".to_owned(), "authentication".to_owned()];
    }
    if token.groups.is_empty() {
        token.groups = vec![DEFAULT_GROUP.to_owned()];
    }
}

fn endpoint(endpoint: &mut ApiEndpoint) {
    if endpoint.bind_port == 0 {
        endpoint.bind_port = BIND_PORT;
    }
}

fn registration(registration: &mut NodeRegistration) {
    fill(&mut registration.image_pull_policy, "IfNotPresent");
    registration.image_pull_serial.get_or_insert(true);
}

/// All but `kubernetesVersion`, whose emptiness still matters.
pub(crate) fn cluster(cluster: &mut ClusterConfiguration) {
    fill(&mut cluster.networking.service_subnet, "10.96.0.0/12");
    fill(&mut cluster.networking.dns_domain, "cluster.local");
    fill(&mut cluster.certificates_dir, CERTIFICATES_DIR);
    fill(&mut cluster.image_repository, DEFAULT_IMAGE_REPOSITORY);
    fill(&mut cluster.cluster_name, "kubernetes");
    cluster.certificate_validity_period.get_or_insert(LEAF_VALIDITY);
    cluster.ca_certificate_validity_period.get_or_insert(CA_VALIDITY);
    if cluster.etcd.external.is_none() && cluster.etcd.local.is_none() {
        cluster.etcd.local = Some(LocalEtcd::default());
    }
    if let Some(local) = &mut cluster.etcd.local {
        fill(&mut local.data_dir, "/var/lib/etcd");
        envs(&mut local.extra_envs);
    }
    if let Some(external) = &mut cluster.etcd.external
        && external.http_endpoints.is_empty()
    {
        external.http_endpoints.clone_from(&external.endpoints);
    }
    let components: [&mut ControlPlaneComponent; 3] =
        [&mut cluster.api_server.component, &mut cluster.controller_manager, &mut cluster.scheduler];
    for component in components {
        envs(&mut component.extra_envs);
    }
}

fn envs(envs: &mut [Value]) {
    for env in envs {
        if let Value::Object(object) = env {
            *object = normal(object, &ENV_VAR);
        }
        if let Some(Value::Object(reference)) = env.pointer_mut("/valueFrom/fieldRef") {
            reference.entry("apiVersion").or_insert_with(|| json!("v1"));
        }
    }
}

pub(crate) fn join(join: &mut JoinConfiguration) {
    fill(&mut join.ca_cert_path, "/etc/kubernetes/pki/ca.crt");
    registration(&mut join.node_registration);
    if let Some(control_plane) = &mut join.control_plane {
        endpoint(&mut control_plane.local_api_endpoint);
    }
    if let Some(discovery) = &join.discovery.bootstrap_token
        && join.discovery.tls_bootstrap_token.is_empty()
    {
        join.discovery.tls_bootstrap_token.clone_from(&discovery.token);
    }
    if let Some(file) = &mut join.discovery.file
        && let Some(path) = file.kube_config_path.strip_prefix("file://")
    {
        file.kube_config_path = path.to_owned();
    }
}

pub(crate) fn reset(reset: &mut ResetConfiguration) {
    fill(&mut reset.certificates_dir, CERTIFICATES_DIR);
}

pub(crate) fn upgrade(upgrade: &mut UpgradeConfiguration) {
    for flag in [
        &mut upgrade.apply.etcd_upgrade,
        &mut upgrade.apply.certificate_renewal,
        &mut upgrade.apply.image_pull_serial,
        &mut upgrade.node.etcd_upgrade,
        &mut upgrade.node.certificate_renewal,
        &mut upgrade.node.image_pull_serial,
        &mut upgrade.plan.etcd_upgrade,
    ] {
        flag.get_or_insert(true);
    }
    fill(&mut upgrade.apply.image_pull_policy, "IfNotPresent");
    fill(&mut upgrade.node.image_pull_policy, "IfNotPresent");
}

/// Tokens that the operator left out, taken from the environment.
pub(crate) fn tokens(report: &mut Report, env: &Environment, tokens: &mut [BootstrapTokenSpec]) {
    let mut fresh = env.tokens.iter();
    for (index, token) in tokens.iter_mut().enumerate().filter(|(_, token)| token.token.is_empty()) {
        if let Some(secret) = fresh.next() {
            secret.expose().clone_into(&mut token.token);
        } else {
            let path = Path::of("InitConfiguration", "bootstrapTokens").index(index).key("token");
            report
                .error(&path, "no token is given, and none could be generated")
                .hint("write one into the file");
        }
    }
}

/// Name, socket and the control plane's taint.
pub(crate) fn node(
    report: &mut Report,
    env: &Environment,
    registration: &mut NodeRegistration,
    path: &Path,
    control_plane: bool,
) {
    if registration.name.trim().is_empty() {
        registration.name.clone_from(&env.hostname);
    }
    registration.name = registration.name.trim().to_lowercase();
    if control_plane && registration.taints.is_none() {
        registration.taints = Some(vec![control_plane_taint()]);
    }
    registration.cri_socket = socket(report, env, &registration.cri_socket, &path.key("criSocket"));
}

pub(crate) fn control_plane_taint() -> Taint {
    Taint {
        key: "node-role.kubernetes.io/control-plane".to_owned(),
        value: String::new(),
        effect: "NoSchedule".to_owned(),
    }
}

/// The socket that is meant: as given, with its scheme, or the one that was found.
pub(crate) fn socket(report: &mut Report, env: &Environment, given: &str, path: &Path) -> String {
    if given.is_empty() {
        return match env.cri_sockets.as_slice() {
            [] => CONTAINERD_SOCKET.to_owned(),
            [one] => one.clone(),
            [first, ..] => {
                let message = format!("several container runtimes answer: {}", env.cri_sockets.join(", "));
                report.error(path, message).hint("name one in criSocket, or with --cri-socket");
                first.clone()
            }
        };
    }
    if name::url_scheme(given).is_empty() {
        let message = format!("the socket `{given}` has no URL scheme; unix:// is put before it");
        report.warning(path, message).hint(format!("write unix://{given}"));
        return format!("unix://{given}");
    }
    given.to_owned()
}

/// The address to announce: as given and normalised, or the one that this host would use.
pub(crate) fn advertise_address(
    report: &mut Report,
    env: &Environment,
    endpoint: &mut ApiEndpoint,
    path: &Path,
) {
    let given = &endpoint.advertise_address;
    let path = path.key("advertiseAddress");
    let parsed = name::parse_ip(given);
    let chosen = match parsed {
        None if !given.is_empty() => {
            report.error(&path, format!("`{given}` is not an IPv4 or IPv6 address"));
            return;
        }
        Some(address) if address.is_loopback() => {
            if env.loopback_address.is_none() {
                report
                    .error(
                        &path,
                        format!("{address} is a loopback address, and `lo` has no other to announce"),
                    )
                    .hint("name an address by which other hosts reach this one");
            }
            env.loopback_address.or(parsed)
        }
        Some(address) if !address.is_unspecified() => parsed,
        unset => env.address(unset.is_some_and(|address| address.is_ipv6())),
    };
    if chosen.is_none() {
        report
            .warning(&path, "this host has no default route, so it has no address to announce")
            .hint("name one in localAPIEndpoint.advertiseAddress, or with --apiserver-advertise-address");
    }
    endpoint.advertise_address = chosen.unwrap_or(Ipv4Addr::UNSPECIFIED.into()).to_string();
}

/// The endpoint with the port that was left out.
pub(crate) fn control_plane_endpoint(given: &str, bind_port: u16) -> String {
    match name::parse_host_port(given) {
        Some((host, None)) => HostPort::new(host, bind_port).to_string(),
        _ => given.to_owned(),
    }
}

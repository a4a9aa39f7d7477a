//! kubeadm's rules, all of them applied, every problem reported. Rules of our own say so.

pub(crate) mod cluster;
pub(crate) mod network;

use crate::cluster::kubeadm::ApiEndpoint;
use crate::cluster::kubeadm::Arg;
use crate::cluster::kubeadm::BootstrapTokenSpec;
use crate::cluster::kubeadm::InitConfiguration;
use crate::cluster::kubeadm::JoinConfiguration;
use crate::cluster::kubeadm::NodeRegistration;
use crate::cluster::kubeadm::PatchesSpec;
use crate::cluster::kubeadm::ResetConfiguration;
use crate::cluster::kubeadm::UpgradeConfiguration;
use crate::config::name;
use crate::config::path::Path;
use crate::config::report::Report;

const SUBDOMAIN_HINT: &str = "lower-case letters, digits, `-` and `.`, beginning and ending with a letter or digit, at most 253 characters";

/// All but the node itself.
pub(crate) fn init(report: &mut Report, init: &InitConfiguration) {
    let root = Path::root("InitConfiguration");
    for (index, token) in init.bootstrap_tokens.iter().enumerate() {
        bootstrap_token(report, token, &root.key("bootstrapTokens").index(index));
    }
    api_endpoint(report, &init.local_api_endpoint, &root.key("localAPIEndpoint"));
    certificate_key(report, &init.certificate_key, &root.key("certificateKey"));
    args(
        report,
        &init.node_registration.kubelet_extra_args,
        &Path::of(&root.kind, "nodeRegistration.kubeletExtraArgs"),
    );
    repeated_tokens(report, &init.bootstrap_tokens, &root.key("bootstrapTokens"));
}

pub(crate) fn join(report: &mut Report, join: &JoinConfiguration) {
    let root = Path::root("JoinConfiguration");
    discovery(report, join, &root.key("discovery"));
    let registration = root.key("nodeRegistration");
    node(report, &join.node_registration, &registration);
    args(report, &join.node_registration.kubelet_extra_args, &registration.key("kubeletExtraArgs"));
    if let Some(control_plane) = &join.control_plane {
        let path = root.key("controlPlane");
        api_endpoint(report, &control_plane.local_api_endpoint, &path.key("localAPIEndpoint"));
        certificate_key(report, &control_plane.certificate_key, &path.key("certificateKey"));
    }
    if !join.ca_cert_path.starts_with('/') || !is_crt(&join.ca_cert_path) {
        let message =
            format!("the CA certificate path `{}` must be absolute and end in .crt", join.ca_cert_path);
        report.error(&root.key("caCertPath"), message);
    }
}

#[expect(clippy::case_sensitive_file_extension_comparisons, reason = "kubeadm compares so")]
fn is_crt(path: &str) -> bool {
    path.ends_with(".crt")
}

pub(crate) fn reset(report: &mut Report, reset: &ResetConfiguration) {
    let root = Path::root("ResetConfiguration");
    socket(report, &reset.cri_socket, &root.key("criSocket"));
    absolute(report, &reset.certificates_dir, &root.key("certificatesDir"));
}

pub(crate) fn upgrade(report: &mut Report, upgrade: &UpgradeConfiguration) {
    let root = Path::root("UpgradeConfiguration");
    let directory = |report: &mut Report, patches: &Option<PatchesSpec>, part: &str| {
        if let Some(patches) = patches {
            absolute(report, &patches.directory, &root.key(part).key("patches").key("directory"));
        }
    };
    directory(report, &upgrade.apply.patches, "apply");
    directory(report, &upgrade.node.patches, "node");
}

/// Its name and its socket.
pub(crate) fn node(report: &mut Report, node: &NodeRegistration, path: &Path) {
    let name = path.key("name");
    if node.name.is_empty() {
        report.error(&name, "the node has no name, and the host has none either").hint("name it");
    } else if !name::is_subdomain(&node.name) {
        report.error(&name, format!("`{}` cannot be a node's name", node.name)).hint(SUBDOMAIN_HINT);
    }
    socket(report, &node.cri_socket, &path.key("criSocket"));
}

pub(crate) fn socket(report: &mut Report, socket: &str, path: &Path) {
    let scheme = name::url_scheme(socket);
    let hint = "such as unix:///var/run/containerd/containerd.sock";
    if scheme != "unix" {
        report.error(path, format!("only unix sockets are supported, not `{socket}`")).hint(hint);
    } else if socket.trim_start_matches("unix://").is_empty() || socket.contains(char::is_whitespace) {
        report.error(path, format!("`{socket}` is not the URL of a socket")).hint(hint);
    }
}

pub(crate) fn args(report: &mut Report, args: &[Arg], path: &Path) {
    for (index, arg) in args.iter().enumerate() {
        let path = path.index(index).key("name");
        if arg.name.is_empty() {
            report.missing(&path, "the argument has no name", "the flag's name without dashes");
        } else if arg.name.starts_with('-') || arg.name.contains(['=', ' ']) {
            let name = arg.name.trim_start_matches('-').split(['=', ' ']).next().unwrap_or_default();
            let message = format!("`{}` is not the name of a flag (kubeadm does not check this)", arg.name);
            report.warning(&path, message).hint(format!("write `{name}`, without dashes and value"));
        }
    }
}

fn bootstrap_token(report: &mut Report, token: &BootstrapTokenSpec, path: &Path) {
    if !token.token.is_empty() {
        token_text(report, &token.token, &path.key("token"));
    }
    let authenticates = token.usages.iter().any(|usage| usage == "authentication");
    if !authenticates && !token.groups.is_empty() {
        report
            .error(&path.key("usages"), "a token has groups only with the usage \"authentication\"")
            .hint("add it: usages: [signing, authentication]");
    }
    for (index, group) in token.groups.iter().enumerate() {
        if !name::is_bootstrap_group(group) {
            report
                .error(
                    &path.key("groups").index(index),
                    format!("`{group}` cannot be a group of a bootstrap token"),
                )
                .hint("system:bootstrappers: and lower-case letters, digits, `:` and `-`");
        }
    }
    if token.expires.is_some() {
        report
            .error(&path.key("expires"), "ttl and expires exclude each other, and ttl is always set")
            .hint("say how long it lives instead, such as `ttl: 48h`; 0 means for ever");
    }
}

fn repeated_tokens(report: &mut Report, tokens: &[BootstrapTokenSpec], path: &Path) {
    let id = |token: &BootstrapTokenSpec| token.token.split('.').next().unwrap_or_default().to_owned();
    for (index, token) in tokens.iter().enumerate().filter(|(_, token)| !token.token.is_empty()) {
        if tokens[..index].iter().any(|earlier| id(earlier) == id(token)) {
            let message =
                format!("the token id `{}` is given twice; the later one replaces the earlier", id(token));
            report.warning(&path.index(index).key("token"), message);
        }
    }
}

fn token_text(report: &mut Report, token: &str, path: &Path) {
    if !name::is_bootstrap_token(token) {
        report.error(path, "the bootstrap token is invalid").hint(
            "six and sixteen characters of a-z0-9, joined by a dot; `kubewright token generate` makes one",
        );
    }
}

fn api_endpoint(report: &mut Report, endpoint: &ApiEndpoint, path: &Path) {
    if endpoint.bind_port == 0 {
        report.error(&path.key("bindPort"), "port number is not valid").hint("1 to 65535");
    }
}

/// The address must be one that others can reach; kubeadm checks this when a command starts, not when validating.
pub(crate) fn bind_address(report: &mut Report, endpoint: &ApiEndpoint, path: &Path) {
    let Some(address) = name::parse_ip(&endpoint.advertise_address) else { return };
    if !address.is_loopback() && !name::is_global_unicast(address) {
        report
            .error(
                &path.key("advertiseAddress"),
                format!("cannot use {address} as the bind address of the API server"),
            )
            .hint("name an address by which other hosts reach this one");
    }
}

fn certificate_key(report: &mut Report, key: &str, path: &Path) {
    if key.is_empty() {
        return;
    }
    let hint = "64 hexadecimal digits; `kubewright certs certificate-key` makes one";
    if !key.len().is_multiple_of(2) || !key.bytes().all(|b| b.is_ascii_hexdigit()) {
        report.error(path, "the certificate key is not hexadecimal").hint(hint);
    } else if key.len() != 64 {
        let message = format!("the certificate key has {} bytes; an AES key of 32 is needed", key.len() / 2);
        report.error(path, message).hint(hint);
    }
}

pub(crate) fn absolute(report: &mut Report, text: &str, path: &Path) {
    if !text.starts_with('/') {
        report.error(path, format!("the path `{text}` is not absolute")).hint("begin it with /");
    }
}

fn discovery(report: &mut Report, join: &JoinConfiguration, path: &Path) {
    let discovery = &join.discovery;
    match (&discovery.bootstrap_token, &discovery.file) {
        (None, None) => {
            let message = "bootstrapToken or file must be set";
            report.missing(path, message, "how else could the cluster be found?");
        }
        (Some(_), Some(_)) => {
            report.missing(path, "bootstrapToken and file cannot both be set", "keep one of them");
        }
        _ => {}
    }
    if let Some(token) = &discovery.bootstrap_token {
        let path = path.key("bootstrapToken");
        if token.api_server_endpoint.is_empty() {
            report.missing(&path.key("apiServerEndpoint"), "apiServerEndpoint is not set", "host:port");
        } else if !matches!(name::parse_host_port(&token.api_server_endpoint), Some((_, Some(_)))) {
            let message = format!("`{}` is not host:port", token.api_server_endpoint);
            let hint = match token.api_server_endpoint.split_once("://") {
                Some((_, rest)) => format!("without the scheme: {}", rest.trim_end_matches('/')),
                None => "such as 192.0.2.10:6443".to_owned(),
            };
            report.error(&path.key("apiServerEndpoint"), message).hint(hint);
        }
        for (index, hash) in token.ca_cert_hashes.iter().enumerate() {
            if !name::is_pin(hash) {
                report
                    .error(
                        &path.key("caCertHashes").index(index),
                        format!("`{hash}` is not the hash of a CA certificate"),
                    )
                    .hint("`sha256:` and 64 hexadecimal digits");
            }
        }
        if token.ca_cert_hashes.is_empty() && !token.unsafe_skip_ca_verification {
            report.missing(
                &path.key("caCertHashes"),
                "without caCertHashes whoever answers would be trusted",
                "take the hash from the join command, or set unsafeSkipCAVerification: true",
            );
        }
        if token.token.is_empty() {
            report.missing(
                &path.key("token"),
                "no token is set",
                "`kubewright token create` on a control plane makes one",
            );
        } else {
            token_text(report, &token.token, &path.key("token"));
        }
    }
    if let Some(file) = &discovery.file {
        let scheme = name::url_scheme(&file.kube_config_path);
        let path = path.key("file").key("kubeConfigPath");
        if file.kube_config_path.is_empty() {
            report.error(&path, "not a file and not an https URL");
        } else if !matches!(scheme, "" | "https") {
            report.error(&path, "if a URL is used, the scheme must be https");
        }
    }
    let own = discovery.bootstrap_token.as_ref().is_none_or(|t| t.token != discovery.tls_bootstrap_token);
    if own && !discovery.tls_bootstrap_token.is_empty() {
        token_text(report, &discovery.tls_bootstrap_token, &path.key("tlsBootstrapToken"));
    }
}

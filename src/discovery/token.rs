//! Discovery by a bootstrap token: the token proves that the cluster-info is the cluster's own, a pin proves that the
//! cluster is the right one.

use crate::cluster::Secret;
use crate::cluster::kubeadm::TokenDiscovery;
use crate::discovery::Found;
use crate::discovery::Warning;
use crate::discovery::World;
use crate::discovery::attempt::Peer;
use crate::discovery::attempt::Target;
use crate::discovery::cluster_info;
use crate::discovery::error::DiscoveryError;
use crate::discovery::kubeconfig::Kubeconfig;
use crate::discovery::moment::Moment;
use crate::discovery::retry::persist;
use crate::discovery::roots;
use crate::discovery::roots::Trust;
use crate::pki::Certificate;
use crate::pki::jws;
use crate::pki::kubeconfig::Credential;
use crate::pki::kubeconfig::Kubeconfig as Written;
use crate::pki::load;
use crate::pki::material::SecretBytes;
use crate::pki::pin;
use std::time::Duration;
use zeroize::Zeroizing;

/// The user of the bootstrap kubeconfig, as kubeadm calls it.
const USER: &str = "tls-bootstrap-token-user";
/// kubeadm's name for a cluster whose own name is not known yet.
const CLUSTER: &str = "kubernetes";

/// What the cluster-info says, taken apart.
struct Told {
    server: String,
    ca: Vec<u8>,
    certificates: Vec<Certificate>,
}

pub(super) fn discover(
    config: &TokenDiscovery,
    tls_token: Option<&str>,
    limit: Duration,
    world: &World<'_>,
) -> Result<Found, DiscoveryError> {
    let (id, secret) = parse(&config.token)?;
    let target = endpoint(&config.api_server_endpoint)?;
    check_pins(config)?;
    let endpoint = target.endpoint();
    let (signed, moment) = signed_info(world, &target, &id, &secret, limit)?;
    let bad = |why| DiscoveryError::BadClusterInfo { endpoint: endpoint.clone(), why };
    let told = read(&signed).map_err(bad)?;
    let mut warnings: Vec<Warning> = moment.warning(&endpoint).into_iter().collect();
    if config.ca_cert_hashes.is_empty() {
        warnings.push(unpinned(&told.certificates));
    } else {
        check_ca(&endpoint, config, &told.certificates)?;
        let roots = roots::bundle(&told.ca).map_err(bad)?;
        let trust = Trust::roots(roots, "the cluster's CA");
        let peer = Peer { target: &target, trust: &trust, authorization: None };
        let again =
            persist(world, &subject(&endpoint), limit, |left| cluster_info::fetch(world, peer, left))?;
        if again.0.kubeconfig != signed {
            return Err(DiscoveryError::Changed { endpoint });
        }
    }
    let credentials = bootstrap(&told.server, &told.ca, tls_token.unwrap_or(&config.token));
    Ok(Found { server: told.server, ca: told.ca, credentials, warnings })
}

/// The two halves of a token.
pub(super) fn parse(token: &str) -> Result<(String, Secret), DiscoveryError> {
    let word = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    match token.split_once('.') {
        Some((id, secret)) if word(id, 6) && word(secret, 16) => Ok((id.to_owned(), Secret::new(secret))),
        _ => Err(DiscoveryError::Token),
    }
}

/// `HOST:PORT`, the host in brackets when it has colons.
fn endpoint(text: &str) -> Result<Target, DiscoveryError> {
    let malformed = || DiscoveryError::Endpoint(text.to_owned());
    let (host, port) = text.rsplit_once(':').ok_or_else(malformed)?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').ok_or_else(malformed)?,
        None if host.contains(':') => return Err(malformed()),
        None => host,
    };
    let port = port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(malformed)?;
    if host.is_empty() || host.contains(['/', ' ', '@']) {
        return Err(malformed());
    }
    Ok(Target::new(host, port))
}

/// Before anything is sent.
fn check_pins(config: &TokenDiscovery) -> Result<(), DiscoveryError> {
    if config.ca_cert_hashes.is_empty() && !config.unsafe_skip_ca_verification {
        return Err(DiscoveryError::NoPins);
    }
    for text in &config.ca_cert_hashes {
        pin::matches(&[], std::slice::from_ref(text)).map_err(|_| DiscoveryError::Pin(text.clone()))?;
    }
    Ok(())
}

/// The kubeconfig of the cluster-info, once the token has signed it.
fn signed_info(
    world: &World<'_>,
    target: &Target,
    id: &str,
    secret: &Secret,
    limit: Duration,
) -> Result<(String, Moment), DiscoveryError> {
    let endpoint = target.endpoint();
    let peer = Peer { target, trust: &Trust::Anybody, authorization: None };
    let (info, moment) = persist(world, &subject(&endpoint), limit, |left| {
        let (info, moment) = cluster_info::fetch(world, peer, left)?;
        if info.signatures.get(id).is_some_and(|signature| !signature.is_empty()) {
            return Ok((info, moment));
        }
        Err(DiscoveryError::UnknownToken {
            endpoint: endpoint.clone(),
            id: id.to_owned(),
            known: info.signatures.into_keys().collect(),
            waited: Duration::ZERO,
        })
    })?;
    if info.kubeconfig.is_empty() {
        let why = "it holds no kubeconfig".to_owned();
        return Err(DiscoveryError::BadClusterInfo { endpoint, why });
    }
    let signature = info.signatures.get(id).map(String::as_str).unwrap_or_default();
    if !jws::verify(signature, info.kubeconfig.as_bytes(), id, secret) {
        return Err(DiscoveryError::Signature { endpoint, id: id.to_owned() });
    }
    Ok((info.kubeconfig, moment))
}

fn subject(endpoint: &str) -> String {
    format!("cluster-info of {endpoint}")
}

fn read(kubeconfig: &str) -> Result<Told, String> {
    let parsed =
        Kubeconfig::parse(kubeconfig.as_bytes()).map_err(|why| format!("in its kubeconfig, {why}"))?;
    let cluster = parsed.cluster()?;
    let server = cluster.server();
    if !server.starts_with("https://") {
        return Err(format!("its server `{server}` is not an https URL"));
    }
    let ca = cluster.authority()?.ok_or("it names no certificate authority")?;
    let certificates =
        load::certificates(&ca).map_err(|error| format!("its certificate authority {error}"))?;
    Ok(Told { server, ca, certificates })
}

fn check_ca(
    endpoint: &str,
    config: &TokenDiscovery,
    certificates: &[Certificate],
) -> Result<(), DiscoveryError> {
    match pin::matches(certificates, &config.ca_cert_hashes) {
        Ok(true) => Ok(()),
        Ok(false) => Err(DiscoveryError::WrongPin {
            endpoint: endpoint.to_owned(),
            given: config.ca_cert_hashes.clone(),
            found: certificates.iter().map(pin::pin).collect(),
        }),
        Err(_) => Err(DiscoveryError::Pin(config.ca_cert_hashes.join(", "))),
    }
}

fn unpinned(certificates: &[Certificate]) -> Warning {
    let found: Vec<String> = certificates.iter().map(pin::pin).collect();
    let message = format!(
        "the cluster's CA was not verified: whoever knows the token could have answered; {} was taken",
        found.join(", ")
    );
    Warning::new(message).hint("compare it with the hash in a join command that a control plane prints")
}

/// The kubeconfig with which the kubelet asks for its certificate.
pub(super) fn bootstrap(server: &str, ca: &[u8], token: &str) -> SecretBytes {
    let authority = String::from_utf8_lossy(ca);
    let kubeconfig = Written {
        cluster_name: CLUSTER,
        server,
        authority: Some(&authority),
        user: USER,
        credential: Credential::Token(token),
    };
    Zeroizing::new(kubeconfig.render().as_bytes().to_vec())
}

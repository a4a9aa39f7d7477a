//! Discovery by a kubeconfig that the operator trusts: from a path on the host, or from an https URL.

use crate::discovery::Found;
use crate::discovery::Warning;
use crate::discovery::World;
use crate::discovery::attempt;
use crate::discovery::attempt::Peer;
use crate::discovery::attempt::REQUEST_TIMEOUT;
use crate::discovery::attempt::Target;
use crate::discovery::cluster_info;
use crate::discovery::cluster_info::ClusterInfo;
use crate::discovery::error::DiscoveryError;
use crate::discovery::error::FileProblem;
use crate::discovery::kubeconfig;
use crate::discovery::kubeconfig::Credentials;
use crate::discovery::kubeconfig::Kubeconfig;
use crate::discovery::kubeconfig::Named;
use crate::discovery::retry::persist;
use crate::discovery::roots;
use crate::discovery::roots::ClientPair;
use crate::discovery::roots::Trust;
use crate::discovery::token;
use crate::host::Host;
use crate::host::read_through;
use crate::pki::load;
use crate::pki::material::SecretBytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use serde_json::Value;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// How many times a URL may send on to another, as for Go's client.
const REDIRECTS: usize = 10;

/// The parts of a kubeconfig that count, with everything inside.
struct Flat {
    cluster: Named,
    user: Option<(String, Value)>,
    credentials: Credentials,
    warnings: Vec<Warning>,
}

pub(super) fn discover(
    path: &str,
    tls_token: Option<&str>,
    limit: Duration,
    world: &World<'_>,
) -> Result<Found, DiscoveryError> {
    let name = path.strip_prefix("file://").unwrap_or(path);
    let problem = |problem| DiscoveryError::File { file: name.to_owned(), problem };
    let is_url = name.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
    let bytes = if is_url { fetched(world, name)? } else { read(world.host, name).map_err(problem)? };
    let mut flat = flatten(&bytes, name, world.host, is_url).map_err(problem)?;
    if tls_token.is_none() && flat.credentials == Credentials::None {
        return Err(problem(FileProblem::NoCredentials));
    }
    let target = server(&flat.cluster).map_err(problem)?;
    let (trust, authorization) = trust(&flat, world.host).map_err(problem)?;
    let peer = Peer { target: &target, trust: &trust, authorization: authorization.as_ref() };
    if let Some(info) = refresh(world, peer, limit, &mut flat)? {
        compare(&mut flat, &info);
    }
    finish(flat, tls_token).map_err(problem)
}

pub(super) fn adopt(bytes: &[u8], name: &str, host: &dyn Host) -> Result<Found, DiscoveryError> {
    let problem = |problem| DiscoveryError::File { file: name.to_owned(), problem };
    let flat = flatten(bytes, name, host, false).map_err(problem)?;
    server(&flat.cluster).map_err(problem)?;
    finish(flat, None).map_err(problem)
}

fn read(host: &dyn Host, path: &str) -> Result<SecretBytes, FileProblem> {
    let entry = read_through(host, path).map_err(|error| FileProblem::Unreadable(reason(&error)))?;
    let entry = entry.ok_or(FileProblem::Absent)?;
    let content = entry.content().ok_or_else(|| FileProblem::Unreadable("it is a directory".to_owned()))?;
    Ok(Zeroizing::new(content.to_vec()))
}

fn reason(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

/// The answer of a web server that the system's authorities vouch for.
fn fetched(world: &World<'_>, url: &str) -> Result<SecretBytes, DiscoveryError> {
    let problem =
        |why: String| DiscoveryError::File { file: url.to_owned(), problem: FileProblem::NotFetched(why) };
    let roots = roots::system(world.host).map_err(problem)?;
    let trust = Trust::roots(roots, "an authority that this host trusts");
    let mut next = url.to_owned();
    for _ in 0..=REDIRECTS {
        let (target, path) =
            address(&next).ok_or_else(|| problem(format!("`{next}` is not an https URL")))?;
        let peer = Peer { target: &target, trust: &trust, authorization: None };
        let asked = attempt::get(world, peer, &path, REQUEST_TIMEOUT).map_err(|error| match error {
            DiscoveryError::Interrupted => error,
            other => problem(other.to_string()),
        })?;
        match (asked.answer.status, asked.answer.header("location")) {
            (200, _) => return Ok(Zeroizing::new(asked.answer.body)),
            (301 | 302 | 303 | 307 | 308, Some(location)) if location.starts_with('/') => {
                next = format!("https://{}{location}", target.endpoint());
            }
            (301 | 302 | 303 | 307 | 308, Some(location)) => location.clone_into(&mut next),
            (status, _) => {
                return Err(problem(format!("{} answers with status {status}", target.endpoint())));
            }
        }
    }
    Err(problem(format!("it was sent on more than {REDIRECTS} times")))
}

/// Where an https URL leads, and its path.
fn address(url: &str) -> Option<(Target, String)> {
    let uri: Uri = url.parse().ok()?;
    if uri.scheme_str() != Some("https") {
        return None;
    }
    let host = uri.host().filter(|host| !host.is_empty())?;
    let target =
        Target::new(host.trim_start_matches('[').trim_end_matches(']'), uri.port_u16().unwrap_or(443));
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    Some((target, path.to_owned()))
}

/// Takes the kubeconfig apart and puts the files into it that it names; relative paths begin where it lies.
fn flatten(bytes: &[u8], name: &str, host: &dyn Host, is_url: bool) -> Result<Flat, FileProblem> {
    let parsed = Kubeconfig::parse(bytes).map_err(FileProblem::Malformed)?;
    let mut cluster = parsed.cluster().map_err(FileProblem::NoCluster)?;
    let mut user = parsed.user();
    let directory = if is_url { "" } else { name.rsplit_once('/').map_or("", |(directory, _)| directory) };
    let embedded = |path: &str| {
        let full = if path.starts_with('/') { path.to_owned() } else { format!("{directory}/{path}") };
        read(host, &full).map_err(|problem| FileProblem::Embedded { path: full, why: problem.to_string() })
    };
    kubeconfig::embed(&mut cluster.cluster, &embedded)?;
    let mut credentials = Credentials::None;
    if let Some((_, user)) = &mut user {
        kubeconfig::embed(user, &embedded)?;
        credentials = kubeconfig::credentials(user).map_err(FileProblem::Credentials)?;
    }
    let mut warnings = Vec::new();
    if cluster.cluster.get("insecure-skip-tls-verify") == Some(&json!(true)) {
        let message =
            format!("`insecure-skip-tls-verify` of {name} is not obeyed: the API server is verified");
        warnings.push(Warning::new(message));
        cluster.cluster["insecure-skip-tls-verify"] = json!(false);
    }
    Ok(Flat { cluster, user, credentials, warnings })
}

fn server(cluster: &Named) -> Result<Target, FileProblem> {
    let server = cluster.server();
    let (mut target, path) = address(&server).ok_or(FileProblem::Server(server))?;
    path.trim_end_matches('/').clone_into(&mut target.prefix);
    let name = cluster.text("tls-server-name");
    if !name.is_empty() {
        target.name = name;
    }
    Ok(target)
}

/// The authority of the file, or the system's where it has none; and how to say who is asking.
fn trust(flat: &Flat, host: &dyn Host) -> Result<(Trust, Option<Zeroizing<String>>), FileProblem> {
    let authority = flat.cluster.authority().map_err(FileProblem::Authority)?;
    let (roots, authority) = match authority {
        Some(pem) => {
            (roots::bundle(&pem).map_err(FileProblem::Authority)?, "the authority of the discovery file")
        }
        None => (
            roots::system(host).map_err(|_| FileProblem::NoAuthority)?,
            "an authority that this host trusts, and the discovery file names no other",
        ),
    };
    let mut client = None;
    let mut authorization = None;
    match &flat.credentials {
        Credentials::Certificate { certificate, key } => {
            client = Some(Arc::new(ClientPair::new(certificate, key).map_err(FileProblem::Credentials)?));
        }
        Credentials::Token(token) => {
            authorization = Some(Zeroizing::new(format!("Bearer {}", token.as_str())));
        }
        Credentials::Basic { user, password } => {
            let both = Zeroizing::new(format!("{user}:{}", password.as_str()));
            authorization = Some(Zeroizing::new(format!("Basic {}", STANDARD.encode(both.as_bytes()))));
        }
        Credentials::None | Credentials::Plugin => {}
    }
    if authorization.as_ref().is_some_and(|value| value.contains(['\r', '\n'])) {
        return Err(FileProblem::Credentials("its token has more than one line".to_owned()));
    }
    Ok((Trust::Verified { roots: Arc::new(roots), authority, client }, authorization))
}

/// What the cluster says of itself today; `None` where it may not be asked, and then the file alone counts. The TLS
/// connection has proven by then that the server is the right one.
fn refresh(
    world: &World<'_>,
    peer: Peer<'_>,
    limit: Duration,
    flat: &mut Flat,
) -> Result<Option<ClusterInfo>, DiscoveryError> {
    let endpoint = peer.target.endpoint();
    let subject = format!("cluster-info of {endpoint}");
    let asked = persist(world, &subject, limit, |left| {
        match cluster_info::fetch(world, peer, left) {
            Err(DiscoveryError::NoClusterInfo { status: 403, .. }) => Ok(None),
            // The kubelet will say who it is with the plugin; here nobody was named.
            Err(DiscoveryError::NoClusterInfo { status: 401, .. })
                if flat.credentials == Credentials::Plugin =>
            {
                Ok(None)
            }
            Err(DiscoveryError::NoClusterInfo { endpoint, status: 401, .. })
                if flat.credentials != Credentials::None =>
            {
                Err(DiscoveryError::Unauthorized { endpoint })
            }
            other => other.map(Some),
        }
    })?;
    let Some((info, moment)) = asked else {
        flat.warnings.push(
            Warning::new(format!("the cluster-info of {endpoint} may not be read"))
                .hint("the discovery file alone counts; the server is verified"),
        );
        return Ok(None);
    };
    flat.warnings.extend(moment.warning(&endpoint));
    Ok(Some(info))
}

/// Takes over the authority where the file has none, and notes another server.
fn compare(flat: &mut Flat, info: &ClusterInfo) {
    let parsed = Kubeconfig::parse(info.kubeconfig.as_bytes()).and_then(|parsed| parsed.cluster());
    let told = match parsed {
        Ok(told) => told,
        Err(why) => {
            let message = format!("the cluster-info of the cluster cannot be used ({why})");
            flat.warnings.push(Warning::new(message).hint("the discovery file alone counts"));
            return;
        }
    };
    let (here, there) = (flat.cluster.server(), told.server());
    if here != there {
        let message =
            format!("the API server {here} of the discovery file is not {there}, which the cluster names");
        flat.warnings.push(Warning::new(message).hint("the one of the discovery file is used"));
    }
    let has_none = matches!(flat.cluster.authority(), Ok(None));
    if has_none && let Ok(Some(authority)) = told.authority() {
        flat.cluster.cluster["certificate-authority-data"] = json!(STANDARD.encode(authority));
    }
}

fn finish(flat: Flat, tls_token: Option<&str>) -> Result<Found, FileProblem> {
    let server = flat.cluster.server();
    let ca = flat.cluster.authority().map_err(FileProblem::Authority)?.ok_or(FileProblem::NoAuthority)?;
    load::certificates(&ca).map_err(|error| FileProblem::Authority(format!("it {error}")))?;
    let credentials = match tls_token {
        Some(token) => token::bootstrap(&server, &ca, token),
        None if flat.credentials == Credentials::None => return Err(FileProblem::NoCredentials),
        None => kubeconfig::write(&flat.cluster, flat.user.as_ref()),
    };
    Ok(Found { server, ca, credentials, warnings: flat.warnings })
}

//! What an etcd that someone else runs says about itself, asked from a host that will use it.

use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::cluster::kubeadm::ExternalEtcd;
use crate::host::EntryKind;
use crate::host::Host;
use crate::host::Socket;
use crate::host::http;
use crate::host::read_through;
use ::http::Uri;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(5);
/// For a single read or write.
const PATIENCE: Duration = Duration::from_secs(10);

/// What each `…/version` URL answered: the body, or why there is none.
pub type EtcdVersions = BTreeMap<String, Result<String, String>>;

/// Fetches a URL.
pub trait Fetch {
    /// The status and the body.
    ///
    /// # Errors
    /// Nobody answers, or TLS fails.
    fn get(&self, url: &str) -> Result<(u16, String), String>;
}

/// The URLs that tell the versions of an external etcd; none for a local one.
pub fn version_urls(cluster: &Cluster) -> Vec<String> {
    let Some(external) = &cluster.configuration.etcd.external else { return Vec::new() };
    let http = &external.http_endpoints;
    let endpoints = if http.is_empty() { &external.endpoints } else { http };
    endpoints.iter().map(|endpoint| version_url(endpoint)).collect()
}

fn version_url(endpoint: &str) -> String {
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("https", endpoint));
    format!("{scheme}://{}", format!("{rest}/version").replace("//", "/"))
}

/// Asks every member for its version, three times where nobody answers or the answer is 5xx.
pub fn ask(cluster: &Cluster, fetch: &dyn Fetch, clock: &dyn Clock) -> EtcdVersions {
    version_urls(cluster).into_iter().map(|url| (url.clone(), patient(&url, fetch, clock))).collect()
}

fn patient(url: &str, fetch: &dyn Fetch, clock: &dyn Clock) -> Result<String, String> {
    let mut why = String::new();
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            clock.sleep(PAUSE);
        }
        match fetch.get(url) {
            Ok((500.., _)) => "the server fails".clone_into(&mut why),
            Ok((200, body)) => return Ok(body),
            Ok((status, _)) => return Err(format!("status {status}")),
            Err(error) => why = error,
        }
    }
    Err(why)
}

/// Asks every member of the cluster's external etcd for its version, with the client certificate that lies on `host`
/// and over the host's own network. Nothing for a local etcd. Proxies are not used.
pub fn versions(host: &dyn Host, cluster: &Cluster, clock: &dyn Clock) -> EtcdVersions {
    let Some(external) = &cluster.configuration.etcd.external else { return EtcdVersions::new() };
    match Client::new(host, external) {
        Ok(client) => ask(cluster, &client, clock),
        Err(why) => version_urls(cluster).into_iter().map(|url| (url, Err(why.clone()))).collect(),
    }
}

/// The external etcd's client, on a host.
pub struct Client<'a> {
    host: &'a dyn Host,
    tls: Arc<ClientConfig>,
}

impl<'a> Client<'a> {
    /// Reads the certificates from the host.
    ///
    /// # Errors
    /// One of the files cannot be read, or is not what it should be.
    pub fn new(host: &'a dyn Host, etcd: &ExternalEtcd) -> Result<Self, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(authorities(host, &etcd.ca_file)?);
        let config = if etcd.cert_file.is_empty() && etcd.key_file.is_empty() {
            builder.with_no_client_auth()
        } else {
            let chain = certificates(host, &etcd.cert_file)?;
            let key = PrivateKeyDer::from_pem_slice(&file(host, &etcd.key_file)?)
                .map_err(|error| format!("`{}` holds no private key: {error}", etcd.key_file))?;
            let pair = format!("`{}` and `{}`", etcd.cert_file, etcd.key_file);
            builder.with_client_auth_cert(chain, key).map_err(|error| format!("{pair}: {error}"))?
        };
        Ok(Self { host, tls: Arc::new(config) })
    }
}

impl Fetch for Client<'_> {
    fn get(&self, url: &str) -> Result<(u16, String), String> {
        let uri: Uri = url.parse().map_err(|error| format!("it is not a URL: {error}"))?;
        let name = uri.host().ok_or("it names no host")?.trim_matches(['[', ']']);
        let secure = uri.scheme_str() != Some("http");
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let socket = Socket::Tcp { host: name.to_owned(), port };
        let stream = self.host.connect(&socket).map_err(|error| {
            std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
        })?;
        stream.set_timeout(PATIENCE).map_err(|error| error.to_string())?;
        if secure {
            http::get_tls(stream, Arc::clone(&self.tls), name, &socket, uri.path())
        } else {
            http::get(stream, &socket, uri.path())
        }
        .map_err(|error| error.to_string())
    }
}

impl std::fmt::Debug for Client<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("host", &self.host.name()).finish_non_exhaustive()
    }
}

/// Without a file nobody is trusted; then only endpoints without TLS answer.
fn authorities(host: &dyn Host, path: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    if path.is_empty() {
        return Ok(roots);
    }
    for certificate in certificates(host, path)? {
        roots.add(certificate).map_err(|error| format!("`{path}` holds no usable authority: {error}"))?;
    }
    Ok(roots)
}

fn certificates(host: &dyn Host, path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&file(host, path)?).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(format!("`{path}` holds no certificate")),
        Err(error) => Err(format!("`{path}` holds no certificate: {error}")),
    }
}

/// Links are followed: certificates are often kept under a dated name.
fn file(host: &dyn Host, path: &str) -> Result<Vec<u8>, String> {
    match read_through(host, path).map_err(|error| error.to_string())?.map(|entry| entry.kind) {
        None => Err(format!("`{path}` does not exist")),
        Some(EntryKind::File(content)) => Ok(content),
        Some(_) => Err(format!("`{path}` is a directory")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_one_slash_of_two() {
        for (endpoint, url) in [
            ("https://10.0.0.1:2379", "https://10.0.0.1:2379/version"),
            ("https://10.0.0.1:2379/", "https://10.0.0.1:2379/version"),
            ("http://etcd/a//b", "http://etcd/a/b/version"),
        ] {
            assert_eq!(version_url(endpoint), url);
        }
    }
}

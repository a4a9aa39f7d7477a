//! The real API, through the `kube` crate.
//!
//! The crate is asynchronous, this program is not: each client owns a small runtime and waits for every answer.

use crate::api::Api;
use crate::api::ApiError;
use crate::api::FIELD_MANAGER;
use crate::api::Selector;
use crate::api::ServerSide;
use crate::api::Through;
use crate::api::resources::collection_path;
use crate::api::resources::discovered_path;
use crate::api::resources::known;
use crate::api::resources::list_path;
use crate::api::resources::object_path;
use crate::api::through;
use crate::plan::ObjectRef;
use http::Method;
use http::Request;
use http::header::ACCEPT;
use http::header::CONTENT_TYPE;
use kube::Client;
use kube::Config;
use kube::client::Body;
use kube::config::KubeConfigOptions;
use kube::config::Kubeconfig;
use serde_json::Value;
use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::runtime::Runtime;

/// How long one request may take, as kubeadm has it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How many objects one answer holds, as kubectl asks for them.
const PAGE: usize = 500;

const JSON: &str = "application/json";
/// JSON is YAML.
const APPLY_PATCH: &str = "application/apply-patch+yaml";
const STRATEGIC_MERGE_PATCH: &str = "application/strategic-merge-patch+json";

/// A client of one API server with one identity.
pub struct KubeApi {
    server: String,
    client: Client,
    runtime: Runtime,
}

impl KubeApi {
    /// A client from the bytes of a kubeconfig; `server` (a URL) replaces the server in it. Nothing is sent yet.
    ///
    /// # Errors
    /// The kubeconfig, or a certificate or key in it, cannot be used.
    pub fn connect(kubeconfig: &[u8], server: Option<&str>) -> Result<Self, ApiError> {
        Self::connect_through(kubeconfig, server, None)
    }

    /// The same, over the network of a host where there is one.
    ///
    /// # Errors
    /// As for [`Self::connect`].
    pub fn connect_through(
        kubeconfig: &[u8],
        server: Option<&str>,
        host: Option<&Through>,
    ) -> Result<Self, ApiError> {
        let unusable = |why: &dyn fmt::Display| ApiError::Kubeconfig { why: why.to_string() };
        let text = std::str::from_utf8(kubeconfig).map_err(|error| unusable(&error))?;
        let mut parsed = Kubeconfig::from_yaml(text).map_err(|error| unusable(&error))?;
        if let Some(server) = server {
            for named in &mut parsed.clusters {
                let cluster = named.cluster.get_or_insert_default();
                cluster.server = Some(server.to_owned());
            }
        }
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| unusable(&error))?;
        let options = KubeConfigOptions::default();
        let config = runtime.block_on(Config::from_custom_kubeconfig(parsed, &options));
        let mut config = config.map_err(|error| unusable(&chain(&error)))?;
        config.connect_timeout = Some(REQUEST_TIMEOUT);
        // Whoever asks decides how often; a hidden retry would hide why it takes so long.
        config.default_retry = false;
        // A proxy of the environment has no business between a control plane and its own API server.
        config.proxy_url = None;
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let client = {
            let _inside = runtime.enter(); // the client starts a task of its own
            match host {
                Some(host) => through::client(&config, host, REQUEST_TIMEOUT)?,
                None => Client::try_from(config).map_err(|error| unusable(&chain(&error)))?,
            }
        };
        Ok(Self { server, client, runtime })
    }

    fn send(&self, method: Method, path: &str, content: Option<(&str, &Value)>) -> Result<String, ApiError> {
        let mut request = Request::builder().method(method).uri(path).header(ACCEPT, format!("{JSON}, */*"));
        let mut body = Vec::new();
        if let Some((kind, value)) = content {
            request = request.header(CONTENT_TYPE, kind);
            body = value.to_string().into_bytes();
        }
        let request = request
            .body(Body::from(body))
            .map_err(|error| ApiError::Invalid { what: format!("{path}: {error}") })?;
        let answer = self.runtime.block_on(async {
            tokio::time::timeout(REQUEST_TIMEOUT, async {
                let answer = self.client.send(request).await?;
                let status = answer.status();
                Ok((status, answer.into_body().collect_bytes().await?))
            })
            .await
        });
        let silent =
            |message, refused| ApiError::Unreachable { server: self.server.clone(), message, refused };
        let answer = answer.map_err(|_| silent(format!("no answer within {REQUEST_TIMEOUT:?}"), false))?;
        let (status, bytes) =
            answer.map_err(|error: kube::Error| silent(explained(&error), is_refused(&error)))?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if status.is_success() { Ok(text) } else { Err(refusal(status.as_u16(), &text)) }
    }

    /// Where an object lives. For a kind that this program does not know the server is asked; `None` when it does not
    /// know it either, or not yet.
    fn path(&self, object: &ObjectRef) -> Result<Option<String>, ApiError> {
        if known(object).is_some() || !object.api_version.contains('/') {
            return object_path(object).map(Some);
        }
        let group = match self.send(Method::GET, &format!("/apis/{}", object.api_version), None) {
            Err(ApiError::Status { code: 404, .. }) => return Ok(None),
            answer => self.object(&answer?)?,
        };
        let resources = group["resources"].as_array().into_iter().flatten();
        // A subresource has the kind of what it is a part of, or of something else.
        let mut own = resources.filter(|one| one["name"].as_str().is_some_and(|name| !name.contains('/')));
        let found = own.find(|one| one["kind"] == object.kind.as_str());
        Ok(found.and_then(|one| {
            let namespaced = one["namespaced"].as_bool().unwrap_or(false);
            Some(discovered_path(object, one["name"].as_str()?, namespaced))
        }))
    }

    fn send_object(&self, method: Method, path: &str, kind: &str, value: &Value) -> Result<Value, ApiError> {
        self.object(&self.send(method, path, Some((kind, value)))?)
    }

    fn object(&self, text: &str) -> Result<Value, ApiError> {
        serde_json::from_str(text).map_err(|error| ApiError::Unreachable {
            server: self.server.clone(),
            message: format!("it answers with something else than JSON ({error})"),
            refused: false,
        })
    }
}

impl Api for KubeApi {
    fn get(&self, object: &ObjectRef) -> Result<Option<Value>, ApiError> {
        let Some(path) = self.path(object)? else { return Ok(None) };
        match self.send(Method::GET, &path, None) {
            Ok(text) => self.object(&text).map(Some),
            Err(ApiError::Status { code: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn list(&self, collection: &ObjectRef, selector: &Selector) -> Result<Vec<Value>, ApiError> {
        let path = list_path(collection)?;
        let (mut found, mut token, mut limit) = (Vec::new(), String::new(), PAGE);
        loop {
            let page = self.send(Method::GET, &format!("{path}?{}", selector.query(limit, &token)), None);
            let page = match page {
                // The position expires after a few minutes; then all is asked for at once, which has no limit.
                Err(ApiError::Status { code: 410, .. }) if !token.is_empty() => {
                    (found, token, limit) = (Vec::new(), String::new(), 0);
                    continue;
                }
                page => self.object(&page?)?,
            };
            found.extend(items(&page, collection));
            page["metadata"]["continue"].as_str().unwrap_or_default().clone_into(&mut token);
            if token.is_empty() {
                return Ok(found);
            }
        }
    }

    fn create(&self, object: &Value) -> Result<Value, ApiError> {
        self.send_object(Method::POST, &collection_path(&ObjectRef::of(object))?, JSON, object)
    }

    fn replace(&self, object: &Value) -> Result<Value, ApiError> {
        self.send_object(Method::PUT, &object_path(&ObjectRef::of(object))?, JSON, object)
    }

    fn replace_part(&self, object: &Value, subresource: &str) -> Result<Value, ApiError> {
        let path = format!("{}/{subresource}", object_path(&ObjectRef::of(object))?);
        self.send_object(Method::PUT, &path, JSON, object)
    }

    fn patch(&self, object: &ObjectRef, patch: &Value) -> Result<Value, ApiError> {
        self.send_object(Method::PATCH, &object_path(object)?, STRATEGIC_MERGE_PATCH, patch)
    }

    fn apply(&self, object: &Value, how: ServerSide) -> Result<Value, ApiError> {
        let name = ObjectRef::of(object);
        let path = self.path(&name)?.ok_or_else(|| ApiError::no_such_kind(&name))?;
        let preview = if how.preview { "&dryRun=All" } else { "" };
        // What the schema does not know would be dropped without a word.
        let query =
            format!("fieldManager={FIELD_MANAGER}&fieldValidation=Strict&force={}{preview}", how.force);
        self.send_object(Method::PATCH, &format!("{path}?{query}"), APPLY_PATCH, object)
    }

    fn delete(&self, object: &ObjectRef) -> Result<(), ApiError> {
        let path = self.path(object)?.ok_or_else(|| ApiError::missing(object))?;
        self.send(Method::DELETE, &path, None).map(drop)
    }

    fn evict(&self, pod: &ObjectRef) -> Result<(), ApiError> {
        let body = eviction(pod);
        self.send(Method::POST, &format!("{}/eviction", object_path(pod)?), Some((JSON, &body))).map(drop)
    }

    fn raw(&self, path: &str) -> Result<String, ApiError> {
        self.send(Method::GET, path, None)
    }
}

/// What is posted to a pod's `eviction`. How long the pod may take to end it says itself.
fn eviction(pod: &ObjectRef) -> Value {
    serde_json::json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod.name, "namespace": pod.namespace},
    })
}

/// The items of a list, which leave out what they have in common.
fn items(list: &Value, collection: &ObjectRef) -> Vec<Value> {
    let mut items = list["items"].as_array().cloned().unwrap_or_default();
    for item in items.iter_mut().filter(|item| item.is_object()) {
        item["apiVersion"] = Value::from(collection.api_version.as_str());
        item["kind"] = Value::from(collection.kind.as_str());
    }
    items
}

impl fmt::Debug for KubeApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubeApi").field("server", &self.server).finish_non_exhaustive()
    }
}

/// A refusal from a `Status` object, or from the plain text that health endpoints give.
fn refusal(code: u16, body: &str) -> ApiError {
    let status: Value = serde_json::from_str(body).unwrap_or_default();
    let text = |key| status.get(key).and_then(Value::as_str).map(str::to_owned);
    let message = text("message").unwrap_or_else(|| body.trim().to_owned());
    ApiError::Status { code, reason: text("reason").unwrap_or_default(), message }
}

/// What went wrong with the connection, in the words of somebody who can mend it.
fn explained(error: &kube::Error) -> String {
    for cause in causes(error) {
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return explained_tls(tls);
        }
    }
    if is_refused(error) { "connection refused".to_owned() } else { chain(error) }
}

/// Whether the server's host says that nobody listens there.
fn is_refused(error: &kube::Error) -> bool {
    let mut causes = causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|io| io.kind() == io::ErrorKind::ConnectionRefused)
}

fn explained_tls(error: &rustls::Error) -> String {
    use rustls::AlertDescription as Alert;
    use rustls::CertificateError as Bad;
    match error {
        rustls::Error::InvalidCertificate(Bad::UnknownIssuer | Bad::BadSignature) => {
            "its certificate is signed by an authority that the kubeconfig does not trust; compare the kubeconfig's \
             `certificate-authority-data` with the cluster's CA"
                .to_owned()
        }
        rustls::Error::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => {
            format!("its certificate is not made for this address; add it to `apiServer.certSANs` ({error})")
        }
        rustls::Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => {
            format!("its certificate has expired; renew it, or set this machine's clock ({error})")
        }
        rustls::Error::InvalidCertificate(Bad::NotValidYet | Bad::NotValidYetContext { .. }) => {
            format!("its certificate is not valid yet; set the clocks of both machines ({error})")
        }
        rustls::Error::AlertReceived(
            Alert::UnknownCA | Alert::BadCertificate | Alert::CertificateExpired | Alert::CertificateUnknown,
        ) => format!("it refuses the client certificate of the kubeconfig ({error})"),
        other => format!("TLS failed: {other}"),
    }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        // An I/O error that wraps another one names the other's source as its own.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|inner| inner as &'a (dyn Error + 'static)).or_else(|| error.source())
    })
}

/// The innermost causes of an error that repeats itself on the way out.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in causes(error) {
        let text = cause.to_string();
        parts.retain(|part| !part.contains(&text));
        parts.push(text);
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_refusal_as_object_or_text() {
        let body = r#"{"kind":"Status","message":"no","reason":"Forbidden","code":403}"#;
        for (body, reason, message) in [(body, "Forbidden", "no"), ("[-]etcd failed\n", "", "[-]etcd failed")]
        {
            let ApiError::Status { reason: found, message: text, .. } = refusal(403, body) else {
                unreachable!()
            };
            assert_eq!((found.as_str(), text.as_str()), (reason, message));
        }
    }

    #[test]
    fn refuses_a_broken_kubeconfig() {
        for text in ["", "[]", "kind: Config", "clusters: [{name: a}]\ncurrent-context: b", "\u{0}"] {
            let error = KubeApi::connect(text.as_bytes(), None).unwrap_err();
            assert!(matches!(error, ApiError::Kubeconfig { .. }), "{text:?}: {error}");
        }
        assert!(KubeApi::connect(&[0xff, 0xfe], None).is_err());
    }
}

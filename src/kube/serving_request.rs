//! Whether a kubelet may have the serving certificate that it asks for.
//!
//! Kubernetes approves no request of the signer `kubernetes.io/kubelet-serving` by itself, since it cannot know which
//! names and addresses are a node's own (Kubernetes documentation, "TLS bootstrapping", section "Certificate
//! rotation"). The form of such a request is that of "Certificates and Certificate Signing Requests", section
//! "Kubernetes signers". Beyond that form, every name and address must be the node's own by its Node object and no
//! other node's: a kubelet writes the addresses of its own Node object, so that object alone proves nothing.

use crate::kube::objects::NODES;
use crate::pki::request::Key;
use crate::pki::request::SigningRequest;
use crate::plan::ObjectRef;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::json;
use std::net::IpAddr;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The signer whose requests are judged here.
pub const SIGNER: &str = "kubernetes.io/kubelet-serving";

const NODE_PREFIX: &str = "system:node:";
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";
const MIN_RSA_BITS: usize = 2048;

/// What was found out about one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    pub name: String,
    pub signer: String,
    /// Who sent it, by the API server's word.
    pub requestor: String,
    /// Whose certificate it is to be.
    pub node: Option<String>,
    /// The names and addresses that it asks for: `DNS:w1`, `IP:192.0.2.7`.
    pub asked: Vec<String>,
    /// It is not older than the node, so it is of the node as it is now and not of an earlier one of that name.
    pub is_current: bool,
    pub verdict: Verdict,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All of it is the node's own.
    Good,
    /// Every reason why not.
    Bad(Vec<String>),
    /// Another signer's, which nobody asked us about.
    Foreign,
    /// Somebody decided already.
    Settled { approved: bool },
}

/// All requests, or the name of one.
pub fn request_ref(name: &str) -> ObjectRef {
    ObjectRef::new("certificates.k8s.io/v1", "CertificateSigningRequest", "", name)
}

/// Judges one request by the Node objects of the cluster. `endpoints` are the hosts by which the API server is known,
/// which only a control plane may serve as.
pub fn judge(request: &Value, nodes: &[Value], endpoints: &[String]) -> Judgement {
    let text =
        |pointer: &str| request.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (signer, requestor) = (text("/spec/signerName"), text("/spec/username"));
    let read = decoded(request);
    let asked = read.as_ref().map(asked).unwrap_or_default();
    let node = requestor.strip_prefix(NODE_PREFIX).filter(|_| signer == SIGNER).map(str::to_owned);
    let verdict = match decision(request) {
        Some(approved) => Verdict::Settled { approved },
        None if signer != SIGNER => Verdict::Foreign,
        None => {
            let reasons = reasons(request, &requestor, read, nodes, endpoints);
            if reasons.is_empty() { Verdict::Good } else { Verdict::Bad(reasons) }
        }
    };
    let is_current = node.as_ref().is_none_or(|name| {
        let node = nodes.iter().find(|node| name_of(node) == name);
        // Times of the API are in UTC and of one length, so they compare as text.
        let of = |object: &Value| object["metadata"]["creationTimestamp"].as_str().map(str::to_owned);
        node.is_none_or(|node| of(request) >= of(node))
    });
    Judgement { name: text("/metadata/name"), signer, requestor, node, asked, is_current, verdict }
}

/// The request with a decision, as the subresource `approval` takes it.
pub fn decided(request: &Value, approve: bool, message: &str, now: OffsetDateTime) -> Value {
    let (kind, reason) =
        if approve { ("Approved", "KubewrightVerified") } else { ("Denied", "KubewrightRefused") };
    let now = now.truncate_to_second().format(&Rfc3339).unwrap_or_default();
    let condition = json!({
        "type": kind, "status": "True", "reason": reason, "message": message, "lastUpdateTime": now,
    });
    let mut decided = request.clone();
    let mut conditions =
        decided.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    conditions.push(condition);
    decided["status"]["conditions"] = conditions.into();
    decided
}

fn asked(request: &SigningRequest) -> Vec<String> {
    let dns = request.sans.dns.iter().map(|name| format!("DNS:{name}"));
    let ips = request.sans.ips.iter().map(|ip| format!("IP:{ip}"));
    dns.chain(ips).chain(request.other_names.iter().cloned()).collect()
}

/// Whether it was approved; `None` while nobody decided.
fn decision(request: &Value) -> Option<bool> {
    let conditions = request.pointer("/status/conditions").and_then(Value::as_array)?;
    let has = |kind: &str| conditions.iter().any(|condition| condition["type"] == kind);
    match (has("Denied") || has("Failed"), has("Approved")) {
        (true, _) => Some(false),
        (false, approved) => approved.then_some(true),
    }
}

fn decoded(request: &Value) -> Result<SigningRequest, String> {
    let encoded = request.pointer("/spec/request").and_then(Value::as_str).unwrap_or_default();
    let bytes = STANDARD.decode(encoded).map_err(|_| "it is not base64".to_owned())?;
    SigningRequest::from_pem(&bytes)
}

fn reasons(
    object: &Value,
    requestor: &str,
    request: Result<SigningRequest, String>,
    nodes: &[Value],
    endpoints: &[String],
) -> Vec<String> {
    let request = match request {
        Ok(request) => request,
        Err(why) => return vec![format!("the request cannot be read: {why}")],
    };
    let mut reasons = Vec::new();
    form(object, requestor, &request, &mut reasons);
    let Some(name) = requestor.strip_prefix(NODE_PREFIX) else { return reasons };
    match nodes.iter().find(|node| name_of(node) == name) {
        Some(node) => own_names(node, &request, nodes, endpoints, &mut reasons),
        None => reasons.push(format!("there is no node {name}")),
    }
    reasons
}

/// What can be said without looking at any node.
fn form(object: &Value, requestor: &str, request: &SigningRequest, reasons: &mut Vec<String>) {
    let mut unless = |good: bool, reason: String| {
        if !good {
            reasons.push(reason);
        }
    };
    let list = |pointer: &str| -> Vec<&str> {
        let items = object.pointer(pointer).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let is_node = requestor.len() > NODE_PREFIX.len() && requestor.starts_with(NODE_PREFIX);
    unless(is_node, format!("it was sent by {requestor}, which is no node"));
    unless(list("/spec/groups").contains(&NODES), format!("its sender is not of the group {NODES}"));
    let subject = request.common_names.join(", ");
    unless(subject == requestor, format!("it is for {subject}, and was sent by {requestor}"));
    let organizations = request.organizations.join(", ");
    unless(organizations == NODES, format!("its organization is `{organizations}` instead of {NODES}"));
    let others = request.other_attributes.join(", ");
    unless(others.is_empty(), format!("its subject says more than it may: {others}"));
    unless(!request.sans.is_empty(), "it asks for no name and no address".to_owned());
    let others = request.other_names.join(", ");
    unless(others.is_empty(), format!("it asks for what no kubelet serves as: {others}"));
    unless(!request.is_ca, "it asks to be an authority".to_owned());
    let mut usages = list("/spec/usages");
    usages.sort_unstable();
    let serving = usages == ["digital signature", "server auth"]
        || usages == ["digital signature", "key encipherment", "server auth"];
    unless(serving, format!("its usages are not those of serving: {}", usages.join(", ")));
    match request.key {
        Key::Rsa { bits } => unless(bits >= MIN_RSA_BITS, format!("its RSA key has only {bits} bits")),
        Key::Ecdsa => {}
        Key::Other => unless(false, "its key is neither of RSA nor of ECDSA".to_owned()),
    }
    unless(request.signature_holds, "its signature is not by its own key".to_owned());
}

fn own_names(
    node: &Value,
    request: &SigningRequest,
    nodes: &[Value],
    endpoints: &[String],
    reasons: &mut Vec<String>,
) {
    let own = name_of(node);
    let dns = request.sans.dns.iter().map(|name| Asked::Name(name));
    let ips = request.sans.ips.iter().map(|ip| Asked::Address(ip.to_canonical()));
    for asked in dns.chain(ips) {
        if !asked.is_of(node) {
            reasons.push(format!("{asked} is not among the addresses of node {own}"));
        } else if let Some(other) = nodes.iter().find(|other| name_of(other) != own && asked.is_of(other)) {
            reasons.push(format!("{asked} is also of node {}", name_of(other)));
        } else if asked.is_special() {
            reasons.push(format!("{asked} means every host to itself, or the API"));
        } else if endpoints.iter().any(|endpoint| asked.is(endpoint))
            && node["metadata"]["labels"].get(CONTROL_PLANE).is_none()
        {
            reasons.push(format!("{asked} is where the API is, and node {own} is no control plane"));
        }
    }
}

fn name_of(node: &Value) -> &str {
    node["metadata"]["name"].as_str().unwrap_or_default()
}

/// One name or address of a request.
enum Asked<'a> {
    Name(&'a str),
    Address(IpAddr),
}

impl Asked<'_> {
    /// Whether a node has it, by its name or its addresses. Names are compared as DNS compares them; there are no
    /// wildcards.
    fn is_of(&self, node: &Value) -> bool {
        let addresses = node.pointer("/status/addresses").and_then(Value::as_array);
        let has = addresses.into_iter().flatten().any(|address| {
            let kinds: &[&str] = match self {
                Self::Name(_) => &["Hostname", "InternalDNS", "ExternalDNS"],
                Self::Address(_) => &["InternalIP", "ExternalIP"],
            };
            address["type"].as_str().is_some_and(|kind| kinds.contains(&kind))
                && address["address"].as_str().is_some_and(|text| self.is(text))
        });
        has || (matches!(self, Self::Name(_)) && self.is(name_of(node)))
    }

    fn is(&self, text: &str) -> bool {
        match self {
            Self::Name(name) => !name.is_empty() && name.eq_ignore_ascii_case(text),
            Self::Address(ip) => text.parse::<IpAddr>().is_ok_and(|other| other.to_canonical() == *ip),
        }
    }

    /// What a node's own word must not get it: names of the API service, and addresses that are nobody's alone.
    fn is_special(&self) -> bool {
        match self {
            Self::Name(name) => {
                let name = name.to_ascii_lowercase();
                name == "localhost" || name == "kubernetes" || name.starts_with("kubernetes.default")
            }
            Self::Address(ip) => ip.is_loopback() || ip.is_unspecified() || ip.is_multicast(),
        }
    }
}

impl std::fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(ip) => write!(f, "{ip}"),
        }
    }
}

//! The configurations of kubelet and kube-proxy, with what kubeadm sets in them.

use crate::cluster::ComponentConfig;
use crate::cluster::Layout;
use crate::cluster::kubeadm::ClusterConfiguration;
use crate::cluster::network::nth_address;
use crate::config::documents::Object;
use crate::config::name;
use crate::config::normal::normal;
use crate::config::path::Path;
use crate::config::report::Report;
use crate::config::schema::KUBE_PROXY_VERSION;
use crate::config::schema::KUBELET_VERSION;
use crate::config::schema::kube_proxy::KUBE_PROXY;
use crate::config::schema::kubelet::KUBELET;
use serde_json::Value;
use serde_json::json;
use std::net::IpAddr;

/// A field that kubeadm fills in: its path, and what it puts there.
type Recommended = (&'static str, Value);

/// `cache` is where pods ask for names, if that is not the cluster's DNS service.
pub(crate) fn kubelet(
    report: &mut Report,
    given: Option<Object>,
    cluster: &ClusterConfiguration,
    layout: Layout,
    cache: Option<IpAddr>,
) -> ComponentConfig {
    let user_supplied = given.is_some();
    let mut object = given.unwrap_or_default();
    let dns = cluster.networking.service_subnet.split(',').next().and_then(name::parse_cidr);
    let service =
        dns.map_or_else(|| "10.96.0.10".to_owned(), |network| nth_address(&network, 10).to_string());
    let dns = cache.map_or(service, |cache| cache.to_string());
    let recommended: [Recommended; 10] = [
        ("staticPodPath", json!("/etc/kubernetes/manifests")),
        ("clusterDNS", json!([dns])),
        ("clusterDomain", json!(cluster.networking.dns_domain)),
        (
            "authentication.x509.clientCAFile",
            json!(format!("{}/ca.crt", cluster.certificates_dir.trim_end_matches('/'))),
        ),
        ("authentication.anonymous.enabled", json!(false)),
        ("authentication.webhook.enabled", json!(true)),
        ("authorization.mode", json!("Webhook")),
        ("healthzBindAddress", json!("127.0.0.1")),
        ("healthzPort", json!(10248)),
        ("readOnlyPort", json!(0)),
    ];
    for (field, value) in recommended {
        recommend(report, "KubeletConfiguration", &mut object, field, value);
    }
    if object.get("rotateCertificates") == Some(&json!(false)) {
        let path = Path::of("KubeletConfiguration", "rotateCertificates");
        report.warning(&path, "rotateCertificates is always true in a kubeadm cluster; false is overwritten");
    }
    object.insert("rotateCertificates".to_owned(), json!(true));
    if is_unset(object.get("cgroupDriver")) {
        object.insert("cgroupDriver".to_owned(), json!("systemd"));
    }
    if layout == Layout::Five {
        // Serving certificates of the kubelet chain are renewed by request.
        object.entry("serverTLSBootstrap").or_insert_with(|| json!(true));
    }
    let value = typed(normal(&object, &KUBELET), KUBELET_VERSION, "KubeletConfiguration");
    ComponentConfig { value, user_supplied }
}

/// What cri-dockerd needs of kubelets: it names the place where it serves `exec` and `attach` without a scheme, which from
/// v1.36 on a kubelet takes for HTTPS, unless the API server translates `WebSockets` for it, as before.
pub(crate) fn for_cri_dockerd(kubelet: &mut ComponentConfig) {
    if let Value::Object(value) = &mut kubelet.value {
        let gates = value.entry("featureGates").or_insert_with(|| json!({}));
        if let Value::Object(gates) = gates {
            gates.entry("ExtendWebSocketsToKubelet").or_insert(json!(false));
        }
    }
}

/// `advertise` decides the primary family.
pub(crate) fn kube_proxy(
    report: &mut Report,
    given: Option<Object>,
    cluster: &ClusterConfiguration,
    advertise: Option<IpAddr>,
) -> ComponentConfig {
    let user_supplied = given.is_some();
    let mut object = given.unwrap_or_default();
    let any = if advertise.is_some_and(|address| address.is_ipv6()) { "::" } else { "0.0.0.0" };
    let kind = "KubeProxyConfiguration";
    recommend(report, kind, &mut object, "bindAddress", json!(any));
    if !cluster.networking.pod_subnet.is_empty() {
        recommend(report, kind, &mut object, "clusterCIDR", json!(cluster.networking.pod_subnet));
    }
    let kubeconfig = json!("/var/lib/kube-proxy/kubeconfig.conf");
    recommend(report, kind, &mut object, "clientConnection.kubeconfig", kubeconfig);
    let value = typed(normal(&object, &KUBE_PROXY), KUBE_PROXY_VERSION, kind);
    ComponentConfig { value, user_supplied }
}

fn typed(mut object: Object, api_version: &str, kind: &str) -> Value {
    object.insert("apiVersion".to_owned(), json!(api_version));
    object.insert("kind".to_owned(), json!(kind));
    object.into()
}

/// Go cannot tell an empty text from none. A boolean or number that was written counts.
fn is_unset(value: Option<&Value>) -> bool {
    value.is_none_or(|value| value.is_null() || value == "")
}

fn recommend(report: &mut Report, kind: &str, object: &mut Object, field: &str, value: Value) {
    let (outer, name) = field.rsplit_once('.').map_or(("", field), |(outer, name)| (outer, name));
    let mut target = object;
    for step in outer.split('.').filter(|step| !step.is_empty()) {
        let inner = target.entry(step).or_insert_with(|| json!({}));
        let Value::Object(inner) = inner else { return };
        target = inner;
    }
    match target.get(name) {
        given if is_unset(given) => {
            target.insert(name.to_owned(), value);
        }
        Some(given) if *given != value => {
            let message = format!("the recommended value for {field} is {value}; {given} is kept");
            report.warning(&Path::of(kind, field), message);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_operator_says_of_the_gate_stands() {
        for (given, gates) in [
            (json!({}), json!({"ExtendWebSocketsToKubelet": false})),
            (
                json!({"featureGates": {"Other": true}}),
                json!({"ExtendWebSocketsToKubelet": false, "Other": true}),
            ),
            (
                json!({"featureGates": {"ExtendWebSocketsToKubelet": true}}),
                json!({"ExtendWebSocketsToKubelet": true}),
            ),
        ] {
            let mut kubelet = ComponentConfig { value: given, user_supplied: true };
            for_cri_dockerd(&mut kubelet);
            assert_eq!(kubelet.value["featureGates"], gates);
        }
    }
}

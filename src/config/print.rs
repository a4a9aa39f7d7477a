//! `config print`: documents to start from.

use crate::cluster::Layout;
use crate::cluster::kubeadm::ApiEndpoint;
use crate::cluster::kubeadm::BootstrapTokenSpec;
use crate::cluster::kubeadm::ClusterConfiguration;
use crate::cluster::kubeadm::Discovery;
use crate::cluster::kubeadm::InitConfiguration;
use crate::cluster::kubeadm::JoinConfiguration;
use crate::cluster::kubeadm::NodeRegistration;
use crate::cluster::kubeadm::ResetConfiguration;
use crate::cluster::kubeadm::TokenDiscovery;
use crate::cluster::kubeadm::UpgradeConfiguration;
use crate::cluster::version;
use crate::config::component;
use crate::config::defaults;
use crate::config::environment::CONTAINERD_SOCKET;
use crate::config::load;
use crate::config::report::Report;
use crate::config::schema::V1BETA4;
use crate::config::single;
use crate::kube::yaml::to_stream;
use crate::kube::yaml::to_string;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

/// The placeholder that kubeadm prints too.
const TOKEN: &str = "abcdef.0123456789abcdef";

/// A component whose configuration can be printed as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    Kubelet,
    KubeProxy,
}

impl std::str::FromStr for Component {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "KubeletConfiguration" => Ok(Self::Kubelet),
            "KubeProxyConfiguration" => Ok(Self::KubeProxy),
            other => Err(format!(
                "unknown component config `{other}`; known are KubeletConfiguration, KubeProxyConfiguration"
            )),
        }
    }
}

/// The object with its identity.
pub(crate) fn document(object: &impl Serialize, api_version: &str, kind: &str) -> Value {
    let mut value = serde_json::to_value(object).expect("configuration types have only string keys");
    value["apiVersion"] = json!(api_version);
    value["kind"] = json!(kind);
    value
}

/// `InitConfiguration` and `ClusterConfiguration` with kubeadm's defaults, and the components asked for.
pub fn init_defaults(components: &[Component]) -> String {
    let mut init = InitConfiguration {
        bootstrap_tokens: vec![BootstrapTokenSpec {
            token: TOKEN.to_owned(),
            ..BootstrapTokenSpec::default()
        }],
        local_api_endpoint: ApiEndpoint { advertise_address: "1.2.3.4".to_owned(), bind_port: 0 },
        node_registration: registration("node"),
        ..InitConfiguration::default()
    };
    defaults::init(&mut init);
    let mut cluster = ClusterConfiguration {
        kubernetes_version: format!("1.{}.0", version::NEWEST_MINOR),
        ..ClusterConfiguration::default()
    };
    defaults::cluster(&mut cluster);
    let mut documents =
        vec![document(&init, V1BETA4, load::INIT), document(&cluster, V1BETA4, load::CLUSTER)];
    let mut report = Report::new("");
    documents.extend(components.iter().map(|component| match component {
        Component::Kubelet => component::kubelet(&mut report, None, &cluster, Layout::Kubeadm, None).value,
        Component::KubeProxy => component::kube_proxy(&mut report, None, &cluster, None).value,
    }));
    to_stream(&documents)
}

/// `JoinConfiguration` with kubeadm's defaults and placeholders.
pub fn join_defaults(hostname: &str) -> String {
    let mut join = JoinConfiguration {
        node_registration: registration(hostname),
        discovery: Discovery {
            bootstrap_token: Some(TokenDiscovery {
                token: TOKEN.to_owned(),
                api_server_endpoint: "kube-apiserver:6443".to_owned(),
                unsafe_skip_ca_verification: true,
                ..TokenDiscovery::default()
            }),
            ..Discovery::default()
        },
        ..JoinConfiguration::default()
    };
    defaults::join(&mut join);
    to_string(&document(&join, V1BETA4, single::JOIN))
}

/// `ResetConfiguration` with kubeadm's defaults.
pub fn reset_defaults() -> String {
    let mut reset =
        ResetConfiguration { cri_socket: CONTAINERD_SOCKET.to_owned(), ..ResetConfiguration::default() };
    defaults::reset(&mut reset);
    to_string(&document(&reset, V1BETA4, single::RESET))
}

/// `UpgradeConfiguration` with kubeadm's defaults.
pub fn upgrade_defaults() -> String {
    let mut upgrade = UpgradeConfiguration::default();
    defaults::upgrade(&mut upgrade);
    to_string(&document(&upgrade, V1BETA4, single::UPGRADE))
}

/// A highly available cluster of five hosts, each option explained.
pub fn cluster_example() -> &'static str {
    include_str!("example.yaml")
}

fn registration(name: &str) -> NodeRegistration {
    NodeRegistration {
        name: name.to_owned(),
        cri_socket: CONTAINERD_SOCKET.to_owned(),
        ..NodeRegistration::default()
    }
}

//! Cilium: the values that its chart gets. The objects are the chart's.

use crate::cluster::Cluster;
use crate::cluster::cni::Cilium;
use crate::cluster::cni::CiliumRouting;
use crate::kube::objects::flannel;
use serde_json::Value;
use serde_json::json;

/// What follows from the cluster's configuration, and over it what the operator says. The names are those of the chart
/// since 1.14 (`routingMode`), and 1.18 (`underlayProtocol`).
pub fn values(cluster: &Cluster, cilium: &Cilium) -> Value {
    let pods = &cluster.networking.pods;
    let (v4, v6) =
        (pods.iter().find(|pod| pod.addr().is_ipv4()), pods.iter().find(|pod| pod.addr().is_ipv6()));
    let nodes = cluster.nodes.iter().filter(|node| node.becomes_node()).count();
    let mut values = json!({
        // Each Node's own network, as every other part of the cluster takes it.
        "ipam": {"mode": "kubernetes"},
        "k8s": {"requireIPv4PodCIDR": v4.is_some(), "requireIPv6PodCIDR": v6.is_some()},
        "ipv4": {"enabled": v4.is_some()},
        "ipv6": {"enabled": v6.is_some()},
        "kubeProxyReplacement": cilium.replaces_kube_proxy,
        "operator": {"replicas": nodes.clamp(1, 2)},
        // Helm would draw new certificates for it with each plan.
        "hubble": {"enabled": false, "tls": {"auto": {"method": "cronJob"}}},
    });
    match cilium.routing {
        CiliumRouting::Vxlan | CiliumRouting::Geneve => {
            let geneve = cilium.routing == CiliumRouting::Geneve;
            values["routingMode"] = "tunnel".into();
            values["tunnelProtocol"] = if geneve { "geneve" } else { "vxlan" }.into();
            let v6_hosts = cluster.first_control_plane().advertise_address.is_ipv6();
            values["underlayProtocol"] = if v6_hosts { "ipv6" } else { "ipv4" }.into();
        }
        CiliumRouting::Native => {
            values["routingMode"] = "native".into();
            values["autoDirectNodeRoutes"] = true.into();
            for (key, network) in [("ipv4NativeRoutingCIDR", v4), ("ipv6NativeRoutingCIDR", v6)] {
                if let Some(network) = network {
                    values[key] = json!(network);
                }
            }
        }
    }
    if let Some(mtu) = cilium.mtu {
        values["MTU"] = mtu.into();
    }
    if cluster.configuration.proxy.disabled {
        for variable in flannel::api_server(cluster) {
            let host = variable["name"] == "KUBERNETES_SERVICE_HOST";
            values[if host { "k8sServiceHost" } else { "k8sServicePort" }] = variable["value"].clone();
        }
    }
    json_patch::merge(&mut values, &Value::Object(cilium.values.clone()));
    values
}

/// How the chart is rendered, for `helm` and for whoever does it by hand; the values are on standard input.
pub fn helm_arguments(cluster: &Cluster, cilium: &Cilium, chart: &str) -> Vec<String> {
    let mut arguments = vec!["template".to_owned(), "cilium".to_owned(), chart.to_owned()];
    // A chart on the disk is of the version that it is.
    if chart.contains("://") {
        arguments.extend(["--version".to_owned(), cilium.version.to_string()]);
    }
    let version = format!("v{}", cluster.version.0);
    let rest = ["--namespace", "kube-system", "--kube-version", &version, "--include-crds", "--values", "-"];
    arguments.extend(rest.map(str::to_owned));
    arguments
}

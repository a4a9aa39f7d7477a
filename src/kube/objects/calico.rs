//! Calico and canal: what their project publishes, with the cluster's own networks in it.
//!
//! The manifests are taken whole, and only what an option names is changed. Pools of addresses are objects of ours:
//! calico-node makes them from its environment only when there are none, so a later change would do nothing, and it does
//! not read the encapsulation of IPv6 where there is no IPv4 (`node/pkg/lifecycle/startup` of v3.32).

use crate::cluster::Cluster;
use crate::cluster::cni::Calico;
use crate::cluster::cni::Canal;
use crate::cluster::cni::Encapsulation;
use crate::cluster::cni::FLANNEL_VXLAN_PORT;
use crate::kube::objects::flannel;
use crate::kube::objects::foreign;
use crate::kube::objects::foreign::DEFAULT_NAMESPACE;
use ipnet::IpNet;
use serde_json::Value;
use serde_json::json;

/// The manifest is not what it was taken for.
#[derive(Debug, thiserror::Error)]
#[error("{manifest} has no {missing}; is it the manifest of {project} {version}?")]
pub struct ManifestError {
    pub manifest: String,
    pub missing: String,
    pub project: &'static str,
    pub version: String,
}

/// How many addresses a node takes from the pool at once, as a length of prefix: Calico's own choice.
const BLOCK_V4: u8 = 26;
const BLOCK_V6: u8 = 122;

/// A manifest that is being changed.
struct Foreign<'a> {
    objects: Vec<Value>,
    manifest: &'a str,
    project: &'static str,
    version: String,
}

/// Calico with its own addresses, routes and policy.
///
/// # Errors
/// The manifest lacks what is to be changed.
pub fn calico(cluster: &Cluster, calico: &Calico) -> Result<Vec<Value>, ManifestError> {
    let mut foreign = Foreign {
        objects: foreign::placed(&calico.manifest.objects, DEFAULT_NAMESPACE, calico.registry.as_deref()),
        manifest: calico.manifest.name(),
        project: "Calico",
        version: calico.version.to_string(),
    };
    let bgp = calico.encapsulation != Encapsulation::Vxlan;
    let (v4, v6) = families(cluster);
    let ipam = json!({"type": "calico-ipam", "assign_ipv4": v4.to_string(), "assign_ipv6": v6.to_string()});
    let configuration = foreign.find("ConfigMap", "calico-config")?;
    configuration["data"]["calico_backend"] = if bgp { "bird" } else { "vxlan" }.into();
    set_mtu(configuration, calico.mtu);
    set_ipam(configuration, &ipam);
    let node = foreign.container("DaemonSet", "calico-node", "calico-node")?;
    set_all(node, &node_env(cluster, calico));
    if !bgp {
        without_bird(node);
    }
    set_api_server(cluster, &mut foreign.objects);
    let first_pod = foreign.objects.iter().position(|object| object["kind"] == "DaemonSet");
    let at = first_pod.unwrap_or(foreign.objects.len());
    foreign.objects.splice(at..at, pools(cluster, calico));
    Ok(foreign.objects)
}

/// flannel for addresses and routes, Calico for policy.
///
/// # Errors
/// As for [`calico`].
pub fn canal(cluster: &Cluster, canal: &Canal) -> Result<Vec<Value>, ManifestError> {
    let mut foreign = Foreign {
        objects: foreign::placed(&canal.manifest.objects, DEFAULT_NAMESPACE, canal.registry.as_deref()),
        manifest: canal.manifest.name(),
        project: "canal",
        version: canal.version.to_string(),
    };
    let (v4, v6) = families(cluster);
    let configuration = foreign.find("ConfigMap", "canal-config")?;
    set_mtu(configuration, canal.mtu);
    let ranges: Vec<Value> = cluster
        .networking
        .pods
        .iter()
        .map(|pod| if pod.addr().is_ipv4() { "usePodCidr" } else { "usePodCidrIPv6" })
        .map(|subnet| json!([{ "subnet": subnet }]))
        .collect();
    set_ipam(configuration, &json!({"type": "host-local", "ranges": ranges}));
    configuration["data"]["canal_iface"] = canal.interface.clone().unwrap_or_default().into();
    configuration["data"]["net-conf.json"] = format!("{:#}\n", net_conf(cluster, canal)).into();
    let node = foreign.container("DaemonSet", "canal", "calico-node")?;
    set_all(node, &[("FELIX_IPV6SUPPORT", v6.to_string())]);
    let flanneld = foreign.container("DaemonSet", "canal", "kube-flannel")?;
    flanneld["image"] = canal.flannel_image.clone().into();
    if canal.interface.is_none() && (v4 != v6 || cluster.networking.pods[0].addr().is_ipv4()) {
        // The interface with the Node's address, and not that of the default route.
        let from =
            json!({"name": "FLANNELD_IFACE", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}});
        set_variable(flanneld, from);
    }
    set_api_server(cluster, &mut foreign.objects);
    Ok(foreign.objects)
}

fn families(cluster: &Cluster) -> (bool, bool) {
    let pods = &cluster.networking.pods;
    (pods.iter().any(|pod| pod.addr().is_ipv4()), pods.iter().any(|pod| pod.addr().is_ipv6()))
}

fn net_conf(cluster: &Cluster, canal: &Canal) -> Value {
    let (v4, v6) = families(cluster);
    let mut backend = json!({"Type": "vxlan", "Port": FLANNEL_VXLAN_PORT});
    if let Some(mtu) = canal.mtu {
        backend["MTU"] = mtu.into();
    }
    let mut conf = json!({"EnableIPv4": v4, "EnableIPv6": v6, "Backend": backend});
    for network in &cluster.networking.pods {
        let key = if network.addr().is_ipv4() { "Network" } else { "IPv6Network" };
        conf[key] = json!(network);
    }
    conf
}

fn node_env(cluster: &Cluster, calico: &Calico) -> Vec<(&'static str, String)> {
    let (v4, v6) = families(cluster);
    let detected = |on: bool| if on { "autodetect" } else { "none" }.to_owned();
    let bgp = calico.encapsulation != Encapsulation::Vxlan;
    let mut env = vec![
        ("CLUSTER_TYPE", if bgp { "k8s,bgp" } else { "k8s" }.to_owned()),
        ("NO_DEFAULT_POOLS", "true".to_owned()),
        ("IP", detected(v4)),
        ("IP6", detected(v6)),
        ("FELIX_IPV6SUPPORT", v6.to_string()),
    ];
    // A host that holds a virtual address, or has several interfaces, is known by the address of its Node.
    let first_v4 = cluster.networking.pods.first().is_none_or(|pod| pod.addr().is_ipv4());
    let method = if first_v4 { "IP_AUTODETECTION_METHOD" } else { "IP6_AUTODETECTION_METHOD" };
    env.push((method, "kubernetes-internal-ip".to_owned()));
    if !v4 {
        // Without an IPv4 address there is nothing else to make one of.
        env.push(("CALICO_ROUTER_ID", "hash".to_owned()));
    }
    env
}

fn pools(cluster: &Cluster, calico: &Calico) -> Vec<Value> {
    cluster.networking.pods.iter().map(|network| pool(network, calico)).collect()
}

fn pool(network: &IpNet, calico: &Calico) -> Value {
    let v4 = network.addr().is_ipv4();
    let mode = |is: Encapsulation| match (calico.encapsulation == is, calico.across_links) {
        (false, _) => "Never",
        (true, true) => "CrossSubnet",
        (true, false) => "Always",
    };
    let (name, block) =
        if v4 { ("default-ipv4-ippool", BLOCK_V4) } else { ("default-ipv6-ippool", BLOCK_V6) };
    json!({
        "apiVersion": "crd.projectcalico.org/v1",
        "kind": "IPPool",
        "metadata": {"name": name},
        "spec": {
            "cidr": network,
            "blockSize": block.max(network.prefix_len()),
            "ipipMode": if v4 { mode(Encapsulation::Ipip) } else { "Never" },
            "vxlanMode": mode(Encapsulation::Vxlan),
            "natOutgoing": calico.nat_outgoing,
            "nodeSelector": "all()",
            "allowedUses": ["Workload", "Tunnel"],
        },
    })
}

/// Zero lets Calico find out.
fn set_mtu(configuration: &mut Value, mtu: Option<u16>) {
    configuration["data"]["veth_mtu"] = mtu.unwrap_or(0).to_string().into();
}

/// The part of the plugins' configuration that says who gives addresses. It is text with holes that the installer fills,
/// one of them where a number belongs; so it is read with a number there, and written with the hole again.
fn set_ipam(configuration: &mut Value, ipam: &Value) {
    const HOLE: &str = "__CNI_MTU__";
    const NUMBER: &str = "4242424242";
    let text = configuration["data"]["cni_network_config"].as_str().unwrap_or_default();
    let Ok(mut plugins) = serde_json::from_str::<Value>(&text.replace(HOLE, NUMBER)) else { return };
    let list = plugins["plugins"].as_array_mut();
    for plugin in list.into_iter().flatten().filter(|plugin| plugin["type"] == "calico") {
        plugin["ipam"] = ipam.clone();
    }
    let text = format!("{plugins:#}\n").replace(NUMBER, HOLE);
    configuration["data"]["cni_network_config"] = text.into();
}

/// Nobody speaks BGP, so its daemon is not asked how it is.
fn without_bird(container: &mut Value) {
    for probe in ["livenessProbe", "readinessProbe"] {
        let command = container.pointer_mut(&format!("/{probe}/exec/command")).and_then(Value::as_array_mut);
        if let Some(command) = command {
            command.retain(|word| !word.as_str().is_some_and(|word| word.starts_with("-bird-")));
        }
    }
}

fn set_all(container: &mut Value, env: &[(&str, String)]) {
    for (name, value) in env {
        set_variable(container, json!({"name": name, "value": value}));
    }
}

/// In its place where it is there, and else at the end.
fn set_variable(container: &mut Value, variable: Value) {
    if !container["env"].is_array() {
        container["env"] = json!([]);
    }
    let Some(env) = container["env"].as_array_mut() else { return };
    match env.iter_mut().find(|one| one["name"] == variable["name"]) {
        Some(place) => *place = variable,
        None => env.push(variable),
    }
}

fn set_api_server(cluster: &Cluster, objects: &mut [Value]) {
    for variable in flannel::api_server(cluster) {
        for object in &mut *objects {
            foreign::for_each_container(object, &mut |container| set_variable(container, variable.clone()));
        }
    }
}

impl Foreign<'_> {
    fn find(&mut self, kind: &str, name: &str) -> Result<&mut Value, ManifestError> {
        let found = self
            .objects
            .iter()
            .position(|object| object["kind"] == kind && object["metadata"]["name"] == name);
        match found {
            Some(index) => Ok(&mut self.objects[index]),
            None => Err(self.missing(format!("{kind} {name}"))),
        }
    }

    fn container(&mut self, kind: &str, name: &str, container: &str) -> Result<&mut Value, ManifestError> {
        let missing = self.missing(format!("container {container} in the {kind} {name}"));
        let object = self.find(kind, name)?;
        let list = object.pointer_mut("/spec/template/spec/containers").and_then(Value::as_array_mut);
        list.into_iter().flatten().find(|one| one["name"] == container).ok_or(missing)
    }

    fn missing(&self, missing: String) -> ManifestError {
        ManifestError {
            manifest: self.manifest.to_owned(),
            missing,
            project: self.project,
            version: self.version.clone(),
        }
    }
}

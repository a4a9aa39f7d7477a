//! The rules of networks.

use crate::cluster::kubeadm::Arg;
use crate::cluster::kubeadm::ClusterConfiguration;
use crate::config::name;
use crate::config::path::Path;
use crate::config::report::Report;
use ipnet::IpNet;

/// Services are kept in etcd as one bitmap, whose size the API server limits.
const MOST_SERVICE_BITS: u8 = 20;
/// A pod network has at most 2^16 node networks.
const MOST_NODE_BITS: u8 = 16;
const FEWEST_SERVICES: u128 = 10;
const FEWEST_PODS: u128 = 14;

pub(crate) fn networking(report: &mut Report, cluster: &ClusterConfiguration, path: &Path) {
    let networking = &cluster.networking;
    if !name::is_subdomain(&networking.dns_domain) {
        let message = format!("`{}` is not a DNS domain", networking.dns_domain);
        report.error(&path.key("dnsDomain"), message).hint("lower-case, such as cluster.local");
    }
    let service_path = path.key("serviceSubnet");
    let services = subnets(report, &networking.service_subnet, FEWEST_SERVICES, &service_path);
    for network in &services {
        let bits = network.max_prefix_len() - network.prefix_len();
        if bits > MOST_SERVICE_BITS {
            let (all, least) = (network.max_prefix_len(), network.max_prefix_len() - MOST_SERVICE_BITS);
            report
                .error(&service_path, format!("the service subnet {network} is too large: for {all}-bit addresses the mask must be >= {least}"))
                .hint(format!("such as {}/{least}", network.network()));
        }
    }
    let pod_path = path.key("podSubnet");
    let pods = match networking.pod_subnet.as_str() {
        "" => Vec::new(),
        text => subnets(report, text, FEWEST_PODS, &pod_path),
    };
    node_masks(report, cluster, &pods, &pod_path);
    for (pod, service) in pods.iter().flat_map(|pod| services.iter().map(move |service| (pod, service))) {
        if name::overlap(pod, service) {
            report
                .error(&pod_path, format!("the pod subnet {pod} overlaps the service subnet {service} (kubeadm does not check this)"))
                .hint("pods and services would get the same addresses; move one of them");
        }
    }
}

/// The networks in `text`; those that parse, even when something is wrong with them.
fn subnets(report: &mut Report, text: &str, fewest: u128, path: &Path) -> Vec<IpNet> {
    let parts: Vec<&str> = text.split(',').collect();
    let networks: Vec<IpNet> = parts.iter().filter_map(|part| name::parse_cidr(part)).collect();
    if let Some(bad) = parts.iter().find(|part| name::parse_cidr(part).is_none()) {
        let hint = if name::parse_cidr(bad.trim()).is_some() {
            "no spaces around the comma"
        } else if name::parse_ip(bad).is_some() {
            "the length of the prefix is missing, such as /16"
        } else {
            "ADDRESS/LENGTH, such as 10.244.0.0/16; for dual-stack two of them joined by a comma"
        };
        report.error(path, format!("couldn't parse subnet `{bad}`")).hint(hint);
        return networks;
    }
    let dual = networks.len() == 2 && networks[0].addr().is_ipv4() != networks[1].addr().is_ipv4();
    if networks.len() > 1 && !dual {
        report
            .error(
                path,
                format!("expected one CIDR, or two of different families for dual-stack, not `{text}`"),
            )
            .hint("keep one network of IPv4 and one of IPv6");
    }
    for network in &networks {
        let bits = network.max_prefix_len() - network.prefix_len();
        let addresses = 1_u128.checked_shl(u32::from(bits)).unwrap_or(u128::MAX);
        if addresses < fewest {
            let message = format!(
                "the subnet {network} with {addresses} address(es) is too small, the minimum is {fewest}"
            );
            report.error(path, message).hint(format!("a prefix of at most {}", network.max_prefix_len() - 4));
        }
        if name::touches_site_local(network) {
            let message =
                format!("the subnet {network} has IPv6 site-local addresses, which RFC 3879 deprecates");
            report.warning(path, message).hint("unique local addresses (fd00::/8) took their place");
        }
    }
    networks
}

/// What the operator tells the controller manager of giving nodes networks.
pub(crate) fn allocates(cluster: &ClusterConfiguration) -> Option<bool> {
    last(&cluster.controller_manager.extra_args, "allocate-node-cidrs").map(|text| text != "false")
}

/// The length of a node's network within a pod network; `None` where the operator's word is no number.
pub(crate) fn node_mask(cluster: &ClusterConfiguration, network: &IpNet) -> Option<u8> {
    let (flag, default) = mask_flag(network);
    match last(&cluster.controller_manager.extra_args, flag).filter(|text| !text.is_empty()) {
        None => Some(default),
        Some(text) => text.parse().ok(),
    }
}

fn mask_flag(network: &IpNet) -> (&'static str, u8) {
    if network.addr().is_ipv4() { ("node-cidr-mask-size-ipv4", 24) } else { ("node-cidr-mask-size-ipv6", 64) }
}

fn node_masks(report: &mut Report, cluster: &ClusterConfiguration, pods: &[IpNet], path: &Path) {
    if allocates(cluster) == Some(false) {
        return;
    }
    for network in pods {
        let (flag, _) = mask_flag(network);
        let Some(mask) = node_mask(cluster, network) else {
            report.error(path, format!("the controller manager's {flag} is not a number"));
            continue;
        };
        let length = network.prefix_len();
        if length > mask {
            report
                .error(
                    path,
                    format!("the pod subnet {network} is smaller than the network of one node (/{mask})"),
                )
                .hint(format!("a shorter prefix, or a larger {flag} in controllerManager.extraArgs"));
        } else if mask - length > MOST_NODE_BITS {
            report
                .error(path, format!("the pod subnet's mask ({length}) and the node mask ({mask}) are more than {MOST_NODE_BITS} apart"))
                .hint(format!("a prefix of at least {}, or a smaller {flag}", mask - MOST_NODE_BITS));
        }
    }
}

fn last<'a>(args: &'a [Arg], name: &str) -> Option<&'a str> {
    args.iter().rev().find(|arg| arg.name == name).map(|arg| arg.value.as_str())
}

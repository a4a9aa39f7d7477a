//! kubeadm's checks for `init` under kubeadm's names, in kubeadm's order.

use crate::facts::question::CONTROLLER_MANAGER_PORT;
use crate::facts::question::ETCD_CLIENT_PORT;
use crate::facts::question::ETCD_PEER_PORT;
use crate::facts::question::KUBELET_PORT;
use crate::facts::question::SCHEDULER_PORT;
use crate::facts::question::STATIC_PODS;
use crate::facts::question::manifest_path;
use crate::preflight::Batch;
use crate::preflight::Check;
use crate::preflight::Subject;
use crate::preflight::etcd;
use crate::preflight::host;
use crate::preflight::joining;
use crate::preflight::system;
use std::net::IpAddr;

const KUBELET_CONF: &str = "/etc/kubernetes/kubelet.conf";
const BOOTSTRAP_KUBELET_CONF: &str = "/etc/kubernetes/bootstrap-kubelet.conf";
const IP_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";
const IPV6_FORWARDING: &str = "/proc/sys/net/ipv6/conf/default/forwarding";

/// Everything before the images.
pub(super) fn init(subject: &Subject) -> Vec<Check> {
    let mut checks = vec![Check::new("IsPrivilegedUser", host::privileged).batch(Batch::Privilege)];
    checks.extend(control_plane(subject));
    checks.extend(common(subject));
    checks.extend(forwarding(subject));
    checks.extend(etcd_checks(subject));
    checks
}

/// What a host must have to join any cluster.
pub(super) fn host() -> Vec<Check> {
    let mut checks = vec![Check::new("IsPrivilegedUser", host::privileged).batch(Batch::Privilege)];
    checks.extend([KUBELET_CONF, BOOTSTRAP_KUBELET_CONF].map(file_available));
    checks.push(Check::new("CRI", host::runtime));
    let programs = ["losetup", "mount", "cp"];
    checks.extend(programs.map(|name| Check::new(format!("FileExisting-{name}"), host::program).about(name)));
    checks.push(port(KUBELET_PORT));
    checks
}

/// The same for `join`; a worker has neither ports nor files of a control plane.
pub(super) fn join(subject: &Subject) -> Vec<Check> {
    let mut checks = vec![Check::new("IsPrivilegedUser", host::privileged).batch(Batch::Privilege)];
    checks.extend([KUBELET_CONF, BOOTSTRAP_KUBELET_CONF].map(file_available));
    checks.extend(common(subject));
    let endpoint = subject.cluster.endpoint.as_ref();
    if !subject.node.is_control_plane() {
        checks.push(file_available(&format!("{}/ca.crt", subject.cluster.certificates_dir())));
    }
    checks.extend(endpoint.map(|endpoint| Check::new("HTTPProxy", joining::proxy).about(&endpoint.host)));
    let address = endpoint.and_then(|endpoint| endpoint.host.parse::<IpAddr>().ok());
    if subject.node.is_control_plane() {
        checks.extend(control_plane(subject));
        checks.extend(forwarding(subject));
        checks.extend(etcd_checks(subject));
    } else {
        let file =
            |address: IpAddr| file_content(if address.is_ipv4() { IP_FORWARD } else { IPV6_FORWARDING });
        checks.extend(address.map(file));
    }
    checks
}

pub(super) fn images() -> Vec<Check> {
    vec![Check::new("ImagePull", host::images).batch(Batch::Images)]
}

fn control_plane(subject: &Subject) -> Vec<Check> {
    let mut checks = vec![
        Check::new("NumCPU", host::cpus),
        Check::new("Mem", host::memory),
        Check::new("KubernetesVersion", host::kubernetes_version),
        Check::new("Firewalld", host::firewalld),
    ];
    checks.extend([subject.node.bind_port, SCHEDULER_PORT, CONTROLLER_MANAGER_PORT].map(port));
    checks.extend(STATIC_PODS.iter().map(|name| file_available(&manifest_path(name))));
    checks.push(Check::new("HTTPProxy", host::proxy));
    let networking = &subject.cluster.networking;
    for network in networking.services.iter().chain(&networking.pods) {
        checks.push(Check::new("HTTPProxyCIDR", host::proxy_for_network).about(network.to_string()));
    }
    checks
}

fn common(subject: &Subject) -> Vec<Check> {
    let mut checks = vec![
        Check::new("CRI", host::runtime),
        Check::new("ContainerRuntimeVersion", host::runtime_version),
        Check::new("Swap", host::swap),
    ];
    // From 1.32 on kube-proxy does without.
    let conntrack = (subject.cluster.version.minor() < 32).then_some("conntrack");
    let programs = conntrack.into_iter().chain(["losetup", "mount", "cp"]);
    checks.extend(programs.map(|name| Check::new(format!("FileExisting-{name}"), host::program).about(name)));
    checks.extend([
        Check::new("SystemVerification", system::find),
        Check::new("Hostname", host::name),
        Check::new("KubeletVersion", host::kubelet),
        Check::new("Service-kubelet", host::kubelet_service),
        port(KUBELET_PORT),
    ]);
    checks
}

fn forwarding(subject: &Subject) -> Vec<Check> {
    let networking = &subject.cluster.networking;
    let networks = networking.services.iter().chain(&networking.pods).map(ipnet::IpNet::addr);
    let addresses: Vec<IpAddr> = networks.chain([subject.node.advertise_address]).collect();
    let files = [
        (IP_FORWARD, addresses.iter().any(IpAddr::is_ipv4)),
        (IPV6_FORWARDING, addresses.iter().any(IpAddr::is_ipv6)),
    ];
    files.into_iter().filter(|(_, wanted)| *wanted).map(|(path, _)| file_content(path)).collect()
}

fn etcd_checks(subject: &Subject) -> Vec<Check> {
    let etcd = &subject.cluster.configuration.etcd;
    let mut checks = Vec::new();
    if etcd.external.is_some() {
        checks.push(Check::new("ExternalEtcdVersion", etcd::find));
    }
    if let Some(local) = etcd.local.as_ref().filter(|_| subject.cluster.runs_etcd(subject.node)) {
        checks.extend([ETCD_CLIENT_PORT, ETCD_PEER_PORT].map(port));
        checks.push(
            Check::new(path_name("DirAvailable", &local.data_dir), host::directory_available)
                .about(&local.data_dir),
        );
    }
    if let Some(external) = &etcd.external {
        let files = [&external.ca_file, &external.cert_file, &external.key_file];
        for file in files.into_iter().filter(|file| !file.is_empty()) {
            checks.push(Check::new("ExternalEtcdClientCertificates", host::file_existing).about(file));
        }
    }
    checks
}

fn port(port: u16) -> Check {
    Check::new(format!("Port-{port}"), host::port).about(port.to_string())
}

fn file_available(path: &str) -> Check {
    Check::new(path_name("FileAvailable", path), host::file_available).about(path)
}

fn file_content(path: &str) -> Check {
    Check::new(path_name("FileContent", path), host::forwarding).about(path)
}

fn path_name(prefix: &str, path: &str) -> String {
    format!("{prefix}-{}", path.replace('/', "-"))
}

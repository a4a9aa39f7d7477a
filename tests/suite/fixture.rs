//! A small cluster and a healthy host to begin from.

use crate::pki::fixture::node;
use kubewright::cluster::Cluster;
use kubewright::cluster::Cni;
use kubewright::cluster::ComponentConfig;
use kubewright::cluster::GoDuration;
use kubewright::cluster::Layout;
use kubewright::cluster::Networking;
use kubewright::cluster::Prepare;
use kubewright::cluster::Role;
use kubewright::cluster::cni::Flannel;
use kubewright::cluster::cni::FlannelBackend;
use kubewright::cluster::endpoint::Balancing;
use kubewright::cluster::endpoint::Haproxy;
use kubewright::cluster::endpoint::Keepalived;
use kubewright::cluster::endpoint::MONITOR_PORT;
use kubewright::cluster::endpoint::RunAs;
use kubewright::cluster::endpoint::VirtualAddress;
use kubewright::cluster::kubeadm::ClusterConfiguration;
use kubewright::cluster::kubeadm::Etcd;
use kubewright::cluster::kubeadm::LocalEtcd;
use kubewright::cluster::kubeadm::Timeouts;
use kubewright::facts::HostFacts;
use kubewright::facts::checks::CgroupVersion;
use kubewright::facts::checks::Kubelet;
use kubewright::facts::checks::Service;
use kubewright::facts::checks::TimeSync;
use kubewright::facts::question::CNI_DIRECTORIES;
use kubewright::facts::question::CNI_PLUGINS;
use kubewright::facts::question::KERNEL_OPTIONS;
use kubewright::facts::runtime::Connection;
use kubewright::facts::runtime::RuntimeConfig;
use kubewright::facts::runtime::Status;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// One control plane `cp1` at 192.0.2.10, all defaults.
pub(crate) fn cluster() -> Cluster {
    let etcd = LocalEtcd { data_dir: "/var/lib/etcd".to_owned(), ..LocalEtcd::default() };
    Cluster {
        name: "kubernetes".to_owned(),
        configuration: ClusterConfiguration {
            etcd: Etcd { local: Some(etcd), external: None },
            certificates_dir: "/etc/kubernetes/pki".to_owned(),
            ..ClusterConfiguration::default()
        },
        version: "v1.36.2".parse().unwrap(),
        layout: Layout::Five,
        networking: Networking {
            services: vec!["10.96.0.0/12".parse().unwrap()],
            pods: vec!["10.244.0.0/16".parse().unwrap()],
            dns_domain: "cluster.local".to_owned(),
        },
        endpoint: None,
        kubelet: ComponentConfig { value: serde_json::json!({}), user_supplied: false },
        kube_proxy: ComponentConfig { value: serde_json::json!({}), user_supplied: false },
        nodes: vec![node("cp1", "192.0.2.10", Role::ControlPlane)],
        tokens: Vec::new(),
        upload_certs: false,
        joining: false,
        certificate_key: None,
        timeouts: Timeouts::default(),
        patches: Vec::new(),
        prepare: Prepare::default(),
        site: kubewright::cluster::Site::default(),
    }
}

/// A host with which nothing is wrong.
pub(crate) fn healthy() -> HostFacts {
    let mut facts = HostFacts::assumed("cp1");
    facts.addresses = vec!["127.0.0.1".parse().unwrap(), "192.0.2.10".parse().unwrap()];
    facts.existing_paths = CNI_PLUGINS.map(|name| format!("{}/{name}", CNI_DIRECTORIES[0])).into();
    let checks = &mut facts.checks;
    (checks.uid, checks.cpus, checks.memory) = (Some(0), Some(4), Some(8 << 30));
    checks.kernel.name = "Linux".into();
    checks.kernel.release = "6.12.9".into();
    let options = KERNEL_OPTIONS.iter().map(|name| ((*name).to_owned(), 'y')).collect();
    checks.kernel.config = kubewright::facts::checks::KernelConfig::Options(options);
    checks.cgroups.version = CgroupVersion::V2;
    let controllers = ["cpu", "cpuset", "devices", "freezer", "memory", "pids", "hugetlb", "io"];
    checks.cgroups.controllers = controllers.map(str::to_owned).into();
    checks.modules.known = true;
    checks.modules.loadable = true;
    checks.modules.present = ["overlay", "br_netfilter"].map(str::to_owned).into();
    let sysctls =
        ["net/ipv4/ip_forward", "net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables"];
    checks.sysctls = sysctls.map(|name| (name.to_owned(), "1".to_owned())).into();
    checks.services.insert("kubelet".to_owned(), Service { active: Some(false), enabled: true });
    checks.programs = Some(["losetup", "mount", "cp", "haproxy", "keepalived"].map(str::to_owned).into());
    checks.kubelet = Kubelet::Says("Kubernetes v1.36.2".to_owned());
    checks.runtime.connection = Connection::Ok { name: "containerd".to_owned(), version: "2.1.0".to_owned() };
    checks.runtime.status = Status::Conditions(Vec::new());
    checks.runtime.config = RuntimeConfig::Systemd;
    checks.time = TimeSync::By { service: "chronyd".to_owned(), synchronised: Some(true) };
    checks.names.insert("cp1".to_owned(), vec!["192.0.2.10".parse().unwrap()]);
    facts
}

/// flannel as it is without options.
pub(crate) fn flannel() -> Cni {
    Cni::Flannel(Flannel {
        backend: FlannelBackend::Vxlan { vni: 1, port: 8472, direct: false },
        mtu: None,
        interface: None,
        health_port: 8081,
        image: String::new(),
        plugin_image: String::new(),
    })
}

/// A virtual address that keepalived moves between balancers.
pub(crate) fn keepalived(address: &str, port: u16) -> Balancing {
    let address: IpAddr = address.parse().unwrap();
    Balancing::Keepalived(Keepalived {
        run_as: RunAs::default(),
        address: VirtualAddress { address, prefix: if address.is_ipv4() { 32 } else { 128 } },
        other: None,
        port,
        virtual_router_id: 100,
        interface: None,
        interfaces: BTreeMap::new(),
        advert_interval: GoDuration::from_secs(1),
        preempt: false,
        unicast: true,
        image: String::new(),
        haproxy: Haproxy {
            max_connections: 20_000,
            timeout: GoDuration::from_hours(4),
            monitor_port: MONITOR_PORT,
            stats: None,
            image: String::new(),
        },
    })
}

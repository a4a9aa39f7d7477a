//! What is asked of a host that keeps the endpoint alive.

use crate::fixture;
use kubewright::cluster::Balancing;
use kubewright::cluster::Cluster;
use kubewright::cluster::HostPort;
use kubewright::cluster::Role;
use kubewright::cluster::endpoint::KubeVip;
use kubewright::cluster::endpoint::KubeVipMode;
use kubewright::cluster::endpoint::RunAs;
use kubewright::facts::ClusterFacts;
use kubewright::facts::HostFacts;
use kubewright::facts::InterfaceAddress;
use kubewright::facts::checks::Listener;
use kubewright::facts::checks::Process;
use kubewright::facts::checks::Service;
use kubewright::preflight;
use kubewright::preflight::EtcdVersions;
use kubewright::preflight::Ignore;
use kubewright::preflight::Severity;
use kubewright::preflight::Subject;
use std::collections::BTreeSet;

struct Case {
    cluster: Cluster,
    facts: HostFacts,
}

impl Case {
    /// A control plane that balances, and that nothing is wrong with.
    fn healthy() -> Self {
        let mut cluster = fixture::cluster();
        cluster.site.balancing = Some(fixture::keepalived("192.0.2.100", 8443));
        cluster.endpoint = Some(HostPort::new("192.0.2.100", 8443));
        let mut facts = fixture::healthy();
        let address = cluster.nodes[0].advertise_address;
        facts.interface_addresses =
            vec![InterfaceAddress { interface: "eth0".to_owned(), address, prefix: Some(24) }];
        facts.checks.interfaces = ["lo", "eth0"].map(str::to_owned).into();
        let programs = facts.checks.programs.as_mut().unwrap();
        programs.extend(["haproxy", "keepalived"].map(str::to_owned));
        Self { cluster, facts }
    }

    fn told(&self) -> Vec<String> {
        let subject = Subject {
            cluster: &self.cluster,
            node: &self.cluster.nodes[0],
            facts: &self.facts,
            images: &[],
            ours: &BTreeSet::new(),
            running_ours: false,
            prepare: false,
            etcd: &EtcdVersions::new(),
            running: &ClusterFacts::default(),
        };
        let report = preflight::run(&preflight::init_checks(&subject), &subject, &Ignore::default());
        let told = report.findings.iter().map(|finding| {
            let severity = if finding.severity == Severity::Error { 'E' } else { 'W' };
            format!("{severity} {}: {}", finding.check, finding.text())
        });
        told.collect()
    }

    fn keepalived(&mut self) -> &mut kubewright::cluster::endpoint::Keepalived {
        match &mut self.cluster.site.balancing {
            Some(Balancing::Keepalived(said)) => said,
            other => panic!("{other:?}"),
        }
    }

    fn listen(&mut self, port: u16, name: &str) {
        let process = Some(Process { id: 7, name: name.to_owned() });
        self.facts.checks.listeners.push(Listener { port, process });
    }

    fn kube_vip(&mut self) {
        let mode = KubeVipMode::Bgp { asn: 1, peers: Vec::new() };
        self.cluster.site.balancing = Some(Balancing::KubeVip(KubeVip {
            mode,
            address: "192.0.2.100".parse().unwrap(),
            port: 6443,
            interface: None,
            image: String::new(),
            load_balancer: true,
        }));
    }
}

/// A difference from a healthy host, and the findings that come of it.
type Row = (fn(&mut Case), &'static [&'static str]);

const ROWS: &[Row] = &[
    (|_| (), &[]),
    (
        |case| {
            case.facts.checks.programs =
                Some(["losetup", "mount", "cp", "haproxy"].map(str::to_owned).into());
        },
        &[
            "E EndpointPrograms: keepalived not found in system path; this host is to keep the endpoint alive; \
               `apt-get install keepalived` (or dnf, zypper), or spec.endpoint.runAs: static-pod",
        ],
    ),
    (
        |case| {
            case.facts.checks.programs = Some(["losetup", "mount", "cp"].map(str::to_owned).into());
            case.keepalived().run_as = RunAs::StaticPod;
        },
        &[],
    ),
    // It becomes ours, or is already.
    (|case| case.listen(8443, "haproxy"), &[]),
    (
        |case| case.listen(8443, "nginx"),
        &[
            "E Port-8443: Port 8443 is in use, and HAProxy needs it; stop `nginx` (process 7), or choose another port \
               under spec.endpoint",
        ],
    ),
    (
        |case| case.listen(8404, "nginx"),
        &[
            "E Port-8404: Port 8404 is in use, and HAProxy needs it; stop `nginx` (process 7), or choose another port \
               under spec.endpoint",
        ],
    ),
    (
        |case| case.keepalived().interface = Some("bond0".to_owned()),
        &[
            "E EndpointInterface: there is no interface bond0, which is to have the endpoint's address; name one of \
               eth0 for this host under spec.endpoint",
        ],
    ),
    (
        |case| {
            case.keepalived().interface = Some("bond0".to_owned());
            case.keepalived().interfaces.insert("cp1".to_owned(), "eth0".to_owned());
        },
        &[],
    ),
    (
        |case| {
            case.facts.checks.selinux.enforcing = Some(true);
            case.facts.checks.selinux.container_policy = true;
            "SELINUX=enforcing\n".clone_into(&mut case.facts.checks.selinux.config);
            case.facts.checks.selinux.haproxy_connect_any = Some(false);
        },
        &[
            "E EndpointSELinux: SELinux does not let HAProxy connect to API servers: haproxy_connect_any is off; \
               `setsebool -P haproxy_connect_any 1`",
        ],
    ),
    (
        |case| {
            case.facts
                .checks
                .services
                .insert("firewalld".to_owned(), Service { active: Some(true), enabled: true });
            let open = ["6443/tcp", "10250/tcp"].map(str::to_owned);
            case.facts.checks.firewall.firewalld_open = Some(open.into());
        },
        &[
            "W Firewalld: firewalld is active, please ensure ports [6443 10250] are open or your cluster may not \
                 function correctly; `firewall-cmd --permanent --add-port=6443/tcp --add-port=10250/tcp && firewall-cmd \
                 --reload`",
            "W FirewallPorts: firewalld does not let in ports 8443 and the protocol vrrp; `firewall-cmd --permanent \
                 --add-port=8443/tcp --add-protocol=vrrp && firewall-cmd --reload`",
        ],
    ),
    (
        Case::kube_vip,
        &[
            "E EndpointModules: kube-vip cannot share connections: kernel modules are not loaded: ip_vs ip_vs_rr; \
               `modprobe -a ip_vs ip_vs_rr`, and name them in /etc/modules-load.d/kube-vip.conf",
        ],
    ),
    (
        |case| {
            case.kube_vip();
            case.facts.checks.modules.present.extend(["ip_vs", "ip_vs_rr"].map(str::to_owned));
        },
        &[],
    ),
    // A host that does not balance is not asked for any of this.
    (
        |case| {
            let mut other = case.cluster.nodes[0].clone();
            (other.name, other.roles) = ("lb1".to_owned(), vec![Role::LoadBalancer]);
            case.cluster.nodes.push(other);
            case.facts.checks.programs = Some(["losetup", "mount", "cp"].map(str::to_owned).into());
            case.listen(8443, "nginx");
        },
        &[],
    ),
];

#[test]
fn a_balancer_has_what_it_needs() {
    for (number, (change, expected)) in ROWS.iter().enumerate() {
        let mut case = Case::healthy();
        change(&mut case);
        assert_eq!(case.told(), *expected, "row {number}");
    }
}

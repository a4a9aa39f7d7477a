//! Our checks beside those of a real kubeadm on the machine that the tests run on.

#![expect(clippy::disallowed_methods, reason = "the test runs kubeadm")]

use crate::bare_host::BareHost;
use crate::fixture;
use crate::skip::skip;
use kubewright::facts::ClusterFacts;
use kubewright::facts::Questions;
use kubewright::facts::gather;
use kubewright::preflight;
use kubewright::preflight::EtcdVersions;
use kubewright::preflight::Ignore;
use kubewright::preflight::Severity;
use kubewright::preflight::Subject;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::Command;

/// kubeadm's own names; ours beside them are not compared.
const PREFIXES: [&str; 5] = ["Port-", "FileAvailable-", "FileExisting-", "FileContent-", "DirAvailable-"];
const NAMES: [&str; 14] = [
    "IsPrivilegedUser",
    "NumCPU",
    "Mem",
    "KubernetesVersion",
    "Firewalld",
    "HTTPProxy",
    "HTTPProxyCIDR",
    "CRI",
    "ContainerRuntimeVersion",
    "Swap",
    "SystemVerification",
    "Hostname",
    "KubeletVersion",
    "Service-kubelet",
];

fn is_kubeadms(name: &str) -> bool {
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// `[WARNING Name]: …` and `[ERROR Name]: …` as (severity, name).
fn told_by_kubeadm(text: &str) -> BTreeSet<(String, String)> {
    let line = |line: &str| {
        let (severity, name) = line.trim().strip_prefix('[')?.split_once("]: ")?.0.split_once(' ')?;
        ["WARNING", "ERROR"].contains(&severity).then(|| (severity.to_owned(), name.to_owned()))
    };
    text.lines().filter_map(line).collect()
}

#[test]
fn agrees_with_a_real_kubeadm_on_this_machine() {
    let Ok(kube) = std::env::var("KUBEWRIGHT_TEST_KUBE") else {
        skip(
            "agrees_with_a_real_kubeadm_on_this_machine",
            "KUBEWRIGHT_TEST_KUBE names no directory with kubeadm and kubelet",
        );
        return;
    };
    // A port that is certainly taken, so that there is an error to agree on.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut cluster = fixture::cluster();
    cluster.nodes[0].bind_port = taken.local_addr().unwrap().port();
    cluster.nodes[0].cri_socket = "unix:///nowhere/containerd.sock".to_owned();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kubeadm.yaml");
    let config = format!(
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint:\n  advertiseAddress: \
         192.0.2.10\n  bindPort: {}\nnodeRegistration:\n  name: cp1\n  criSocket: {}\n---\napiVersion: \
         kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.36.2\nnetworking:\n  podSubnet: \
         10.244.0.0/16\n",
        cluster.nodes[0].bind_port, cluster.nodes[0].cri_socket
    );
    std::fs::write(&file, config).unwrap();
    let path = format!("{kube}:{}", std::env::var("PATH").unwrap_or_default());
    let kubeadm = Command::new(format!("{kube}/kubeadm"))
        .args(["init", "phase", "preflight", "--dry-run", "--config"])
        .arg(&file)
        .env("PATH", &path)
        .output()
        .unwrap();
    let theirs = told_by_kubeadm(&String::from_utf8_lossy(&kubeadm.stderr));
    assert!(!theirs.is_empty(), "kubeadm said: {}", String::from_utf8_lossy(&kubeadm.stderr));

    let environment: BTreeMap<String, String> = std::env::vars().collect();
    let questions = Questions::for_node(&cluster, &cluster.nodes[0], &[]).local(environment);
    let facts = gather::gather(&BareHost::with_path(&path), &questions).unwrap();
    let subject = Subject {
        cluster: &cluster,
        node: &cluster.nodes[0],
        facts: &facts,
        images: &[],
        ours: &BTreeSet::new(),
        running_ours: false,
        prepare: false,
        etcd: &EtcdVersions::new(),
        running: &ClusterFacts::default(),
    };
    let report = preflight::run(&preflight::init_checks(&subject), &subject, &Ignore::default());
    let label = |severity| if severity == Severity::Error { "ERROR" } else { "WARNING" };
    let ours: BTreeSet<(String, String)> = report
        .findings
        .iter()
        .filter(|finding| is_kubeadms(&finding.check))
        .map(|finding| (label(finding.severity).to_owned(), finding.check.clone()))
        .collect();
    assert_eq!(ours, theirs, "kubeadm said: {}", String::from_utf8_lossy(&kubeadm.stderr));
}

//! A version for a cluster that runs: how far its control planes may go, and what its kubelets allow. These are
//! kubeadm's rules for an upgrade and upstream's policy of version skew; only a control plane never goes back, not even
//! by a patch.

use crate::cluster::Cluster;
use crate::cluster::KubeVersion;
use crate::facts::ClusterFacts;
use crate::preflight::Check;
use crate::preflight::Ignore;
use crate::preflight::Problem;
use crate::preflight::Report;
use crate::preflight::Subject;
use crate::preflight::fleet::listed;
use crate::preflight::host;
use std::collections::BTreeMap;

/// So many minor versions may a kubelet be older than an API server.
const KUBELETS_BEHIND: u64 = 3;

/// The names that `--ignore-preflight-errors` takes.
pub(super) const DOWNGRADE: &str = "VersionDowngrade";
pub(super) const STEP: &str = "VersionStep";
pub(super) const KUBELET_SKEW: &str = "KubeletSkew";

/// What a run that moves control planes is judged by.
pub(super) fn checks() -> [Check; 3] {
    [
        Check::new(DOWNGRADE, |subject, _| back(subject.cluster, subject.running)),
        Check::new(STEP, |subject, _| step(subject.cluster, subject.running)),
        Check::new(KUBELET_SKEW, |subject, _| kubelets(subject.cluster, subject.running)),
    ]
}

/// What a worker is judged by that joins, or has joined, by itself.
pub(super) fn check_of_worker() -> Check {
    Check::new(KUBELET_SKEW, of_worker)
}

/// The version alone, for whoever only plans.
pub fn judge(about: &str, cluster: &Cluster, running: &ClusterFacts, ignore: &Ignore) -> Report {
    let mut report = Report::new(about);
    report.add(DOWNGRADE, back(cluster, running), false, ignore);
    report.add(STEP, step(cluster, running), false, ignore);
    report.add(KUBELET_SKEW, kubelets(cluster, running), false, ignore);
    report
}

/// No API server is newer than what is wanted.
pub(super) fn back(cluster: &Cluster, running: &ClusterFacts) -> Vec<Problem> {
    let wanted = &cluster.version;
    let newer = versions(running, |version| version > wanted);
    let Some(newest) = newer.keys().next_back() else { return Vec::new() };
    let problem =
        Problem::error(format!("{wanted} is older than what runs already: kube-apiserver {}", told(&newer)));
    let repair = format!(
        "write `kubernetesVersion: {newest}` or a newer one: a control plane does not go back, since an older API server \
         may not read what a newer one has stored; a copy of etcd from before brings the older cluster back"
    );
    vec![problem.repair(repair).between(hosts(&newer))]
}

/// One minor version at a time.
pub(super) fn step(cluster: &Cluster, running: &ClusterFacts) -> Vec<Problem> {
    let wanted = &cluster.version;
    let behind = versions(running, |version| minor(wanted) > minor(version).next());
    let Some(oldest) = behind.keys().next() else { return Vec::new() };
    let problem = Problem::error(format!(
        "{wanted} is more than one minor version away: kube-apiserver {}",
        told(&behind)
    ));
    let next = minor(oldest).next();
    let repair = format!("go to {next} first, with all control planes, and from there on");
    vec![problem.repair(repair).between(hosts(&behind))]
}

/// No kubelet is newer than the API servers will be, and none too old for them.
pub(super) fn kubelets(cluster: &Cluster, running: &ClusterFacts) -> Vec<Problem> {
    let wanted = &cluster.version;
    let mut versions: BTreeMap<KubeVersion, Vec<&str>> = BTreeMap::new();
    for node in &running.nodes {
        if let Ok(version) = node.kubelet_version.parse() {
            versions.entry(version).or_default().push(&node.name);
        }
    }
    let those = |wrong: &dyn Fn(&KubeVersion) -> bool| {
        let mut wrongs = versions.clone();
        wrongs.retain(|version, _| wrong(version));
        Some(wrongs).filter(|wrongs| !wrongs.is_empty())
    };
    let mut problems = Vec::new();
    if let Some(newer) = those(&|version| minor(version) > minor(wanted)) {
        let text = format!("the kubelets {} are newer than kube-apiserver {wanted}", told(&newer));
        let repair = format!("no kubelet may be: install {wanted} on these hosts, or go to their version");
        problems.push(Problem::error(text).repair(repair).between(hosts(&newer)));
    }
    let oldest = Minor(wanted.0.major, wanted.minor().saturating_sub(KUBELETS_BEHIND));
    if let Some(older) = those(&|version| minor(version) < oldest) {
        let text = format!("the kubelets {} are too old for kube-apiserver {wanted}", told(&older));
        let repair = format!("bring them to {oldest} or a newer one before the control planes move");
        problems.push(Problem::error(text).repair(repair).between(hosts(&older)));
    }
    problems
}

/// It moves no API server, so that none may be older than its kubelet will be.
fn of_worker(subject: &Subject, _: &str) -> Vec<Problem> {
    let cluster = subject.cluster;
    let brought = subject.prepare && host::brings_kubelet(subject);
    let here = subject.facts.checks.kubelet.version();
    let Some(kubelet) = here.filter(|_| !brought).or_else(|| brought.then(|| cluster.version.clone())) else {
        return Vec::new();
    };
    let older = versions(subject.running, |version| minor(version) < minor(&kubelet));
    Problem::when(!older.is_empty(), || {
        Problem::error(format!(
            "the kubelet {kubelet} would be newer than what it talks to: kube-apiserver {}",
            told(&older)
        ))
        .repair("first bring every control plane to that version")
    })
}

/// The API servers whose version is such, by version.
fn versions(running: &ClusterFacts, such: impl Fn(&KubeVersion) -> bool) -> BTreeMap<KubeVersion, Vec<&str>> {
    let mut groups: BTreeMap<KubeVersion, Vec<&str>> = BTreeMap::new();
    for (host, version) in running.api_servers.iter().filter(|(_, version)| such(version)) {
        groups.entry(version.clone()).or_default().push(host);
    }
    groups
}

/// `v1.36.2 (cp1 and cp2), v1.36.3 (cp3)`
fn told(groups: &BTreeMap<KubeVersion, Vec<&str>>) -> String {
    let each = groups.iter().map(|(version, hosts)| format!("{version} ({})", listed(hosts)));
    each.collect::<Vec<_>>().join(", ")
}

fn hosts<'a>(groups: &BTreeMap<KubeVersion, Vec<&'a str>>) -> Vec<&'a str> {
    groups.values().flatten().copied().collect()
}

/// A version without its patch; prints with its leading `v`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Minor(u64, u64);

impl Minor {
    fn next(self) -> Self {
        Self(self.0, self.1 + 1)
    }
}

impl std::fmt::Display for Minor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "v{}.{}", self.0, self.1)
    }
}

fn minor(version: &KubeVersion) -> Minor {
    Minor(version.0.major, version.minor())
}

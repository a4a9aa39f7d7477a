//! A new version for a cluster that runs, with real programs of two versions: `apply` and the playbook.

use crate::apply::all_ready;
use crate::estate;
use crate::estate::Layout;
use crate::estate::Operator;
use crate::estate::name;
use crate::lab;
use crate::lab::CONFIG;
use crate::lab::Host;
use crate::playbooks;
use crate::playbooks::play;
use crate::playbooks::stripped;
use crate::skip::skip;
use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const IMAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/images");
/// Their tag is the version.
const COMPONENTS: [&str; 4] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"];

/// Programs of a version.
struct Release {
    directory: PathBuf,
    /// `v1.36.2`
    version: String,
}

impl Release {
    fn at(directory: PathBuf) -> Self {
        let said = Command::new(directory.join("kubelet")).arg("--version").output().unwrap().stdout;
        let version = String::from_utf8(said).unwrap().trim().trim_start_matches("Kubernetes ").to_owned();
        Self { directory, version }
    }

    /// What hosts are made of, and what comes after it; `None` says why.
    fn both(test: &str) -> Option<[Self; 2]> {
        let Some(next) = std::env::var_os("KUBEWRIGHT_TEST_KUBE_NEXT") else {
            skip(test, "KUBEWRIGHT_TEST_KUBE_NEXT names no directory of binaries of a later version");
            return None;
        };
        let now = std::env::var_os("KUBEWRIGHT_TEST_KUBE").unwrap_or_default();
        Some([now, next].map(|directory| Self::at(PathBuf::from(directory))))
    }

    /// A directory to prepare hosts from: the kubelet, and the images that hosts of the lab have not.
    fn stock(&self, directory: &Path, with_images: bool) {
        let images = directory.join("images");
        std::fs::create_dir_all(&images).unwrap();
        std::fs::copy(self.directory.join("kubelet"), directory.join("kubelet")).unwrap();
        if with_images {
            let made = tempfile::TempDir::new().unwrap();
            let base = Path::new(&lab::directory()).join("base");
            let done = Command::new(IMAGES)
                .arg(base)
                .arg(made.path())
                .env("KUBEWRIGHT_TEST_KUBE", &self.directory)
                .output()
                .unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            for component in COMPONENTS {
                let archive = format!("{component}.tar");
                std::fs::copy(made.path().join(&archive), images.join(&archive)).unwrap();
            }
        }
    }
}

/// The file of three control planes and a worker that are prepared from a directory.
fn file(version: &str, directory: &str) -> String {
    let text = Layout::of(&[1, 2, 3], &[4]).yaml();
    let replaced = |text: String, from: &str, to: &str| {
        assert!(text.contains(from), "{from} is not in\n{text}");
        text.replacen(from, to, 1)
    };
    let stated = CONFIG.lines().find(|line| line.starts_with("kubernetesVersion:")).unwrap();
    let text = replaced(text, stated, &format!("kubernetesVersion: {version}"));
    replaced(text, "artifacts: {source: none}", &format!("artifacts: {{directory: {directory}}}"))
}

/// When a program of a host was started, in hundredths of a second since the machine was: hosts share its kernel.
fn started(host: &Host, program: &str) -> u64 {
    let line = format!("cut -d ' ' -f 22 /proc/$(pgrep -ox {program})/stat");
    host.ok(&line).trim().parse().unwrap()
}

/// Control planes have moved one after the other, each with its kubelet, and the worker after them.
#[track_caller]
fn assert_moved_in_order(hosts: &[Host]) {
    let (control_planes, worker) = (&hosts[..3], &hosts[3]);
    let servers: Vec<u64> = control_planes.iter().map(|host| started(host, "kube-apiserver")).collect();
    let kubelets: Vec<u64> = hosts.iter().map(|host| started(host, "kubelet")).collect();
    assert!(servers.is_sorted() && kubelets.is_sorted(), "API servers {servers:?}, kubelets {kubelets:?}");
    for number in 1..3 {
        assert!(kubelets[number] > servers[number - 1], "{kubelets:?} {servers:?}");
    }
    assert!(started(worker, "kubelet") > servers[2], "{kubelets:?} {servers:?}");
}

/// Everything says that it is of this version.
#[track_caller]
fn assert_version(hosts: &[Host], version: &str) {
    for (index, host) in hosts[..3].iter().enumerate() {
        let said = host.kubectl(&format!("get --raw /version --server https://10.77.0.12{}:6443", index + 1));
        assert!(said.contains(&format!("\"gitVersion\": \"{version}\"")), "{said}");
    }
    let kubelets = hosts[0].kubectl("get nodes -o jsonpath={.items[*].status.nodeInfo.kubeletVersion}");
    assert_eq!(kubelets, [version; 4].join(" "));
    let image = "-n kube-system get ds kube-proxy -o jsonpath={.spec.template.spec.containers[0].image}";
    assert_eq!(hosts[0].kubectl(image), format!("registry.k8s.io/kube-proxy:{version}"));
    hosts[0].kubectl("-n kube-system rollout status ds/kube-proxy --timeout 90s");
}

#[test]
fn apply_moves_control_planes_first_and_nothing_back() {
    let test = "upgrade::apply_moves_control_planes_first_and_nothing_back";
    if !lab::available(test) {
        return;
    }
    let Some([old, new]) = Release::both(test) else { return };
    let _turn = estate::TURN.take();
    let operator = Operator::new();
    let hosts = operator.hosts(&[1, 2, 3, 4]);
    let stock = operator.path("stock");
    let apply = |version: &str| {
        operator.write_text(&file(version, &stock.display().to_string()));
        operator.run(&["apply", "-f", "cluster.yaml", "--yes"])
    };
    old.stock(&stock, false);
    let founded = apply(&old.version);
    assert_eq!(founded.code, 0, "{}", founded.text());
    hosts[0].settled();
    assert_version(&hosts, &old.version);

    new.stock(&stock, true);
    let moved = apply(&new.version);
    assert_eq!(moved.code, 0, "{}", moved.text());
    println!("{}", moved.stderr.lines().last().unwrap_or_default());
    assert_moved_in_order(&hosts);
    hosts[0].settled();
    assert_version(&hosts, &new.version);
    let again = apply(&new.version);
    assert!(again.text().contains(": 0 changed"), "{}", again.text());

    // Neither plan nor apply goes back; every host is named.
    let back = apply(&old.version);
    let planned = operator.run(&["plan", "-f", "cluster.yaml"]);
    for refused in [back, planned] {
        assert_eq!(refused.code, 4, "{}", refused.text());
        let named = format!("kube-apiserver {} ({}, {} and {})", new.version, name(1), name(2), name(3));
        assert!(refused.text().contains("VersionDowngrade"), "{}", refused.text());
        assert!(refused.text().contains(&named), "{}", refused.text());
    }
    assert_version(&hosts, &new.version);
}

/// Two pods that only the worker may have, and of which none may go while the budget is there.
const WORKLOAD: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: busy}
spec:
  replicas: 2
  selector: {matchLabels: {app: busy}}
  template:
    metadata: {labels: {app: busy}}
    spec: {containers: [{name: pause, image: 'registry.k8s.io/pause:3.10.2'}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: busy}
spec: {maxUnavailable: 0, selector: {matchLabels: {app: busy}}}
";

fn is_cordoned(speaker: &Host, number: usize) -> bool {
    let node = format!("get node {} -o jsonpath={{.spec.unschedulable}}", name(number));
    speaker.kubectl(&node) == "true"
}

#[test]
fn the_playbook_moves_a_cluster_drains_its_hosts_and_goes_on_where_it_stopped() {
    let test = "upgrade::the_playbook_moves_a_cluster_drains_its_hosts_and_goes_on_where_it_stopped";
    if !playbooks::available(test) {
        return;
    }
    let Some([old, new]) = Release::both(test) else { return };
    let _turn = estate::TURN.take();
    let operator = Operator::new();
    let hosts = operator.hosts(&[1, 2, 3, 4]);
    stripped(&operator);
    let stock = operator.path("stock");
    let hand_out = || {
        let kubelet = stock.join("kubelet");
        for host in &hosts {
            host.ok("rm -rf /root/stock && mkdir -p /root/stock/images");
            host.put(&kubelet, "/root/stock/");
            for archive in std::fs::read_dir(stock.join("images")).unwrap() {
                host.put(&archive.unwrap().path(), "/root/stock/images/");
            }
        }
    };
    old.stock(&stock, false);
    hand_out();
    operator.write_text(&file(&old.version, "/root/stock"));
    let upgrade = |more: &[&str]| play(&operator, "upgrade.yml", more);
    let none = upgrade(&[]);
    assert!(!none.well && none.said.contains("up.yml begins one"), "{}", none.said);
    play(&operator, "up.yml", &[]).ok();
    all_ready(&hosts[0], &[1, 2, 3, 4]);
    upgrade(&[]).ok().assert_nothing_changed();
    assert_version(&hosts, &old.version);
    hosts[0].write("/root/busy.yaml", WORKLOAD);
    hosts[0].kubectl("create --validate=false -f /root/busy.yaml");
    hosts[0].kubectl("rollout status deployment/busy --timeout 60s");
    // An operator's own cordon stays.
    hosts[0].kubectl(&format!("cordon {}", name(3)));

    new.stock(&stock, true);
    hand_out();
    operator.write_text(&file(&new.version, "/root/stock"));
    // Looking changes nothing, and says who would move.
    let dry = upgrade(&["--check", "--diff"]).ok();
    assert!(dry.changed().values().all(|count| *count > 0), "{}", dry.said);
    let server = |version: &str| format!("image: registry.k8s.io/kube-apiserver:{version}");
    assert!(dry.said.contains(&format!("+    {}", server(&new.version))), "{}", dry.said);
    assert!(dry.said.contains(&format!("{} would follow the control planes", name(4))), "{}", dry.said);
    assert_version(&hosts, &old.version);
    assert_eq!(hosts[0].run("ls /var/backups/kubewright").code, 2);
    // A worker alone would overtake them.
    let alone = upgrade(&["--limit", name(4)]);
    assert!(!alone.well && alone.said.contains("before the API servers of"), "{}", alone.said);

    // The budget lets no pod of the worker go, which stops it, cordoned; the control planes have moved.
    let quick =
        "{\"kubewright_drain\": [\"--ignore-daemonsets\", \"--delete-emptydir-data\", \"--timeout=10s\"]}";
    let stopped = upgrade(&["-e", quick]);
    assert!(!stopped.well, "{}", stopped.said);
    let message = format!("`kubectl uncordon {}`", name(4));
    assert!(stopped.said.contains(&message) && stopped.said.contains("busy"), "{}", stopped.said);
    assert_eq!([1, 2, 3, 4].map(|number| is_cordoned(&hosts[0], number)), [false, false, true, true]);
    let kubelets = hosts[0].kubectl("get nodes -o jsonpath={.items[*].status.nodeInfo.kubeletVersion}");
    assert_eq!(kubelets, [&*new.version, &new.version, &new.version, &old.version].join(" "));
    let copies = hosts[0].ok("stat -c '%a' /var/backups/kubewright/*.db");
    assert_eq!(copies, "600\n");

    // It goes on there, and only there.
    hosts[0].kubectl("delete pdb busy");
    let went_on = upgrade(&[]).ok();
    let changed = went_on.changed();
    let moved: Vec<&str> = changed.iter().filter(|(_, count)| **count > 0).map(|(host, _)| *host).collect();
    assert_eq!(moved, [name(4)], "{}", went_on.said);
    assert_eq!(hosts[0].ok("ls /var/backups/kubewright | wc -l"), "1\n", "one copy, before anything moved");
    assert_moved_in_order(&hosts);
    assert_version(&hosts, &new.version);
    assert_eq!([1, 2, 3, 4].map(|number| is_cordoned(&hosts[0], number)), [false, false, true, false]);
    let annotations = hosts[0].kubectl("get nodes -o jsonpath={.items[*].metadata.annotations}");
    assert!(!annotations.contains("kubewright.dev/cordoned"), "{annotations}");
    hosts[0].kubectl("rollout status deployment/busy --timeout 90s");
    all_ready(&hosts[0], &[1, 2, 3, 4]);
    let again = upgrade(&[]).ok();
    assert_eq!(
        again.changed(),
        BTreeMap::from([1, 2, 3, 4].map(|number| (name(number), 0))),
        "{}",
        again.said
    );
    // What else is there agrees that nothing is left.
    play(&operator, "up.yml", &[]).ok().assert_nothing_changed();
    hosts[0].until(Duration::from_mins(1), &format!("curl -sk https://{}:8443/readyz", estate::VIP));
}

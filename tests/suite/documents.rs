//! What must be true of every document of every scenario.

use crate::support::documents;
use crate::support::documents::Setting;
use crate::support::scenario;
use crate::support::scenario::Scenario;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kubewright::cluster::Cluster;
use kubewright::cluster::Layout;
use kubewright::cluster::kubeadm::Arg;
use kubewright::kube::Change;
use kubewright::kube::Only;
use kubewright::kube::differences;
use kubewright::kube::static_pod::SigningKeys;

#[test]
fn five_chains_differ_from_kubeadm_by_what_is_listed_and_no_more() {
    for name in scenario::of_any_layout().into_iter().filter(|name| !name.starts_with("join-")) {
        let load = |layout| Scenario::load(&name, Some(layout));
        let (kubeadm, five) = (load(Layout::Kubeadm), load(Layout::Five));
        // Which keys are at hand is another matter than the layout.
        let setting = Setting { signing: SigningKeys::default(), ..five.setting() };
        let before = documents::all(&kubeadm.cluster, &setting);
        let after = documents::all(&five.cluster, &setting);
        assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
        let mut found: Vec<String> =
            before.iter().flat_map(|(name, text)| changes(name, text, &after[name])).collect();
        let mut listed = listed(&kubeadm.cluster);
        found.sort();
        listed.sort();
        assert_eq!(found, listed, "{name}");
    }
}

/// Every line that one of two texts has and the other has not.
fn changes(document: &str, before: &str, after: &str) -> Vec<String> {
    let diff = similar::TextDiff::from_lines(before, after);
    let line = |change: similar::Change<&str>| {
        let sign = match change.tag() {
            similar::ChangeTag::Insert => '+',
            similar::ChangeTag::Delete => '-',
            similar::ChangeTag::Equal => return None,
        };
        Some((sign, change.value().trim().to_owned()))
    };
    let changed: Vec<(char, String)> = diff.iter_all_changes().filter_map(line).collect();
    let shown = |(sign, text): &(char, String)| format!("{document}: {sign} {}", shortened(text));
    changed.iter().map(shown).collect()
}

/// A line as the list names it: without the value of a hash, a hole or a path that differs.
fn shortened(line: &str) -> &str {
    for prefix in ["kubeadm.kubernetes.io/component-config.hash: ", "- --peer-trusted-ca-file="] {
        if line.starts_with(prefix) {
            return prefix;
        }
    }
    match line.split_once(": ") {
        Some((_, value)) if value.ends_with("encrypted>") => &line[..line.len() - value.len() - 1],
        _ => line,
    }
}

fn listed(cluster: &Cluster) -> Vec<String> {
    let mut lines = Vec::new();
    for difference in differences() {
        let hash_of_the_operators = difference.change
            == Change::Alters("kubeadm.kubernetes.io/component-config.hash: ")
            && cluster.kubelet.user_supplied;
        let shows = match difference.only_with {
            Only::Anywhere => true,
            Only::OwnEtcd => cluster.has_local_etcd(),
            Only::StackedEtcd => cluster.has_stacked_etcd(),
        };
        if !shows || hash_of_the_operators {
            continue;
        }
        let pki = cluster.certificates_dir();
        let line = |sign: char, text: &str| {
            format!("{}: {sign} {}", difference.document, text.replace("<pki>", pki))
        };
        match difference.change {
            Change::Adds(text) => lines.push(line('+', text)),
            Change::Removes(text) => lines.push(line('-', text)),
            Change::Alters(text) => lines.extend([line('-', text), line('+', text)]),
        }
        assert!(!difference.why.is_empty());
    }
    lines
}

#[test]
fn the_operators_one_signing_authority_excludes_ours_for_each_signer() {
    let Scenario { mut cluster, .. } = Scenario::load("single-node", None);
    let setting = Setting::of_host("cp1");
    let name = "cluster-signing-cert-file".to_owned();
    let extra = &mut cluster.configuration.controller_manager.extra_args;
    extra.push(Arg { name, value: "/srv/ca.crt".to_owned() });
    let manifests = documents::manifests(&cluster, cluster.first_control_plane(), &setting);
    let signing: Vec<&str> = manifests["kube-controller-manager.yaml"]
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- --cluster-signing-"))
        .collect();
    assert_eq!(signing, ["key-file=/etc/kubernetes/pki/ca.key", "cert-file=/srv/ca.crt"]);
}

#[test]
fn no_object_holds_a_secret() {
    for scenario in scenario::all() {
        let secret = scenario.cluster.tokens[0].secret.expose();
        let shown = format!("{:?}", scenario.plan());
        for form in [secret.to_owned(), STANDARD.encode(secret)] {
            assert!(!shown.contains(&form), "{} shows a token's secret", scenario.name);
        }
    }
}

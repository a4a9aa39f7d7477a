//! What must be true of every plan, whatever it is for: a check on this program, not on its user.
//!
//! [`contradictions`] holds for any part of a plan and is cheap enough to ask always. [`unmet`] asks whether all that
//! a host's files name will be there, so it holds for whole plans only.

use crate::cluster::Cluster;
use crate::cluster::Node;
use crate::host::command::Word;
use crate::pki::CertName;
use crate::pki::Part;
use crate::pki::spec;
use crate::plan::Action;
use crate::plan::ApplyHow;
use crate::plan::ClientCredential;
use crate::plan::Content;
use crate::plan::FileSpec;
use crate::plan::JoiningManifest;
use crate::plan::MemberChange;
use crate::plan::ObjectRef;
use crate::plan::Place;
use crate::plan::Plan;
use crate::plan::Step;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;

/// A step that cannot be meant, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Its position in the plan, counted from zero.
    pub step: usize,
    pub phase: String,
    pub place: Place,
    pub subject: String,
    pub message: String,
}

/// A path that a later phase takes over from an earlier one.
const TAKE_OVERS: [(&str, &str); 4] = [
    ("kubelet-finalize/enable-client-cert-rotation", "/kubelet.conf"),
    ("kubelet-wait-bootstrap", "/bootstrap-kubelet.conf"),
    ("kube-vip-finalize", "/kube-vip.conf"),
    // What is left of a try that was withdrawn goes first.
    ("etcd-join", "/etcd.yaml"),
];

/// What a private key looks like in PEM, whatever its kind.
const PRIVATE_KEY: &str = "PRIVATE KEY-----";

/// Where what our own files name has to come from us.
const OURS: &str = "/etc/kubernetes";

/// Everything in a plan that contradicts itself, the table of certificates, or the rule that a plan holds no secret.
pub fn contradictions(plan: &Plan, cluster: &Cluster) -> Vec<Flaw> {
    let secrets = secrets(cluster);
    let mut owned: BTreeSet<(&Place, String)> = BTreeSet::new();
    let shown = |step: &Step| {
        let texts: Vec<String> = texts(&step.action).collect();
        secrets.iter().find(|secret| texts.iter().any(|text| secret.is_in(text)))
    };
    let nodes: Nodes<'_> = cluster.nodes.iter().map(|node| (node.name.as_str(), node)).collect();
    let written = written(plan);
    let mut flaws = Vec::new();
    for (index, step) in plan.steps.iter().enumerate() {
        let mut flaw = |message: String| flaws.push(Flaw::new(index, step, message));
        if let Place::Host(host) = &step.place
            && !nodes.contains_key(host.as_str())
        {
            flaw(format!("no host is called {host}"));
        }
        if let Some(subject) = owns(step)
            && !owned.insert((&step.place, subject))
            && !takes_over(step)
        {
            flaw("an earlier step makes the same thing".to_owned());
        }
        if let Some(secret) = shown(step) {
            flaw(format!("it shows {}", secret.what));
        }
        match &step.action {
            Action::File(file) => {
                content(cluster, &nodes, file).into_iter().for_each(&mut flaw);
                if let Content::Joining(JoiningManifest { peer_url, .. }) = &file.content
                    && !plan.steps[..index].iter().any(|other| announces(other, peer_url))
                {
                    flaw(format!("no earlier step announces {peer_url} to etcd"));
                }
            }
            Action::Service(service) => {
                let unmade = |path: &&String| !written.contains(&(&step.place, path.as_str()));
                for (verb, paths) in [("restarted", &service.restart_on), ("reloaded", &service.reload_on)] {
                    for path in paths.iter().filter(unmade) {
                        flaw(format!("it is {verb} when {path} changes, which no step of this host writes"));
                    }
                }
            }
            _ => {}
        }
    }
    for undo in &plan.undo {
        let begins = plan.steps.iter().position(|step| undo.concerns(step));
        for step in &undo.steps {
            let mut flaw = |message: &str| {
                flaws.push(Flaw::new(begins.unwrap_or(plan.steps.len()), step, message.to_owned()));
            };
            if begins.is_none() || !undo.concerns(step) {
                flaw("it undoes a phase that the plan does not have at this place");
            }
            if let Some(secret) = shown(step) {
                flaw(&format!("it shows {}", secret.what));
            }
        }
    }
    flaws
}

fn announces(step: &Step, wanted: &str) -> bool {
    matches!(&step.action, Action::Member(spec) if spec.change == MemberChange::Announce && spec.peer_url == wanted)
}

/// Everything under our directories that a static pod, a kubeconfig or a kubelet's configuration names and that
/// neither a step of its host writes nor `exists` (host, path) knows. What the operator's own configuration names is
/// the operator's to provide.
pub fn unmet(plan: &Plan, cluster: &Cluster, exists: &dyn Fn(&str, &str) -> bool) -> Vec<Flaw> {
    let theirs = operators_words(cluster);
    let written = written(plan);
    let mut flaws = Vec::new();
    for (index, step) in plan.steps.iter().enumerate() {
        let (Place::Host(host), Action::File(file)) = (&step.place, &step.action) else { continue };
        for path in named_by(&file.content) {
            let ours = path.starts_with(&format!("{OURS}/"))
                || path.starts_with(&format!("{}/", cluster.certificates_dir()))
                || path.starts_with(spec::KUBELET_STORE);
            let there = || written.contains(&(&step.place, path.as_str())) || exists(host, &path);
            if ours && !theirs.contains(&path) && !there() {
                flaws.push(Flaw::new(index, step, format!("it names {path}, which nobody makes")));
            }
        }
    }
    flaws
}

/// What a step makes, of which there can be one only.
fn owns(step: &Step) -> Option<String> {
    match &step.action {
        Action::File(FileSpec { path, .. })
        | Action::Directory { path, .. }
        | Action::Link { path, .. }
        | Action::Absent { path } => Some(path.clone()),
        Action::Artifact(spec) => Some(spec.marker.clone()),
        Action::Key(spec) => Some(spec.path.clone()),
        Action::Object(spec) if spec.how != ApplyHow::MarkNode => {
            Some(ObjectRef::of(&spec.object.value)).map(|object| format!("{object:?}"))
        }
        _ => None,
    }
}

fn takes_over(step: &Step) -> bool {
    // What an add-on has is noted before, and what is left of it after others have gone.
    if step.phase == "addon/prune" {
        return true;
    }
    TAKE_OVERS.iter().any(|(phase, file)| step.phase == *phase && step.subject().ends_with(file))
}

/// What is written, and where.
fn written(plan: &Plan) -> BTreeSet<(&Place, &str)> {
    let written = plan.steps.iter().filter_map(|step| {
        let path = match &step.action {
            Action::File(FileSpec { path, .. })
            | Action::Link { path, .. }
            | Action::Directory { path, .. } => path,
            Action::Artifact(spec) => &spec.marker,
            _ => return None,
        };
        Some((&step.place, path.as_str()))
    });
    written.collect()
}

/// The nodes of a cluster by name.
type Nodes<'a> = BTreeMap<&'a str, &'a Node>;

fn content(cluster: &Cluster, nodes: &Nodes<'_>, file: &FileSpec) -> Vec<String> {
    let mut flaws = Vec::new();
    let (node, cert, is_key) = match &file.content {
        Content::Text(_) | Content::Joining(_) => return flaws,
        Content::BootstrapKubeconfig { .. } => {
            if file.mode & !0o600 != 0 {
                flaws.push(format!("credentials with mode {:04o}, wider than 0600", file.mode));
            }
            return flaws;
        }
        Content::Downloaded { path } => {
            let external = cluster.configuration.etcd.external.as_ref();
            if external.is_some_and(|etcd| etcd.key_file == *path) && file.mode & !0o600 != 0 {
                flaws.push(format!("a private key with mode {:04o}, wider than 0600", file.mode));
            }
            return flaws;
        }
        Content::Pki { node, cert, part } => (node, *cert, matches!(part, Part::Key | Part::Pair)),
        Content::Kubeconfig(spec) => match spec.client {
            ClientCredential::Embedded(cert) => (&spec.node, cert, true),
            ClientCredential::File(_) => (&spec.node, CertName::KubeletClient, true),
        },
    };
    match nodes.get(node.as_str()) {
        None => flaws.push(format!("it is for {node}, which is no host of the cluster")),
        Some(node) if !spec::is_needed(cluster, node, cert) => {
            flaws.push(format!("{} has no certificate {cert}", node.name));
        }
        Some(_) => {}
    }
    // Two users without root share the key of service accounts, through a group that holds nobody else.
    let shared = cert == CertName::ServiceAccount && cluster.is_rootless() && file.owner.is_some();
    let allowed = if shared { 0o640 } else { 0o600 };
    if is_key && file.mode & !allowed != 0 {
        flaws.push(format!("a private key with mode {:04o}, wider than {allowed:04o}", file.mode));
    }
    flaws
}

/// Something that no step may show.
struct Secret {
    what: String,
    forms: Vec<String>,
}

impl Secret {
    fn is_in(&self, text: &str) -> bool {
        self.forms.iter().any(|form| text.contains(form.as_str()))
    }
}

fn secrets(cluster: &Cluster) -> Vec<Secret> {
    let forms = |text: &str| vec![text.to_owned(), STANDARD.encode(text)];
    let tokens = cluster.tokens.iter().map(|token| Secret {
        what: format!("the secret of the token {}", token.id),
        forms: forms(token.secret.expose()),
    });
    let key = cluster
        .certificate_key
        .iter()
        .map(|key| Secret { what: "the certificate key".to_owned(), forms: forms(key.expose()) });
    let pem = Secret { what: "a private key".to_owned(), forms: vec![PRIVATE_KEY.to_owned()] };
    tokens.chain(key).filter(|secret| secret.forms.iter().all(|form| !form.is_empty())).chain([pem]).collect()
}

/// Every text of a step that is shown, saved or compared.
fn texts(action: &Action) -> impl Iterator<Item = String> {
    let mut texts = Vec::new();
    match action {
        Action::File(FileSpec { content, .. }) => texts.extend(content.text().map(str::to_owned)),
        Action::Object(spec) => texts.push(spec.object.value.to_string()),
        Action::Run(run) => {
            for command in std::iter::once(&run.command).chain(&run.unless) {
                let words = command.args.iter().chain(command.env.iter().map(|(_, word)| word));
                texts.extend(
                    words.filter(|word| matches!(word, Word::Plain(_))).map(|word| word.expose().to_owned()),
                );
            }
        }
        _ => {}
    }
    texts.into_iter()
}

/// The absolute paths that a file's content names.
fn named_by(content: &Content) -> Vec<String> {
    match content {
        Content::Kubeconfig(spec) => match &spec.client {
            ClientCredential::File(path) => vec![path.clone()],
            ClientCredential::Embedded(_) => Vec::new(),
        },
        Content::Pki { .. } | Content::BootstrapKubeconfig { .. } | Content::Downloaded { .. } => Vec::new(),
        Content::Text(text) | Content::Joining(JoiningManifest { text, .. }) => {
            let Ok(value) = serde_yaml::from_str::<Value>(text) else { return Vec::new() };
            match value["kind"].as_str() {
                Some("Pod") => named_by_pod(&value),
                Some("KubeletConfiguration") => {
                    let fields = ["/authentication/x509/clientCAFile", "/tlsCertFile", "/tlsPrivateKeyFile"];
                    fields
                        .iter()
                        .filter_map(|field| value.pointer(field)?.as_str())
                        .map(str::to_owned)
                        .collect()
                }
                _ => Vec::new(),
            }
        }
    }
}

/// Files that a pod mounts one by one, and those in its flags. A directory is made when it is mounted.
fn named_by_pod(pod: &Value) -> Vec<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let files = list(&pod["spec"]["volumes"])
        .into_iter()
        .filter(|volume| volume["hostPath"]["type"].as_str().is_some_and(|kind| kind.starts_with("File")))
        .filter_map(|volume| text(&volume["hostPath"]["path"]));
    let flags = list(&pod["spec"]["containers"])
        .into_iter()
        .flat_map(|container| list(&container["command"]))
        .filter_map(|flag| text(&flag))
        .filter_map(|flag| flag.split_once('=').map(|(_, value)| value.to_owned()))
        .filter(|value| value.starts_with('/'));
    files.chain(flags).collect()
}

/// All that the operator wrote, as text: what is named there is not ours to make.
fn operators_words(cluster: &Cluster) -> String {
    let configuration = serde_json::to_string(&cluster.configuration).unwrap_or_default();
    let patches = cluster.patches.iter().map(|patch| patch.value.to_string());
    std::iter::once(configuration).chain(patches).collect()
}

impl Flaw {
    fn new(index: usize, step: &Step, message: String) -> Self {
        Self {
            step: index,
            phase: step.phase.clone(),
            place: step.place.clone(),
            subject: step.subject(),
            message,
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match &self.place {
            Place::Host(host) => host,
            Place::Cluster => "the cluster",
        };
        write!(f, "step {} ({} on {place}, {}): {}", self.step, self.phase, self.subject, self.message)
    }
}

//! Every scenario: its plan and every file and object of it, as text that a change shows up in.

use crate::support::documents;
use crate::support::scenario;
use crate::support::scenario::Scenario;
use crate::support::text;
use kubewright::plan::Action;
use kubewright::plan::ClientCredential;
use kubewright::plan::Content;
use kubewright::plan::Place;
use kubewright::plan::Plan;
use kubewright::plan::display;
use kubewright::plan::display::Detail;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[test]
fn scenarios_come_to_what_is_expected() {
    for scenario in scenario::all() {
        let expected = scenario.expected();
        let files = rendered(&scenario);
        if text::blessing() {
            text::bless(&expected, &files);
        }
        let names: Vec<PathBuf> = files.iter().map(|(path, _)| expected.join(path)).collect();
        assert_eq!(text::files(&expected), names, "files of {}; BLESS=1 accepts them", scenario.name);
        for (path, ours) in &files {
            text::assert_same(&format!("{}/{path}", scenario.name), &text::read(&expected.join(path)), ours);
        }
    }
}

#[test]
fn planning_twice_gives_the_same_plan() {
    for name in scenario::names() {
        let (one, other) = (Scenario::load(&name, None), Scenario::load(&name, None));
        let first = one.plan();
        assert_eq!(first, one.plan(), "{name}");
        assert_eq!(first, other.plan(), "{name}");
    }
}

/// The plan, every file of every host and every object, by path; sorted as a folder is.
fn rendered(scenario: &Scenario) -> Vec<(String, String)> {
    let plan = scenario.plan();
    let mut files = BTreeMap::new();
    files.insert(PathBuf::from("plan.txt"), display::text(&plan, Detail::Short));
    for (path, text) in host_files(&plan).into_iter().chain(objects(&plan)) {
        files.insert(PathBuf::from(path), text);
    }
    files.into_iter().map(|(path, text)| (path.to_str().unwrap().to_owned(), text)).collect()
}

/// What stands at each path of each host in the end; a secret as what it is.
fn host_files(plan: &Plan) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for step in &plan.steps {
        let Place::Host(host) = &step.place else { continue };
        match &step.action {
            Action::File(file) => {
                files.insert(format!("hosts/{host}{}", file.path), content(&file.content));
            }
            Action::Link { path, target } => {
                files.insert(format!("hosts/{host}{path}"), format!("<link to {target}>\n"));
            }
            _ => {}
        }
    }
    files
}

fn content(content: &Content) -> String {
    match content {
        Content::Text(text) => text.clone(),
        Content::Joining(manifest) => manifest.text.clone(),
        Content::Pki { node, cert, part } => {
            format!("<{} {cert} of {node}>\n", format!("{part:?}").to_lowercase())
        }
        Content::Downloaded { path } => format!("<{path} as the cluster has it>\n"),
        Content::BootstrapKubeconfig { server } => {
            format!("<kubeconfig with the credentials for joining>\nserver: {server}\n")
        }
        Content::Kubeconfig(spec) => {
            let client = match &spec.client {
                ClientCredential::Embedded(cert) => format!("<certificate and key {cert} of {}>", spec.node),
                ClientCredential::File(path) => path.clone(),
            };
            format!(
                "<kubeconfig>\ncluster: {}\nserver: {}\nuser: {}\nclient: {client}\n",
                spec.cluster_name, spec.server, spec.user
            )
        }
    }
}

/// The objects of each phase in one file, in the order of the plan.
fn objects(plan: &Plan) -> BTreeMap<String, String> {
    let mut phases: Vec<(&str, Vec<String>)> = Vec::new();
    for step in &plan.steps {
        let Action::Object(spec) = &step.action else { continue };
        let filled = documents::filled(&spec.object, documents::placeholder);
        let text = kubewright::kube::yaml::to_string(&filled);
        match phases.last_mut() {
            Some((phase, texts)) if *phase == step.phase => texts.push(text),
            _ => phases.push((&step.phase, vec![text])),
        }
    }
    let file = |(number, (phase, texts)): (usize, (&str, Vec<String>))| {
        (format!("cluster/{number:02}-{}.yaml", phase.replace('/', "-")), texts.join("---\n"))
    };
    phases.into_iter().enumerate().map(file).collect()
}

//! The way back, planned: a folder under `tests/reset` is a host, with what a look at it says (`now.txt`, and `before.txt`
//! for its baseline), its pods, its receipt and the manifest of its etcd. `plan.txt` and `proof.txt` are what comes of
//! it; `BLESS=1` accepts what comes now.
#![expect(clippy::disallowed_methods, reason = "tests read and bless files")]

use crate::binary::kubewright;
use kubewright::apply::receipt::Before;
use kubewright::facts::footprint;
use kubewright::facts::footprint::Snapshot;
use kubewright::facts::footprint::Watch;
use kubewright::host::Entry;
use kubewright::host::Fake;
use kubewright::phase::reset;
use kubewright::phase::reset::Choices;
use kubewright::phase::reset::Etcd;
use kubewright::phase::reset::Facts;
use kubewright::phase::reset::Pod;
use kubewright::phase::reset::Runtime;
use kubewright::phase::select;
use kubewright::phase::select::Selected;
use kubewright::phase::workflow::RESET;
use kubewright::plan::Action;
use kubewright::plan::Plan;
use kubewright::plan::display;
use kubewright::plan::display::Detail;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reset");
const RECEIPT: &str = "/var/lib/kubewright/receipt.json";

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() > 5, "{cases:?}");
    cases
}

fn text(case: &Path, name: &str) -> Option<String> {
    fs::read_to_string(case.join(name)).ok()
}

fn yaml<T: serde::de::DeserializeOwned + Default>(case: &Path, name: &str) -> T {
    text(case, name).map(|text| serde_yaml::from_str(&text).unwrap()).unwrap_or_default()
}

fn facts(case: &Path) -> Facts {
    let watch = Watch::default();
    let (now, traces) = footprint::interpret(&text(case, "now.txt").unwrap(), &watch);
    let baseline = text(case, "before.txt").map(|text| {
        let (before, _) = footprint::interpret(&text, &watch);
        // As it comes back from the file that it is kept in.
        serde_json::from_str::<Snapshot>(&serde_json::to_string(&before).unwrap()).unwrap()
    });
    let receipt = text(case, "receipt.json").and_then(|text| {
        let host = Fake::new("host").with(RECEIPT, Entry::file(text, 0o600));
        kubewright::apply::receipt::Receipt::load(&host, RECEIPT).unwrap()
    });
    Facts {
        host: "host".to_owned(),
        baseline,
        now,
        traces,
        receipt,
        paths: yaml::<BTreeMap<String, Before>>(case, "paths.yaml"),
        runtime: Runtime {
            socket: "unix:///run/containerd/containerd.sock".to_owned(),
            pods: yaml::<Vec<Pod>>(case, "pods.yaml"),
            failure: None,
        },
        etcd: text(case, "etcd.yaml").map(|text| Etcd::of_manifest(&text)).unwrap_or_default(),
        choices: Choices::default(),
    }
}

fn all() -> Vec<Selected> {
    select::skipping(RESET, &[]).unwrap()
}

#[track_caller]
fn compare(path: &Path, text: &str) {
    if std::env::var_os("BLESS").is_some() {
        fs::write(path, text).unwrap();
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(text, expected, "{} differs; BLESS=1 accepts what comes now", path.display());
}

/// What the display only counts.
fn rules(plan: &Plan) -> String {
    let specs = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Rules(spec) => Some(spec),
        _ => None,
    });
    let lines = specs.flat_map(|spec| {
        let rules = spec.rules.iter().map(|rule| format!("  {rule}\n"));
        let chains = spec.chains.iter().map(|chain| format!("  -N {chain}\n"));
        [format!("\n{} {}\n", spec.program, spec.table)]
            .into_iter()
            .chain(rules)
            .chain(chains)
            .collect::<Vec<_>>()
    });
    lines.collect::<Vec<_>>().concat()
}

#[test]
fn hosts_are_taken_back_as_expected() {
    for case in cases() {
        let facts = facts(&case);
        let plan = reset::plan(&facts, &all());
        assert_eq!(plan, reset::plan(&facts, &all()), "planned twice: {}", case.display());
        let shown = display::text(&plan, Detail::Explained) + &rules(&plan);
        compare(&case.join("plan.txt"), &shown);
        let proof = reset::proof(&facts);
        let lines =
            |sign: char, text: &str| text.lines().map(|line| format!("{sign} {line}\n")).collect::<Vec<_>>();
        let left = proof.left.iter().map(|line| format!("left: {line}\n"));
        let said: Vec<String> =
            lines('-', &proof.was).into_iter().chain(lines('+', &proof.is)).chain(left).collect();
        compare(&case.join("proof.txt"), &said.concat());
    }
}

/// What a cluster's host looks like when all of it is gone is what it looked like before.
#[test]
fn a_host_that_is_as_before_needs_nothing() {
    for case in cases() {
        let (Some(before), now) = (text(&case, "before.txt"), facts(&case)) else { continue };
        let (snapshot, traces) = footprint::interpret(&before, &Watch::default());
        let facts = Facts { now: snapshot, traces, runtime: Runtime::default(), ..now };
        let facts = Facts { paths: BTreeMap::new(), etcd: Etcd::default(), ..facts };
        let proof = reset::proof(&facts);
        // What was running before is stopped all the same.
        assert!(proof.holds(), "{}: {proof:?}", case.display());
    }
}

#[test]
fn each_phase_has_its_own_steps() {
    let facts = facts(&Path::new(FOLDER).join("control-plane"));
    let whole = reset::plan(&facts, &all());
    let parts: Vec<_> = RESET
        .iter()
        .flat_map(|phase| reset::plan(&facts, &select::only(RESET, phase.name).unwrap()).steps)
        .collect();
    assert_eq!(whole.steps, parts);
    let without = select::skipping(RESET, &["cleanupnode".to_owned()]).unwrap();
    assert!(!reset::plan(&facts, &without).steps.iter().any(|step| step.phase == "cleanup-node"));
}

/// Dry, since this is a machine of somebody.
#[test]
fn what_makes_no_sense_is_refused() {
    for (args, code, said) in [
        (&["--config", "x", "--force"] as &[&str], 2, "cannot be used with"),
        (&["--config", "/nonexistent/reset.yaml"], 3, "there is no file"),
        (&["--dry-run", "--skip-phases", "cleanup-nod"], 2, "did you mean `cleanup-node`?"),
        (&["--dry-run", "--ignore-preflight-errors", "all,Swap"], 2, "ignore-preflight-errors"),
    ] {
        let outcome = kubewright(&[&["reset"], args].concat());
        assert_eq!(outcome.code, code, "{args:?}: {}{}", outcome.out, outcome.err);
        assert!(outcome.err.contains(said), "{args:?}: {}", outcome.err);
    }
}

//! Steps that take something away: exactly what they name, nothing behind a mount or a link, and twice is as once.
#![expect(clippy::disallowed_methods, reason = "directories are emptied for real")]

use crate::skip::skip;
use kubewright::api;
use kubewright::apply;
use kubewright::apply::Images;
use kubewright::apply::Options;
use kubewright::apply::Pods;
use kubewright::apply::Resolve;
use kubewright::apply::World;
use kubewright::clock::Manual;
use kubewright::etcd::NoEtcd;
use kubewright::host::Command;
use kubewright::host::Entry;
use kubewright::host::Fake;
use kubewright::host::Fleet;
use kubewright::host::Host;
use kubewright::host::Local;
use kubewright::host::fake::Unit;
use kubewright::host::fake::said;
use kubewright::plan::Action;
use kubewright::plan::Clear;
use kubewright::plan::ClearSpec;
use kubewright::plan::Container;
use kubewright::plan::Content;
use kubewright::plan::Fill;
use kubewright::plan::Place;
use kubewright::plan::Plan;
use kubewright::plan::PodSpec;
use kubewright::plan::RulesSpec;
use kubewright::plan::Step;
use kubewright::plan::StopSpec;
use kubewright::report::Outcome;
use kubewright::report::Report;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use tempfile::TempDir;
use time::OffsetDateTime;
use time::macros::datetime;

/// Knows pods by their id, and one that will not go.
struct Runtime(Mutex<Vec<&'static str>>);

const STUBBORN: &str = "stubborn";

impl Pods for Runtime {
    fn present(&self, _: &dyn Host, _: &str, id: &str) -> anyhow::Result<bool> {
        Ok(self.0.lock().unwrap().contains(&id))
    }

    fn remove(&self, _: &dyn Host, _: &str, id: &str) -> anyhow::Result<()> {
        anyhow::ensure!(id != STUBBORN, "cannot stop it");
        self.0.lock().unwrap().retain(|pod| *pod != id);
        Ok(())
    }

    fn named(&self, _: &dyn Host, _: &str, _: &str) -> anyhow::Result<Vec<String>> {
        anyhow::bail!("not in this test")
    }

    fn made(&self, _: &dyn Host, _: &Container) -> anyhow::Result<Option<OffsetDateTime>> {
        anyhow::bail!("not in this test")
    }

    fn complaints(&self, _: &dyn Host, _: &Container) -> anyhow::Result<Vec<String>> {
        Ok(Vec::new())
    }
}

struct Nothing;

impl Resolve for Nothing {
    fn content(&self, _: &Content) -> anyhow::Result<Vec<u8>> {
        anyhow::bail!("not in this test")
    }

    fn fill(&self, _: &Fill) -> anyhow::Result<Option<String>> {
        Ok(None)
    }
}

impl Images for Nothing {
    fn present(&self, _: &dyn Host, _: &str, _: &str) -> anyhow::Result<bool> {
        anyhow::bail!("not in this test")
    }

    fn pull(&self, _: &dyn Host, _: &str, _: &str) -> anyhow::Result<()> {
        anyhow::bail!("not in this test")
    }
}

fn execute(host: &Arc<dyn Host>, runtime: &Runtime, actions: Vec<Action>, dry_run: bool) -> Report {
    let step = |action| Step {
        phase: "cleanup".to_owned(),
        place: Place::Host("host".to_owned()),
        about: None,
        title: "gone".to_owned(),
        reason: String::new(),
        action,
    };
    let plan = Plan { steps: actions.into_iter().map(step).collect(), ..Plan::default() };
    let mut hosts = Fleet::new();
    hosts.insert(Arc::clone(host));
    let options = Options { dry_run, receipt: None, keep_going: true, ..Options::default() };
    let world = World {
        hosts: &hosts,
        api: &api::Fake::new(),
        etcd: &NoEtcd,
        resolver: &Nothing,
        images: &Nothing,
        pods: runtime,
        clock: &Manual::new(datetime!(2026-05-01 12:00 UTC)),
        events: &|_| {},
        interrupt: &AtomicBool::new(false),
        options: &options,
    };
    apply::execute(&plan, &world)
}

fn outcomes(report: &Report) -> Vec<Outcome> {
    report.records.iter().map(|record| record.outcome).collect()
}

fn clear(path: &Path, what: Clear, keep: &[&Path]) -> Action {
    let keep = keep.iter().map(|path| path.display().to_string()).collect();
    Action::Clear(ClearSpec { path: path.display().to_string(), what, keep, itself: true })
}

fn here() -> (Arc<dyn Host>, Runtime) {
    (Arc::new(Local::new("host")), Runtime(Mutex::default()))
}

/// `d/kept/file`, `d/kept/more`, `d/gone/deep/file`, `d/ st*ange`, and links out of it, to a file and to a directory.
fn directory() -> (TempDir, std::path::PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("d");
    for name in ["d/kept", "d/gone/deep", "outside"] {
        fs::create_dir_all(root.path().join(name)).unwrap();
    }
    for name in ["d/kept/file", "d/kept/more", "d/gone/deep/file", "d/ st*ange", "outside/file"] {
        fs::write(root.path().join(name), name).unwrap();
    }
    symlink(root.path().join("outside"), directory.join("link")).unwrap();
    symlink(root.path().join("outside/file"), directory.join("gone/link")).unwrap();
    (root, directory)
}

#[test]
fn a_directory_is_emptied_and_what_is_kept_or_linked_stays() {
    let (root, directory) = directory();
    let (host, runtime) = here();
    let kept = directory.join("kept/file");
    let action = || vec![clear(&directory, Clear::Everything, &[&kept])];
    let dry = execute(&host, &runtime, action(), true);
    assert_eq!(outcomes(&dry), [Outcome::WouldChange]);
    assert!(directory.join("gone/deep/file").exists() && directory.join("link").exists());
    assert_eq!(outcomes(&execute(&host, &runtime, action(), false)), [Outcome::Changed]);
    let left: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["kept"]);
    assert!(kept.exists() && !directory.join("kept/more").exists());
    assert_eq!(fs::read_to_string(root.path().join("outside/file")).unwrap(), "outside/file");
    assert_eq!(outcomes(&execute(&host, &runtime, action(), false)), [Outcome::Ok]);
    let whole = || vec![clear(&directory, Clear::Everything, &[])];
    assert_eq!(outcomes(&execute(&host, &runtime, whole(), false)), [Outcome::Changed]);
    assert!(!directory.exists());
    assert_eq!(outcomes(&execute(&host, &runtime, whole(), false)), [Outcome::Ok]);
}

#[test]
fn what_holds_something_is_not_an_empty_directory() {
    let (_root, directory) = directory();
    let (host, runtime) = here();
    fs::create_dir_all(directory.join("empty/er")).unwrap();
    let action = || vec![clear(&directory, Clear::EmptyDirectories, &[])];
    assert_eq!(outcomes(&execute(&host, &runtime, action(), false)), [Outcome::Changed]);
    assert!(!directory.join("empty").exists() && directory.join("gone/deep/file").exists());
    assert_eq!(outcomes(&execute(&host, &runtime, action(), false)), [Outcome::Ok]);
}

/// In a dry run a later step finds what an earlier one would have taken away gone.
#[test]
fn a_dry_run_knows_what_would_be_gone() {
    let (_root, directory) = directory();
    let (host, runtime) = here();
    let absent = |name: &str| Action::Absent { path: directory.join(name).display().to_string() };
    let actions = vec![
        clear(&directory.join("kept"), Clear::Everything, &[]),
        clear(&directory.join("gone"), Clear::Everything, &[]),
        absent("link"),
        absent(" st*ange"),
        clear(&directory, Clear::EmptyDirectories, &[]),
    ];
    let report = execute(&host, &runtime, actions, true);
    assert_eq!(outcomes(&report), [Outcome::WouldChange; 5]);
    assert!(directory.join("kept/file").exists());
}

/// What a volume leads to is not the cluster's, also when it lies on the same file system.
#[test]
fn nothing_behind_a_mount_is_touched() {
    if !rustix::process::geteuid().is_root() {
        skip("nothing_behind_a_mount_is_touched", "needs root to mount");
        return;
    }
    let (root, directory) = directory();
    let (host, runtime) = here();
    let point = directory.join("gone/deep");
    let mount = |program: &str, args: &[&Path]| {
        let args = args.iter().map(|path| path.display().to_string());
        host.run(&Command::change(program).args(args)).unwrap().success()
    };
    if !mount("mount", &[Path::new("--bind"), &root.path().join("outside"), &point]) {
        skip("nothing_behind_a_mount_is_touched", "mounting is not allowed here");
        return;
    }
    let report = execute(&host, &runtime, vec![clear(&directory, Clear::Everything, &[])], false);
    assert!(mount("umount", &[&point]));
    assert_eq!(outcomes(&report), [Outcome::Warned]);
    let detail = report.records[0].detail.clone().unwrap();
    assert!(detail.contains("gone/deep"), "{detail}");
    assert!(root.path().join("outside/file").exists() && directory.join("kept/file").exists());
}

/// Pods, units and rules on a host that only pretends.
#[test]
fn the_rest_goes_by_name_and_a_failure_stops_nothing() {
    let saved =
        "*filter\n:INPUT ACCEPT [0:0]\n:KUBE-A - [0:0]\n-A INPUT -j KUBE-A\n-A INPUT -j THEIRS\nCOMMIT\n";
    let fake = Fake::new("host")
        .with_unit("kubelet", Unit { active: true, enabled: true, starts: 1, ..Unit::default() })
        .with("/rules", Entry::file(saved, 0o644))
        .on_run(&["iptables-save", "-t", "filter"], |_, files| {
            let rules = files["/rules"].content().unwrap().to_vec();
            said(0, &String::from_utf8(rules).unwrap())
        })
        .on_run(&["iptables-restore", "--noflush"], |command, files| {
            files.insert("/input".to_owned(), Entry::file(command.stdin.clone().unwrap(), 0o644));
            files.insert("/rules".to_owned(), Entry::file("*filter\n-A INPUT -j THEIRS\nCOMMIT\n", 0o644));
            said(0, "")
        });
    let fake = Arc::new(fake);
    let host = Arc::clone(&fake) as Arc<dyn Host>;
    let runtime = Runtime(Mutex::new(vec!["one", STUBBORN, "theirs"]));
    let pod = |id: &str| {
        Action::Pod(PodSpec {
            id: Some(id.to_owned()),
            name: id.to_owned(),
            cri_socket: "unix:///x".to_owned(),
        })
    };
    let stop = |enabled| Action::Stop(StopSpec { unit: "kubelet".to_owned(), enabled });
    let rules = Action::Rules(RulesSpec {
        program: "iptables".to_owned(),
        table: "filter".to_owned(),
        chains: ["KUBE-A".to_owned()].into(),
        rules: vec!["-A INPUT -j KUBE-A".to_owned()],
    });
    let actions = || vec![stop(None), pod(STUBBORN), pod("one"), rules.clone(), stop(Some(false))];

    let before = fake.mutations();
    let dry = execute(&host, &runtime, actions(), true);
    assert_eq!(outcomes(&dry), [Outcome::WouldChange; 5]);
    assert_eq!((fake.mutations(), runtime.0.lock().unwrap().len()), (before, 3));

    let report = execute(&host, &runtime, actions(), false);
    let expected = [Outcome::Changed, Outcome::Warned, Outcome::Changed, Outcome::Changed, Outcome::Changed];
    assert_eq!(outcomes(&report), expected);
    assert!(report.success(), "what fails is told, and stops nothing");
    assert_eq!(*runtime.0.lock().unwrap(), [STUBBORN, "theirs"]);
    assert_eq!(
        fake.unit("kubelet"),
        Some(Unit { active: false, enabled: false, starts: 1, ..Unit::default() })
    );
    let input = fake.read("/input").unwrap().unwrap();
    let expected = "*filter\n-D INPUT -j KUBE-A\n:KUBE-A - [0:0]\n-X KUBE-A\nCOMMIT\n";
    assert_eq!(input.content().unwrap(), expected.as_bytes());

    let again = execute(&host, &runtime, actions(), false);
    assert_eq!(outcomes(&again), [Outcome::Ok, Outcome::Warned, Outcome::Ok, Outcome::Ok, Outcome::Ok]);
}

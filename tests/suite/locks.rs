//! Locks on this machine's own file system, in a directory of the test.

use kubewright::host::Entry;
use kubewright::host::Host;
use kubewright::host::Local;
use kubewright::lock;
use kubewright::lock::Found;
use kubewright::lock::Holder;
use kubewright::lock::LockError;
use kubewright::lock::held;
use kubewright::lock::held::Taking;
use kubewright::lock::held::Verdict;
use kubewright::lock::holder::Process;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::thread;

fn holder(run: &str) -> Holder {
    Holder {
        run: run.to_owned(),
        user: "jane".to_owned(),
        machine: "laptop".to_owned(),
        since: "2026-05-01T12:00:00Z".to_owned(),
        command: "kubewright apply".to_owned(),
        process: Process { pid: 7, ..Process::default() },
    }
}

struct Place {
    directory: tempfile::TempDir,
    host: Arc<dyn Host>,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), host: Arc::new(Local::new("here")) }
    }

    fn path(&self) -> String {
        self.directory.path().join("state/lock").to_str().unwrap().to_owned()
    }

    fn take(&self, run: &str) -> Result<(), LockError> {
        lock::take(&*self.host, &self.path(), &holder(run))
    }

    fn found(&self) -> Option<Found> {
        lock::look(&*self.host, &self.path()).unwrap()
    }
}

#[test]
fn one_run_holds_it_and_others_are_told_who() {
    let place = Place::new();
    assert_eq!(place.found(), None);
    place.take("aaaa").unwrap();
    place.take("aaaa").expect("one's own may be taken again");
    let Err(LockError::Held { host, found }) = place.take("bbbb") else { panic!("taken twice") };
    assert_eq!((host.as_str(), found.holder.as_ref()), ("here", Some(&holder("aaaa"))));
    let text = found.describe();
    assert!(
        text.starts_with("jane@laptop since 2026-05-01T12:00:00Z (run aaaa, process 7: kubewright apply)")
    );
    assert!(!found.is_silent());
    assert!(lock::renew(&*place.host, &place.path(), "aaaa").unwrap());
    assert!(!lock::renew(&*place.host, &place.path(), "bbbb").unwrap(), "it is not b's");

    lock::release(&*place.host, &place.path(), "bbbb").unwrap();
    assert_eq!(place.found().unwrap().run(), "aaaa", "b cannot give it back");
    lock::release(&*place.host, &place.path(), "aaaa").unwrap();
    assert!(place.host.read(place.directory.path().join("state").to_str().unwrap()).unwrap().is_none());
    place.take("bbbb").unwrap();
}

#[test]
fn of_many_at_the_same_time_exactly_one_gets_it() {
    for _ in 0..5 {
        let place = Place::new();
        let won = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for number in 0..12 {
                let (place, won) = (&place, &won);
                scope.spawn(move || {
                    let run = format!("run{number:05}");
                    if place.take(&run).is_ok() {
                        won.lock().unwrap().push(run);
                    }
                });
            }
        });
        let won = won.into_inner().unwrap();
        assert_eq!(won.len(), 1, "{won:?}");
        assert_eq!(place.found().unwrap().run(), won[0]);
    }
}

#[test]
fn a_dead_one_is_broken_and_a_living_one_is_put_back() {
    let place = Place::new();
    place.take("dead").unwrap();
    assert!(lock::break_off(&*place.host, &place.path(), "dead", "next").unwrap());
    assert_eq!(place.found(), None);
    place.take("quick").unwrap();
    // Who wanted to break the dead one came too late.
    assert!(!lock::break_off(&*place.host, &place.path(), "dead", "slow").unwrap());
    assert_eq!(place.found().unwrap().run(), "quick");
}

#[test]
fn what_cannot_be_read_is_somebodys_and_can_be_taken_away() {
    let place = Place::new();
    place.host.write(&place.path(), &Entry::file("", 0o644)).unwrap();
    let Err(LockError::Held { found, .. }) = place.take("aaaa") else { panic!("taken") };
    assert_eq!((found.run(), found.holder.is_none()), ("", true));
    assert!(lock::break_off(&*place.host, &place.path(), "", "aaaa").unwrap());
    place.take("aaaa").unwrap();
}

#[test]
fn a_place_that_cannot_be_written_is_an_error_with_its_reason() {
    let place = Place::new();
    let directory = place.directory.path().join("state");
    place.host.write(directory.to_str().unwrap(), &Entry::file("in the way", 0o644)).unwrap();
    let error = place.take("aaaa").unwrap_err();
    assert!(matches!(error, LockError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("state"), "{error}");
}

/// A host of its own with a lock of its own: another path.
struct Elsewhere(String, Local);

impl Host for Elsewhere {
    fn name(&self) -> &str {
        &self.0
    }

    fn run(
        &self,
        command: &kubewright::host::Command,
    ) -> Result<kubewright::host::Output, kubewright::host::HostError> {
        let mut command = command.clone();
        for word in &mut command.args {
            if let kubewright::host::command::Word::Plain(text) = word
                && text.ends_with("/state/lock")
            {
                *text = text.replace("/state/", &format!("/{}/", self.0));
            }
        }
        self.1.run(&command)
    }

    fn read(&self, path: &str) -> Result<Option<Entry>, kubewright::host::HostError> {
        self.1.read(path)
    }

    fn write(&self, path: &str, entry: &Entry) -> Result<(), kubewright::host::HostError> {
        self.1.write(path, entry)
    }

    fn remove(&self, path: &str) -> Result<(), kubewright::host::HostError> {
        self.1.remove(path)
    }

    fn connect(
        &self,
        to: &kubewright::host::Socket,
    ) -> Result<kubewright::host::Stream, kubewright::host::HostError> {
        self.1.connect(to)
    }
}

#[test]
fn all_or_none_of_several_hosts() {
    let place = Place::new();
    let hosts: Vec<Arc<dyn Host>> = ["cp1", "cp2", "w1"]
        .into_iter()
        .map(|name| Arc::new(Elsewhere(name.to_owned(), Local::new(name))) as Arc<dyn Host>)
        .collect();
    let path = place.path();
    let followed = Mutex::new(Vec::new());
    let take = |run: &str, verdict: Verdict| {
        let me = holder(run);
        let taking = Taking {
            holder: &me,
            path: &path,
            parallel: 4,
            judge: &|_| verdict,
            followed: &|host, found| {
                followed.lock().unwrap().push((host.to_owned(), found.run().to_owned()));
            },
            interrupt: Arc::new(AtomicBool::new(false)),
        };
        held::take_all(&hosts, &taking)
    };
    lock::take(&*hosts[1], &path, &holder("other")).unwrap();
    let errors = take("mine", Verdict::Respect).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].to_string().starts_with("cp2 is locked by jane@laptop"), "{}", errors[0]);
    let free = |index: usize| lock::look(&*hosts[index], &path).unwrap().is_none();
    assert!(free(0) && free(2), "what was taken was given back");

    let held = take("mine", Verdict::Follow).unwrap();
    assert_eq!(*followed.lock().unwrap(), [("cp2".to_owned(), "other".to_owned())]);
    assert_eq!(take("third", Verdict::Respect).unwrap_err().len(), 1, "the first host decides");
    drop(held);
    assert!((0..3).all(free), "all are given back at the end");
}

//! The locks of all hosts of a run: taken together, renewed while it lives, given back when it ends.

use crate::host::Host;
use crate::host::fleet::side_by_side;
use crate::lock;
use crate::lock::Found;
use crate::lock::Holder;
use crate::lock::LockError;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::Sender;
use std::thread;
use std::thread::JoinHandle;

/// What to do about a lock that somebody else holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is somebody's.
    Respect,
    /// Its holder is gone.
    Follow,
}

/// How locks are taken.
pub struct Taking<'a> {
    pub holder: &'a Holder,
    pub path: &'a str,
    pub parallel: usize,
    /// Decides about those of others.
    pub judge: &'a (dyn Fn(&Found) -> Verdict + Sync),
    /// Is told of holders that were followed: the host, and what it had.
    pub followed: &'a (dyn Fn(&str, &Found) + Sync),
    /// Set when somebody took a lock away from this run.
    pub interrupt: Arc<AtomicBool>,
}

/// Locks that are held; they are given back when this goes out of scope.
pub struct Held {
    hosts: Vec<Arc<dyn Host>>,
    path: String,
    run: String,
    parallel: usize,
    stop: Option<(Sender<()>, JoinHandle<()>)>,
}

/// Takes the locks of hosts: the first one alone, which decides between two runs over the same hosts, then all others
/// side by side. When one cannot be had, all are given back.
///
/// # Errors
/// Every host whose lock cannot be had, with who holds it.
pub fn take_all(hosts: &[Arc<dyn Host>], taking: &Taking<'_>) -> Result<Held, Vec<LockError>> {
    let mut held = Held {
        hosts: Vec::new(),
        path: taking.path.to_owned(),
        run: taking.holder.run.clone(),
        parallel: taking.parallel,
        stop: None,
    };
    let mut errors = Vec::new();
    for part in [&hosts[..hosts.len().min(1)], &hosts[hosts.len().min(1)..]] {
        let answers = side_by_side(part.to_vec(), taking.parallel, |host| {
            let answer = take_one(&*host, taking);
            (host, answer)
        });
        for (host, answer) in answers {
            match answer {
                Ok(()) => held.hosts.push(host),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
    }
    held.keep_alive(&taking.interrupt);
    Ok(held)
}

fn take_one(host: &dyn Host, taking: &Taking<'_>) -> Result<(), LockError> {
    let Taking { path, holder, .. } = taking;
    match lock::take(host, path, holder) {
        Err(LockError::Held { found, .. }) if (taking.judge)(&found) == Verdict::Follow => {
            lock::break_off(host, path, found.run(), &holder.run)?;
            lock::take(host, path, holder)?;
            (taking.followed)(host.name(), &found);
            Ok(())
        }
        answer => answer,
    }
}

impl Held {
    fn keep_alive(&mut self, interrupt: &Arc<AtomicBool>) {
        let (sender, receiver) = mpsc::channel();
        let (hosts, path, run) = (self.hosts.clone(), self.path.clone(), self.run.clone());
        let (parallel, interrupt) = (self.parallel, Arc::clone(interrupt));
        let thread = thread::spawn(move || {
            while receiver.recv_timeout(lock::RENEWED_EVERY) == Err(RecvTimeoutError::Timeout) {
                let answers = side_by_side(hosts.clone(), parallel, |host| lock::renew(&*host, &path, &run));
                // A host that cannot be reached right now has other ways to say so.
                if answers.iter().any(|answer| matches!(answer, Ok(false))) {
                    interrupt.store(true, Ordering::Relaxed);
                }
            }
        });
        self.stop = Some((sender, thread));
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.stop.take() {
            drop(sender);
            let _ = thread.join();
        }
        // One that cannot be given back is followed by the next run, or grows old.
        side_by_side(std::mem::take(&mut self.hosts), self.parallel, |host| {
            let _ = lock::release(&*host, &self.path, &self.run);
        });
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("run", &self.run)
            .field("hosts", &self.hosts.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Taking<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taking").field("holder", &self.holder).finish_non_exhaustive()
    }
}

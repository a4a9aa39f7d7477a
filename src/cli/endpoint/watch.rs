//! Threads that ask the endpoint and look at hosts, all the time that a test takes.

use crate::clock::Clock as _;
use crate::clock::System;
use crate::endpoint::Log;
use crate::endpoint::Look;
use crate::endpoint::measure;
use crate::host::Command;
use crate::host::Host;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;

/// Who asks the endpoint.
#[derive(Clone)]
pub(super) struct Machine {
    pub name: String,
    pub host: Arc<dyn Host>,
    pub url: String,
}

/// What is seen. It is looked at until this goes out of scope.
pub(super) struct Watch {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    began: Duration,
    over: AtomicBool,
    log: Mutex<Log>,
}

impl Watch {
    /// Begins. `authority` (PEM) is what answers are verified with.
    pub(super) fn begin(
        machines: &[Machine],
        authority: &[u8],
        balancers: Vec<Arc<dyn Host>>,
        addresses: &[IpAddr],
    ) -> Self {
        let log = Mutex::new(Log::default());
        let shared = Arc::new(Shared { began: System.monotonic(), over: AtomicBool::new(false), log });
        let mut threads = Vec::new();
        for machine in machines {
            let (shared, machine) = (Arc::clone(&shared), machine.clone());
            let times = measure::CHUNK_MS / measure::INTERVAL_MS;
            let command = measure::ask(&machine.url, authority, times);
            threads.push(thread::spawn(move || ask(&shared, &machine, &command)));
        }
        for host in balancers {
            let (shared, command) = (Arc::clone(&shared), measure::has_address(addresses));
            threads.push(thread::spawn(move || look(&shared, &*host, &command)));
        }
        Self { shared, threads }
    }

    /// Milliseconds since it began.
    pub(super) fn now(&self) -> u64 {
        self.shared.now()
    }

    /// What has been seen so far.
    pub(super) fn so_far(&self) -> MutexGuard<'_, Log> {
        self.shared.log()
    }

    /// Ends it, with what was still under way.
    pub(super) fn end(mut self) -> Log {
        self.shared.over.store(true, Ordering::Relaxed);
        for thread in std::mem::take(&mut self.threads) {
            // One that panicked has said so.
            let _ = thread.join();
        }
        std::mem::take(&mut *self.shared.log())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn now(&self) -> u64 {
        let passed = System.monotonic().saturating_sub(self.began);
        u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// Requests that wait do not keep back those that follow: each command is followed by the next while it goes on.
fn ask(shared: &Arc<Shared>, machine: &Machine, command: &Command) {
    let mut under_way = Vec::new();
    while !shared.is_over() {
        let (shared, machine, command) = (Arc::clone(shared), machine.clone(), command.clone());
        under_way.push(thread::spawn(move || {
            let sent = shared.now();
            let output = machine.host.run(&command);
            let mut log = shared.log();
            let said = output.as_ref().map(crate::host::Output::text).unwrap_or_default();
            match measure::requests(&machine.name, sent, &said) {
                Some(requests) => log.requests.extend(requests),
                None => drop(log.troubles.insert(format!("{} could not measure all the time", machine.name))),
            }
        }));
        System.sleep(Duration::from_millis(measure::CHUNK_MS));
    }
    for one in under_way {
        // One that panicked has said so.
        let _ = one.join();
    }
}

fn look(shared: &Shared, host: &dyn Host, command: &Command) {
    while !shared.is_over() {
        let asked = shared.now();
        let output = host.run(command);
        let told = shared.now();
        let mut log = shared.log();
        match output {
            Ok(output) if output.success() => {
                let holds = !output.stdout.is_empty();
                log.looks.push(Look { host: host.name().to_owned(), asked, told, holds });
            }
            _ => {
                let trouble = "could not be asked all the time whether it has the address";
                log.troubles.insert(format!("{} {trouble}", host.name()));
            }
        }
        drop(log);
        let passed = shared.now().saturating_sub(asked);
        System.sleep(Duration::from_millis(measure::INTERVAL_MS.saturating_sub(passed)));
    }
}

//! The hosts of a run, by name.

use crate::host::Host;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;

#[derive(Clone, Default)]
pub struct Fleet {
    hosts: BTreeMap<String, Arc<dyn Host>>,
}

impl Fleet {
    pub fn new() -> Self {
        Self::default()
    }

    /// A fleet of one.
    pub fn of(host: impl Host + 'static) -> Self {
        let mut fleet = Self::new();
        fleet.insert(Arc::new(host));
        fleet
    }

    /// Adds a host under its own name.
    pub fn insert(&mut self, host: Arc<dyn Host>) {
        self.hosts.insert(host.name().to_owned(), host);
    }

    pub fn get(&self, name: &str) -> Option<&Arc<dyn Host>> {
        self.hosts.get(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.hosts.keys().map(String::as_str)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Host>> {
        self.hosts.values()
    }
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.hosts.keys()).finish()
    }
}

/// Does `work` for every item, at most `parallel` at a time; the answers are in the order of the items.
pub fn side_by_side<T, R, F>(items: Vec<T>, parallel: usize, work: F) -> Vec<R>
where
    T: Send,
    R: Send,
    F: Fn(T) -> R + Sync,
{
    let workers = parallel.clamp(1, items.len().max(1));
    if workers == 1 {
        return items.into_iter().map(work).collect();
    }
    let items: Vec<Mutex<Option<T>>> = items.into_iter().map(|item| Mutex::new(Some(item))).collect();
    let answers: Vec<Mutex<Option<R>>> = items.iter().map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(index) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).filter(|i| *i < items.len())
                {
                    let item = items[index].lock().unwrap_or_else(PoisonError::into_inner).take();
                    let answer = item.map(&work);
                    *answers[index].lock().unwrap_or_else(PoisonError::into_inner) = answer;
                }
            });
        }
    });
    let answers =
        answers.into_iter().filter_map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner));
    answers.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn keeps_the_order_of_the_items() {
        assert_eq!(
            side_by_side((0..50).collect(), 4, |n: i32| n * n),
            (0..50).map(|n| n * n).collect::<Vec<_>>()
        );
        assert_eq!(side_by_side(Vec::<i32>::new(), 4, |n| n), Vec::<i32>::new());
    }

    #[test]
    fn really_works_side_by_side() {
        let barrier = Barrier::new(3);
        // Would hang if the three were not at work at the same time.
        assert_eq!(side_by_side(vec![1, 2, 3], 3, |n| (barrier.wait(), n).1), vec![1, 2, 3]);
    }
}

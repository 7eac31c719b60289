//! Work spread over the cores and taken in order by one thread, which lends a hand instead of waiting.
//!
//! Recovering senders costs more than executing their transactions, and execution is one thread's. With as many
//! workers as cores beside it, that thread would get a fair share where it needs a core of its own; with one fewer, a core
//! would idle whenever it waits for the disk or for senders.

use std::collections::BTreeMap;
use std::num::NonZero;

use parking_lot::{Condvar, Mutex};

/// Items worked on together: some 2 ms of recovery, so that whoever lends a hand is soon back.
const CHUNK: usize = 32;

/// Chunks begun before they are taken. More than is recovered while a block is made, and a bound on memory.
const AHEAD: usize = 128;

/// Helpers beside the thread that takes: more than this recover faster than one thread executes.
const HELPERS: usize = 7;

struct Progress<R> {
    /// Chunks that somebody began.
    begun: usize,
    /// Chunks that were taken.
    taken: usize,
    done: BTreeMap<usize, Vec<R>>,
    /// Somebody panicked, so nobody may wait any longer.
    abandoned: bool,
}

struct Spread<'a, T, R, F> {
    items: &'a [T],
    work: F,
    progress: Mutex<Progress<R>>,
    changed: Condvar,
}

/// Does `work` on every item and gives the results to `take` in the order of the items, a chunk at a time.
///
/// While `take` waits for something else it may call its second argument, which works on one chunk and says whether
/// there was any.
pub(super) fn in_order<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
    mut take: impl FnMut(Vec<R>, &dyn Fn() -> bool),
) {
    let spread = Spread {
        items,
        work,
        progress: Mutex::new(Progress {
            begun: 0,
            taken: 0,
            done: BTreeMap::new(),
            abandoned: false,
        }),
        changed: Condvar::new(),
    };
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let helpers = HELPERS.min(cores - 1).min(spread.chunks().saturating_sub(1));
    std::thread::scope(|scope| {
        for _ in 0..helpers {
            scope.spawn(|| spread.help());
        }
        let _abandon = AbandonOnPanic(&spread);
        while let Some(results) = spread.next() {
            take(results, &|| spread.lend_a_hand());
        }
    });
}

impl<T, R, F: Fn(&T) -> R> Spread<'_, T, R, F> {
    fn chunks(&self) -> usize {
        self.items.len().div_ceil(CHUNK)
    }

    /// Works on one chunk. False if none may be begun now.
    fn lend_a_hand(&self) -> bool {
        let index = {
            let mut progress = self.progress.lock();
            let index = progress.begun;
            if index == self.chunks() || index == progress.taken + AHEAD || progress.abandoned {
                return false;
            }
            progress.begun += 1;
            index
        };
        let chunk = self.items.iter().skip(index * CHUNK).take(CHUNK);
        let results = chunk.map(&self.work).collect();
        self.progress.lock().done.insert(index, results);
        self.changed.notify_all();
        true
    }

    /// Works until everything is begun.
    fn help(&self) {
        let _abandon = AbandonOnPanic(self);
        loop {
            while self.lend_a_hand() {}
            let mut progress = self.progress.lock();
            if progress.begun == self.chunks() || progress.abandoned {
                return;
            }
            if progress.begun == progress.taken + AHEAD {
                self.changed.wait(&mut progress);
            }
        }
    }

    /// The results that are next in order; `None` after the last, and if a helper panicked.
    fn next(&self) -> Option<Vec<R>> {
        loop {
            {
                let mut progress = self.progress.lock();
                let next = progress.taken;
                if let Some(results) = progress.done.remove(&next) {
                    progress.taken += 1;
                    self.changed.notify_all();
                    return Some(results);
                }
                if next == self.chunks() || progress.abandoned {
                    return None;
                }
            }
            if !self.lend_a_hand() {
                let mut progress = self.progress.lock();
                if !progress.done.contains_key(&progress.taken) && !progress.abandoned {
                    self.changed.wait(&mut progress);
                }
            }
        }
    }
}

struct AbandonOnPanic<'a, 'i, T, R, F>(&'a Spread<'i, T, R, F>);

impl<T, R, F> Drop for AbandonOnPanic<'_, '_, T, R, F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.progress.lock().abandoned = true;
            self.0.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        for count in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, CHUNK * (AHEAD + 3) + 7] {
            let items: Vec<usize> = (0..count).collect();
            let mut taken = Vec::new();
            in_order(&items, |item| item * 2, |results, _| taken.extend(results));
            assert_eq!(taken, items.iter().map(|item| item * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn whoever_takes_can_do_all_that_may_be_begun() {
        let items = [1; CHUNK * (AHEAD + 3)];
        let mut sum = 0;
        in_order(
            &items,
            |item| *item,
            |results, lend_a_hand| {
                while lend_a_hand() {}
                sum += results.iter().sum::<usize>();
            },
        );
        assert_eq!(sum, items.len());
    }

    #[test]
    fn no_more_is_begun_than_may_be_ahead() {
        let begun = std::sync::atomic::AtomicUsize::new(0);
        let count = |_: &u8| begun.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let mut taken = 0;
        in_order(&[0; CHUNK * AHEAD * 3], count, |results, _| {
            taken += results.len();
            std::thread::sleep(std::time::Duration::from_micros(20));
            let begun = begun.load(std::sync::atomic::Ordering::SeqCst);
            assert!(begun <= taken + CHUNK * AHEAD, "{begun} begun, {taken} taken");
        });
    }

    #[test]
    #[should_panic]
    fn a_panic_of_the_work_ends_everything() {
        let items: Vec<usize> = (0..CHUNK * AHEAD * 2).collect();
        in_order(&items, |item| assert_ne!(*item, CHUNK, "spoilt"), |_, _| {});
    }

    #[test]
    #[should_panic]
    fn a_panic_of_whoever_takes_ends_everything() {
        in_order(&[0; CHUNK * AHEAD * 2], |_| (), |_, _| panic!("spoilt"));
    }
}

//! A fair (first in, first out) semaphore that limits the number of worker threads in the process.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A number of threads, shared by all computations.
#[derive(Debug)]
pub struct FairSemaphore {
    all: usize,
    state: Mutex<SemaphoreState>,
    changed: Condvar,
}

#[derive(Debug)]
struct SemaphoreState {
    free: usize,
    waiting: VecDeque<u64>,
    next: u64,
}

/// Threads that have been taken; they are free again when it is dropped.
#[derive(Debug)]
pub struct Permit<'a> {
    semaphore: &'a FairSemaphore,
    threads: usize,
}

impl FairSemaphore {
    /// A semaphore of so many threads, all of them free.
    #[must_use]
    pub fn new(all: usize) -> Self {
        let state = SemaphoreState { free: all, waiting: VecDeque::new(), next: 0 };
        Self { all, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Number of threads, free or not.
    #[must_use]
    pub fn all(&self) -> usize {
        self.all
    }

    /// Waits for so many threads, or for all where more are requested; `None` once `cancel` is set.
    pub fn take(&self, threads: usize, cancel: &AtomicBool) -> Option<Permit<'_>> {
        let threads = threads.min(self.all);
        let mut state = self.lock();
        let own = state.next;
        state.next += 1;
        state.waiting.push_back(own);
        while state.waiting.front() != Some(&own) || state.free < threads {
            if cancel.load(Ordering::Relaxed) {
                state.waiting.retain(|&ticket| ticket != own);
                self.changed.notify_all();
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting.pop_front();
        state.free -= threads;
        // The next request may need no more than what is left.
        self.changed.notify_all();
        Some(Permit { semaphore: self, threads })
    }

    /// Wakes all waiting threads, so that they see that they are cancelled.
    pub fn wake(&self) {
        // Under the lock, so that no thread is between its check and its wait.
        let _state = self.lock();
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, SemaphoreState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.semaphore.lock().free += self.threads;
        self.semaphore.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn no_more_threads_are_out_than_there_are() {
        let (semaphore, out, cancel) = (FairSemaphore::new(3), AtomicUsize::new(0), AtomicBool::new(false));
        let one = |threads: usize| {
            let permit = semaphore.take(threads, &cancel).unwrap();
            assert!(out.fetch_add(permit.threads, Ordering::SeqCst) + permit.threads <= 3);
            thread::sleep(Duration::from_micros(50));
            out.fetch_sub(permit.threads, Ordering::SeqCst);
        };
        thread::scope(|scope| {
            for threads in [1, 2, 3, 8] {
                scope.spawn(move || (0..50).for_each(|_| one(threads)));
            }
        });
        assert_eq!(semaphore.lock().free, 3);
    }

    /// Later requests do not starve an earlier one for more threads.
    #[test]
    fn first_come_first_served() {
        let (semaphore, cancel, order) =
            (FairSemaphore::new(2), AtomicBool::new(false), Mutex::new(Vec::new()));
        let waiting = |count: usize| {
            while semaphore.lock().waiting.len() < count {
                thread::yield_now();
            }
        };
        thread::scope(|scope| {
            let first = semaphore.take(1, &cancel).unwrap();
            for (place, threads) in [(0, 2), (1, 1)] {
                let (semaphore, cancel, order) = (&semaphore, &cancel, &order);
                scope.spawn(move || {
                    let _turn = semaphore.take(threads, cancel).unwrap();
                    order.lock().unwrap().push(threads);
                });
                waiting(place + 1);
            }
            drop(first);
        });
        assert_eq!(*order.lock().unwrap(), [2, 1]);
    }

    #[test]
    fn a_cancelled_request_stops_waiting_and_delays_no_other() {
        let (semaphore, never, cancel) =
            (FairSemaphore::new(1), AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            let first = semaphore.take(1, &never).unwrap();
            let cancelled = scope.spawn(|| semaphore.take(1, &cancel).is_none());
            let next = scope.spawn(|| semaphore.take(1, &never).is_some());
            while semaphore.lock().waiting.len() < 2 {
                thread::yield_now();
            }
            cancel.store(true, Ordering::Relaxed);
            semaphore.wake();
            assert!(cancelled.join().unwrap());
            drop(first);
            assert!(next.join().unwrap());
        });
    }
}

//! Measured peaks of the machine: memory bandwidth at each level, and multiply-adds.

use std::sync::{Barrier, Mutex};
use std::time::Instant;

use serde::Serialize;

use crate::error::Result;
use crate::instrument::clock::processor_time;
use crate::instrument::load::{MultiplyAdd, Triad};
use crate::instrument::recorder::now;
use crate::numeric::lanes::Block;
use crate::numeric::memory::resize;
use crate::run::Workers;
use crate::run::real::Real;

/// Memory level of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Level {
    /// In the first-level cache.
    L1,
    /// In the second-level cache.
    L2,
    /// In the third-level cache.
    L3,
    /// In the memory beyond.
    #[serde(rename = "memory")]
    Memory,
}

/// Bandwidth of one level.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bandwidth {
    /// Level of the buffers.
    pub level: Level,
    /// Bytes of the three buffers of each thread.
    pub bytes: usize,
    /// Bytes read and written per second, all threads together.
    #[serde(rename = "bytesPerSecond")]
    pub bytes_per_second: f64,
}

/// Peaks of so many threads together.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Peak {
    /// Number of threads.
    pub threads: usize,
    /// Multiply-adds count as two.
    pub operations_per_second: f64,
    /// From the nearest level to the farthest.
    pub bandwidth: Vec<Bandwidth>,
}

/// Repetitions of which the best counts.
const ROUNDS: usize = 6;
/// Nanoseconds of one repetition, about.
const ROUND_NS: f64 = 5e6;
/// Most bytes of the buffers beyond the caches, all threads together.
const MOST_BYTES: usize = 512 << 20;

/// Measures with 1 thread and with all.
///
/// # Errors
/// [`crate::Error::Memory`] when the buffers cannot be allocated.
pub fn measure<F: Real>(workers: &Workers<F>) -> Result<Vec<Peak>> {
    let mut counts = vec![1, workers.threads()];
    counts.dedup();
    counts.into_iter().map(|threads| measure_with(workers, threads)).collect()
}

fn measure_with<F: Real>(workers: &Workers<F>, threads: usize) -> Result<Peak> {
    let caches = Caches::of_this_machine();
    let set = workers.instructions();
    let operations = together(workers, threads, |barrier| {
        let best = ACCUMULATORS.map(|accumulators| {
            best_rate(barrier, |rounds| F::multiply_add(set, MultiplyAdd { accumulators, rounds }) as f64)
        });
        Ok(best.into_iter().fold(0.0, f64::max))
    })?;
    let mut bandwidth = Vec::new();
    for (level, bytes) in caches.buffers(threads) {
        let bytes_per_second = together(workers, threads, |barrier| triad_rate::<F>(set, bytes, barrier))?;
        bandwidth.push(Bandwidth { level, bytes, bytes_per_second });
    }
    Ok(Peak { threads, operations_per_second: operations, bandwidth })
}

/// The sum over so many threads, which begin each round together.
fn together<F: Real>(
    workers: &Workers<F>,
    threads: usize,
    rate: impl Fn(&Barrier) -> Result<f64> + Sync,
) -> Result<f64> {
    let barrier = Barrier::new(threads);
    let sum = Mutex::new(Ok(0.0));
    workers.on_each_thread(|thread| {
        if thread >= threads {
            return;
        }
        let mine = rate(&barrier);
        let mut sum = sum.lock().unwrap_or_else(|e| e.into_inner());
        *sum = match (mine, &*sum) {
            (Ok(mine), Ok(others)) => Ok(mine + others),
            (Err(error), _) => Err(error),
            (_, failed) => failed.clone(),
        };
    });
    sum.into_inner().unwrap_or_else(|e| e.into_inner())
}

/// Units of work per second: the best of several rounds of a few milliseconds; `work` receives the number of
/// repetitions.
fn best_rate(barrier: &Barrier, mut work: impl FnMut(usize) -> f64) -> f64 {
    let mut repeats = 1;
    loop {
        let begun = Instant::now();
        work(repeats);
        let ns = begun.elapsed().as_nanos() as f64;
        if ns > ROUND_NS / 4.0 {
            repeats = ((repeats as f64 * ROUND_NS / ns) as usize).max(1);
            break;
        }
        repeats *= 2;
    }
    let mut best = 0.0f64;
    for _ in 0..ROUNDS {
        barrier.wait();
        let begun = nanoseconds();
        let done = work(repeats);
        best = best.max(1e9 * done / (nanoseconds() - begun).max(1) as f64);
    }
    best
}

/// The thread's processor time, in which no other process runs; where its steps are longer than a round, the time on the wall.
fn nanoseconds() -> u64 {
    if cfg!(unix) { processor_time() } else { now() }
}

fn triad_rate<F: Real>(
    set: crate::numeric::lanes::Instructions,
    bytes: usize,
    barrier: &Barrier,
) -> Result<f64> {
    let blocks = (bytes / 3 / size_of::<Block<F>>()).max(1);
    let mut buffers = [Vec::new(), Vec::new(), Vec::new()];
    let one = Block([F::ONE; crate::numeric::lanes::LANES]);
    let mut failed = None;
    for buffer in &mut buffers {
        failed = failed.or(resize(buffer, blocks, one, "the buffers for memory bandwidth").err());
    }
    let [mut a, b, c] = buffers;
    // A thread without memory still takes part in the barrier.
    let rate = best_rate(barrier, |repeats| {
        F::triad(set, Triad { a: &mut a, b: &b, c: &c, repeats });
        (repeats * 3 * a.len() * size_of::<Block<F>>()) as f64
    });
    failed.map_or(Ok(rate), Err)
}

/// Numbers of independent sums to try: too few stall on latency, too many exceed the registers.
const ACCUMULATORS: [usize; 5] = [2, 3, 4, 6, 8];

/// Sizes of a core's caches in bytes; the third level is shared.
#[derive(Debug, Clone, Copy)]
struct Caches {
    l1: usize,
    l2: usize,
    l3: usize,
}

impl Caches {
    /// From Linux's /sys, else common sizes.
    fn of_this_machine() -> Self {
        let size = |level, otherwise| cache_size(level).unwrap_or(otherwise);
        Self { l1: size(1, 32 << 10), l2: size(2, 1 << 20), l3: size(3, 16 << 20) }
    }

    /// Bytes of a thread's buffers at each level.
    fn buffers(self, threads: usize) -> [(Level, usize); 4] {
        let beyond_l2 = 3 * self.l2;
        let in_l3 = (self.l3 / (2 * threads)).min(8 * self.l2).max(beyond_l2);
        let beyond_l3 = (self.l3 + self.l3 / 2).clamp(64 << 20, MOST_BYTES) / threads;
        [
            (Level::L1, self.l1 / 2),
            (Level::L2, self.l2 / 2),
            (Level::L3, in_l3),
            (Level::Memory, beyond_l3.max(in_l3)),
        ]
    }
}

fn cache_size(level: u32) -> Option<usize> {
    let read = |index: u32, file: &str| {
        let path = format!("/sys/devices/system/cpu/cpu0/cache/index{index}/{file}");
        std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
    };
    let holds_data = |&index: &u32| {
        let kind = read(index, "type");
        read(index, "level")?
            .parse::<u32>()
            .ok()
            .filter(|&l| l == level && kind.as_deref() != Some("Instruction"))
    };
    let index = (0..8).find(|index| holds_data(index).is_some())?;
    let kilobytes: usize = read(index, "size")?.strip_suffix('K')?.parse().ok()?;
    Some(kilobytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_found_at_every_level_and_thread_count() {
        let peaks = measure(&Workers::<f32>::new(2).unwrap()).unwrap();
        assert_eq!(peaks.iter().map(|peak| peak.threads).collect::<Vec<_>>(), [1, 2]);
        for peak in peaks {
            assert!(peak.operations_per_second > 1e8, "{peak:?}");
            let levels: Vec<_> = peak.bandwidth.iter().map(|b| b.level).collect();
            assert_eq!(levels, [Level::L1, Level::L2, Level::L3, Level::Memory]);
            assert!(peak.bandwidth.iter().all(|b| b.bytes_per_second > 1e7), "{peak:?}");
        }
    }

    #[test]
    fn buffers_grow_from_level_to_level() {
        let caches = Caches { l1: 32 << 10, l2: 1 << 20, l3: 8 << 20 };
        for threads in [1, 2, 8] {
            let buffers = caches.buffers(threads).map(|(_, bytes)| bytes);
            assert!(buffers.is_sorted(), "{buffers:?}");
        }
    }
}

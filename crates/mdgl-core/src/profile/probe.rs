//! The probe that kernels carry: times of their sections, some steps of them, and nothing when it is off.
//!
//! A kernel calls [`Probe::step`] at the start of a step and [`Probe::lap`] after each section. Of every window of
//! so many steps one, at random, is timed: a section's mean over the timed steps times the number of steps is its time.
//! Rare and long sections (a tile's gradient sums) are timed each time, by [`Probe::open`] and [`Probe::close`].
//! Off, each of these is one branch that never changes.

use super::clock::ticks;
use super::section::{SECTIONS, Section};

/// Times of one kernel on one block of trials.
#[derive(Debug, Clone, Default)]
pub(crate) struct Probe {
    /// Whether a profile is made at all.
    on: bool,
    /// Whether the step at hand is timed.
    timed: bool,
    /// The end of the last section.
    last: u64,
    /// Steps until the next timed one.
    left: u32,
    /// What was left after it in its window.
    rest: u32,
    every: u32,
    random: u64,
    steps: u64,
    timed_steps: u64,
    /// Ticks that a lap itself takes.
    cost: u64,
    /// Ticks of the step at hand, and a bit for each section that it had.
    now: [u64; SECTIONS],
    had: u32,
    /// Sums of ticks and of their squares over timed steps.
    sum: [f64; SECTIONS],
    square: [f64; SECTIONS],
    /// Ticks of sections that are always timed.
    whole: [u64; SECTIONS],
}

/// A section's time in ticks, and how sure it is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Estimate {
    pub ticks: f64,
    /// The square of the sampling's standard error.
    pub variance: f64,
}

impl Probe {
    /// Starts over; one step in `every` is timed, and none with `every` 0.
    pub fn start(&mut self, every: u32, seed: u64) {
        *self = Self { on: every > 0, every, random: seed | 1, ..Self::default() };
        if self.on {
            self.cost = lap_cost();
            self.draw();
        }
    }

    /// A step begins.
    #[inline(always)]
    pub fn step(&mut self) {
        if self.on {
            self.next_step();
        }
    }

    /// A section ends; the next one begins.
    #[inline(always)]
    pub fn lap(&mut self, section: Section) {
        if self.timed {
            self.take(section);
        }
    }

    /// A section begins that is timed whatever the step.
    #[inline(always)]
    pub fn open(&mut self) {
        if self.on {
            self.mark();
        }
    }

    /// It ends.
    #[inline(always)]
    pub fn close(&mut self, section: Section) {
        if self.on {
            self.take_whole(section);
        }
    }

    /// The last step has ended: every section's time.
    pub fn finish(&mut self) -> [Estimate; SECTIONS] {
        self.flush();
        std::array::from_fn(|i| {
            let whole = self.whole[i] as f64;
            self.estimate(i).map_or(Estimate { ticks: whole, variance: 0.0 }, |sampled| Estimate {
                ticks: whole + sampled.ticks,
                variance: sampled.variance,
            })
        })
    }

    /// Simple random sampling without replacement: total = N x̄, its variance N² s²/n (1 − n/N).
    fn estimate(&self, section: usize) -> Option<Estimate> {
        let (all, timed) = (self.steps as f64, self.timed_steps as f64);
        if timed == 0.0 {
            return None;
        }
        let mean = self.sum[section] / timed;
        let spread = (self.square[section] / timed - mean * mean).max(0.0) * timed / (timed - 1.0).max(1.0);
        let variance = all * all * spread / timed * (1.0 - timed / all);
        Some(Estimate { ticks: all * mean, variance })
    }

    #[inline(never)]
    fn next_step(&mut self) {
        self.flush();
        self.steps += 1;
        self.left -= 1;
        if self.left == 0 {
            self.timed = true;
            self.timed_steps += 1;
            self.draw();
            self.last = ticks();
        }
    }

    /// Chooses the timed step of the next window.
    fn draw(&mut self) {
        // Xorshift: where in a window is not a matter of results.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let offset = (self.random >> 33) as u32 % self.every;
        self.left = self.rest + offset + 1;
        self.rest = self.every - offset - 1;
    }

    #[inline(never)]
    fn take(&mut self, section: Section) {
        let now = ticks();
        self.now[section as usize] += now.wrapping_sub(self.last).saturating_sub(self.cost);
        self.had |= 1 << section as u32;
        self.last = now;
    }

    #[inline(never)]
    fn mark(&mut self) {
        self.last = ticks();
    }

    #[inline(never)]
    fn take_whole(&mut self, section: Section) {
        let now = ticks();
        self.whole[section as usize] += now.wrapping_sub(self.last).saturating_sub(self.cost);
        self.last = now;
    }

    /// Books the step at hand, if it was timed.
    fn flush(&mut self) {
        if !self.timed {
            return;
        }
        self.timed = false;
        let before = (self.timed_steps - 1) as f64;
        let mut had = std::mem::take(&mut self.had);
        while had != 0 {
            let section = had.trailing_zeros() as usize;
            had &= had - 1;
            let mut ticks = std::mem::take(&mut self.now[section]) as f64;
            let limit = INTERRUPTED * self.sum[section] + before * LEAST_INTERRUPTION;
            if before >= STEADY && ticks * before > limit {
                ticks = self.sum[section] / before;
            }
            self.sum[section] += ticks;
            self.square[section] += ticks * ticks;
        }
    }
}

/// Timed steps before a mean is trusted.
const STEADY: f64 = 8.0;
/// So many times its mean a section takes only where the system gave the processor to somebody else in the middle of
/// it. That belongs to no section, and must not stand for all the steps that were not timed: it counts as the mean, and
/// the excess is left to the remainder.
const INTERRUPTED: f64 = 16.0;
/// In ticks; some microseconds.
const LEAST_INTERRUPTION: f64 = 20_000.0;

/// Ticks between two laps with nothing between them: the least of many.
fn lap_cost() -> u64 {
    static COST: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    *COST.get_or_init(|| {
        let mut probe = Probe { on: true, timed: true, last: ticks(), ..Probe::default() };
        let mut least = u64::MAX;
        for _ in 0..2000 {
            probe.take(Section::Remainder);
            least = least.min(std::mem::take(&mut probe.now[Section::Remainder as usize]));
        }
        least
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timed_steps(every: u32, steps: usize) -> Vec<usize> {
        let mut probe = Probe::default();
        probe.start(every, 7);
        let is_timed = |_: &usize| {
            probe.step();
            probe.timed
        };
        (0..steps).filter(is_timed).collect()
    }

    #[test]
    fn one_step_of_every_window_is_timed_and_not_always_the_same_one() {
        let timed = timed_steps(16, 1600);
        assert_eq!(timed.len(), 100);
        for (window, step) in timed.iter().enumerate() {
            assert_eq!(step / 16, window);
        }
        let mut places: Vec<_> = timed.iter().map(|step| step % 16).collect();
        places.sort_unstable();
        places.dedup();
        assert!(places.len() > 12, "{places:?}");
    }

    #[test]
    fn every_step_can_be_timed() {
        assert_eq!(timed_steps(1, 5), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn off_it_counts_nothing() {
        let mut probe = Probe::default();
        probe.start(0, 7);
        probe.step();
        probe.lap(Section::Readout);
        probe.open();
        probe.close(Section::GradientGather);
        assert!(probe.finish().iter().all(|estimate| estimate.ticks == 0.0 && estimate.variance == 0.0));
    }

    #[test]
    fn a_sample_stands_for_all_steps_and_knows_its_error() {
        let mut probe = Probe { steps: 12, timed_steps: 3, ..Probe::default() };
        for ticks in [1.0, 2.0, 6.0] {
            probe.sum[0] += ticks;
            probe.square[0] += ticks * ticks;
        }
        let [estimate, ..] = probe.finish();
        assert!((estimate.ticks - 36.0).abs() < 1e-12);
        // s² = 7, N²/n (1 − n/N) = 48 · 3/4.
        assert!((estimate.variance - 7.0 * 36.0).abs() < 1e-9);
    }

    #[test]
    fn an_interruption_does_not_stand_for_the_steps_that_were_not_timed() {
        let mut probe = Probe::default();
        probe.start(1, 7);
        for step in 0..20 {
            probe.step();
            probe.now[0] = if step == 15 { 10_000_000 } else { 1000 };
            probe.had = 1;
        }
        let [estimate, ..] = probe.finish();
        assert_eq!(estimate.ticks, 20_000.0);
    }

    #[test]
    fn what_is_always_timed_has_no_sampling_error() {
        let mut probe = Probe::default();
        probe.start(1000, 7);
        for _ in 0..10 {
            probe.step();
            probe.open();
            let begun = std::time::Instant::now();
            while begun.elapsed().as_micros() < 50 {}
            probe.close(Section::GradientGather);
        }
        let estimate = probe.finish()[Section::GradientGather as usize];
        assert!(estimate.ticks > 0.0 && estimate.variance == 0.0);
    }
}

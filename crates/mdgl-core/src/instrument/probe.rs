//! The probe of a kernel: times of its sections, sampled over steps; a single branch when it is off.
//!
//! A kernel calls [`Probe::step`] at the start of a step and [`Probe::lap`] after each section. Of every window of
//! so many steps one, at random, is timed section by section, and another one as a whole, which gives how much
//! longer a step takes because it is timed. Rare and long sections (a tile's gradient sums) are timed each time, by
//! [`Probe::open`] and [`Probe::close`]. Off, each of these is one branch that never changes.

use super::clock::ticks;
use super::sample::Sample;
use super::section::Section;

/// Times of one kernel on one block of trials.
#[derive(Debug, Clone, Default)]
pub(crate) struct Probe {
    /// Whether a profile is being made.
    on: bool,
    /// Whether the current step is timed section by section.
    timed: bool,
    /// Whether it is timed as a whole.
    whole: bool,
    /// Its start.
    begin: u64,
    /// The end of its last section.
    last: u64,
    /// Ticks of it that are attributed to other sections.
    elsewhere: u64,
    every: u32,
    /// Index of the next step in its window, and of the steps that are timed.
    place: u32,
    timed_place: u32,
    whole_place: u32,
    random: u64,
    sample: Sample,
}

impl Probe {
    /// Starts over; one step in `every` is timed, none if `every` is 0.
    pub fn start(&mut self, every: u32, seed: u64) {
        *self = Self { on: every > 0, every, random: seed | 1, ..Self::default() };
        if self.on {
            self.draw();
        }
    }

    /// Starts a step.
    #[inline(always)]
    pub fn step(&mut self) {
        if self.on {
            self.next_step();
        }
    }

    /// Ends a section and starts the next one.
    #[inline(always)]
    pub fn lap(&mut self, section: Section) {
        if self.timed {
            self.take(section);
        }
    }

    /// Starts a section that is timed in every step.
    #[inline(always)]
    pub fn open(&mut self) {
        if self.on {
            self.mark();
        }
    }

    /// Ends that section.
    #[inline(always)]
    pub fn close(&mut self, section: Section) {
        if self.on {
            self.take_whole(section);
        }
    }

    /// Ends the last step and returns the samples.
    pub fn finish(&mut self) -> Sample {
        self.flush();
        std::mem::take(&mut self.sample)
    }

    #[inline(never)]
    fn next_step(&mut self) {
        self.flush();
        if self.place == self.every {
            self.place = 0;
            self.draw();
        }
        self.sample.steps += 1;
        self.timed = self.place == self.timed_place;
        self.whole = self.place == self.whole_place;
        self.place += 1;
        if self.timed || self.whole {
            self.elsewhere = 0;
            self.begin = ticks();
            self.last = self.begin;
        }
    }

    /// Chooses the timed steps of a window.
    fn draw(&mut self) {
        // Xorshift: no result depends on it.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.timed_place = (self.random >> 33) as u32 % self.every;
        self.whole_place = match self.every {
            1 => u32::MAX,
            _ => (self.timed_place + self.every / 2) % self.every,
        };
    }

    #[inline(never)]
    fn take(&mut self, section: Section) {
        let now = ticks();
        self.sample.lap(section, now.wrapping_sub(self.last));
        self.last = now;
    }

    #[inline(never)]
    fn mark(&mut self) {
        self.last = ticks();
    }

    #[inline(never)]
    fn take_whole(&mut self, section: Section) {
        let now = ticks();
        let ticks = now.wrapping_sub(self.last);
        self.sample.always.push((section, ticks as f32));
        self.elsewhere += ticks;
        self.last = now;
    }

    /// Records the current step, if it was timed.
    fn flush(&mut self) {
        if !(self.timed || self.whole) {
            return;
        }
        let ticks = ticks().wrapping_sub(self.begin).saturating_sub(self.elsewhere);
        if self.timed {
            self.sample.end_timed_step(ticks);
        } else {
            self.sample.untouched.push(ticks as f32);
        }
        self.timed = false;
        self.whole = false;
    }
}

/// Ticks between two laps with nothing between them: the least of many.
pub(crate) fn lap_cost() -> f64 {
    static COST: std::sync::OnceLock<f64> = std::sync::OnceLock::new();
    *COST.get_or_init(|| {
        let mut probe = Probe { on: true, timed: true, last: ticks(), ..Probe::default() };
        let lap = |_| {
            probe.take(Section::Remainder);
            std::mem::take(&mut probe.sample.now[Section::Remainder as usize])
        };
        f64::from((0..2000).map(lap).fold(f32::MAX, f32::min))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instrument::sample::TimedStep;

    fn steps(every: u32, steps: usize, is: impl Fn(&Probe) -> bool) -> Vec<usize> {
        let mut probe = Probe::default();
        probe.start(every, 7);
        let chosen = |_: &usize| {
            probe.step();
            is(&probe)
        };
        (0..steps).filter(chosen).collect()
    }

    #[test]
    fn of_every_window_one_step_is_timed_and_another_as_a_whole_and_not_always_the_same_ones() {
        for is in [|probe: &Probe| probe.timed, |probe: &Probe| probe.whole] {
            let timed = steps(16, 1600, is);
            assert_eq!(timed.len(), 100);
            for (window, step) in timed.iter().enumerate() {
                assert_eq!(step / 16, window);
            }
            let mut places: Vec<_> = timed.iter().map(|step| step % 16).collect();
            places.sort_unstable();
            places.dedup();
            assert!(places.len() > 12, "{places:?}");
        }
        assert!(steps(16, 1600, |probe| probe.timed && probe.whole).is_empty());
    }

    #[test]
    fn every_step_can_be_timed() {
        assert_eq!(steps(1, 5, |probe| probe.timed), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn off_it_finds_nothing() {
        let mut probe = Probe::default();
        probe.start(0, 7);
        probe.step();
        probe.lap(Section::Readout);
        probe.open();
        probe.close(Section::GradientGather);
        assert_eq!(probe.finish(), Sample::default());
    }

    fn wait(microseconds: u128) {
        let begun = std::time::Instant::now();
        while begun.elapsed().as_micros() < microseconds {}
    }

    #[test]
    fn what_is_always_timed_is_no_part_of_a_step() {
        let mut probe = Probe::default();
        probe.start(1, 7);
        for _ in 0..10 {
            probe.step();
            wait(20);
            probe.lap(Section::Readout);
            probe.open();
            wait(2000);
            probe.close(Section::GradientGather);
        }
        let sample = probe.finish();
        assert_eq!(sample.laps[Section::Readout as usize], 10);
        assert_eq!(sample.laps[Section::GradientGather as usize], 0);
        let whole: f64 = sample.always.iter().map(|(_, ticks)| f64::from(*ticks)).sum();
        assert_eq!(sample.always.len(), 10);
        // Whatever the length of a tick: one takes a hundred times as long as the other.
        let sum = |of: fn(&TimedStep) -> f32| f64::from(sample.timed.iter().map(of).sum::<f32>());
        assert!(whole > 20.0 * sum(|step| step.sections[Section::Readout as usize]), "{sample:?}");
        assert!(whole > 5.0 * sum(|step| step.total), "{sample:?}");
    }
}

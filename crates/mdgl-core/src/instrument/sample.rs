//! Samples of a probe, and the estimates of times and their errors.

use super::section::{SECTIONS, Section};

/// Samples of one kernel on one block of trials, in ticks.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sample {
    /// Steps in all.
    pub steps: u64,
    /// The steps that were timed section by section.
    pub timed: Vec<TimedStep>,
    /// Laps in them.
    pub laps: [u64; SECTIONS],
    /// Other steps, timed from start to end: the clock was not read within them.
    pub untouched: Vec<f32>,
    /// Sections that are timed in every step.
    pub always: Vec<(Section, f32)>,
    /// Sections of the current step.
    pub now: [f32; SECTIONS],
}

/// A step from start to end, and its sections.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct TimedStep {
    pub total: f32,
    pub sections: [f32; SECTIONS],
}

/// A time in ticks, and the square of its standard error.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Estimate {
    pub ticks: f64,
    pub variance: f64,
}

/// Estimates from all samples of a kernel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Baseline {
    /// A step that takes longer was interrupted.
    pub longest: f32,
    /// Likewise for a section that is timed in every step.
    pub longest_section: f32,
    /// Time that a lap adds to its step.
    pub lap: Estimate,
}

/// A step takes so many times the median only if the system preempted the thread in the middle of it. That time belongs
/// to no section, and must not be extrapolated to the steps that were not timed.
const INTERRUPTED: f32 = 16.0;
/// In ticks; some microseconds.
const LEAST_INTERRUPTION: f32 = 10_000.0;
/// Steps of either kind from which the cost of a lap is found.
const ENOUGH: usize = 8;

impl Sample {
    /// A section of the current step.
    #[inline(always)]
    pub fn lap(&mut self, section: Section, ticks: u64) {
        self.now[section as usize] += ticks as f32;
        self.laps[section as usize] += 1;
    }

    /// Ends a step that was timed section by section.
    pub fn end_timed_step(&mut self, total: u64) {
        self.timed.push(TimedStep { total: total as f32, sections: std::mem::take(&mut self.now) });
    }

    /// Number of laps of a section, extrapolated to all steps.
    pub fn all_laps(&self, section: usize) -> f64 {
        match self.timed.len() {
            0 => 0.0,
            timed => (self.steps * self.laps[section]) as f64 / timed as f64,
        }
    }

    /// A section's time in all steps.
    ///
    /// Simple random sampling without replacement: N x̄ with the variance N² s²/n (1 − n/N); what its laps cost is taken
    /// off; its error is not in the variance, since all runs share it.
    pub fn estimate(&self, section: usize, baseline: &Baseline) -> Estimate {
        let steps = self.timed.iter().filter(|step| step.total <= baseline.longest);
        let times = SampleMoments::of(steps.map(|step| step.sections[section]));
        let all = self.steps as f64;
        let mut estimate = Estimate { ticks: self.always(section, baseline), variance: 0.0 };
        if times.count > 0.0 {
            estimate.ticks += all * times.mean - self.all_laps(section) * baseline.lap.ticks;
            estimate.variance = all * all * times.error() * (1.0 - times.count / all);
        }
        estimate
    }

    /// The time of a section that is timed in every step; an interrupted one counts as the mean of the others.
    fn always(&self, section: usize, baseline: &Baseline) -> f64 {
        let times =
            || self.always.iter().filter(|(timed, _)| *timed as usize == section).map(|(_, ticks)| *ticks);
        let undisturbed = SampleMoments::of(times().filter(|&ticks| ticks <= baseline.longest_section));
        times().count() as f64 * undisturbed.mean
    }
}

impl Baseline {
    /// From all samples of a kernel. The cost of a lap is how much longer timed steps take than others, divided by
    /// their laps; `otherwise` where there are too few.
    pub fn of(samples: &[&Sample], otherwise: f64) -> Self {
        let timed = || samples.iter().flat_map(|sample| &sample.timed).map(|step| step.total);
        let untouched = || samples.iter().flat_map(|sample| &sample.untouched).copied();
        let longest = limit(timed().chain(untouched()).collect());
        let always = samples.iter().flat_map(|sample| &sample.always).map(|(_, ticks)| *ticks);
        let longest_section = limit(always.collect());
        let laps: u64 = samples.iter().flat_map(|sample| sample.laps).sum();
        let laps = laps as f64 / timed().count() as f64;
        let within = |&total: &f32| total <= longest;
        let (timed, untouched) =
            (SampleMoments::of(timed().filter(within)), SampleMoments::of(untouched().filter(within)));
        if timed.count.min(untouched.count) < ENOUGH as f64 || laps == 0.0 {
            return Self { longest, longest_section, lap: Estimate { ticks: otherwise, variance: 0.0 } };
        }
        let lap = Estimate {
            ticks: ((timed.mean - untouched.mean) / laps).max(0.0),
            variance: (timed.error() + untouched.error()) / (laps * laps),
        };
        Self { longest, longest_section, lap }
    }
}

/// Times above it count as interrupted.
fn limit(times: Vec<f32>) -> f32 {
    INTERRUPTED * median(times) + LEAST_INTERRUPTION
}

fn median(mut values: Vec<f32>) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

/// Mean and s² of observations.
struct SampleMoments {
    count: f64,
    mean: f64,
    variance: f64,
}

impl SampleMoments {
    fn of(values: impl Iterator<Item = f32>) -> Self {
        let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
        for value in values {
            count += 1.0;
            let off = f64::from(value) - mean;
            mean += off / count;
            squares += off * (f64::from(value) - mean);
        }
        Self { count, mean, variance: squares / f64::max(count - 1.0, 1.0) }
    }

    /// The square of the mean's standard error.
    fn error(&self) -> f64 {
        self.variance / self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: Baseline = Baseline {
        longest: f32::MAX,
        longest_section: f32::MAX,
        lap: Estimate { ticks: 0.0, variance: 0.0 },
    };
    const READOUT: usize = Section::Readout as usize;
    const MODULATION: usize = Section::Modulation as usize;

    fn sample(steps: u64, timed: &[u64]) -> Sample {
        let mut sample = Sample { steps, ..Sample::default() };
        for &ticks in timed {
            sample.lap(Section::Readout, ticks);
            sample.end_timed_step(ticks);
        }
        sample
    }

    #[test]
    fn a_sample_stands_for_all_steps_and_knows_its_error() {
        let estimate = sample(12, &[1, 2, 6]).estimate(READOUT, &FREE);
        assert!((estimate.ticks - 36.0).abs() < 1e-12);
        // s² = 7, N²/n (1 − n/N) = 48 · 3/4.
        assert!((estimate.variance - 7.0 * 36.0).abs() < 1e-9);
    }

    #[test]
    fn a_section_that_some_steps_lack_is_0_in_them() {
        let mut sample = sample(8, &[]);
        for step in 0..4 {
            sample.lap(Section::Readout, 10);
            if step == 2 {
                sample.lap(Section::Modulation, 8);
            }
            sample.end_timed_step(20);
        }
        let estimate = sample.estimate(MODULATION, &FREE);
        assert_eq!(estimate.ticks, 16.0);
        // Observations 0, 0, 8, 0: s² = 16, N²/n (1 − n/N) = 16 · 1/2.
        assert!((estimate.variance - 16.0 * 8.0).abs() < 1e-9);
    }

    #[test]
    fn an_interruption_does_not_stand_for_the_steps_that_were_not_timed() {
        for interrupted in [0, 15] {
            let mut times = [1000; 20];
            times[interrupted] = 10_000_000;
            let sample = sample(20, &times);
            let baseline = Baseline::of(&[&sample], 0.0);
            assert_eq!(sample.estimate(READOUT, &baseline).ticks, 20_000.0);
        }
    }

    #[test]
    fn what_timing_costs_is_found_from_the_steps_that_were_left_alone() {
        let mut samples = [sample(100, &[]), sample(100, &[])];
        for sample in &mut samples {
            for _ in 0..10 {
                sample.lap(Section::Readout, 60);
                sample.lap(Section::Readout, 50);
                sample.lap(Section::Modulation, 50);
                sample.end_timed_step(190);
                sample.untouched.push(160.0);
            }
        }
        samples[0].untouched.push(1e9);
        let [a, b] = &samples;
        let baseline = Baseline::of(&[a, b], 1e9);
        assert_eq!(baseline.lap, Estimate { ticks: 10.0, variance: 0.0 });
        assert_eq!(a.estimate(READOUT, &baseline).ticks, 9000.0);
        assert_eq!(a.estimate(MODULATION, &baseline).ticks, 4000.0);
    }

    #[test]
    fn what_is_always_timed_needs_no_sample() {
        let mut sample = sample(4, &[10, 10]);
        for ticks in [300.0, 500.0, 1e9, 400.0] {
            sample.always.push((Section::Modulation, ticks));
        }
        let baseline = Baseline::of(&[&sample], 0.0);
        assert_eq!(sample.estimate(MODULATION, &baseline), Estimate { ticks: 1600.0, variance: 0.0 });
        assert_eq!(sample.estimate(READOUT, &baseline).ticks, 40.0);
    }

    #[test]
    fn with_few_steps_a_lap_costs_what_it_costs_alone() {
        let sample = sample(3, &[100, 100, 100]);
        let baseline = Baseline::of(&[&sample], 7.0);
        assert_eq!(sample.estimate(READOUT, &baseline).ticks, 279.0);
    }
}

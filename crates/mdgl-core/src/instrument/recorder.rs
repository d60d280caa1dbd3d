//! The record of a profiled batch: the stages of each thread, the times of its kernels' sections, and their tallies.

use std::sync::{Mutex, MutexGuard};

use serde::Serialize;

use super::clock::{origin, processor_time};
use super::probe::Probe;
use super::sample::{Baseline, Estimate, Sample};
use super::section::{SECTIONS, Section};
use super::tally::Tally;

/// A stage of a block of trials, or of the whole batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProfileStage {
    /// Checks, compilation of the network, the plan.
    Prepare,
    /// A block's input.
    Draw,
    /// A block from the first step to the last.
    Simulate,
    /// A block's losses and δ.
    #[serde(rename = "judge")]
    EvaluateLoss,
    /// A block from the last step to the first.
    Backward,
    /// A block of a form that learns from the first step to the last.
    Forward,
    /// Sums over lanes and blocks.
    Reduce,
    /// The optimiser.
    Optimise,
    /// Rewiring.
    Rewire,
}

impl ProfileStage {
    /// Section for the time that the stage's probes do not cover.
    pub(crate) fn remainder(self) -> Section {
        match self {
            Self::Prepare => Section::Preparation,
            Self::Draw => Section::DrawingInputs,
            Self::Simulate | Self::Backward | Self::Forward => Section::Remainder,
            Self::EvaluateLoss => Section::Loss,
            Self::Reduce => Section::Reduction,
            Self::Optimise => Section::Optimiser,
            Self::Rewire => Section::Rewiring,
        }
    }
}

/// A stage on one thread; times in ns.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Slice {
    /// The stage.
    pub stage: ProfileStage,
    /// The thread. Work that is not split into blocks counts as the first thread's.
    pub thread: usize,
    /// The block of trials, for a stage that is split.
    pub block: Option<usize>,
    /// Start.
    pub begin: u64,
    /// End.
    pub end: u64,
    /// Time between them for which the thread had a processor.
    pub processor: u64,
}

impl Slice {
    /// Time for which the thread had no processor; below 0 by the clocks' errors.
    pub(crate) fn preempted(&self) -> f64 {
        (self.end - self.begin) as f64 - self.processor as f64
    }
}

/// Mode of recording an iteration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordMode {
    /// Times of stages and sections; probes time one step in so many.
    Times {
        /// Number of steps of which one is timed.
        every: u32,
    },
    /// Counts of work. Counting takes time, so it has an iteration of its own.
    Counts,
}

/// Collects the records of all threads.
#[derive(Debug)]
pub(crate) struct Recorder {
    record: RecordMode,
    log: Mutex<Log>,
}

/// Records of an iteration.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub slices: Vec<Slice>,
    /// Samples of the probes.
    pub found: Vec<Found>,
    pub tallies: [Tally; SECTIONS],
}

/// Samples of one of a slice's probes.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Index of the slice.
    pub slice: usize,
    /// Index of the probe within the stage.
    pub probe: usize,
    pub sample: Sample,
}

impl Recorder {
    pub fn new(record: RecordMode) -> Self {
        Self { record, log: Mutex::default() }
    }

    /// Number of steps of which a probe times one; 0: none.
    pub fn every(&self) -> u32 {
        match self.record {
            RecordMode::Times { every } => every,
            RecordMode::Counts => 0,
        }
    }

    /// Whether [`Self::count`] is used.
    pub fn counts(&self) -> bool {
        self.record == RecordMode::Counts
    }

    /// Adds to the work of sections.
    pub fn count(&self, tallies: &[(Section, Tally)]) {
        let mut log = self.log();
        tallies.iter().for_each(|&(section, tally)| log.tallies[section as usize].add(tally));
    }

    /// Returns everything collected so far; the recorder starts over.
    pub fn take(&self) -> Log {
        std::mem::take(&mut *self.log())
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// Nanoseconds since the first reading of the clock in this process.
pub(crate) fn now() -> u64 {
    origin().elapsed().as_nanos() as u64
}

/// A stage in progress; without a recorder it does nothing.
#[derive(Debug)]
#[must_use]
pub(crate) struct Span<'a> {
    recorder: Option<&'a Recorder>,
    stage: ProfileStage,
    block: Option<usize>,
    begin: u64,
    /// The thread's processor time at the start.
    processor: u64,
}

impl<'a> Span<'a> {
    pub fn begin(recorder: Option<&'a Recorder>, stage: ProfileStage, block: Option<usize>) -> Self {
        let (begin, processor) = if recorder.is_some() { (now(), processor_time()) } else { (0, 0) };
        Self { recorder, stage, block, begin, processor }
    }

    /// Prepares the probe of a kernel of the stage.
    pub fn start(&self, probe: &mut Probe) {
        let every = self.recorder.map_or(0, Recorder::every);
        probe.start(every, self.begin ^ self.block.map_or(0, |block| block as u64 + 1) << 32);
    }

    /// Ends the stage.
    pub fn end(self) {
        self.end_with([]);
    }

    /// Ends the stage, with the probes of its kernels.
    pub fn end_with<const N: usize>(self, probes: [&mut Probe; N]) {
        let Some(recorder) = self.recorder else { return };
        let processor = processor_time().saturating_sub(self.processor);
        let end = now();
        let thread = rayon::current_thread_index().unwrap_or(0);
        let Self { stage, block, begin, .. } = self;
        let samples = probes.map(Probe::finish);
        let mut log = recorder.log();
        let slice = log.slices.len();
        log.slices.push(Slice { stage, thread, block, begin, end, processor });
        let found = samples.into_iter().enumerate();
        log.found.extend(found.map(|(probe, sample)| Found { slice, probe, sample }));
    }
}

/// Ticks of each section of a slice, from the samples of its probes and the estimates for their kernels.
pub(crate) fn split(
    slice: &Slice,
    found: &[(&Sample, Baseline)],
    ticks_a_nanosecond: f64,
) -> [Estimate; SECTIONS] {
    let mut sections = [Estimate::default(); SECTIONS];
    let mut rest = Estimate { ticks: slice.processor as f64 * ticks_a_nanosecond, variance: 0.0 };
    sections[Section::Preempted as usize].ticks = slice.preempted() * ticks_a_nanosecond;
    for (sample, baseline) in found {
        for (i, section) in sections.iter_mut().enumerate() {
            let estimate = sample.estimate(i, baseline);
            section.ticks += estimate.ticks;
            section.variance += estimate.variance;
            rest.ticks -= estimate.ticks;
            rest.variance += estimate.variance;
        }
    }
    let remainder = &mut sections[slice.stage.remainder() as usize];
    remainder.ticks += rest.ticks;
    remainder.variance += rest.variance;
    sections
}

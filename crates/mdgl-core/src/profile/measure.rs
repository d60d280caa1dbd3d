//! A profile of training iterations on one batch: the same work repeated, the model unchanged.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use serde::Serialize;

use super::peak::{self, Peak};
use crate::description::legal::Use;
use crate::error::{Result, invalid};
use crate::instrument::clock::Scale;
use crate::instrument::probe::lap_cost;
use crate::instrument::recorder::{Log, ProfileStage, RecordMode, Recorder, Slice, now, split};
use crate::instrument::sample::{Baseline, Estimate, Sample};
use crate::instrument::section::{SECTIONS, Section};
use crate::instrument::tally::Tally;
use crate::model::Model;
use crate::run::real::Real;
use crate::run::{Assignment, StepReport, Training, Workers, train_step};

/// Options of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProfileOptions {
    /// Number of profiled iterations; as many plain ones run in between, for comparison. At least 1.
    pub iterations: usize,
    /// One step of a kernel in so many is timed. At least 1.
    pub every: u32,
    /// Whether to measure the machine's peaks as well.
    pub peaks: bool,
}

impl Default for ProfileOptions {
    fn default() -> Self {
        Self { iterations: 20, every: 32, peaks: true }
    }
}

/// A profile: means over its iterations.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// The instruction set in use.
    pub simd: &'static str,
    /// The float type in use.
    pub precision: &'static str,
    /// Number of threads.
    pub threads: usize,
    /// One step in so many was timed.
    pub every: u32,
    /// Times of whole iterations.
    pub iterations: Vec<IterationTimes>,
    /// Every section, in the order of an iteration.
    pub kernels: Vec<KernelProfile>,
    /// The machine's peaks with 1 thread and with all, if measured.
    pub peaks: Vec<Peak>,
    /// Stages of every profiled iteration by thread, for a trace.
    pub slices: Vec<Slice>,
    /// Loss of the batch.
    pub loss: f64,
    /// Norm of the gradient.
    pub gradient_norm: f64,
}

/// One profiled iteration and the plain one after it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IterationTimes {
    /// Start of the profiled one in ns, on the clock of the slices.
    pub begin: u64,
    /// Its end.
    pub end: u64,
    /// ms of the profiled one.
    pub profiled: f64,
    /// ms of it for which threads with work had no processor, of all threads together.
    pub preempted: f64,
    /// ms of the plain one.
    pub plain: f64,
}

/// A section of an iteration.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KernelProfile {
    /// The section.
    pub kernel: Section,
    /// Time of all threads together, per iteration.
    #[serde(flatten)]
    pub time: SectionTime,
    /// Time of each thread, per iteration.
    pub by_thread: Vec<SectionTime>,
    /// Its work per iteration, exactly.
    #[serde(flatten)]
    pub work: Tally,
}

/// A time and the sampling error of its mean.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SectionTime {
    /// ms per iteration.
    pub ms: f64,
    /// One standard error in ms, from timing some steps only and from what the clock costs.
    pub standard_error: f64,
}

/// Profiles training iterations of a batch: gradients and a step of the optimiser, whose result is dropped.
///
/// # Errors
/// As [`train_step`], and [`crate::Error::Invalid`] for the options and for custom losses.
pub fn profile<F: Real>(
    model: &Model<F>,
    assignment: Assignment<'_>,
    training: Training<'_>,
    options: ProfileOptions,
    workers: &mut Workers<F>,
    cancel: &AtomicBool,
) -> Result<Profile> {
    if options.iterations == 0 {
        return Err(invalid("options.iterations", 0, "at least 1"));
    }
    if options.every == 0 {
        return Err(invalid("options.every", 0, "at least 1 step"));
    }
    training.rule.validate_use(Use::Profile)?;
    let mut session = ProfileSession { model, assignment, training, cancel };
    let tallies = session.record(workers, RecordMode::Counts)?.2.tallies;
    let report = session.iterate(workers)?;
    let scale = Scale::start();
    let mut times = Vec::new();
    let mut logs = Vec::new();
    for _ in 0..options.iterations {
        let (mut times_of, _, log) = session.record(workers, RecordMode::Times { every: options.every })?;
        let begun = Instant::now();
        session.iterate(workers)?;
        times_of.plain = begun.elapsed().as_secs_f64() * 1e3;
        times.push(times_of);
        logs.push(log);
    }
    let kernels = ProfileSums::new(workers.threads(), &times, &logs, scale.nanoseconds())
        .kernels(&tallies, times.len());
    Ok(Profile {
        simd: workers.instructions().name(),
        precision: F::NAME,
        threads: workers.threads(),
        every: options.every,
        iterations: times,
        kernels,
        peaks: if options.peaks { peak::measure(workers)? } else { Vec::new() },
        slices: logs.into_iter().flat_map(|log| log.slices).collect(),
        loss: report.evaluation.loss,
        gradient_norm: report.gradient_norm,
    })
}

/// The work that is repeated.
struct ProfileSession<'a, F: Real> {
    model: &'a Model<F>,
    assignment: Assignment<'a>,
    training: Training<'a>,
    cancel: &'a AtomicBool,
}

impl<F: Real> ProfileSession<'_, F> {
    fn iterate(&mut self, workers: &Workers<F>) -> Result<StepReport> {
        let Self { model, assignment, training, cancel } = self;
        let (_, report) = train_step(model, *assignment, *training, None, workers, cancel)?;
        Ok(report)
    }

    fn record(
        &mut self,
        workers: &mut Workers<F>,
        record: RecordMode,
    ) -> Result<(IterationTimes, StepReport, Log)> {
        workers.set_recorder(Some(Recorder::new(record)));
        let begin = now();
        let report = self.iterate(workers);
        let end = now();
        let log = workers.set_recorder(None).map(|recorder| recorder.take()).unwrap_or_default();
        let profiled = (end - begin) as f64 * 1e-6;
        let preempted = log.slices.iter().map(Slice::preempted).sum::<f64>().max(0.0) * 1e-6;
        Ok((IterationTimes { begin, end, profiled, preempted, plain: 0.0 }, report?, log))
    }
}

/// Ticks by thread and section, over all profiled iterations.
struct ProfileSums {
    threads: Vec<[Estimate; SECTIONS]>,
    /// Per kernel with a probe: its laps by thread and section.
    kernels: Vec<(KernelTime, Vec<[f64; SECTIONS]>)>,
    nanoseconds_a_tick: f64,
}

impl ProfileSums {
    fn new(threads: usize, times: &[IterationTimes], logs: &[Log], nanoseconds_a_tick: f64) -> Self {
        let none = vec![[0.0; SECTIONS]; threads];
        let kernels = kernels(logs).into_iter().map(|kernel| (kernel, none.clone())).collect();
        let threads = vec![[Estimate::default(); SECTIONS]; threads];
        let mut sums = Self { threads, kernels, nanoseconds_a_tick };
        let whole: u64 = times.iter().map(|times| times.end - times.begin).sum();
        for thread in &mut sums.threads {
            thread[Section::Waiting as usize].ticks = whole as f64 / nanoseconds_a_tick;
        }
        logs.iter().for_each(|log| sums.add(log));
        sums
    }

    fn add(&mut self, log: &Log) {
        let ticks_a_nanosecond = 1.0 / self.nanoseconds_a_tick;
        for (index, slice) in log.slices.iter().enumerate() {
            let mut samples = Vec::new();
            for found in log.found.iter().filter(|found| found.slice == index) {
                let own = |kernel: &KernelTime| kernel.is_of(slice.stage, found.probe);
                let Some((kernel, laps)) = self.kernels.iter_mut().find(|(kernel, _)| own(kernel)) else {
                    continue;
                };
                samples.push((&found.sample, kernel.baseline));
                for section in 0..SECTIONS {
                    let laps_of = found.sample.all_laps(section);
                    laps[slice.thread][section] += laps_of;
                    laps[slice.thread][slice.stage.remainder() as usize] -= laps_of;
                }
            }
            let thread = &mut self.threads[slice.thread];
            for (sum, part) in thread.iter_mut().zip(split(slice, &samples, ticks_a_nanosecond)) {
                sum.ticks += part.ticks;
                sum.variance += part.variance;
            }
            // A working thread does not wait.
            thread[Section::Waiting as usize].ticks -= (slice.end - slice.begin) as f64 * ticks_a_nanosecond;
        }
    }

    /// Estimate for some threads together: their sampling errors are independent, but the cost of a lap is one number
    /// for all.
    fn of(&self, threads: std::ops::Range<usize>, section: Section, iterations: usize) -> SectionTime {
        let section = section as usize;
        let parts = self.threads[threads.clone()].iter().map(|sections| sections[section]);
        let (ticks, own) = parts.fold((0.0, 0.0), |sum, part| (sum.0 + part.ticks, sum.1 + part.variance));
        let shared = self.kernels.iter().map(|(kernel, laps)| {
            let laps: f64 = laps[threads.clone()].iter().map(|sections| sections[section]).sum();
            laps * laps * kernel.baseline.lap.variance
        });
        let ms = self.nanoseconds_a_tick * 1e-6 / iterations as f64;
        SectionTime { ms: ticks * ms, standard_error: (own + shared.sum::<f64>()).sqrt() * ms }
    }

    fn kernels(&self, tallies: &[Tally; SECTIONS], iterations: usize) -> Vec<KernelProfile> {
        let threads = self.threads.len();
        let kernel = |&kernel: &Section| KernelProfile {
            kernel,
            time: self.of(0..threads, kernel, iterations),
            by_thread: (0..threads).map(|thread| self.of(thread..thread + 1, kernel, iterations)).collect(),
            work: tallies[kernel as usize],
        };
        Section::ALL.iter().map(kernel).collect()
    }
}

/// A kernel with a probe.
struct KernelTime {
    stage: ProfileStage,
    probe: usize,
    baseline: Baseline,
}

impl KernelTime {
    fn is_of(&self, stage: ProfileStage, probe: usize) -> bool {
        self.stage == stage && self.probe == probe
    }
}

/// From all runs of each kernel together.
fn kernels(logs: &[Log]) -> Vec<KernelTime> {
    let mut kernels: Vec<(ProfileStage, usize, Vec<&Sample>)> = Vec::new();
    for log in logs {
        for found in &log.found {
            let stage = log.slices[found.slice].stage;
            match kernels.iter_mut().find(|kernel| kernel.0 == stage && kernel.1 == found.probe) {
                Some((.., samples)) => samples.push(&found.sample),
                None => kernels.push((stage, found.probe, vec![&found.sample])),
            }
        }
    }
    let kernel = |(stage, probe, samples): (ProfileStage, usize, Vec<&Sample>)| KernelTime {
        stage,
        probe,
        baseline: Baseline::of(&samples, lap_cost()),
    };
    kernels.into_iter().map(kernel).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::batch::loss::Objective;
    use crate::batch::{DrawKey, EncodedBatch, Input, RateSegment, Targets};
    use crate::description::rule::Rule;
    use crate::model::optimiser::Optimiser;
    use crate::network::Network;
    use crate::run::gradients;
    use crate::single::Layout;

    const STEPS: u32 = 100;
    const TRIALS: u32 = 20;

    fn model(tau: f64) -> Model<f32> {
        let description = r#"{
            "schema": "mdgl-network/1",
            "inputs": [{"name": "in", "size": 10}],
            "populations": [
                {"name": "regular", "size": 12, "model": "lif", "membraneTimeConstant": TAU},
                {
                    "name": "adaptive", "size": 7, "model": "alif",
                    "membraneTimeConstant": TAU, "adaptationTimeConstant": TAU
                }
            ],
            "readouts": [{"name": "out", "size": 2, "timeConstant": TAU}],
            "projections": [
                {"from": "in", "to": "regular", "density": 0.8},
                {"from": "in", "to": "adaptive", "density": 0.8},
                {"from": "regular", "to": "adaptive", "density": 0.5},
                {"from": "adaptive", "to": "regular", "density": 0.5},
                {"from": "adaptive", "to": "out", "density": 1.0}
            ]
        }"#;
        let description = description.replace("TAU", &tau.to_string());
        let network = Network::new(serde_json::from_str(&description).unwrap()).unwrap();
        Model::new(Arc::new(network)).unwrap()
    }

    fn batch() -> EncodedBatch {
        let segment = |trial| RateSegment { trial, units: (0, 10), steps: (0, STEPS - trial), rate: 60.0 };
        EncodedBatch {
            trials: TRIALS as usize,
            steps: STEPS as usize,
            lengths: Some((0..TRIALS).map(|trial| STEPS - trial).collect()),
            inputs: vec![Input::Rates((0..TRIALS).map(segment).collect())],
            targets: vec![Targets::Classes((0..TRIALS).map(|trial| trial % 2).collect())],
            key: DrawKey { seed: 3, stream: 2, iteration: 0 },
        }
    }

    fn objective() -> Objective {
        serde_json::from_str(
            r#"{"losses": [{"readout": "out", "kind": "cross-entropy", "window": 5}], "regulariser": null}"#,
        )
        .unwrap()
    }

    fn rule(name: &str) -> Rule {
        Rule::named(name).unwrap()
    }

    fn with<T>(body: impl FnOnce(&Model<f32>, Assignment<'_>) -> T) -> T {
        with_constants(20.0, body)
    }

    fn with_constants<T>(tau: f64, body: impl FnOnce(&Model<f32>, Assignment<'_>) -> T) -> T {
        let (batch, objective) = (batch(), objective());
        body(&model(tau), Assignment { batch: &batch, objective: &objective })
    }

    #[test]
    fn recording_changes_no_bit_of_a_gradient() {
        let cancel = AtomicBool::new(false);
        for name in ["bptt", "mdgl", "nl-mdgl", "on-mdgl", "mdgl-online"] {
            let rule = rule(name);
            with(|model, assignment| {
                let mut workers = Workers::new(2).unwrap().with_segment(23).unwrap();
                let plain = gradients(model, assignment, &rule, None, &workers, &cancel).unwrap();
                for record in
                    [RecordMode::Counts, RecordMode::Times { every: 1 }, RecordMode::Times { every: 5 }]
                {
                    workers.set_recorder(Some(Recorder::new(record)));
                    let recorded = gradients(model, assignment, &rule, None, &workers, &cancel).unwrap();
                    assert_eq!(plain, recorded, "{name} {record:?}");
                    let log = workers.set_recorder(None).unwrap().take();
                    assert!(!log.slices.is_empty());
                }
            });
        }
    }

    fn profiled(name: &str, threads: usize) -> Profile {
        profiled_in(Layout::Trials, name, threads)
    }

    fn profiled_in(layout: Layout, name: &str, threads: usize) -> Profile {
        profiled_with_constants(20.0, layout, name, threads)
    }

    fn profiled_with_constants(tau: f64, layout: Layout, name: &str, threads: usize) -> Profile {
        let options = ProfileOptions { iterations: 3, every: 4, peaks: false };
        let mut workers = Workers::new(threads).unwrap().with_layout(layout);
        let cancel = AtomicBool::new(false);
        with_constants(tau, |model, assignment| {
            let optimiser = Optimiser::fig_3c();
            profile(
                model,
                assignment,
                Training { rule: &rule(name), optimiser: &optimiser },
                options,
                &mut workers,
                &cancel,
            )
            .unwrap()
        })
    }

    fn kernel(profile: &Profile, kernel: Section) -> &KernelProfile {
        profile.kernels.iter().find(|one| one.kernel == kernel).unwrap()
    }

    #[test]
    fn times_of_threads_add_up_to_their_iterations() {
        for (name, threads) in [("mdgl", 1), ("bptt", 2), ("eprop-online", 2)] {
            let profile = profiled(name, threads);
            let whole: f64 = profile.iterations.iter().map(|times| times.profiled).sum::<f64>() / 3.0;
            for thread in 0..threads {
                let sum: f64 = profile.kernels.iter().map(|kernel| kernel.by_thread[thread].ms).sum();
                assert!((sum - whole).abs() < 1e-6 * whole, "{name}: {sum} of {whole} ms");
            }
            for kernel in &profile.kernels {
                let sum: f64 = kernel.by_thread.iter().map(|time| time.ms).sum();
                assert!((sum - kernel.time.ms).abs() < 1e-9, "{kernel:?}");
            }
        }
    }

    #[test]
    fn work_is_counted_by_trial_and_not_by_lane() {
        let profile = profiled("bptt", 1);
        let live = u64::from((0..TRIALS).map(|trial| STEPS - trial).sum::<u32>());
        assert_eq!(kernel(&profile, Section::NeuronUpdate).work.neuron_updates, live * 19);
        assert_eq!(kernel(&profile, Section::BackwardRecursion).work.neuron_updates, live * 19);
        // Two blocks of trials.
        assert_eq!(kernel(&profile, Section::NeuronUpdate).work.calls, 2 * u64::from(STEPS));
        assert_eq!(kernel(&profile, Section::Optimiser).work.calls, 1);
    }

    /// Both layouts update the same neurons and follow the same synapses; only their steps differ, by block or by trial.
    #[test]
    fn work_does_not_depend_on_the_layout() {
        for name in ["eprop", "mdgl", "bptt"] {
            let profiles = [Layout::Trials, Layout::Neurons].map(|layout| profiled_in(layout, name, 2));
            for section in
                [Section::InputScatter, Section::RecurrentScatter, Section::Readout, Section::GradientGather]
            {
                let [blocks, singles] = profiles.each_ref().map(|p| kernel(p, section).work.synaptic_events);
                assert_eq!(blocks, singles, "{name} {section:?}");
            }
            for section in [Section::NeuronUpdate, Section::BackwardRecursion] {
                let [blocks, singles] = profiles.each_ref().map(|p| kernel(p, section).work);
                assert_eq!(blocks.neuron_updates, singles.neuron_updates, "{name} {section:?}");
                assert_eq!(singles.calls, u64::from(TRIALS * STEPS), "{name} {section:?}");
            }
        }
    }

    /// Errors of the last five steps, and the cells' adjoints, decay to 0 before the first one where time constants are short.
    #[test]
    fn what_is_left_out_is_not_counted() {
        for layout in [Layout::Trials, Layout::Neurons] {
            let [long, short] = [20.0, 0.5].map(|tau| profiled_with_constants(tau, layout, "eprop", 1));
            let [long, short] =
                [&long, &short].map(|profile| kernel(profile, Section::BackwardRecursion).work);
            assert!(0 < short.operations && short.operations < long.operations, "{short:?} {long:?}");
            assert!(short.bytes < long.bytes, "{short:?} {long:?}");
            assert_eq!(short.neuron_updates, long.neuron_updates);
        }
        let [long, short] = [20.0, 0.5].map(|tau| profiled_with_constants(tau, Layout::Trials, "mdgl", 1));
        let [long, short] = [&long, &short].map(|profile| kernel(profile, Section::Modulation).work);
        assert!(0 < short.calls && short.calls < long.calls, "{short:?} {long:?}");
        assert!(short.operations < long.operations);
        assert_eq!(short.bytes * long.calls, long.bytes * short.calls);
    }

    #[test]
    fn time_without_a_processor_is_no_work() {
        let slice = Slice {
            stage: ProfileStage::Simulate,
            thread: 0,
            block: None,
            begin: 1000,
            end: 2000,
            processor: 400,
        };
        let sections = split(&slice, &[], 3.0);
        let ticks = |section: Section| sections[section as usize].ticks;
        assert_eq!(
            [Section::Preempted, Section::Remainder, Section::Waiting].map(ticks),
            [1800.0, 1200.0, 0.0]
        );
    }

    #[test]
    fn slices_of_a_thread_follow_one_another() {
        let profile = profiled("mdgl", 2);
        for thread in 0..2 {
            let mut slices: Vec<_> = profile.slices.iter().filter(|slice| slice.thread == thread).collect();
            slices.sort_by_key(|slice| slice.begin);
            assert!(slices.iter().all(|slice| slice.begin <= slice.end));
            assert!(slices.windows(2).all(|pair| pair[0].end <= pair[1].begin), "thread {thread}");
        }
        let blocks = |stage| profile.slices.iter().filter(|slice| slice.stage == stage).count();
        assert_eq!(
            [ProfileStage::Draw, ProfileStage::Simulate, ProfileStage::Backward].map(blocks),
            [6, 6, 6]
        );
        assert_eq!(
            [ProfileStage::Prepare, ProfileStage::Optimise, ProfileStage::Rewire].map(blocks),
            [3, 3, 3]
        );
    }

    #[test]
    fn options_are_checked() {
        let mut workers = Workers::new(1).unwrap();
        let cancel = AtomicBool::new(false);
        with(|model, assignment| {
            for (iterations, every, path) in [(0, 1, "options.iterations"), (1, 0, "options.every")] {
                let options = ProfileOptions { iterations, every, peaks: false };
                let optimiser = Optimiser::fig_3c();
                let error = profile(
                    model,
                    assignment,
                    Training { rule: &rule("mdgl"), optimiser: &optimiser },
                    options,
                    &mut workers,
                    &cancel,
                )
                .unwrap_err();
                assert!(error.to_string().starts_with(path), "{error}");
            }
        });
    }
}

//! Whole batches: blocks of sixteen trials on threads, then one fixed tree of sums.
//!
//! Threads only choose who computes a block; every sum over blocks has the same order, so results
//! do not depend on their number.

mod digest;
mod message;
mod shared;
mod third_factor;

use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, OnceLock};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::batch::{Batch, Event, Targets};
use crate::circuit::{Circuit, Run};
use crate::description::{Conventions, Kernel, Reach};
use crate::encode::BlockInput;
use crate::error::{Error, Result, invalid};
use crate::judge::{Judge, Verdict};
use crate::lanes::{Block, Instructions, LANES};
use crate::learn::backward::{Backward, Signals, Work};
use crate::learn::feedback;
use crate::learn::forward::{self, Trial, Wiring};
use crate::learn::online::{Online, Traces};
use crate::learn::partial::{Gradients, Partial, Piece};
use crate::learn::plan::{Delta, Plan, trace_cells};
use crate::learn::rates::RatePart;
use crate::learn::rule::{Estimator, LearningSignal, Rule, Trace};
use crate::loss::{Objective, Regulariser, check_values};
use crate::memory::{product, reserve, resize, room_for};
use crate::model::Model;
use crate::modulation::channel_table;
use crate::optimise::{self, Optimiser};
use crate::profile::recorder::{Recorder, Span, Stage};
use crate::profile::section::Section;
use crate::profile::work::{self, Tally};
use crate::psi_means::group_means;
use crate::real::Real;
use crate::single::{self, Layout, Learning, On, Singles};
use crate::trajectory::{Keep, Simulate, Trajectory};

pub use shared::{Share, SharedWork, Sharing, Turnout};
pub use third_factor::{
    Observation, Observed, Score, gradients_from_signal, observe, train_step_from_signal,
};

/// Threads and the memory that batches reuse.
#[derive(Debug)]
pub struct Workers<F: Real> {
    pool: rayon::ThreadPool,
    instructions: Instructions,
    segment: Option<usize>,
    layout: Option<Layout>,
    rooms: Mutex<Vec<Room<F>>>,
    /// Takes down what happens, while a profile is made.
    recorder: Option<Recorder>,
}

/// What one block of trials needs from its input to its gradient.
#[derive(Debug, Default)]
struct Room<F: Real> {
    input: BlockInput<F>,
    trajectory: Trajectory<F>,
    delta: Delta<F>,
    work: Work<F>,
    traces: Traces<F>,
    /// How the trials were simulated; `trajectory` and `work` are a block's, `singles` holds its trials one by one.
    layout: Layout,
    singles: Singles<F>,
}

impl<F: Real> Room<F> {
    /// The readout, `[step][unit]`.
    fn readout(&self) -> &[Block<F>] {
        match self.layout {
            Layout::Trials => &self.trajectory.readout,
            Layout::Neurons => &self.singles.readout,
        }
    }

    fn spike_counts(&self, neurons: usize) -> Vec<u64> {
        match self.layout {
            Layout::Trials => self.trajectory.spike_counts(neurons),
            Layout::Neurons => self.singles.spike_counts(neurons),
        }
    }

    /// Σ ψ over all steps of all trials, one a neuron; none where it was not kept.
    fn psi_sums(&self, neurons: usize) -> Vec<f64> {
        match self.layout {
            Layout::Trials => self.trajectory.psi_sums(),
            Layout::Neurons => self.singles.psi_sums(neurons),
        }
    }

    /// Number of spikes of each neuron in each trial.
    fn counts_by_trial(&self, neurons: usize) -> Vec<[u32; LANES]> {
        match self.layout {
            Layout::Trials => self.trajectory.counts_by_trial(neurons),
            Layout::Neurons => self.singles.counts_by_trial(neurons),
        }
    }

    /// Adds the neurons of one trial that spike at a step.
    fn list_spikes(&self, lane: usize, step: usize, to: &mut Vec<u32>) {
        match self.layout {
            Layout::Trials => {
                let entries = self.trajectory.state.spikes.at(step).iter();
                to.extend(entries.filter(|entry| entry.mask >> lane & 1 == 1).map(|entry| entry.unit));
            }
            Layout::Neurons => to.extend(self.singles.trial(lane).spikes_at(step)),
        }
    }

    /// Adds the membrane of one trial's neurons at a step.
    fn list_voltages(&self, lane: usize, step: usize, neurons: usize, to: &mut Vec<F>) {
        match self.layout {
            Layout::Trials => {
                let row = &self.trajectory.voltage[step * neurons..(step + 1) * neurons];
                to.extend(row.iter().map(|block| block.0[lane]));
            }
            Layout::Neurons => to.extend(&self.singles.trial(lane).voltage_at(step, neurons)[..neurons]),
        }
    }
}

impl<F: Real> Workers<F> {
    /// So many threads, on the best instruction set of the processor (or `MDGL_SIMD`'s).
    ///
    /// # Errors
    /// [`Error::Invalid`] for 0 or over 1024 threads, or when the system gives none.
    pub fn new(threads: usize) -> Result<Self> {
        Self::with_instructions(threads, Instructions::choose()?)
    }

    /// So many threads on a given instruction set.
    ///
    /// # Errors
    /// As [`Self::new`]; also when the processor lacks the instruction set.
    pub fn with_instructions(threads: usize, instructions: Instructions) -> Result<Self> {
        if threads == 0 || threads > 1024 {
            return Err(invalid("threads", threads, "1 to 1024"));
        }
        if !instructions.is_available() {
            return Err(invalid("instructions", instructions.name(), "one that the processor has"));
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("mdgl-{i}"))
            .build()
            .map_err(|e| invalid("threads", threads, format!("fewer ({e})")))?;
        Ok(Self { pool, instructions, segment: None, layout: None, rooms: Mutex::default(), recorder: None })
    }

    /// Keeps the pseudo-derivatives of at most so many steps at once and simulates the others again when the
    /// backward pass needs them. By default as many as fit into 64 MiB a block of sixteen trials; it never changes
    /// a result.
    ///
    /// # Errors
    /// [`Error::Invalid`] for 0.
    pub fn with_segment(mut self, steps: usize) -> Result<Self> {
        if steps == 0 {
            return Err(invalid("segment", steps, "at least 1 step"));
        }
        self.segment = Some(steps);
        Ok(self)
    }

    /// Puts trials or neurons into the lanes, whatever the batch. By default the faster of both for a network and a
    /// block's number of trials; it never changes a result. Where anything diffuses trials stand in the lanes always.
    #[must_use]
    pub fn with_layout(mut self, layout: Layout) -> Self {
        self.layout = Some(layout);
        self
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// The instruction set in use.
    pub fn instructions(&self) -> Instructions {
        self.instructions
    }

    /// Begins or ends a recording; gives the recorder that there was.
    pub(crate) fn set_recorder(&mut self, recorder: Option<Recorder>) -> Option<Recorder> {
        std::mem::replace(&mut self.recorder, recorder)
    }

    /// Runs on every thread at once, with its index.
    pub(crate) fn on_each_thread(&self, job: impl Fn(usize) + Sync) {
        self.pool.broadcast(|context| job(context.index()));
    }

    /// A stage begins, of a block or of the whole batch.
    fn span(&self, stage: Stage, block: Option<usize>) -> Span<'_> {
        Span::begin(self.recorder.as_ref(), stage, block)
    }

    /// Whether what is done is to be counted.
    fn counts(&self) -> bool {
        self.recorder.as_ref().is_some_and(Recorder::counts)
    }

    /// Counts what was done, if that is wanted.
    fn count<const N: usize>(&self, tallies: impl FnOnce() -> [(Section, Tally); N]) {
        if let Some(recorder) = self.recorder.as_ref().filter(|recorder| recorder.counts()) {
            recorder.count(&tallies());
        }
    }

    /// Runs a job for each of some blocks; results in the order of the blocks.
    fn blocks<T: Send>(
        &self,
        blocks: &Range<usize>,
        job: impl Fn(usize, &mut Room<F>) -> Result<T> + Sync + Send,
    ) -> Result<Vec<T>> {
        self.each_block(blocks, |block| {
            let mut room = self.take_room();
            let result = job(block, &mut room);
            self.give_room(room);
            result
        })
    }

    fn each_block<T: Send>(
        &self,
        blocks: &Range<usize>,
        job: impl Fn(usize) -> Result<T> + Sync + Send,
    ) -> Result<Vec<T>> {
        self.pool.install(|| blocks.clone().into_par_iter().map(job).collect())
    }

    fn take_room(&self) -> Room<F> {
        let mut rooms = self.rooms.lock().unwrap_or_else(|e| e.into_inner());
        rooms.pop().unwrap_or_default()
    }

    fn give_room(&self, room: Room<F>) {
        self.rooms.lock().unwrap_or_else(|e| e.into_inner()).push(room);
    }
}

/// What a batch came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// The task's loss.
    pub loss: f64,
    /// The firing-rate regulariser's loss.
    pub regulariser: f64,
    /// Fraction of trials whose class was right; `None` without classes.
    pub accuracy: Option<f64>,
    /// Mean firing rate of the recurrent neurons in Hz.
    pub rate: f64,
}

/// What one training iteration gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// The batch before the step.
    pub evaluation: Evaluation,
    /// Norm of the whole gradient, before clipping.
    pub gradient_norm: f64,
}

/// What a batch is to be judged by.
#[derive(Debug, Clone, Copy)]
pub struct Assignment<'a> {
    /// The trials.
    pub batch: &'a Batch,
    /// The losses.
    pub objective: &'a Objective,
    /// Targets, one entry a loss.
    pub targets: &'a [Targets],
}

impl Assignment<'_> {
    fn validate<F: Real>(&self, model: &Model<F>) -> Result<()> {
        self.batch.validate(model.network())?;
        self.objective.validate(model.network(), self.batch, self.targets)
    }
}

/// A simulated batch, waiting for δ from outside (custom losses).
#[derive(Debug)]
pub struct Forward<F: Real> {
    rooms: Vec<Room<F>>,
    trials: usize,
    outputs: usize,
}

impl<F: Real> Forward<F> {
    /// Simulates a batch and keeps what the gradient needs.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a batch that does not fit, [`Error::Cancelled`], [`Error::Memory`].
    pub fn new(model: &Model<F>, batch: &Batch, workers: &Workers<F>, cancel: &AtomicBool) -> Result<Self> {
        Self::keeping(model, batch, Keep::NOTHING, workers, cancel)
    }

    /// The same for a rule, of which nothing is asked but what has to be kept: the sums of ψ, if a channel's kernel is
    /// `'membrane'`; trials in the lanes, if something diffuses.
    ///
    /// # Errors
    /// As [`Self::new`], and for a rule that does not fit the network.
    pub fn for_rule(
        model: &Model<F>,
        batch: &Batch,
        rule: &Rule,
        workers: &Workers<F>,
        cancel: &AtomicBool,
    ) -> Result<Self> {
        let kinds = channel_table(model.network(), rule)?.map_or_else(Vec::new, |table| table.kinds());
        let sums = kinds.iter().any(|(_, kernel)| matches!(kernel, Kernel::Membrane(_)));
        let diffuses = kinds.iter().any(|&(reach, _)| reach == Reach::Diffusive);
        let in_blocks =
            diffuses || rule.learning_signal == LearningSignal::Diffusive || rule.trace == Trace::Rflo;
        Self::keeping(model, batch, Keep { sums, in_blocks, ..Keep::NOTHING }, workers, cancel)
    }

    fn keeping(
        model: &Model<F>,
        batch: &Batch,
        keep: Keep<'_, F>,
        workers: &Workers<F>,
        cancel: &AtomicBool,
    ) -> Result<Self> {
        batch.validate(model.network())?;
        let pass = Pass::new(model, batch, workers, cancel)?;
        let keep =
            Keep { sums: keep.sums, in_blocks: keep.in_blocks, ..pass.keep(Some(&pass.circuit.runs), false) };
        let rooms = pass.simulate_all(keep)?;
        Ok(Self { rooms, trials: batch.trials, outputs: model.network().output_units() })
    }

    /// The readout, `[trial][step][unit]`.
    ///
    /// # Errors
    /// [`Error::Memory`] when there is no room for it.
    pub fn readout(&self) -> Result<Vec<F>> {
        readouts(&self.rooms, self.trials, self.outputs)
    }
}

/// A loss computed outside, for a [`Forward`].
#[derive(Debug)]
pub struct CustomLoss<F: Real> {
    /// The simulated batch.
    pub forward: Forward<F>,
    /// ∂E/∂y, `[trial][step][unit]` over all readout units.
    pub delta: Vec<f64>,
    /// E.
    pub loss: f64,
    /// Reported as it is.
    pub accuracy: Option<f64>,
}

/// Simulates a batch and judges it.
///
/// # Errors
/// [`Error::Invalid`] for a batch or targets that do not fit, [`Error::NotFinite`], [`Error::Cancelled`],
/// [`Error::Memory`].
pub fn evaluate<F: Real>(
    model: &Model<F>,
    assignment: Assignment<'_>,
    workers: &Workers<F>,
    cancel: &AtomicBool,
) -> Result<Evaluation> {
    assignment.validate(model)?;
    let outcomes = Pass::new(model, assignment.batch, workers, cancel)?.outcomes(assignment)?;
    finite(Outcome::total(&outcomes).evaluation(model, assignment))
}

/// Loss and gradients of a batch by a rule; `custom` goes with a custom loss and only with one.
///
/// # Errors
/// [`Error::Invalid`] for a batch, targets or rule that do not fit, [`Error::NotFinite`],
/// [`Error::Cancelled`], [`Error::Memory`].
pub fn gradients<F: Real>(
    model: &Model<F>,
    assignment: Assignment<'_>,
    rule: &Rule,
    custom: Option<CustomLoss<F>>,
    workers: &Workers<F>,
    cancel: &AtomicBool,
) -> Result<(Evaluation, Gradients<F>)> {
    let all = vec![true; model.network().projections().len()];
    let learned = learn(model, assignment, rule, custom, &all, workers, cancel)?;
    Ok((learned.evaluation, learned.gradients))
}

/// One training iteration: gradients, then one step of the optimiser on a copy of the model.
///
/// # Errors
/// As [`gradients`], and [`Error::Invalid`] for the optimiser's settings.
pub fn train_step<F: Real>(
    model: &Model<F>,
    assignment: Assignment<'_>,
    rule: &Rule,
    custom: Option<CustomLoss<F>>,
    optimiser: &Optimiser,
    workers: &Workers<F>,
    cancel: &AtomicBool,
) -> Result<(Model<F>, StepReport)> {
    optimiser.validate(model.network())?;
    let learns = optimiser.learns(model.network());
    let decay = feedback::next_decay(model, &rule.feedback, optimiser)?;
    let learned = learn(model, assignment, rule, custom, &learns, workers, cancel)?;
    advance_with(model, learned, decay, optimiser, assignment.batch.key.seed, workers)
}

/// The same as [`advance`], and what adaptive feedback loses.
fn advance_with<F: Real>(
    model: &Model<F>,
    learned: Learned<F>,
    decay: Option<f64>,
    optimiser: &Optimiser,
    seed: u64,
    workers: &Workers<F>,
) -> Result<(Model<F>, StepReport)> {
    let (mut next, report) = advance(model, learned, optimiser, seed, workers)?;
    if let Some(loss) = decay {
        feedback::decay(&mut next, loss, optimiser);
    }
    Ok((next, report))
}

/// One step of the optimiser on a copy of the model.
fn advance<F: Real>(
    model: &Model<F>,
    learned: Learned<F>,
    optimiser: &Optimiser,
    seed: u64,
    workers: &Workers<F>,
) -> Result<(Model<F>, StepReport)> {
    let Learned { evaluation, gradients, psi_means } = learned;
    let gradient_norm = gradients.norm();
    let span = workers.span(Stage::Optimise, None);
    let mut next = optimise::step(model, optimiser, &gradients, gradient_norm, seed)?;
    span.end();
    workers.count(|| work::optimised::<F>(next.parameters()));
    let span = workers.span(Stage::Rewire, None);
    optimise::rewire(&mut next, optimiser, seed);
    span.end();
    if let Some(means) = psi_means {
        next.psi_means.follow(&means);
    }
    Ok((next, StepReport { evaluation, gradient_norm }))
}

/// What a batch taught.
struct Learned<F> {
    evaluation: Evaluation,
    gradients: Gradients<F>,
    /// Mean ψ of each group of neurons, where the rule follows it.
    psi_means: Option<Vec<f64>>,
}

fn learn<F: Real>(
    model: &Model<F>,
    assignment: Assignment<'_>,
    rule: &Rule,
    custom: Option<CustomLoss<F>>,
    learns: &[bool],
    workers: &Workers<F>,
    cancel: &AtomicBool,
) -> Result<Learned<F>> {
    let span = workers.span(Stage::Prepare, None);
    assignment.validate(model)?;
    let Assignment { batch, objective, .. } = assignment;
    if objective.is_custom() != custom.is_some() {
        return Err(invalid("loss", "custom", "together with a δ from outside"));
    }
    let pass = Pass::new(model, batch, workers, cancel)?;
    let regularised = objective.regulariser.is_some();
    let mut plan = Plan::new(model, &pass.circuit, rule, regularised, learns)?;
    pass.room_for_partials(&plan, rule.estimator)?;
    span.end();
    let (outcome, partials) = match (custom, rule.estimator) {
        (None, estimator) if estimator.carries_influence() => pass.influence(assignment, &plan, estimator)?,
        (None, _) if pass.goes_in_two(objective, &plan, rule) => pass.in_two(assignment, &mut plan)?,
        (None, _) => {
            let (outcomes, partials) = pass.at_once(assignment, &plan, rule)?;
            (Outcome::total(&outcomes), partials)
        }
        (Some(custom), Estimator::Backward) => pass.given(assignment, &mut plan, custom)?,
        (Some(_), other) => {
            let value = format!("'{}'", other.name());
            return Err(invalid("rule.estimator", value, "with a custom loss: 'backward'"));
        }
    };
    pass.conclude(assignment, rule.estimator, &plan, &outcome, Piece::of_blocks(0, partials))
}

fn finite(evaluation: Evaluation) -> Result<Evaluation> {
    match (evaluation.loss + evaluation.regulariser).is_finite() {
        true => Ok(evaluation),
        false => Err(Error::NotFinite { what: "the loss".into() }),
    }
}

type Summed<F> = (Outcome, Vec<Partial<F>>);

/// One batch on its way through the stages.
struct Pass<'a, F: Real> {
    model: &'a Model<F>,
    circuit: Circuit<F>,
    batch: &'a Batch,
    /// Those to be computed here.
    blocks: Range<usize>,
    workers: &'a Workers<F>,
    cancel: &'a AtomicBool,
    /// For trials one by one; made when the first asks.
    wiring: OnceLock<single::Wiring<F>>,
    learning: OnceLock<Learning<F>>,
}

impl<'a, F: Real> Pass<'a, F> {
    fn new(
        model: &'a Model<F>,
        batch: &'a Batch,
        workers: &'a Workers<F>,
        cancel: &'a AtomicBool,
    ) -> Result<Self> {
        let (wiring, learning) = (OnceLock::new(), OnceLock::new());
        let blocks = 0..batch.trials.div_ceil(LANES);
        Ok(Self { model, circuit: Circuit::new(model)?, batch, blocks, workers, cancel, wiring, learning })
    }
}

impl<F: Real> Pass<'_, F> {
    /// Number of trials in a block.
    fn trials(&self, block: usize) -> usize {
        LANES.min(self.batch.trials - block * LANES)
    }

    /// What trials one by one run on.
    fn on<'b>(&'b self, input: &'b BlockInput<F>) -> On<'b, F> {
        let units = self.model.network().input_units();
        let wiring = self.wiring.get_or_init(|| single::Wiring::new(&self.circuit, units));
        On { circuit: &self.circuit, wiring, input, lane: 0 }
    }

    /// Every block's sums wait for the others'; online there may be two a slot.
    fn room_for_partials(&self, plan: &Plan<F>, estimator: Estimator) -> Result<()> {
        let sums = if estimator == Estimator::Online { 2 } else { 1 };
        let bytes = product(&[self.blocks.len(), plan.slots.len(), sums * size_of::<F>()]);
        room_for(bytes, "the gradients of blocks of trials")
    }

    fn run(&self, block: usize) -> single::Run<'_> {
        let Workers { instructions, recorder, .. } = self.workers;
        single::Run { instructions: *instructions, cancel: self.cancel, recorder: recorder.as_ref(), block }
    }

    fn lengths(&self, block: usize) -> [u32; LANES] {
        std::array::from_fn(|lane| {
            let trial = block * LANES + lane;
            if trial < self.batch.trials { self.batch.length(trial) as u32 } else { 0 }
        })
    }

    fn simulate(&self, block: usize, room: &mut Room<F>, keep: Keep<'_, F>) -> Result<()> {
        let chosen = || Layout::choose(self.circuit.size(), self.trials(block));
        let network = self.model.network();
        let in_blocks = keep.in_blocks || network.has_delays() || network.has_rate_units();
        let layout = match in_blocks {
            true => Layout::Trials,
            false => self.workers.layout.unwrap_or_else(chosen),
        };
        self.simulate_as(layout, block, room, keep)
    }

    fn simulate_as(&self, layout: Layout, block: usize, room: &mut Room<F>, keep: Keep<'_, F>) -> Result<()> {
        let steps = self.batch.steps;
        let span = self.workers.span(Stage::Draw, Some(block));
        room.input.encode(self.model.network(), self.batch, block)?;
        span.end();
        self.workers.count(|| work::drawn(&room.input, steps));
        room.layout = layout;
        if layout == Layout::Neurons {
            let lengths = &self.lengths(block)[..self.trials(block)];
            let (on, run) = (self.on(&room.input), self.run(block));
            return room.singles.simulate(on, lengths, steps, keep, run);
        }
        let span = self.workers.span(Stage::Simulate, Some(block));
        room.trajectory.prepare(&self.circuit, self.lengths(block), steps, keep)?;
        span.start(&mut room.trajectory.state.probe);
        let kernel = Simulate {
            circuit: &self.circuit,
            input: &room.input,
            trajectory: &mut room.trajectory,
            keep,
            cancel: self.cancel,
        };
        F::simulate(self.workers.instructions, kernel)?;
        span.end_with([&mut room.trajectory.state.probe]);
        self.workers.count(|| work::simulated(&self.circuit, &room.input, &room.trajectory));
        Ok(())
    }

    /// What the backward pass of a plan needs.
    fn keep_for<'a>(&self, plan: &'a Plan<F>) -> Keep<'a, F> {
        let keep = self.keep(Some(&plan.wanted), false);
        Keep { sums: plan.follows_psi(), in_blocks: plan.in_blocks(), ..keep }
    }

    fn keep<'a>(&self, psi: Option<&'a [Run<F>]>, voltage: bool) -> Keep<'a, F> {
        Keep { psi, voltage, segment: self.workers.segment, ..Keep::NOTHING }
    }

    fn simulate_all(&self, keep: Keep<'_, F>) -> Result<Vec<Room<F>>> {
        self.workers.each_block(&self.blocks, |block| {
            let mut room = self.workers.take_room();
            self.simulate(block, &mut room, keep)?;
            Ok(room)
        })
    }

    /// All blocks with trials in the lanes, for what reads them so.
    fn simulate_blocks(&self, keep: Keep<'_, F>) -> Result<Vec<Room<F>>> {
        self.workers.blocks(&self.blocks, |block, room| {
            self.simulate_as(Layout::Trials, block, room, keep)?;
            Ok(std::mem::take(room))
        })
    }

    /// Simulates and judges block by block, and keeps nothing.
    fn outcomes(&self, assignment: Assignment<'_>) -> Result<Vec<Outcome>> {
        self.workers.blocks(&self.blocks, |block, room| {
            self.simulate(block, room, Keep::NOTHING)?;
            self.judge(assignment, block, room)
        })
    }

    /// Losses and δ of a simulated block.
    fn judge(&self, assignment: Assignment<'_>, block: usize, room: &mut Room<F>) -> Result<Outcome> {
        let Assignment { batch, objective, targets } = assignment;
        let span = self.workers.span(Stage::Judge, Some(block));
        let outputs = self.circuit.outputs();
        let shortest = self.lengths(block).into_iter().filter(|&n| n > 0).min().unwrap_or(0);
        room.delta.reset(objective.first_step(shortest as usize), batch.steps, outputs)?;
        let mut judge = Judge::new(self.model.network(), batch, objective, targets, block);
        let readout = match room.layout {
            Layout::Trials => &room.trajectory.readout,
            Layout::Neurons => &room.singles.readout,
        };
        judge.all(readout, outputs, &mut room.delta);
        let mut outcome = Outcome::of(judge.verdict(), room.spike_counts(self.circuit.size()));
        outcome.psi = room.psi_sums(self.circuit.size());
        if let Some(r) = objective.regulariser.filter(|_| self.rates_by_trial()) {
            outcome.excesses = self.excesses(r, block, room);
            outcome.squares = outcome.excesses.iter().flatten().map(|excess| excess * excess).sum();
        }
        span.end();
        Ok(outcome)
    }

    /// Losses and δ of all blocks.
    fn judge_all(&self, assignment: Assignment<'_>, rooms: &mut [Room<F>]) -> Result<Vec<Outcome>> {
        self.blocks.clone().zip(rooms).map(|(block, room)| self.judge(assignment, block, room)).collect()
    }

    /// Whether the regulariser looks at each trial's own rates.
    fn rates_by_trial(&self) -> bool {
        self.model.network().conventions() == Conventions::Bellec2020
    }

    /// f_p − f0 a step of each cell in each trial of a block, f_p the trial's own mean; 0 beyond the last trial.
    fn excesses(&self, r: Regulariser, block: usize, room: &Room<F>) -> Vec<[f64; LANES]> {
        let (lengths, trials) = (self.lengths(block), self.trials(block));
        let target = r.target_rate * self.model.network().dt() / 1000.0;
        let excess = |counts: [u32; LANES]| {
            let rate = |lane: usize| f64::from(counts[lane]) / f64::from(lengths[lane]);
            std::array::from_fn(|lane| if lane < trials { rate(lane) - target } else { 0.0 })
        };
        room.counts_by_trial(self.circuit.size()).into_iter().map(excess).collect()
    }

    /// c (f_p − f0) / (steps · trials · window) of each cell in each trial of a block; none where trials share theirs.
    fn own_constants(&self, objective: &Objective, block: usize, outcome: &Outcome) -> Vec<Block<F>> {
        let strength = objective.regulariser.map_or(0.0, |r| r.strength);
        let divisor = self.batch.trials as f64 * objective.divisor();
        let scales = self.lengths(block).map(|steps| strength / (f64::from(steps.max(1)) * divisor));
        let constants = |excesses: &[f64; LANES]| {
            Block(std::array::from_fn(|lane| F::from_f64(scales[lane] * excesses[lane])))
        };
        outcome.excesses.iter().map(constants).collect()
    }

    fn backward(
        &self,
        plan: &Plan<F>,
        rates: RatePart<'_, F>,
        block: usize,
        room: &mut Room<F>,
        signals: Option<&mut Signals<F>>,
    ) -> Result<Partial<F>> {
        if room.layout == Layout::Neurons {
            let units = self.model.network().input_units();
            let learning = self.learning.get_or_init(|| Learning::new(&self.circuit, plan, units));
            let (on, run) = (self.on(&room.input), self.run(block));
            return room.singles.backward(on, (plan, learning), &room.delta, rates, run);
        }
        self.backward_block(plan, block, room, Sources { rates, given: None, record: signals })
    }

    /// Trials in the lanes.
    fn backward_block(
        &self,
        plan: &Plan<F>,
        block: usize,
        room: &mut Room<F>,
        sources: Sources<'_, F>,
    ) -> Result<Partial<F>> {
        let span = self.workers.span(Stage::Backward, Some(block));
        span.start(&mut room.work.probe);
        span.start(&mut room.trajectory.replay.probe);
        let kernel = Backward {
            circuit: &self.circuit,
            plan,
            input: &room.input,
            trajectory: &mut room.trajectory,
            delta: &room.delta,
            rates: sources.rates,
            given: sources.given,
            work: &mut room.work,
            signals: sources.record,
            cancel: self.cancel,
        };
        F::backward(self.workers.instructions, kernel)?;
        span.end_with([&mut room.work.probe, &mut room.trajectory.replay.probe]);
        self.workers.count(|| work::gone_back(&self.circuit, plan, &room.input, &room.trajectory));
        let span = self.workers.span(Stage::Reduce, Some(block));
        let partial = room.work.partial(plan);
        span.end();
        Ok(partial)
    }

    fn backward_all(
        &self,
        plan: &Plan<F>,
        constants: &[F],
        mut rooms: Vec<Room<F>>,
    ) -> Result<Vec<Partial<F>>> {
        let partials = self.workers.pool.install(|| {
            let rates = RatePart::shared(constants);
            let backward = |(block, room)| self.backward(plan, rates, block, room, None);
            let blocks = self.blocks.clone().into_par_iter().zip(rooms.par_iter_mut());
            blocks.map(backward).collect::<Result<Vec<_>>>()
        });
        rooms.into_iter().for_each(|room| self.workers.give_room(room));
        partials
    }

    /// Whether a plan's way back must wait until all blocks have gone forwards.
    fn goes_in_two(&self, objective: &Objective, plan: &Plan<F>, rule: &Rule) -> bool {
        let shared_rates = objective.regulariser.is_some() && !self.rates_by_trial();
        rule.estimator == Estimator::Backward && (plan.wants_batch_means() || shared_rates)
    }

    /// A plan that need not wait: what each block came to, and its sums.
    fn at_once(
        &self,
        assignment: Assignment<'_>,
        plan: &Plan<F>,
        rule: &Rule,
    ) -> Result<(Vec<Outcome>, Vec<Partial<F>>)> {
        let blocks = match rule.estimator {
            Estimator::Backward => self.fused(assignment, plan)?,
            _ => self.online(assignment, plan, rule.trace)?,
        };
        Ok(blocks.into_iter().unzip())
    }

    /// Forward and backward block by block, while the trajectory is in the cache.
    fn fused(&self, assignment: Assignment<'_>, plan: &Plan<F>) -> Result<Vec<(Outcome, Partial<F>)>> {
        self.workers.blocks(&self.blocks, |block, room| {
            self.simulate(block, room, self.keep_for(plan))?;
            let outcome = self.judge(assignment, block, room)?;
            let own = self.own_constants(assignment.objective, block, &outcome);
            Ok((outcome, self.backward(plan, RatePart::own(&own), block, room, None)?))
        })
    }

    /// From the sums of all blocks to what the batch taught.
    fn conclude(
        &self,
        assignment: Assignment<'_>,
        estimator: Estimator,
        plan: &Plan<F>,
        outcome: &Outcome,
        pieces: Vec<Piece<F>>,
    ) -> Result<Learned<F>> {
        let span = self.workers.span(Stage::Reduce, None);
        self.workers.count(|| work::reduced::<F>(plan.slots.len(), pieces.len()));
        let mut partial = Partial::sum_in_tree(pieces);
        if estimator == Estimator::Online && assignment.objective.regulariser.is_some() {
            partial.regularise(plan, &outcome.constants(self.model, assignment));
        }
        let evaluation = finite(outcome.evaluation(self.model, assignment))?;
        let gradients = partial.gradients(self.model, plan)?;
        span.end();
        let psi_means = plan.follows_psi().then(|| outcome.psi_means(self.model, self.batch));
        Ok(Learned { evaluation, gradients, psi_means })
    }

    /// The signals of judged blocks.
    fn record(
        &self,
        plan: &Plan<F>,
        assignment: Assignment<'_>,
        outcomes: &[Outcome],
        rooms: &mut [Room<F>],
    ) -> Result<Vec<Signals<F>>> {
        let shared = Outcome::total(outcomes).constants(self.model, assignment);
        let len = product(&[self.batch.steps, self.circuit.size()]);
        let record = |(block, room): (usize, &mut Room<F>)| {
            let mut signals = Signals::default();
            for buffer in [&mut signals.learning, &mut signals.modulation] {
                resize(buffer, len, Block::ZERO, "the recorded signals of a block of trials")?;
            }
            let own = self.own_constants(assignment.objective, block, &outcomes[block]);
            let rates = if own.is_empty() { RatePart::shared(&shared) } else { RatePart::own(&own) };
            self.backward(plan, rates, block, room, Some(&mut signals))?;
            Ok(signals)
        };
        rooms.iter_mut().enumerate().map(record).collect()
    }

    /// All blocks forward, then all backward: the regulariser needs the batch's rates (if trials share theirs).
    fn in_two(&self, assignment: Assignment<'_>, plan: &mut Plan<F>) -> Result<Summed<F>> {
        let (rooms, outcomes) = self.forward_all(assignment, plan)?;
        let outcome = Outcome::total(&outcomes);
        let partials = self.return_all(assignment, plan, &outcome, rooms)?;
        Ok((outcome, partials))
    }

    /// All blocks forward, and judged.
    fn forward_all(
        &self,
        assignment: Assignment<'_>,
        plan: &Plan<F>,
    ) -> Result<(Vec<Room<F>>, Vec<Outcome>)> {
        let mut rooms = self.simulate_all(self.keep_for(plan))?;
        let outcomes = self.judge_all(assignment, &mut rooms)?;
        Ok((rooms, outcomes))
    }

    /// All backward, with what the whole batch came to.
    fn return_all(
        &self,
        assignment: Assignment<'_>,
        plan: &mut Plan<F>,
        outcome: &Outcome,
        rooms: Vec<Room<F>>,
    ) -> Result<Vec<Partial<F>>> {
        self.take_means(plan, outcome);
        self.backward_all(plan, &outcome.constants(self.model, assignment), rooms)
    }

    /// The mean ψ of the batch, for the kernels that want it.
    fn take_means(&self, plan: &mut Plan<F>, outcome: &Outcome) {
        if plan.wants_batch_means() {
            plan.take_means(self.model.network(), &outcome.psi_means(self.model, self.batch));
        }
    }

    /// Backward from a δ that was computed outside.
    fn given(
        &self,
        assignment: Assignment<'_>,
        plan: &mut Plan<F>,
        custom: CustomLoss<F>,
    ) -> Result<Summed<F>> {
        let CustomLoss { forward, delta, loss, accuracy } = custom;
        let mut rooms = forward.rooms;
        let blocks = self.score_all(&delta, &mut rooms)?;
        let outcome = Outcome { loss, accuracy, ..Outcome::total(&blocks) };
        let in_blocks = rooms.iter().all(|room| room.layout == Layout::Trials);
        if plan.follows_psi() && outcome.psi.is_empty() || plan.in_blocks() && !in_blocks {
            return Err(invalid(
                "forward",
                "made without the rule",
                "one made for the rule (Forward::for_rule)",
            ));
        }
        let partials = self.return_all(assignment, plan, &outcome, rooms)?;
        Ok((outcome, partials))
    }

    /// Lays out a δ that was computed outside, `[trial][step][unit]`; the outcomes know their spikes and ψ alone.
    fn score_all(&self, delta: &[f64], rooms: &mut [Room<F>]) -> Result<Vec<Outcome>> {
        let (steps, outputs) = (self.batch.steps, self.circuit.outputs());
        check_values("delta", delta, self.batch.trials * steps * outputs)?;
        let score = |(block, room): (usize, &mut Room<F>)| {
            room.delta.reset(0, steps, outputs)?;
            self.lay_out(block, delta, &mut room.delta.blocks);
            let (counts, psi) = (room.spike_counts(self.circuit.size()), room.psi_sums(self.circuit.size()));
            Ok(Outcome { counts, psi, ..Outcome::default() })
        };
        rooms.iter_mut().enumerate().map(score).collect()
    }

    /// A block's part of values `[trial][step][column]`, `[step][column]`; what lies beyond a trial's end is left as it is.
    fn lay_out(&self, block: usize, values: &[f64], to: &mut [Block<F>]) {
        let steps = self.batch.steps;
        let columns = to.len() / steps;
        for lane in 0..self.trials(block) {
            let trial = block * LANES + lane;
            let own = &values[trial * steps * columns..][..self.batch.length(trial) * columns];
            to.iter_mut().zip(own).for_each(|(to, &value)| to.0[lane] = F::from_f64(value));
        }
    }

    /// All blocks forward, then each trial again with an estimator's influence.
    fn influence(
        &self,
        assignment: Assignment<'_>,
        plan: &Plan<F>,
        estimator: Estimator,
    ) -> Result<Summed<F>> {
        let wiring = Wiring::new(&self.circuit, plan, self.model.network().input_units());
        forward::check_size(estimator, &wiring)?;
        let everything = Some(&self.circuit.runs[..]);
        let whole =
            Keep { psi: everything, voltage: false, segment: Some(self.batch.steps), ..Keep::NOTHING };
        let mut rooms = self.simulate_blocks(whole)?;
        let outcome = Outcome::total(&self.judge_all(assignment, &mut rooms)?);
        let constants = outcome.constants(self.model, assignment);
        let trial = |i: usize| {
            let Room { input, trajectory, delta, .. } = &rooms[i / LANES];
            Trial { input, trajectory, delta, lane: i % LANES }
        };
        let trials: Vec<_> = (0..self.batch.trials).map(trial).collect();
        let estimate =
            || forward::estimate(estimator, &wiring, &trials, &constants, self.batch.key, self.cancel);
        let partial = self.workers.pool.install(estimate);
        rooms.into_iter().for_each(|room| self.workers.give_room(room));
        Ok((outcome, vec![partial?]))
    }

    /// The online form lets its spikes go; for a count the block is simulated once more, with what it counts.
    fn count_online(&self, plan: &Plan<F>, block: usize, room: &mut Room<F>) -> Result<()> {
        if self.workers.counts() {
            self.simulate_as(Layout::Trials, block, room, Keep::NOTHING)?;
            self.workers.count(|| work::traced(&self.circuit, plan, &room.trajectory));
        }
        Ok(())
    }

    /// Simulation and learning in one loop over time.
    fn online(
        &self,
        assignment: Assignment<'_>,
        plan: &Plan<F>,
        trace: Trace,
    ) -> Result<Vec<(Outcome, Partial<F>)>> {
        let Assignment { batch, objective, targets } = assignment;
        let cells = trace_cells(&self.circuit, trace);
        let regularised = objective.regulariser.is_some();
        self.workers.blocks(&self.blocks, |block, room| {
            let span = self.workers.span(Stage::Draw, Some(block));
            room.input.encode(self.model.network(), batch, block)?;
            span.end();
            self.count_online(plan, block, room)?;
            let span = self.workers.span(Stage::Forward, Some(block));
            room.traces.probes().into_iter().for_each(|probe| span.start(probe));
            let kernel = Online {
                circuit: &self.circuit,
                cells: &cells,
                plan,
                input: &room.input,
                lengths: self.lengths(block),
                steps: batch.steps,
                judge: Judge::new(self.model.network(), batch, objective, targets, block),
                regularised,
                traces: &mut room.traces,
                cancel: self.cancel,
            };
            let verdict = F::online(self.workers.instructions, kernel)?;
            span.end_with(room.traces.probes());
            let mut outcome = Outcome::of(verdict, room.traces.spike_counts().to_vec());
            outcome.psi = room.traces.psi_sums();
            let span = self.workers.span(Stage::Reduce, Some(block));
            let partial = room.traces.partial();
            span.end();
            Ok((outcome, partial))
        })
    }
}

/// From where the cells of a block have their signals, and where these are recorded.
struct Sources<'a, F: Real> {
    /// The regulariser's part.
    rates: RatePart<'a, F>,
    /// The whole signal from outside, `[step][neuron]`, in place of L.
    given: Option<&'a [Block<F>]>,
    record: Option<&'a mut Signals<F>>,
}

/// What blocks of trials came to, before means are taken.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Outcome {
    loss: f64,
    accuracy: Option<f64>,
    judged: u64,
    correct: u64,
    /// Spikes of each neuron.
    counts: Vec<u64>,
    /// Σ ψ of each neuron, where its mean is wanted.
    psi: Vec<f64>,
    /// f_p − f0 of each cell in each trial of a block, where the regulariser looks at trials (for the block's own way back);
    /// and the sum of the squares.
    #[serde(skip)]
    excesses: Vec<[f64; LANES]>,
    squares: f64,
}

impl Outcome {
    fn of(verdict: Verdict, counts: Vec<u64>) -> Self {
        let Verdict { loss, judged, correct } = verdict;
        Self { loss, judged, correct, counts, ..Self::default() }
    }

    fn total(blocks: &[Self]) -> Self {
        let mut total = Self::default();
        for block in blocks {
            total.loss += block.loss;
            total.judged += block.judged;
            total.correct += block.correct;
            total.squares += block.squares;
            total.add_counts(&block.counts);
            total.add_psi(&block.psi);
        }
        if total.judged > 0 {
            total.accuracy = Some(total.correct as f64 / total.judged as f64);
        }
        total
    }

    fn add_counts(&mut self, counts: &[u64]) {
        self.counts.resize(counts.len(), 0);
        self.counts.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }

    fn add_psi(&mut self, psi: &[f64]) {
        self.psi.resize(psi.len(), 0.0);
        self.psi.iter_mut().zip(psi).for_each(|(sum, psi)| *sum += psi);
    }

    /// Mean ψ of each group of neurons.
    fn psi_means<F: Real>(&self, model: &Model<F>, batch: &Batch) -> Vec<f64> {
        group_means(&model.network().groups, &self.psi, batch.total_steps() as f64)
    }

    /// Mean spikes a step of each neuron.
    fn rates(&self, batch: &Batch) -> Vec<f64> {
        let steps = batch.total_steps() as f64;
        self.counts.iter().map(|&count| count as f64 / steps).collect()
    }

    /// c (f_p − f0) / (all steps of all trials), one a cell; none without a regulariser.
    fn constants<F: Real>(&self, model: &Model<F>, assignment: Assignment<'_>) -> Vec<F> {
        let Some(r) = assignment.objective.regulariser else { return Vec::new() };
        let target = r.target_rate * model.network().dt() / 1000.0;
        let scale = r.strength / assignment.batch.total_steps() as f64;
        let rates = self.rates(assignment.batch).into_iter();
        rates.map(|rate| F::from_f64(scale * (rate - target))).collect()
    }

    fn evaluation<F: Real>(&self, model: &Model<F>, assignment: Assignment<'_>) -> Evaluation {
        let dt = model.network().dt();
        let Assignment { batch, objective, .. } = assignment;
        let rates = self.rates(batch);
        let regulariser = objective.regulariser.map_or(0.0, |r| {
            if model.network().conventions() == Conventions::Bellec2020 {
                return 0.5 * r.strength * self.squares / (batch.trials as f64 * objective.divisor());
            }
            let target = r.target_rate * dt / 1000.0;
            let excess = rates.iter().map(|rate| (rate - target) * (rate - target));
            0.5 * r.strength * excess.sum::<f64>()
        });
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        Evaluation { loss: self.loss, regulariser, accuracy: self.accuracy, rate: mean * 1000.0 / dt }
    }
}

/// What to record of a simulation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Record<'a> {
    /// The membrane of every neuron.
    pub voltage: bool,
    /// The events that the inputs gave.
    pub inputs: bool,
    /// Learning and modulatory signals of a rule on targets.
    pub signals: Option<(&'a Objective, &'a [Targets], &'a Rule)>,
}

/// A recorded simulation.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording<F> {
    /// Spikes, ordered by trial, step and neuron.
    pub spikes: Vec<Event>,
    /// Input events of all populations end to end, ordered by trial, step and unit; empty if not recorded.
    pub inputs: Vec<Event>,
    /// v before the reset, `[trial][step][neuron]`; empty if not recorded.
    pub voltage: Vec<F>,
    /// Readout, `[trial][step][unit]`.
    pub readout: Vec<F>,
    /// L, `[trial][step][neuron]`; empty if not recorded.
    pub learning_signal: Vec<F>,
    /// Γ, `[trial][step][neuron]`; empty if not recorded.
    pub modulatory_signal: Vec<F>,
}

/// Simulates a batch and keeps what happened.
///
/// # Errors
/// [`Error::Invalid`] for a batch, targets or rule that do not fit, or a custom loss;
/// [`Error::Cancelled`], [`Error::Memory`].
pub fn simulate<F: Real>(
    model: &Model<F>,
    batch: &Batch,
    record: Record<'_>,
    workers: &Workers<F>,
    cancel: &AtomicBool,
) -> Result<Recording<F>> {
    batch.validate(model.network())?;
    let pass = Pass::new(model, batch, workers, cancel)?;
    let psi = record.signals.is_some().then_some(&pass.circuit.runs[..]);
    let keep = Keep { sums: psi.is_some(), ..pass.keep(psi, record.voltage) };
    let mut rooms = match record.signals {
        None => pass.simulate_all(keep)?,
        Some(_) => pass.simulate_blocks(keep)?,
    };
    let signals = match record.signals {
        None => Vec::new(),
        Some((objective, targets, rule)) => {
            record_signals(&pass, Assignment { batch, objective, targets }, rule, &mut rooms)?
        }
    };
    let (neurons, outputs) = (pass.circuit.size(), pass.circuit.outputs());
    let flat = |pick: &dyn Fn(&Signals<F>) -> &[Block<F>]| {
        let blocks: Vec<&[Block<F>]> = signals.iter().map(pick).collect();
        transpose(&blocks, batch.trials, neurons)
    };
    let recording = Recording {
        spikes: spike_events(&rooms, batch, neurons)?,
        inputs: if record.inputs { input_events(&rooms, batch)? } else { Vec::new() },
        voltage: if record.voltage { voltages(&rooms, batch, neurons)? } else { Vec::new() },
        readout: readouts(&rooms, batch.trials, outputs)?,
        learning_signal: flat(&|s| &s.learning)?,
        modulatory_signal: flat(&|s| &s.modulation)?,
    };
    rooms.into_iter().for_each(|room| workers.give_room(room));
    Ok(recording)
}

fn record_signals<F: Real>(
    pass: &Pass<'_, F>,
    assignment: Assignment<'_>,
    rule: &Rule,
    rooms: &mut [Room<F>],
) -> Result<Vec<Signals<F>>> {
    assignment.validate(pass.model)?;
    if assignment.objective.is_custom() {
        return Err(invalid("loss", "custom", "for recorded signals: a built-in loss"));
    }
    if rule.estimator.carries_influence() {
        let value = format!("'{}'", rule.estimator.name());
        return Err(invalid("rule.estimator", value, "for recorded signals: 'backward' or 'online'"));
    }
    let regularised = assignment.objective.regulariser.is_some();
    let all = vec![true; pass.model.network().projections().len()];
    let mut plan = Plan::new(pass.model, &pass.circuit, rule, regularised, &all)?;
    let outcomes = pass.judge_all(assignment, rooms)?;
    pass.take_means(&mut plan, &Outcome::total(&outcomes));
    pass.record(&plan, assignment, &outcomes, rooms)
}

fn spike_events<F: Real>(rooms: &[Room<F>], batch: &Batch, neurons: usize) -> Result<Vec<Event>> {
    let (mut events, mut units) = (Vec::new(), Vec::new());
    let count: u64 = rooms.iter().flat_map(|room| room.spike_counts(neurons)).sum();
    reserve(&mut events, count as usize, "a recording")?;
    for trial in 0..batch.trials {
        for step in 0..batch.steps {
            units.clear();
            rooms[trial / LANES].list_spikes(trial % LANES, step, &mut units);
            let (trial, step) = (trial as u32, step as u32);
            events.extend(units.iter().map(|&unit| Event { trial, step, unit, count: 1 }));
        }
    }
    Ok(events)
}

fn input_events<F: Real>(rooms: &[Room<F>], batch: &Batch) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    let entries = rooms.iter().flat_map(|room| (0..batch.steps).flat_map(|step| room.input.events.at(step)));
    let count = entries.map(|entry| entry.mask.count_ones() as usize).sum();
    reserve(&mut events, count, "a recording")?;
    for trial in 0..batch.trials {
        let (room, lane) = (&rooms[trial / LANES], trial % LANES);
        for step in 0..batch.length(trial) {
            let first = events.len();
            let entries = room.input.events.at(step).iter().filter(|entry| entry.mask >> lane & 1 == 1);
            events.extend(entries.map(|entry| Event {
                trial: trial as u32,
                step: step as u32,
                unit: entry.unit,
                count: u32::from(entry.count),
            }));
            events[first..].sort_unstable_by_key(|event| event.unit);
        }
    }
    Ok(events)
}

/// Membranes `[trial][step][neuron]`.
fn voltages<F: Real>(rooms: &[Room<F>], batch: &Batch, neurons: usize) -> Result<Vec<F>> {
    let mut out = Vec::new();
    reserve(&mut out, product(&[batch.trials, batch.steps, neurons]), "a recording")?;
    for trial in 0..batch.trials {
        for step in 0..batch.steps {
            rooms[trial / LANES].list_voltages(trial % LANES, step, neurons, &mut out);
        }
    }
    Ok(out)
}

/// Readouts `[trial][step][unit]`.
fn readouts<F: Real>(rooms: &[Room<F>], trials: usize, outputs: usize) -> Result<Vec<F>> {
    let blocks: Vec<&[Block<F>]> = rooms.iter().map(Room::readout).collect();
    transpose(&blocks, trials, outputs)
}

/// Blocks of lanes `[step][column]` to `[trial][step][column]`.
fn transpose<F: Real>(blocks: &[&[Block<F>]], trials: usize, columns: usize) -> Result<Vec<F>> {
    let rows = blocks.first().map_or(0, |block| block.len() / columns.max(1));
    let mut out = Vec::new();
    if rows > 0 {
        reserve(&mut out, product(&[trials, rows, columns]), "a recording")?;
        for trial in 0..trials {
            out.extend(blocks[trial / LANES].iter().map(|block| block.0[trial % LANES]));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::batch::{DrawKey, Input};
    use crate::network::Network;

    #[test]
    fn a_regularised_batch_leaves_no_more_rooms_than_it_has_blocks() {
        let description = json!({
            "schema": "mdgl-network/1",
            "inputs": [],
            "populations": [{"name": "a", "size": 2, "model": "lif"}],
            "readouts": [{"name": "out", "size": 2}],
            "projections": [{"from": "a", "to": "out", "density": 1}]
        });
        let network = Network::new(serde_json::from_value(description).unwrap()).unwrap();
        let model = Model::<f32>::new(Arc::new(network)).unwrap();
        let key = DrawKey::default();
        let batch = Batch { trials: 40, steps: 5, lengths: None, inputs: Vec::<Input>::new(), key };
        let loss = json!({"readout": "out", "kind": "cross-entropy", "window": 1});
        let regulariser = json!({"strength": 1, "targetRate": 10});
        let objective: Objective =
            serde_json::from_value(json!({"losses": [loss], "regulariser": regulariser})).unwrap();
        let targets = [Targets::Classes(vec![0; 40])];
        let assignment = Assignment { batch: &batch, objective: &objective, targets: &targets };
        let workers = Workers::new(1).unwrap();
        for _ in 0..5 {
            gradients(&model, assignment, &Rule::mdgl(), None, &workers, &AtomicBool::new(false)).unwrap();
        }
        assert_eq!(workers.rooms.lock().unwrap().len(), 3);
    }
}

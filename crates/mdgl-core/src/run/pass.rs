//! The passes over one batch, block by block: `forward`, `backward`, `online` and `influence`.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use rayon::prelude::*;

use super::outcome::Outcome;
use super::singles;
use super::workers::{Room, Workers};
use super::{Assignment, Learned, finite};
use crate::batch::encode::BlockInput;
use crate::description::Conventions;
use crate::description::rule::{Estimator, Rule, Trace};
use crate::error::Result;
use crate::instrument::recorder::Stage;
use crate::learn::backward::{Backward, Signals};
use crate::learn::evaluate_loss::Judge;
use crate::learn::forward::{self, Trial, Wiring};
use crate::learn::online::Online;
use crate::learn::partial::{Partial, Piece};
use crate::learn::plan::{Plan, trace_dynamics};
use crate::learn::rates::RatePart;
use crate::learn::work;
use crate::model::Model;
use crate::numeric::lanes::{Block, LANES};
use crate::numeric::memory::{product, room_for};
use crate::run::real::Real;
use crate::simulate::compiled::CompiledNetwork;
use crate::simulate::trajectory::{Keep, Simulate};
use crate::single::{self, Layout, Learning, On};

/// Losses and spike counts of blocks, and the gradient sums of each.
pub(super) type BlockSums<F> = (Vec<Outcome>, Vec<Partial<F>>);

/// What every pass over a batch needs.
pub(super) struct Pass<'a, F: Real> {
    pub(super) model: &'a Model<F>,
    pub(super) circuit: CompiledNetwork<F>,
    pub(super) assignment: Assignment<'a>,
    /// The blocks that this process computes.
    pub(super) blocks: Range<usize>,
    pub(super) workers: &'a Workers<F>,
    pub(super) cancel: &'a AtomicBool,
    /// For trials one by one; made at the first use.
    wiring: OnceLock<single::Wiring<F>>,
    learning: OnceLock<Learning<F>>,
}

impl<'a, F: Real> Pass<'a, F> {
    pub(super) fn new(
        model: &'a Model<F>,
        assignment: Assignment<'a>,
        workers: &'a Workers<F>,
        cancel: &'a AtomicBool,
    ) -> Result<Self> {
        Ok(Self {
            model,
            circuit: CompiledNetwork::new(model)?,
            assignment,
            blocks: 0..assignment.blocks(),
            workers,
            cancel,
            wiring: OnceLock::new(),
            learning: OnceLock::new(),
        })
    }
}

/// What the backward pass of a plan reads of the simulation.
pub(super) fn kept_for<F: Real>(plan: &Plan<F>) -> Keep<'_, F> {
    Keep { psi: Some(&plan.wanted), sums: plan.follows_psi(), in_blocks: plan.in_blocks(), ..Keep::NOTHING }
}

/// Simulation and loss.
impl<F: Real> Pass<'_, F> {
    /// Simulates all blocks; each room has what is to be kept.
    pub(super) fn forward(&self, keep: Keep<'_, F>) -> Result<Vec<Room<F>>> {
        let simulate = |block| {
            let mut room = self.workers.take_room();
            self.forward_block(block, &mut room, keep)?;
            Ok(room)
        };
        self.workers.pool.install(|| self.blocks.clone().into_par_iter().map(simulate).collect())
    }

    /// Losses and δ of all simulated blocks.
    pub(super) fn evaluate_loss(&self, rooms: &mut [Room<F>]) -> Result<Vec<Outcome>> {
        self.blocks.clone().zip(rooms).map(|(block, room)| self.block_loss(block, room)).collect()
    }

    /// Losses of all blocks, of which nothing else is kept.
    pub(super) fn evaluate(&self) -> Result<Vec<Outcome>> {
        self.workers.blocks(&self.blocks, |block, room| {
            self.forward_block(block, room, Keep::NOTHING)?;
            self.block_loss(block, room)
        })
    }

    /// Draws a block's inputs and simulates it, with trials or neurons in the lanes.
    fn forward_block(&self, block: usize, room: &mut Room<F>, keep: Keep<'_, F>) -> Result<()> {
        let (batch, network) = (self.assignment.batch, self.model.network());
        let (steps, lengths, trials) = (batch.steps, self.lengths(block), self.trials(block));
        let keep = Keep { segment: keep.segment.or(self.workers.segment), ..keep };
        let span = self.workers.span(Stage::Draw, Some(block));
        room.input.encode(network, batch, block, self.cancel)?;
        span.end();
        self.workers.count(|| work::drawn(&room.input, steps));
        let in_blocks = keep.in_blocks || network.has_delays() || !self.circuit.stands_side_by_side;
        let faster = || self.workers.layout.unwrap_or_else(|| Layout::choose(self.circuit.size(), trials));
        room.layout = if in_blocks { Layout::Trials } else { faster() };
        if room.layout == Layout::Neurons {
            let (on, run) = self.one_by_one(block, &room.input);
            return room.singles.simulate(on, &lengths[..trials], steps, keep, run);
        }
        let span = self.workers.span(Stage::Simulate, Some(block));
        room.trajectory.prepare(&self.circuit, lengths, steps, keep)?;
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

    /// Losses and δ of a simulated block.
    fn block_loss(&self, block: usize, room: &mut Room<F>) -> Result<Outcome> {
        let Assignment { batch, objective, targets } = self.assignment;
        let span = self.workers.span(Stage::Judge, Some(block));
        let (neurons, outputs) = (self.circuit.size(), self.circuit.outputs());
        let shortest = self.lengths(block).into_iter().filter(|&n| n > 0).min().unwrap_or(0);
        room.delta.reset(objective.first_step(shortest as usize), batch.steps, outputs)?;
        let mut judge = Judge::new(self.model.network(), batch, objective, targets, block);
        let readout = match room.layout {
            Layout::Trials => &room.trajectory.readout,
            Layout::Neurons => &room.singles.readout,
        };
        judge.all(readout, outputs, &mut room.delta);
        let mut outcome = Outcome::of(judge.verdict(), room.spike_counts(neurons));
        outcome.psi = room.psi_sums(neurons);
        outcome.excesses = self.rate_excesses(block, room);
        outcome.squares = outcome.excesses.iter().flatten().map(|excess| excess * excess).sum();
        span.end();
        Ok(outcome)
    }
}

/// Learning.
impl<F: Real> Pass<'_, F> {
    /// A rule for this batch's network; its gradient sums fit into memory.
    pub(super) fn plan(&self, rule: &Rule, regularised: bool, learns: &[bool]) -> Result<Plan<F>> {
        let plan = Plan::new(self.model, &self.circuit, rule, regularised, learns)?;
        // Every block's sums wait for the others'; online there may be two per slot.
        let sums = if rule.estimator == Estimator::Online { 2 } else { 1 };
        let bytes = product(&[self.blocks.len(), plan.slots.len(), sums * size_of::<F>()]);
        room_for(bytes, "the gradients of blocks of trials")?;
        Ok(plan)
    }

    /// Whether the backward pass needs to know what the whole batch came to.
    pub(super) fn needs_whole_batch(&self, plan: &Plan<F>, rule: &Rule) -> bool {
        let shared_rates = self.assignment.objective.regulariser.is_some() && !self.rates_by_trial();
        rule.estimator == Estimator::Backward && (plan.wants_batch_means() || shared_rates)
    }

    /// Forward and backward block by block, while the trajectory is in the cache.
    pub(super) fn forward_backward(&self, plan: &Plan<F>) -> Result<BlockSums<F>> {
        let sums = self.workers.blocks(&self.blocks, |block, room| {
            self.forward_block(block, room, kept_for(plan))?;
            let outcome = self.block_loss(block, room)?;
            let rates = self.trial_rates(block, &outcome);
            Ok((outcome, self.backward_block(plan, block, room, Sources::rates(RatePart::own(&rates)))?))
        });
        Ok(sums?.into_iter().unzip())
    }

    /// All simulated blocks backward, with what the whole batch came to.
    pub(super) fn backward(
        &self,
        plan: &mut Plan<F>,
        rooms: Vec<Room<F>>,
        outcome: &Outcome,
    ) -> Result<Vec<Partial<F>>> {
        self.take_means(plan, outcome);
        let constants = outcome.constants(self.model, self.assignment);
        let sources = || Sources::rates(RatePart::shared(&constants));
        self.each_room(rooms, |block, room| self.backward_block(plan, block, room, sources()))
    }

    /// The mean ψ of the batch, for the kernels that want it.
    pub(super) fn take_means(&self, plan: &mut Plan<F>, outcome: &Outcome) {
        if plan.wants_batch_means() {
            plan.take_means(self.model.network(), &outcome.psi_means(self.model, self.assignment.batch));
        }
    }

    /// Computes the sums of all simulated blocks, on all threads; the rooms are free afterwards.
    pub(super) fn each_room(
        &self,
        mut rooms: Vec<Room<F>>,
        sums: impl Fn(usize, &mut Room<F>) -> Result<Partial<F>> + Sync,
    ) -> Result<Vec<Partial<F>>> {
        let partials = self.workers.pool.install(|| {
            let blocks = self.blocks.clone().into_par_iter().zip(rooms.par_iter_mut());
            blocks.map(|(block, room)| sums(block, room)).collect()
        });
        rooms.into_iter().for_each(|room| self.workers.give_room(room));
        partials
    }

    /// The gradient sums of a block, from its last step to its first.
    pub(super) fn backward_block(
        &self,
        plan: &Plan<F>,
        block: usize,
        room: &mut Room<F>,
        sources: Sources<'_, F>,
    ) -> Result<Partial<F>> {
        if room.layout == Layout::Neurons {
            let units = self.model.network().input_units();
            let learning = self.learning.get_or_init(|| Learning::new(&self.circuit, plan, units));
            let (on, run) = self.one_by_one(block, &room.input);
            return room.singles.backward(on, (plan, learning), &room.delta, sources.rates, run);
        }
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

    /// Simulation and learning of all blocks in one loop over time.
    pub(super) fn online(&self, plan: &Plan<F>, trace: Trace) -> Result<BlockSums<F>> {
        let Assignment { batch, objective, targets } = self.assignment;
        let cells = trace_dynamics(&self.circuit, trace);
        let sums = self.workers.blocks(&self.blocks, |block, room| {
            let span = self.workers.span(Stage::Draw, Some(block));
            room.input.encode(self.model.network(), batch, block, self.cancel)?;
            span.end();
            if self.workers.counts() {
                // The online form does not keep its spikes: they are counted in another simulation.
                self.forward_block(block, room, Keep { in_blocks: true, ..Keep::NOTHING })?;
                self.workers.count(|| work::traced(&self.circuit, plan, &room.trajectory));
            }
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
                regularised: objective.regulariser.is_some(),
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
        });
        Ok(sums?.into_iter().unzip())
    }

    /// All blocks forward, then each trial again with an estimator's influence; the sums are those of all blocks.
    pub(super) fn influence(&self, plan: &Plan<F>, estimator: Estimator) -> Result<BlockSums<F>> {
        let batch = self.assignment.batch;
        let wiring = Wiring::new(&self.circuit, plan, self.model.network().input_units());
        forward::check_size(estimator, &wiring)?;
        let mut rooms = self.forward(Keep {
            psi: Some(&self.circuit.runs),
            segment: Some(batch.steps),
            in_blocks: true,
            ..Keep::NOTHING
        })?;
        let outcomes = self.evaluate_loss(&mut rooms)?;
        let constants = Outcome::total(&outcomes).constants(self.model, self.assignment);
        let trial = |i: usize| {
            let Room { input, trajectory, delta, .. } = &rooms[i / LANES];
            Trial { input, trajectory, delta, lane: i % LANES }
        };
        let trials: Vec<_> = (0..batch.trials).map(trial).collect();
        let estimate = || forward::estimate(estimator, &wiring, &trials, &constants, batch.key, self.cancel);
        let partial = self.workers.pool.install(estimate);
        rooms.into_iter().for_each(|room| self.workers.give_room(room));
        Ok((outcomes, vec![partial?]))
    }

    /// From the sums of all blocks to the batch's evaluation and gradients.
    pub(super) fn conclude(
        &self,
        estimator: Estimator,
        plan: &Plan<F>,
        outcome: &Outcome,
        pieces: Vec<Piece<F>>,
    ) -> Result<Learned<F>> {
        let span = self.workers.span(Stage::Reduce, None);
        self.workers.count(|| work::reduced::<F>(plan.slots.len(), pieces.len()));
        let mut partial = Partial::sum_in_tree(pieces);
        if estimator == Estimator::Online && self.assignment.objective.regulariser.is_some() {
            partial.regularise(plan, &outcome.constants(self.model, self.assignment));
        }
        let evaluation = finite(outcome.evaluation(self.model, self.assignment))?;
        let gradients = partial.gradients(self.model, plan)?;
        span.end();
        let means = || outcome.psi_means(self.model, self.assignment.batch);
        Ok(Learned { evaluation, gradients, psi_means: plan.follows_psi().then(means) })
    }
}

/// What the passes need of single blocks.
impl<F: Real> Pass<'_, F> {
    /// Number of trials in a block.
    pub(super) fn trials(&self, block: usize) -> usize {
        LANES.min(self.assignment.batch.trials - block * LANES)
    }

    fn lengths(&self, block: usize) -> [u32; LANES] {
        let batch = self.assignment.batch;
        std::array::from_fn(|lane| {
            let trial = block * LANES + lane;
            if trial < batch.trials { batch.length(trial) as u32 } else { 0 }
        })
    }

    /// What a block's trials run on one by one, and how.
    fn one_by_one<'b>(&'b self, block: usize, input: &'b BlockInput<F>) -> (On<'b, F>, singles::Run<'b>) {
        let units = self.model.network().input_units();
        let wiring = self.wiring.get_or_init(|| single::Wiring::new(&self.circuit, units));
        let Workers { instructions, recorder, .. } = self.workers;
        let (instructions, cancel, recorder) = (*instructions, self.cancel, recorder.as_ref());
        let run = singles::Run { instructions, cancel, recorder, block };
        (On { circuit: &self.circuit, wiring, input, lane: 0 }, run)
    }

    /// Whether the regulariser looks at each trial's own rates.
    fn rates_by_trial(&self) -> bool {
        self.model.network().conventions() == Conventions::Bellec2020
    }

    /// f_p − f0 per step of each cell in each trial of a block, f_p the trial's own mean; 0 beyond the last trial. Empty
    /// unless the regulariser looks at trials.
    fn rate_excesses(&self, block: usize, room: &Room<F>) -> Vec<[f64; LANES]> {
        let regulariser = self.assignment.objective.regulariser.filter(|_| self.rates_by_trial());
        let Some(r) = regulariser else { return Vec::new() };
        let (lengths, trials) = (self.lengths(block), self.trials(block));
        let target = r.target_rate * self.model.network().dt() / 1000.0;
        let excess = |counts: [u32; LANES]| {
            let rate = |lane: usize| f64::from(counts[lane]) / f64::from(lengths[lane]);
            std::array::from_fn(|lane| if lane < trials { rate(lane) - target } else { 0.0 })
        };
        room.counts_by_trial(self.circuit.size()).into_iter().map(excess).collect()
    }

    /// c (f_p − f0) / (steps · trials · window) of each cell in each trial of a block; empty where trials share their rates.
    pub(super) fn trial_rates(&self, block: usize, outcome: &Outcome) -> Vec<Block<F>> {
        let Assignment { batch, objective, .. } = self.assignment;
        let strength = objective.regulariser.map_or(0.0, |r| r.strength);
        let divisor = batch.trials as f64 * objective.divisor();
        let scales = self.lengths(block).map(|steps| strength / (f64::from(steps.max(1)) * divisor));
        let constants = |excesses: &[f64; LANES]| {
            Block(std::array::from_fn(|lane| F::from_f64(scales[lane] * excesses[lane])))
        };
        outcome.excesses.iter().map(constants).collect()
    }

    /// Copies a block's part of values `[trial][step][column]` to `[step][column]`; beyond a trial's end nothing is written.
    pub(super) fn lay_out(&self, block: usize, values: &[f64], to: &mut [Block<F>]) {
        let batch = self.assignment.batch;
        let columns = to.len() / batch.steps;
        for lane in 0..self.trials(block) {
            let trial = block * LANES + lane;
            let own = &values[trial * batch.steps * columns..][..batch.length(trial) * columns];
            to.iter_mut().zip(own).for_each(|(to, &value)| to.0[lane] = F::from_f64(value));
        }
    }
}

/// Where the learning signals of a block come from, and where they are recorded. Single trials know the rates alone.
pub(super) struct Sources<'a, F: Real> {
    /// The regulariser's part.
    pub(super) rates: RatePart<'a, F>,
    /// The whole signal from outside, `[step][neuron]`, in place of L.
    pub(super) given: Option<&'a [Block<F>]>,
    pub(super) record: Option<&'a mut Signals<F>>,
}

impl<'a, F: Real> Sources<'a, F> {
    /// The readout's errors and the regulariser's part, not recorded.
    fn rates(rates: RatePart<'a, F>) -> Self {
        Self { rates, given: None, record: None }
    }
}

//! One batch on its way through the stages, block by block: simulate, judge, backward or online, sums.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use rayon::prelude::*;

use super::outcome::Outcome;
use super::singles;
use super::workers::{Room, Workers};
use super::{Assignment, CustomLoss, Learned, finite};
use crate::batch::Batch;
use crate::batch::encode::BlockInput;
use crate::batch::loss::{Objective, Regulariser, check_values};
use crate::description::Conventions;
use crate::description::rule::{Estimator, Rule, Trace};
use crate::error::{Result, invalid};
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
use crate::numeric::memory::{product, resize, room_for};
use crate::run::real::Real;
use crate::simulate::compiled::{CompiledNetwork, Run};
use crate::simulate::trajectory::{Keep, Simulate};
use crate::single::{self, Layout, Learning, On};

pub(super) type Summed<F> = (Outcome, Vec<Partial<F>>);

/// One batch on its way through the stages.
pub(super) struct Pass<'a, F: Real> {
    pub(super) model: &'a Model<F>,
    pub(super) circuit: CompiledNetwork<F>,
    pub(super) batch: &'a Batch,
    /// Those to be computed here.
    pub(super) blocks: Range<usize>,
    pub(super) workers: &'a Workers<F>,
    pub(super) cancel: &'a AtomicBool,
    /// For trials one by one; made when the first asks.
    pub(super) wiring: OnceLock<single::Wiring<F>>,
    pub(super) learning: OnceLock<Learning<F>>,
}

impl<'a, F: Real> Pass<'a, F> {
    pub(super) fn new(
        model: &'a Model<F>,
        batch: &'a Batch,
        workers: &'a Workers<F>,
        cancel: &'a AtomicBool,
    ) -> Result<Self> {
        let (wiring, learning) = (OnceLock::new(), OnceLock::new());
        let blocks = 0..batch.trials.div_ceil(LANES);
        Ok(Self {
            model,
            circuit: CompiledNetwork::new(model)?,
            batch,
            blocks,
            workers,
            cancel,
            wiring,
            learning,
        })
    }
}

impl<F: Real> Pass<'_, F> {
    /// Number of trials in a block.
    pub(super) fn trials(&self, block: usize) -> usize {
        LANES.min(self.batch.trials - block * LANES)
    }

    /// What trials one by one run on.
    pub(super) fn on<'b>(&'b self, input: &'b BlockInput<F>) -> On<'b, F> {
        let units = self.model.network().input_units();
        let wiring = self.wiring.get_or_init(|| single::Wiring::new(&self.circuit, units));
        On { circuit: &self.circuit, wiring, input, lane: 0 }
    }

    /// Every block's sums wait for the others'; online there may be two a slot.
    pub(super) fn room_for_partials(&self, plan: &Plan<F>, estimator: Estimator) -> Result<()> {
        let sums = if estimator == Estimator::Online { 2 } else { 1 };
        let bytes = product(&[self.blocks.len(), plan.slots.len(), sums * size_of::<F>()]);
        room_for(bytes, "the gradients of blocks of trials")
    }

    pub(super) fn run(&self, block: usize) -> singles::Run<'_> {
        let Workers { instructions, recorder, .. } = self.workers;
        singles::Run { instructions: *instructions, cancel: self.cancel, recorder: recorder.as_ref(), block }
    }

    pub(super) fn lengths(&self, block: usize) -> [u32; LANES] {
        std::array::from_fn(|lane| {
            let trial = block * LANES + lane;
            if trial < self.batch.trials { self.batch.length(trial) as u32 } else { 0 }
        })
    }

    pub(super) fn simulate(&self, block: usize, room: &mut Room<F>, keep: Keep<'_, F>) -> Result<()> {
        let chosen = || Layout::choose(self.circuit.size(), self.trials(block));
        let network = self.model.network();
        let in_blocks = keep.in_blocks || network.has_delays() || !self.circuit.stands_side_by_side;
        let layout = match in_blocks {
            true => Layout::Trials,
            false => self.workers.layout.unwrap_or_else(chosen),
        };
        self.simulate_as(layout, block, room, keep)
    }

    pub(super) fn simulate_as(
        &self,
        layout: Layout,
        block: usize,
        room: &mut Room<F>,
        keep: Keep<'_, F>,
    ) -> Result<()> {
        let steps = self.batch.steps;
        let span = self.workers.span(Stage::Draw, Some(block));
        room.input.encode(self.model.network(), self.batch, block, self.cancel)?;
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
    pub(super) fn keep_for<'a>(&self, plan: &'a Plan<F>) -> Keep<'a, F> {
        let keep = self.keep(Some(&plan.wanted), false);
        Keep { sums: plan.follows_psi(), in_blocks: plan.in_blocks(), ..keep }
    }

    pub(super) fn keep<'a>(&self, psi: Option<&'a [Run<F>]>, voltage: bool) -> Keep<'a, F> {
        Keep { psi, voltage, segment: self.workers.segment, ..Keep::NOTHING }
    }

    pub(super) fn simulate_all(&self, keep: Keep<'_, F>) -> Result<Vec<Room<F>>> {
        self.workers.each_block(&self.blocks, |block| {
            let mut room = self.workers.take_room();
            self.simulate(block, &mut room, keep)?;
            Ok(room)
        })
    }

    /// All blocks with trials in the lanes, for what reads them so.
    pub(super) fn simulate_blocks(&self, keep: Keep<'_, F>) -> Result<Vec<Room<F>>> {
        self.workers.blocks(&self.blocks, |block, room| {
            self.simulate_as(Layout::Trials, block, room, keep)?;
            Ok(std::mem::take(room))
        })
    }

    /// Simulates and judges block by block, and keeps nothing.
    pub(super) fn outcomes(&self, assignment: Assignment<'_>) -> Result<Vec<Outcome>> {
        self.workers.blocks(&self.blocks, |block, room| {
            self.simulate(block, room, Keep::NOTHING)?;
            self.judge(assignment, block, room)
        })
    }

    /// Losses and δ of a simulated block.
    pub(super) fn judge(
        &self,
        assignment: Assignment<'_>,
        block: usize,
        room: &mut Room<F>,
    ) -> Result<Outcome> {
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
    pub(super) fn judge_all(
        &self,
        assignment: Assignment<'_>,
        rooms: &mut [Room<F>],
    ) -> Result<Vec<Outcome>> {
        self.blocks.clone().zip(rooms).map(|(block, room)| self.judge(assignment, block, room)).collect()
    }

    /// Whether the regulariser looks at each trial's own rates.
    pub(super) fn rates_by_trial(&self) -> bool {
        self.model.network().conventions() == Conventions::Bellec2020
    }

    /// f_p − f0 a step of each cell in each trial of a block, f_p the trial's own mean; 0 beyond the last trial.
    pub(super) fn excesses(&self, r: Regulariser, block: usize, room: &Room<F>) -> Vec<[f64; LANES]> {
        let (lengths, trials) = (self.lengths(block), self.trials(block));
        let target = r.target_rate * self.model.network().dt() / 1000.0;
        let excess = |counts: [u32; LANES]| {
            let rate = |lane: usize| f64::from(counts[lane]) / f64::from(lengths[lane]);
            std::array::from_fn(|lane| if lane < trials { rate(lane) - target } else { 0.0 })
        };
        room.counts_by_trial(self.circuit.size()).into_iter().map(excess).collect()
    }

    /// c (f_p − f0) / (steps · trials · window) of each cell in each trial of a block; none where trials share theirs.
    pub(super) fn own_constants(
        &self,
        objective: &Objective,
        block: usize,
        outcome: &Outcome,
    ) -> Vec<Block<F>> {
        let strength = objective.regulariser.map_or(0.0, |r| r.strength);
        let divisor = self.batch.trials as f64 * objective.divisor();
        let scales = self.lengths(block).map(|steps| strength / (f64::from(steps.max(1)) * divisor));
        let constants = |excesses: &[f64; LANES]| {
            Block(std::array::from_fn(|lane| F::from_f64(scales[lane] * excesses[lane])))
        };
        outcome.excesses.iter().map(constants).collect()
    }

    pub(super) fn backward(
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
    pub(super) fn backward_block(
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

    pub(super) fn backward_all(
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
    pub(super) fn goes_in_two(&self, objective: &Objective, plan: &Plan<F>, rule: &Rule) -> bool {
        let shared_rates = objective.regulariser.is_some() && !self.rates_by_trial();
        rule.estimator == Estimator::Backward && (plan.wants_batch_means() || shared_rates)
    }

    /// A plan that need not wait: what each block came to, and its sums.
    pub(super) fn at_once(
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
    pub(super) fn fused(
        &self,
        assignment: Assignment<'_>,
        plan: &Plan<F>,
    ) -> Result<Vec<(Outcome, Partial<F>)>> {
        self.workers.blocks(&self.blocks, |block, room| {
            self.simulate(block, room, self.keep_for(plan))?;
            let outcome = self.judge(assignment, block, room)?;
            let own = self.own_constants(assignment.objective, block, &outcome);
            Ok((outcome, self.backward(plan, RatePart::own(&own), block, room, None)?))
        })
    }

    /// From the sums of all blocks to what the batch taught.
    pub(super) fn conclude(
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
    pub(super) fn record(
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
    pub(super) fn in_two(&self, assignment: Assignment<'_>, plan: &mut Plan<F>) -> Result<Summed<F>> {
        let (rooms, outcomes) = self.forward_all(assignment, plan)?;
        let outcome = Outcome::total(&outcomes);
        let partials = self.return_all(assignment, plan, &outcome, rooms)?;
        Ok((outcome, partials))
    }

    /// All blocks forward, and judged.
    pub(super) fn forward_all(
        &self,
        assignment: Assignment<'_>,
        plan: &Plan<F>,
    ) -> Result<(Vec<Room<F>>, Vec<Outcome>)> {
        let mut rooms = self.simulate_all(self.keep_for(plan))?;
        let outcomes = self.judge_all(assignment, &mut rooms)?;
        Ok((rooms, outcomes))
    }

    /// All backward, with what the whole batch came to.
    pub(super) fn return_all(
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
    pub(super) fn take_means(&self, plan: &mut Plan<F>, outcome: &Outcome) {
        if plan.wants_batch_means() {
            plan.take_means(self.model.network(), &outcome.psi_means(self.model, self.batch));
        }
    }

    /// Backward from a δ that was computed outside.
    pub(super) fn given(
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
    pub(super) fn score_all(&self, delta: &[f64], rooms: &mut [Room<F>]) -> Result<Vec<Outcome>> {
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
    pub(super) fn lay_out(&self, block: usize, values: &[f64], to: &mut [Block<F>]) {
        let steps = self.batch.steps;
        let columns = to.len() / steps;
        for lane in 0..self.trials(block) {
            let trial = block * LANES + lane;
            let own = &values[trial * steps * columns..][..self.batch.length(trial) * columns];
            to.iter_mut().zip(own).for_each(|(to, &value)| to.0[lane] = F::from_f64(value));
        }
    }

    /// All blocks forward, then each trial again with an estimator's influence.
    pub(super) fn influence(
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
    pub(super) fn count_online(&self, plan: &Plan<F>, block: usize, room: &mut Room<F>) -> Result<()> {
        if self.workers.counts() {
            self.simulate_as(Layout::Trials, block, room, Keep::NOTHING)?;
            self.workers.count(|| work::traced(&self.circuit, plan, &room.trajectory));
        }
        Ok(())
    }

    /// Simulation and learning in one loop over time.
    pub(super) fn online(
        &self,
        assignment: Assignment<'_>,
        plan: &Plan<F>,
        trace: Trace,
    ) -> Result<Vec<(Outcome, Partial<F>)>> {
        let Assignment { batch, objective, targets } = assignment;
        let cells = trace_dynamics(&self.circuit, trace);
        let regularised = objective.regulariser.is_some();
        self.workers.blocks(&self.blocks, |block, room| {
            let span = self.workers.span(Stage::Draw, Some(block));
            room.input.encode(self.model.network(), batch, block, self.cancel)?;
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
pub(super) struct Sources<'a, F: Real> {
    /// The regulariser's part.
    pub(super) rates: RatePart<'a, F>,
    /// The whole signal from outside, `[step][neuron]`, in place of L.
    pub(super) given: Option<&'a [Block<F>]>,
    pub(super) record: Option<&'a mut Signals<F>>,
}

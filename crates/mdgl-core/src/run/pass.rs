//! The passes over one batch, block by block: `forward`, `backward`, `online` and `influence`.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use rayon::prelude::*;

use super::evaluation::finite;
use super::singles;
use super::workers::{Workers, Workspace};
use super::{Assignment, Learned, Score};
use crate::batch::encode::{BlockInput, are_by_trial};
use crate::batch::loss::Loss;
use crate::description::Conventions;
use crate::description::rule::{Estimator, Rule, Trace};
use crate::error::{Result, invalid};
use crate::instrument::recorder::ProfileStage;
use crate::learn::backward::{Backward, Signals};
use crate::learn::batch_sums::BatchSums;
use crate::learn::block_gradient::{BlockGradient, Subtree};
use crate::learn::evaluate_loss::LossEvaluator;
use crate::learn::forward::{self, ForwardNetwork, ForwardTrial};
use crate::learn::online::Online;
use crate::learn::plan::{LearningPlan, trace_dynamics};
use crate::learn::rates::RatePart;
use crate::learn::work;
use crate::model::Model;
use crate::numeric::lanes::{Block, Instructions, LANES};
use crate::numeric::memory::{ensure_memory, product};
use crate::run::real::Real;
use crate::simulate::compiled::CompiledNetwork;
use crate::simulate::trajectory::{Keep, Simulate};
use crate::single::{self, Layout, Learning, Purpose, Size, TrialContext};

/// Losses and spike counts of blocks, and the gradient sums of each.
pub(super) type BlockResults<F> = (Vec<BatchSums>, Vec<BlockGradient<F>>);

/// Model, batch and threads of a pass.
pub(super) struct Pass<'a, F: Real> {
    pub(super) model: &'a Model<F>,
    pub(super) network: CompiledNetwork<F>,
    pub(super) assignment: Assignment<'a>,
    /// The blocks that this process computes.
    pub(super) blocks: Range<usize>,
    pub(super) workers: &'a Workers<F>,
    pub(super) cancel: &'a AtomicBool,
    /// Whether the events of each input are in the order of their trials.
    by_trial: Vec<bool>,
    /// For trials one by one; created at the first use.
    lane_layout: OnceLock<single::LaneLayout<F>>,
    learning: OnceLock<Learning<F>>,
}

impl<'a, F: Real> Pass<'a, F> {
    pub(super) fn new(
        model: &'a Model<F>,
        assignment: Assignment<'a>,
        workers: &'a Workers<F>,
        cancel: &'a AtomicBool,
    ) -> Result<Self> {
        workers.structure.forget_others(model.network());
        Ok(Self {
            model,
            network: CompiledNetwork::new(model)?,
            assignment,
            blocks: 0..assignment.blocks(),
            workers,
            cancel,
            by_trial: are_by_trial(&assignment.batch.inputs),
            lane_layout: OnceLock::new(),
            learning: OnceLock::new(),
        })
    }
}

/// The signals of the simulation that the backward pass of a plan reads.
pub(super) fn kept_for<F: Real>(plan: &LearningPlan<F>) -> Keep<'_, F> {
    Keep { psi: Some(&plan.psi_runs), sums: plan.follows_psi(), in_blocks: plan.in_blocks(), ..Keep::NOTHING }
}

/// Simulation and loss.
impl<F: Real> Pass<'_, F> {
    /// Simulates all blocks; each workspace has the kept signals.
    pub(super) fn forward(&self, keep: Keep<'_, F>) -> Result<Vec<Workspace<F>>> {
        let simulate = |block| {
            let mut workspace = self.workers.acquire();
            let layout = self.layout(block, keep, Purpose::Keep)?;
            self.forward_block(layout, block, &mut workspace, keep)?;
            Ok(workspace)
        };
        self.workers.pool.install(|| self.blocks.clone().into_par_iter().map(simulate).collect())
    }

    /// Simulates block after block, of which no more is kept than a job makes of it.
    pub(super) fn forward_each<T: Send>(
        &self,
        keep: Keep<'_, F>,
        job: impl Fn(usize, &mut Workspace<F>) -> Result<T> + Sync + Send,
    ) -> Result<Vec<T>> {
        self.workers.blocks(&self.blocks, |block, workspace| {
            let layout = self.layout(block, keep, Purpose::Keep)?;
            self.forward_block(layout, block, workspace, keep)?;
            job(block, workspace)
        })
    }

    /// Losses and δ of all simulated blocks; of custom losses δ alone.
    pub(super) fn evaluate_losses(
        &self,
        workspaces: &mut [Workspace<F>],
        custom: Option<&Score>,
    ) -> Result<Vec<BatchSums>> {
        self.blocks
            .clone()
            .zip(workspaces)
            .map(|(block, workspace)| self.evaluate_loss(block, workspace, custom))
            .collect()
    }

    /// Losses of all blocks, of which nothing else is kept.
    pub(super) fn evaluate(&self) -> Result<Vec<BatchSums>> {
        self.workers.blocks(&self.blocks, |block, workspace| {
            let layout = self.layout(block, Keep::NOTHING, Purpose::Evaluate)?;
            self.forward_block(layout, block, workspace, Keep::NOTHING)?;
            self.evaluate_loss(block, workspace, None)
        })
    }

    /// The layout in which a block is computed.
    fn layout(&self, block: usize, keep: Keep<'_, F>, purpose: Purpose) -> Result<Layout> {
        let Workers { layout, layout_is_demanded, .. } = self.workers;
        let network = self.model.network();
        let fits_lanes = self.network.stands_side_by_side && single::fit_periods(&self.network);
        if keep.in_blocks || network.has_delays() || !fits_lanes {
            let demanded = *layout_is_demanded && *layout == Some(Layout::Neurons);
            let allowed = "trials: such a network or rule is computed in blocks of trials alone";
            return match demanded {
                true => Err(invalid("MDGL_LAYOUT", "neurons", allowed)),
                false => Ok(Layout::Trials),
            };
        }
        Ok(layout.unwrap_or_else(|| Layout::choose(self.size(), self.trials(block), purpose)))
    }

    fn size(&self) -> Size {
        let neurons = self.network.size();
        let senders = neurons + self.model.network().input_units();
        let synapses = self.network.input.len() + self.network.undelayed().csr.len();
        Size {
            neurons,
            synapses,
            senders,
            has_rows: single::has_rows::<F>(synapses, senders, neurons),
            has_fast_loop: matches!(self.workers.instructions, Instructions::Avx2 | Instructions::Avx512)
                && single::are_usual(&self.network.cells),
        }
    }

    /// Draws a block's inputs.
    fn draw(&self, block: usize, workspace: &mut Workspace<F>) -> Result<()> {
        let batch = self.assignment.batch;
        let span = self.workers.span(ProfileStage::Draw, Some(block));
        workspace.input.encode(self.model.network(), (batch, &self.by_trial), block, self.cancel)?;
        span.end();
        self.workers.count(|| work::tally_drawing(&workspace.input, batch.steps));
        Ok(())
    }

    /// Draws a block's inputs and simulates it.
    fn forward_block(
        &self,
        layout: Layout,
        block: usize,
        workspace: &mut Workspace<F>,
        keep: Keep<'_, F>,
    ) -> Result<()> {
        let (steps, lengths, trials) = (self.assignment.batch.steps, self.lengths(block), self.trials(block));
        let keep = Keep { segment: keep.segment.or(self.workers.segment), ..keep };
        self.draw(block, workspace)?;
        workspace.layout = layout;
        if layout == Layout::Neurons {
            let (on, run) = self.one_by_one(block, &workspace.input);
            return workspace.singles.simulate(on, &lengths[..trials], steps, keep, run);
        }
        let span = self.workers.span(ProfileStage::Simulate, Some(block));
        workspace.trajectory.prepare(&self.network, lengths, steps, keep)?;
        span.start(&mut workspace.trajectory.state.probe);
        let kernel = Simulate {
            network: &self.network,
            input: &workspace.input,
            trajectory: &mut workspace.trajectory,
            keep,
            segment: None,
            cancel: self.cancel,
        };
        F::simulate(self.workers.instructions, kernel)?;
        span.end_with([&mut workspace.trajectory.state.probe]);
        self.workers.count(|| work::tally_simulation(&self.network, &workspace.input, &workspace.trajectory));
        Ok(())
    }

    /// Losses and δ of a simulated block; of custom losses δ alone.
    fn evaluate_loss(
        &self,
        block: usize,
        workspace: &mut Workspace<F>,
        custom: Option<&Score>,
    ) -> Result<BatchSums> {
        let Assignment { batch, objective } = self.assignment;
        let span = self.workers.span(ProfileStage::EvaluateLoss, Some(block));
        let (neurons, outputs) = (self.network.size(), self.network.outputs());
        let shortest = self.lengths(block).into_iter().filter(|&n| n > 0).min().unwrap_or(0);
        workspace.delta.reset(objective.first_step(shortest as usize), batch.steps, outputs)?;
        if let Some(score) = custom {
            self.lay_out(block, &score.delta, &mut workspace.delta.blocks);
            self.weigh_custom(&mut workspace.delta.blocks);
        }
        let mut evaluator = LossEvaluator::new(self.model.network(), batch, objective, block);
        let readout = match workspace.layout {
            Layout::Trials => &workspace.trajectory.readout,
            Layout::Neurons => &workspace.singles.readout,
        };
        evaluator.all(readout, outputs, &mut workspace.delta);
        let (counts, psi) = (workspace.spike_counts(neurons), workspace.psi_sums(neurons));
        let excesses = self.rate_excesses(block, workspace);
        let squares = excesses.iter().flatten().map(|excess| excess * excess).sum();
        span.end();
        Ok(BatchSums { counts, psi, excesses, squares, ..evaluator.batch_sums() })
    }

    /// Multiplies the δ of custom losses, `[step][unit]`, with their weights, and clears what other readouts have.
    fn weigh_custom(&self, delta: &mut [Block<F>]) {
        let network = self.model.network();
        let mut weights = vec![F::ZERO; self.network.outputs()];
        for term in self.assignment.objective.losses.iter().filter(|term| term.loss == Loss::Custom) {
            if let Ok(readout) = network.readout(&term.readout) {
                weights[readout.units.clone()].fill(F::from_f64(term.weight));
            }
        }
        for row in delta.chunks_mut(weights.len().max(1)) {
            for (block, &weight) in row.iter_mut().zip(&weights) {
                block.0.iter_mut().for_each(|delta| *delta = *delta * weight);
            }
        }
    }
}

/// Learning.
impl<F: Real> Pass<'_, F> {
    /// A rule for this batch's network; its gradient sums fit into memory.
    pub(super) fn plan(&self, rule: &Rule, regularised: bool, learns: &[bool]) -> Result<LearningPlan<F>> {
        let plan = LearningPlan::cached(
            self.model,
            &self.network,
            rule,
            (regularised, learns),
            &self.workers.structure.synapses,
        )?;
        // Every block's sums wait for the others'; online there may be two per slot.
        let sums = if rule.estimator == Estimator::Online { 2 } else { 1 };
        let bytes = product(&[self.blocks.len(), plan.synapses.slots.len(), sums * size_of::<F>()]);
        ensure_memory(bytes, "the gradients of blocks of trials")?;
        Ok(plan)
    }

    /// Whether the backward pass needs sums over the whole batch.
    pub(super) fn needs_whole_batch(&self, plan: &LearningPlan<F>, rule: &Rule) -> bool {
        let shared_rates = self.assignment.objective.regulariser.is_some() && !self.rates_by_trial();
        rule.estimator == Estimator::Backward && (plan.needs_batch_means() || shared_rates)
    }

    /// Forward and backward block by block, while the trajectory is in the cache.
    pub(super) fn forward_backward(&self, plan: &LearningPlan<F>) -> Result<BlockResults<F>> {
        let sums = self.workers.blocks(&self.blocks, |block, workspace| {
            let keep = kept_for(plan);
            let layout = self.layout(block, keep, self.purpose(plan))?;
            if layout == Layout::Neurons && self.goes_trial_by_trial(keep, block) {
                return self.trial_by_trial(plan, block, workspace);
            }
            self.forward_block(layout, block, workspace, keep)?;
            let batch_sums = self.evaluate_loss(block, workspace, None)?;
            let rates = self.trial_rates(block, &batch_sums);
            Ok((
                batch_sums,
                self.backward_block(plan, block, workspace, SignalSources::rates(RatePart::own(&rates)))?,
            ))
        });
        Ok(sums?.into_iter().unzip())
    }

    /// The purpose of a plan's pass.
    fn purpose(&self, plan: &LearningPlan<F>) -> Purpose {
        let few = 2 * plan.active.len() < self.network.size();
        match plan.receives() {
            false => Purpose::Recursions { few },
            true if plan.secretes_lambda => Purpose::Backpropagation,
            true => Purpose::Modulation { few },
        }
    }

    /// Whether each trial of a block is passed forward and at once backward. That runs on one thread, hence only where other
    /// blocks occupy the other threads. It changes no result.
    fn goes_trial_by_trial(&self, keep: Keep<'_, F>, block: usize) -> bool {
        let alone = self.trials(block) == 1 || self.blocks.len() >= self.workers.threads();
        let trial_rates = self.assignment.objective.regulariser.is_some() && self.rates_by_trial();
        alone && !trial_rates && !keep.sums
    }

    /// Forward and backward trial by trial, with neurons in the lanes.
    fn trial_by_trial(
        &self,
        plan: &LearningPlan<F>,
        block: usize,
        workspace: &mut Workspace<F>,
    ) -> Result<(BatchSums, BlockGradient<F>)> {
        let Assignment { batch, objective } = self.assignment;
        self.draw(block, workspace)?;
        workspace.layout = Layout::Neurons;
        let lengths = &self.lengths(block)[..self.trials(block)];
        let shortest = lengths.iter().copied().min().unwrap_or(0);
        let first = objective.first_step(shortest as usize);
        workspace.delta.reset(first, batch.steps, self.network.outputs())?;
        let mut evaluator = LossEvaluator::new(self.model.network(), batch, objective, block);
        let (on, run) = self.one_by_one(block, &workspace.input);
        let segment = self.workers.segment;
        let (block_gradient, counts) = workspace.singles.forward_backward(
            on,
            (lengths, batch.steps),
            Keep { segment, ..kept_for(plan) },
            (plan, self.learning(plan)),
            (&mut evaluator, &mut workspace.delta),
            run,
        )?;
        Ok((BatchSums { counts, ..evaluator.batch_sums() }, block_gradient))
    }

    /// A plan's weights with neurons in the lanes, for trials one by one.
    fn learning(&self, plan: &LearningPlan<F>) -> &Learning<F> {
        let units = self.model.network().input_units();
        self.learning.get_or_init(|| {
            let sums = self.workers.structure.trial_sums(plan, &self.network, units);
            Learning::new(&self.network, plan, sums)
        })
    }

    /// All simulated blocks backward, with the sums over the whole batch.
    pub(super) fn backward(
        &self,
        plan: &mut LearningPlan<F>,
        workspaces: Vec<Workspace<F>>,
        batch_sums: &BatchSums,
    ) -> Result<Vec<BlockGradient<F>>> {
        self.take_means(plan, batch_sums);
        let constants = batch_sums.constants(self.model, self.assignment);
        let sources = || SignalSources::rates(RatePart::shared(&constants));
        self.each_workspace(workspaces, |block, workspace| {
            self.backward_block(plan, block, workspace, sources())
        })
    }

    /// The mean ψ of the batch, for the time courses that need it.
    pub(super) fn take_means(&self, plan: &mut LearningPlan<F>, batch_sums: &BatchSums) {
        if plan.needs_batch_means() {
            plan.take_means(self.model.network(), &batch_sums.psi_means(self.model));
        }
    }

    /// Computes the sums of all simulated blocks, on all threads; the workspaces are free afterwards.
    pub(super) fn each_workspace(
        &self,
        mut workspaces: Vec<Workspace<F>>,
        sums: impl Fn(usize, &mut Workspace<F>) -> Result<BlockGradient<F>> + Sync,
    ) -> Result<Vec<BlockGradient<F>>> {
        let block_gradients = self.workers.pool.install(|| {
            let blocks = self.blocks.clone().into_par_iter().zip(workspaces.par_iter_mut());
            blocks.map(|(block, workspace)| sums(block, workspace)).collect()
        });
        workspaces.into_iter().for_each(|workspace| self.workers.release(workspace));
        block_gradients
    }

    /// The gradient sums of a block, from its last step to its first.
    pub(super) fn backward_block(
        &self,
        plan: &LearningPlan<F>,
        block: usize,
        workspace: &mut Workspace<F>,
        sources: SignalSources<'_, F>,
    ) -> Result<BlockGradient<F>> {
        if workspace.layout == Layout::Neurons {
            let learning = self.learning(plan);
            let (on, run) = self.one_by_one(block, &workspace.input);
            return workspace.singles.backward(on, (plan, learning), &workspace.delta, sources.rates, run);
        }
        let span = self.workers.span(ProfileStage::Backward, Some(block));
        span.start(&mut workspace.backward_state.probe);
        span.start(&mut workspace.trajectory.replay.probe);
        let kernel = Backward {
            network: &self.network,
            plan,
            input: &workspace.input,
            trajectory: &mut workspace.trajectory,
            delta: &workspace.delta,
            rates: sources.rates,
            given: sources.given,
            state: &mut workspace.backward_state,
            signals: sources.record,
            cancel: self.cancel,
        };
        F::backward(self.workers.instructions, kernel)?;
        span.end_with([&mut workspace.backward_state.probe, &mut workspace.trajectory.replay.probe]);
        let batch = (&workspace.input, &workspace.trajectory);
        let work = &workspace.backward_state.work;
        self.workers.count(|| work::tally_backward(&self.network, plan, batch, work));
        let span = self.workers.span(ProfileStage::Reduce, Some(block));
        let block_gradient = workspace.backward_state.block_gradient(plan);
        span.end();
        Ok(block_gradient)
    }

    /// Simulation and learning of all blocks in one loop over time.
    pub(super) fn online(&self, plan: &LearningPlan<F>, trace: Trace) -> Result<BlockResults<F>> {
        let Assignment { batch, objective } = self.assignment;
        let cells = trace_dynamics(&self.network, trace);
        let sums = self.workers.blocks(&self.blocks, |block, workspace| {
            let span = self.workers.span(ProfileStage::Draw, Some(block));
            workspace.input.encode(self.model.network(), (batch, &self.by_trial), block, self.cancel)?;
            span.end();
            if self.workers.counts() {
                // The online form does not keep its spikes: they are counted in another simulation.
                self.forward_block(Layout::Trials, block, workspace, Keep::NOTHING)?;
            }
            let span = self.workers.span(ProfileStage::Forward, Some(block));
            workspace.traces.probes().into_iter().for_each(|probe| span.start(probe));
            let kernel = Online {
                network: &self.network,
                cells: &cells,
                plan,
                input: &workspace.input,
                lengths: self.lengths(block),
                steps: batch.steps,
                evaluator: LossEvaluator::new(self.model.network(), batch, objective, block),
                regularised: objective.regulariser.is_some(),
                traces: &mut workspace.traces,
                cancel: self.cancel,
            };
            let sums = F::online(self.workers.instructions, kernel)?;
            span.end_with(workspace.traces.probes());
            let (trajectory, receives) = (&workspace.trajectory, workspace.traces.receives());
            self.workers.count(|| work::tally_online(&self.network, plan, trajectory, receives));
            let (counts, psi) = (workspace.traces.spike_counts().to_vec(), workspace.traces.psi_sums());
            let batch_sums = BatchSums { counts, psi, ..sums };
            let span = self.workers.span(ProfileStage::Reduce, Some(block));
            let block_gradient = workspace.traces.block_gradient();
            span.end();
            Ok((batch_sums, block_gradient))
        });
        Ok(sums?.into_iter().unzip())
    }

    /// All blocks forward, then each trial again with an estimator's influence; the sums are those of all blocks.
    pub(super) fn influence(&self, plan: &LearningPlan<F>, estimator: Estimator) -> Result<BlockResults<F>> {
        let batch = self.assignment.batch;
        let network = ForwardNetwork::new(&self.network, plan, self.model.network().given_units());
        forward::check_size(estimator, &network)?;
        let mut workspaces = self.forward(Keep {
            psi: Some(&self.network.runs),
            segment: Some(batch.steps),
            in_blocks: true,
            ..Keep::NOTHING
        })?;
        let block_sums = self.evaluate_losses(&mut workspaces, None)?;
        let constants = BatchSums::total(&block_sums).constants(self.model, self.assignment);
        let trial = |i: usize| {
            let Workspace { input, trajectory, delta, .. } = &workspaces[i / LANES];
            ForwardTrial { input, trajectory, delta, lane: i % LANES }
        };
        let trials: Vec<_> = (0..batch.trials).map(trial).collect();
        let estimate = || forward::estimate(estimator, &network, &trials, &constants, batch.key, self.cancel);
        let block_gradient = self.workers.pool.install(estimate);
        workspaces.into_iter().for_each(|workspace| self.workers.release(workspace));
        Ok((block_sums, vec![block_gradient?]))
    }

    /// From the sums of all blocks to the batch's evaluation and gradients.
    pub(super) fn conclude(
        &self,
        estimator: Estimator,
        plan: &LearningPlan<F>,
        batch_sums: &BatchSums,
        subtrees: Vec<Subtree<F>>,
    ) -> Result<Learned<F>> {
        let span = self.workers.span(ProfileStage::Reduce, None);
        self.workers.count(|| work::tally_reduction::<F>(plan.synapses.slots.len(), subtrees.len()));
        let mut block_gradient = BlockGradient::tree_reduce(subtrees);
        if estimator == Estimator::Online && self.assignment.objective.regulariser.is_some() {
            block_gradient.regularise(plan, &batch_sums.constants(self.model, self.assignment));
        }
        let evaluation = finite(batch_sums.evaluation(self.model, self.assignment))?;
        let gradients = block_gradient.gradients(self.model, plan)?;
        span.end();
        let means = || batch_sums.psi_means(self.model);
        Ok(Learned { evaluation, gradients, psi_means: plan.follows_psi().then(means) })
    }
}

/// Properties of single blocks.
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

    /// The context and the settings in which a block's trials run one by one.
    fn one_by_one<'b>(
        &'b self,
        block: usize,
        input: &'b BlockInput<F>,
    ) -> (TrialContext<'b, F>, singles::RunContext<'b>) {
        let units = self.model.network().input_units();
        let lane_layout = self.lane_layout.get_or_init(|| single::LaneLayout::new(&self.network, units));
        let Workers { instructions, recorder, .. } = self.workers;
        let (instructions, cancel, recorder) = (*instructions, self.cancel, recorder.as_ref());
        let run = singles::RunContext { instructions, cancel, recorder, block };
        (TrialContext { network: &self.network, lane_layout, input, lane: 0 }, run)
    }

    /// Whether the regulariser is evaluated per trial.
    fn rates_by_trial(&self) -> bool {
        self.model.network().conventions() == Conventions::Bellec2020
    }

    /// f_p − f0 per step of each cell in each trial of a block, f_p the trial's own mean; 0 beyond the last trial. Empty
    /// unless the regulariser is evaluated per trial.
    fn rate_excesses(&self, block: usize, workspace: &Workspace<F>) -> Vec<[f64; LANES]> {
        let regulariser = self.assignment.objective.regulariser.filter(|_| self.rates_by_trial());
        let Some(r) = regulariser else { return Vec::new() };
        let (lengths, trials) = (self.lengths(block), self.trials(block));
        let target = r.target_rate * self.model.network().dt() / 1000.0;
        let excess = |counts: [u32; LANES]| {
            let rate = |lane: usize| f64::from(counts[lane]) / f64::from(lengths[lane]);
            std::array::from_fn(|lane| if lane < trials { rate(lane) - target } else { 0.0 })
        };
        workspace.counts_by_trial(self.network.size()).into_iter().map(excess).collect()
    }

    /// c (f_p − f0) / (steps · trials · window) of each cell in each trial of a block; empty where trials share their rates.
    pub(super) fn trial_rates(&self, block: usize, batch_sums: &BatchSums) -> Vec<Block<F>> {
        let Assignment { batch, objective, .. } = self.assignment;
        let strength = objective.regulariser.map_or(0.0, |r| r.strength);
        let divisor = batch.whole_trials() as f64 * objective.divisor();
        let scales = self.lengths(block).map(|steps| strength / (f64::from(steps.max(1)) * divisor));
        let constants = |excesses: &[f64; LANES]| {
            Block(std::array::from_fn(|lane| F::from_f64(scales[lane] * excesses[lane])))
        };
        batch_sums.excesses.iter().map(constants).collect()
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

/// Sources of the learning signals of a block, and their recording. Single trials support the rates alone.
pub(super) struct SignalSources<'a, F: Real> {
    /// The regulariser's part.
    pub(super) rates: RatePart<'a, F>,
    /// The whole signal from outside, `[step][neuron]`, in place of L.
    pub(super) given: Option<&'a [Block<F>]>,
    pub(super) record: Option<&'a mut Signals<F>>,
}

impl<'a, F: Real> SignalSources<'a, F> {
    /// The readout's errors and the regulariser's part, not recorded.
    fn rates(rates: RatePart<'a, F>) -> Self {
        Self { rates, given: None, record: None }
    }
}

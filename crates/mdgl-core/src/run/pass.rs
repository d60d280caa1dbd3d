//! One batch on its way through the stages, block by block: simulate, evaluate the loss, backward or online, sums.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use rayon::prelude::*;

use super::batch_sums::BatchSums;
use super::singles;
use super::workers::{Workers, Workspace};
use super::{Assignment, CustomLoss, Learned, finite};
use crate::batch::Batch;
use crate::batch::encode::BlockInput;
use crate::batch::loss::{Objective, Regulariser, check_values};
use crate::description::Conventions;
use crate::description::rule::{Estimator, Rule, Trace};
use crate::error::{Result, invalid};
use crate::instrument::recorder::ProfileStage;
use crate::learn::backward::{Backward, Signals};
use crate::learn::block_gradient::{BlockGradient, Subtree};
use crate::learn::evaluate_loss::LossEvaluator;
use crate::learn::forward::{self, ForwardNetwork, ForwardTrial};
use crate::learn::online::Online;
use crate::learn::plan::{LearningPlan, trace_dynamics};
use crate::learn::rates::RatePart;
use crate::learn::work;
use crate::model::Model;
use crate::numeric::lanes::{Block, LANES};
use crate::numeric::memory::{ensure_memory, product, resize};
use crate::run::real::Real;
use crate::simulate::compiled::{CellRun, CompiledNetwork};
use crate::simulate::trajectory::{Keep, Simulate};
use crate::single::{self, Layout, Learning, On, Purpose, Size};

pub(super) type Summed<F> = (BatchSums, Vec<BlockGradient<F>>);

/// One batch on its way through the stages.
pub(super) struct Pass<'a, F: Real> {
    pub(super) model: &'a Model<F>,
    pub(super) compiled: CompiledNetwork<F>,
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
            compiled: CompiledNetwork::new(model)?,
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
        let wiring = self.wiring.get_or_init(|| single::Wiring::new(&self.compiled, units));
        On { compiled: &self.compiled, wiring, input, lane: 0 }
    }

    /// Every block's sums wait for the others'; online there may be two a slot.
    pub(super) fn room_for_partials(&self, plan: &LearningPlan<F>, estimator: Estimator) -> Result<()> {
        let sums = if estimator == Estimator::Online { 2 } else { 1 };
        let bytes = product(&[self.blocks.len(), plan.slots.len(), sums * size_of::<F>()]);
        ensure_memory(bytes, "the gradients of blocks of trials")
    }

    pub(super) fn run(&self, block: usize) -> singles::RunContext<'_> {
        let Workers { instructions, recorder, .. } = self.workers;
        singles::RunContext {
            instructions: *instructions,
            cancel: self.cancel,
            recorder: recorder.as_ref(),
            block,
        }
    }

    pub(super) fn lengths(&self, block: usize) -> [u32; LANES] {
        std::array::from_fn(|lane| {
            let trial = block * LANES + lane;
            if trial < self.batch.trials { self.batch.length(trial) as u32 } else { 0 }
        })
    }

    pub(super) fn simulate(
        &self,
        block: usize,
        workspace: &mut Workspace<F>,
        keep: Keep<'_, F>,
    ) -> Result<()> {
        let layout = self.layout(block, keep, Purpose::Keep)?;
        self.simulate_as(layout, block, workspace, keep)
    }

    /// What is to stand in the lanes of a block.
    fn layout(&self, block: usize, keep: Keep<'_, F>, purpose: Purpose) -> Result<Layout> {
        let Workers { layout, layout_is_demanded, .. } = self.workers;
        let network = self.model.network();
        if keep.in_blocks || network.has_delays() || !self.compiled.stands_side_by_side {
            let demanded = *layout_is_demanded && *layout == Some(Layout::Neurons);
            let allowed = "trials: such a network or rule is computed in blocks of trials alone";
            return if demanded {
                Err(invalid("MDGL_LAYOUT", "neurons", allowed))
            } else {
                Ok(Layout::Trials)
            };
        }
        Ok(layout.unwrap_or_else(|| Layout::choose(self.size(), self.trials(block), purpose)))
    }

    fn size(&self) -> Size {
        let neurons = self.compiled.size();
        let senders = neurons + self.model.network().input_units();
        let synapses = self.compiled.input.len() + self.compiled.undelayed().csr.len();
        Size { neurons, synapses, senders, has_rows: single::has_rows::<F>(synapses, senders, neurons) }
    }

    /// What a plan's pass computes.
    fn purpose(&self, plan: &LearningPlan<F>) -> Purpose {
        let few = 2 * plan.active.len() < self.compiled.size();
        match plan.receives() {
            false => Purpose::Recursions { few },
            true if plan.secretes_lambda => Purpose::Backpropagation,
            true => Purpose::Modulation { few },
        }
    }

    /// Draws a block's input.
    fn draw(&self, block: usize, workspace: &mut Workspace<F>) -> Result<()> {
        let span = self.workers.span(ProfileStage::Draw, Some(block));
        workspace.input.encode(self.model.network(), self.batch, block, self.cancel)?;
        span.end();
        self.workers.count(|| work::tally_drawing(&workspace.input, self.batch.steps));
        Ok(())
    }

    pub(super) fn simulate_as(
        &self,
        layout: Layout,
        block: usize,
        workspace: &mut Workspace<F>,
        keep: Keep<'_, F>,
    ) -> Result<()> {
        let steps = self.batch.steps;
        self.draw(block, workspace)?;
        workspace.layout = layout;
        if layout == Layout::Neurons {
            let lengths = &self.lengths(block)[..self.trials(block)];
            let (on, run) = (self.on(&workspace.input), self.run(block));
            return workspace.singles.simulate(on, lengths, steps, keep, run);
        }
        let span = self.workers.span(ProfileStage::Simulate, Some(block));
        workspace.trajectory.prepare(&self.compiled, self.lengths(block), steps, keep)?;
        span.start(&mut workspace.trajectory.state.probe);
        let kernel = Simulate {
            compiled: &self.compiled,
            input: &workspace.input,
            trajectory: &mut workspace.trajectory,
            keep,
            cancel: self.cancel,
        };
        F::simulate(self.workers.instructions, kernel)?;
        span.end_with([&mut workspace.trajectory.state.probe]);
        self.workers
            .count(|| work::tally_simulation(&self.compiled, &workspace.input, &workspace.trajectory));
        Ok(())
    }

    /// What the backward pass of a plan needs.
    pub(super) fn keep_for<'a>(&self, plan: &'a LearningPlan<F>) -> Keep<'a, F> {
        let keep = self.keep(Some(&plan.psi_runs), false);
        Keep { sums: plan.follows_psi(), in_blocks: plan.in_blocks(), ..keep }
    }

    pub(super) fn keep<'a>(&self, psi: Option<&'a [CellRun<F>]>, voltage: bool) -> Keep<'a, F> {
        Keep { psi, voltage, segment: self.workers.segment, ..Keep::NOTHING }
    }

    pub(super) fn simulate_all(&self, keep: Keep<'_, F>) -> Result<Vec<Workspace<F>>> {
        self.workers.each_block(&self.blocks, |block| {
            let mut workspace = self.workers.acquire();
            self.simulate(block, &mut workspace, keep)?;
            Ok(workspace)
        })
    }

    /// All blocks with trials in the lanes, for what reads them so.
    pub(super) fn simulate_blocks(&self, keep: Keep<'_, F>) -> Result<Vec<Workspace<F>>> {
        self.workers.blocks(&self.blocks, |block, workspace| {
            self.simulate_as(Layout::Trials, block, workspace, keep)?;
            Ok(std::mem::take(workspace))
        })
    }

    /// Simulates and evaluates the loss block by block, and keeps nothing.
    pub(super) fn block_sums(&self, assignment: Assignment<'_>) -> Result<Vec<BatchSums>> {
        self.workers.blocks(&self.blocks, |block, workspace| {
            let layout = self.layout(block, Keep::NOTHING, Purpose::Evaluate)?;
            self.simulate_as(layout, block, workspace, Keep::NOTHING)?;
            self.evaluate_loss(assignment, block, workspace)
        })
    }

    /// Losses and δ of a simulated block.
    pub(super) fn evaluate_loss(
        &self,
        assignment: Assignment<'_>,
        block: usize,
        workspace: &mut Workspace<F>,
    ) -> Result<BatchSums> {
        let Assignment { batch, objective, targets } = assignment;
        let span = self.workers.span(ProfileStage::EvaluateLoss, Some(block));
        let outputs = self.compiled.outputs();
        let shortest = self.lengths(block).into_iter().filter(|&n| n > 0).min().unwrap_or(0);
        workspace.delta.reset(objective.first_step(shortest as usize), batch.steps, outputs)?;
        let mut evaluator = LossEvaluator::new(self.model.network(), batch, objective, targets, block);
        let readout = match workspace.layout {
            Layout::Trials => &workspace.trajectory.readout,
            Layout::Neurons => &workspace.singles.readout,
        };
        evaluator.all(readout, outputs, &mut workspace.delta);
        let mut batch_sums =
            BatchSums::of(evaluator.block_loss(), workspace.spike_counts(self.compiled.size()));
        batch_sums.psi = workspace.psi_sums(self.compiled.size());
        if let Some(r) = objective.regulariser.filter(|_| self.rates_by_trial()) {
            batch_sums.excesses = self.excesses(r, block, workspace);
            batch_sums.squares = batch_sums.excesses.iter().flatten().map(|excess| excess * excess).sum();
        }
        span.end();
        Ok(batch_sums)
    }

    /// Losses and δ of all blocks.
    pub(super) fn evaluate_losses(
        &self,
        assignment: Assignment<'_>,
        workspaces: &mut [Workspace<F>],
    ) -> Result<Vec<BatchSums>> {
        self.blocks
            .clone()
            .zip(workspaces)
            .map(|(block, workspace)| self.evaluate_loss(assignment, block, workspace))
            .collect()
    }

    /// Whether the regulariser looks at each trial's own rates.
    pub(super) fn rates_by_trial(&self) -> bool {
        self.model.network().conventions() == Conventions::Bellec2020
    }

    /// f_p − f0 a step of each cell in each trial of a block, f_p the trial's own mean; 0 beyond the last trial.
    pub(super) fn excesses(
        &self,
        r: Regulariser,
        block: usize,
        workspace: &Workspace<F>,
    ) -> Vec<[f64; LANES]> {
        let (lengths, trials) = (self.lengths(block), self.trials(block));
        let target = r.target_rate * self.model.network().dt() / 1000.0;
        let excess = |counts: [u32; LANES]| {
            let rate = |lane: usize| f64::from(counts[lane]) / f64::from(lengths[lane]);
            std::array::from_fn(|lane| if lane < trials { rate(lane) - target } else { 0.0 })
        };
        workspace.counts_by_trial(self.compiled.size()).into_iter().map(excess).collect()
    }

    /// c (f_p − f0) / (steps · trials · window) of each cell in each trial of a block; none where trials share theirs.
    pub(super) fn own_constants(
        &self,
        objective: &Objective,
        block: usize,
        batch_sums: &BatchSums,
    ) -> Vec<Block<F>> {
        let strength = objective.regulariser.map_or(0.0, |r| r.strength);
        let divisor = self.batch.trials as f64 * objective.divisor();
        let scales = self.lengths(block).map(|steps| strength / (f64::from(steps.max(1)) * divisor));
        let constants = |excesses: &[f64; LANES]| {
            Block(std::array::from_fn(|lane| F::from_f64(scales[lane] * excesses[lane])))
        };
        batch_sums.excesses.iter().map(constants).collect()
    }

    pub(super) fn backward(
        &self,
        plan: &LearningPlan<F>,
        rates: RatePart<'_, F>,
        block: usize,
        workspace: &mut Workspace<F>,
        signals: Option<&mut Signals<F>>,
    ) -> Result<BlockGradient<F>> {
        if workspace.layout == Layout::Neurons {
            let learning = self.learning(plan);
            let (on, run) = (self.on(&workspace.input), self.run(block));
            return workspace.singles.backward(on, (plan, learning), &workspace.delta, rates, run);
        }
        self.backward_block(plan, block, workspace, SignalSources { rates, given: None, record: signals })
    }

    /// Trials in the lanes.
    pub(super) fn backward_block(
        &self,
        plan: &LearningPlan<F>,
        block: usize,
        workspace: &mut Workspace<F>,
        sources: SignalSources<'_, F>,
    ) -> Result<BlockGradient<F>> {
        let span = self.workers.span(ProfileStage::Backward, Some(block));
        span.start(&mut workspace.backward_state.probe);
        span.start(&mut workspace.trajectory.replay.probe);
        let kernel = Backward {
            compiled: &self.compiled,
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
        self.workers
            .count(|| work::tally_backward(&self.compiled, plan, &workspace.input, &workspace.trajectory));
        let span = self.workers.span(ProfileStage::Reduce, Some(block));
        let block_gradient = workspace.backward_state.block_gradient(plan);
        span.end();
        Ok(block_gradient)
    }

    pub(super) fn backward_all(
        &self,
        plan: &LearningPlan<F>,
        constants: &[F],
        mut workspaces: Vec<Workspace<F>>,
    ) -> Result<Vec<BlockGradient<F>>> {
        let block_gradients = self.workers.pool.install(|| {
            let rates = RatePart::shared(constants);
            let backward = |(block, workspace)| self.backward(plan, rates, block, workspace, None);
            let blocks = self.blocks.clone().into_par_iter().zip(workspaces.par_iter_mut());
            blocks.map(backward).collect::<Result<Vec<_>>>()
        });
        workspaces.into_iter().for_each(|workspace| self.workers.release(workspace));
        block_gradients
    }

    /// Whether a plan's way back must wait until all blocks have gone forwards.
    pub(super) fn goes_in_two(&self, objective: &Objective, plan: &LearningPlan<F>, rule: &Rule) -> bool {
        let shared_rates = objective.regulariser.is_some() && !self.rates_by_trial();
        rule.estimator == Estimator::Backward && (plan.wants_batch_means() || shared_rates)
    }

    /// A plan that need not wait: what each block came to, and its sums.
    pub(super) fn at_once(
        &self,
        assignment: Assignment<'_>,
        plan: &LearningPlan<F>,
        rule: &Rule,
    ) -> Result<(Vec<BatchSums>, Vec<BlockGradient<F>>)> {
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
        plan: &LearningPlan<F>,
    ) -> Result<Vec<(BatchSums, BlockGradient<F>)>> {
        self.workers.blocks(&self.blocks, |block, workspace| {
            let keep = self.keep_for(plan);
            let layout = self.layout(block, keep, self.purpose(plan))?;
            if layout == Layout::Neurons && self.goes_trial_by_trial(assignment.objective, keep, block) {
                return self.trial_by_trial(assignment, plan, block, workspace);
            }
            self.simulate_as(layout, block, workspace, keep)?;
            let batch_sums = self.evaluate_loss(assignment, block, workspace)?;
            let own = self.own_constants(assignment.objective, block, &batch_sums);
            Ok((batch_sums, self.backward(plan, RatePart::own(&own), block, workspace, None)?))
        })
    }

    /// Whether each trial of a block goes forward and straight back: on one thread, hence where other blocks keep the other
    /// threads busy. It changes no result.
    fn goes_trial_by_trial(&self, objective: &Objective, keep: Keep<'_, F>, block: usize) -> bool {
        let alone = self.trials(block) == 1 || self.blocks.len() >= self.workers.threads();
        let own_rates = objective.regulariser.is_some() && self.rates_by_trial();
        alone && !own_rates && !keep.sums
    }

    fn trial_by_trial(
        &self,
        assignment: Assignment<'_>,
        plan: &LearningPlan<F>,
        block: usize,
        workspace: &mut Workspace<F>,
    ) -> Result<(BatchSums, BlockGradient<F>)> {
        let Assignment { batch, objective, targets } = assignment;
        self.draw(block, workspace)?;
        workspace.layout = Layout::Neurons;
        let lengths = &self.lengths(block)[..self.trials(block)];
        let shortest = lengths.iter().copied().min().unwrap_or(0);
        workspace.delta.reset(
            objective.first_step(shortest as usize),
            batch.steps,
            self.compiled.outputs(),
        )?;
        let mut evaluator = LossEvaluator::new(self.model.network(), batch, objective, targets, block);
        let learning = self.learning(plan);
        let (block_gradient, counts) = workspace.singles.there_and_back(
            self.on(&workspace.input),
            (lengths, batch.steps),
            self.keep_for(plan),
            (plan, learning),
            (&mut evaluator, &mut workspace.delta),
            self.run(block),
        )?;
        Ok((BatchSums::of(evaluator.block_loss(), counts), block_gradient))
    }

    /// What trials one by one read of a plan.
    fn learning(&self, plan: &LearningPlan<F>) -> &Learning<F> {
        let units = self.model.network().input_units();
        self.learning.get_or_init(|| Learning::new(&self.compiled, plan, units))
    }

    /// From the sums of all blocks to what the batch taught.
    pub(super) fn conclude(
        &self,
        assignment: Assignment<'_>,
        estimator: Estimator,
        plan: &LearningPlan<F>,
        batch_sums: &BatchSums,
        subtrees: Vec<Subtree<F>>,
    ) -> Result<Learned<F>> {
        let span = self.workers.span(ProfileStage::Reduce, None);
        self.workers.count(|| work::tally_reduction::<F>(plan.slots.len(), subtrees.len()));
        let mut block_gradient = BlockGradient::tree_reduce(subtrees);
        if estimator == Estimator::Online && assignment.objective.regulariser.is_some() {
            block_gradient.regularise(plan, &batch_sums.constants(self.model, assignment));
        }
        let evaluation = finite(batch_sums.evaluation(self.model, assignment))?;
        let gradients = block_gradient.gradients(self.model, plan)?;
        span.end();
        let psi_means = plan.follows_psi().then(|| batch_sums.psi_means(self.model, self.batch));
        Ok(Learned { evaluation, gradients, psi_means })
    }

    /// The signals of blocks whose loss has been evaluated.
    pub(super) fn record(
        &self,
        plan: &LearningPlan<F>,
        assignment: Assignment<'_>,
        block_sums: &[BatchSums],
        workspaces: &mut [Workspace<F>],
    ) -> Result<Vec<Signals<F>>> {
        let shared = BatchSums::total(block_sums).constants(self.model, assignment);
        let len = product(&[self.batch.steps, self.compiled.size()]);
        let record = |(block, workspace): (usize, &mut Workspace<F>)| {
            let mut signals = Signals::default();
            for buffer in [&mut signals.learning, &mut signals.modulation] {
                resize(buffer, len, Block::ZERO, "the recorded signals of a block of trials")?;
            }
            let own = self.own_constants(assignment.objective, block, &block_sums[block]);
            let rates = if own.is_empty() { RatePart::shared(&shared) } else { RatePart::own(&own) };
            self.backward(plan, rates, block, workspace, Some(&mut signals))?;
            Ok(signals)
        };
        workspaces.iter_mut().enumerate().map(record).collect()
    }

    /// All blocks forward, then all backward: the regulariser needs the batch's rates (if trials share theirs).
    pub(super) fn in_two(&self, assignment: Assignment<'_>, plan: &mut LearningPlan<F>) -> Result<Summed<F>> {
        let (workspaces, block_sums) = self.forward_all(assignment, plan)?;
        let batch_sums = BatchSums::total(&block_sums);
        let block_gradients = self.return_all(assignment, plan, &batch_sums, workspaces)?;
        Ok((batch_sums, block_gradients))
    }

    /// All blocks forward, with their losses.
    pub(super) fn forward_all(
        &self,
        assignment: Assignment<'_>,
        plan: &LearningPlan<F>,
    ) -> Result<(Vec<Workspace<F>>, Vec<BatchSums>)> {
        let mut workspaces = self.simulate_all(self.keep_for(plan))?;
        let block_sums = self.evaluate_losses(assignment, &mut workspaces)?;
        Ok((workspaces, block_sums))
    }

    /// All backward, with what the whole batch came to.
    pub(super) fn return_all(
        &self,
        assignment: Assignment<'_>,
        plan: &mut LearningPlan<F>,
        batch_sums: &BatchSums,
        workspaces: Vec<Workspace<F>>,
    ) -> Result<Vec<BlockGradient<F>>> {
        self.take_means(plan, batch_sums);
        self.backward_all(plan, &batch_sums.constants(self.model, assignment), workspaces)
    }

    /// The mean ψ of the batch, for the kernels that want it.
    pub(super) fn take_means(&self, plan: &mut LearningPlan<F>, batch_sums: &BatchSums) {
        if plan.wants_batch_means() {
            plan.take_means(self.model.network(), &batch_sums.psi_means(self.model, self.batch));
        }
    }

    /// Backward from a δ that was computed outside.
    pub(super) fn given(
        &self,
        assignment: Assignment<'_>,
        plan: &mut LearningPlan<F>,
        custom: CustomLoss<F>,
    ) -> Result<Summed<F>> {
        let CustomLoss { forward, delta, loss, accuracy } = custom;
        let mut workspaces = forward.workspaces;
        let blocks = self.score_all(&delta, &mut workspaces)?;
        let batch_sums = BatchSums { loss, accuracy, ..BatchSums::total(&blocks) };
        let in_blocks = workspaces.iter().all(|workspace| workspace.layout == Layout::Trials);
        if plan.follows_psi() && batch_sums.psi.is_empty() || plan.in_blocks() && !in_blocks {
            return Err(invalid(
                "forward",
                "made without the rule",
                "one made for the rule (Forward::for_rule)",
            ));
        }
        let block_gradients = self.return_all(assignment, plan, &batch_sums, workspaces)?;
        Ok((batch_sums, block_gradients))
    }

    /// Lays out a δ that was computed outside, `[trial][step][unit]`; the sums have spikes and ψ alone.
    pub(super) fn score_all(&self, delta: &[f64], workspaces: &mut [Workspace<F>]) -> Result<Vec<BatchSums>> {
        let (steps, outputs) = (self.batch.steps, self.compiled.outputs());
        check_values("delta", delta, self.batch.trials * steps * outputs)?;
        let score = |(block, workspace): (usize, &mut Workspace<F>)| {
            workspace.delta.reset(0, steps, outputs)?;
            self.lay_out(block, delta, &mut workspace.delta.blocks);
            let (counts, psi) =
                (workspace.spike_counts(self.compiled.size()), workspace.psi_sums(self.compiled.size()));
            Ok(BatchSums { counts, psi, ..BatchSums::default() })
        };
        workspaces.iter_mut().enumerate().map(score).collect()
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
        plan: &LearningPlan<F>,
        estimator: Estimator,
    ) -> Result<Summed<F>> {
        let network = ForwardNetwork::new(&self.compiled, plan, self.model.network().input_units());
        forward::check_size(estimator, &network)?;
        let everything = Some(&self.compiled.runs[..]);
        let whole =
            Keep { psi: everything, voltage: false, segment: Some(self.batch.steps), ..Keep::NOTHING };
        let mut workspaces = self.simulate_blocks(whole)?;
        let batch_sums = BatchSums::total(&self.evaluate_losses(assignment, &mut workspaces)?);
        let constants = batch_sums.constants(self.model, assignment);
        let trial = |i: usize| {
            let Workspace { input, trajectory, delta, .. } = &workspaces[i / LANES];
            ForwardTrial { input, trajectory, delta, lane: i % LANES }
        };
        let trials: Vec<_> = (0..self.batch.trials).map(trial).collect();
        let estimate =
            || forward::estimate(estimator, &network, &trials, &constants, self.batch.key, self.cancel);
        let block_gradient = self.workers.pool.install(estimate);
        workspaces.into_iter().for_each(|workspace| self.workers.release(workspace));
        Ok((batch_sums, vec![block_gradient?]))
    }

    /// The online form lets its spikes go; for a count the block is simulated once more, with what it counts.
    pub(super) fn count_online(
        &self,
        plan: &LearningPlan<F>,
        block: usize,
        workspace: &mut Workspace<F>,
    ) -> Result<()> {
        if self.workers.counts() {
            self.simulate_as(Layout::Trials, block, workspace, Keep::NOTHING)?;
            self.workers.count(|| work::tally_online(&self.compiled, plan, &workspace.trajectory));
        }
        Ok(())
    }

    /// Simulation and learning in one loop over time.
    pub(super) fn online(
        &self,
        assignment: Assignment<'_>,
        plan: &LearningPlan<F>,
        trace: Trace,
    ) -> Result<Vec<(BatchSums, BlockGradient<F>)>> {
        let Assignment { batch, objective, targets } = assignment;
        let cells = trace_dynamics(&self.compiled, trace);
        let regularised = objective.regulariser.is_some();
        self.workers.blocks(&self.blocks, |block, workspace| {
            let span = self.workers.span(ProfileStage::Draw, Some(block));
            workspace.input.encode(self.model.network(), batch, block, self.cancel)?;
            span.end();
            self.count_online(plan, block, workspace)?;
            let span = self.workers.span(ProfileStage::Forward, Some(block));
            workspace.traces.probes().into_iter().for_each(|probe| span.start(probe));
            let kernel = Online {
                compiled: &self.compiled,
                cells: &cells,
                plan,
                input: &workspace.input,
                lengths: self.lengths(block),
                steps: batch.steps,
                evaluator: LossEvaluator::new(self.model.network(), batch, objective, targets, block),
                regularised,
                traces: &mut workspace.traces,
                cancel: self.cancel,
            };
            let block_loss = F::online(self.workers.instructions, kernel)?;
            span.end_with(workspace.traces.probes());
            let mut batch_sums = BatchSums::of(block_loss, workspace.traces.spike_counts().to_vec());
            batch_sums.psi = workspace.traces.psi_sums();
            let span = self.workers.span(ProfileStage::Reduce, Some(block));
            let block_gradient = workspace.traces.block_gradient();
            span.end();
            Ok((batch_sums, block_gradient))
        })
    }
}

/// From where the cells of a block have their signals, and where these are recorded.
pub(super) struct SignalSources<'a, F: Real> {
    /// The regulariser's part.
    pub(super) rates: RatePart<'a, F>,
    /// The whole signal from outside, `[step][neuron]`, in place of L.
    pub(super) given: Option<&'a [Block<F>]>,
    pub(super) record: Option<&'a mut Signals<F>>,
}

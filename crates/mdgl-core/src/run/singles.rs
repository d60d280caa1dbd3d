//! The trials of one block, computed one by one on any free threads; sums and readouts are joined as lanes of the block.

use std::sync::atomic::AtomicBool;

use rayon::prelude::*;

use crate::error::Result;
use crate::instrument::recorder::{ProfileStage, Recorder, Span};
use crate::instrument::section::Section;
use crate::instrument::tally::Tally;
use crate::learn::block_gradient::BlockGradient;
use crate::learn::evaluate_loss::LossEvaluator;
use crate::learn::plan::{Delta, LearningPlan};
use crate::learn::rates::RatePart;
use crate::numeric::lanes::{Block, Instructions, LANES};
use crate::numeric::memory::{bytes_of, product, refill};
use crate::run::real::Real;
use crate::simulate::trajectory::Keep;
use crate::single::backward::{BackwardOne, TrialBackwardState};
use crate::single::events::list_inputs;
use crate::single::learning::Learning;
use crate::single::simulate_one::SimulateOne;
use crate::single::tally;
use crate::single::trial::{Trial, TrialContext};

/// Trials and their work; kept between batches for its memory.
#[derive(Debug, Default)]
pub(crate) struct Singles<F: Real> {
    /// The readout as a block of trials has it, `[step][unit]`.
    pub readout: Vec<Block<F>>,
    trials: Vec<Trial<F>>,
    backward_states: Vec<TrialBackwardState<F>>,
}

/// The instruction set, cancellation and recorder with which a block's kernels run.
#[derive(Clone, Copy)]
pub(crate) struct RunContext<'a> {
    pub instructions: Instructions,
    pub cancel: &'a AtomicBool,
    /// Recorder of stages, while a profile is made.
    pub recorder: Option<&'a Recorder>,
    pub block: usize,
}

impl<'a> RunContext<'a> {
    fn span(&self, stage: ProfileStage) -> Span<'a> {
        Span::begin(self.recorder, stage, Some(self.block))
    }

    fn count<const N: usize>(&self, tallies: impl FnOnce() -> [(Section, Tally); N]) {
        if let Some(recorder) = self.recorder.filter(|recorder| recorder.counts()) {
            recorder.count(&tallies());
        }
    }
}

impl<F: Real> Singles<F> {
    /// Bytes of memory that they hold.
    pub fn bytes(&self) -> usize {
        let trials = self.trials.iter().map(Trial::bytes).sum::<usize>();
        bytes_of(&self.readout)
            + trials
            + self.backward_states.iter().map(TrialBackwardState::bytes).sum::<usize>()
    }

    /// Simulates trials of these lengths; `context.lane` is the first's.
    ///
    /// # Errors
    /// [`crate::Error::Memory`], [`crate::Error::Cancelled`].
    pub fn simulate(
        &mut self,
        context: TrialContext<'_, F>,
        lengths: &[u32],
        steps: usize,
        keep: Keep<'_, F>,
        run: RunContext<'_>,
    ) -> Result<()> {
        let count = lengths.len();
        let listed = self.list_inputs(context, count, steps)?;
        let simulate = |(lane, trial): (usize, &mut Trial<F>)| {
            trial.inputs_listed = listed;
            Self::simulate_one(
                TrialContext { lane, ..context },
                trial,
                (lengths[lane] as usize, steps),
                (keep, count),
                run,
            )
        };
        self.trials.par_iter_mut().enumerate().try_for_each(simulate)?;
        self.join_readouts(context.network.outputs(), steps)
    }

    fn join_readouts(&mut self, outputs: usize, steps: usize) -> Result<()> {
        refill(&mut self.readout, product(&[steps, outputs]), "the readouts of a block of trials")?;
        for (lane, trial) in self.trials.iter().enumerate() {
            for (step, row) in self.readout.chunks_exact_mut(outputs.max(1)).enumerate() {
                let values = trial.readout_at(step, outputs);
                row.iter_mut().zip(values).for_each(|(block, &y)| block.0[lane] = y);
            }
        }
        Ok(())
    }

    /// The backward pass of every trial.
    ///
    /// # Errors
    /// As [`Self::simulate`].
    pub fn backward(
        &mut self,
        context: TrialContext<'_, F>,
        (plan, learning): (&LearningPlan<F>, &Learning<F>),
        delta: &Delta<F>,
        rates: RatePart<'_, F>,
        run: RunContext<'_>,
    ) -> Result<BlockGradient<F>> {
        self.backward_states.resize_with(self.trials.len(), TrialBackwardState::default);
        let backward = |(lane, (trial, state)): (usize, (&mut Trial<F>, &mut TrialBackwardState<F>))| {
            let constants = &rates.of_trial(lane)[..];
            Self::backward_one(
                TrialContext { lane, ..context },
                (plan, learning),
                (trial, state),
                (delta, constants),
                run,
            )
        };
        self.trials.par_iter_mut().zip(&mut self.backward_states).enumerate().try_for_each(backward)?;
        Ok(self.block_gradient(plan, learning, context.network.outputs()))
    }

    /// Each trial forward, its loss, and at once backward, while its ψ is in the cache: what [`Self::simulate`] and
    /// [`Self::backward`] compute. Gives the sums, and the number of spikes of each neuron.
    ///
    /// # Errors
    /// As [`Self::simulate`].
    pub fn forward_backward(
        &mut self,
        context: TrialContext<'_, F>,
        (lengths, steps): (&[u32], usize),
        keep: Keep<'_, F>,
        (plan, learning): (&LearningPlan<F>, &Learning<F>),
        (evaluator, delta): (&mut LossEvaluator<'_>, &mut Delta<F>),
        run: RunContext<'_>,
    ) -> Result<(BlockGradient<F>, Vec<u64>)> {
        let (count, outputs) = (lengths.len(), context.network.outputs());
        let listed = self.list_inputs(context, count, steps)?;
        self.backward_states.resize_with(1, TrialBackwardState::default);
        let mut counts = vec![0; context.network.size()];
        // With one trial the other lanes' zeros change nothing.
        let mut lanes = vec![Block::ZERO; if count == 1 { 0 } else { plan.synapses.slots.len() + outputs }];
        for (lane, &length) in lengths.iter().enumerate() {
            let (before, after) = self.trials.split_at_mut(lane);
            let (trial, state) = (&mut after[0], &mut self.backward_states[0]);
            if let Some(before) = before.last_mut() {
                trial.take_buffers(before);
            }
            let context = TrialContext { lane, ..context };
            trial.inputs_listed = listed;
            Self::simulate_one(context, trial, (length as usize, steps), (keep, 1), run)?;
            let span = run.span(ProfileStage::EvaluateLoss);
            evaluator.trial(lane, |step| trial.readout_at(step, outputs), outputs, delta);
            trial.count_spikes(&mut counts);
            span.end();
            Self::backward_one(context, (plan, learning), (trial, state), (delta, &[]), run)?;
            if count == 1 {
                return Ok((self.block_gradient(plan, learning, outputs), counts));
            }
            state.sums(learning, |slot, sum| lanes[slot].0[lane] = sum);
            let bias = lanes[plan.synapses.slots.len()..].iter_mut().zip(state.bias());
            bias.for_each(|(block, &sum)| block.0[lane] = sum);
        }
        let sums = lanes.iter().map(Block::sum).collect();
        Ok((Self::scaled(plan, sums), counts))
    }

    /// Lists the input events of so many trials; returns whether they could be listed.
    fn list_inputs(&mut self, context: TrialContext<'_, F>, count: usize, steps: usize) -> Result<bool> {
        self.trials.resize_with(count, Trial::default);
        let events = self.trials.iter_mut().map(|trial| &mut trial.events);
        list_inputs(events, context.input, (context.network.size(), steps))
    }

    fn simulate_one(
        context: TrialContext<'_, F>,
        trial: &mut Trial<F>,
        steps: (usize, usize),
        (keep, share): (Keep<'_, F>, usize),
        run: RunContext<'_>,
    ) -> Result<()> {
        let span = run.span(ProfileStage::Simulate);
        span.start(&mut trial.probe);
        trial.prepare(context.lane_layout, steps, keep, share)?;
        let kernel = SimulateOne { context, trial, keep, cancel: run.cancel };
        F::simulate_one(run.instructions, kernel)?;
        span.end_with([&mut trial.probe]);
        run.count(|| tally::simulation(context, trial));
        Ok(())
    }

    fn backward_one(
        context: TrialContext<'_, F>,
        (plan, learning): (&LearningPlan<F>, &Learning<F>),
        (trial, state): (&mut Trial<F>, &mut TrialBackwardState<F>),
        (delta, constants): (&Delta<F>, &[F]),
        run: RunContext<'_>,
    ) -> Result<()> {
        let span = run.span(ProfileStage::Backward);
        span.start(&mut trial.probe);
        span.start(&mut state.probe);
        let kernel =
            BackwardOne { context, plan, learning, trial, delta, constants, state, cancel: run.cancel };
        F::backward_one(run.instructions, kernel)?;
        span.end_with([&mut trial.probe, &mut state.probe]);
        run.count(|| tally::backward(context, (plan, learning), trial, (state.asked, &state.skipped)));
        Ok(())
    }

    /// The trials' sums in the tree of a block's lanes, with the targets' scales.
    fn block_gradient(
        &self,
        plan: &LearningPlan<F>,
        learning: &Learning<F>,
        outputs: usize,
    ) -> BlockGradient<F> {
        let slots = plan.synapses.slots.len();
        let mut sums = vec![F::ZERO; slots + outputs];
        match &self.backward_states[..] {
            // The other lanes' zeros change nothing.
            [state] => {
                state.sums(learning, |slot, sum| sums[slot] = sum);
                sums[slots..].copy_from_slice(&state.bias()[..outputs]);
            }
            backward_states => {
                let mut lanes = vec![Block::ZERO; sums.len()];
                for (lane, state) in backward_states.iter().enumerate() {
                    state.sums(learning, |slot, sum| lanes[slot].0[lane] = sum);
                    let bias = lanes[slots..].iter_mut().zip(state.bias());
                    bias.for_each(|(block, &sum)| block.0[lane] = sum);
                }
                sums.iter_mut().zip(&lanes).for_each(|(sum, lanes)| *sum = lanes.sum());
            }
        }
        Self::scaled(plan, sums)
    }

    /// Sums by slot and of the biases, the former with the targets' scales.
    fn scaled(plan: &LearningPlan<F>, mut sums: Vec<F>) -> BlockGradient<F> {
        let bias = sums.split_off(plan.synapses.slots.len());
        sums.iter_mut().zip(&plan.synapses.slots).for_each(|(sum, slot)| *sum = *sum * slot.scale);
        BlockGradient { sums, bias, ..BlockGradient::default() }
    }

    /// Number of spikes of each neuron in all trials.
    pub fn spike_counts(&self, neurons: usize) -> Vec<u64> {
        let mut counts = vec![0; neurons];
        self.trials.iter().for_each(|trial| trial.count_spikes(&mut counts));
        counts
    }

    /// Σ ψ over all steps of all trials, one per neuron, in the tree of a block's lanes; empty where it was not requested.
    pub fn psi_sums(&self, neurons: usize) -> Vec<f64> {
        let summed = self.trials.iter().any(|trial| !trial.psi_sums().is_empty());
        let mut lanes = vec![Block::ZERO; if summed { neurons } else { 0 }];
        for (lane, trial) in self.trials.iter().enumerate() {
            lanes.iter_mut().zip(trial.psi_sums()).for_each(|(block, &sum)| block.0[lane] = sum);
        }
        lanes.iter().map(|block| block.sum().to_f64()).collect()
    }

    /// Number of spikes of each neuron in each trial.
    pub fn counts_by_trial(&self, neurons: usize) -> Vec<[u32; LANES]> {
        let mut counts = vec![[0; LANES]; neurons];
        for (lane, trial) in self.trials.iter().enumerate() {
            trial.all_spikes().for_each(|unit| counts[unit as usize][lane] += 1);
        }
        counts
    }

    /// The trial of an index.
    pub fn trial(&self, lane: usize) -> &Trial<F> {
        &self.trials[lane]
    }
}

//! The trials of one block of a batch, one by one: each on whatever thread is free, sums and readouts joined as the
//! lanes of the block.

use std::sync::atomic::AtomicBool;

use rayon::prelude::*;

use crate::error::Result;
use crate::instrument::recorder::{ProfileStage, Recorder, Span};
use crate::instrument::section::Section;
use crate::instrument::tally::Tally;
use crate::learn::block_gradient::BlockGradient;
use crate::learn::plan::{Delta, LearningPlan};
use crate::learn::rates::RatePart;
use crate::numeric::lanes::{Block, Instructions, LANES};
use crate::numeric::memory::{bytes_of, product, refill};
use crate::run::real::Real;
use crate::simulate::trajectory::Keep;
use crate::single::backward::{BackwardOne, Work};
use crate::single::learning::Learning;
use crate::single::tally;
use crate::single::trial::{On, SimulateOne, Trial};

/// Trials and their work; kept between batches for its memory.
#[derive(Debug, Default)]
pub(crate) struct Singles<F: Real> {
    /// The readout as a block of trials has it, `[step][unit]`.
    pub readout: Vec<Block<F>>,
    trials: Vec<Trial<F>>,
    works: Vec<Work<F>>,
}

/// The instruction set, cancellation and recorder with which a block's kernels run.
#[derive(Clone, Copy)]
pub(crate) struct RunContext<'a> {
    pub instructions: Instructions,
    pub cancel: &'a AtomicBool,
    /// Takes down what happens, while a profile is made.
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
        bytes_of(&self.readout) + trials + self.works.iter().map(Work::bytes).sum::<usize>()
    }

    /// Simulates trials of these lengths; `on.lane` is the first's.
    ///
    /// # Errors
    /// [`crate::Error::Memory`], [`crate::Error::Cancelled`].
    pub fn simulate(
        &mut self,
        on: On<'_, F>,
        lengths: &[u32],
        steps: usize,
        keep: Keep<'_, F>,
        run: RunContext<'_>,
    ) -> Result<()> {
        let count = lengths.len();
        self.trials.resize_with(count, Trial::default);
        let simulate = |(lane, trial): (usize, &mut Trial<F>)| {
            let span = run.span(ProfileStage::Simulate);
            span.start(&mut trial.probe);
            trial.prepare(on.wiring, (lengths[lane] as usize, steps), keep, count)?;
            let on = On { lane, ..on };
            let kernel = SimulateOne { on, trial, keep, cancel: run.cancel };
            F::simulate_one(run.instructions, kernel)?;
            span.end_with([&mut trial.probe]);
            run.count(|| tally::simulated(on, trial));
            Ok(())
        };
        self.trials.par_iter_mut().enumerate().try_for_each(simulate)?;
        self.join_readouts(on.compiled.outputs(), steps)
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
        on: On<'_, F>,
        (plan, learning): (&LearningPlan<F>, &Learning<F>),
        delta: &Delta<F>,
        rates: RatePart<'_, F>,
        run: RunContext<'_>,
    ) -> Result<BlockGradient<F>> {
        self.works.resize_with(self.trials.len(), Work::default);
        let backward = |(lane, (trial, work)): (usize, (&mut Trial<F>, &mut Work<F>))| {
            let span = run.span(ProfileStage::Backward);
            span.start(&mut trial.probe);
            span.start(&mut work.probe);
            let (on, cancel) = (On { lane, ..on }, run.cancel);
            let constants = &rates.of_trial(lane)[..];
            let kernel = BackwardOne { on, plan, learning, trial, delta, constants, work, cancel };
            F::backward_one(run.instructions, kernel)?;
            span.end_with([&mut trial.probe, &mut work.probe]);
            run.count(|| tally::gone_back(on, (plan, learning), trial, work.asked));
            Ok(())
        };
        self.trials.par_iter_mut().zip(&mut self.works).enumerate().try_for_each(backward)?;
        Ok(self.block_gradient(plan, learning, on.compiled.outputs()))
    }

    /// The trials' sums in the tree of a block's lanes, with the targets' scales.
    fn block_gradient(
        &self,
        plan: &LearningPlan<F>,
        learning: &Learning<F>,
        outputs: usize,
    ) -> BlockGradient<F> {
        let mut sums = vec![F::ZERO; plan.slots.len()];
        let mut bias = vec![F::ZERO; outputs];
        match &self.works[..] {
            // The other lanes' zeros change nothing.
            [work] => {
                work.sums(learning, |slot, sum| sums[slot] = sum);
                bias.copy_from_slice(&work.bias()[..outputs]);
            }
            works => {
                let mut lanes = vec![Block::ZERO; sums.len() + outputs];
                for (lane, work) in works.iter().enumerate() {
                    work.sums(learning, |slot, sum| lanes[slot].0[lane] = sum);
                    let bias = lanes[plan.slots.len()..].iter_mut().zip(work.bias());
                    bias.for_each(|(block, &sum)| block.0[lane] = sum);
                }
                let all = sums.iter_mut().chain(&mut bias);
                all.zip(&lanes).for_each(|(sum, lanes)| *sum = lanes.sum());
            }
        }
        sums.iter_mut().zip(&plan.slots).for_each(|(sum, slot)| *sum = *sum * slot.scale);
        BlockGradient { sums, bias, ..BlockGradient::default() }
    }

    /// Number of spikes of each neuron in all trials.
    pub fn spike_counts(&self, neurons: usize) -> Vec<u64> {
        let mut counts = vec![0; neurons];
        self.trials.iter().for_each(|trial| trial.count_spikes(&mut counts));
        counts
    }

    /// Σ ψ over all steps of all trials, one a neuron, in the tree of a block's lanes; none where it was not wanted.
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
            trial.all_spikes().iter().for_each(|&unit| counts[unit as usize][lane] += 1);
        }
        counts
    }

    /// One of the trials.
    pub fn trial(&self, lane: usize) -> &Trial<F> {
        &self.trials[lane]
    }
}

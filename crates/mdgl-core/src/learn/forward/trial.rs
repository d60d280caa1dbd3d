//! Trials computed by an estimator, one per thread, their sums reduced in one fixed tree.

use std::sync::atomic::AtomicBool;

use rayon::prelude::*;

use crate::batch::DrawKey;
use crate::description::rule::Estimator;
use crate::error::Result;
use crate::learn::block_gradient::{BlockGradient, Subtree};
use crate::learn::forward::network::ForwardNetwork;
use crate::learn::forward::signs::SignKey;
use crate::learn::forward::size::{MOST_INFLUENCE_BYTES, check};
use crate::learn::forward::trial_step::{ForwardTrial, TrialStep};
use crate::learn::forward::{Influence, influence};
use crate::numeric::cancel::check_cancelled;
use crate::numeric::scalar::Scalar;

/// Refuses an estimator that would need too much memory.
///
/// # Errors
/// [`crate::Error::Invalid`] with the size in bytes and the most that is allowed.
pub(crate) fn check_size(estimator: Estimator, network: &ForwardNetwork) -> Result<()> {
    check(estimator, network).map(|_| ())
}

/// The gradient sums of all trials; runs on the threads of the pool it is called in.
///
/// # Errors
/// As [`check_size`]; [`crate::Error::Cancelled`], [`crate::Error::Memory`].
pub(crate) fn estimate<F: Scalar>(
    estimator: Estimator,
    network: &ForwardNetwork,
    trials: &[ForwardTrial<'_, F>],
    constants: &[F],
    key: DrawKey,
    cancel: &AtomicBool,
) -> Result<BlockGradient<F>> {
    let constants: Vec<f64> = constants.iter().map(|constant| constant.to_f64()).collect();
    let at_once = (MOST_INFLUENCE_BYTES / check(estimator, network)?) as usize;
    let run = |(i, trial): (usize, &ForwardTrial<'_, F>)| {
        let key = SignKey { seed: key.seed, iteration: key.iteration, trial: i };
        TrialPass { network, trial, cancel }.run(&mut *influence(estimator, network, key)?, &constants)
    };
    let mut block_gradients = Vec::with_capacity(trials.len());
    let numbered: Vec<_> = trials.iter().enumerate().collect();
    for together in numbered.chunks(at_once) {
        block_gradients
            .extend(together.par_iter().map(|&numbered| run(numbered)).collect::<Result<Vec<_>>>()?);
    }
    let total = BlockGradient::tree_reduce(Subtree::of_blocks(0, block_gradients));
    let narrow = |sums: &[f64]| sums.iter().map(|&sum| F::from_f64(sum)).collect();
    Ok(BlockGradient { sums: narrow(&total.sums), bias: narrow(&total.bias), ..BlockGradient::default() })
}

/// One trial in progress.
struct TrialPass<'a, F: Scalar> {
    network: &'a ForwardNetwork,
    trial: &'a ForwardTrial<'a, F>,
    cancel: &'a AtomicBool,
}

impl<F: Scalar> TrialPass<'_, F> {
    fn run(&self, influence: &mut dyn Influence, constants: &[f64]) -> Result<BlockGradient<f64>> {
        let Self { network, trial, cancel } = self;
        let mut trial_step = TrialStep { constants, ..TrialStep::default() };
        let mut sums = vec![0.0; network.weights.len()];
        let mut readout = ReadoutSums::new(network);
        for t in 0..trial.trajectory.lengths[trial.lane] as usize {
            check_cancelled(t, cancel)?;
            trial_step.read(network, trial, t);
            influence.step(network, &trial_step, &mut sums);
            readout.step(network, &trial_step);
        }
        Ok(readout.block_gradient(network, &sums))
    }
}

/// The readout's own weights: ∂E/∂W_out[p→k] = Σ_t δ_k,t s_p,t, exactly.
#[derive(Debug)]
struct ReadoutSums {
    /// s of each readout weight's sender.
    filtered: Vec<f64>,
    sums: Vec<f64>,
    bias: Vec<f64>,
}

impl ReadoutSums {
    fn new(network: &ForwardNetwork) -> Self {
        let zeros = || vec![0.0; network.read_slots.len()];
        Self { filtered: zeros(), sums: zeros(), bias: vec![0.0; network.kappa.len()] }
    }

    fn step(&mut self, network: &ForwardNetwork, trial_step: &TrialStep<'_>) {
        for cell in 0..network.cells.len() {
            for &(k, read) in network.reads.of(cell) {
                self.filtered[read as usize] *= network.kappa[k as usize];
            }
        }
        for &cell in &trial_step.spikes {
            for &(k, read) in network.reads.of(cell as usize) {
                self.filtered[read as usize] += 1.0 - network.kappa[k as usize];
            }
        }
        if trial_step.delta.is_empty() {
            return;
        }
        for cell in 0..network.cells.len() {
            for &(k, read) in network.reads.of(cell) {
                self.sums[read as usize] += trial_step.delta[k as usize] * self.filtered[read as usize];
            }
        }
        self.bias.iter_mut().zip(&trial_step.delta).for_each(|(bias, delta)| *bias += delta);
    }

    /// All sums, in the order of the plan.
    fn block_gradient(self, network: &ForwardNetwork, sums: &[f64]) -> BlockGradient<f64> {
        let mut all = vec![0.0; sums.len() + self.sums.len()];
        for (weight, sum) in network.weights.iter().zip(sums) {
            all[weight.slot as usize] = *sum;
        }
        for (&slot, sum) in network.read_slots.iter().zip(&self.sums) {
            all[slot as usize] = *sum;
        }
        BlockGradient { sums: all, bias: self.bias, ..BlockGradient::default() }
    }
}

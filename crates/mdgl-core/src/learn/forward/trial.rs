//! Trials through an estimator: each on its own, their sums in one fixed tree.

use std::sync::atomic::AtomicBool;

use rayon::prelude::*;

use crate::batch::DrawKey;
use crate::description::rule::Estimator;
use crate::error::Result;
use crate::learn::forward::moment::{Moment, Trial};
use crate::learn::forward::signs::SignKey;
use crate::learn::forward::size::{MOST_INFLUENCE_BYTES, check};
use crate::learn::forward::wiring::Wiring;
use crate::learn::forward::{Influence, influence};
use crate::learn::partial::{Partial, Piece};
use crate::numeric::cancel::check_cancelled;
use crate::numeric::scalar::Scalar;

/// Refuses an estimator that would keep too much.
///
/// # Errors
/// [`crate::Error::Invalid`] with the size in bytes and the most that is allowed.
pub(crate) fn check_size(estimator: Estimator, wiring: &Wiring) -> Result<()> {
    check(estimator, wiring).map(|_| ())
}

/// The gradient sums of all trials; runs on the threads of the pool it is called in.
///
/// # Errors
/// As [`check_size`]; [`crate::Error::Cancelled`], [`crate::Error::Memory`].
pub(crate) fn estimate<F: Scalar>(
    estimator: Estimator,
    wiring: &Wiring,
    trials: &[Trial<'_, F>],
    constants: &[F],
    key: DrawKey,
    cancel: &AtomicBool,
) -> Result<Partial<F>> {
    let constants: Vec<f64> = constants.iter().map(|constant| constant.to_f64()).collect();
    let at_once = (MOST_INFLUENCE_BYTES / check(estimator, wiring)?) as usize;
    let run = |(i, trial): (usize, &Trial<'_, F>)| {
        let key = SignKey { seed: key.seed, iteration: key.iteration, trial: i };
        Pass { wiring, trial, cancel }.run(&mut *influence(estimator, wiring, key)?, &constants)
    };
    let mut partials = Vec::with_capacity(trials.len());
    let numbered: Vec<_> = trials.iter().enumerate().collect();
    for together in numbered.chunks(at_once) {
        partials.extend(together.par_iter().map(|&numbered| run(numbered)).collect::<Result<Vec<_>>>()?);
    }
    let total = Partial::sum_in_tree(Piece::of_blocks(0, partials));
    let narrow = |sums: &[f64]| sums.iter().map(|&sum| F::from_f64(sum)).collect();
    Ok(Partial { sums: narrow(&total.sums), bias: narrow(&total.bias), ..Partial::default() })
}

/// One trial on its way.
struct Pass<'a, F: Scalar> {
    wiring: &'a Wiring,
    trial: &'a Trial<'a, F>,
    cancel: &'a AtomicBool,
}

impl<F: Scalar> Pass<'_, F> {
    fn run(&self, influence: &mut dyn Influence, constants: &[f64]) -> Result<Partial<f64>> {
        let Self { wiring, trial, cancel } = self;
        let mut moment = Moment { constants, ..Moment::default() };
        let mut sums = vec![0.0; wiring.weights.len()];
        let mut readout = Readout::new(wiring);
        for t in 0..trial.trajectory.lengths[trial.lane] as usize {
            check_cancelled(t, cancel)?;
            moment.read(wiring, trial, t);
            influence.step(wiring, &moment, &mut sums);
            readout.step(wiring, &moment);
        }
        Ok(readout.partial(wiring, &sums))
    }
}

/// The readout's own weights: ∂E/∂W_out[p→k] = Σ_t δ_k,t s_p,t, exactly.
#[derive(Debug)]
struct Readout {
    /// s of each readout weight's sender.
    filtered: Vec<f64>,
    sums: Vec<f64>,
    bias: Vec<f64>,
}

impl Readout {
    fn new(wiring: &Wiring) -> Self {
        let zeros = || vec![0.0; wiring.read_slots.len()];
        Self { filtered: zeros(), sums: zeros(), bias: vec![0.0; wiring.kappa.len()] }
    }

    fn step(&mut self, wiring: &Wiring, moment: &Moment<'_>) {
        for cell in 0..wiring.cells.len() {
            for &(k, read) in wiring.reads.of(cell) {
                self.filtered[read as usize] *= wiring.kappa[k as usize];
            }
        }
        for &cell in &moment.spikes {
            for &(k, read) in wiring.reads.of(cell as usize) {
                self.filtered[read as usize] += 1.0 - wiring.kappa[k as usize];
            }
        }
        if moment.delta.is_empty() {
            return;
        }
        for cell in 0..wiring.cells.len() {
            for &(k, read) in wiring.reads.of(cell) {
                self.sums[read as usize] += moment.delta[k as usize] * self.filtered[read as usize];
            }
        }
        self.bias.iter_mut().zip(&moment.delta).for_each(|(bias, delta)| *bias += delta);
    }

    /// All sums, in the places of the plan.
    fn partial(self, wiring: &Wiring, sums: &[f64]) -> Partial<f64> {
        let mut all = vec![0.0; sums.len() + self.sums.len()];
        for (weight, sum) in wiring.weights.iter().zip(sums) {
            all[weight.slot as usize] = *sum;
        }
        for (&slot, sum) in wiring.read_slots.iter().zip(&self.sums) {
            all[slot as usize] = *sum;
        }
        Partial { sums: all, bias: self.bias, ..Partial::default() }
    }
}

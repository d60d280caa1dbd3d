//! Loss, accuracy and spike counts of a block of trials, and their sums over the blocks of a batch.

use serde::{Deserialize, Serialize};

use crate::numeric::lanes::LANES;

/// Sums over the trials of a block, or of several blocks, before means are taken.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct BatchSums {
    /// Loss of the task.
    pub loss: f64,
    /// Answers that trials gave.
    pub answers: u64,
    /// Right answers among them.
    pub correct: u64,
    /// Accuracy reported by a custom loss, which has no answers.
    pub custom_accuracy: Option<f64>,
    /// Spikes of each neuron.
    pub counts: Vec<u64>,
    /// Σ ψ of each neuron, if its mean is needed.
    pub psi: Vec<f64>,
    /// f_p − f0 of each cell in each trial of a block, where the regulariser is evaluated per trial (for the block's own
    /// backward pass).
    #[serde(skip)]
    pub excesses: Vec<[f64; LANES]>,
    /// Sum of the squares of the excesses.
    pub squares: f64,
}

impl BatchSums {
    /// The sums of all blocks, added in their order.
    pub fn total(blocks: &[Self]) -> Self {
        let mut total = Self::default();
        for block in blocks {
            total.loss += block.loss;
            total.answers += block.answers;
            total.correct += block.correct;
            total.squares += block.squares;
            total.add_counts(&block.counts);
            total.add_psi(&block.psi);
        }
        total
    }

    /// Fraction of answers that are right; `None` without answers.
    pub fn accuracy(&self) -> Option<f64> {
        let fraction = self.correct as f64 / self.answers as f64;
        self.custom_accuracy.or((self.answers > 0).then_some(fraction))
    }

    fn add_counts(&mut self, counts: &[u64]) {
        self.counts.resize(counts.len(), 0);
        self.counts.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }

    fn add_psi(&mut self, psi: &[f64]) {
        self.psi.resize(psi.len(), 0.0);
        self.psi.iter_mut().zip(psi).for_each(|(sum, psi)| *sum += psi);
    }
}

//! Loss, accuracy and spike counts of a block of trials, and their sums over the blocks of a batch.

use serde::{Deserialize, Serialize};

use crate::numeric::lanes::LANES;

/// Sums over the trials of a block, or of several blocks, before means are taken.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct BatchSums {
    /// Steps of all trials together.
    pub steps: u64,
    /// Weighted sum of the losses.
    pub loss: f64,
    /// Each loss by itself, before its weight.
    pub terms: Vec<TermLoss>,
    /// Accuracies of custom losses, one entry per loss; built-in ones count answers. Empty without custom losses.
    pub custom_accuracies: Vec<Option<f64>>,
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
            total.steps += block.steps;
            total.loss += block.loss;
            total.terms.resize(block.terms.len(), TermLoss::default());
            total.terms.iter_mut().zip(&block.terms).for_each(|(sum, term)| sum.add(*term));
            total.squares += block.squares;
            total.add_counts(&block.counts);
            total.add_psi(&block.psi);
        }
        total
    }

    /// Fraction of the answers at all readouts that are right; `None` without answers.
    pub fn accuracy(&self) -> Option<f64> {
        let mut all = TermLoss::default();
        self.terms.iter().for_each(|term| all.add(*term));
        all.accuracy()
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

/// Loss and answers at one readout, likewise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct TermLoss {
    pub loss: f64,
    pub answers: u64,
    pub correct: u64,
}

impl TermLoss {
    pub fn add(&mut self, other: Self) {
        self.loss += other.loss;
        self.answers += other.answers;
        self.correct += other.correct;
    }

    /// Fraction of answers that are right; `None` without answers.
    pub fn accuracy(self) -> Option<f64> {
        (self.answers > 0).then(|| self.correct as f64 / self.answers as f64)
    }
}

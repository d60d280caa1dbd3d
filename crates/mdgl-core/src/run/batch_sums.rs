//! Loss, accuracy and spike counts per block, and their reduction over the batch.

use serde::{Deserialize, Serialize};

use super::{Assignment, Evaluation, LossReport, Score};
use crate::batch::EncodedBatch;
use crate::batch::loss::{Loss, LossTerm, Objective};
use crate::description::Conventions;
use crate::learn::evaluate_loss::BlockLoss;
use crate::model::Model;
use crate::model::psi_means::group_means;
use crate::numeric::lanes::LANES;
use crate::run::real::Real;

/// Sums of blocks of trials, before means are taken.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct BatchSums {
    pub(super) loss: BlockLoss,
    /// Accuracies of custom losses, one entry per loss; built-in ones count answers. Empty without custom losses.
    pub(super) custom_accuracies: Vec<Option<f64>>,
    /// Spikes of each neuron.
    pub(super) counts: Vec<u64>,
    /// Σ ψ of each neuron, if its mean is needed.
    pub(super) psi: Vec<f64>,
    /// f_p − f0 of each cell in each trial of a block, where the regulariser looks at trials (for the block's own
    /// backward pass); and the sum of the squares.
    #[serde(skip)]
    pub(super) excesses: Vec<[f64; LANES]>,
    pub(super) squares: f64,
}

impl BatchSums {
    pub(super) fn of(loss: BlockLoss, counts: Vec<u64>) -> Self {
        Self { loss, counts, ..Self::default() }
    }

    /// Adds what custom losses say of the batch.
    pub(super) fn add_custom(&mut self, objective: &Objective, score: &Score) {
        self.custom_accuracies.resize(objective.losses.len(), None);
        let custom = (0..).zip(&objective.losses).filter(|(_, term)| term.loss == Loss::Custom);
        for ((i, term), own) in custom.zip(&score.losses) {
            self.loss.loss += term.weight * own.loss;
            self.loss.terms[i].loss = own.loss;
            self.custom_accuracies[i] = own.accuracy;
        }
    }

    pub(super) fn total(blocks: &[Self]) -> Self {
        let mut total = Self::default();
        for block in blocks {
            total.loss.add(&block.loss);
            total.squares += block.squares;
            total.add_counts(&block.counts);
            total.add_psi(&block.psi);
        }
        total
    }

    pub(super) fn add_counts(&mut self, counts: &[u64]) {
        self.counts.resize(counts.len(), 0);
        self.counts.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }

    pub(super) fn add_psi(&mut self, psi: &[f64]) {
        self.psi.resize(psi.len(), 0.0);
        self.psi.iter_mut().zip(psi).for_each(|(sum, psi)| *sum += psi);
    }

    /// Mean ψ of each group of neurons.
    pub(super) fn psi_means<F: Real>(&self, model: &Model<F>, batch: &EncodedBatch) -> Vec<f64> {
        group_means(&model.network().groups, &self.psi, batch.total_steps() as f64)
    }

    /// Mean spikes per step of each neuron.
    pub(super) fn rates(&self, batch: &EncodedBatch) -> Vec<f64> {
        let steps = batch.total_steps() as f64;
        self.counts.iter().map(|&count| count as f64 / steps).collect()
    }

    /// c (f_p − f0) / (all steps of all trials), one per cell; empty without a regulariser.
    pub(super) fn constants<F: Real>(&self, model: &Model<F>, assignment: Assignment<'_>) -> Vec<F> {
        let Some(r) = assignment.objective.regulariser else { return Vec::new() };
        let target = r.target_rate * model.network().dt() / 1000.0;
        let scale = r.strength / assignment.batch.total_steps() as f64;
        let rates = self.rates(assignment.batch).into_iter();
        rates.map(|rate| F::from_f64(scale * (rate - target))).collect()
    }

    pub(super) fn evaluation<F: Real>(&self, model: &Model<F>, assignment: Assignment<'_>) -> Evaluation {
        let dt = model.network().dt();
        let Assignment { batch, objective, .. } = assignment;
        let rates = self.rates(batch);
        let regulariser = objective.regulariser.map_or(0.0, |r| {
            if model.network().conventions() == Conventions::Bellec2020 {
                return 0.5 * r.strength * self.squares / (batch.trials as f64 * objective.divisor());
            }
            let target = r.target_rate * dt / 1000.0;
            let excess = rates.iter().map(|rate| (rate - target) * (rate - target));
            0.5 * r.strength * excess.sum::<f64>()
        });
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        let losses = self.losses(objective);
        let known: Vec<f64> = losses.iter().filter_map(|loss| loss.accuracy).collect();
        let accuracy = match self.custom_accuracies.iter().any(Option::is_some) {
            true => Some(known.iter().sum::<f64>() / known.len() as f64),
            false => self.loss.accuracy(),
        };
        Evaluation { loss: self.loss.loss, regulariser, accuracy, rate: mean * 1000.0 / dt, losses }
    }

    /// Each loss by itself.
    fn losses(&self, objective: &Objective) -> Vec<LossReport> {
        let report = |(i, term): (usize, &LossTerm)| {
            let sum = self.loss.terms[i];
            let custom = self.custom_accuracies.get(i).copied().flatten();
            LossReport { readout: term.readout.clone(), loss: sum.loss, accuracy: custom.or(sum.accuracy()) }
        };
        objective.losses.iter().enumerate().map(report).collect()
    }
}

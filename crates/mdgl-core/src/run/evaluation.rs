//! Evaluation of a batch: loss, accuracy and firing rate from the sums over its trials.

use super::Assignment;
use crate::batch::EncodedBatch;
use crate::description::Conventions;
use crate::error::{Result, not_finite};
use crate::learn::batch_sums::BatchSums;
use crate::model::Model;
use crate::model::psi_means::group_means;
use crate::run::real::Real;

/// Loss, accuracy and firing rate of a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// The task's loss.
    pub loss: f64,
    /// The firing-rate regulariser's loss.
    pub regulariser: f64,
    /// Fraction of trials whose class was right; `None` without classes.
    pub accuracy: Option<f64>,
    /// Mean firing rate of the recurrent neurons in Hz.
    pub rate: f64,
}

impl BatchSums {
    /// Mean ψ of each group of neurons.
    pub(super) fn psi_means<F: Real>(&self, model: &Model<F>, batch: &EncodedBatch) -> Vec<f64> {
        group_means(&model.network().groups, &self.psi, batch.total_steps() as f64)
    }

    /// Mean spikes per step of each neuron.
    fn rates(&self, batch: &EncodedBatch) -> Vec<f64> {
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

    /// Loss, accuracy and rate of the batch.
    pub(super) fn evaluation<F: Real>(&self, model: &Model<F>, assignment: Assignment<'_>) -> Evaluation {
        let dt = model.network().dt();
        let Assignment { batch, objective } = assignment;
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
        Evaluation { loss: self.loss, regulariser, accuracy: self.accuracy(), rate: mean * 1000.0 / dt }
    }
}

/// Refuses an evaluation with a number that is not finite.
pub(super) fn finite(evaluation: Evaluation) -> Result<Evaluation> {
    let Evaluation { loss, regulariser, accuracy, rate } = evaluation;
    let numbers = [
        ("the loss", loss + regulariser),
        ("the accuracy", accuracy.unwrap_or_default()),
        ("the firing rate", rate),
    ];
    match numbers.into_iter().find(|(_, number)| !number.is_finite()) {
        None => Ok(evaluation),
        Some((what, _)) => Err(not_finite(what)),
    }
}

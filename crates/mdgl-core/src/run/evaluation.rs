//! Evaluation of a batch: loss, accuracy and firing rate from the sums over its trials.

use super::{Assignment, Score};
use crate::batch::loss::{Loss, LossTerm, Objective};
use crate::description::Conventions;
use crate::error::{Result, not_finite};
use crate::learn::batch_sums::BatchSums;
use crate::model::Model;
use crate::model::psi_means::group_means;
use crate::run::real::Real;

/// Loss, accuracy and firing rate of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Weighted sum of the task's losses.
    pub loss: f64,
    /// The firing-rate regulariser's loss.
    pub regulariser: f64,
    /// Fraction of answers that are right, over all readouts; where a custom loss gives one, the mean of the readouts'
    /// accuracies; `None` where no loss has one.
    pub accuracy: Option<f64>,
    /// Mean firing rate of the recurrent neurons in Hz.
    pub rate: f64,
    /// Each loss by itself.
    pub losses: Vec<LossReport>,
}

/// One loss of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct LossReport {
    /// Its readout.
    pub readout: String,
    /// The loss before its weight.
    pub loss: f64,
    /// Fraction of answers that are right; `None` where the loss has none.
    pub accuracy: Option<f64>,
}

impl BatchSums {
    /// Adds the losses and accuracies of custom losses.
    pub(super) fn add_custom(&mut self, objective: &Objective, score: &Score) {
        self.custom_accuracies.resize(objective.losses.len(), None);
        let custom = (0..).zip(&objective.losses).filter(|(_, term)| term.loss == Loss::Custom);
        for ((i, term), own) in custom.zip(&score.losses) {
            self.loss += term.weight * own.loss;
            self.terms[i].loss = own.loss;
            self.custom_accuracies[i] = own.accuracy;
        }
    }

    /// Mean ψ of each group of neurons.
    pub(super) fn psi_means<F: Real>(&self, model: &Model<F>) -> Vec<f64> {
        group_means(&model.network().groups, &self.psi, self.steps as f64)
    }

    /// Mean spikes per step of each neuron.
    fn rates(&self) -> Vec<f64> {
        let steps = self.steps as f64;
        self.counts.iter().map(|&count| count as f64 / steps).collect()
    }

    /// c (f_p − f0) / (all steps of all trials), one per cell; empty without a regulariser.
    pub(super) fn constants<F: Real>(&self, model: &Model<F>, assignment: Assignment<'_>) -> Vec<F> {
        let Some(r) = assignment.objective.regulariser else { return Vec::new() };
        let target = r.target_rate * model.network().dt() / 1000.0;
        let scale = r.strength / self.steps as f64;
        let rates = self.rates().into_iter();
        rates.map(|rate| F::from_f64(scale * (rate - target))).collect()
    }

    /// Loss, accuracy and rate of the batch.
    pub(super) fn evaluation<F: Real>(&self, model: &Model<F>, assignment: Assignment<'_>) -> Evaluation {
        let dt = model.network().dt();
        let Assignment { batch, objective } = assignment;
        let rates = self.rates();
        let regulariser = objective.regulariser.map_or(0.0, |r| {
            if model.network().conventions() == Conventions::Bellec2020 {
                return 0.5 * r.strength * self.squares / (batch.whole_trials() as f64 * objective.divisor());
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
            false => self.accuracy(),
        };
        Evaluation { loss: self.loss, regulariser, accuracy, rate: mean * 1000.0 / dt, losses }
    }

    /// Each loss by itself.
    fn losses(&self, objective: &Objective) -> Vec<LossReport> {
        let report = |(i, term): (usize, &LossTerm)| {
            let sum = self.terms[i];
            let custom = self.custom_accuracies.get(i).copied().flatten();
            LossReport { readout: term.readout.clone(), loss: sum.loss, accuracy: custom.or(sum.accuracy()) }
        };
        objective.losses.iter().enumerate().map(report).collect()
    }
}

/// Refuses an evaluation with a number that is not finite.
pub(super) fn finite(evaluation: Evaluation) -> Result<Evaluation> {
    let Evaluation { loss, regulariser, accuracy, rate, losses } = &evaluation;
    let numbers = [
        ("the loss", loss + regulariser),
        ("the accuracy", accuracy.unwrap_or_default()),
        ("the firing rate", *rate),
    ];
    // A loss of weight 0 may be infinite where the sum is not.
    let single = losses.iter().map(|one| ("a loss", one.loss));
    match numbers.into_iter().chain(single).find(|(_, number)| !number.is_finite()) {
        None => Ok(evaluation),
        Some((what, _)) => Err(not_finite(what)),
    }
}

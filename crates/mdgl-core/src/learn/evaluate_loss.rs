//! Losses and δ of a block of trials, from its readout, one step at a time.

use serde::{Deserialize, Serialize};

use crate::batch::loss::{Objective, ReadoutStep, TrialShape, TrialTally};
use crate::batch::{EncodedBatch, Targets};
use crate::learn::plan::Delta;
use crate::network::Network;
use crate::numeric::lanes::{Block, LANES};
use crate::numeric::scalar::Scalar;

/// The losses of one block of trials, evaluated as its readout is simulated.
pub struct LossEvaluator<'a> {
    objective: &'a Objective,
    targets: &'a [Targets],
    /// First readout unit and number of units of each loss term.
    units: Vec<(usize, usize)>,
    shapes: Vec<TrialShape>,
    /// `[term][lane]`.
    tallies: Vec<TrialTally>,
}

impl<'a> LossEvaluator<'a> {
    /// For one block; losses, targets and batch have been checked.
    pub(crate) fn new(
        network: &Network,
        batch: &EncodedBatch,
        objective: &'a Objective,
        targets: &'a [Targets],
        block: usize,
    ) -> Self {
        let units = objective.losses.iter().filter_map(|term| {
            let slot = network.readout(&term.readout).ok()?;
            Some((slot.units.start, slot.size()))
        });
        let units: Vec<_> = units.collect();
        let trials = block * LANES..((block + 1) * LANES).min(batch.trials);
        let shape = |trial| TrialShape {
            trial,
            trials: batch.trials,
            length: batch.length(trial),
            steps: batch.steps,
        };
        Self {
            objective,
            targets,
            tallies: vec![TrialTally::default(); units.len() * LANES],
            units,
            shapes: trials.map(shape).collect(),
        }
    }

    /// Evaluates one step; `set(unit, lane, δ)` receives each δ. False if the step counts in no trial.
    fn step<F: Scalar>(
        &mut self,
        step: usize,
        readout: &[Block<F>],
        mut set: impl FnMut(usize, usize, f64),
    ) -> bool {
        let mut counts = false;
        let (mut y, mut delta) = (Vec::new(), Vec::new());
        for (term, (&(first, size), targets)) in self.units.iter().zip(self.targets).enumerate() {
            let loss = &self.objective.losses[term];
            delta.resize(size, 0.0);
            for (lane, &shape) in self.shapes.iter().enumerate() {
                y.clear();
                y.extend(readout[first..first + size].iter().map(|block| block.0[lane].to_f64()));
                let tally = &mut self.tallies[term * LANES + lane];
                if loss.step(ReadoutStep { shape, targets, step }, &y, &mut delta, tally) {
                    counts = true;
                    delta.iter().enumerate().for_each(|(k, &d)| set(first + k, lane, d));
                }
            }
        }
        counts
    }

    /// Evaluates one step while it is simulated: δ of every readout unit; false if the step counts in no trial.
    pub(crate) fn at<F: Scalar>(
        &mut self,
        step: usize,
        readout: &[Block<F>],
        delta: &mut [Block<F>],
    ) -> bool {
        self.step(step, readout, |unit, lane, d| delta[unit].0[lane] = F::from_f64(d))
    }

    /// Evaluates all steps of a simulated block.
    pub(crate) fn all<F: Scalar>(&mut self, readout: &[Block<F>], outputs: usize, delta: &mut Delta<F>) {
        for step in delta.first..delta.steps {
            let row = &readout[step * outputs..(step + 1) * outputs];
            self.step(step, row, |unit, lane, d| {
                delta.set(step, unit, outputs, lane, F::from_f64(d));
            });
        }
    }

    /// Evaluates all steps of one trial; `readout` returns a step's, unit by unit.
    pub(crate) fn trial<'r, F: Scalar>(
        &mut self,
        lane: usize,
        readout: impl Fn(usize) -> &'r [F],
        outputs: usize,
        delta: &mut Delta<F>,
    ) {
        let (mut y, mut found) = (Vec::new(), Vec::new());
        for step in delta.first..delta.steps {
            let row = readout(step);
            for (term, (&(first, size), targets)) in self.units.iter().zip(self.targets).enumerate() {
                let loss = &self.objective.losses[term];
                found.resize(size, 0.0);
                y.clear();
                y.extend(row[first..first + size].iter().map(|y| y.to_f64()));
                let tally = &mut self.tallies[term * LANES + lane];
                if loss.step(ReadoutStep { shape: self.shapes[lane], targets, step }, &y, &mut found, tally) {
                    for (k, &d) in found.iter().enumerate() {
                        delta.set(step, first + k, outputs, lane, F::from_f64(d));
                    }
                }
            }
        }
    }

    /// The losses of the block's trials.
    pub(crate) fn block_loss(&self) -> BlockLoss {
        let mut block_loss = BlockLoss::default();
        for (term, tallies) in self.objective.losses.iter().zip(self.tallies.chunks(LANES)) {
            let mut sum = TermLoss::default();
            for tally in &tallies[..self.shapes.len()] {
                let (answers, correct) = tally.answers();
                sum.add(TermLoss { loss: tally.loss, answers, correct });
                block_loss.loss += term.weight * tally.loss;
            }
            block_loss.terms.push(sum);
        }
        block_loss
    }
}

/// Losses, summed over the trials of a block or of several.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BlockLoss {
    /// The weighted sum of all.
    pub loss: f64,
    /// Each by itself, before its weight.
    pub terms: Vec<TermLoss>,
}

impl BlockLoss {
    pub(crate) fn add(&mut self, other: &Self) {
        self.loss += other.loss;
        self.terms.resize(other.terms.len(), TermLoss::default());
        self.terms.iter_mut().zip(&other.terms).for_each(|(sum, term)| sum.add(*term));
    }

    /// Fraction of the answers at all readouts that are right; nothing without answers.
    pub(crate) fn accuracy(&self) -> Option<f64> {
        let mut all = TermLoss::default();
        self.terms.iter().for_each(|term| all.add(*term));
        all.accuracy()
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
    fn add(&mut self, other: Self) {
        self.loss += other.loss;
        self.answers += other.answers;
        self.correct += other.correct;
    }

    /// Fraction of answers that are right; nothing without answers.
    pub(crate) fn accuracy(self) -> Option<f64> {
        (self.answers > 0).then(|| self.correct as f64 / self.answers as f64)
    }
}

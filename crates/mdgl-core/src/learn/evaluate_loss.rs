//! Losses and δ of a block of trials, from its readout, one step at a time.

use crate::batch::loss::{Objective, ReadoutStep, TrialShape, TrialTally};
use crate::batch::{EncodedBatch, Targets};
use crate::learn::batch_sums::{BatchSums, TermLoss};
use crate::learn::plan::Delta;
use crate::network::Network;
use crate::numeric::lanes::{Block, LANES};
use crate::numeric::scalar::Scalar;

/// The losses of one block of trials, evaluated as its readout is simulated.
pub struct LossEvaluator<'a> {
    objective: &'a Objective,
    targets: &'a [Targets],
    /// Number of windows of the whole batch, one entry per loss term.
    windows: Vec<usize>,
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
        batch: &'a EncodedBatch,
        objective: &'a Objective,
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
            trials: batch.whole_trials(),
            length: batch.length(trial),
            steps: batch.steps,
        };
        Self {
            objective,
            targets: &batch.targets,
            windows: windows_of(batch),
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
                if loss.step(
                    ReadoutStep { shape, targets, windows: self.windows[term], step },
                    &y,
                    &mut delta,
                    tally,
                ) {
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
                let (shape, windows) = (self.shapes[lane], self.windows[term]);
                let at = ReadoutStep { shape, targets, windows, step };
                if loss.step(at, &y, &mut found, tally) {
                    for (k, &d) in found.iter().enumerate() {
                        delta.set(step, first + k, outputs, lane, F::from_f64(d));
                    }
                }
            }
        }
    }

    /// Losses and answers of the block's trials.
    pub(crate) fn batch_sums(&self) -> BatchSums {
        let steps = self.shapes.iter().map(|shape| shape.length as u64).sum();
        let mut sums = BatchSums { steps, ..BatchSums::default() };
        for (term, tallies) in self.objective.losses.iter().zip(self.tallies.chunks(LANES)) {
            let mut sum = TermLoss::default();
            for tally in &tallies[..self.shapes.len()] {
                let (answers, correct) = tally.answers();
                sum.add(TermLoss { loss: tally.loss, answers, correct });
                sums.loss += term.weight * tally.loss;
            }
            sums.terms.push(sum);
        }
        sums
    }
}

/// Number of windows of the whole batch, one entry per loss.
fn windows_of(batch: &EncodedBatch) -> Vec<usize> {
    let own = |targets: &Targets| match targets {
        Targets::Windows(windows) => windows.len(),
        _ => 0,
    };
    match &batch.part {
        Some(part) => part.windows.clone(),
        None => batch.targets.iter().map(own).collect(),
    }
}

//! Custom losses: a simulated batch that waits for δ, and the gradients of the δ that it gets.

use std::sync::atomic::AtomicBool;

use super::outcome::Outcome;
use super::pass::Pass;
use super::record::{A_READOUT, readouts};
use super::workers::{Room, Workers};
use super::{Assignment, finite_lists};
use crate::batch::Batch;
use crate::batch::loss::check_values;
use crate::description::rule::{LearningSignal, Rule, Trace};
use crate::description::{Kernel, Reach};
use crate::error::{Result, invalid};
use crate::learn::modulation::channel_table;
use crate::learn::partial::Partial;
use crate::learn::plan::Plan;
use crate::model::Model;
use crate::run::real::Real;
use crate::simulate::trajectory::Keep;
use crate::single::Layout;

/// A simulated batch that waits for the δ of a custom loss.
#[derive(Debug)]
pub struct Forward<F: Real> {
    rooms: Vec<Room<F>>,
    trials: usize,
    outputs: usize,
}

impl<F: Real> Forward<F> {
    /// Simulates a batch and keeps what the gradient needs.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a batch that does not fit, [`crate::Error::Cancelled`], [`crate::Error::Memory`].
    pub fn new(model: &Model<F>, batch: &Batch, workers: &Workers<F>, cancel: &AtomicBool) -> Result<Self> {
        Self::keeping(model, batch, Keep::NOTHING, workers, cancel)
    }

    /// The same for a rule, of which nothing is asked but what has to be kept: the sums of ψ, if a channel's kernel is
    /// `'membrane'`; trials in the lanes, if something diffuses.
    ///
    /// # Errors
    /// As [`Self::new`], and for a rule that does not fit the network.
    pub fn for_rule(
        model: &Model<F>,
        batch: &Batch,
        rule: &Rule,
        workers: &Workers<F>,
        cancel: &AtomicBool,
    ) -> Result<Self> {
        let kinds = channel_table(model.network(), rule)?.map_or_else(Vec::new, |table| table.kinds());
        let sums = kinds.iter().any(|(_, kernel)| matches!(kernel, Kernel::Membrane(_)));
        let diffuses = kinds.iter().any(|&(reach, _)| reach == Reach::Diffusive);
        let in_blocks =
            diffuses || rule.learning_signal == LearningSignal::Diffusive || rule.trace == Trace::Rflo;
        Self::keeping(model, batch, Keep { sums, in_blocks, ..Keep::NOTHING }, workers, cancel)
    }

    fn keeping(
        model: &Model<F>,
        batch: &Batch,
        keep: Keep<'_, F>,
        workers: &Workers<F>,
        cancel: &AtomicBool,
    ) -> Result<Self> {
        batch.validate::<F>(model.network())?;
        let pass = Pass::new(model, Assignment::without_loss(batch), workers, cancel)?;
        let rooms = pass.forward(Keep { psi: Some(&pass.circuit.runs), ..keep })?;
        Ok(Self { rooms, trials: batch.trials, outputs: model.network().output_units() })
    }

    /// The readout, `[trial][step][unit]`.
    ///
    /// # Errors
    /// [`crate::Error::NotFinite`]; [`crate::Error::Memory`] when there is no room for it.
    pub fn readout(&self) -> Result<Vec<F>> {
        let readout = readouts(&self.rooms, self.trials, self.outputs)?;
        finite_lists(&[(A_READOUT, &readout)])?;
        Ok(readout)
    }
}

/// What a loss computed outside says of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// ∂E/∂y, `[trial][step][unit]` over all readout units.
    pub delta: Vec<f64>,
    /// E.
    pub loss: f64,
    /// Reported as it is.
    pub accuracy: Option<f64>,
}

/// A loss computed outside, for a [`Forward`].
#[derive(Debug)]
pub struct CustomLoss<F: Real> {
    /// The simulated batch.
    pub forward: Forward<F>,
    /// What the loss says of it.
    pub score: Score,
}

impl<F: Real> CustomLoss<F> {
    /// The gradient sums of the simulated blocks.
    pub(super) fn backward(
        self,
        pass: &Pass<'_, F>,
        plan: &mut Plan<F>,
    ) -> Result<(Outcome, Vec<Partial<F>>)> {
        let Self { forward: Forward { mut rooms, .. }, score: Score { delta, loss, accuracy } } = self;
        let blocks = lay_out_delta(pass, &delta, &mut rooms)?;
        let outcome = Outcome { loss, accuracy, ..Outcome::total(&blocks) };
        let in_blocks = rooms.iter().all(|room| room.layout == Layout::Trials);
        if plan.follows_psi() && outcome.psi.is_empty() || plan.in_blocks() && !in_blocks {
            return Err(invalid(
                "forward",
                "made without the rule",
                "one made for the rule (Forward::for_rule)",
            ));
        }
        let partials = pass.backward(plan, rooms, &outcome)?;
        Ok((outcome, partials))
    }
}

/// Lays out the δ of a custom loss, `[trial][step][unit]`; the outcomes know their spikes and ψ alone.
pub(super) fn lay_out_delta<F: Real>(
    pass: &Pass<'_, F>,
    delta: &[f64],
    rooms: &mut [Room<F>],
) -> Result<Vec<Outcome>> {
    let Assignment { batch, .. } = pass.assignment;
    let (steps, outputs, neurons) = (batch.steps, pass.circuit.outputs(), pass.circuit.size());
    check_values("delta", delta, batch.trials * steps * outputs)?;
    let lay_out = |(block, room): (usize, &mut Room<F>)| {
        room.delta.reset(0, steps, outputs)?;
        pass.lay_out(block, delta, &mut room.delta.blocks);
        let (counts, psi) = (room.spike_counts(neurons), room.psi_sums(neurons));
        Ok(Outcome { counts, psi, ..Outcome::default() })
    };
    rooms.iter_mut().enumerate().map(lay_out).collect()
}

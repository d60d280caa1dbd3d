//! Custom losses: a simulated batch that waits for δ, and the gradients of the δ that it gets.

use std::sync::atomic::AtomicBool;

use super::pass::Pass;
use super::record::{A_READOUT, readouts};
use super::workers::{Workers, Workspace};
use super::{Assignment, finite_lists};
use crate::batch::EncodedBatch;
use crate::batch::loss::check_values;
use crate::description::rule::{LearningSignal, Rule, Trace};
use crate::description::{Reach, TimeCourse};
use crate::error::{Result, invalid};
use crate::learn::batch_sums::BatchSums;
use crate::learn::block_gradient::BlockGradient;
use crate::learn::modulation::channel_table;
use crate::learn::plan::LearningPlan;
use crate::model::Model;
use crate::run::real::Real;
use crate::simulate::trajectory::Keep;
use crate::single::Layout;

/// A simulated batch that waits for the δ of a custom loss.
#[derive(Debug)]
pub struct Forward<F: Real> {
    workspaces: Vec<Workspace<F>>,
    trials: usize,
    outputs: usize,
}

impl<F: Real> Forward<F> {
    /// Simulates a batch and keeps the signals that the gradient needs.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a batch that does not fit, [`crate::Error::Cancelled`], [`crate::Error::Memory`].
    pub fn new(
        model: &Model<F>,
        batch: &EncodedBatch,
        workers: &Workers<F>,
        cancel: &AtomicBool,
    ) -> Result<Self> {
        Self::keeping(model, batch, Keep::NOTHING, workers, cancel)
    }

    /// The same, keeping what the gradient of a rule needs besides: the sums of ψ, if a channel's kernel is `'membrane'`; trials
    /// in the lanes, if something diffuses.
    ///
    /// # Errors
    /// As [`Self::new`], and for a rule that does not fit the network.
    pub fn for_rule(
        model: &Model<F>,
        batch: &EncodedBatch,
        rule: &Rule,
        workers: &Workers<F>,
        cancel: &AtomicBool,
    ) -> Result<Self> {
        let kinds = channel_table(model.network(), rule)?.map_or_else(Vec::new, |table| table.kinds());
        let sums = kinds.iter().any(|(_, kernel)| matches!(kernel, TimeCourse::Membrane(_)));
        let diffuses = kinds.iter().any(|&(reach, _)| reach == Reach::Diffusive);
        let in_blocks =
            diffuses || rule.learning_signal == LearningSignal::Diffusive || rule.trace == Trace::Rflo;
        Self::keeping(model, batch, Keep { sums, in_blocks, ..Keep::NOTHING }, workers, cancel)
    }

    fn keeping(
        model: &Model<F>,
        batch: &EncodedBatch,
        keep: Keep<'_, F>,
        workers: &Workers<F>,
        cancel: &AtomicBool,
    ) -> Result<Self> {
        batch.validate::<F>(model.network())?;
        let pass = Pass::new(model, Assignment::without_loss(batch), workers, cancel)?;
        let workspaces = pass.forward(Keep { psi: Some(&pass.network.runs), ..keep })?;
        Ok(Self { workspaces, trials: batch.trials, outputs: model.network().output_units() })
    }

    /// The readout, `[trial][step][unit]`.
    ///
    /// # Errors
    /// [`crate::Error::NotFinite`]; [`crate::Error::Memory`].
    pub fn readout(&self) -> Result<Vec<F>> {
        let readout = readouts(&self.workspaces, self.trials, self.outputs)?;
        finite_lists(&[(A_READOUT, &readout)])?;
        Ok(readout)
    }
}

/// Loss, δ and accuracy of a batch from a loss computed outside.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// ∂E/∂y, `[trial][step][unit]` over all readout units.
    pub delta: Vec<f64>,
    /// E.
    pub loss: f64,
    /// Accuracy, reported unchanged.
    pub accuracy: Option<f64>,
}

/// A loss computed outside, for a [`Forward`].
#[derive(Debug)]
pub struct CustomLoss<F: Real> {
    /// The simulated batch.
    pub forward: Forward<F>,
    /// Its loss and δ.
    pub score: Score,
}

impl<F: Real> CustomLoss<F> {
    /// The gradient sums of the simulated blocks.
    pub(super) fn backward(
        self,
        pass: &Pass<'_, F>,
        plan: &mut LearningPlan<F>,
    ) -> Result<(BatchSums, Vec<BlockGradient<F>>)> {
        let Self { forward: Forward { mut workspaces, .. }, score: Score { delta, loss, accuracy } } = self;
        let blocks = lay_out_delta(pass, &delta, &mut workspaces)?;
        let batch_sums = BatchSums { loss, custom_accuracy: accuracy, ..BatchSums::total(&blocks) };
        let in_blocks = workspaces.iter().all(|workspace| workspace.layout == Layout::Trials);
        if plan.follows_psi() && batch_sums.psi.is_empty() || plan.in_blocks() && !in_blocks {
            return Err(invalid(
                "forward",
                "made without the rule",
                "one made for the rule (Forward::for_rule)",
            ));
        }
        let block_gradients = pass.backward(plan, workspaces, &batch_sums)?;
        Ok((batch_sums, block_gradients))
    }
}

/// Lays out the δ of a custom loss, `[trial][step][unit]`. The sums that it returns have spikes and ψ alone.
pub(super) fn lay_out_delta<F: Real>(
    pass: &Pass<'_, F>,
    delta: &[f64],
    workspaces: &mut [Workspace<F>],
) -> Result<Vec<BatchSums>> {
    let Assignment { batch, .. } = pass.assignment;
    let (steps, outputs, neurons) = (batch.steps, pass.network.outputs(), pass.network.size());
    check_values("delta", delta, batch.trials * steps * outputs)?;
    let lay_out = |(block, workspace): (usize, &mut Workspace<F>)| {
        workspace.delta.reset(0, steps, outputs)?;
        pass.lay_out(block, delta, &mut workspace.delta.blocks);
        let (counts, psi) = (workspace.spike_counts(neurons), workspace.psi_sums(neurons));
        Ok(BatchSums { counts, psi, ..BatchSums::default() })
    };
    workspaces.iter_mut().enumerate().map(lay_out).collect()
}

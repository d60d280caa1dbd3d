//! Custom losses: a simulated batch that waits for their δ, and its evaluation and gradients with those of built-in losses.

use std::sync::atomic::AtomicBool;

use super::pass::Pass;
use super::record::{A_READOUT, readouts};
use super::workers::{Workers, Workspace};
use super::{Assignment, finite_lists};
use crate::batch::EncodedBatch;
use crate::batch::loss::{Loss, check_values};
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

/// δ of a batch from losses computed outside, and the loss and accuracy of each.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// ∂E/∂y before weights, `[trial][step][unit]` over all readout units; values at the readout of a built-in loss are replaced.
    pub delta: Vec<f64>,
    /// One per custom loss, in the order of the objective.
    pub losses: Vec<CustomTerm>,
}

/// Loss and accuracy from one custom loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CustomTerm {
    /// The loss before its weight.
    pub loss: f64,
    /// Accuracy, reported unchanged.
    pub accuracy: Option<f64>,
}

impl Score {
    /// Of one custom loss without an accuracy.
    pub fn new(delta: Vec<f64>, loss: f64) -> Self {
        Self { delta, losses: vec![CustomTerm { loss, accuracy: None }] }
    }

    /// Refuses δ of another size or with values that are not finite, and another number of losses.
    pub(super) fn validate<F: Real>(&self, pass: &Pass<'_, F>) -> Result<()> {
        let Assignment { batch, objective, .. } = pass.assignment;
        let custom = objective.losses.iter().filter(|term| term.loss == Loss::Custom).count();
        if self.losses.len() != custom {
            let value = format!("{} losses", self.losses.len());
            return Err(invalid("loss", value, format!("one per custom loss ({custom})")));
        }
        check_values("delta", &self.delta, batch.trials * batch.steps * pass.network.outputs())
    }
}

/// Losses computed outside, for a [`Forward`].
#[derive(Debug)]
pub struct CustomLoss<F: Real> {
    /// The simulated batch.
    pub forward: Forward<F>,
    /// Their δ, losses and accuracies.
    pub score: Score,
}

impl<F: Real> CustomLoss<F> {
    /// The sums of the simulated blocks, and the blocks with their δ.
    pub(super) fn evaluate(self, pass: &Pass<'_, F>) -> Result<(BatchSums, Vec<Workspace<F>>)> {
        let Self { forward: Forward { mut workspaces, .. }, score } = self;
        score.validate(pass)?;
        let mut batch_sums = BatchSums::total(&pass.evaluate_losses(&mut workspaces, Some(&score))?);
        batch_sums.add_custom(pass.assignment.objective, &score);
        Ok((batch_sums, workspaces))
    }

    /// The gradient sums of the simulated blocks.
    pub(super) fn backward(
        self,
        pass: &Pass<'_, F>,
        plan: &mut LearningPlan<F>,
    ) -> Result<(BatchSums, Vec<BlockGradient<F>>)> {
        let (batch_sums, workspaces) = self.evaluate(pass)?;
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

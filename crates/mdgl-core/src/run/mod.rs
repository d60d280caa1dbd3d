//! Whole batches: blocks of sixteen trials on threads, and one fixed tree of sums.
//!
//! Threads only determine where a block is computed; every sum over blocks has the same order, so results
//! do not depend on their number.

mod chosen;
mod custom_loss;
mod digest;
mod evaluation;
mod message;
mod pass;
pub(crate) mod real;
mod record;
mod share;
mod shared;
mod singles;
pub(crate) mod stream;
mod structure_cache;
mod third_factor;
mod workers;

use std::sync::atomic::AtomicBool;

use crate::batch::EncodedBatch;
use crate::batch::loss::Objective;
use crate::description::legal::Use;
use crate::description::rule::{Estimator, Rule};
use crate::error::{Result, invalid, not_finite};
use crate::instrument::recorder::ProfileStage;
use crate::learn::batch_sums::BatchSums;
use crate::learn::block_gradient::Subtree;
use crate::learn::work;
use crate::model::Model;
use crate::model::gradients::Gradients;
use crate::model::optimiser::{self, Optimiser};
use crate::numeric::lanes::LANES;
use crate::numeric::scalar::all_finite;
use crate::run::real::Real;

pub use chosen::{RecordedPart, Values, check_choices, simulate_chosen};
pub use custom_loss::{CustomLoss, CustomTerm, Forward, Score};
use evaluation::finite;
pub use evaluation::{Evaluation, LossReport};
use pass::{Pass, SignalSources, kept_for};
pub use record::{Record, Recording, simulate};
use record::{readouts, spike_events, transpose, voltages};
pub use share::Share;
pub use shared::{SharedWork, Sharing, Turnout};
pub use third_factor::{
    Observation, Observed, ThirdFactor, gradients_from_signal, observe, train_step_from_signal,
};
pub use workers::Workers;
use workers::Workspace;

/// Result of one training iteration.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// Evaluation of the batch before the step.
    pub evaluation: Evaluation,
    /// Norm of the whole gradient, before clipping.
    pub gradient_norm: f64,
    /// Synapses of each projection with a weight other than 0, after the step.
    pub living: Vec<usize>,
}

/// A batch and the losses by which it is evaluated.
#[derive(Debug, Clone, Copy)]
pub struct Assignment<'a> {
    /// The trials.
    pub batch: &'a EncodedBatch,
    /// The losses, one per entry of the batch's targets.
    pub objective: &'a Objective,
}

/// Rule and optimiser of a training iteration.
#[derive(Debug, Clone, Copy)]
pub struct Training<'a> {
    /// The rule that gives the gradients.
    pub rule: &'a Rule,
    /// The optimiser that applies them.
    pub optimiser: &'a Optimiser,
}

impl<'a> Assignment<'a> {
    /// A batch of which no loss is evaluated.
    fn without_loss(batch: &'a EncodedBatch) -> Self {
        static NO_LOSS: Objective = Objective { losses: Vec::new(), regulariser: None };
        Self { batch, objective: &NO_LOSS }
    }

    /// Number of blocks of these trials.
    fn blocks(&self) -> usize {
        self.batch.trials.div_ceil(LANES)
    }

    /// Number of blocks of the whole batch.
    fn whole_blocks(&self) -> usize {
        self.batch.whole_trials().div_ceil(LANES)
    }

    fn validate<F: Real>(&self, model: &Model<F>) -> Result<()> {
        self.batch.validate::<F>(model.network())?;
        self.objective.validate(model.network(), self.batch)
    }
}

/// Simulates a batch and evaluates its loss.
///
/// # Errors
/// [`crate::Error::Invalid`] for a batch or targets that do not fit, [`crate::Error::NotFinite`], [`crate::Error::Cancelled`],
/// [`crate::Error::Memory`].
pub fn evaluate<F: Real>(
    model: &Model<F>,
    assignment: Assignment<'_>,
    workers: &Workers<F>,
    cancel: &AtomicBool,
) -> Result<Evaluation> {
    assignment.validate(model)?;
    let block_sums = Pass::new(model, assignment, workers, cancel)?.evaluate()?;
    finite(BatchSums::total(&block_sums).evaluation(model, assignment))
}

/// Evaluates a simulated batch with custom losses, alone or beside built-in ones.
///
/// # Errors
/// [`crate::Error::Invalid`] for a batch, targets or δ that do not fit, [`crate::Error::NotFinite`], [`crate::Error::Memory`].
pub fn evaluate_custom<F: Real>(
    model: &Model<F>,
    assignment: Assignment<'_>,
    custom: CustomLoss<F>,
    workers: &Workers<F>,
    cancel: &AtomicBool,
) -> Result<Evaluation> {
    assignment.validate(model)?;
    let pass = Pass::new(model, assignment, workers, cancel)?;
    let (batch_sums, workspaces) = custom.evaluate(&pass)?;
    workspaces.into_iter().for_each(|workspace| workers.release(workspace));
    finite(batch_sums.evaluation(model, assignment))
}

/// Loss and gradients of a batch by a rule; `custom` goes with a custom loss and only with one.
///
/// # Errors
/// [`crate::Error::Invalid`] for a batch, targets or rule that do not fit, [`crate::Error::NotFinite`],
/// [`crate::Error::Cancelled`], [`crate::Error::Memory`].
pub fn gradients<F: Real>(
    model: &Model<F>,
    assignment: Assignment<'_>,
    rule: &Rule,
    custom: Option<CustomLoss<F>>,
    workers: &Workers<F>,
    cancel: &AtomicBool,
) -> Result<(Evaluation, Gradients<F>)> {
    let learns = &vec![true; model.network().projections().len()];
    let learned = learn(model, assignment, GradientRequest { rule, custom, learns }, workers, cancel)?;
    Ok((learned.evaluation, learned.gradients))
}

/// One training iteration: gradients, then one step of the optimiser on a copy of the model.
///
/// # Errors
/// As [`gradients`], and [`crate::Error::Invalid`] for the optimiser's settings.
pub fn train_step<F: Real>(
    model: &Model<F>,
    assignment: Assignment<'_>,
    Training { rule, optimiser }: Training<'_>,
    custom: Option<CustomLoss<F>>,
    workers: &Workers<F>,
    cancel: &AtomicBool,
) -> Result<(Model<F>, StepReport)> {
    optimiser.validate(model.network())?;
    let optimiser = &*optimiser.at(u64::from(assignment.batch.key.iteration));
    let learns = &optimiser.learns(model.network());
    let decay = optimiser::next_feedback_decay(model, &rule.feedback, optimiser)?;
    let learned = learn(model, assignment, GradientRequest { rule, custom, learns }, workers, cancel)?;
    advance(model, learned, decay, optimiser, assignment.batch.key.seed, workers)
}

/// One step of the optimiser on a copy of the model; `decay` is the decay of adaptive feedback.
fn advance<F: Real>(
    model: &Model<F>,
    learned: Learned<F>,
    decay: Option<f64>,
    optimiser: &Optimiser,
    seed: u64,
    workers: &Workers<F>,
) -> Result<(Model<F>, StepReport)> {
    let Learned { evaluation, gradients, psi_means } = learned;
    let gradients = gradients.without_biases(&optimiser.frozen_biases(model.network()));
    let gradient_norm = gradients.norm();
    let span = workers.span(ProfileStage::Optimise, None);
    let mut next = optimiser::step(model, optimiser, &gradients, seed)?;
    span.end();
    workers.count(|| work::tally_optimiser::<F>(next.parameters()));
    let span = workers.span(ProfileStage::Rewire, None);
    optimiser::rewire(&mut next, optimiser, seed)?;
    span.end();
    if let Some(means) = psi_means {
        next.psi_means.follow(&means);
    }
    if let Some(loss) = decay {
        optimiser::decay_feedback(&mut next, loss, optimiser);
    }
    let living = next.living();
    Ok((next.checked()?, StepReport { evaluation, gradient_norm, living }))
}

/// Evaluation and gradients of a batch.
struct Learned<F> {
    evaluation: Evaluation,
    gradients: Gradients<F>,
    /// Mean ψ of each group of neurons, where the rule follows it.
    psi_means: Option<Vec<f64>>,
}

/// The gradients of a batch to compute.
struct GradientRequest<'a, F: Real> {
    rule: &'a Rule,
    /// With a custom loss, and only with one.
    custom: Option<CustomLoss<F>>,
    /// Of each projection, whether its weights learn.
    learns: &'a [bool],
}

fn learn<F: Real>(
    model: &Model<F>,
    assignment: Assignment<'_>,
    GradientRequest { rule, custom, learns }: GradientRequest<'_, F>,
    workers: &Workers<F>,
    cancel: &AtomicBool,
) -> Result<Learned<F>> {
    let span = workers.span(ProfileStage::Prepare, None);
    assignment.validate(model)?;
    if assignment.objective.is_custom() != custom.is_some() {
        return Err(invalid("loss", "custom", "together with a δ computed by the caller"));
    }
    let pass = Pass::new(model, assignment, workers, cancel)?;
    let mut plan = pass.plan(rule, assignment.objective.regulariser.is_some(), learns)?;
    span.end();
    let (batch_sums, block_gradients) = match custom {
        Some(custom) => {
            rule.validate_use(Use::CustomLoss)?;
            custom.backward(&pass, &mut plan)?
        }
        None if pass.needs_whole_batch(&plan, rule) => {
            let mut workspaces = pass.forward(kept_for(&plan))?;
            let batch_sums = BatchSums::total(&pass.evaluate_losses(&mut workspaces, None)?);
            let block_gradients = pass.backward(&mut plan, workspaces, &batch_sums)?;
            (batch_sums, block_gradients)
        }
        None => {
            let (block_sums, block_gradients) = match rule.estimator {
                Estimator::Backward => pass.forward_backward(&plan)?,
                Estimator::Online => pass.online(&plan, rule.trace)?,
                estimator => pass.influence(&plan, estimator)?,
            };
            (BatchSums::total(&block_sums), block_gradients)
        }
    };
    pass.conclude(rule.estimator, &plan, &batch_sums, Subtree::of_blocks(0, block_gradients))
}

/// Refuses lists of numbers of which one is not finite.
fn finite_lists<F: Real>(lists: &[(&str, &[F])]) -> Result<()> {
    match lists.iter().find(|(_, values)| !all_finite(values)) {
        None => Ok(()),
        Some((what, _)) => Err(not_finite(*what)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::batch::{DrawKey, Input, Targets};
    use crate::network::Network;

    #[test]
    fn a_regularised_batch_leaves_no_more_workspaces_than_it_has_blocks() {
        let description = json!({
            "schema": "mdgl-network/1",
            "inputs": [],
            "populations": [{"name": "a", "size": 2, "model": "lif"}],
            "readouts": [{"name": "out", "size": 2}],
            "projections": [{"from": "a", "to": "out", "density": 1}]
        });
        let network = Network::new(serde_json::from_value(description).unwrap()).unwrap();
        let model = Model::<f32>::new(Arc::new(network)).unwrap();
        let key = DrawKey::default();
        let targets = vec![Targets::Classes(vec![0; 40])];
        let batch = EncodedBatch {
            trials: 40,
            steps: 5,
            lengths: None,
            inputs: Vec::<Input>::new(),
            targets,
            key,
            part: None,
        };
        let loss = json!({"readout": "out", "kind": "cross-entropy", "window": 1});
        let regulariser = json!({"strength": 1, "targetRate": 10});
        let objective: Objective =
            serde_json::from_value(json!({"losses": [loss], "regulariser": regulariser})).unwrap();
        let assignment = Assignment { batch: &batch, objective: &objective };
        let workers = Workers::new(1).unwrap();
        for _ in 0..5 {
            gradients(&model, assignment, &Rule::mdgl(), None, &workers, &AtomicBool::new(false)).unwrap();
        }
        assert_eq!(workers.workspaces.lock().unwrap().len(), 3);
    }
}

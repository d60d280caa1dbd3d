//! Whole batches: blocks of sixteen trials on threads, and one fixed tree of sums.
//!
//! Threads only determine where a block is computed; every sum over blocks has the same order, so results
//! do not depend on their number.

mod batch_sums;
mod digest;
mod message;
mod pass;
pub(crate) mod real;
mod record;
mod share;
mod shared;
mod singles;
pub(crate) mod stream;
mod third_factor;
mod workers;

use std::sync::atomic::AtomicBool;

use crate::batch::loss::Objective;
use crate::batch::{Batch, Targets};
use crate::description::legal::Use;
use crate::description::rule::{LearningSignal, Rule, Trace};
use crate::description::{Reach, TimeCourse};
use crate::error::{Result, invalid, not_finite};
use crate::instrument::recorder::ProfileStage;
use crate::learn::block_gradient::Subtree;
use crate::learn::modulation::channel_table;
use crate::learn::plan::LearningPlan;
use crate::learn::work;
use crate::model::Model;
use crate::model::gradients::Gradients;
use crate::model::optimiser::{self, Optimiser};
use crate::numeric::scalar::all_finite;
use crate::run::real::Real;
use crate::simulate::trajectory::Keep;

use batch_sums::BatchSums;
use pass::{Pass, SignalSources};
pub use record::{Record, Recording, simulate};
use record::{readouts, spike_events, transpose, voltages};
pub use share::Share;
pub use shared::{SharedWork, Sharing, Turnout};
pub use third_factor::{
    Observation, Observed, Score, gradients_from_signal, observe, train_step_from_signal,
};
pub use workers::Workers;
use workers::Workspace;

const A_READOUT: &str = "a readout";

/// What a batch came to.
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

/// Result of one training iteration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// The batch before the step.
    pub evaluation: Evaluation,
    /// Norm of the whole gradient, before clipping.
    pub gradient_norm: f64,
}

/// A batch with losses and targets.
#[derive(Debug, Clone, Copy)]
pub struct Assignment<'a> {
    /// The trials.
    pub batch: &'a Batch,
    /// The losses.
    pub objective: &'a Objective,
    /// Targets, one entry per loss.
    pub targets: &'a [Targets],
}

impl Assignment<'_> {
    fn validate<F: Real>(&self, model: &Model<F>) -> Result<()> {
        self.batch.validate::<F>(model.network())?;
        self.objective.validate(model.network(), self.batch, self.targets)
    }
}

/// A simulated batch, waiting for δ from outside (custom losses).
#[derive(Debug)]
pub struct Forward<F: Real> {
    workspaces: Vec<Workspace<F>>,
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
        let sums = kinds.iter().any(|(_, kernel)| matches!(kernel, TimeCourse::Membrane(_)));
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
        let pass = Pass::new(model, batch, workers, cancel)?;
        let keep = Keep {
            sums: keep.sums,
            in_blocks: keep.in_blocks,
            ..pass.keep(Some(&pass.compiled.runs), false)
        };
        let workspaces = pass.simulate_all(keep)?;
        Ok(Self { workspaces, trials: batch.trials, outputs: model.network().output_units() })
    }

    /// The readout, `[trial][step][unit]`.
    ///
    /// # Errors
    /// [`crate::Error::NotFinite`]; [`crate::Error::Memory`] when there is no room for it.
    pub fn readout(&self) -> Result<Vec<F>> {
        let readout = readouts(&self.workspaces, self.trials, self.outputs)?;
        finite_lists(&[(A_READOUT, &readout)])?;
        Ok(readout)
    }
}

/// A loss computed outside, for a [`Forward`].
#[derive(Debug)]
pub struct CustomLoss<F: Real> {
    /// The simulated batch.
    pub forward: Forward<F>,
    /// ∂E/∂y, `[trial][step][unit]` over all readout units.
    pub delta: Vec<f64>,
    /// E.
    pub loss: f64,
    /// Reported as it is.
    pub accuracy: Option<f64>,
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
    let block_sums = Pass::new(model, assignment.batch, workers, cancel)?.block_sums(assignment)?;
    finite(BatchSums::total(&block_sums).evaluation(model, assignment))
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
    let all = vec![true; model.network().projections().len()];
    let learned = learn(model, assignment, rule, custom, &all, workers, cancel)?;
    Ok((learned.evaluation, learned.gradients))
}

/// One training iteration: gradients, then one step of the optimiser on a copy of the model.
///
/// # Errors
/// As [`gradients`], and [`crate::Error::Invalid`] for the optimiser's settings.
pub fn train_step<F: Real>(
    model: &Model<F>,
    assignment: Assignment<'_>,
    rule: &Rule,
    custom: Option<CustomLoss<F>>,
    optimiser: &Optimiser,
    workers: &Workers<F>,
    cancel: &AtomicBool,
) -> Result<(Model<F>, StepReport)> {
    optimiser.validate(model.network())?;
    let learns = optimiser.learns(model.network());
    let decay = optimiser::next_feedback_decay(model, &rule.feedback, optimiser)?;
    let learned = learn(model, assignment, rule, custom, &learns, workers, cancel)?;
    advance(model, learned, decay, optimiser, assignment.batch.key.seed, workers)
}

/// One step of the optimiser on a copy of the model; `decay` is what adaptive feedback loses.
fn advance<F: Real>(
    model: &Model<F>,
    learned: Learned<F>,
    decay: Option<f64>,
    optimiser: &Optimiser,
    seed: u64,
    workers: &Workers<F>,
) -> Result<(Model<F>, StepReport)> {
    let Learned { evaluation, gradients, psi_means } = learned;
    let gradient_norm = gradients.norm();
    let span = workers.span(ProfileStage::Optimise, None);
    let mut next = optimiser::step(model, optimiser, &gradients, seed)?;
    span.end();
    workers.count(|| work::tally_optimiser::<F>(next.parameters()));
    let span = workers.span(ProfileStage::Rewire, None);
    optimiser::rewire(&mut next, optimiser, seed);
    span.end();
    if let Some(means) = psi_means {
        next.psi_means.follow(&means);
    }
    if let Some(loss) = decay {
        optimiser::decay_feedback(&mut next, loss, optimiser);
    }
    Ok((next.checked()?, StepReport { evaluation, gradient_norm }))
}

/// What a batch taught.
struct Learned<F> {
    evaluation: Evaluation,
    gradients: Gradients<F>,
    /// Mean ψ of each group of neurons, where the rule follows it.
    psi_means: Option<Vec<f64>>,
}

fn learn<F: Real>(
    model: &Model<F>,
    assignment: Assignment<'_>,
    rule: &Rule,
    custom: Option<CustomLoss<F>>,
    learns: &[bool],
    workers: &Workers<F>,
    cancel: &AtomicBool,
) -> Result<Learned<F>> {
    let span = workers.span(ProfileStage::Prepare, None);
    assignment.validate(model)?;
    let Assignment { batch, objective, .. } = assignment;
    if objective.is_custom() != custom.is_some() {
        return Err(invalid("loss", "custom", "together with a δ from outside"));
    }
    let pass = Pass::new(model, batch, workers, cancel)?;
    let regularised = objective.regulariser.is_some();
    let mut plan = LearningPlan::new(model, &pass.compiled, rule, regularised, learns)?;
    pass.room_for_partials(&plan, rule.estimator)?;
    span.end();
    let (batch_sums, block_gradients) = match (custom, rule.estimator) {
        (None, estimator) if estimator.carries_influence() => pass.influence(assignment, &plan, estimator)?,
        (None, _) if pass.goes_in_two(objective, &plan, rule) => pass.in_two(assignment, &mut plan)?,
        (None, _) => {
            let (block_sums, block_gradients) = pass.at_once(assignment, &plan, rule)?;
            (BatchSums::total(&block_sums), block_gradients)
        }
        (Some(custom), _) => {
            rule.validate_use(Use::CustomLoss)?;
            pass.given(assignment, &mut plan, custom)?
        }
    };
    pass.conclude(assignment, rule.estimator, &plan, &batch_sums, Subtree::of_blocks(0, block_gradients))
}

fn finite(evaluation: Evaluation) -> Result<Evaluation> {
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
    use crate::batch::{DrawKey, Input};
    use crate::network::Network;

    #[test]
    fn a_regularised_batch_leaves_no_more_rooms_than_it_has_blocks() {
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
        let batch = Batch { trials: 40, steps: 5, lengths: None, inputs: Vec::<Input>::new(), key };
        let loss = json!({"readout": "out", "kind": "cross-entropy", "window": 1});
        let regulariser = json!({"strength": 1, "targetRate": 10});
        let objective: Objective =
            serde_json::from_value(json!({"losses": [loss], "regulariser": regulariser})).unwrap();
        let targets = [Targets::Classes(vec![0; 40])];
        let assignment = Assignment { batch: &batch, objective: &objective, targets: &targets };
        let workers = Workers::new(1).unwrap();
        for _ in 0..5 {
            gradients(&model, assignment, &Rule::mdgl(), None, &workers, &AtomicBool::new(false)).unwrap();
        }
        assert_eq!(workers.workspaces.lock().unwrap().len(), 3);
    }
}

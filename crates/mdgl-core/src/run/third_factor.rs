//! Rules computed outside the engine: their observations of a batch, and the gradient of the signal that they return.
//!
//! The signal S is the third factor of ∂E/∂W\[q→p\] = Σ_t S_p,t e_qp,t, e the eligibility trace: L for e-prop,
//! L_t + Γ_t+1 for MDGL. It drives the backward recursion in place of L; the readout's own weights keep their exact gradient.

use std::sync::atomic::AtomicBool;

use super::custom_loss::Score;
use super::record::{A_LEARNING_SIGNAL, A_MEMBRANE, A_READOUT, signals};
use super::{
    Assignment, BatchSums, Evaluation, Learned, Pass, SignalSources, StepReport, Workers, Workspace, advance,
    finite, finite_lists, readouts, spike_events, transpose, voltages,
};
use crate::batch::Event;
use crate::batch::loss::check_values;
use crate::description::rule::Rule;
use crate::error::{Result, invalid};
use crate::instrument::recorder::ProfileStage;
use crate::learn::block_gradient::{BlockGradient, Subtree};
use crate::learn::plan::LearningPlan;
use crate::learn::rates::RatePart;
use crate::model::Model;
use crate::model::gradients::Gradients;
use crate::model::optimiser::Optimiser;
use crate::numeric::lanes::{Block, LANES};
use crate::numeric::memory::{product, refill, reserve};
use crate::run::real::Real;
use crate::simulate::trajectory::Keep;

/// A simulated batch, its loss evaluated, that waits for the signal of a rule computed outside.
#[derive(Debug)]
pub struct Observed<F: Real> {
    workspaces: Vec<Workspace<F>>,
    batch_sums: BatchSums,
    trials: usize,
    steps: usize,
}

/// Observation of a batch for a rule computed outside. Beyond the end of a shorter trial there are no spikes, ψ or errors; voltage
/// and readout are meaningless there.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation<F> {
    /// Spikes, ordered by trial, step and neuron.
    pub spikes: Vec<Event>,
    /// v before the reset, `[trial][step][neuron]`.
    pub voltage: Vec<F>,
    /// ψ, `[trial][step][neuron]`.
    pub psi: Vec<F>,
    /// y, `[trial][step][unit]`.
    pub readout: Vec<F>,
    /// δ = ∂E/∂y, `[trial][step][unit]`.
    pub error: Vec<F>,
    /// L through the readout's own weights, with the regulariser's part, `[trial][step][neuron]`.
    pub learning_signal: Vec<F>,
}

impl<F: Real> Observation<F> {
    /// Itself, if every number is finite.
    fn finite(self) -> Result<Self> {
        let Self { voltage, psi, readout, error, learning_signal, .. } = &self;
        finite_lists(&[
            (A_MEMBRANE, voltage),
            ("a pseudo-derivative", psi),
            (A_READOUT, readout),
            ("an error of a readout", error),
            (A_LEARNING_SIGNAL, learning_signal),
        ])?;
        Ok(self)
    }
}

/// Simulates a batch and evaluates its loss for a rule computed outside; `score` goes with a custom loss and only with one.
///
/// # Errors
/// [`crate::Error::Invalid`] for a batch or targets that do not fit, [`crate::Error::NotFinite`],
/// [`crate::Error::Cancelled`], [`crate::Error::Memory`].
pub fn observe<F: Real>(
    model: &Model<F>,
    assignment: Assignment<'_>,
    score: Option<&Score>,
    workers: &Workers<F>,
    cancel: &AtomicBool,
) -> Result<(Observed<F>, Observation<F>)> {
    assignment.validate(model)?;
    let Assignment { batch, objective, .. } = assignment;
    if objective.is_custom() != score.is_some() {
        return Err(invalid("loss", "custom", "together with a δ computed by the caller"));
    }
    let pass = Pass::new(model, assignment, workers, cancel)?;
    let mut workspaces = pass.forward(Keep {
        psi: Some(&pass.network.runs),
        voltage: true,
        segment: Some(batch.steps),
        in_blocks: true,
        ..Keep::NOTHING
    })?;
    score.map_or(Ok(()), |score| score.validate(&pass))?;
    let block_sums = pass.evaluate_losses(&mut workspaces, score)?;
    let mut batch_sums = BatchSums::total(&block_sums);
    if let Some(score) = score {
        batch_sums.add_custom(objective, score);
    }
    finite(batch_sums.evaluation(model, assignment))?;
    let learning_signal = learning_signal(&pass, &block_sums, &mut workspaces)?;
    let neurons = pass.network.size();
    let observation = Observation {
        spikes: spike_events(&workspaces, batch, neurons)?,
        voltage: voltages(&workspaces, batch, neurons)?,
        psi: pseudo_derivatives(&workspaces, assignment, neurons)?,
        readout: readouts(&workspaces, batch.trials, pass.network.outputs())?,
        error: errors(&workspaces, assignment, pass.network.outputs())?,
        learning_signal,
    };
    let observed = Observed { workspaces, batch_sums, trials: batch.trials, steps: batch.steps };
    Ok((observed, observation.finite()?))
}

/// The answer of a rule computed outside.
#[derive(Debug)]
pub struct ThirdFactor<'a, F: Real> {
    /// The observed batch.
    pub observed: Observed<F>,
    /// S, `[trial][step][neuron]`.
    pub signal: &'a [f64],
}

/// Loss and gradients of an observed batch, Σ_t S e.
///
/// # Errors
/// [`crate::Error::Invalid`] for a signal of another size or with values that are not finite, and for a batch that is not
/// the one observed; [`crate::Error::NotFinite`], [`crate::Error::Cancelled`], [`crate::Error::Memory`].
pub fn gradients_from_signal<F: Real>(
    model: &Model<F>,
    assignment: Assignment<'_>,
    factor: ThirdFactor<'_, F>,
    workers: &Workers<F>,
    cancel: &AtomicBool,
) -> Result<(Evaluation, Gradients<F>)> {
    let all = vec![true; model.network().projections().len()];
    learn(model, assignment, factor, &all, workers, cancel)
}

/// One training iteration on an observed batch, on a copy of the model.
///
/// # Errors
/// As [`gradients_from_signal`], and [`crate::Error::Invalid`] for the optimiser's settings.
pub fn train_step_from_signal<F: Real>(
    model: &Model<F>,
    assignment: Assignment<'_>,
    factor: ThirdFactor<'_, F>,
    optimiser: &Optimiser,
    workers: &Workers<F>,
    cancel: &AtomicBool,
) -> Result<(Model<F>, StepReport)> {
    optimiser.validate(model.network())?;
    let learns = optimiser.learns(model.network());
    let (evaluation, gradients) = learn(model, assignment, factor, &learns, workers, cancel)?;
    let learned = Learned { evaluation, gradients, psi_means: None };
    let key = assignment.batch.key;
    advance(model, learned, None, &optimiser.at(u64::from(key.iteration)), key.seed, workers)
}

fn learn<F: Real>(
    model: &Model<F>,
    assignment: Assignment<'_>,
    ThirdFactor { observed, signal }: ThirdFactor<'_, F>,
    learns: &[bool],
    workers: &Workers<F>,
    cancel: &AtomicBool,
) -> Result<(Evaluation, Gradients<F>)> {
    let Observed { workspaces, batch_sums, trials, steps } = observed;
    let batch = assignment.batch;
    if (trials, steps) != (batch.trials, batch.steps) {
        let value = format!("{} trials of {} steps", batch.trials, batch.steps);
        return Err(invalid("batch", value, format!("the batch observed, {trials} trials of {steps} steps")));
    }
    let pass = Pass::new(model, assignment, workers, cancel)?;
    let neurons = pass.network.size();
    check_values("signal", signal, product(&[trials, steps, neurons]))?;
    let evaluation = batch_sums.evaluation(model, assignment);
    // e-prop of cells that all have a signal: the recursion that a signal from outside drives.
    let plan = pass.plan(&Rule::eprop(), true, learns)?;
    let block_gradients = pass.each_workspace(workspaces, |block, workspace| {
        let mut given = Vec::new();
        refill(&mut given, product(&[steps, neurons]), "the signals of a block of trials")?;
        pass.lay_out(block, signal, &mut given);
        let sources = SignalSources { rates: RatePart::shared(&[]), given: Some(&given), record: None };
        pass.backward_block(&plan, block, workspace, sources)
    });
    let span = workers.span(ProfileStage::Reduce, None);
    let gradients =
        BlockGradient::tree_reduce(Subtree::of_blocks(0, block_gradients?)).gradients(model, &plan)?;
    span.end();
    Ok((evaluation, gradients))
}

/// L, `[trial][step][neuron]`: recorded in a backward pass of e-prop that sums no gradient.
fn learning_signal<F: Real>(
    pass: &Pass<'_, F>,
    block_sums: &[BatchSums],
    workspaces: &mut [Workspace<F>],
) -> Result<Vec<F>> {
    let none = vec![false; pass.model.network().projections().len()];
    let Assignment { batch, objective, .. } = pass.assignment;
    let plan =
        LearningPlan::new(pass.model, &pass.network, &Rule::eprop(), objective.regulariser.is_some(), &none)?;
    let signals = signals(pass, &plan, block_sums, workspaces)?;
    let blocks: Vec<&[Block<F>]> = signals.iter().map(|signals| &signals.learning[..]).collect();
    transpose(&blocks, batch.trials, pass.network.size())
}

/// ψ, `[trial][step][neuron]`.
fn pseudo_derivatives<F: Real>(
    workspaces: &[Workspace<F>],
    Assignment { batch, .. }: Assignment<'_>,
    neurons: usize,
) -> Result<Vec<F>> {
    let mut out = Vec::new();
    reserve(&mut out, product(&[batch.trials, batch.steps, neurons]), "an observation")?;
    for trial in 0..batch.trials {
        let trajectory = &workspaces[trial / LANES].trajectory;
        (0..batch.steps).for_each(|step| out.extend(trajectory.psi(step).lane(trial % LANES)));
    }
    Ok(out)
}

/// δ, `[trial][step][unit]`.
fn errors<F: Real>(
    workspaces: &[Workspace<F>],
    Assignment { batch, .. }: Assignment<'_>,
    outputs: usize,
) -> Result<Vec<F>> {
    let mut out = Vec::new();
    reserve(&mut out, product(&[batch.trials, batch.steps, outputs]), "an observation")?;
    for trial in 0..batch.trials {
        for step in 0..batch.steps {
            match workspaces[trial / LANES].delta.at(step, outputs) {
                [] => out.extend(std::iter::repeat_n(F::ZERO, outputs)),
                row => out.extend(row.iter().map(|block| block.0[trial % LANES])),
            }
        }
    }
    Ok(out)
}

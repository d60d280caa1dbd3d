//! What a session's thread does: calls the engine and wraps its results.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use mdgl_core::profile::ProfileOptions;
use mdgl_core::{
    Assignment, CustomLoss, Event, Forward, Model, Real, Record, Score, Share, SharedWork, Sharing, Turnout,
    Workers,
};
use napi::bindgen_prelude::{Either, Float32Array, Float64Array, Null};

use crate::batch::Work;
use crate::config::SessionConfig;
use crate::error::{Failure, Result};
use crate::float::Float;
use crate::profile::profile;
use crate::results::{
    Evaluation, Gradients, Observation, ProjectionValues, ReadoutValues, Recording, SharedResult, StepReport,
};
use crate::shared::{Shared, TrainingLock, projection_values};

/// A session's work, for either float type.
pub trait Runner: Send {
    /// Bytes of memory that it keeps for the next job.
    fn bytes(&self) -> usize;
    fn simulate(&mut self, work: &Work, voltage: bool, inputs: bool) -> Result<Recording>;
    fn evaluate(&mut self, work: &Work) -> Result<Evaluation>;
    fn gradients(&mut self, work: &Work) -> Result<Gradients>;
    fn step(&mut self, work: &Work) -> Result<StepReport>;
    /// A profile as JSON.
    fn profile(&mut self, work: &Work, options: ProfileOptions) -> Result<String>;
    /// Keeps the batch for the two functions that follow, and gives its readouts.
    fn forward(&mut self, work: Arc<Work>) -> Result<Either<Float32Array, Float64Array>>;
    fn gradients_from(&mut self, delta: Vec<f64>, loss: f64) -> Result<Gradients>;
    fn step_from(&mut self, delta: Vec<f64>, loss: f64) -> Result<StepReport>;
    /// Keeps the batch for the two functions that end in `_signal`, and shows it.
    fn observe(&mut self, work: Arc<Work>) -> Result<Observation>;
    /// The same for the batch that `forward` kept.
    fn observe_from(&mut self, delta: Vec<f64>, loss: f64) -> Result<Observation>;
    fn gradients_from_signal(&mut self, signal: &[f64]) -> Result<Gradients>;
    fn step_from_signal(&mut self, signal: &[f64]) -> Result<StepReport>;
    /// Computes this rank's share of a batch, of a training step or an evaluation, and keeps it for `continue_shared`.
    fn begin_shared(&mut self, work: Arc<Work>, share: Share, step: bool) -> Result<SharedResult>;
    fn continue_shared(&mut self, messages: &[Vec<u8>]) -> Result<SharedResult>;
}

/// A model with everything that work on it needs.
pub struct Bench<F: Real> {
    shared: Arc<Shared<F>>,
    /// Held while the session lives.
    _lock: Option<TrainingLock<F>>,
    config: SessionConfig,
    workers: Workers<F>,
    kept: Option<Kept<F>>,
    shown: Option<Shown<F>>,
    together: Option<Together<F>>,
}

/// A forward pass that waits for its δ, and the model it ran on.
struct Kept<F: Real> {
    model: Arc<Model<F>>,
    work: Arc<Work>,
    forward: Forward<F>,
}

/// A batch that waits for the signal of a rule, and the model it ran on.
struct Shown<F: Real> {
    model: Arc<Model<F>>,
    work: Arc<Work>,
    observed: mdgl_core::Observed<F>,
}

/// A share of a batch that waits for the messages of all ranks, and the model it ran on.
struct Together<F: Real> {
    model: Arc<Model<F>>,
    work: Arc<Work>,
    share: Share,
    step: bool,
    shared: SharedWork<F>,
    /// The engine's own time so far.
    spent: Duration,
}

impl<F: Float> Bench<F> {
    /// A bench with so many threads.
    pub fn new(
        shared: Arc<Shared<F>>,
        lock: Option<TrainingLock<F>>,
        config: SessionConfig,
        threads: usize,
    ) -> Result<Self> {
        let workers = Workers::new(threads)?;
        Ok(Self { shared, _lock: lock, config, workers, kept: None, shown: None, together: None })
    }

    fn cancel(&self) -> &AtomicBool {
        &self.config.cancel
    }

    fn assignment<'a>(&'a self, work: &'a Work) -> Result<Assignment<'a>> {
        let objective = ordered(self.config.objective.as_ref(), "an objective")?;
        let targets = ordered(work.targets.as_deref(), "targets")?;
        Ok(Assignment { batch: &work.batch, objective, targets })
    }

    fn gradients_of(
        &self,
        model: &Model<F>,
        assignment: Assignment<'_>,
        custom: Option<CustomLoss<F>>,
    ) -> Result<Gradients> {
        let rule = ordered(self.config.rule.as_ref(), "a rule")?;
        let (evaluation, gradients) =
            mdgl_core::gradients(model, assignment, rule, custom, &self.workers, self.cancel())?;
        wrap_gradients(model, evaluation, &gradients)
    }

    fn step_of(
        &self,
        model: &Model<F>,
        assignment: Assignment<'_>,
        custom: Option<CustomLoss<F>>,
    ) -> Result<StepReport> {
        let begun = Instant::now();
        let SessionConfig { rule, optimiser, .. } = &self.config;
        let (rule, optimiser) =
            (ordered(rule.as_ref(), "a rule")?, ordered(optimiser.as_ref(), "an optimiser")?);
        let (next, report) =
            mdgl_core::train_step(model, assignment, rule, custom, optimiser, &self.workers, self.cancel())?;
        Ok(self.publish(next, report, begun.elapsed()))
    }

    fn publish(&self, next: Model<F>, report: mdgl_core::StepReport, spent: Duration) -> StepReport {
        self.shared.publish(next);
        StepReport {
            evaluation: report.evaluation.into(),
            gradient_norm: report.gradient_norm,
            engine_ms: spent.as_secs_f64() * 1000.0,
        }
    }

    fn sharing<'a>(
        &'a self,
        model: &'a Model<F>,
        work: &'a Work,
        share: Share,
        step: bool,
    ) -> Result<Sharing<'a, F>> {
        let SessionConfig { rule, optimiser, .. } = &self.config;
        let training = match step {
            true => Some((ordered(rule.as_ref(), "a rule")?, ordered(optimiser.as_ref(), "an optimiser")?)),
            false => None,
        };
        let (assignment, workers, cancel) = (self.assignment(work)?, &self.workers, self.cancel());
        Ok(Sharing { model, assignment, training, share, workers, cancel })
    }

    fn show(&mut self, model: Arc<Model<F>>, work: Arc<Work>, score: Option<&Score>) -> Result<Observation> {
        let assignment = self.assignment(&work)?;
        let (observed, seen) = mdgl_core::observe(&model, assignment, score, &self.workers, self.cancel())?;
        let network = model.network();
        let projections = network.projections().iter();
        let observation = Observation {
            spikes: flatten(&seen.spikes)?.into(),
            voltage: F::array(seen.voltage),
            psi: F::array(seen.psi),
            readout: F::array(seen.readout),
            error: F::array(seen.error),
            learning_signal: F::array(seen.learning_signal),
            projections: projections
                .map(|synapses| projection_values(&model, synapses.name(), model.weights(synapses.name())?))
                .collect::<mdgl_core::Result<Vec<ProjectionValues>>>()?,
            constants: network.cell_constants().into(),
        };
        self.shown = Some(Shown { model, work, observed });
        Ok(observation)
    }

    /// The batch shown, once.
    fn take_shown(&mut self) -> Result<Shown<F>> {
        self.shown.take().ok_or_else(|| Failure::bug("no batch waits for its signal"))
    }

    /// The batch that `forward` kept, once.
    fn take_kept(&mut self) -> Result<Kept<F>> {
        self.kept.take().ok_or_else(|| Failure::bug("no forward pass waits for its δ"))
    }

    /// Does something with the batch that `forward` kept, once.
    fn with_kept<T>(
        &mut self,
        delta: Vec<f64>,
        loss: f64,
        body: impl FnOnce(&Self, &Model<F>, Assignment<'_>, CustomLoss<F>) -> Result<T>,
    ) -> Result<T> {
        let Kept { model, work, forward } = self.take_kept()?;
        let custom = CustomLoss { forward, delta, loss, accuracy: None };
        body(self, &model, self.assignment(&work)?, custom)
    }
}

impl<F: Float> Runner for Bench<F> {
    fn bytes(&self) -> usize {
        self.workers.bytes()
    }

    fn simulate(&mut self, work: &Work, voltage: bool, inputs: bool) -> Result<Recording> {
        let SessionConfig { objective, rule, .. } = &self.config;
        let signals = match (objective, work.targets.as_deref(), rule) {
            (Some(objective), Some(targets), Some(rule)) => Some((objective, targets, rule)),
            _ => None,
        };
        let record = Record { voltage, inputs, signals };
        let recording =
            mdgl_core::simulate(&self.shared.snapshot(), &work.batch, record, &self.workers, self.cancel())?;
        Ok(Recording {
            spikes: flatten(&recording.spikes)?.into(),
            inputs: inputs.then(|| flatten(&recording.inputs)).transpose()?.map(Into::into),
            readout: F::array(recording.readout),
            voltage: voltage.then(|| F::array(recording.voltage)),
            learning_signal: signals.map(|_| F::array(recording.learning_signal)),
            modulatory_signal: signals.map(|_| F::array(recording.modulatory_signal)),
        })
    }

    fn evaluate(&mut self, work: &Work) -> Result<Evaluation> {
        let assignment = self.assignment(work)?;
        Ok(mdgl_core::evaluate(&self.shared.snapshot(), assignment, &self.workers, self.cancel())?.into())
    }

    fn gradients(&mut self, work: &Work) -> Result<Gradients> {
        self.gradients_of(&self.shared.snapshot(), self.assignment(work)?, None)
    }

    fn step(&mut self, work: &Work) -> Result<StepReport> {
        self.step_of(&self.shared.snapshot(), self.assignment(work)?, None)
    }

    fn profile(&mut self, work: &Work, options: ProfileOptions) -> Result<String> {
        let Self { shared, config, workers, .. } = self;
        let targets = ordered(work.targets.as_deref(), "targets")?;
        let objective = ordered(config.objective.as_ref(), "an objective")?;
        let assignment = Assignment { batch: &work.batch, objective, targets };
        let rule = ordered(config.rule.as_ref(), "a rule")?;
        let optimiser = ordered(config.optimiser.as_ref(), "an optimiser")?;
        profile(&shared.snapshot(), assignment, rule, optimiser, options, workers, &config.cancel)
    }

    fn forward(&mut self, work: Arc<Work>) -> Result<Either<Float32Array, Float64Array>> {
        let model = self.shared.snapshot();
        let forward = match &self.config.rule {
            Some(rule) => Forward::for_rule(&model, &work.batch, rule, &self.workers, self.cancel())?,
            None => Forward::new(&model, &work.batch, &self.workers, self.cancel())?,
        };
        let readout = forward.readout()?;
        self.kept = Some(Kept { model, work, forward });
        Ok(F::array(readout))
    }

    fn gradients_from(&mut self, delta: Vec<f64>, loss: f64) -> Result<Gradients> {
        self.with_kept(delta, loss, |bench, model, assignment, custom| {
            bench.gradients_of(model, assignment, Some(custom))
        })
    }

    fn step_from(&mut self, delta: Vec<f64>, loss: f64) -> Result<StepReport> {
        self.with_kept(delta, loss, |bench, model, assignment, custom| {
            bench.step_of(model, assignment, Some(custom))
        })
    }

    fn observe(&mut self, work: Arc<Work>) -> Result<Observation> {
        self.show(self.shared.snapshot(), work, None)
    }

    fn observe_from(&mut self, delta: Vec<f64>, loss: f64) -> Result<Observation> {
        let Kept { model, work, .. } = self.take_kept()?;
        self.show(model, work, Some(&Score { delta, loss, accuracy: None }))
    }

    fn gradients_from_signal(&mut self, signal: &[f64]) -> Result<Gradients> {
        let Shown { model, work, observed } = self.take_shown()?;
        let (evaluation, gradients) = mdgl_core::gradients_from_signal(
            &model,
            self.assignment(&work)?,
            observed,
            signal,
            &self.workers,
            self.cancel(),
        )?;
        wrap_gradients(&model, evaluation, &gradients)
    }

    fn step_from_signal(&mut self, signal: &[f64]) -> Result<StepReport> {
        let begun = Instant::now();
        let Shown { model, work, observed } = self.take_shown()?;
        let optimiser = ordered(self.config.optimiser.as_ref(), "an optimiser")?;
        let (next, report) = mdgl_core::train_step_from_signal(
            &model,
            self.assignment(&work)?,
            observed,
            signal,
            optimiser,
            &self.workers,
            self.cancel(),
        )?;
        Ok(self.publish(next, report, begun.elapsed()))
    }

    fn begin_shared(&mut self, work: Arc<Work>, share: Share, step: bool) -> Result<SharedResult> {
        let (begun, model) = (Instant::now(), self.shared.snapshot());
        let (shared, message) = self.sharing(&model, &work, share, step)?.begin()?;
        self.together = Some(Together { model, work, share, step, shared, spent: begun.elapsed() });
        Ok(SharedResult::sends(message))
    }

    fn continue_shared(&mut self, messages: &[Vec<u8>]) -> Result<SharedResult> {
        let begun = Instant::now();
        let waiting = self.together.take().ok_or_else(|| Failure::bug("no share waits for messages"))?;
        let Together { model, work, share, step, shared, spent } = waiting;
        match self.sharing(&model, &work, share, step)?.go_on(shared, messages)? {
            Turnout::More(shared, message) => {
                let spent = spent + begun.elapsed();
                self.together = Some(Together { model, work, share, step, shared, spent });
                Ok(SharedResult::sends(message))
            }
            Turnout::Trained(next, report) => {
                let report = self.publish(*next, report, spent + begun.elapsed());
                Ok(SharedResult { report: Some(report), ..SharedResult::default() })
            }
            Turnout::Evaluated(evaluation) => {
                Ok(SharedResult { evaluation: Some(evaluation.into()), ..SharedResult::default() })
            }
        }
    }
}

impl From<mdgl_core::Evaluation> for Evaluation {
    fn from(evaluation: mdgl_core::Evaluation) -> Self {
        let mdgl_core::Evaluation { loss, regulariser, accuracy, rate } = evaluation;
        Self { loss, regulariser, accuracy: accuracy.map_or(Either::B(Null), Either::A), rate }
    }
}

/// What the façade must have put into the plan for this kind of work.
fn ordered<'a, T: ?Sized>(part: Option<&'a T>, what: &str) -> Result<&'a T> {
    part.ok_or_else(|| Failure::bug(format!("the plan lacks {what}")))
}

/// Triples, an event that counts more than once as often.
fn flatten(events: &[Event]) -> Result<Vec<u32>> {
    let count: usize = events.iter().map(|event| event.count as usize).sum();
    let bytes = count.saturating_mul(size_of::<[u32; 3]>());
    mdgl_core::ensure_memory(bytes, "a recording")?;
    let mut flat = Vec::with_capacity(3 * count);
    let triples =
        |event: &Event| std::iter::repeat_n([event.trial, event.step, event.unit], event.count as usize);
    flat.extend(events.iter().flat_map(triples).flatten());
    Ok(flat)
}

fn wrap_gradients<F: Float>(
    model: &Model<F>,
    evaluation: mdgl_core::Evaluation,
    gradients: &mdgl_core::Gradients<F>,
) -> Result<Gradients> {
    let network = model.network();
    let projections = network.projections().iter().enumerate();
    let readouts = network.readouts().iter().enumerate();
    Ok(Gradients {
        evaluation: evaluation.into(),
        norm: gradients.norm(),
        projections: projections
            .map(|(i, synapses)| projection_values(model, synapses.name(), gradients.projection(i).to_vec()))
            .collect::<mdgl_core::Result<_>>()?,
        bias: readouts
            .map(|(i, readout)| ReadoutValues {
                name: readout.name().to_owned(),
                values: F::array(gradients.bias(i).to_vec()),
            })
            .collect(),
    })
}

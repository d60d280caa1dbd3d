//! Jobs of a session's thread: calls of mdgl-core, and its results as JavaScript's objects.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use mdgl_core::description::recording::{Choices, Variable};
use mdgl_core::profile::ProfileOptions;
use mdgl_core::{
    Assignment, CustomLoss, EncodedBatch, Event, Forward, Model, Observed, Real, Record, Score, Share,
    SharedWork, Sharing, ThirdFactor, Training, Turnout, Values, Workers,
};
use napi::bindgen_prelude::{Either, Either3, Null};

use crate::config::SessionConfig;
use crate::error::{Failure, Result};
use crate::float::{ByFloat, Float, Floats};
use crate::profile::profile;
use crate::results::{
    Evaluation, Gradients, LossReport, Observation, ProjectionValues, ReadoutValues, RecordedPart,
    RecordedValues, Recording, StepReport,
};
use crate::shared::{Shared, TrainingLock, projection_values};

/// An engine of either float type.
pub type AnyEngine = ByFloat<Engine<f32>, Engine<f64>>;

/// A model with settings and threads of a session.
pub struct Engine<F: Real> {
    shared: Arc<Shared<F>>,
    /// Held while the session lives, if it trains.
    _lock: Option<TrainingLock<F>>,
    config: SessionConfig,
    workers: Workers<F>,
    /// The latest batch that waits for JavaScript; the one before is dropped.
    pending: Option<Pending<F>>,
    /// Number of batches that have waited so far.
    tickets: Ticket,
}

/// Number of a waiting batch among those of its session.
pub type Ticket = u64;

/// A batch that waits for an answer from JavaScript, and the model that it runs on.
struct Pending<F: Real> {
    model: Arc<Model<F>>,
    encoded: Arc<EncodedBatch>,
    awaited: Awaited<F>,
}

/// The answer that a batch waits for.
enum Awaited<F: Real> {
    /// The δ of a custom loss.
    Delta(Forward<F>),
    /// The signal of a custom rule.
    Signal(Observed<F>),
    /// The messages of all ranks.
    Messages(PendingShared<F>),
}

/// A share of a batch.
struct PendingShared<F: Real> {
    share: Share,
    /// Whether it is of a training step.
    step: bool,
    shared: SharedWork<F>,
    /// The engine's own time so far.
    spent: Duration,
}

/// JavaScript's answer for a batch that waits.
pub enum Answer {
    /// Of a custom loss.
    Score(Score),
    /// Of a custom rule: the signal `[trial][step][neuron]`.
    Signal(Vec<f64>),
}

/// Progress of a shared batch.
pub enum SharedProgress {
    /// A message for all ranks.
    Pending(Ticket, Vec<u8>),
    Trained(StepReport),
    Evaluated(Evaluation),
}

/// Jobs that need nothing from JavaScript.
impl<F: Float> Engine<F> {
    /// An engine with so many threads; takes the training lock where the session is to train.
    pub fn new(shared: Arc<Shared<F>>, config: SessionConfig, threads: usize) -> Result<Self> {
        let lock = if config.trains { Some(TrainingLock::take(&shared)?) } else { None };
        let workers = Workers::new(threads)?;
        Ok(Self { shared, _lock: lock, config, workers, pending: None, tickets: 0 })
    }

    /// Bytes of memory kept for the next job.
    pub fn bytes(&self) -> usize {
        self.workers.bytes()
    }

    pub fn simulate(&mut self, encoded: &EncodedBatch, voltage: bool, inputs: bool) -> Result<Recording> {
        let SessionConfig { objective, rule, .. } = &self.config;
        let signals = objective.as_ref().zip(rule.as_ref());
        let record = Record { voltage, inputs, signals };
        let recording =
            mdgl_core::simulate(&self.shared.snapshot(), encoded, record, &self.workers, self.cancel())?;
        Ok(Recording {
            spikes: flatten(&recording.spikes)?.into(),
            inputs: inputs.then(|| flatten(&recording.inputs)).transpose()?.map(Into::into),
            readout: F::array(recording.readout),
            voltage: voltage.then(|| F::array(recording.voltage)),
            learning_signal: signals.map(|_| F::array(recording.learning_signal)),
            modulatory_signal: signals.map(|_| F::array(recording.modulatory_signal)),
        })
    }

    pub fn simulate_chosen(
        &mut self,
        encoded: &EncodedBatch,
        choices: &Choices,
    ) -> Result<Vec<RecordedPart>> {
        let SessionConfig { objective, rule, .. } = &self.config;
        let signals = objective.as_ref().zip(rule.as_ref());
        let (model, workers) = (self.shared.snapshot(), &self.workers);
        let parts = mdgl_core::simulate_chosen(&model, encoded, choices, signals, workers, self.cancel())?;
        let recorded = |(variable, values): (Variable, Values<F>)| RecordedValues {
            name: variable.name().into(),
            values: match values {
                Values::Bits(bits) => Either3::A(bits.into()),
                Values::Floats(floats) => match F::array(floats) {
                    Either::A(single) => Either3::B(single),
                    Either::B(double) => Either3::C(double),
                },
            },
        };
        let part = |part: mdgl_core::RecordedPart<F>| RecordedPart {
            name: part.name,
            units: part.units.into(),
            variables: part.variables.into_iter().map(recorded).collect(),
        };
        Ok(parts.into_iter().map(part).collect())
    }

    pub fn evaluate(&mut self, encoded: &EncodedBatch) -> Result<Evaluation> {
        let assignment = self.assignment(encoded)?;
        Ok(mdgl_core::evaluate(&self.shared.snapshot(), assignment, &self.workers, self.cancel())?.into())
    }

    pub fn gradients(&mut self, encoded: &EncodedBatch) -> Result<Gradients> {
        self.gradients_of(&self.shared.snapshot(), self.assignment(encoded)?, None)
    }

    pub fn step(&mut self, encoded: &EncodedBatch) -> Result<StepReport> {
        self.step_of(&self.shared.snapshot(), self.assignment(encoded)?, None)
    }

    /// A profile as JSON.
    pub fn profile(&mut self, encoded: &EncodedBatch, options: ProfileOptions) -> Result<String> {
        let Self { shared, config, workers, .. } = self;
        let (assignment, training) = (config.assignment(encoded)?, config.training()?);
        profile(&shared.snapshot(), assignment, training, options, workers, &config.cancel)
    }

    fn gradients_of(
        &self,
        model: &Model<F>,
        assignment: Assignment<'_>,
        custom: Option<CustomLoss<F>>,
    ) -> Result<Gradients> {
        let rule = self.config.rule()?;
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
        let training = self.config.training()?;
        let (next, report) =
            mdgl_core::train_step(model, assignment, training, custom, &self.workers, self.cancel())?;
        Ok(self.publish(next, report, begun.elapsed()))
    }

    fn publish(&self, next: Model<F>, report: mdgl_core::StepReport, spent: Duration) -> StepReport {
        self.shared.publish(next);
        StepReport {
            evaluation: report.evaluation.into(),
            gradient_norm: report.gradient_norm,
            living: report.living.iter().map(|&count| count as u32).collect::<Vec<_>>().into(),
            engine_ms: spent.as_secs_f64() * 1000.0,
        }
    }

    fn cancel(&self) -> &AtomicBool {
        &self.config.cancel
    }

    fn assignment<'a>(&'a self, encoded: &'a EncodedBatch) -> Result<Assignment<'a>> {
        self.config.assignment(encoded)
    }
}

/// Jobs that leave a batch waiting, and those that answer it.
impl<F: Float> Engine<F> {
    /// Simulates a batch and returns its readouts; the batch waits for δ.
    pub fn forward(&mut self, encoded: Arc<EncodedBatch>) -> Result<(Ticket, Floats)> {
        let model = self.shared.snapshot();
        let forward = match &self.config.rule {
            Some(rule) => Forward::for_rule(&model, &encoded, rule, &self.workers, self.cancel())?,
            None => Forward::new(&model, &encoded, &self.workers, self.cancel())?,
        };
        let readout = forward.readout()?;
        let awaited = Awaited::Delta(forward);
        Ok((self.wait(Pending { model, encoded, awaited }), F::array(readout)))
    }

    /// Simulates a batch and returns its observation; the batch waits for the rule's signal.
    pub fn observe(&mut self, encoded: Arc<EncodedBatch>) -> Result<(Ticket, Observation)> {
        self.show(self.shared.snapshot(), encoded, None)
    }

    /// Computes this rank's share of a batch, which then waits for the messages of all ranks.
    pub fn share(&mut self, encoded: Arc<EncodedBatch>, share: Share, step: bool) -> Result<SharedProgress> {
        let (begun, model) = (Instant::now(), self.shared.snapshot());
        let (shared, message) = self.sharing(&model, &encoded, share, step)?.begin()?;
        let awaited = Awaited::Messages(PendingShared { share, step, shared, spent: begun.elapsed() });
        Ok(SharedProgress::Pending(self.wait(Pending { model, encoded, awaited }), message))
    }

    /// The observation of a batch whose custom loss is known; it waits for the rule's signal.
    pub fn observe_pending(&mut self, ticket: Ticket, score: &Score) -> Result<(Ticket, Observation)> {
        let Pending { model, encoded, awaited } = self.take(ticket)?;
        let Awaited::Delta(forward) = awaited else { return Err(another_answer()) };
        // The batch is simulated again, with more that is kept: its memory is needed.
        drop(forward);
        self.show(model, encoded, Some(score))
    }

    /// Gradients from JavaScript's answer.
    pub fn gradients_pending(&mut self, ticket: Ticket, answer: Answer) -> Result<Gradients> {
        let Pending { model, encoded, awaited } = self.take(ticket)?;
        let assignment = self.assignment(&encoded)?;
        match (awaited, answer) {
            (Awaited::Delta(forward), Answer::Score(score)) => {
                let custom = CustomLoss { forward, score };
                self.gradients_of(&model, assignment, Some(custom))
            }
            (Awaited::Signal(observed), Answer::Signal(signal)) => {
                let factor = ThirdFactor { observed, signal: &signal };
                let (evaluation, gradients) = mdgl_core::gradients_from_signal(
                    &model,
                    assignment,
                    factor,
                    &self.workers,
                    self.cancel(),
                )?;
                wrap_gradients(&model, evaluation, &gradients)
            }
            _ => Err(another_answer()),
        }
    }

    /// The evaluation of a batch from what its custom losses say.
    pub fn evaluate_pending(&mut self, ticket: Ticket, score: Score) -> Result<Evaluation> {
        let Pending { model, encoded, awaited } = self.take(ticket)?;
        let Awaited::Delta(forward) = awaited else { return Err(another_answer()) };
        let (assignment, custom) = (self.assignment(&encoded)?, CustomLoss { forward, score });
        let evaluation =
            mdgl_core::evaluate_custom(&model, assignment, custom, &self.workers, self.cancel())?;
        Ok(evaluation.into())
    }

    /// A training step from JavaScript's answer.
    pub fn step_pending(&mut self, ticket: Ticket, answer: Answer) -> Result<StepReport> {
        let begun = Instant::now();
        let Pending { model, encoded, awaited } = self.take(ticket)?;
        let assignment = self.assignment(&encoded)?;
        match (awaited, answer) {
            (Awaited::Delta(forward), Answer::Score(score)) => {
                let custom = CustomLoss { forward, score };
                self.step_of(&model, assignment, Some(custom))
            }
            (Awaited::Signal(observed), Answer::Signal(signal)) => {
                let factor = ThirdFactor { observed, signal: &signal };
                let (next, report) = mdgl_core::train_step_from_signal(
                    &model,
                    assignment,
                    factor,
                    self.config.optimiser()?,
                    &self.workers,
                    self.cancel(),
                )?;
                Ok(self.publish(next, report, begun.elapsed()))
            }
            _ => Err(another_answer()),
        }
    }

    /// The message of two neighbouring groups of ranks.
    pub fn merge(&self, ticket: Ticket, left: &[u8], right: &[u8]) -> Result<Vec<u8>> {
        let waiting = self.pending.as_ref().filter(|_| ticket == self.tickets).ok_or_else(no_longer)?;
        let Awaited::Messages(PendingShared { share, step, shared, .. }) = &waiting.awaited else {
            return Err(another_answer());
        };
        Ok(self.sharing(&waiting.model, &waiting.encoded, *share, *step)?.merge(shared, left, right)?)
    }

    /// Continues with the messages of all ranks, each or merged.
    pub fn proceed(&mut self, ticket: Ticket, messages: &[&[u8]]) -> Result<SharedProgress> {
        let begun = Instant::now();
        let Pending { model, encoded, awaited } = self.take(ticket)?;
        let Awaited::Messages(PendingShared { share, step, shared, spent }) = awaited else {
            return Err(another_answer());
        };
        match self.sharing(&model, &encoded, share, step)?.go_on(shared, messages)? {
            Turnout::More(shared, message) => {
                let spent = spent + begun.elapsed();
                let awaited = Awaited::Messages(PendingShared { share, step, shared, spent });
                Ok(SharedProgress::Pending(self.wait(Pending { model, encoded, awaited }), message))
            }
            Turnout::Trained(next, report) => {
                Ok(SharedProgress::Trained(self.publish(*next, report, spent + begun.elapsed())))
            }
            Turnout::Evaluated(evaluation) => Ok(SharedProgress::Evaluated(evaluation.into())),
        }
    }

    fn wait(&mut self, pending: Pending<F>) -> Ticket {
        self.pending = Some(pending);
        self.tickets += 1;
        self.tickets
    }

    /// Removes the waiting batch of a ticket.
    fn take(&mut self, ticket: Ticket) -> Result<Pending<F>> {
        let pending = if ticket == self.tickets { self.pending.take() } else { None };
        pending.ok_or_else(no_longer)
    }

    fn show(
        &mut self,
        model: Arc<Model<F>>,
        encoded: Arc<EncodedBatch>,
        score: Option<&Score>,
    ) -> Result<(Ticket, Observation)> {
        let assignment = self.assignment(&encoded)?;
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
        let awaited = Awaited::Signal(observed);
        Ok((self.wait(Pending { model, encoded, awaited }), observation))
    }

    fn sharing<'a>(
        &'a self,
        model: &'a Model<F>,
        encoded: &'a EncodedBatch,
        share: Share,
        step: bool,
    ) -> Result<Sharing<'a, F>> {
        let training: Option<Training<'_>> = if step { Some(self.config.training()?) } else { None };
        let (assignment, workers, cancel) = (self.assignment(encoded)?, &self.workers, self.cancel());
        Ok(Sharing { model, assignment, training, share, workers, cancel })
    }
}

fn no_longer() -> Failure {
    Failure::bug("the batch no longer waits for an answer")
}

fn another_answer() -> Failure {
    Failure::bug("a batch got an answer of another kind than it waits for")
}

impl From<mdgl_core::Evaluation> for Evaluation {
    fn from(evaluation: mdgl_core::Evaluation) -> Self {
        let mdgl_core::Evaluation { loss, regulariser, accuracy, rate, losses } = evaluation;
        let losses = losses.into_iter().map(Into::into).collect();
        Self { loss, regulariser, accuracy: or_null(accuracy), rate, losses }
    }
}

impl From<mdgl_core::LossReport> for LossReport {
    fn from(mdgl_core::LossReport { readout, loss, accuracy }: mdgl_core::LossReport) -> Self {
        Self { readout, loss, accuracy: or_null(accuracy) }
    }
}

fn or_null(number: Option<f64>) -> Either<f64, Null> {
    number.map_or(Either::B(Null), Either::A)
}

/// Triples (trial, step, unit); an event of count n is listed n times.
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

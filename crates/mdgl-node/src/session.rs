//! Sessions: a thread with a queue of jobs that works on one model.

use std::sync::Arc;

use mdgl_core::description::recording::Choices;
use mdgl_core::{Part, Score, Share};
use napi::Env;
use napi::bindgen_prelude::{
    Either, Float32Array, Float64Array, Object, ObjectFinalize, This, Uint8Array, Uint8ArraySlice,
};
use napi_derive::napi;

use crate::background::end_with_environment;
use crate::batch::EncodedBatch;
use crate::config::{Plan, SessionConfig};
use crate::engine::{Answer, SharedProgress, Ticket};
use crate::error::Result;
use crate::float::for_float;
use crate::held::{self, Held};
use crate::model::NativeModel;
use crate::network::PlainValue;
use crate::number::to_usize;
use crate::profile::ProfilePlan;
use crate::results::{Evaluation, Observation, StepReport};
use crate::worker::{OpenWorker, Worker, submit};

/// A thread of the engine that works on one model; jobs run one after another.
#[napi(custom_finalize)]
pub struct Session {
    worker: Arc<Held<OpenWorker>>,
}

impl ObjectFinalize for Session {
    fn finalize(self, env: Env) -> napi::Result<()> {
        self.worker.release(&env);
        Ok(())
    }
}

#[napi]
impl Session {
    /// Starts the thread.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: &Env, model: &NativeModel, plan: Plan, threads: f64) -> napi::Result<Self> {
        let config = SessionConfig::new(&plan)?;
        let cancel = Arc::clone(&config.cancel);
        let threads = to_usize(threads, "threads")?;
        let engine = model.model()?.engine(config, threads)?;
        let worker = Arc::new(Worker::start(engine, threads, cancel)?);
        end_with_environment(env, Arc::clone(&worker))?;
        Ok(Self { worker: Held::new(OpenWorker(worker)) })
    }

    /// Watches the session, which is closed once it is garbage; to be called once.
    #[napi(catch_unwind)]
    pub fn watch(&self, env: &Env, this: This<'_>) -> napi::Result<()> {
        held::watch(env, &this.object, &self.worker, 0)
    }

    /// Runs a batch and records it; with targets, learning and modulatory signals too.
    #[napi(catch_unwind, ts_return_type = "Promise<Recording>")]
    pub fn simulate<'env>(
        &self,
        env: &'env Env,
        batch: &EncodedBatch,
        voltage: bool,
        inputs: bool,
    ) -> napi::Result<Object<'env>> {
        let encoded = batch.take(env)?;
        submit(
            &self.worker,
            env,
            move |engine| for_float!(engine, engine => engine.simulate(&encoded, voltage, inputs)),
        )
    }

    /// Runs a batch and records chosen variables of chosen units; of options the parts `record` and `layout`.
    #[napi(catch_unwind, ts_return_type = "Promise<RecordedPart[]>")]
    pub fn simulate_chosen<'env>(
        &self,
        env: &'env Env,
        batch: &EncodedBatch,
        options: PlainValue,
    ) -> napi::Result<Object<'env>> {
        let choices = options.read("options", Choices::read)?;
        let encoded = batch.take(env)?;
        submit(
            &self.worker,
            env,
            move |engine| for_float!(engine, engine => engine.simulate_chosen(&encoded, &choices)),
        )
    }

    /// Loss, accuracy and rate of a batch.
    #[napi(catch_unwind, ts_return_type = "Promise<Evaluation>")]
    pub fn evaluate<'env>(&self, env: &'env Env, batch: &EncodedBatch) -> napi::Result<Object<'env>> {
        let encoded = batch.take(env)?;
        submit(&self.worker, env, move |engine| for_float!(engine, engine => engine.evaluate(&encoded)))
    }

    /// Gradients of a batch.
    #[napi(catch_unwind, ts_return_type = "Promise<Gradients>")]
    pub fn gradients<'env>(&self, env: &'env Env, batch: &EncodedBatch) -> napi::Result<Object<'env>> {
        let encoded = batch.take(env)?;
        submit(&self.worker, env, move |engine| for_float!(engine, engine => engine.gradients(&encoded)))
    }

    /// A training step.
    #[napi(catch_unwind, ts_return_type = "Promise<StepReport>")]
    pub fn step<'env>(&self, env: &'env Env, batch: &EncodedBatch) -> napi::Result<Object<'env>> {
        let encoded = batch.take(env)?;
        submit(&self.worker, env, move |engine| for_float!(engine, engine => engine.step(&encoded)))
    }

    /// Simulates a batch, which then waits for its custom loss.
    #[napi(catch_unwind, ts_return_type = "Promise<PendingReadout>")]
    pub fn forward<'env>(&self, env: &'env Env, batch: &EncodedBatch) -> napi::Result<Object<'env>> {
        let (encoded, session) = (batch.share()?, Arc::clone(&self.worker));
        submit(&self.worker, env, move |engine| {
            let (ticket, readout) = for_float!(engine, engine => engine.forward(encoded))?;
            Ok(PendingReadout { pending: PendingBatch { session, ticket }, readout })
        })
    }

    /// Simulates a batch, which then waits for the signal of a rule of JavaScript's.
    #[napi(catch_unwind, ts_return_type = "Promise<PendingObservation>")]
    pub fn observe<'env>(&self, env: &'env Env, batch: &EncodedBatch) -> napi::Result<Object<'env>> {
        let (encoded, session) = (batch.take(env)?, Arc::clone(&self.worker));
        submit(&self.worker, env, move |engine| {
            let (ticket, observation) = for_float!(engine, engine => engine.observe(encoded))?;
            Ok(PendingObservation { pending: PendingBatch { session, ticket }, observation })
        })
    }

    /// Computes this rank's share of a batch, of a training step or an evaluation; it then waits for the messages of all ranks.
    /// With `whole` the batch has this rank's trials alone.
    #[napi(catch_unwind, ts_return_type = "Promise<SharedResult>")]
    pub fn share<'env>(
        &self,
        env: &'env Env,
        batch: &EncodedBatch,
        place: Rank,
        step: bool,
        whole: Option<WholeBatch>,
    ) -> napi::Result<Object<'env>> {
        let (share, mut encoded) = (place.share()?, batch.take(env)?);
        if let Some(whole) = whole {
            Arc::make_mut(&mut encoded).part = Some(whole.part(share)?);
        }
        let session = Arc::clone(&self.worker);
        submit(&self.worker, env, move |engine| {
            let progress = for_float!(engine, engine => engine.share(encoded, share, step))?;
            Ok(SharedResult::new(session, progress))
        })
    }

    /// Profiles training iterations on a batch; the model is unchanged. Returns JSON.
    #[napi(catch_unwind, ts_return_type = "Promise<string>")]
    pub fn profile<'env>(
        &self,
        env: &'env Env,
        batch: &EncodedBatch,
        plan: ProfilePlan,
    ) -> napi::Result<Object<'env>> {
        let (encoded, options) = (batch.take(env)?, plan.options()?);
        submit(
            &self.worker,
            env,
            move |engine| for_float!(engine, engine => engine.profile(&encoded, options)),
        )
    }

    /// Stops the running job and all later ones.
    #[napi(catch_unwind)]
    pub fn cancel(&self) -> napi::Result<()> {
        if let Some(OpenWorker(worker)) = &*self.worker.lock() {
            worker.cancel();
        }
        Ok(())
    }

    /// Stops all jobs; the promise settles once the thread has released the model. No thread blocks meanwhile: the rest of a
    /// block of trials may take long.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn close<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let (deferred, promise) = env.create_deferred()?;
        let held = Arc::clone(&self.worker);
        let settle = move || {
            deferred.resolve(move |env| {
                held.report(&env, 0);
                Ok(())
            });
        };
        match &*self.worker.lock() {
            Some(OpenWorker(worker)) => worker.close(Box::new(settle)),
            None => settle(),
        }
        Ok(promise)
    }
}

/// A batch that waits for an answer from JavaScript. A session has one at a time: the next one, or the session's end,
/// releases it.
#[napi]
pub struct PendingBatch {
    session: Arc<Held<OpenWorker>>,
    ticket: Ticket,
}

#[napi]
impl PendingBatch {
    /// The observation of the batch for a rule of JavaScript's, given its custom loss.
    #[napi(catch_unwind, ts_return_type = "Promise<PendingObservation>")]
    pub fn observe<'env>(&self, env: &'env Env, score: CustomScore) -> napi::Result<Object<'env>> {
        let (session, ticket, score) = (Arc::clone(&self.session), self.ticket, score.copy());
        submit(&self.session, env, move |engine| {
            let (ticket, observation) = for_float!(engine, engine => engine.observe_pending(ticket, &score))?;
            Ok(PendingObservation { pending: Self { session, ticket }, observation })
        })
    }

    /// Gradients from a custom loss, or from the signal `[trial][step][neuron]` of a rule.
    #[napi(catch_unwind, ts_return_type = "Promise<Gradients>")]
    pub fn gradients<'env>(
        &self,
        env: &'env Env,
        answer: Either<Float64Array, CustomScore>,
    ) -> napi::Result<Object<'env>> {
        let (ticket, answer) = (self.ticket, copy(&answer));
        submit(
            &self.session,
            env,
            move |engine| for_float!(engine, engine => engine.gradients_pending(ticket, answer)),
        )
    }

    /// The evaluation with a custom loss.
    #[napi(catch_unwind, ts_return_type = "Promise<Evaluation>")]
    pub fn evaluate<'env>(&self, env: &'env Env, score: CustomScore) -> napi::Result<Object<'env>> {
        let (ticket, score) = (self.ticket, score.copy());
        submit(
            &self.session,
            env,
            move |engine| for_float!(engine, engine => engine.evaluate_pending(ticket, score)),
        )
    }

    /// A training step from the same.
    #[napi(catch_unwind, ts_return_type = "Promise<StepReport>")]
    pub fn step<'env>(
        &self,
        env: &'env Env,
        answer: Either<Float64Array, CustomScore>,
    ) -> napi::Result<Object<'env>> {
        let (ticket, answer) = (self.ticket, copy(&answer));
        submit(
            &self.session,
            env,
            move |engine| for_float!(engine, engine => engine.step_pending(ticket, answer)),
        )
    }

    /// The message of two neighbouring groups of ranks, from those of each.
    #[napi(catch_unwind, ts_return_type = "Promise<Uint8Array>")]
    pub fn merge<'env>(&self, env: &'env Env, left: &[u8], right: &[u8]) -> napi::Result<Object<'env>> {
        let (ticket, left, right) = (self.ticket, left.to_vec(), right.to_vec());
        submit(&self.session, env, move |engine| {
            let merged = for_float!(engine, engine => engine.merge(ticket, &left, &right))?;
            Ok(Uint8Array::from(merged))
        })
    }

    /// Continues with the messages of all ranks, in the order of the ranks, each or merged.
    #[napi(catch_unwind, ts_return_type = "Promise<SharedResult>")]
    pub fn proceed<'env>(
        &self,
        env: &'env Env,
        messages: Vec<Uint8ArraySlice<'_>>,
    ) -> napi::Result<Object<'env>> {
        let lengths: Vec<usize> = messages.iter().map(|message| message.len()).collect();
        // One copy of all, which no JavaScript can change.
        let mut all = Vec::with_capacity(lengths.iter().sum());
        messages.iter().for_each(|message| all.extend_from_slice(message));
        let (session, ticket) = (Arc::clone(&self.session), self.ticket);
        submit(&self.session, env, move |engine| {
            let mut rest = &all[..];
            let own = |&length: &usize| rest.split_off(..length).unwrap_or_default();
            let messages: Vec<&[u8]> = lengths.iter().map(own).collect();
            let progress = for_float!(engine, engine => engine.proceed(ticket, &messages))?;
            Ok(SharedResult::new(session, progress))
        })
    }
}

/// δ of a batch from custom losses, and the loss and accuracy of each.
#[napi(object, object_to_js = false)]
pub struct CustomScore {
    /// ∂E/∂y before weights, of all readouts, `[trial][step][unit]`.
    pub delta: Float64Array,
    /// One per custom loss, in the order of the objective.
    pub losses: Vec<CustomTerm>,
}

/// Loss and accuracy from one custom loss.
#[napi(object, object_to_js = false)]
pub struct CustomTerm {
    /// The loss before its weight.
    pub loss: f64,
    /// Accuracy, reported unchanged.
    pub accuracy: Option<f64>,
}

impl CustomScore {
    fn copy(&self) -> Score {
        let own = |&CustomTerm { loss, accuracy }: &CustomTerm| mdgl_core::CustomTerm { loss, accuracy };
        Score { delta: self.delta.to_vec(), losses: self.losses.iter().map(own).collect() }
    }
}

fn copy(answer: &Either<Float64Array, CustomScore>) -> Answer {
    match answer {
        Either::A(signal) => Answer::Signal(signal.to_vec()),
        Either::B(score) => Answer::Score(score.copy()),
    }
}

/// A simulated batch that waits for a custom loss.
#[napi(object, object_from_js = false)]
pub struct PendingReadout {
    /// Takes the answer.
    pub pending: PendingBatch,
    /// Readouts `[trial][step][unit]`.
    pub readout: Either<Float32Array, Float64Array>,
}

/// A simulated batch that waits for a rule of JavaScript's.
#[napi(object, object_from_js = false)]
pub struct PendingObservation {
    /// Takes the answer.
    pub pending: PendingBatch,
    /// The observation of the batch.
    pub observation: Observation,
}

/// A process's place among those that compute together.
#[napi(object, object_to_js = false)]
pub struct Rank {
    /// Index of the process, from 0 on.
    pub rank: f64,
    /// Number of processes.
    pub size: f64,
}

impl Rank {
    fn share(&self) -> Result<Share> {
        let (rank, ranks) =
            (to_usize(self.rank, "collective.rank")?, to_usize(self.size, "collective.size")?);
        Ok(Share::new(rank, ranks)?)
    }
}

/// The whole batch of which a process holds its share alone.
#[napi(object, object_to_js = false)]
pub struct WholeBatch {
    /// Number of trials.
    pub trials: f64,
    /// Number of windows of the targets, one entry per loss; 0 where they have none.
    pub windows: Vec<f64>,
}

impl WholeBatch {
    fn part(&self, share: Share) -> Result<Part> {
        let trials = to_usize(self.trials, "batch.range.of")?;
        let windows = self.windows.iter().map(|&count| to_usize(count, "batch.range.windows"));
        Ok(Part { first: share.trials(trials).start, trials, windows: windows.collect::<Result<_>>()? })
    }
}

/// Progress of a batch that several processes compute together: it waits, or it is finished.
#[napi(object, object_from_js = false)]
#[derive(Default)]
pub struct SharedResult {
    /// Takes the messages of all ranks.
    pub pending: Option<PendingBatch>,
    /// Message for every rank, this one included; set while the batch waits.
    pub message: Option<Uint8Array>,
    /// The finished training step.
    pub report: Option<StepReport>,
    /// The finished evaluation.
    pub evaluation: Option<Evaluation>,
}

impl SharedResult {
    fn new(session: Arc<Held<OpenWorker>>, progress: SharedProgress) -> Self {
        match progress {
            SharedProgress::Pending(ticket, message) => {
                let pending = Some(PendingBatch { session, ticket });
                Self { pending, message: Some(message.into()), ..Self::default() }
            }
            SharedProgress::Trained(report) => Self { report: Some(report), ..Self::default() },
            SharedProgress::Evaluated(evaluation) => Self { evaluation: Some(evaluation), ..Self::default() },
        }
    }
}

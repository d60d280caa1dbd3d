//! Sessions: a thread with a queue of jobs that works on one model.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use mdgl_core::{FairSemaphore, Permit, Share};
use napi::Env;
use napi::bindgen_prelude::{Object, ObjectFinalize, This, ToNapiValue, Uint8Array};
use napi_derive::napi;

use crate::background::{Ending, end_with_environment, guarded};
use crate::batch::PackedBatch;
use crate::config::{Plan, SessionConfig};
use crate::error::{Failure, Result};
use crate::held::{self, Held};
use crate::model::NativeModel;
use crate::number::to_usize;
use crate::profile::ProfilePlan;
use crate::runner::Runner;
use crate::semaphore;

/// A thread of the engine at work on a model; jobs run one after another.
#[napi(custom_finalize)]
pub struct Session {
    worker: Arc<Held<Open>>,
}

/// What a session keeps open until it is closed or collected.
struct Open(Arc<Worker>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.close(Box::new(|| ()));
    }
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
        let runner = model.model()?.runner(config, threads)?;
        let worker = Arc::new(Worker::start(runner, threads, cancel)?);
        end_with_environment(env, Arc::clone(&worker))?;
        Ok(Self { worker: Held::new(Open(worker)) })
    }

    /// Watches the session: where it has become garbage it is closed. To be called once.
    #[napi(catch_unwind)]
    pub fn watch(&self, env: &Env, this: This<'_>) -> napi::Result<()> {
        held::watch(env, &this.object, &self.worker, 0)
    }

    /// Runs a batch and records it; with targets, learning and modulatory signals too.
    #[napi(catch_unwind, ts_return_type = "Promise<Recording>")]
    pub fn simulate<'env>(
        &self,
        env: &'env Env,
        batch: &PackedBatch,
        voltage: bool,
        inputs: bool,
    ) -> napi::Result<Object<'env>> {
        let work = batch.take(env)?;
        self.submit(env, move |runner| runner.simulate(&work, voltage, inputs))
    }

    /// Loss, accuracy and rate of a batch.
    #[napi(catch_unwind, ts_return_type = "Promise<Evaluation>")]
    pub fn evaluate<'env>(&self, env: &'env Env, batch: &PackedBatch) -> napi::Result<Object<'env>> {
        let work = batch.take(env)?;
        self.submit(env, move |runner| runner.evaluate(&work))
    }

    /// Gradients of a batch.
    #[napi(catch_unwind, ts_return_type = "Promise<Gradients>")]
    pub fn gradients<'env>(&self, env: &'env Env, batch: &PackedBatch) -> napi::Result<Object<'env>> {
        let work = batch.take(env)?;
        self.submit(env, move |runner| runner.gradients(&work))
    }

    /// A training step.
    #[napi(catch_unwind, ts_return_type = "Promise<StepReport>")]
    pub fn step<'env>(&self, env: &'env Env, batch: &PackedBatch) -> napi::Result<Object<'env>> {
        let work = batch.take(env)?;
        self.submit(env, move |runner| runner.step(&work))
    }

    /// Readouts `[trial][step][unit]` of a batch, which is kept for `gradientsFrom`, `stepFrom` or another job.
    #[napi(catch_unwind, ts_return_type = "Promise<Float32Array | Float64Array>")]
    pub fn forward<'env>(&self, env: &'env Env, batch: &PackedBatch) -> napi::Result<Object<'env>> {
        let work = batch.share()?;
        self.submit(env, move |runner| runner.forward(work))
    }

    /// Gradients of the batch kept, for δ at the readouts `[trial][step][unit]`.
    #[napi(catch_unwind, ts_return_type = "Promise<Gradients>")]
    pub fn gradients_from<'env>(
        &self,
        env: &'env Env,
        delta: &[f64],
        loss: f64,
    ) -> napi::Result<Object<'env>> {
        let delta = delta.to_vec();
        self.submit(env, move |runner| runner.gradients_from(delta, loss))
    }

    /// A training step on the batch kept, for δ at the readouts `[trial][step][unit]`.
    #[napi(catch_unwind, ts_return_type = "Promise<StepReport>")]
    pub fn step_from<'env>(&self, env: &'env Env, delta: &[f64], loss: f64) -> napi::Result<Object<'env>> {
        let delta = delta.to_vec();
        self.submit(env, move |runner| runner.step_from(delta, loss))
    }

    /// Runs a batch and shows it to a rule of JavaScript's; it is kept for `gradientsFromSignal` or `stepFromSignal`.
    #[napi(catch_unwind, ts_return_type = "Promise<Observation>")]
    pub fn observe<'env>(&self, env: &'env Env, batch: &PackedBatch) -> napi::Result<Object<'env>> {
        let work = batch.take(env)?;
        self.submit(env, move |runner| runner.observe(work))
    }

    /// The same for the batch that `forward` kept, with δ at the readouts `[trial][step][unit]`.
    #[napi(catch_unwind, ts_return_type = "Promise<Observation>")]
    pub fn observe_from<'env>(&self, env: &'env Env, delta: &[f64], loss: f64) -> napi::Result<Object<'env>> {
        let delta = delta.to_vec();
        self.submit(env, move |runner| runner.observe_from(delta, loss))
    }

    /// Gradients of the batch shown, for a signal `[trial][step][neuron]`.
    #[napi(catch_unwind, ts_return_type = "Promise<Gradients>")]
    pub fn gradients_from_signal<'env>(&self, env: &'env Env, signal: &[f64]) -> napi::Result<Object<'env>> {
        let signal = signal.to_vec();
        self.submit(env, move |runner| runner.gradients_from_signal(&signal))
    }

    /// A training step on the batch shown, for a signal `[trial][step][neuron]`.
    #[napi(catch_unwind, ts_return_type = "Promise<StepReport>")]
    pub fn step_from_signal<'env>(&self, env: &'env Env, signal: &[f64]) -> napi::Result<Object<'env>> {
        let signal = signal.to_vec();
        self.submit(env, move |runner| runner.step_from_signal(&signal))
    }

    /// This rank's share of a batch, of a training step or an evaluation; it waits for `continueShared`.
    #[napi(catch_unwind, ts_return_type = "Promise<SharedResult>")]
    pub fn begin_shared<'env>(
        &self,
        env: &'env Env,
        batch: &PackedBatch,
        rank: f64,
        ranks: f64,
        step: bool,
    ) -> napi::Result<Object<'env>> {
        let (rank, ranks) = (to_usize(rank, "collective.rank")?, to_usize(ranks, "collective.size")?);
        let share = Share::new(rank, ranks).map_err(Failure::from)?;
        let work = batch.take(env)?;
        self.submit(env, move |runner| runner.begin_shared(work, share, step))
    }

    /// Goes on with the messages of all ranks, in their order.
    #[napi(catch_unwind, ts_return_type = "Promise<SharedResult>")]
    pub fn continue_shared<'env>(
        &self,
        env: &'env Env,
        messages: Vec<Uint8Array>,
    ) -> napi::Result<Object<'env>> {
        let messages: Vec<Vec<u8>> = messages.iter().map(|message| message.to_vec()).collect();
        self.submit(env, move |runner| runner.continue_shared(&messages))
    }

    /// Profiles training iterations on a batch; the model is left as it is. Gives JSON.
    #[napi(catch_unwind, ts_return_type = "Promise<string>")]
    pub fn profile<'env>(
        &self,
        env: &'env Env,
        batch: &PackedBatch,
        plan: ProfilePlan,
    ) -> napi::Result<Object<'env>> {
        let (work, options) = (batch.take(env)?, plan.options()?);
        self.submit(env, move |runner| runner.profile(&work, options))
    }

    /// Stops the running job and all later ones.
    #[napi(catch_unwind)]
    pub fn cancel(&self) -> napi::Result<()> {
        if let Some(Open(worker)) = &*self.worker.lock() {
            worker.cancel();
        }
        Ok(())
    }

    /// Stops what still runs; settles once the thread has let go of the model. Nobody waits meanwhile: it takes the rest of a
    /// block of trials, which may be long.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn close<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let (deferred, promise) = env.create_deferred()?;
        let held = Arc::clone(&self.worker);
        let settle = move || {
            deferred.resolve(move |env| {
                held.tell(&env, 0);
                Ok(())
            });
        };
        match &*self.worker.lock() {
            Some(Open(worker)) => worker.close(Box::new(settle)),
            None => settle(),
        }
        Ok(promise)
    }

    /// Queues a job; its result settles the promise, and V8 hears how much memory the session then holds.
    fn submit<'env, T>(
        &self,
        env: &'env Env,
        job: impl FnOnce(&mut dyn Runner) -> Result<T> + Send + 'static,
    ) -> napi::Result<Object<'env>>
    where
        T: ToNapiValue + Send + 'static,
    {
        let worker = self.worker.lock();
        let Some(Open(worker)) = &*worker else { return Err(Failure::cancelled().into()) };
        let queue = worker.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = queue.as_ref() else { return Err(Failure::cancelled().into()) };
        let (deferred, promise) = env.create_deferred()?;
        let held = Arc::clone(&self.worker);
        let job = Box::new(move |runner: &mut dyn Runner| match guarded(|| job(runner)) {
            Ok(value) => {
                let bytes = runner.bytes();
                deferred.resolve(move |env| {
                    held.tell(&env, bytes);
                    Ok(value)
                });
            }
            Err(failure) => deferred.reject(failure.into()),
        });
        queue.send(Message::Job(job)).map_err(|_| Failure::bug("a session's thread has ended"))?;
        Ok(promise)
    }
}

type Job = Box<dyn FnOnce(&mut dyn Runner) + Send>;

enum Message {
    Job(Job),
    /// The last one; what is to be done once the model is free.
    End(Box<dyn FnOnce() + Send>),
}

/// The thread, from outside.
struct Worker {
    cancel: Arc<AtomicBool>,
    semaphore: &'static FairSemaphore,
    /// `None` once it was told to end.
    queue: Mutex<Option<Sender<Message>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Worker {
    fn start(runner: Box<dyn Runner>, threads: usize, cancel: Arc<AtomicBool>) -> Result<Self> {
        let (queue, messages) = channel();
        let (semaphore, stop) = (semaphore::of_process()?, Arc::clone(&cancel));
        let thread = thread::Builder::new()
            .name("mdgl".into())
            .spawn(move || work(runner, &messages, || semaphore.take(threads, &stop)))
            .map_err(Failure::no_thread)?;
        Ok(Self { cancel, semaphore, queue: Mutex::new(Some(queue)), thread: Mutex::new(Some(thread)) })
    }

    fn cancel(&self) {
        self.cancel.store(true, Ordering::Relaxed);
        self.semaphore.wake();
    }

    /// Stops all that runs; `then` is called once the thread has let go of the model, at once where it had.
    fn close(&self, then: Box<dyn FnOnce() + Send>) {
        self.cancel();
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        match queue {
            // Jobs catch their panics: the thread is there until it has been told to end.
            Some(queue) => drop(queue.send(Message::End(then))),
            None => then(),
        }
    }
}

impl Ending for Arc<Worker> {
    fn is_over(&self) -> bool {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn end(self: Box<Self>) {
        self.close(Box::new(|| ()));
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Jobs catch their panics, so there is nothing to learn from the thread's end.
            let _ = thread.join();
        }
    }
}

/// The thread's body: jobs in order until it is told to end, each once its threads are free; those left over when it was cancelled get
/// none and fail at once. A runner publishes a model only at the end of a step, so a panic in the middle leaves nothing
/// half done.
fn work<'a>(
    mut runner: Box<dyn Runner>,
    messages: &Receiver<Message>,
    permit: impl Fn() -> Option<Permit<'a>>,
) {
    for message in messages {
        match message {
            Message::Job(job) => {
                let _permit = permit();
                job(runner.as_mut());
            }
            Message::End(then) => {
                drop(runner);
                return then();
            }
        }
    }
}

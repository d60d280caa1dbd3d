//! The thread of a session: a queue of jobs on one engine.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use mdgl_core::{FairSemaphore, Permit};
use napi::Env;
use napi::bindgen_prelude::{Object, ToNapiValue};

use crate::background::{Ending, guarded};
use crate::engine::AnyEngine;
use crate::error::{Failure, Result};
use crate::float::for_float;
use crate::held::Held;
use crate::semaphore;

/// The worker of a session, closed when the session is closed or collected.
pub struct OpenWorker(pub Arc<Worker>);

impl Drop for OpenWorker {
    fn drop(&mut self) {
        self.0.close(Box::new(|| ()));
    }
}

/// Queues a job; its result settles the promise, and the session's memory is reported to V8.
pub fn submit<'env, T>(
    session: &Arc<Held<OpenWorker>>,
    env: &'env Env,
    job: impl FnOnce(&mut AnyEngine) -> Result<T> + Send + 'static,
) -> napi::Result<Object<'env>>
where
    T: ToNapiValue + Send + 'static,
{
    let worker = session.lock();
    let Some(OpenWorker(worker)) = &*worker else { return Err(Failure::cancelled().into()) };
    let queue = worker.queue.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(queue) = queue.as_ref() else { return Err(Failure::cancelled().into()) };
    let (deferred, promise) = env.create_deferred()?;
    let held = Arc::clone(session);
    let job = Box::new(move |engine: &mut AnyEngine| match guarded(|| job(engine)) {
        Ok(value) => {
            let bytes = for_float!(engine, engine => engine.bytes());
            deferred.resolve(move |env| {
                held.report(&env, bytes);
                Ok(value)
            });
        }
        Err(failure) => deferred.reject(failure.into()),
    });
    queue.send(WorkerMessage::Job(job)).map_err(|_| Failure::bug("a session's thread has ended"))?;
    Ok(promise)
}

type EngineJob = Box<dyn FnOnce(&mut AnyEngine) + Send>;

enum WorkerMessage {
    Job(EngineJob),
    /// The last message, with a function to call once the model is released.
    End(Box<dyn FnOnce() + Send>),
}

/// Handle of the thread.
pub struct Worker {
    cancel: Arc<AtomicBool>,
    semaphore: &'static FairSemaphore,
    /// `None` once the end was requested.
    queue: Mutex<Option<Sender<WorkerMessage>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Worker {
    /// Starts the thread.
    pub fn start(engine: AnyEngine, threads: usize, cancel: Arc<AtomicBool>) -> Result<Self> {
        let (queue, messages) = channel();
        let (semaphore, stop) = (semaphore::of_process()?, Arc::clone(&cancel));
        let thread = thread::Builder::new()
            .name("mdgl".into())
            .spawn(move || work(engine, &messages, || semaphore.take(threads, &stop)))
            .map_err(Failure::no_thread)?;
        Ok(Self { cancel, semaphore, queue: Mutex::new(Some(queue)), thread: Mutex::new(Some(thread)) })
    }

    /// Stops the running job and all later ones.
    pub fn cancel(&self) {
        self.cancel.store(true, Ordering::Relaxed);
        self.semaphore.wake();
    }

    /// Stops all jobs; `then` is called once the thread has released the model, at once if it already has.
    pub fn close(&self, then: Box<dyn FnOnce() + Send>) {
        self.cancel();
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        match queue {
            // Jobs catch their panics: the thread lives until its end is requested.
            Some(queue) => drop(queue.send(WorkerMessage::End(then))),
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
            // Jobs catch their panics, so the thread's result has no information.
            let _ = thread.join();
        }
    }
}

/// The thread's body: runs jobs in order until the end is requested, each once its threads are free; jobs left after a
/// cancellation get no threads and fail at once. An engine publishes a model only at the end of a step, so a panic in the middle leaves nothing
/// half done.
fn work<'a>(
    mut engine: AnyEngine,
    messages: &Receiver<WorkerMessage>,
    permit: impl Fn() -> Option<Permit<'a>>,
) {
    for message in messages {
        match message {
            WorkerMessage::Job(job) => {
                let _permit = permit();
                job(&mut engine);
            }
            WorkerMessage::End(then) => {
                drop(engine);
                return then();
            }
        }
    }
}

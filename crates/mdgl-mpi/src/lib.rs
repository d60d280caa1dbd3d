//! The processes that `mpirun` started, as JavaScript's promises.
//!
//! MPI runs on one thread of its own, from its start to its end, so JavaScript's thread never waits for a message. A
//! process that leaves sends a marker in place of a length: the others then fail instead of waiting for it.

mod gather;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use mpi::Threading;
use mpi::topology::{Communicator, SimpleCommunicator};
use napi::bindgen_prelude::{Object, ToNapiValue, Uint8Array};
use napi::{Env, Error, Result};
use napi_derive::napi;

use gather::{Gathered, gather, leave, meet, receive, send};

type Job = Box<dyn FnOnce(&SimpleCommunicator) + Send>;

/// The group of processes, with this one's rank.
#[napi]
pub struct World {
    rank: u32,
    size: u32,
    /// Messages on their way.
    pending: Arc<AtomicUsize>,
    running: Mutex<Option<Running>>,
}

struct Running {
    queue: Sender<Job>,
    thread: JoinHandle<()>,
}

#[napi]
impl World {
    /// Starts MPI; once per process.
    #[napi(constructor)]
    pub fn new() -> Result<Self> {
        let (queue, jobs) = channel();
        let (started, start) = channel();
        let thread = thread::Builder::new().name("mdgl-mpi".into());
        let thread = thread.spawn(move || work(&started, &jobs))?;
        let place = start.recv().map_err(|_| Error::from_reason("MPI did not start"))?;
        let (rank, size) = place.map_err(Error::from_reason)?;
        let running = Mutex::new(Some(Running { queue, thread }));
        Ok(Self { rank, size, pending: Arc::default(), running })
    }

    /// Rank of this process.
    #[napi(getter)]
    pub fn rank(&self) -> u32 {
        self.rank
    }

    /// Number of processes.
    #[napi(getter)]
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Gathers one message per process, in the order of the ranks.
    #[napi(ts_return_type = "Promise<Uint8Array[]>")]
    pub fn all_gather<'env>(&self, env: &'env Env, message: Uint8Array) -> Result<Object<'env>> {
        let message = message.to_vec();
        self.run(env, move |world| {
            let Gathered { bytes, lengths } = gather(world, &message)?;
            Ok(split(&bytes, &lengths))
        })
    }

    /// Waits until every process has called it. What follows are messages between two processes each.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn meet<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        self.run(env, meet)
    }

    /// Sends a message to a process.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn send<'env>(&self, env: &'env Env, to: u32, message: Uint8Array) -> Result<Object<'env>> {
        let message = message.to_vec();
        self.run(env, move |world| send(world, to, &message))
    }

    /// Receives the message of a process.
    #[napi(ts_return_type = "Promise<Uint8Array>")]
    pub fn receive<'env>(&self, env: &'env Env, from: u32) -> Result<Object<'env>> {
        self.run(env, move |world| Ok(Uint8Array::from(receive(world, from))))
    }

    /// Does something on MPI's thread; a promise of its result.
    fn run<'env, T: ToNapiValue + Send + 'static>(
        &self,
        env: &'env Env,
        work: impl FnOnce(&SimpleCommunicator) -> std::result::Result<T, String> + Send + 'static,
    ) -> Result<Object<'env>> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(running) = running.as_ref() else { return Err(Error::from_reason("this rank has left")) };
        let (deferred, promise) = env.create_deferred()?;
        let pending = Arc::clone(&self.pending);
        pending.fetch_add(1, Ordering::Relaxed);
        let job: Job = Box::new(move |world| {
            let done = work(world);
            pending.fetch_sub(1, Ordering::Relaxed);
            match done {
                Ok(value) => deferred.resolve(move |_| Ok(value)),
                Err(reason) => deferred.reject(Error::from_reason(reason)),
            }
        });
        running.queue.send(job).map_err(|_| Error::from_reason("MPI's thread has ended"))?;
        Ok(promise)
    }

    /// Leaves the group and ends MPI. False where other processes continue or a message is in transit: MPI cannot end then, and
    /// the process must not exit as if it had succeeded.
    #[napi]
    pub fn leave(&self) -> Result<bool> {
        if self.pending.load(Ordering::Relaxed) > 0 {
            return Ok(false);
        }
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Running { queue, thread }) = running else { return Ok(true) };
        let (answer, all) = channel();
        let job: Job = Box::new(move |world| {
            let all = leave(world);
            let _ = answer.send(all);
            // MPI's end waits for the others, which do not come.
            if !all {
                loop {
                    thread::park();
                }
            }
        });
        queue.send(job).map_err(|_| Error::from_reason("MPI's thread has ended"))?;
        drop(queue);
        if !all.recv().unwrap_or(false) {
            return Ok(false);
        }
        thread.join().map_err(|_| Error::from_reason("MPI did not end"))?;
        Ok(true)
    }
}

/// The thread's body; MPI ends with it.
fn work(started: &Sender<std::result::Result<(u32, u32), String>>, jobs: &Receiver<Job>) {
    let Some((universe, _)) = mpi::initialize_with_threading(Threading::Funneled) else {
        let _ = started.send(Err("MPI was started already in this process".into()));
        return;
    };
    let world = universe.world();
    let _ = started.send(Ok((world.rank() as u32, world.size() as u32)));
    jobs.iter().for_each(|job| job(&world));
}

fn split(bytes: &[u8], lengths: &[usize]) -> Vec<Uint8Array> {
    let mut rest = bytes;
    let take = |&length: &usize| {
        let (own, others) = rest.split_at(length);
        rest = others;
        Uint8Array::from(own.to_vec())
    };
    lengths.iter().map(take).collect()
}

//! Threads of the addon's own, and their end: before that of the environment, since its code may be unloaded after that.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};

use napi::Env;
use napi::bindgen_prelude::{Object, ToNapiValue};

use crate::error::{Failure, Result};

/// What must have ended before the environment ends.
pub trait Ending {
    /// Stops it and waits for its end.
    fn end(&self);
}

/// What may still run.
type Open = Rc<RefCell<Vec<Weak<dyn Ending>>>>;

thread_local! {
    /// What may still run of this thread's environment; set once its cleanup hook is.
    static OPEN: RefCell<Option<Open>> = const { RefCell::new(None) };
}

/// Ends it with the environment.
pub fn end_with_environment(env: &Env, ending: Weak<dyn Ending>) -> napi::Result<()> {
    OPEN.with_borrow_mut(|open| {
        let list = match open {
            Some(list) => Rc::clone(list),
            None => {
                let list = Open::default();
                env.add_env_cleanup_hook(Rc::clone(&list), |list| end_all(&list))?;
                Rc::clone(open.insert(list))
            }
        };
        let mut list = list.borrow_mut();
        list.retain(|ending| ending.strong_count() > 0);
        list.push(ending);
        Ok(())
    })
}

fn end_all(list: &RefCell<Vec<Weak<dyn Ending>>>) {
    for ending in list.borrow().iter().filter_map(Weak::upgrade) {
        ending.end();
    }
}

/// Runs something and turns a panic into an error.
pub fn guarded<T>(job: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|payload| Err(Failure::panic(payload.as_ref())))
}

/// A single piece of work.
#[derive(Default)]
struct Task {
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Ending for Task {
    /// It cannot be stopped: it is short, but for the making of large networks.
    fn end(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Panics of the work are caught, so there is nothing to learn from the thread's end.
        thread.map(JoinHandle::join);
    }
}

/// Runs something on a thread of its own; its result settles the promise.
pub fn compute<'env, T>(
    env: &'env Env,
    job: impl FnOnce() -> Result<T> + Send + 'static,
) -> napi::Result<Object<'env>>
where
    T: ToNapiValue + Send + 'static,
{
    let task: Arc<Task> = Arc::default();
    let ending: Weak<Task> = Arc::downgrade(&task);
    end_with_environment(env, ending)?;
    let (deferred, promise) = env.create_deferred()?;
    // The thread's own reference: nobody else holds the task while it runs.
    let own = Arc::clone(&task);
    let body = move || {
        match guarded(job) {
            Ok(value) => deferred.resolve(move |_| Ok(value)),
            Err(failure) => deferred.reject(failure.into()),
        }
        drop(own);
    };
    let thread = thread::Builder::new().name("mdgl".into()).spawn(body).map_err(Failure::no_thread)?;
    *task.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
    Ok(promise)
}

//! Background threads. All are joined before the Node environment is torn down, because the addon may be unloaded
//! afterwards.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::thread::{self, JoinHandle};

use napi::Env;
use napi::bindgen_prelude::{Object, ToNapiValue};

use crate::error::{Failure, Result};

/// Work that must have ended before the environment ends.
pub trait Ending {
    /// Whether it has ended by itself.
    fn is_over(&self) -> bool;
    /// Stops it, if it can be stopped, and waits for its end.
    fn end(self: Box<Self>);
}

/// Work that may still run.
type Open = Rc<RefCell<Vec<Box<dyn Ending>>>>;

thread_local! {
    /// Work of this thread's environment that may still run; set once its cleanup hook is.
    static OPEN: RefCell<Option<Open>> = const { RefCell::new(None) };
}

/// Ends it with the environment.
pub fn end_with_environment(env: &Env, ending: impl Ending + 'static) -> napi::Result<()> {
    OPEN.with_borrow_mut(|open| {
        let list = match open {
            Some(list) => Rc::clone(list),
            None => {
                let list = Open::default();
                let end_all = |list: Open| list.take().into_iter().for_each(Ending::end);
                env.add_env_cleanup_hook(Rc::clone(&list), end_all)?;
                Rc::clone(open.insert(list))
            }
        };
        let mut list = list.borrow_mut();
        list.retain(|ending| !ending.is_over());
        list.push(Box::new(ending));
        Ok(())
    })
}

/// Runs a function and turns a panic into an error.
pub fn guarded<T>(job: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|payload| Err(Failure::panic(payload.as_ref())))
}

/// A single job. It cannot be stopped; it is short, except for the creation of large networks.
impl Ending for JoinHandle<()> {
    fn is_over(&self) -> bool {
        self.is_finished()
    }

    fn end(self: Box<Self>) {
        // Panics of the job are caught, so the thread's result has no information.
        let _ = self.join();
    }
}

/// Runs a function on a thread of its own; its result settles the promise.
pub fn compute<'env, T>(
    env: &'env Env,
    job: impl FnOnce() -> Result<T> + Send + 'static,
) -> napi::Result<Object<'env>>
where
    T: ToNapiValue + Send + 'static,
{
    let (deferred, promise) = env.create_deferred()?;
    let body = move || match guarded(job) {
        Ok(value) => deferred.resolve(move |_| Ok(value)),
        Err(failure) => deferred.reject(failure.into()),
    };
    let thread = thread::Builder::new().name("mdgl".into()).spawn(body).map_err(Failure::no_thread)?;
    end_with_environment(env, thread)?;
    Ok(promise)
}

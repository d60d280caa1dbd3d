//! Native memory held by objects of JavaScript. Its size is reported to V8, so that it collects in time; and before
//! memory is refused, V8 collects garbage and the memory of unreachable objects is released at once, since finalizers wait for
//! the event loop's next turn.

use std::cell::{Cell, RefCell};
use std::ptr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use napi::bindgen_prelude::Object;
use napi::threadsafe_function::{ThreadsafeCallContext, ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, JsValue, Status, sys};
use napi_derive::napi;

/// More bytes than any heap has: V8 collects garbage at once when they are reported.
const PRESSURE: i64 = 1 << 44;
/// How long a thread of the engine waits for JavaScript's thread, which may be busy.
const PATIENCE: Duration = Duration::from_secs(2);

/// A value that an object holds until it is disposed of, collected, or found to be garbage.
pub struct Held<T> {
    value: Mutex<Option<T>>,
    /// Bytes reported to V8.
    reported: AtomicI64,
}

impl<T> Held<T> {
    /// Holds a value, of which nothing has been reported to V8 yet.
    pub fn new(value: T) -> Arc<Self> {
        Arc::new(Self { value: Mutex::new(Some(value)), reported: AtomicI64::new(0) })
    }

    /// The value; `None` once it was released.
    pub fn lock(&self) -> MutexGuard<'_, Option<T>> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports to V8 how many bytes it has now; 0 at the end withdraws all that was reported.
    pub fn report(&self, env: &Env, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(PRESSURE).min(PRESSURE);
        let change = bytes - self.reported.swap(bytes, Ordering::Relaxed);
        if change != 0 {
            // It fails only where the environment is ending, whose heap needs no report.
            let _ = env.adjust_external_memory(change);
        }
    }

    /// Releases the value.
    pub fn release(&self, env: &Env) {
        let value = self.lock().take();
        drop(value);
        self.report(env, 0);
    }
}

/// A held value of any type, which can be released.
trait Collectable {
    /// Releases the value; returns whether there was one.
    fn collect(&self, env: &Env) -> bool;
}

impl<T> Collectable for Held<T> {
    fn collect(&self, env: &Env) -> bool {
        let Ok(mut value) = self.value.try_lock() else { return false };
        let found = value.take().is_some();
        drop(value);
        self.report(env, 0);
        found
    }
}

/// A weak reference to an object, and the value that it holds.
struct Watched {
    object: sys::napi_ref,
    held: Weak<dyn Collectable>,
}

impl Watched {
    fn is_garbage(&self, env: &Env) -> bool {
        let mut value = ptr::null_mut();
        // SAFETY: the reference was made in this environment and is deleted nowhere but in `forget`.
        let status = unsafe { sys::napi_get_reference_value(env.raw(), self.object, &mut value) };
        status == sys::Status::napi_ok && value.is_null()
    }

    fn forget(self, env: &Env) -> Weak<dyn Collectable> {
        // SAFETY: as above; `self` is gone afterwards.
        unsafe { sys::napi_delete_reference(env.raw(), self.object) };
        self.held
    }
}

thread_local! {
    /// The environment of this thread; none on threads of the engine's own.
    static ENVIRONMENT: Cell<Option<Env>> = const { Cell::new(None) };
    static WATCHED: RefCell<Vec<Watched>> = const { RefCell::new(Vec::new()) };
}

/// Asks a thread of JavaScript's to collect garbage; the answer is whether it released anything.
type Asker = ThreadsafeFunction<SyncSender<bool>, (), (), Status, false, true>;

/// One per living environment.
static ASKERS: Mutex<Vec<Arc<Asker>>> = Mutex::new(Vec::new());

/// Reports an object's native memory to V8, and watches the object: if it is garbage when memory would be refused, it releases
/// that memory.
///
/// # Errors
/// Where the environment is ending.
pub fn watch<T: 'static>(
    env: &Env,
    object: &Object<'_>,
    held: &Arc<Held<T>>,
    bytes: usize,
) -> napi::Result<()> {
    enter(env)?;
    let mut reference = ptr::null_mut();
    // SAFETY: the object is of this environment; a count of 0 keeps nothing alive.
    let status = unsafe { sys::napi_create_reference(env.raw(), object.raw(), 0, &mut reference) };
    if status != sys::Status::napi_ok {
        return Err(napi::Error::new(Status::from(status), "an object could not be watched"));
    }
    let weak: Weak<Held<T>> = Arc::downgrade(held);
    WATCHED.with_borrow_mut(|list| {
        // Rare enough that the cost per call does not grow with their number.
        if list.len() == list.capacity() {
            let ended = list.extract_if(.., |watched| watched.held.strong_count() == 0);
            ended.for_each(|watched| drop(watched.forget(env)));
            list.reserve(list.len().max(16));
        }
        list.push(Watched { object: reference, held: weak });
    });
    held.report(env, bytes);
    Ok(())
}

/// Registers the thread as one of JavaScript's, until its environment ends.
fn enter(env: &Env) -> napi::Result<()> {
    if ENVIRONMENT.get().is_some() {
        return Ok(());
    }
    let nothing = env.create_function_from_closure::<(), (), _>("collect", |_| Ok(()))?;
    let asker = nothing.build_threadsafe_function::<SyncSender<bool>>().weak::<true>().build_callback(
        |ask: ThreadsafeCallContext<SyncSender<bool>>| {
            // The asking thread may have stopped waiting.
            let _ = ask.value.send(collect_here());
            Ok(())
        },
    )?;
    let asker: Arc<Asker> = Arc::new(asker);
    env.add_env_cleanup_hook(Arc::clone(&asker), |asker| {
        askers().retain(|other| !Arc::ptr_eq(other, &asker));
        ENVIRONMENT.take();
        // The references end with the environment.
        WATCHED.take();
    })?;
    askers().push(asker);
    ENVIRONMENT.set(Some(*env));
    mdgl_core::before_refusing(collect);
    Ok(())
}

fn askers() -> MutexGuard<'static, Vec<Arc<Asker>>> {
    ASKERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Releases what garbage holds, called from any thread.
fn collect() {
    if ENVIRONMENT.get().is_some() {
        collect_here();
        return;
    }
    let (answer, answers) = sync_channel(1);
    let mut asked = 0;
    for asker in askers().iter() {
        let status = asker.call(answer.clone(), ThreadsafeFunctionCallMode::NonBlocking);
        asked += usize::from(status == Status::Ok);
    }
    // The first that released anything is enough. No answer counts as none: the thread is busy.
    let _ = (0..asked).any(|_| answers.recv_timeout(PATIENCE).unwrap_or(false));
}

/// Makes V8 collect garbage and releases what garbage of this environment holds; returns whether there was any.
fn collect_here() -> bool {
    let Some(env) = ENVIRONMENT.get() else { return false };
    if env.adjust_external_memory(PRESSURE).is_err() || env.adjust_external_memory(-PRESSURE).is_err() {
        return false;
    }
    let garbage: Vec<Watched> =
        WATCHED.with_borrow_mut(|list| list.extract_if(.., |watched| watched.is_garbage(&env)).collect());
    let mut found = false;
    for watched in garbage {
        let held = watched.forget(&env);
        found |= held.upgrade().is_some_and(|held| held.collect(&env));
    }
    found
}

/// Bytes of native memory reported to V8, its own array buffers included.
#[napi(catch_unwind)]
pub fn external_memory(env: &Env) -> napi::Result<f64> {
    Ok(env.adjust_external_memory(0)? as f64)
}

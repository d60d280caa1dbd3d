//! The semaphore of threads that all sessions of this process share.

use std::sync::OnceLock;

use mdgl_core::FairSemaphore;
use napi_derive::napi;

use crate::error::{Failure, Result};

/// The environment variable with the number of threads.
const VARIABLE: &str = "MDGL_THREADS";

const MOST: usize = 1024;

/// Default number of threads of a run: `MDGL_THREADS`, else one less than the processor runs at once.
#[napi(catch_unwind)]
pub fn default_threads() -> napi::Result<u32> {
    Ok(of_process()?.all() as u32)
}

/// The semaphore of the process.
///
/// # Errors
/// An error for a `MDGL_THREADS` that is no number of threads.
pub fn of_process() -> Result<&'static FairSemaphore> {
    static THREADS: OnceLock<Result<FairSemaphore>> = OnceLock::new();
    THREADS.get_or_init(|| Ok(FairSemaphore::new(number()?))).as_ref().map_err(Clone::clone)
}

fn number() -> Result<usize> {
    match std::env::var(VARIABLE).ok().filter(|text| !text.is_empty()) {
        None => {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            Ok(cores.saturating_sub(1).clamp(1, MOST))
        }
        Some(text) => match text.parse() {
            Ok(threads @ 1..=MOST) => Ok(threads),
            _ => Err(Failure::invalid(VARIABLE, text, format!("a whole number from 1 to {MOST}"))),
        },
    }
}

//! Cancellation: the flag that a caller sets, read every 64 steps.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// Steps between two reads of the flag.
const READ_EVERY: usize = 64;

/// Fails once the flag is set; reads it every [`READ_EVERY`] steps.
#[inline(always)]
pub(crate) fn check_cancelled(step: usize, cancel: &AtomicBool) -> Result<()> {
    if step.is_multiple_of(READ_EVERY) && cancel.load(Ordering::Relaxed) {
        return Err(Error::Cancelled);
    }
    Ok(())
}

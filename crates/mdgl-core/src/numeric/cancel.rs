//! The caller's wish to stop, looked at every so many steps.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// Steps between two looks.
const LOOK_EVERY: usize = 64;

/// Fails when the caller wishes to stop; looks every so many steps.
#[inline(always)]
pub(crate) fn check_cancelled(step: usize, cancel: &AtomicBool) -> Result<()> {
    if step.is_multiple_of(LOOK_EVERY) && cancel.load(Ordering::Relaxed) {
        return Err(Error::Cancelled);
    }
    Ok(())
}

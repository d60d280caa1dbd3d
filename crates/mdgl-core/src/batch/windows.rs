//! Class targets with windows: several answers within one trial.

use crate::batch::{ClassWindow, EncodedBatch};
use crate::error::{Result, invalid};

/// The window that holds a step of a trial, if any; the list is in order and has no overlaps.
pub(crate) fn window_at(windows: &[ClassWindow], trial: usize, step: usize) -> Option<&ClassWindow> {
    let at = (trial as u32, step as u32);
    let later = windows.partition_point(|window| (window.trial, window.steps.start) <= at);
    let found = &windows[later.checked_sub(1)?];
    (found.trial == at.0 && found.steps.contains(&at.1)).then_some(found)
}

/// Checks the windows of a readout of so many units.
///
/// # Errors
/// [`crate::Error::Invalid`] without any; for one that is empty, beyond its trial, of no class of the readout, or out of the
/// order by trial and step, in which each begins at the end of the one before or later.
pub(crate) fn check_windows(
    path: &str,
    windows: &[ClassWindow],
    batch: &EncodedBatch,
    classes: usize,
) -> Result<()> {
    // A part may be without where the whole batch has some.
    if windows.is_empty() && batch.part.is_none() {
        return Err(invalid(path, "empty", "at least one window"));
    }
    let mut free = (0, 0);
    for (i, ClassWindow { trial, steps, class }) in windows.iter().enumerate() {
        let at = |part: &str| format!("{path}[{i}].{part}");
        if *trial as usize >= batch.trials {
            return Err(invalid(at("trial"), trial, format!("0 to {}", batch.trials - 1)));
        }
        let length = batch.length(*trial as usize);
        if steps.is_empty() || steps.end as usize > length {
            let value = format!("{} to {}", steps.start, steps.end);
            return Err(invalid(at("steps"), value, format!("a range of steps within 0 to {length}")));
        }
        if (*trial, steps.start) < free {
            let value = format!("step {} of trial {trial}", steps.start);
            let allowed = "windows in the order of trials and steps, without overlaps";
            return Err(invalid(at("steps"), value, allowed));
        }
        if *class as usize >= classes {
            return Err(invalid(at("class"), class, format!("0 to {}", classes - 1)));
        }
        free = (*trial, steps.end);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_finds_the_window_that_holds_it() {
        let window = |trial, steps, class| ClassWindow { trial, steps, class };
        let windows = [window(0, 2..4, 0), window(0, 4..5, 1), window(2, 0..1, 2)];
        let class = |trial, step| window_at(&windows, trial, step).map(|window| window.class);
        let found: Vec<_> = (0..6).map(|step| class(0, step)).collect();
        assert_eq!(found, [None, None, Some(0), Some(0), Some(1), None]);
        assert_eq!((class(1, 0), class(2, 0), class(2, 1), class(3, 0)), (None, Some(2), None, None));
        assert_eq!(window_at(&[], 0, 0), None);
    }
}

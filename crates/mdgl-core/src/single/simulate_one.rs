//! Kernels that simulate one trial, whole or one segment again, in the loop that its network allows.

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use crate::error::Result;
use crate::numeric::cancel::check_cancelled;
use crate::numeric::lanes::{Lanes, SimdKernel};
use crate::numeric::scalar::Scalar;
use crate::simulate::trajectory::Keep;
use crate::single::trial::{Trial, TrialContext};
use crate::single::usual::SimulateUsual;

/// Some steps of a trial within one segment, compiled once for all passes: it has every model.
struct SimulateSteps<'a, F: Scalar> {
    context: TrialContext<'a, F>,
    trial: &'a mut Trial<F>,
    steps: Range<usize>,
    /// Whether ψ is summed over all steps.
    sums: bool,
    cancel: &'a AtomicBool,
}

impl<F: Scalar> SimdKernel<F> for SimulateSteps<'_, F> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(self) -> Result<()> {
        let Self { context, trial, steps, sums, cancel } = self;
        let first = steps.start;
        for t in steps {
            check_cancelled(t, cancel)?;
            trial.step::<L>(context, t, t - first)?;
            if sums {
                trial.sum_psi::<L>(t - first);
            }
        }
        Ok(())
    }
}

/// Simulates a segment again for its ψ.
pub(super) struct LoadTrialSegment<'a, F: Scalar> {
    pub context: TrialContext<'a, F>,
    pub trial: &'a mut Trial<F>,
    pub segment: usize,
    pub cancel: &'a AtomicBool,
}

impl<F: Scalar> SimdKernel<F> for LoadTrialSegment<'_, F> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(self) -> Result<()> {
        let Self { context, trial, segment, cancel } = self;
        let Some((snapshot, steps)) = trial.segments.missing(segment) else { return Ok(()) };
        trial.state.clone_from(snapshot);
        // The same events are listed at the same places.
        let behind = trial.events.return_to(steps.clone());
        simulate_steps::<L>(context, trial, steps.clone(), false, cancel)?;
        trial.events.go_on_behind(steps, behind);
        trial.segments.set_loaded(segment);
        Ok(())
    }
}

/// The simulation of one trial as a kernel.
pub struct SimulateOne<'a, F: Scalar> {
    pub(crate) context: TrialContext<'a, F>,
    pub(crate) trial: &'a mut Trial<F>,
    pub(crate) keep: Keep<'a, F>,
    pub(crate) cancel: &'a AtomicBool,
}

impl<F: Scalar> SimdKernel<F> for SimulateOne<'_, F> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(self) -> Result<()> {
        let Self { context, trial, keep: Keep { psi, sums, .. }, cancel } = self;
        let segments = trial.segments.count();
        for segment in 0..segments {
            if psi.is_some() && segments > 1 {
                trial.segments.keep(trial.state.clone());
            }
            let steps = trial.segments.steps(segment);
            simulate_steps::<L>(context, trial, steps, sums, cancel)?;
        }
        trial.events.end();
        Ok(())
    }
}

/// Some steps of a trial within one segment, in the fastest loop that computes them. `sums`: whether ψ is summed.
#[inline(always)]
fn simulate_steps<L: Lanes>(
    context: TrialContext<'_, L::Scalar>,
    trial: &mut Trial<L::Scalar>,
    steps: Range<usize>,
    sums: bool,
    cancel: &AtomicBool,
) -> Result<()> {
    let is_usual = trial.inputs_listed && trial.voltage.is_empty() && !sums;
    match context.lane_layout.usual().filter(|_| is_usual) {
        Some(usual) => L::call(SimulateUsual { context, usual, trial, steps, cancel }),
        None => L::call(SimulateSteps { context, trial, steps, sums, cancel }),
    }
}

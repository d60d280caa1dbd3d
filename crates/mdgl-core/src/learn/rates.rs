//! The firing-rate regulariser's part of the learning signals.

use std::borrow::Cow;

use crate::numeric::lanes::{Block, Lanes};
use crate::numeric::scalar::Scalar;

/// The part in one block of trials, added to every L of a cell; both empty without a regulariser.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RatePart<'a, F: Scalar> {
    /// One per cell, the same in all trials.
    pub shared: &'a [F],
    /// One per cell and trial, where each trial's own rate counts.
    pub own: &'a [Block<F>],
}

impl<'a, F: Scalar> RatePart<'a, F> {
    /// Parts that are the same in all trials.
    pub fn shared(constants: &'a [F]) -> Self {
        Self { shared: constants, own: &[] }
    }

    /// Parts per trial.
    pub fn own(constants: &'a [Block<F>]) -> Self {
        Self { shared: &[], own: constants }
    }

    /// Whether there is no regulariser.
    pub fn is_empty(&self) -> bool {
        self.shared.is_empty() && self.own.is_empty()
    }

    /// A cell's.
    #[inline(always)]
    pub fn of_cell<L: Lanes<Scalar = F>>(&self, p: usize) -> L {
        match self.own {
            [] => L::splat(self.shared.get(p).copied().unwrap_or(F::ZERO)),
            own => L::load(&own[p]),
        }
    }

    /// One per cell of a trial.
    pub fn of_trial(&self, lane: usize) -> Cow<'a, [F]> {
        match self.own {
            [] => Cow::Borrowed(self.shared),
            own => own.iter().map(|block| block.0[lane]).collect(),
        }
    }
}

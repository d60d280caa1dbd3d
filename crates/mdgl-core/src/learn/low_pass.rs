//! The readout's low-pass filter applied to other signals: f_t = κ f_t−1 + (1−κ) x_t, forwards or backwards in time.

use std::ops::Range;

use crate::error::Result;
use crate::numeric::lanes::{Block, Lanes, clear_tiny};
use crate::numeric::memory::{bytes_of, product, refill, resize};
use crate::numeric::scalar::Scalar;

/// κ and 1 − κ in all lanes.
#[derive(Clone, Copy)]
pub(crate) struct LowPass<L> {
    kappa: L,
    rest: L,
}

impl<L: Lanes> LowPass<L> {
    /// The filter of the first readout unit; κ = 0 without one.
    #[inline(always)]
    pub fn of(kappa: &[L::Scalar]) -> Self {
        let kappa = kappa.first().copied().unwrap_or(L::Scalar::ZERO);
        Self { kappa: L::splat(kappa), rest: L::splat(L::Scalar::ONE - kappa) }
    }

    /// f_t from f_t−1.
    #[inline(always)]
    pub fn forwards(self, held: L, x: L) -> L {
        self.kappa.mul_add(held, self.rest.mul(x))
    }

    /// Σ_{u≥t} κ^{u−t} x_u from that of the step after this one, and f_t, which is 1 − κ times that.
    #[inline(always)]
    pub fn backwards(self, held: L, x: L) -> (L, L) {
        let sum = held.mul_add(self.kappa, x);
        (sum, sum.mul(self.rest))
    }
}

/// A trial whose ψ is kept for one segment of its steps at a time.
pub(crate) trait PsiSegments<F: Scalar> {
    /// Number of segments.
    fn count(&self) -> usize;
    /// Steps of a segment.
    fn steps(&self, segment: usize) -> Range<usize>;
    /// Loads a segment's ψ.
    fn load<L: Lanes<Scalar = F>>(&mut self, segment: usize) -> Result<()>;
    /// One step of the filter with the ψ of a step of the loaded segment.
    fn filter<L: Lanes<Scalar = F>>(&self, low_pass: LowPass<L>, step: usize, psi_filtered: &mut [Block<F>]);
}

const WHAT: &str = "the filtered pseudo-derivatives";

/// ψ̄, the filtered ψ, of the loaded segment (On-MDGL).
#[derive(Debug, Default)]
pub(crate) struct FilteredPsi<F: Scalar> {
    /// `[step − first][block]`.
    rows: Vec<Block<F>>,
    first: usize,
    now: Vec<Block<F>>,
    before_segments: Vec<Vec<Block<F>>>,
}

impl<F: Scalar> FilteredPsi<F> {
    /// Bytes of memory in use.
    pub fn bytes(&self) -> usize {
        let before = self.before_segments.iter().map(bytes_of).sum::<usize>();
        bytes_of(&self.rows) + bytes_of(&self.now) + before
    }

    /// ψ̄ before each segment, of so many blocks per step; the last segment is loaded at the end.
    ///
    /// # Errors
    /// [`crate::Error::Memory`], [`crate::Error::Cancelled`].
    #[inline(always)]
    pub fn filter_psi_before_segments<L: Lanes<Scalar = F>>(
        &mut self,
        trial: &mut impl PsiSegments<F>,
        kappa: &[F],
        blocks: usize,
    ) -> Result<()> {
        refill(&mut self.now, blocks, WHAT)?;
        self.before_segments.clear();
        for segment in 0..trial.count() {
            self.before_segments.push(self.now.clone());
            if segment + 1 < trial.count() {
                trial.load::<L>(segment)?;
                for t in trial.steps(segment) {
                    self.advance::<L>(trial, kappa, t);
                }
            }
        }
        Ok(())
    }

    /// Loads a segment's ψ and ψ̄.
    ///
    /// # Errors
    /// As [`Self::filter_psi_before_segments`].
    #[inline(always)]
    pub fn load<L: Lanes<Scalar = F>>(
        &mut self,
        trial: &mut impl PsiSegments<F>,
        kappa: &[F],
        segment: usize,
    ) -> Result<()> {
        trial.load::<L>(segment)?;
        self.now.clone_from(&self.before_segments[segment]);
        let (steps, blocks) = (trial.steps(segment), self.now.len());
        self.first = steps.start;
        resize(&mut self.rows, product(&[steps.len(), blocks]), Block::ZERO, WHAT)?;
        for (row, t) in steps.enumerate() {
            self.advance::<L>(trial, kappa, t);
            self.rows[row * blocks..][..blocks].copy_from_slice(&self.now);
        }
        Ok(())
    }

    #[inline(always)]
    fn advance<L: Lanes<Scalar = F>>(&mut self, trial: &impl PsiSegments<F>, kappa: &[F], t: usize) {
        if kappa.is_empty() {
            return;
        }
        clear_tiny::<L>(t, &mut self.now);
        trial.filter::<L>(LowPass::of(kappa), t, &mut self.now);
    }

    /// ψ̄ of a step of the loaded segment.
    #[inline(always)]
    pub fn at(&self, step: usize) -> &[Block<F>] {
        &self.rows[(step - self.first) * self.now.len()..][..self.now.len()]
    }
}

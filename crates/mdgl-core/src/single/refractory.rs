//! Refractory periods of one trial's cells: until when each may not spike.
//!
//! Steps are counted from the first one of the current tile, so that each is a small whole number, exact in either precision.

use std::iter::repeat;

use crate::error::Result;
use crate::numeric::lanes::{Block, LANES, Lanes, flat_mut};
use crate::numeric::memory::resize;
use crate::numeric::scalar::Scalar;
use crate::simulate::compiled::CompiledNetwork;
use crate::single::columns::TILE;

/// Periods that are exact in either precision, in steps.
const MOST_STEPS: usize = 1 << 24;

/// Whether a network's periods can be counted here.
pub(crate) fn fit_periods<F: Scalar>(network: &CompiledNetwork<F>) -> bool {
    network.longest_period() < MOST_STEPS
}

/// The period of each cell in steps, 0 in lanes without one; of a network that [`fit_periods`].
pub(super) fn periods<F: Scalar>(network: &CompiledNetwork<F>) -> Vec<F> {
    let periods = network.refractory.iter().map(|&period| F::from_f64(f64::from(period)));
    periods.chain(repeat(F::ZERO)).take(network.size().next_multiple_of(LANES)).collect()
}

/// The last step in which each cell may not spike.
#[derive(Debug, Clone, Default)]
pub(super) struct Refractory<F: Scalar> {
    last: Vec<Block<F>>,
}

impl<F: Scalar> Refractory<F> {
    /// No cell is refractory.
    pub fn reset(&mut self, blocks: usize) -> Result<()> {
        self.last.clear();
        resize(&mut self.last, blocks, Block::of(-F::ONE), "the state of a trial")
    }

    /// Counts from the first step of the next tile; also before the first tile.
    #[inline(always)]
    pub fn begin_tile<L: Lanes<Scalar = F>>(&mut self) {
        let (tile, past) = (L::splat(F::from_f64(TILE as f64)), L::splat(-F::ONE));
        for last in &mut self.last {
            L::load(last).sub(tile).max(past).store(last);
        }
    }

    /// The trial is over: no cell spikes again.
    pub fn end(&mut self) {
        self.last.fill(Block::of(F::from_f64(f64::INFINITY)));
    }

    /// The periods that begin with the spikes of a row's step.
    #[inline(always)]
    pub fn begin<'a>(&'a mut self, periods: &'a [F], row: usize) -> Beginning<'a, F> {
        let last = flat_mut(&mut self.last);
        // Of one length, so that one comparison serves both.
        Beginning { periods: &periods[..last.len()], last, row: F::from_f64(row as f64) }
    }

    /// What each block of cells is compared with by [`is_blocked`].
    #[inline(always)]
    pub fn blocks(&self) -> &[Block<F>] {
        &self.last
    }
}

/// Refractory periods that begin in a row's step.
pub(super) struct Beginning<'a, F: Scalar> {
    last: &'a mut [F],
    periods: &'a [F],
    row: F,
}

impl<F: Scalar> Beginning<'_, F> {
    /// Of a cell that has just spiked.
    #[inline(always)]
    pub fn begin(&mut self, cell: u32) {
        self.last[cell as usize] = self.row + self.periods[cell as usize];
    }
}

/// A row of the tile as [`is_blocked`] compares it.
#[inline(always)]
pub(super) fn compared<L: Lanes>(row: usize) -> L {
    L::splat(L::Scalar::from_f64(row as f64 - 0.5))
}

/// The cells of a block that may not spike in a row.
#[inline(always)]
pub(super) fn is_blocked<L: Lanes>(last: &Block<L::Scalar>, row: L) -> L::Mask {
    L::load(last).above(row)
}

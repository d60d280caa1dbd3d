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

    /// Those of a tile's steps.
    #[inline(always)]
    pub fn tile<'a>(&'a mut self, periods: &'a [F]) -> TilePeriods<'a, F> {
        let count = self.last.len();
        TilePeriods { last: &mut self.last, periods: &periods[..count * LANES] }
    }

    /// What each block of cells is compared with by [`is_blocked`].
    #[inline(always)]
    pub fn blocks(&self) -> &[Block<F>] {
        &self.last
    }
}

/// Refractory periods while a tile of steps is simulated.
pub(super) struct TilePeriods<'a, F: Scalar> {
    pub last: &'a mut [Block<F>],
    periods: &'a [F],
}

impl<F: Scalar> TilePeriods<'_, F> {
    /// The period of a cell begins that has just spiked, in a row.
    #[inline(always)]
    pub fn begin(&mut self, cell: u32, row: F) {
        // As many as lanes, so that one comparison serves both.
        let periods = &self.periods[..self.last.len() * LANES];
        flat_mut(self.last)[cell as usize] = row + periods[cell as usize];
    }

    /// The trial is over: no cell spikes again.
    pub fn end(&mut self) {
        self.last.fill(Block::of(F::from_f64(f64::INFINITY)));
    }
}

/// The cells of a block that may not spike in the row after this one.
#[inline(always)]
pub(super) fn is_blocked<L: Lanes>(last: &Block<L::Scalar>, row_before: L) -> L::Mask {
    L::load(last).above(row_before)
}

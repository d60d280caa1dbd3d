//! Values of cells through a tile of steps: `[block of cells][step][lane]`.
//!
//! A block of cells has its steps side by side, so that it can run through all of them with its state in registers.

use crate::numeric::lanes::{Block, LANES};
use crate::numeric::scalar::Scalar;

/// Steps in a tile: as many as there are lanes. Tiles begin at multiples of it.
pub(super) const TILE: usize = LANES;

/// A block of cells through the steps of a tile.
pub(super) type TileColumn<F> = [Block<F>; TILE];

/// The same, and behind them the step after the last.
pub(super) type LongTileColumn<F> = [Block<F>; TILE + 1];

/// The value of a cell in the first row of columns of so many rows, all values counted.
#[inline(always)]
pub(super) fn place(cell: u32, rows: usize) -> u32 {
    let (block, lane) = (cell / LANES as u32, cell % LANES as u32);
    block * (rows * LANES) as u32 + lane
}

/// Values of some columns from a row on; [`place`] finds a cell's.
#[inline(always)]
pub(super) fn row<F: Scalar, const ROWS: usize>(columns: &[[Block<F>; ROWS]], row: usize) -> &[F] {
    &crate::numeric::lanes::flat(columns.as_flattened())[row * LANES..]
}

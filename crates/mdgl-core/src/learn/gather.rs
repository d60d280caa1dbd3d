//! Accumulates weight gradients (presynaptic activity × postsynaptic λ), one tile of time steps at a time.
//!
//! Within a tile the events are grouped by sender, so that a synapse's sum stays in a register while it takes
//! them. Steps run from last to first as everywhere: tiles never change the order of a sum.

use crate::batch::encode::{Entry, EntryLists};
use crate::numeric::lanes::{Block, Lanes, Mask, RegisterMask, SimdKernel};
use crate::numeric::scalar::Scalar;
use crate::simulate::padded_csr::{CHUNK, Chunk, PaddedCsr};

/// Most bytes of a tile of target values: it should stay in the second-level cache.
const TILE_BYTES: usize = 512 << 10;

/// Steps in a tile, a power of two, for so many targets.
pub(crate) fn tile_rows<F: Scalar>(targets: usize) -> usize {
    let rows = TILE_BYTES / (targets.max(1) * size_of::<Block<F>>());
    1 << rows.clamp(16, 64).ilog2()
}

/// Events of a sender whose masks are converted once for all its chunks.
const EVENTS: usize = 64;

/// An event within a tile.
#[derive(Debug, Clone, Copy, Default)]
struct TileEvent {
    /// Index of the step's first value.
    row: u32,
    mask: Mask,
    count: u16,
}

/// Events of a tile grouped by sender; kept for its memory.
#[derive(Debug, Default)]
pub(crate) struct Grouped {
    /// End of each sender's events, after grouping.
    end: Vec<u32>,
    events: Vec<TileEvent>,
    /// Whether every event counts once, as spikes do.
    plain: bool,
}

impl Grouped {
    /// Groups the events that meet a tile's rows, last step first.
    fn group<F: Scalar>(&mut self, tile: &Tile<'_, F>) {
        let Tile { lists, units, first, rows, lag, columns, .. } = *tile;
        // Nothing was sent before the first step.
        let steps = || (lag.saturating_sub(first)..rows).rev().map(|row| (row, lists.at(first + row - lag)));
        self.end.clear();
        self.end.resize(units + 1, 0);
        let mut counts = 0;
        for (_, entries) in steps() {
            for entry in entries {
                self.end[entry.unit as usize + 1] += 1;
                counts |= entry.count;
            }
        }
        // Listed events count at least once.
        self.plain = counts <= 1;
        for unit in 0..units {
            self.end[unit + 1] += self.end[unit];
        }
        self.events.clear();
        self.events.resize(self.end[units] as usize, TileEvent::default());
        for (row, entries) in steps() {
            for &Entry { unit, mask, count } in entries {
                let place = &mut self.end[unit as usize];
                self.events[*place as usize] = TileEvent { row: (row * columns) as u32, mask, count };
                *place += 1;
            }
        }
    }

    /// Events of a sender, last step first.
    #[inline(always)]
    fn of(&self, unit: usize) -> &[TileEvent] {
        let start = if unit == 0 { 0 } else { self.end[unit - 1] };
        &self.events[start as usize..self.end[unit] as usize]
    }
}

/// A tile of target values, `[step − first][target]`, and the events that meet them.
#[derive(Clone, Copy)]
pub(crate) struct Tile<'a, F: Scalar> {
    pub lists: &'a EntryLists,
    /// Senders.
    pub units: usize,
    /// First step of the tile.
    pub first: usize,
    /// Steps in the tile.
    pub rows: usize,
    /// Steps from an event to the values that it is multiplied by: a recurrent synapse's delay.
    pub lag: usize,
    pub values: &'a [Block<F>],
    /// Targets in a row.
    pub columns: usize,
}

/// Adds to each slot its target's values at its sender's events.
pub(crate) struct Gather<'a, F: Scalar> {
    pub tile: Tile<'a, F>,
    pub slots: &'a PaddedCsr<u32>,
    pub grouped: &'a mut Grouped,
    pub sums: &'a mut [Block<F>],
}

impl<F: Scalar> SimdKernel<F> for Gather<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(self) {
        gather::<L>(&self.tile, self.slots, self.grouped, self.sums);
    }
}

#[inline(always)]
fn gather<L: Lanes>(
    tile: &Tile<'_, L::Scalar>,
    slots: &PaddedCsr<u32>,
    grouped: &mut Grouped,
    sums: &mut [Block<L::Scalar>],
) {
    let Tile { units, values, columns, .. } = *tile;
    grouped.group(tile);
    let mut masks = [L::Mask::from_bits(0); EVENTS];
    slots.check_targets(&values[..columns]);
    for unit in 0..units {
        let events = grouped.of(unit);
        if events.is_empty() {
            continue;
        }
        if !grouped.plain {
            for chunk in slots.of(unit) {
                add_counts::<L>(events, chunk, values, sums);
            }
            continue;
        }
        for events in events.chunks(EVENTS) {
            if !L::Mask::IS_BITS {
                for (mask, event) in masks.iter_mut().zip(events) {
                    *mask = L::Mask::from_bits(event.mask);
                }
            }
            for chunk in slots.of(unit) {
                add_events::<L>(events, &masks, chunk, (values, columns), sums);
            }
        }
    }
}

/// Values that units sent, and the tile of target values that they are multiplied by.
#[derive(Clone, Copy)]
pub(crate) struct ValueTile<'a, F: Scalar> {
    pub units: &'a [u32],
    /// `[step][place among the units]`, from the first step on.
    pub sent: &'a [Block<F>],
    /// First step of the tile.
    pub first: usize,
    /// Steps in the tile.
    pub rows: usize,
    /// Steps from a value to those that it is multiplied by.
    pub lag: usize,
    pub values: &'a [Block<F>],
    /// Targets in a row.
    pub columns: usize,
}

/// Adds to each slot its target's values times its sender's.
pub(crate) struct GatherValues<'a, F: Scalar> {
    pub tile: ValueTile<'a, F>,
    pub slots: &'a PaddedCsr<u32>,
    pub sums: &'a mut [Block<F>],
}

impl<F: Scalar> SimdKernel<F> for GatherValues<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(self) {
        let Self { tile, slots, sums } = self;
        slots.check_targets(&tile.values[..tile.columns]);
        for (place, &unit) in tile.units.iter().enumerate() {
            for chunk in slots.of(unit as usize) {
                add_values::<L>(&tile, place, chunk, sums);
            }
        }
    }
}

#[inline(always)]
fn add_values<L: Lanes>(
    tile: &ValueTile<'_, L::Scalar>,
    place: usize,
    chunk: &Chunk<u32>,
    sums: &mut [Block<L::Scalar>],
) {
    let ValueTile { units, sent, first, rows, lag, values, columns } = *tile;
    let target = chunk.target.map(|target| target as usize);
    let mut total = [L::splat(L::Scalar::ZERO); CHUNK];
    for (total, &slot) in total.iter_mut().zip(&chunk.item) {
        *total = L::load(&sums[slot as usize]);
    }
    for row in (lag.saturating_sub(first)..rows).rev() {
        let value = L::load(&sent[(first + row - lag) * units.len() + place]);
        let lambda = &values[row * columns..][..columns];
        for i in 0..CHUNK {
            // SAFETY: the kernel has checked that every target of the chunks is a column of the row.
            let lambda = L::load(unsafe { lambda.get_unchecked(target[i]) });
            total[i] = value.mul_add(lambda, total[i]);
        }
    }
    for (total, &slot) in total.into_iter().zip(&chunk.item) {
        total.store(&mut sums[slot as usize]);
    }
}

/// Four sums at once: each is a chain of additions, which the processor runs in parallel.
#[inline(always)]
fn add_events<L: Lanes>(
    events: &[TileEvent],
    masks: &[L::Mask; EVENTS],
    chunk: &Chunk<u32>,
    (values, columns): (&[Block<L::Scalar>], usize),
    sums: &mut [Block<L::Scalar>],
) {
    let target = chunk.target.map(|target| target as usize);
    let mut total = [L::splat(L::Scalar::ZERO); CHUNK];
    for (total, &slot) in total.iter_mut().zip(&chunk.item) {
        *total = L::load(&sums[slot as usize]);
    }
    for (event, &mask) in events.iter().zip(masks) {
        let row = &values[event.row as usize..][..columns];
        let mask = if L::Mask::IS_BITS { L::Mask::from_bits(event.mask) } else { mask };
        for i in 0..CHUNK {
            // SAFETY: `gather` has checked that every target of the chunks is a column of the row.
            let value = L::load(unsafe { row.get_unchecked(target[i]) });
            total[i] = total[i].add_in(mask, value);
        }
    }
    for (total, &slot) in total.into_iter().zip(&chunk.item) {
        total.store(&mut sums[slot as usize]);
    }
}

/// The same where some events count more than once.
#[inline(always)]
fn add_counts<L: Lanes>(
    events: &[TileEvent],
    chunk: &Chunk<u32>,
    values: &[Block<L::Scalar>],
    sums: &mut [Block<L::Scalar>],
) {
    for (&target, &slot) in chunk.target.iter().zip(&chunk.item) {
        let sum = &mut sums[slot as usize];
        let mut total = L::load(sum);
        for event in events {
            let count = L::splat(L::Scalar::from_f64(f64::from(event.count)));
            let value = L::load(&values[(event.row + target) as usize]).mul(count);
            total = total.add_where(event.mask, value);
        }
        total.store(sum);
    }
}

/// Adds a tile to the sums of some slots.
#[inline(always)]
pub(crate) fn gather_tile<L: Lanes>(
    tile: Tile<'_, L::Scalar>,
    slots: &PaddedCsr<u32>,
    grouped: &mut Grouped,
    sums: &mut [Block<L::Scalar>],
) {
    if !slots.is_empty() {
        L::call(Gather { tile, slots, grouped, sums });
    }
}

/// Adds a tile of values to the sums of some slots.
#[inline(always)]
pub(crate) fn gather_value_tile<L: Lanes>(
    tile: ValueTile<'_, L::Scalar>,
    slots: &PaddedCsr<u32>,
    sums: &mut [Block<L::Scalar>],
) {
    if !tile.units.is_empty() && !slots.is_empty() {
        L::call(GatherValues { tile, slots, sums });
    }
}

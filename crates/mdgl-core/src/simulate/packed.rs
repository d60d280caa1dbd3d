//! Packed rows of sparse blocks: one mask per block, then the lanes above 0 side by side.
//!
//! ψ is 0 in two lanes of three, and long trials are bound by reading and writing it.

use crate::error::Result;
use crate::numeric::lanes::{LANES, Lanes, Mask};
use crate::numeric::memory::{bytes_of, product, resize};
use crate::numeric::scalar::Scalar;

const WHAT: &str = "the pseudo-derivatives of a block of trials";

/// Packed rows, in the order in which they were written.
#[derive(Debug, Default)]
pub(crate) struct Packed<F: Scalar> {
    columns: usize,
    /// `[row][column]`.
    masks: Vec<Mask>,
    /// Start of each row's values.
    start: Vec<usize>,
    /// End of the last row's values; beyond it there is always memory for one more block.
    end: usize,
    values: Vec<F>,
}

impl<F: Scalar> Packed<F> {
    /// Bytes of memory in use.
    pub fn bytes(&self) -> usize {
        bytes_of(&self.masks) + bytes_of(&self.start) + bytes_of(&self.values)
    }

    /// Without rows; memory for the masks of so many.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] when they cannot be allocated.
    pub fn clear(&mut self, rows: usize, columns: usize) -> Result<()> {
        self.columns = columns;
        self.start.clear();
        self.end = 0;
        resize(&mut self.masks, product(&[rows, columns]), 0, WHAT)
    }

    /// Appends a row, to be written with [`RowWriter::push`] and ended with [`Self::end_row`].
    ///
    /// # Errors
    /// [`crate::Error::Memory`] when it cannot be allocated.
    #[inline(always)]
    pub fn begin_row(&mut self) -> Result<RowWriter<'_, F>> {
        let needed = self.end + (self.columns + 1) * LANES;
        if self.values.len() < needed {
            let len = needed.max(2 * self.values.len());
            resize(&mut self.values, len, F::ZERO, WHAT)?;
        }
        let row = self.start.len();
        self.start.push(self.end);
        let masks = &mut self.masks[row * self.columns..][..self.columns];
        Ok(RowWriter { masks, values: &mut self.values[self.end..needed], column: 0, at: 0 })
    }

    /// Ends the row that was begun; `written` is that of [`RowWriter::written`].
    #[inline(always)]
    pub fn end_row(&mut self, written: usize) {
        self.end += written;
    }

    /// Number of values in all rows.
    pub fn values(&self) -> usize {
        self.end
    }

    /// A row, to be read from its first column on; the row before it is prefetched at the same time.
    #[inline(always)]
    pub fn row(&self, row: usize) -> RowReader<'_, F> {
        let masks = &self.masks[row * self.columns..][..self.columns];
        let at = self.start[row];
        let ahead = at - self.start[row.saturating_sub(1)];
        RowReader { masks, values: &self.values, column: 0, at, ahead }
    }
}

/// Writes one row, column after column.
#[derive(Default)]
pub(crate) struct RowWriter<'a, F: Scalar> {
    masks: &'a mut [Mask],
    values: &'a mut [F],
    column: usize,
    at: usize,
}

impl<F: Scalar> RowWriter<'_, F> {
    /// Number of columns.
    #[inline(always)]
    pub fn columns(&self) -> usize {
        self.masks.len()
    }

    /// So many columns, to be written one after another and then given to [`Self::end_part`].
    #[inline(always)]
    pub fn part(&mut self, columns: usize) -> PartWriter<'_, F> {
        PartWriter {
            masks: &mut self.masks[self.column..][..columns],
            values: &mut *self.values,
            at: self.at,
        }
    }

    /// Ends a part of so many columns; `written` is that of [`PartWriter::written`].
    #[inline(always)]
    pub fn end_part(&mut self, columns: usize, written: usize) {
        self.column += columns;
        self.at = written;
    }

    /// Columns that are not needed: so many zeros.
    #[inline(always)]
    pub fn skip(&mut self, columns: usize) {
        self.masks[self.column..][..columns].fill(0);
        self.column += columns;
    }

    /// Number of values written.
    #[inline(always)]
    pub fn written(&self) -> usize {
        self.at
    }
}

/// Writes some columns of a row. A value of its own, so that a loop keeps it in registers.
pub(crate) struct PartWriter<'a, F: Scalar> {
    masks: &'a mut [Mask],
    values: &'a mut [F],
    at: usize,
}

impl<F: Scalar> PartWriter<'_, F> {
    /// Column i, the next one: the lanes above 0.
    #[inline(always)]
    pub fn push<L: Lanes<Scalar = F>>(&mut self, i: usize, x: L) {
        let mask = x.gt(L::splat(F::ZERO));
        self.masks[i] = mask;
        if let Some(to) = self.values.get_mut(self.at..self.at + LANES).and_then(<[F]>::first_chunk_mut) {
            x.compress(mask, to);
        }
        self.at += mask.count_ones() as usize;
    }

    /// Number of values written to the row.
    #[inline(always)]
    pub fn written(self) -> usize {
        self.at
    }
}

/// Reads one row, column after column.
pub(crate) struct RowReader<'a, F: Scalar> {
    masks: &'a [Mask],
    values: &'a [F],
    column: usize,
    at: usize,
    /// Distance from the values of the row before to this row's values.
    ahead: usize,
}

impl<F: Scalar> RowReader<'_, F> {
    /// Skips columns up to one.
    #[inline(always)]
    pub fn pass_to(&mut self, column: usize) {
        let (fours, rest) = self.masks[self.column..column].as_chunks::<4>();
        for four in fours {
            let all = four.iter().rev().fold(0, |all, &mask| all << Mask::BITS | u64::from(mask));
            self.at += all.count_ones() as usize;
        }
        self.at += rest.iter().map(|mask| mask.count_ones() as usize).sum::<usize>();
        self.column = column;
    }

    /// One lane of every column that is left.
    pub fn lane(self, lane: usize) -> impl Iterator<Item = F> {
        let mut at = self.at;
        self.masks[self.column..].iter().map(move |&mask| {
            let below = mask & ((1 << lane) - 1);
            let place = at + below.count_ones() as usize;
            at += mask.count_ones() as usize;
            if mask >> lane & 1 == 1 { self.values[place] } else { F::ZERO }
        })
    }

    /// The next column.
    #[inline(always)]
    pub fn next<L: Lanes<Scalar = F>>(&mut self) -> L {
        let mask = self.masks[self.column];
        self.column += 1;
        crate::numeric::lanes::prefetch(&self.values[self.at - self.ahead]);
        let x = match self.values[self.at..].first_chunk() {
            Some(from) => L::expand(mask, from),
            None => L::splat(F::ZERO),
        };
        self.at += mask.count_ones() as usize;
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::lanes::{Block, PlainFused};

    type L = PlainFused<f32>;

    #[test]
    fn rows_come_back_as_they_were_with_what_was_skipped_as_zero() {
        let block = |seed: usize| Block(std::array::from_fn(|i| ((i * seed) % 7) as f32 - 3.0));
        let mut packed = Packed::default();
        packed.clear(3, 2).unwrap();
        let kept = [Mask::MAX, 0];
        for row in 0..3 {
            let mut writer = packed.begin_row().unwrap();
            for (column, &kept) in kept.iter().enumerate() {
                if kept == 0 {
                    writer.skip(1);
                    continue;
                }
                let mut part = writer.part(1);
                part.push(0, L::load(&block(row + column + 1)));
                let written = part.written();
                writer.end_part(1, written);
            }
            let written = writer.written();
            packed.end_row(written);
        }
        for row in (0..3).rev() {
            let mut reader = packed.row(row);
            let mut found = Block::ZERO;
            reader.next::<L>().store(&mut found);
            let expected = block(row + 1).0.map(|x| x.max(0.0));
            assert_eq!(found.0, expected);
            reader.next::<L>().store(&mut found);
            assert_eq!(found, Block::ZERO);
            for (lane, expected) in expected.into_iter().enumerate() {
                assert!(packed.row(row).lane(lane).eq([expected, 0.0]));
            }
            let mut passing = packed.row(row);
            passing.pass_to(1);
            passing.next::<L>().store(&mut found);
            assert_eq!(found, Block::ZERO);
        }
    }
}

//! Rows of blocks, one per sender, of which a kernel reads or writes a few neighbouring blocks at a time.

use std::marker::PhantomData;

use crate::numeric::lanes::Block;
use crate::numeric::scalar::Scalar;

/// All rows. A part of one is found by one multiplication and one comparison: offsets are bytes.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a, F: Scalar> {
    base: *const Block<F>,
    /// Bytes from one row to the next.
    stride: usize,
    blocks: usize,
    rows: PhantomData<&'a [Block<F>]>,
}

/// The same, to be changed.
pub(super) struct RowsMut<'a, F: Scalar> {
    base: *mut Block<F>,
    stride: usize,
    blocks: usize,
    rows: PhantomData<&'a mut [Block<F>]>,
}

/// Bytes from the first block to the end of the places from which N blocks follow, `first` aside.
#[inline(always)]
fn end_of_places<F: Scalar, const N: usize>(blocks: usize, first: usize) -> usize {
    (blocks + 1).saturating_sub(first + N) * size_of::<Block<F>>()
}

impl<'a, F: Scalar> Rows<'a, F> {
    /// Of so many columns.
    #[inline(always)]
    pub fn new(rows: &'a [Block<F>], columns: usize) -> Self {
        let stride = columns * size_of::<Block<F>>();
        Self { base: rows.as_ptr(), stride, blocks: rows.len(), rows: PhantomData }
    }

    /// N blocks of a row, from `first` on.
    ///
    /// # Panics
    /// Where there is no such row.
    #[inline(always)]
    pub fn part<const N: usize>(&self, row: u32, first: usize) -> &'a [Block<F>; N] {
        let place = row as usize * self.stride;
        assert!(place < end_of_places::<F, N>(self.blocks, first), "a sender without a row");
        // SAFETY: `place` is a multiple of a block's size, and N blocks of the slice follow `first` blocks behind it, as just
        // asserted.
        unsafe { &*self.base.byte_add(place).add(first).cast() }
    }
}

impl<'a, F: Scalar> RowsMut<'a, F> {
    /// As [`Rows::new`].
    #[inline(always)]
    pub fn new(rows: &'a mut [Block<F>], columns: usize) -> Self {
        let stride = columns * size_of::<Block<F>>();
        Self { base: rows.as_mut_ptr(), stride, blocks: rows.len(), rows: PhantomData }
    }

    /// As [`Rows::part`].
    #[inline(always)]
    pub fn part<const N: usize>(&mut self, row: u32, first: usize) -> &mut [Block<F>; N] {
        let place = row as usize * self.stride;
        assert!(place < end_of_places::<F, N>(self.blocks, first), "a sender without a row");
        // SAFETY: as in `Rows::part`; the slice is borrowed mutably.
        unsafe { &mut *self.base.byte_add(place).add(first).cast() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Block<f32>> {
        (0..12).map(|i| Block::of(i as f32)).collect()
    }

    #[test]
    fn a_part_is_of_its_row() {
        let mut rows = rows();
        assert_eq!(Rows::new(&rows, 4).part::<2>(2, 1).map(|block| block.0[0]), [9.0, 10.0]);
        RowsMut::new(&mut rows, 4).part::<2>(2, 2)[1] = Block::of(-1.0);
        assert_eq!(rows[11], Block::of(-1.0));
    }

    #[test]
    #[should_panic = "a sender without a row"]
    fn there_is_no_row_behind_the_last() {
        Rows::new(&rows(), 4).part::<2>(3, 1);
    }

    #[test]
    #[should_panic = "a sender without a row"]
    fn nor_is_there_a_row_to_change() {
        RowsMut::new(&mut rows(), 4).part::<4>(3, 0);
    }

    #[test]
    #[should_panic = "a sender without a row"]
    fn a_part_is_no_longer_than_all_rows() {
        Rows::new(&rows()[..4], 4).part::<5>(0, 0);
    }

    #[test]
    #[should_panic = "a sender without a row"]
    fn none_begins_behind_all_rows() {
        Rows::new(&rows()[..4], 4).part::<1>(0, 4);
    }
}

//! Rows of blocks, one per sender, of which a kernel reads or writes a few neighbouring blocks at a time.

use std::marker::PhantomData;

use crate::numeric::lanes::Block;
use crate::numeric::scalar::Scalar;

/// N blocks of each row, from one on. Offsets are bytes, so that a row is found by one multiplication and one comparison.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a, F: Scalar, const N: usize> {
    base: *const Block<F>,
    /// Bytes from one row to the next.
    stride: usize,
    /// Bytes from the first row to the end of the places at which N blocks follow.
    end: usize,
    rows: PhantomData<&'a [Block<F>]>,
}

/// The same, to be changed.
pub(super) struct PartsMut<'a, F: Scalar, const N: usize> {
    base: *mut Block<F>,
    stride: usize,
    end: usize,
    rows: PhantomData<&'a mut [Block<F>]>,
}

/// Bytes from the part of the first row to the end of the places in so many blocks at which N follow.
fn end_of_places<F: Scalar, const N: usize>(blocks: usize, first: usize) -> usize {
    (blocks + 1).saturating_sub(first + N) * size_of::<Block<F>>()
}

impl<'a, F: Scalar, const N: usize> Parts<'a, F, N> {
    /// Of rows of so many columns; `first`: the first block of each row's part.
    #[inline(always)]
    pub fn new(rows: &'a [Block<F>], columns: usize, first: usize) -> Self {
        let end = end_of_places::<F, N>(rows.len(), first);
        let (base, stride) = (rows.as_ptr().wrapping_add(first), columns * size_of::<Block<F>>());
        Self { base, stride, end, rows: PhantomData }
    }

    /// The part of a row.
    ///
    /// # Panics
    /// Where there is no such row.
    #[inline(always)]
    pub fn of(&self, row: u32) -> &'a [Block<F>; N] {
        let place = row as usize * self.stride;
        assert!(place < self.end, "a sender without a row");
        // SAFETY: `place` is a multiple of a block's size, and N blocks of the slice follow it, as just asserted.
        unsafe { &*self.base.byte_add(place).cast() }
    }
}

impl<'a, F: Scalar, const N: usize> PartsMut<'a, F, N> {
    /// As [`Parts::new`].
    #[inline(always)]
    pub fn new(rows: &'a mut [Block<F>], columns: usize, first: usize) -> Self {
        let end = end_of_places::<F, N>(rows.len(), first);
        let (base, stride) = (rows.as_mut_ptr().wrapping_add(first), columns * size_of::<Block<F>>());
        Self { base, stride, end, rows: PhantomData }
    }

    /// As [`Parts::of`].
    #[inline(always)]
    pub fn of(&mut self, row: u32) -> &mut [Block<F>; N] {
        let place = row as usize * self.stride;
        assert!(place < self.end, "a sender without a row");
        // SAFETY: as in `Parts::of`; the slice is borrowed mutably.
        unsafe { &mut *self.base.byte_add(place).cast() }
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
        let parts = Parts::<_, 2>::new(&rows, 4, 1);
        assert_eq!(parts.of(2).map(|block| block.0[0]), [9.0, 10.0]);
        PartsMut::<_, 2>::new(&mut rows, 4, 2).of(2)[1] = Block::of(-1.0);
        assert_eq!(rows[11], Block::of(-1.0));
    }

    #[test]
    #[should_panic = "a sender without a row"]
    fn there_is_no_row_behind_the_last() {
        Parts::<_, 2>::new(&rows(), 4, 1).of(3);
    }

    #[test]
    #[should_panic = "a sender without a row"]
    fn nor_is_there_a_row_to_change() {
        PartsMut::<_, 4>::new(&mut rows(), 4, 0).of(3);
    }

    #[test]
    #[should_panic = "a sender without a row"]
    fn a_part_is_no_longer_than_all_rows() {
        Parts::<_, 5>::new(&rows()[..4], 4, 0).of(0);
    }

    #[test]
    #[should_panic = "a sender without a row"]
    fn none_begins_behind_all_rows() {
        Parts::<_, 1>::new(&rows()[..4], 4, 4).of(0);
    }
}

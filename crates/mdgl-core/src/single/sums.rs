//! Gradient sums of one trial: where a sender's events add what its targets felt.

use std::ops::Range;

use crate::numeric::csr::Csr;
use crate::numeric::lanes::{Block, LANES, Lanes, Places, flat};
use crate::numeric::scalar::Scalar;
use crate::single::columns::{LongColumn, TILE, place, row};

/// The gradient sums of one list of synapses, sixteen side by side: of a sender's synapses, or of all targets where it has most of them.
#[derive(Debug)]
pub(super) struct Sums {
    /// The first block of each sender's sums, and the end.
    start: Vec<u32>,
    /// Where in long columns the targets of each block's lanes are; empty where lanes are targets.
    places: Vec<Places>,
    /// Columns of targets.
    columns: usize,
    /// (slot, where its sum is).
    slots: Vec<(u32, u32)>,
}

impl Sums {
    pub fn new(csr: &Csr<u32>, senders: usize, targets: usize) -> Self {
        let columns = targets.div_ceil(LANES);
        let listed: usize = (0..senders).map(|sender| csr.of(sender).len().div_ceil(LANES)).sum();
        let whole = senders * columns <= 2 * listed;
        let mut sums = Self { start: vec![0], places: Vec::new(), columns, slots: Vec::new() };
        let mut blocks = 0;
        for sender in 0..senders {
            let items = csr.of(sender);
            let first = (blocks * LANES) as u32;
            if whole && !items.is_empty() {
                sums.slots.extend(items.iter().map(|&(target, slot)| (slot, first + target)));
                blocks += columns;
            } else {
                for (i, &(target, slot)) in items.iter().enumerate() {
                    if i % LANES == 0 {
                        sums.places.push(Places([0; LANES]));
                        blocks += 1;
                    }
                    if let Some(places) = sums.places.last_mut() {
                        places.0[i % LANES] = place(target, TILE + 1);
                    }
                    sums.slots.push((slot, first + i as u32));
                }
            }
            sums.start.push(blocks as u32);
        }
        sums
    }

    /// Blocks of sums.
    pub fn blocks(&self) -> usize {
        self.start.last().map_or(0, |&end| end as usize)
    }

    /// Blocks of sums of a sender.
    pub fn blocks_of(&self, sender: u32) -> usize {
        self.range(sender).len()
    }

    /// Every (slot, its sum).
    pub fn each<'a, F: Scalar>(&'a self, sums: &'a [Block<F>]) -> impl Iterator<Item = (usize, F)> + 'a {
        let sums = flat(sums);
        self.slots.iter().map(|&(slot, place)| (slot as usize, sums[place as usize]))
    }

    /// Adds to a sender's sums what its targets felt at a row.
    #[inline(always)]
    pub fn add<L: Lanes>(&self, sender: u32, felt: Felt<'_, L::Scalar>, sums: &mut [Block<L::Scalar>]) {
        let range = self.range(sender);
        for (i, sum) in sums[range.clone()].iter_mut().enumerate() {
            L::load(sum).add(self.felt::<L>(range.start, i, felt)).store(sum);
        }
    }

    /// The same for several events at once.
    #[inline(always)]
    pub fn add_count<L: Lanes>(
        &self,
        sender: u32,
        count: u16,
        felt: Felt<'_, L::Scalar>,
        sums: &mut [Block<L::Scalar>],
    ) {
        let range = self.range(sender);
        let count = L::splat(L::Scalar::from_f64(f64::from(count)));
        for (i, sum) in sums[range.clone()].iter_mut().enumerate() {
            L::load(sum).add(self.felt::<L>(range.start, i, felt).mul(count)).store(sum);
        }
    }

    /// The same for an analogue value.
    #[inline(always)]
    pub fn add_value<L: Lanes>(
        &self,
        sender: u32,
        value: L::Scalar,
        felt: Felt<'_, L::Scalar>,
        sums: &mut [Block<L::Scalar>],
    ) {
        let range = self.range(sender);
        for (i, sum) in sums[range.clone()].iter_mut().enumerate() {
            L::splat(value).mul_add(self.felt::<L>(range.start, i, felt), L::load(sum)).store(sum);
        }
    }

    /// The blocks of a sender's sums.
    #[inline(always)]
    fn range(&self, sender: u32) -> Range<usize> {
        self.start[sender as usize] as usize..self.start[sender as usize + 1] as usize
    }

    /// What the targets of one block of sums felt.
    #[inline(always)]
    fn felt<L: Lanes>(&self, start: usize, i: usize, felt: Felt<'_, L::Scalar>) -> L {
        assert!(self.columns <= felt.columns.len(), "a target beyond the buffer");
        match self.places.is_empty() {
            true => L::load(&felt.columns[i][felt.row]),
            // SAFETY: places are of the first row of these columns, as just asserted; `row` begins at one of them.
            false => unsafe { L::gather(row(felt.columns, felt.row), &self.places[start + i]) },
        }
    }
}

/// What targets felt at one step: a row of their columns.
#[derive(Clone, Copy)]
pub(super) struct Felt<'a, F: Scalar> {
    pub columns: &'a [LongColumn<F>],
    pub row: usize,
}

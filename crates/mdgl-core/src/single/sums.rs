//! Gradient sums of one trial: each event of a sender adds the input adjoints of its targets.

use std::ops::Range;

use crate::numeric::csr::Csr;
use crate::numeric::lanes::{Block, LANES, Lanes, Places, flat};
use crate::numeric::memory::bytes_of;
use crate::numeric::scalar::Scalar;
use crate::single::columns::{LongTileColumn, TILE, place, row};
use crate::single::outgoing::fits;
use crate::single::rows::RowsMut;

/// Number of blocks of whole rows that take as long as one block whose targets are gathered.
const MOST_COLUMNS: usize = 7;

/// Gradient sums of several CSR adjacencies, sixteen side by side: of a sender's synapses, or of all targets where it has most of them.
#[derive(Debug)]
pub(super) struct Sums {
    /// The first block of each sender's sums, and the end.
    start: Vec<u32>,
    /// Whether lanes are targets, and every sender has a row of them.
    whole: bool,
    /// Where in long columns the targets of each block's lanes are, where they are not.
    places: Vec<Places>,
    /// Columns of targets.
    columns: usize,
    /// (slot, where its sum is).
    slots: Vec<(u32, u32)>,
}

impl Sums {
    /// Of several adjacencies, each with its number of senders, one after the other.
    pub fn new(csrs: &[(&Csr<u32>, usize)], targets: usize) -> Self {
        let columns = targets.div_ceil(LANES);
        let each = || csrs.iter().flat_map(|&(csr, senders)| (0..senders).map(move |sender| csr.of(sender)));
        let listed: usize = each().map(|items| items.len().div_ceil(LANES)).sum();
        let whole = each().count() * columns <= MOST_COLUMNS * listed;
        let mut sums = Self { start: vec![0], whole, places: Vec::new(), columns, slots: Vec::new() };
        let mut blocks = 0;
        for items in each() {
            let first = (blocks * LANES) as u32;
            if whole {
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

    /// Bytes of memory in use.
    pub fn bytes(&self) -> usize {
        bytes_of(&self.start) + bytes_of(&self.places) + bytes_of(&self.slots)
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

    /// Adds the targets' input adjoints of a row to the sums of some senders.
    #[inline(always)]
    pub fn add<L: Lanes>(
        &self,
        senders: &[u32],
        target_adjoints: TargetAdjoints<'_, L::Scalar>,
        sums: &mut [Block<L::Scalar>],
    ) {
        assert!(self.columns <= target_adjoints.columns.len(), "a target beyond the buffer");
        if self.whole {
            let TargetAdjoints { columns, row } = target_adjoints;
            let all = 0..self.columns;
            return self.add_tile::<L>(|_| senders, (columns, all), row..row + 1, sums);
        }
        for &sender in senders {
            let range = self.range(sender);
            for (sum, places) in sums[range.clone()].iter_mut().zip(&self.places[range]) {
                // SAFETY: places are of the first row of these columns, as just asserted; `row` begins at one of them.
                let target_adjoints: L =
                    unsafe { L::gather(row(target_adjoints.columns, target_adjoints.row), places) };
                L::load(sum).add(target_adjoints).store(sum);
            }
        }
    }

    /// The same for several rows of a tile, the last first, each with senders of its own. `live`: the columns that are not 0.
    #[inline(always)]
    pub fn add_tile<'e, L: Lanes>(
        &self,
        senders: impl Fn(usize) -> &'e [u32],
        (columns, live): (&[LongTileColumn<L::Scalar>], Range<usize>),
        rows: Range<usize>,
        sums: &mut [Block<L::Scalar>],
    ) {
        if !self.whole {
            for row in rows.rev() {
                self.add::<L>(senders(row), TargetAdjoints { columns, row }, sums);
            }
            return;
        }
        let mut first = live.start;
        let mut rest = &columns[live];
        if const { fits::<L>(14) } {
            rest = self.add_chunks::<L, 14>(&senders, &mut first, (rest, rows.clone()), sums);
        }
        if const { fits::<L>(7) } {
            rest = self.add_chunks::<L, 7>(&senders, &mut first, (rest, rows.clone()), sums);
        }
        if const { fits::<L>(4) } {
            rest = self.add_chunks::<L, 4>(&senders, &mut first, (rest, rows.clone()), sums);
        }
        if const { fits::<L>(3) && !fits::<L>(4) } {
            rest = self.add_chunks::<L, 3>(&senders, &mut first, (rest, rows.clone()), sums);
        }
        if const { fits::<L>(2) } {
            rest = self.add_chunks::<L, 2>(&senders, &mut first, (rest, rows.clone()), sums);
        }
        self.add_chunks::<L, 1>(&senders, &mut first, (rest, rows), sums);
    }

    /// Whole rows of sums, so many blocks at a time.
    #[inline(always)]
    fn add_chunks<'a, 'e, L: Lanes, const N: usize>(
        &self,
        senders: &impl Fn(usize) -> &'e [u32],
        first: &mut usize,
        (columns, rows): (&'a [LongTileColumn<L::Scalar>], Range<usize>),
        sums: &mut [Block<L::Scalar>],
    ) -> &'a [LongTileColumn<L::Scalar>] {
        let (chunks, rest) = columns.as_chunks::<N>();
        for chunk in chunks {
            let mut sums = RowsMut::new(sums, self.columns);
            for row in rows.clone().rev() {
                let mut target_adjoints = [L::splat(L::Scalar::ZERO); N];
                for (target_adjoints, column) in target_adjoints.iter_mut().zip(chunk) {
                    *target_adjoints = L::load(&column[row]);
                }
                for &sender in senders(row) {
                    for (sum, target_adjoints) in
                        sums.part::<N>(sender, *first).iter_mut().zip(target_adjoints)
                    {
                        L::load(sum).add(target_adjoints).store(sum);
                    }
                }
            }
            *first += N;
        }
        rest
    }

    /// The same for several events at once.
    #[inline(always)]
    pub fn add_count<L: Lanes>(
        &self,
        sender: u32,
        count: u16,
        target_adjoints: TargetAdjoints<'_, L::Scalar>,
        sums: &mut [Block<L::Scalar>],
    ) {
        let range = self.range(sender);
        let count = L::splat(L::Scalar::from_f64(f64::from(count)));
        for (i, sum) in sums[range.clone()].iter_mut().enumerate() {
            L::load(sum)
                .add(self.target_adjoints::<L>(range.start, i, target_adjoints).mul(count))
                .store(sum);
        }
    }

    /// The same for an analogue value.
    #[inline(always)]
    pub fn add_value<L: Lanes>(
        &self,
        sender: u32,
        value: L::Scalar,
        target_adjoints: TargetAdjoints<'_, L::Scalar>,
        sums: &mut [Block<L::Scalar>],
    ) {
        let range = self.range(sender);
        for (i, sum) in sums[range.clone()].iter_mut().enumerate() {
            L::splat(value)
                .mul_add(self.target_adjoints::<L>(range.start, i, target_adjoints), L::load(sum))
                .store(sum);
        }
    }

    /// The blocks of a sender's sums.
    #[inline(always)]
    fn range(&self, sender: u32) -> Range<usize> {
        self.start[sender as usize] as usize..self.start[sender as usize + 1] as usize
    }

    /// Input adjoints of the targets of one block of sums.
    #[inline(always)]
    fn target_adjoints<L: Lanes>(
        &self,
        start: usize,
        i: usize,
        target_adjoints: TargetAdjoints<'_, L::Scalar>,
    ) -> L {
        assert!(self.columns <= target_adjoints.columns.len(), "a target beyond the buffer");
        match self.whole {
            true => L::load(&target_adjoints.columns[i][target_adjoints.row]),
            // SAFETY: places are of the first row of these columns, as just asserted; `row` begins at one of them.
            false => unsafe {
                L::gather(row(target_adjoints.columns, target_adjoints.row), &self.places[start + i])
            },
        }
    }
}

/// Input adjoints of targets at one step: a row of their columns.
#[derive(Clone, Copy)]
pub(super) struct TargetAdjoints<'a, F: Scalar> {
    pub columns: &'a [LongTileColumn<F>],
    pub row: usize,
}

//! What a spike adds to its targets.

use crate::numeric::csr::Csr;
use crate::numeric::lanes::{Block, LANES, Lanes, flat_mut};
use crate::numeric::scalar::Scalar;

/// Bytes of whole rows that stay in a core's second-level cache.
const MOST_BYTES: usize = 1 << 20;

/// The weights as one whole row a sender, `[sender][block of targets]`, where adding a row is faster than visiting
/// its synapses; empty elsewhere.
///
/// An absent synapse is −0, which changes no number it is added to.
#[derive(Debug)]
pub(super) struct Outgoing<F: Scalar> {
    rows: Vec<Block<F>>,
    /// Blocks in a row.
    columns: usize,
}

impl<F: Scalar> Outgoing<F> {
    pub fn new(csr: &Csr<F>, senders: usize, targets: usize) -> Self {
        let columns = targets.div_ceil(LANES);
        let synapses: usize = (0..senders).map(|sender| csr.of(sender).len()).sum();
        let rows = match pays(synapses, senders, columns, size_of::<Block<F>>()) {
            true => whole_rows(csr, senders, columns).unwrap_or_default(),
            false => Vec::new(),
        };
        Self { rows, columns }
    }

    /// Blocks in a row, where there are rows.
    pub fn columns(&self) -> Option<usize> {
        (!self.rows.is_empty()).then_some(self.columns)
    }

    /// The row of a sender; empty where there are none.
    #[inline(always)]
    fn row(&self, sender: u32) -> &[Block<F>] {
        &self.rows[sender as usize * self.columns..][..self.columns]
    }

    /// Adds each spike's weights to its targets, in the order of the spikes.
    #[inline(always)]
    pub fn spikes<L: Lanes<Scalar = F>>(&self, csr: &Csr<F>, senders: &[u32], to: &mut [Block<F>]) {
        if self.rows.is_empty() {
            for &sender in senders {
                add_listed(csr, sender, to);
            }
            return;
        }
        let mut fours = senders.chunks_exact(4);
        for four in &mut fours {
            let [a, b, c, d] = [four[0], four[1], four[2], four[3]];
            let rows = self.row(a).iter().zip(self.row(b)).zip(self.row(c)).zip(self.row(d));
            for (to, (((a, b), c), d)) in to.iter_mut().zip(rows) {
                let sum = L::load(to).add(L::load(a)).add(L::load(b)).add(L::load(c));
                sum.add(L::load(d)).store(to);
            }
        }
        for &sender in fours.remainder() {
            for (to, row) in to.iter_mut().zip(self.row(sender)) {
                L::load(to).add(L::load(row)).store(to);
            }
        }
    }

    /// Adds several spikes at once of one sender.
    #[inline(always)]
    pub fn count<L: Lanes<Scalar = F>>(&self, csr: &Csr<F>, sender: u32, count: u16, to: &mut [Block<F>]) {
        if count == 1 {
            return self.spikes::<L>(csr, &[sender], to);
        }
        let count = F::from_f64(f64::from(count));
        let to = flat_mut(to);
        for &(target, weight) in csr.of(sender as usize) {
            to[target as usize] += weight * count;
        }
    }

    /// Adds a value times one sender's weights.
    #[inline(always)]
    pub fn value<L: Lanes<Scalar = F>>(&self, csr: &Csr<F>, sender: u32, value: F, to: &mut [Block<F>]) {
        if self.rows.is_empty() {
            let to = flat_mut(to);
            for &(target, weight) in csr.of(sender as usize) {
                let to = &mut to[target as usize];
                *to = L::mul_add_one(value, weight, *to);
            }
            return;
        }
        for (to, row) in to.iter_mut().zip(self.row(sender)) {
            L::splat(value).mul_add(L::load(row), L::load(to)).store(to);
        }
    }
}

#[inline(always)]
fn add_listed<F: Scalar>(csr: &Csr<F>, sender: u32, to: &mut [Block<F>]) {
    let to = flat_mut(to);
    for &(target, weight) in csr.of(sender as usize) {
        to[target as usize] += weight;
    }
}

/// Whether whole rows are faster to add than lists: measured for rows of 4 to 64 blocks.
fn pays(synapses: usize, senders: usize, columns: usize, block: usize) -> bool {
    senders * columns * block <= MOST_BYTES && senders * columns <= synapses + 8 * senders
}

/// Each sender's weights by target; none where a pair has two synapses, whose order of addition only lists keep.
fn whole_rows<F: Scalar>(csr: &Csr<F>, senders: usize, columns: usize) -> Option<Vec<Block<F>>> {
    if columns == 0 {
        return None;
    }
    let absent = -F::ZERO;
    let mut rows = vec![Block([absent; LANES]); senders * columns];
    for (sender, row) in rows.chunks_mut(columns).enumerate() {
        let row = flat_mut(row);
        for &(target, weight) in csr.of(sender) {
            let place = &mut row[target as usize];
            if *place != F::ZERO {
                return None;
            }
            *place = weight;
        }
    }
    Some(rows)
}

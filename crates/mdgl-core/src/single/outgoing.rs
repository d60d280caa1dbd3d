//! Outgoing weights of each sender, as whole rows or as lists of targets.

use crate::numeric::csr::Csr;
use crate::numeric::lanes::{Block, LANES, Lanes, flat_mut};
use crate::numeric::scalar::Scalar;
use crate::single::rows::Rows;

/// Bytes of whole rows that stay in a core's second-level cache.
const MOST_BYTES: usize = 1 << 20;

/// Weights as one whole row per sender, `[sender][block of targets]`, where adding a row is faster than visiting its synapses;
/// empty elsewhere. Senders are those of several adjacencies, one after the other.
///
/// An absent synapse is −0, which changes no number it is added to.
#[derive(Debug)]
pub(super) struct Outgoing<F: Scalar> {
    rows: Vec<Block<F>>,
    /// Blocks in a row.
    columns: usize,
}

/// Adjacencies, each with its number of senders.
pub(super) type Adjacencies<'a, F> = [(&'a Csr<F>, usize)];

impl<F: Scalar> Outgoing<F> {
    pub fn new(csrs: &Adjacencies<'_, F>, targets: usize) -> Self {
        let columns = targets.div_ceil(LANES);
        let senders = csrs.iter().map(|(_, senders)| senders).sum();
        let synapses = csrs.iter().map(|(csr, _)| csr.len()).sum();
        let rows = match pays(synapses, senders, columns, size_of::<Block<F>>()) {
            true => whole_rows(csrs, senders, columns).unwrap_or_default(),
            false => Vec::new(),
        };
        Self { rows, columns }
    }

    /// Blocks in a row, where there are rows.
    pub fn columns(&self) -> Option<usize> {
        (!self.rows.is_empty()).then_some(self.columns)
    }

    /// The rows, where there are rows.
    #[inline(always)]
    pub fn rows(&self) -> Option<Rows<'_, F>> {
        (!self.rows.is_empty()).then(|| Rows::new(&self.rows, self.columns))
    }

    /// Adds each event's weights to its targets, in the order of the events. `synapses`: those of a sender, (target, weight).
    #[inline(always)]
    pub fn add<'a, L: Lanes<Scalar = F>>(
        &self,
        synapses: impl Fn(u32) -> &'a [(u32, F)],
        senders: &[u32],
        to: &mut [Block<F>],
    ) {
        match self.rows.is_empty() {
            true => senders.iter().for_each(|&sender| add_listed(synapses(sender), to)),
            false => self.add_rows::<L>(senders, to),
        }
    }

    /// The same of whole rows, as many blocks at a time as there are registers for.
    #[inline(always)]
    pub fn add_rows<L: Lanes<Scalar = F>>(&self, senders: &[u32], to: &mut [Block<F>]) {
        let mut first = 0;
        let mut rest = to;
        if const { fits::<L>(7) } {
            rest = self.add_chunks::<L, 7>(senders, &mut first, rest);
        }
        if const { fits::<L>(4) } {
            rest = self.add_chunks::<L, 4>(senders, &mut first, rest);
        }
        if const { fits::<L>(3) && !fits::<L>(4) } {
            rest = self.add_chunks::<L, 3>(senders, &mut first, rest);
        }
        if const { fits::<L>(2) } {
            rest = self.add_chunks::<L, 2>(senders, &mut first, rest);
        }
        self.add_chunks::<L, 1>(senders, &mut first, rest);
    }

    #[inline(always)]
    fn add_chunks<'a, L: Lanes<Scalar = F>, const N: usize>(
        &self,
        senders: &[u32],
        first: &mut usize,
        to: &'a mut [Block<F>],
    ) -> &'a mut [Block<F>] {
        let (chunks, rest) = to.as_chunks_mut::<N>();
        for chunk in chunks {
            let mut sums = [L::splat(F::ZERO); N];
            for (sum, to) in sums.iter_mut().zip(&*chunk) {
                *sum = L::load(to);
            }
            add_parts(Rows::new(&self.rows, self.columns), senders, *first, &mut sums);
            for (sum, to) in sums.into_iter().zip(chunk) {
                sum.store(to);
            }
            *first += N;
        }
        rest
    }

    /// Adds several events at once of one sender.
    #[inline(always)]
    pub fn add_count<L: Lanes<Scalar = F>>(
        &self,
        sender: u32,
        synapses: &[(u32, F)],
        count: u16,
        to: &mut [Block<F>],
    ) {
        if count == 1 {
            match self.rows.is_empty() {
                true => add_listed(synapses, to),
                false => self.add_rows::<L>(&[sender], to),
            }
            return;
        }
        let count = F::from_f64(f64::from(count));
        let to = flat_mut(to);
        for &(target, weight) in synapses {
            to[target as usize] += weight * count;
        }
    }

    /// Adds a value times one sender's weights.
    #[inline(always)]
    pub fn add_value<L: Lanes<Scalar = F>>(
        &self,
        sender: u32,
        synapses: &[(u32, F)],
        value: F,
        to: &mut [Block<F>],
    ) {
        if self.rows.is_empty() {
            let to = flat_mut(to);
            for &(target, weight) in synapses {
                let to = &mut to[target as usize];
                *to = L::mul_add_one(value, weight, *to);
            }
            return;
        }
        let row = &self.rows[sender as usize * self.columns..][..self.columns];
        for (to, row) in to.iter_mut().zip(row) {
            L::splat(value).mul_add(L::load(row), L::load(to)).store(to);
        }
    }
}

/// Adds N blocks of each sender's row, from one on, in the order of the senders.
#[inline(always)]
pub(super) fn add_parts<L: Lanes, const N: usize>(
    rows: Rows<'_, L::Scalar>,
    senders: &[u32],
    first: usize,
    sums: &mut [L; N],
) {
    for &sender in senders {
        for (sum, weights) in sums.iter_mut().zip(rows.part::<N>(sender, first)) {
            *sum = sum.add(L::load(weights));
        }
    }
}

/// Whether so many blocks have registers, with two to spare.
pub(super) const fn fits<L: Lanes>(blocks: usize) -> bool {
    blocks * L::REGISTERS_PER_BLOCK + 2 <= L::REGISTERS
}

#[inline(always)]
fn add_listed<F: Scalar>(synapses: &[(u32, F)], to: &mut [Block<F>]) {
    let to = flat_mut(to);
    for &(target, weight) in synapses {
        to[target as usize] += weight;
    }
}

/// Whether so many senders with so many synapses onto so many targets have whole rows, if no pair has two synapses.
pub(crate) fn has_rows<F: Scalar>(synapses: usize, senders: usize, targets: usize) -> bool {
    pays(synapses, senders, targets.div_ceil(LANES), size_of::<Block<F>>())
}

/// Whether whole rows are faster to add than lists: measured for rows of 4 to 64 blocks.
fn pays(synapses: usize, senders: usize, columns: usize, block: usize) -> bool {
    senders * columns * block <= MOST_BYTES && senders * columns <= synapses + 8 * senders
}

/// Each sender's weights by target; none where a pair has two synapses, whose order of addition only lists keep.
fn whole_rows<F: Scalar>(csrs: &Adjacencies<'_, F>, senders: usize, columns: usize) -> Option<Vec<Block<F>>> {
    if columns == 0 {
        return None;
    }
    let absent = -F::ZERO;
    let mut rows = vec![Block([absent; LANES]); senders * columns];
    let all = csrs.iter().flat_map(|&(csr, senders)| (0..senders).map(move |sender| csr.of(sender)));
    for (synapses, row) in all.zip(rows.chunks_mut(columns)) {
        let row = flat_mut(row);
        for &(target, weight) in synapses {
            let place = &mut row[target as usize];
            if *place != F::ZERO {
                return None;
            }
            *place = weight;
        }
    }
    Some(rows)
}

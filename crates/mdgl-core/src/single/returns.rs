//! Γ of backpropagation through time: sums of the targets' adjoints along a cell's own synapses.

use crate::numeric::csr::Csr;
use crate::numeric::lanes::{LANES, Lanes, Mask, Places, flat_mut};
use crate::numeric::scalar::Scalar;
use crate::single::columns::{LongTileColumn, TILE, TileColumn, place, row};

/// Number of sums computed side by side: the terms of one have a fixed order, so only several keep the processor busy.
const ABREAST: usize = 4;

/// The receivers' synapses.
#[derive(Debug)]
pub(super) struct Returns<F: Scalar> {
    /// By number of synapses, so that neighbours are of like length.
    receivers: Vec<Receiver>,
    /// The same in blocks of lanes.
    lanes: Vec<ReceiverBlock>,
    /// The receivers' terms one after another.
    terms: Vec<GainPair<F>>,
    /// Columns of cells.
    columns: usize,
}

#[derive(Debug, Clone, Copy)]
struct Receiver {
    /// Start of its terms, and their number.
    first: u32,
    len: u32,
    /// Place of its Γ in long columns.
    gamma: u32,
}

/// Sixteen receivers.
#[derive(Debug)]
struct ReceiverBlock {
    numbers: Places,
    /// Place of their ψ in columns.
    psi: Places,
    /// Lanes that hold a receiver.
    lanes: Mask,
}

/// Two terms of a sum: where the sending cells' λ are in long columns (the first in the low half), and the gains.
/// The last pair of a row may be half empty: its second gain is 0 then.
#[derive(Debug, Clone, Copy)]
struct GainPair<F> {
    from: u64,
    gain: [F; 2],
}

impl<F: Scalar> Returns<F> {
    pub fn new(gains: &Csr<F>, neurons: usize) -> Self {
        let mut cells: Vec<u32> = (0..neurons as u32).filter(|&p| !gains.of(p as usize).is_empty()).collect();
        cells.sort_by_key(|&p| gains.of(p as usize).len());
        let (mut receivers, mut terms) = (Vec::new(), Vec::new());
        for &p in &cells {
            let first = terms.len() as u32;
            for pair in gains.of(p as usize).chunks(2) {
                let (one, other) = (pair[0], pair.get(1).copied().unwrap_or((pair[0].0, F::ZERO)));
                let from = u64::from(place(one.0, TILE + 1)) | u64::from(place(other.0, TILE + 1)) << 32;
                terms.push(GainPair { from, gain: [one.1, other.1] });
            }
            receivers.push(Receiver { first, len: terms.len() as u32 - first, gamma: place(p, TILE + 1) });
        }
        let lanes = cells.chunks(LANES).enumerate().map(|(block, cells)| lanefull(block, cells)).collect();
        Self { receivers, lanes, terms, columns: neurons.div_ceil(LANES) }
    }

    /// Γ_p = Σ_j gain λ_j of the step after a row, of the cells whose ψ at the row is not 0: the others do not need it.
    /// Returns the number of terms, rounded up in an odd row.
    #[inline(always)]
    pub fn receive<L: Lanes<Scalar = F>>(
        &self,
        psi: &[TileColumn<F>],
        adjoint: &[LongTileColumn<F>],
        at: usize,
        chosen: &mut [u32],
        gamma: &mut [LongTileColumn<F>],
    ) -> u64 {
        assert!(self.columns <= psi.len() && self.columns <= adjoint.len(), "a cell beyond the buffers");
        let (psi, adjoint) = (row(psi, at), row(adjoint, at + 1));
        let gamma = &mut flat_mut(gamma.as_flattened_mut())[(at + 1) * LANES..];
        let mut count = 0;
        for sixteen in &self.lanes {
            // SAFETY: places are of the first row of the columns asserted above; `row` begins at one of them.
            let psi = unsafe { L::gather(psi, &sixteen.psi) };
            let open = psi.abs().gt(L::splat(F::ZERO)) & sixteen.lanes;
            if let Some(to) = chosen[count..].first_chunk_mut() {
                count += L::pick(&sixteen.numbers, open, to);
            }
        }
        let (abreast, rest) = chosen[..count].as_chunks::<ABREAST>();
        let mut twos = 0;
        for numbers in abreast {
            twos += self.sum::<L, ABREAST>(*numbers, adjoint, gamma);
        }
        for &number in rest {
            twos += self.sum::<L, 1>([number], adjoint, gamma);
        }
        2 * twos as u64
    }

    /// The sums of some receivers; the number of twos.
    #[inline(always)]
    fn sum<L: Lanes<Scalar = F>, const N: usize>(
        &self,
        numbers: [u32; N],
        values: &[F],
        gamma: &mut [F],
    ) -> usize {
        let mut rows: [&[GainPair<F>]; N] = [&[]; N];
        let (mut common, mut all) = (usize::MAX, 0);
        for (row, &number) in rows.iter_mut().zip(&numbers) {
            let Receiver { first, len, .. } = self.receivers[number as usize];
            *row = &self.terms[first as usize..][..len as usize];
            (common, all) = (common.min(row.len()), all + row.len());
        }
        let mut sums = [F::ZERO; N];
        for i in 0..common {
            for (sum, row) in sums.iter_mut().zip(&rows) {
                *sum = two::<L>(row, i, values, *sum);
            }
        }
        for (sum, row) in sums.iter_mut().zip(&rows) {
            for i in common..row.len() {
                *sum = two::<L>(row, i, values, *sum);
            }
        }
        for (&number, sum) in numbers.iter().zip(sums) {
            gamma[self.receivers[number as usize].gamma as usize] = sum;
        }
        all
    }
}

#[inline(always)]
fn two<L: Lanes>(row: &[GainPair<L::Scalar>], i: usize, values: &[L::Scalar], sum: L::Scalar) -> L::Scalar {
    // SAFETY: `sum` stays within the row; places are of the first row of the columns that `receive` has asserted.
    unsafe {
        let GainPair { from, gain } = row.get_unchecked(i);
        let sum = L::mul_add_one(*values.get_unchecked(*from as u32 as usize), gain[0], sum);
        L::mul_add_one(*values.get_unchecked((from >> 32) as usize), gain[1], sum)
    }
}

fn lanefull(block: usize, cells: &[u32]) -> ReceiverBlock {
    let (mut numbers, mut psi) = (Places([0; LANES]), Places([0; LANES]));
    for (lane, &p) in cells.iter().enumerate() {
        numbers.0[lane] = (block * LANES + lane) as u32;
        psi.0[lane] = place(p, TILE);
    }
    ReceiverBlock { numbers, psi, lanes: (Mask::MAX as u32 >> (LANES - cells.len())) as Mask }
}

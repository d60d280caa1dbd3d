//! Scatter: weights of the units that fired, added to their targets.

use crate::batch::encode::Entry;
use crate::numeric::lanes::{Block, Lanes, Mask, RegisterMask};
use crate::numeric::scalar::Scalar;
use crate::simulate::padded_csr::{CHUNK, Chunk, PaddedCsr};

/// Entries of a step that go through a table of weights at once.
const ENTRIES: usize = 32;

/// Rows of at most so many chunks go through a work list.
const SHORT: usize = 4;

/// A chunk to be added, and its lanes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ScatterItem {
    chunk: u32,
    mask: Mask,
    count: u16,
}

/// Adds each entry's weights to its targets, in the entry's lanes.
#[inline(always)]
pub(crate) fn scatter<L: Lanes>(
    entries: &[Entry],
    weights: &PaddedCsr<L::Scalar>,
    work: &mut Vec<ScatterItem>,
    to: &mut [Block<L::Scalar>],
) {
    weights.check_targets(to);
    if weights.columns().len() > 0 {
        scatter_columns::<L>(entries, weights, to);
        return;
    }
    if weights.most() > SHORT {
        for &Entry { unit, mask, count } in entries {
            for chunk in weights.of(unit as usize) {
                add_chunk::<L>(chunk, mask, count, to);
            }
        }
        return;
    }
    // Short rows of different lengths are hard to predict; one long list of chunks is not.
    work.resize(entries.len() * SHORT + SHORT, ScatterItem::default());
    let mut len = 0;
    for &Entry { unit, mask, count } in entries {
        let (first, end) = weights.range(unit as usize);
        for (i, item) in work[len..len + SHORT].iter_mut().enumerate() {
            *item = ScatterItem { chunk: first + i as u32, mask, count };
        }
        len += (end - first) as usize;
    }
    for &ScatterItem { chunk, mask, count } in &work[..len] {
        add_chunk::<L>(weights.at(chunk), mask, count, to);
    }
}

/// The same by a table of weights: the sums of four targets stay in registers.
#[inline(always)]
fn scatter_columns<L: Lanes>(entries: &[Entry], weights: &PaddedCsr<L::Scalar>, to: &mut [Block<L::Scalar>]) {
    let mut masks = [L::Mask::from_bits(0); ENTRIES];
    for entries in entries.chunks(ENTRIES) {
        for (mask, entry) in masks.iter_mut().zip(entries) {
            *mask = L::Mask::from_bits(entry.mask);
        }
        for (column, to) in weights.columns().zip(to.chunks_mut(CHUNK)) {
            let mut sums = [L::splat(L::Scalar::ZERO); CHUNK];
            for (sum, to) in sums.iter_mut().zip(&*to) {
                *sum = L::load(to);
            }
            for (entry, &mask) in entries.iter().zip(&masks) {
                let mut negated = column[entry.unit as usize];
                if entry.count != 1 {
                    let count = L::Scalar::from_f64(f64::from(entry.count));
                    negated = negated.map(|weight| weight * count);
                }
                for i in 0..CHUNK {
                    sums[i] = sums[i].sub_in(mask, L::splat(negated[i]));
                }
            }
            for (sum, to) in sums.into_iter().zip(to) {
                sum.store(to);
            }
        }
    }
}

#[inline(always)]
fn add_chunk<L: Lanes>(chunk: &Chunk<L::Scalar>, mask: Mask, count: u16, to: &mut [Block<L::Scalar>]) {
    let mask = L::Mask::from_bits(mask);
    for i in 0..CHUNK {
        let weight = match count {
            1 => chunk.item[i],
            _ => chunk.item[i] * L::Scalar::from_f64(f64::from(count)),
        };
        // SAFETY: `scatter` has checked that every target of the chunks is a row of the buffer.
        let to = unsafe { to.get_unchecked_mut(chunk.target[i] as usize) };
        L::load(to).add_selected(mask, L::splat(weight)).store(to);
    }
}

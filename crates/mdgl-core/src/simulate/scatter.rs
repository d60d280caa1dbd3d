//! Scatter: weights of the units that fired, added to their targets.

use crate::batch::encode::Entry;
use crate::numeric::lanes::{Block, Lanes, Mask, RegisterMask};
use crate::numeric::scalar::Scalar;
use crate::simulate::padded_csr::{CHUNK, Chunk, PaddedCsr};

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

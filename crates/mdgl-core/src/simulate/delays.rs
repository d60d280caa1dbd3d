//! Delays of more than one step: synapses by delay, and histories of sent and secreted values.
//!
//! Synapses of delay d scatter the spikes of step t − d, or the input events of step t − d + 1. A cell j that secretes is named by row and cell, (d − 1) n + j with the
//! newest row first, so that sums over gains do not depend on delays.

use std::ops::Range;

use crate::error::Result;
use crate::network::{Network, Synapse, SynapseKind};
use crate::numeric::csr::Csr;
use crate::numeric::lanes::Block;
use crate::numeric::memory::{bytes_of, product, refill, reserve};
use crate::numeric::scalar::Scalar;
use crate::simulate::padded_csr::PaddedCsr;

/// The synapses of one kind and delay, by sender.
#[derive(Debug, Clone, Default)]
pub(crate) struct Delayed<T> {
    /// Steps from a spike to its effect.
    pub delay: usize,
    pub csr: Csr<T>,
    pub chunks: PaddedCsr<T>,
}

impl<T: Copy> Delayed<T> {
    /// One for each delay of a network's synapses of a kind, ascending from 1 on; `nothing` pads chunks, `csr` changes the synapses.
    pub fn all(
        network: &Network,
        kind: SynapseKind,
        nothing: T,
        mut csr: impl FnMut(&Csr<Synapse>) -> Csr<T>,
    ) -> Vec<Self> {
        let senders = if kind == SynapseKind::Input { network.input_units() } else { network.size() };
        let of = |(&delay, synapses): (&usize, &Csr<Synapse>)| {
            let csr = csr(synapses);
            let chunks = PaddedCsr::new(&csr, senders, nothing);
            Self { delay, csr, chunks }
        };
        network.delays_of(kind).iter().zip(network.synapses_by_delay(kind)).map(of).collect()
    }

    /// Steps from an input event to its effect, which one of one step has in its own.
    pub fn input_lag(&self) -> usize {
        self.delay - 1
    }
}

/// One row per step of the values that rate units send.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows<F: Scalar> {
    width: usize,
    /// Steps before the first row.
    first: usize,
    rows: Vec<Block<F>>,
}

impl<F: Scalar> Rows<F> {
    /// Without rows; a row has so many values.
    pub fn clear(&mut self, width: usize) {
        (self.width, self.first) = (width, 0);
        self.rows.clear();
    }
    /// Reserves memory for so many rows in all.
    ///
    /// # Errors
    /// [`crate::Error::Memory`].
    pub fn reserve(&mut self, rows: usize) -> Result<()> {
        reserve(&mut self.rows, product(&[rows, self.width]), "the rates of a block of trials")
    }
    /// Bytes of memory in use.
    pub fn bytes(&self) -> usize {
        bytes_of(&self.rows)
    }
    /// Adds the next value of the current row.
    #[inline(always)]
    pub fn push(&mut self, value: Block<F>) {
        self.rows.push(value);
    }
    /// All rows, of the first step on.
    pub fn all(&self) -> &[Block<F>] {
        debug_assert_eq!(self.first, 0);
        &self.rows
    }
    /// The values of a step.
    #[inline(always)]
    pub fn at(&self, step: usize) -> &[Block<F>] {
        let row = step - self.first;
        &self.rows[row * self.width..(row + 1) * self.width]
    }
    /// Copies the rows of some steps of another.
    pub fn copy_steps(&mut self, other: &Self, steps: Range<usize>) {
        self.clear(other.width);
        self.first = steps.start;
        steps.for_each(|step| self.rows.extend_from_slice(other.at(step)));
    }
}

/// The last rows of a value that changes from step to step, contiguous and the newest first, for kernels that read
/// several at once.
#[derive(Debug, Default)]
pub(crate) struct Past<F: Scalar> {
    width: usize,
    depth: usize,
    /// Start of the newest row, in rows.
    first: usize,
    rows: Vec<Block<F>>,
}

impl<F: Scalar> Past<F> {
    /// All zero. A depth of one stores nothing.
    ///
    /// # Errors
    /// [`crate::Error::Memory`].
    pub fn reset(&mut self, width: usize, depth: usize) -> Result<()> {
        (self.width, self.depth) = (width, depth);
        // Twice the memory, so that rows move once in as many steps.
        let rows = if depth > 1 { 2 * depth } else { 0 };
        self.first = rows - rows / 2;
        refill(&mut self.rows, product(&[rows, width]), "the past secretions of delayed synapses")
    }

    /// The row given and those before it, as many as the depth.
    #[inline(always)]
    pub fn take<'a>(&'a mut self, row: &'a [Block<F>]) -> &'a [Block<F>] {
        if self.depth < 2 {
            return row;
        }
        let (width, depth) = (self.width, self.depth);
        if self.first == 0 {
            self.rows.copy_within(..(depth - 1) * width, (depth + 1) * width);
            self.first = depth + 1;
        }
        self.first -= 1;
        self.rows[self.first * width..][..width].copy_from_slice(row);
        &self.rows[self.first * width..][..depth * width]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(step: usize) -> [Block<f64>; 3] {
        std::array::from_fn(|unit| {
            let mut block = Block::ZERO;
            block.0[1] = (10 * step + unit) as f64;
            block
        })
    }

    #[test]
    fn the_newest_rows_come_first() {
        for depth in [1, 2, 3, 7] {
            let mut past = Past::default();
            for _ in 0..2 {
                past.reset(3, depth).unwrap();
                for step in 1..40 {
                    let given = row(step);
                    let taken = past.take(&given);
                    assert_eq!(taken.len(), 3 * depth);
                    for (age, found) in taken.chunks_exact(3).enumerate() {
                        let expected = step.checked_sub(age).filter(|&step| step > 0);
                        let expected = expected.map_or([Block::ZERO; 3], row);
                        assert!(
                            found.iter().zip(expected).all(|(a, b)| a.0 == b.0),
                            "depth {depth}, step {step}"
                        );
                    }
                }
            }
        }
    }
}

//! State variables of many neurons, one list of blocks per variable.

use std::ops::Range;

use crate::error::Result;
use crate::neuron::equations::FURTHER;
use crate::numeric::lanes::{Block, Lanes, clear_tiny};
use crate::numeric::memory::{bytes_of, refill};
use crate::numeric::scalar::Scalar;

/// The variables beyond the first, which is stored elsewhere; lists that no model of a network uses are empty.
#[derive(Debug, Clone, Default)]
pub(crate) struct Further<F: Scalar>([Vec<Block<F>>; FURTHER]);

impl<F: Scalar> Further<F> {
    /// So many lists of so many zeros.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] when they cannot be allocated.
    pub fn reset(&mut self, lists: usize, len: usize, what: &str) -> Result<()> {
        for (i, list) in self.0.iter_mut().enumerate() {
            refill(list, if i < lists { len } else { 0 }, what)?;
        }
        Ok(())
    }

    /// The slices of all lists for a range of neurons.
    #[inline(always)]
    pub fn slices(&mut self, cells: Range<usize>) -> [&mut [Block<F>]; FURTHER] {
        self.0.each_mut().map(|list| list.get_mut(cells.clone()).unwrap_or_default())
    }

    /// The same for the lists of a model with so many variables; the others are empty.
    ///
    /// # Panics
    /// Where one of them is shorter.
    #[inline(always)]
    pub fn slices_of(&mut self, cells: Range<usize>, variables: usize) -> [&mut [Block<F>]; FURTHER] {
        let mut slices: [&mut [Block<F>]; FURTHER] = Default::default();
        for (slice, list) in slices[..variables - 1].iter_mut().zip(&mut self.0) {
            *slice = &mut list[cells.clone()];
        }
        slices
    }

    #[inline(always)]
    pub fn clear_tiny<L: Lanes<Scalar = F>>(&mut self, step: usize) {
        for list in &mut self.0 {
            clear_tiny::<L>(step, list);
        }
    }

    /// Bytes of memory in use.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(bytes_of).sum()
    }

    /// The lists themselves.
    pub fn lists(&self) -> &[Vec<Block<F>>; FURTHER] {
        &self.0
    }

    /// The lists themselves, to be changed.
    pub fn lists_mut(&mut self) -> &mut [Vec<Block<F>>; FURTHER] {
        &mut self.0
    }
}

//! Spikes of one trial: neurons, by step.

use crate::error::Result;
use crate::numeric::lanes::{LANES, Lanes, Mask, Places};
use crate::numeric::memory::{bytes_of, resize};

/// Lists of spiking neurons, ascending, one a step.
#[derive(Debug, Default)]
pub(super) struct Spikes {
    /// Where each step's list begins, and where the last ends.
    start: Vec<usize>,
    /// The lists, and room for one more.
    units: Vec<u32>,
}

/// The list of a step.
pub(super) struct List<'a> {
    units: &'a mut [u32],
    len: usize,
}

impl List<'_> {
    /// Adds the cells of the mask.
    #[inline(always)]
    pub fn push<L: Lanes>(&mut self, cells: &Places, mask: Mask) {
        if let Some(to) = self.units[self.len..].first_chunk_mut() {
            self.len += L::pick(cells, mask, to);
        }
    }

    /// Number of spikes.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len
    }
}

impl Spikes {
    /// Bytes of memory that they hold.
    pub fn bytes(&self) -> usize {
        bytes_of(&self.start) + bytes_of(&self.units)
    }

    pub fn clear(&mut self) {
        self.start.clear();
        self.start.push(0);
    }

    /// Begins the list of the next step; makes room for so many blocks of cells. What is added is kept by
    /// [`Self::end_step`], or else written over.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] when there is none.
    #[inline(always)]
    pub fn begin_step(&mut self, blocks: usize) -> Result<List<'_>> {
        let first = self.start[self.start.len() - 1];
        let needed = first + (blocks + 1) * LANES;
        if self.units.len() < needed {
            let len = needed.max(2 * self.units.len());
            resize(&mut self.units, len, 0, "the spikes of a trial")?;
        }
        Ok(List { units: &mut self.units[first..needed], len: 0 })
    }

    /// Keeps the list at hand, of so many spikes.
    #[inline(always)]
    pub fn end_step(&mut self, len: usize) {
        self.start.push(self.start[self.start.len() - 1] + len);
    }

    /// The list at hand, of so many spikes.
    #[inline(always)]
    pub fn now(&self, len: usize) -> &[u32] {
        &self.units[self.start[self.start.len() - 1]..][..len]
    }

    /// The spikes of a step.
    #[inline(always)]
    pub fn at(&self, step: usize) -> &[u32] {
        &self.units[self.start[step]..self.start[step + 1]]
    }

    /// The spikes of the step before; none before the first.
    #[inline(always)]
    pub fn before(&self, step: usize) -> &[u32] {
        if step == 0 { &[] } else { self.at(step - 1) }
    }

    /// The spikes of all steps.
    pub fn all(&self) -> &[u32] {
        &self.units[..self.start.last().copied().unwrap_or(0)]
    }
}

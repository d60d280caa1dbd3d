//! Events of one trial by step: those of its inputs, and the spikes of the step before.

use crate::batch::encode::BlockInput;
use crate::error::Result;
use crate::numeric::lanes::{LANES, Mask};
use crate::numeric::memory::{bytes_of, reserve, resize};
use crate::numeric::scalar::Scalar;

/// Cells of a word, one bit per cell: those of four blocks.
pub(super) const CELLS: usize = 64;

/// Steps for whose inputs memory is reserved at once.
const TOGETHER: usize = 64;

/// Events that are listed without a branch; more of four blocks, or of a step's inputs, are rare.
const USUAL: usize = 4;

const WHAT: &str = "the events of a trial";

/// Lists of senders, one per step: its input events, then the cells that spiked in the step before, ascending. A sender is
/// the number of a cell; input units are counted on from the last cell.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// Start of each step's inputs, and of its spikes.
    start: Vec<[usize; 2]>,
    /// The lists, and memory for one more step.
    senders: Vec<u32>,
    /// End of the lists.
    len: usize,
    /// Input events, and where each step's begin and the last one's end; none where they are not listed.
    inputs: Vec<u32>,
    input_start: Vec<usize>,
    /// Number of input events listed so far.
    input_count: usize,
    /// Cells and input units.
    numbers: usize,
}

impl Events {
    /// Bytes of memory that they hold.
    pub fn bytes(&self) -> usize {
        let inputs = bytes_of(&self.inputs) + bytes_of(&self.input_start);
        bytes_of(&self.start) + bytes_of(&self.senders) + inputs
    }

    /// Begins the list of input events.
    fn clear_inputs(&mut self, numbers: usize) {
        (self.numbers, self.input_count) = (numbers, 0);
        self.input_start.clear();
    }

    /// Reserves memory for so many more input events.
    #[inline(always)]
    fn reserve_inputs(&mut self, more: usize) -> Result<()> {
        let needed = self.input_count + more + USUAL;
        let len = self.inputs.len();
        match needed <= len {
            true => Ok(()),
            false => resize(&mut self.inputs, needed.max(2 * len), 0, WHAT),
        }
    }

    /// Begins the first step.
    ///
    /// # Errors
    /// [`crate::Error::Memory`].
    pub fn begin(&mut self, steps: usize, blocks: usize) -> Result<()> {
        self.len = 0;
        self.start.clear();
        self.reserve_inputs(0)?;
        reserve(&mut self.start, steps + 2, WHAT)?;
        self.begin_step(blocks)
    }

    /// Begins the list of the next step with its inputs, and reserves memory for the spikes of so many blocks of cells.
    ///
    /// # Errors
    /// [`crate::Error::Memory`].
    #[inline(always)]
    pub fn begin_step(&mut self, blocks: usize) -> Result<()> {
        let (step, first) = (self.start.len(), self.len);
        let (from, end) = match self.input_start.get(step..step + 2) {
            Some(range) => (range[0], range[1]),
            None => (0, 0),
        };
        let count = end - from;
        let needed = first + count + USUAL + blocks.next_multiple_of(4) * LANES;
        let len = self.senders.len();
        if len < needed {
            resize(&mut self.senders, needed.max(2 * len), 0, WHAT)?;
        }
        self.senders[first..first + USUAL].copy_from_slice(&self.inputs[from..from + USUAL]);
        if count > USUAL {
            self.senders[first..first + count].copy_from_slice(&self.inputs[from..end]);
        }
        self.len = first + count;
        self.start.push([first, self.len]);
        Ok(())
    }

    /// Lists the spikes of a step behind the lists; their number.
    #[inline(always)]
    pub fn list_spikes(&mut self, spiking: &[u64]) -> usize {
        let mut len = self.len;
        let mut first = 0;
        for &word in spiking {
            let mut rest = word;
            let count = rest.count_ones() as usize;
            if let Some(list) = self.senders[len..].first_chunk_mut::<CELLS>() {
                for sender in &mut list[..USUAL] {
                    *sender = first + rest.trailing_zeros();
                    rest &= rest.wrapping_sub(1);
                }
                let mut place = USUAL;
                while rest != 0 {
                    list[place % CELLS] = first + rest.trailing_zeros();
                    rest &= rest - 1;
                    place += 1;
                }
            }
            len += count;
            first += CELLS as u32;
        }
        len - self.len
    }

    /// Keeps the spikes just listed.
    #[inline(always)]
    pub fn keep_spikes(&mut self, count: usize) {
        self.len += count;
    }

    /// Ends the last step.
    pub fn end(&mut self) {
        self.start.push([self.len; 2]);
    }

    /// The spikes just listed.
    #[inline(always)]
    pub fn just_listed(&self, count: usize) -> &[u32] {
        &self.senders[self.len..][..count]
    }

    /// Adds the spikes of each cell.
    pub fn count_spikes(&self, counts: &mut [u64]) {
        // Input units included: skipping them would cost more.
        let mut all = vec![0u32; self.numbers];
        self.senders[..self.len].iter().for_each(|&sender| all[sender as usize] += 1);
        counts.iter_mut().zip(all).for_each(|(count, own)| *count += u64::from(own));
    }

    /// Input events of a step that has begun the next, and the spikes of the step before it.
    #[inline(always)]
    pub fn received(&self, step: usize) -> &[u32] {
        &self.senders[self.start[step][0]..self.start[step + 1][0]]
    }

    /// The spikes of the step before one.
    #[inline(always)]
    pub fn before(&self, step: usize) -> &[u32] {
        &self.senders[self.start[step][1]..self.start[step + 1][0]]
    }

    /// The spikes of a step.
    #[inline(always)]
    pub fn at(&self, step: usize) -> &[u32] {
        self.before(step + 1)
    }
}

/// Lists each trial's input events; none where some repeat or inputs have values, which have paths of their own. Whether
/// they are listed.
///
/// # Errors
/// [`crate::Error::Memory`].
pub(crate) fn list_inputs<'a, F: Scalar>(
    trials: impl Iterator<Item = &'a mut Events>,
    input: &BlockInput<F>,
    (cells, steps): (usize, usize),
) -> Result<bool> {
    let mut trials: Vec<&mut Events> = trials.collect();
    let numbers = cells + input.units;
    trials.iter_mut().for_each(|events| events.clear_inputs(numbers));
    let plain = || (0..steps).all(|step| input.events.at(step).iter().all(|entry| entry.count == 1));
    if !input.analogue_units.is_empty() || !plain() {
        return Ok(false);
    }
    let live = (Mask::MAX as u32 >> (LANES - trials.len())) as Mask;
    for events in &mut trials {
        resize(&mut events.input_start, steps + 1, 0, WHAT)?;
    }
    for step in 0..steps {
        if step.is_multiple_of(TOGETHER) {
            let soon = step..steps.min(step + TOGETHER);
            let most = soon.map(|step| input.events.at(step).len()).sum();
            trials.iter_mut().try_for_each(|events| events.reserve_inputs(most))?;
        }
        for entry in input.events.at(step) {
            let mut rest = entry.mask & live;
            while rest != 0 {
                let events = &mut *trials[rest.trailing_zeros() as usize];
                events.inputs[events.input_count] = cells as u32 + entry.unit;
                events.input_count += 1;
                rest &= rest - 1;
            }
        }
        for events in &mut trials {
            events.input_start[step + 1] = events.input_count;
        }
    }
    Ok(true)
}

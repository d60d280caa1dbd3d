//! Events of one trial by step: those of its inputs, and the spikes of the step before.

use std::ops::Range;

use crate::batch::encode::BlockInput;
use crate::error::Result;
use crate::numeric::lanes::{LANES, Mask};
use crate::numeric::memory::{bytes_of, resize};
use crate::numeric::scalar::Scalar;

/// Cells of a word, one bit per cell: those of four blocks.
pub(super) const CELLS: usize = 64;

/// Steps for whose inputs memory is reserved at once.
const TOGETHER: usize = 64;

/// Number of events listed without a branch; four blocks, or a step's inputs, seldom have more.
const USUAL: usize = 4;

const WHAT: &str = "the events of a trial";

/// Lists of senders, one per step: its input events, then the cells that spiked in the step before, ascending. A sender is
/// the number of a cell; input units are counted on from the last cell.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// Start of each step's inputs, and of its spikes; the step after the last has spikes, and behind it is the end.
    start: Vec<[usize; 2]>,
    /// The lists, and memory for one more tile of steps.
    senders: Vec<u32>,
    /// End of the lists.
    len: usize,
    /// Input events, and where each step's begin; none where they are not listed.
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

    /// Begins the list of input events of so many steps.
    fn clear_inputs(&mut self, numbers: usize, steps: usize) -> Result<()> {
        (self.numbers, self.input_count) = (numbers, 0);
        self.input_start.clear();
        resize(&mut self.input_start, steps + 2, 0, WHAT)
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

    /// Begins the first step with its inputs.
    ///
    /// # Errors
    /// [`crate::Error::Memory`].
    pub fn begin(&mut self, steps: usize) -> Result<()> {
        self.reserve_inputs(0)?;
        self.start.clear();
        resize(&mut self.start, steps + 2, [0; 2], WHAT)?;
        let count = self.input_start[1];
        if self.senders.len() < count {
            resize(&mut self.senders, count, 0, WHAT)?;
        }
        self.senders[..count].copy_from_slice(&self.inputs[..count]);
        self.start[0] = [0, count];
        self.len = count;
        Ok(())
    }

    /// Goes back to the first of some steps, to simulate them again; gives what [`Self::go_on_behind`] puts back.
    pub fn return_to(&mut self, steps: Range<usize>) -> [u32; USUAL] {
        self.len = self.start[steps.start + 1][0];
        let behind = self.senders[self.start[steps.end + 1][0]..].first_chunk();
        behind.copied().unwrap_or_default()
    }

    /// After these steps have been simulated again: their lists are as they were, but more than what counts was written behind
    /// the last.
    pub fn go_on_behind(&mut self, steps: Range<usize>, behind: [u32; USUAL]) {
        let first = self.start[steps.end + 1][0];
        self.senders[first..][..USUAL].copy_from_slice(&behind);
    }

    /// The lists of some steps from one on, to be written, for so many blocks of cells.
    ///
    /// # Errors
    /// [`crate::Error::Memory`].
    #[inline(always)]
    pub fn lists(
        &mut self,
        steps: Range<usize>,
        blocks: usize,
    ) -> Result<(Lists<'_>, impl Iterator<Item = StepEvents<'_>>)> {
        let Self { start, senders, len, inputs, input_start, .. } = self;
        let given = &input_start[steps.start + 1..steps.end + 2];
        let most = given[given.len() - 1] - given[0] + steps.len() * blocks.next_multiple_of(4) * LANES;
        let needed = *len + most + CELLS;
        if senders.len() < needed {
            let doubled = 2 * senders.len();
            resize(senders, needed.max(doubled), 0, WHAT)?;
        }
        let from = start[steps.start][0];
        let rows = start[steps.start + 1..steps.end + 1].iter_mut().zip(given.windows(2));
        let rows = rows.map(|(start, given)| StepEvents { start, given: [given[0], given[1]] });
        Ok((Lists { inputs, senders, from, first: *len, end: *len, len }, rows))
    }

    /// Ends the last step.
    pub fn end(&mut self) {
        if let Some(end) = self.start.last_mut() {
            *end = [self.len; 2];
        }
    }

    /// Adds the spikes of each cell.
    pub fn count_spikes(&self, counts: &mut [u64]) {
        // Input units included: skipping them would cost more.
        let mut all = vec![0u32; self.numbers];
        let end = self.start.last().map_or(0, |end| end[0]);
        self.senders[..end].iter().for_each(|&sender| all[sender as usize] += 1);
        counts.iter_mut().zip(all).for_each(|(count, own)| *count += u64::from(own));
    }

    /// Input events of a step, and the spikes of the step before it.
    #[inline(always)]
    pub fn received(&self, step: usize) -> &[u32] {
        &self.senders[self.start[step][0]..self.start[step + 1][0]]
    }

    /// The spikes of the step before one.
    #[inline(always)]
    pub fn before(&self, step: usize) -> &[u32] {
        &self.senders[self.start[step][1]..self.start[step + 1][0]]
    }

    /// The lists of the steps from one on.
    #[inline(always)]
    pub(super) fn from(&self, step: usize) -> EventsFrom<'_> {
        EventsFrom { start: &self.start[step..], senders: &self.senders }
    }

    /// The spikes of a step.
    #[inline(always)]
    pub fn at(&self, step: usize) -> &[u32] {
        self.before(step + 1)
    }
}

/// The lists of the steps from one on, which is row 0.
#[derive(Clone, Copy)]
pub(super) struct EventsFrom<'a> {
    start: &'a [[usize; 2]],
    senders: &'a [u32],
}

impl<'a> EventsFrom<'a> {
    /// Input events of a row's step, and the spikes of the step before it.
    #[inline(always)]
    pub fn received(self, row: usize) -> &'a [u32] {
        &self.senders[self.start[row][0]..self.start[row + 1][0]]
    }

    /// The spikes of a row's step.
    #[inline(always)]
    pub fn spikes(self, row: usize) -> &'a [u32] {
        &self.senders[self.start[row + 1][1]..self.start[row + 2][0]]
    }
}

/// What the lists of a step are written from, and where they begin.
pub(crate) struct StepEvents<'a> {
    /// Start of the lists of the step after it.
    start: &'a mut [usize; 2],
    /// Where that step's input events begin and end.
    given: [usize; 2],
}

/// The lists of some steps, being written: per step [`Self::begin_step`], then [`Self::list`] for each word of its cells.
pub(crate) struct Lists<'a> {
    inputs: &'a [u32],
    senders: &'a mut [u32],
    /// Start of the current step's list, of its spikes, and the end of what is written.
    from: usize,
    first: usize,
    end: usize,
    len: &'a mut usize,
}

impl Lists<'_> {
    /// Lists the inputs of the step after one and gives what this one receives, by its place among [`Self::senders`].
    #[inline(always)]
    pub fn begin_step(&mut self, step: StepEvents<'_>) -> Range<usize> {
        let (from, first) = (self.from, self.end);
        let [start, end] = step.given;
        let count = end - start;
        // Room for so many more is behind either list.
        self.senders[first..first + USUAL].copy_from_slice(&self.inputs[start..start + USUAL]);
        if count > USUAL {
            self.senders[first..first + count].copy_from_slice(&self.inputs[start..end]);
        }
        (self.from, self.first) = (first, first + count);
        self.end = self.first;
        *step.start = [first, self.end];
        from..first
    }

    /// Some senders.
    #[inline(always)]
    pub fn senders(&self, places: Range<usize>) -> &[u32] {
        &self.senders[places]
    }

    /// Lists the cells of a word, of which `first` is the first, that spike.
    #[inline(always)]
    pub fn list(&mut self, word: u64, first: u32) {
        let mut rest = word;
        if let Some(list) = self.senders[self.end..].first_chunk_mut::<CELLS>() {
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
        self.end += word.count_ones() as usize;
    }

    /// The spikes listed since [`Self::begin_step`].
    #[inline(always)]
    pub fn spikes(&self) -> &[u32] {
        &self.senders[self.first..self.end]
    }

    /// Keeps what is written.
    #[inline(always)]
    pub fn keep(self) {
        *self.len = self.end;
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
    trials.iter_mut().try_for_each(|events| events.clear_inputs(numbers, steps))?;
    let plain = || (0..steps).all(|step| input.events.at(step).iter().all(|entry| entry.count == 1));
    if !input.analogue_units.is_empty() || !plain() {
        return Ok(false);
    }
    let live = (Mask::MAX as u32 >> (LANES - trials.len())) as Mask;
    for step in 0..steps {
        if step.is_multiple_of(TOGETHER) {
            let soon = step..steps.min(step + TOGETHER);
            let most = soon.map(|step| input.events.at(step).len()).sum();
            trials.iter_mut().try_for_each(|events| events.reserve_inputs(most))?;
        }
        for entry in input.events.at(step) {
            let mut rest = entry.mask & live;
            while rest != 0 {
                if let Some(events) = trials.get_mut(rest.trailing_zeros() as usize)
                    && let Some(input) = events.inputs.get_mut(events.input_count)
                {
                    *input = cells as u32 + entry.unit;
                    events.input_count += 1;
                }
                rest &= rest - 1;
            }
        }
        for events in &mut trials {
            events.input_start[step + 1] = events.input_count;
        }
    }
    for events in &mut trials {
        events.input_start[steps + 1] = events.input_count;
    }
    Ok(true)
}

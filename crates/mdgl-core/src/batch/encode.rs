//! Input of one block of trials: events drawn or given, sorted by step, lanes packed into masks.

use std::collections::VecDeque;
use std::mem::take;
use std::ops::Range;
use std::sync::atomic::AtomicBool;

use crate::batch::{DrawKey, EncodedBatch, Event, Input, RateSegment};
use crate::error::Result;
use crate::network::Network;
use crate::network::currents::TrialCurrents;
use crate::numeric::cancel::check_cancelled;
use crate::numeric::lanes::{Block, LANES, Mask};
use crate::numeric::memory::{bytes_of, product, reserve, resize};
use crate::numeric::random::CounterRng;
use crate::numeric::scalar::Scalar;

/// Events of one unit at one step in the lanes of the mask, all of the same count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Entry {
    pub unit: u32,
    pub mask: Mask,
    pub count: u16,
}

/// Lists of entries, one per step.
#[derive(Debug, Clone, Default)]
pub(crate) struct EntryLists {
    /// Steps dropped at the front.
    forgotten: usize,
    start: Vec<usize>,
    entries: Vec<Entry>,
}

impl EntryLists {
    pub fn clear(&mut self) {
        self.forgotten = 0;
        self.start.clear();
        self.start.push(0);
        self.entries.clear();
    }
    #[inline(always)]
    pub fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }
    /// Reserves memory for a step of so many more entries, growing geometrically.
    ///
    /// # Errors
    /// [`crate::Error::Memory`].
    #[inline(always)]
    pub fn reserve_step(&mut self, entries: usize) -> Result<()> {
        grow(&mut self.start, 1)?;
        grow(&mut self.entries, entries)
    }
    /// Adds the entries that `write` writes, at most so many; it returns their number.
    #[inline(always)]
    fn push_entries(&mut self, most: usize, write: impl FnOnce(&mut [Entry]) -> usize) {
        let first = self.entries.len();
        self.entries.resize(first + most, Entry::default());
        let written = write(&mut self.entries[first..]);
        self.entries.truncate(first + written);
    }
    /// Adds a whole step's list.
    #[inline(always)]
    pub fn push_step(&mut self, entries: &[Entry]) {
        self.entries.extend_from_slice(entries);
        self.end_step();
    }
    /// Ends the list of a step.
    #[inline(always)]
    pub fn end_step(&mut self) {
        self.start.push(self.entries.len());
    }
    #[inline(always)]
    pub fn at(&self, step: usize) -> &[Entry] {
        let step = step - self.forgotten;
        &self.entries[self.start[step]..self.start[step + 1]]
    }
    /// Bytes of memory in use.
    pub fn bytes(&self) -> usize {
        bytes_of(&self.start) + bytes_of(&self.entries)
    }
    /// Drops the lists from a step on.
    pub fn truncate_at(&mut self, step: usize) {
        while self.start.len() > 1 && self.forgotten + self.start.len() - 1 > step {
            self.take_back();
        }
    }
    /// Removes the last step's list.
    pub fn take_back(&mut self) {
        self.start.pop();
        self.entries.truncate(self.start.last().copied().unwrap_or(0));
    }
    /// Numbers its steps from a later one on.
    pub fn begin_at(&mut self, step: usize) {
        self.forgotten = step;
    }
    /// Copies the lists of some steps of another.
    pub fn copy_steps(&mut self, other: &Self, steps: Range<usize>) {
        self.clear();
        self.forgotten = steps.start;
        steps.for_each(|step| self.push_step(other.at(step)));
    }
    /// Number of lists and of entries.
    #[cfg(test)]
    pub fn lengths(&self) -> [usize; 2] {
        [self.start.len(), self.entries.len()]
    }
    /// Keeps the lists of so many steps.
    #[cfg(feature = "bench")]
    pub fn truncate(&mut self, steps: usize) {
        self.start.truncate(steps + 1);
        self.entries.truncate(self.start[steps]);
    }
    /// Drops the lists before a step, at least a thousand at a time.
    pub fn forget_before(&mut self, step: usize) {
        let count = step - self.forgotten;
        if count < 1024 {
            return;
        }
        let first = self.start[count];
        self.entries.drain(..first);
        self.start.drain(..count);
        self.start.iter_mut().for_each(|start| *start -= first);
        self.forgotten = step;
    }
}

/// Reserves memory for so many more elements and for as many again as there are, so that allocations are few.
#[inline(always)]
fn grow<T>(list: &mut Vec<T>, more: usize) -> Result<()> {
    let needed = list.len() + more;
    match needed <= list.capacity() {
        true => Ok(()),
        false => reserve(list, needed.max(2 * list.len()), "the events of a block of trials"),
    }
}

/// The input of a block of trials.
#[derive(Debug, Default)]
pub(crate) struct BlockInput<F: Scalar> {
    /// Number of input units.
    pub units: usize,
    pub events: EntryLists,
    /// The first step of the analogue input: 0, but for a stream's.
    first: usize,
    /// Of a stream: how many earlier steps delays reach back to, and their analogue values, oldest first.
    reach: usize,
    earlier: VecDeque<Values<F>>,
    /// Injected currents of the current trial, and of a stream their noise before its last step.
    currents: TrialCurrents,
    noise_before: Vec<f64>,
    /// Units with analogue values, and the values `[step][such unit]`.
    pub analogue_units: Vec<u32>,
    pub analogue: Vec<Block<F>>,
    scratch: Scratch,
}

/// Analogue values of a step: units, and a value of each.
type Values<F> = (Vec<u32>, Vec<Block<F>>);

/// Inputs of a stream that delays have not delivered yet, those of the last step (0 steps before it) first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InputsInTransit<F> {
    /// Steps before the last one, unit among all input units, number of events.
    pub events: Vec<[u32; 3]>,
    /// Steps before the last one, unit, of each analogue value.
    pub places: Vec<[u32; 2]>,
    /// The analogue values.
    pub values: Vec<F>,
}

/// Input of one population in one step of a stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StepInput<'a> {
    /// Nothing.
    Silent,
    /// One event of each of these units, which are indices in the population; a repeated one counts twice.
    Events(&'a [u32]),
    /// A value of each unit.
    Analogue(&'a [f64]),
}

/// Event bits `[step][unit]`, and the events that do not fit into a bit.
#[derive(Debug, Default)]
struct Scratch {
    bits: Vec<Mask>,
    /// (step, unit, lane, count) of events on a bit already set, or of several at once.
    repeats: Vec<(u32, u32, u8, u32)>,
}

impl<F: Scalar> BlockInput<F> {
    /// Bytes of memory in use.
    pub fn bytes(&self) -> usize {
        let scratch = bytes_of(&self.scratch.bits) + bytes_of(&self.scratch.repeats);
        self.events.bytes() + bytes_of(&self.analogue) + scratch
    }

    /// Fills in the input of one block of a batch. `by_trial`: as [`are_by_trial`] finds.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] when a trial is too long for the available memory; [`crate::Error::Cancelled`].
    pub fn encode(
        &mut self,
        network: &Network,
        (batch, by_trial): (&EncodedBatch, &[bool]),
        block: usize,
        cancel: &AtomicBool,
    ) -> Result<()> {
        let units = network.input_units();
        self.empty(units, batch.steps)?;
        let first = block * LANES;
        let trials = first..(first + LANES).min(batch.trials);
        for (population, input) in batch.inputs.iter().enumerate() {
            let offset = network.input_offset(population) as u32;
            match input {
                Input::Silent => {}
                Input::Rates(segments) => {
                    let (dt, first_trial) = (network.dt(), batch.first_trial());
                    let to = Drawing { offset, units, dt, first_trial, cancel };
                    self.scratch.draw(segments, &trials, to, batch.key, population)?;
                }
                Input::Events(events) => {
                    let events = of_trials(events, by_trial[population], &trials);
                    for (i, e) in events.iter().enumerate() {
                        check_cancelled(i, cancel)?;
                        if trials.contains(&(e.trial as usize)) {
                            let lane = (e.trial as usize - first) as u8;
                            self.scratch.add(units, (e.step, offset + e.unit, lane, e.count))?;
                        }
                    }
                }
                Input::Analogue(_) => {
                    let size = network.description().inputs[population].size as u32;
                    self.analogue_units.extend(offset..offset + size);
                }
            }
        }
        self.analogue_units.extend(network.given_units() as u32..units as u32);
        self.fill_analogue(network, batch, &trials, cancel)?;
        self.scratch.pack(batch.steps, units, &mut self.events, cancel)
    }

    /// Fills in one step of a stream, in the first lane; the inputs have been checked. Earlier steps stay as far as delays reach.
    ///
    /// # Errors
    /// [`crate::Error::Memory`].
    pub fn encode_step(&mut self, network: &Network, step: usize, inputs: &[StepInput<'_>]) -> Result<()> {
        let units = network.input_units();
        if self.reach > 0 && self.first < step {
            self.earlier.push_back((take(&mut self.analogue_units), take(&mut self.analogue)));
            while self.earlier.len() > self.reach {
                self.earlier.pop_front();
            }
        }
        let is_repeated = self.first == step && !self.noise_before.is_empty();
        self.empty(units, 1)?;
        for (population, input) in inputs.iter().enumerate() {
            let offset = network.input_offset(population) as u32;
            match input {
                StepInput::Silent => {}
                StepInput::Events(events) => {
                    events.iter().try_for_each(|&unit| self.scratch.add(units, (0, offset + unit, 0, 1)))?;
                }
                StepInput::Analogue(values) => {
                    for (unit, &value) in (offset..).zip(*values) {
                        self.analogue_units.push(unit);
                        self.analogue.push(first_lane(F::from_f64(value)));
                    }
                }
            }
        }
        self.inject(network, step, is_repeated);
        self.first = step;
        if self.reach == 0 {
            self.scratch.pack(1, units, &mut self.events, &AtomicBool::new(false))?;
            self.events.begin_at(step);
            return Ok(());
        }
        let mut own = EntryLists::default();
        self.scratch.pack(1, units, &mut own, &AtomicBool::new(false))?;
        self.events.truncate_at(step);
        self.events.forget_before(step.saturating_sub(self.reach));
        self.events.reserve_step(own.at(0).len())?;
        self.events.push_step(own.at(0));
        Ok(())
    }

    /// The injected currents of a stream's step, which may follow an attempt at the same step.
    fn inject(&mut self, network: &Network, step: usize, is_repeated: bool) {
        if network.currents.len() == 0 {
            return;
        }
        match is_repeated {
            true => self.currents.noise.clone_from(&self.noise_before),
            false => self.noise_before.clone_from(&self.currents.noise),
        }
        let mut unit = network.given_units() as u32;
        let (units, values) = (&mut self.analogue_units, &mut self.analogue);
        self.currents.advance(&network.currents, step, |value| {
            units.push(unit);
            values.push(first_lane(F::from_f64(value)));
            unit += 1;
        });
    }

    /// No input for so many steps.
    fn empty(&mut self, units: usize, steps: usize) -> Result<()> {
        self.units = units;
        self.first = 0;
        self.scratch.bits.clear();
        let bins = product(&[steps, units]);
        resize(&mut self.scratch.bits, bins, 0, "the input events of a block of trials")?;
        self.scratch.repeats.clear();
        self.analogue_units.clear();
        self.analogue.clear();
        Ok(())
    }

    /// The units with analogue values in a step, and the value of each.
    #[inline(always)]
    pub fn analogue_at(&self, step: usize) -> (&[u32], &[Block<F>]) {
        if step < self.first {
            let (units, values) = &self.earlier[self.earlier.len() - (self.first - step)];
            return (units, values);
        }
        let (row, width) = (step - self.first, self.analogue_units.len());
        (&self.analogue_units, &self.analogue[row * width..(row + 1) * width])
    }

    /// No input yet, in a trial of a stream whose delays reach back so many steps.
    pub fn begin_stream(&mut self, network: &Network, reach: usize, key: DrawKey, trial: u32) {
        self.reach = reach;
        self.currents.begin(&network.currents, currents_key(key, trial));
        self.resume(0, &InputsInTransit::default());
    }

    /// n − μ of every driven cell after a stream's last step before `step`.
    pub fn noise(&self, step: usize) -> &[f64] {
        // Behind an attempt at this step that failed.
        if self.first == step && !self.noise_before.is_empty() {
            &self.noise_before
        } else {
            &self.currents.noise
        }
    }

    /// Puts it back.
    pub fn set_noise(&mut self, noise: &[f64]) {
        self.currents.noise.clear();
        self.currents.noise.extend_from_slice(noise);
    }

    /// Before a step of a stream: the inputs that later steps read.
    pub fn in_transit(&self, step: usize) -> InputsInTransit<F> {
        let mut found = InputsInTransit::default();
        for back in 0..self.reach.min(step) {
            let (sent, before) = (step - 1 - back, back as u32);
            let entries = self.events.at(sent).iter();
            found.events.extend(entries.map(|entry| [before, entry.unit, u32::from(entry.count)]));
            let (units, values) = self.analogue_at(sent);
            found.places.extend(units.iter().map(|&unit| [before, unit]));
            found.values.extend(values.iter().map(|value| value.0[0]));
        }
        found
    }

    /// The inputs before a step of a stream, from [`Self::in_transit`].
    pub fn resume(&mut self, step: usize, inputs: &InputsInTransit<F>) {
        let reach = self.reach.min(step);
        self.events.clear();
        self.events.begin_at(step - reach);
        self.earlier.clear();
        self.noise_before.clear();
        self.analogue_units.clear();
        self.analogue.clear();
        self.first = step;
        for back in (0..reach as u32).rev() {
            for &[_, unit, count] in inputs.events.iter().filter(|&&[before, ..]| before == back) {
                self.events.push(Entry { unit, mask: 1, count: count as u16 });
            }
            self.events.end_step();
            let own = inputs.places.iter().zip(&inputs.values).filter(|&(&[before, _], _)| before == back);
            self.earlier.push_back(own.map(|(&[_, unit], &value)| (unit, first_lane(value))).unzip());
        }
    }

    fn fill_analogue(
        &mut self,
        network: &Network,
        batch: &EncodedBatch,
        trials: &Range<usize>,
        cancel: &AtomicBool,
    ) -> Result<()> {
        let width = self.analogue_units.len();
        let len = product(&[batch.steps, width]);
        resize(&mut self.analogue, len, Block::ZERO, "the analogue input of a block of trials")?;
        let mut column = 0;
        for (population, input) in batch.inputs.iter().enumerate() {
            let Input::Analogue(values) = input else { continue };
            let size = network.description().inputs[population].size;
            for (lane, trial) in trials.clone().enumerate() {
                for step in 0..batch.length(trial) {
                    check_cancelled(step, cancel)?;
                    let from = (trial * batch.steps + step) * size;
                    for unit in 0..size {
                        let to = step * width + column + unit;
                        self.analogue[to].0[lane] = F::from_f64(values[from + unit]);
                    }
                }
            }
            column += size;
        }
        if network.currents.len() == 0 {
            return Ok(());
        }
        for (lane, trial) in trials.clone().enumerate() {
            self.currents.begin(&network.currents, currents_key(batch.key, trial as u32));
            for step in 0..batch.length(trial) {
                check_cancelled(step, cancel)?;
                let mut row = self.analogue[step * width + column..].iter_mut();
                self.currents.advance(&network.currents, step, |value| {
                    if let Some(block) = row.next() {
                        block.0[lane] = F::from_f64(value);
                    }
                });
            }
        }
        Ok(())
    }
}

/// The key of a trial's injected currents.
fn currents_key(key: DrawKey, trial: u32) -> [u32; 2] {
    // No input population has this index.
    let mut rng = CounterRng::new(key.seed, key.stream | 0xffff << 16, key.iteration, trial);
    [rng.next_u32(), rng.next_u32()]
}

fn first_lane<F: Scalar>(value: F) -> Block<F> {
    let mut block = Block::ZERO;
    block.0[0] = value;
    block
}

/// Whether the events of each input are in the order of their trials.
pub(crate) fn are_by_trial(inputs: &[Input]) -> Vec<bool> {
    let by_trial = |input: &Input| match input {
        Input::Events(events) => events.is_sorted_by_key(|e| e.trial),
        _ => false,
    };
    inputs.iter().map(by_trial).collect()
}

/// Events among which those of some trials are: these alone where all are in the order of their trials, as most often.
fn of_trials<'a>(events: &'a [Event], by_trial: bool, trials: &Range<usize>) -> &'a [Event] {
    if !by_trial {
        return events;
    }
    let first = events.partition_point(|e| (e.trial as usize) < trials.start);
    let end = events.partition_point(|e| (e.trial as usize) < trials.end);
    &events[first..end]
}

/// Destination of drawn events.
#[derive(Clone, Copy)]
struct Drawing<'a> {
    /// The population's first unit.
    offset: u32,
    /// Units of all populations.
    units: usize,
    dt: f64,
    /// Index of the batch's first trial, by which draws are keyed.
    first_trial: usize,
    cancel: &'a AtomicBool,
}

impl Scratch {
    #[inline(always)]
    fn add(&mut self, units: usize, (step, unit, lane, count): (u32, u32, u8, u32)) -> Result<()> {
        let bits = &mut self.bits[step as usize * units + unit as usize];
        let bit = 1 << lane;
        if count == 1 && *bits & bit == 0 {
            *bits |= bit;
            return Ok(());
        }
        self.add_repeat((step, unit, lane, count))
    }

    #[cold]
    #[inline(never)]
    fn add_repeat(&mut self, event: (u32, u32, u8, u32)) -> Result<()> {
        if event.3 > 0 {
            grow(&mut self.repeats, 1)?;
            self.repeats.push(event);
        }
        Ok(())
    }

    /// Poisson events as exponential gaps along the segment's units laid end to end.
    fn draw(
        &mut self,
        segments: &[RateSegment],
        trials: &Range<usize>,
        Drawing { offset, units, dt, first_trial, cancel }: Drawing<'_>,
        key: DrawKey,
        population: usize,
    ) -> Result<()> {
        let mut generators: Vec<CounterRng> = trials
            .clone()
            .map(|trial| {
                let stream = key.stream | (population as u32) << 16;
                CounterRng::new(key.seed, stream, key.iteration, (first_trial + trial) as u32)
            })
            .collect();
        for s in segments.iter().filter(|s| trials.contains(&(s.trial as usize))) {
            let lane = s.trial as usize - trials.start;
            let steps = s.steps.1 - s.steps.0;
            let end = f64::from(s.units.1 - s.units.0) * f64::from(steps);
            let mean_gap = 1000.0 / (s.rate * dt);
            if end == 0.0 || s.rate == 0.0 {
                continue;
            }
            let mut position = mean_gap * generators[lane].exponential();
            let mut drawn = 0;
            while position < end {
                check_cancelled(drawn, cancel)?;
                drawn += 1;
                let bin = position as u64;
                let unit = offset + s.units.0 + (bin / u64::from(steps)) as u32;
                let step = s.steps.0 + (bin % u64::from(steps)) as u32;
                self.add(units, (step, unit, lane as u8, 1))?;
                position += mean_gap * generators[lane].exponential();
            }
        }
        Ok(())
    }

    fn pack(
        &mut self,
        steps: usize,
        units: usize,
        lists: &mut EntryLists,
        cancel: &AtomicBool,
    ) -> Result<()> {
        let repeats = self.take_repeats(units)?;
        let mut next = repeats.iter().peekable();
        lists.clear();
        for step in 0..steps {
            check_cancelled(step, cancel)?;
            let masks = &self.bits[step * units..(step + 1) * units];
            lists.reserve_step(units)?;
            lists.push_entries(units, |list| {
                let mut found = 0;
                for (unit, &mask) in (0..).zip(masks) {
                    list[found] = Entry { unit, mask, count: 1 };
                    // No branch: whether any of sixteen trials has an event is unpredictable.
                    found += usize::from(mask != 0);
                }
                found
            });
            while let Some(&(_, unit, lane, count)) = next.next_if(|r| r.0 as usize == step) {
                push_repeat(lists, unit, lane, count)?;
            }
            lists.end_step();
        }
        Ok(())
    }

    /// One entry for each (step, unit, lane) with several events; its bit is cleared.
    fn take_repeats(&mut self, units: usize) -> Result<Vec<(u32, u32, u8, u32)>> {
        self.repeats.sort_unstable();
        let mut merged: Vec<(u32, u32, u8, u32)> = Vec::new();
        grow(&mut merged, self.repeats.len())?;
        for &(step, unit, lane, count) in &self.repeats {
            match merged.last_mut() {
                Some(last) if (last.0, last.1, last.2) == (step, unit, lane) => {
                    last.3 = last.3.saturating_add(count);
                }
                _ => {
                    let bits = &mut self.bits[step as usize * units + unit as usize];
                    let seen = u32::from(*bits >> lane & 1);
                    *bits &= !(1 << lane);
                    merged.push((step, unit, lane, count.saturating_add(seen)));
                }
            }
        }
        Ok(merged)
    }
}

/// An entry's count is 16 bits wide: larger ones become several entries.
fn push_repeat(lists: &mut EntryLists, unit: u32, lane: u8, mut count: u32) -> Result<()> {
    while count > 0 {
        let part = count.min(u32::from(u16::MAX));
        lists.reserve_step(1)?;
        lists.push(Entry { unit, mask: 1 << lane, count: part as u16 });
        count -= part;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_events_become_counts() {
        let mut scratch = Scratch { bits: vec![0; 6], repeats: Vec::new() };
        for event in [(1, 2, 3, 1), (1, 2, 3, 1), (1, 2, 4, 1), (0, 0, 0, 5), (0, 1, 0, 70_000)] {
            scratch.add(3, event).unwrap();
        }
        let mut lists = EntryLists::default();
        scratch.pack(2, 3, &mut lists, &AtomicBool::new(false)).unwrap();
        let entry = |unit, mask, count| Entry { unit, mask, count };
        assert_eq!(lists.at(0), [entry(0, 1, 5), entry(1, 1, 65_535), entry(1, 1, 4_465)]);
        assert_eq!(lists.at(1), [entry(2, 16, 1), entry(2, 8, 2)]);
    }

    #[test]
    fn drawn_rates_have_the_right_mean_and_place() {
        let segment = |rate, units, steps| RateSegment { trial: 0, units, steps, rate };
        let segments = [segment(40.0, (0, 10), (100, 1100)), segment(1500.0, (10, 11), (0, 2000))];
        let mut scratch = Scratch { bits: vec![0; 2000 * 11], repeats: Vec::new() };
        let cancel = AtomicBool::new(false);
        let to = Drawing { offset: 0, units: 11, dt: 1.0, first_trial: 0, cancel: &cancel };
        scratch.draw(&segments, &(0..1), to, DrawKey::default(), 0).unwrap();
        let mut lists = EntryLists::default();
        scratch.pack(2000, 11, &mut lists, &cancel).unwrap();
        let mut slow = 0;
        let mut fast = 0;
        for step in 0..2000 {
            for entry in lists.at(step) {
                let count = u32::from(entry.count);
                if entry.unit < 10 {
                    slow += count
                } else {
                    fast += count
                }
                assert!(entry.unit == 10 || (100..1100).contains(&step));
            }
        }
        assert!((340..460).contains(&slow), "{slow} events, 400 expected");
        assert!((2800..3200).contains(&fast), "{fast} events, 3000 expected");
    }
}

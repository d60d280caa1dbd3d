//! Which cells of one trial are in their refractory period: a mask for each block of cells.

use crate::error::Result;
use crate::numeric::lanes::{LANES, Mask};
use crate::numeric::memory::{product, resize};
use crate::simulate::compiled::CompiledNetwork;

/// Whose period is how long, a mask for each block of cells.
#[derive(Debug)]
pub(super) struct Periods {
    /// Cells that have one.
    any: Vec<Mask>,
    /// The distinct periods above 0 in steps, and whose they are.
    members: Vec<(usize, Vec<Mask>)>,
    /// Steps of spikes that the longest looks back.
    look_back: usize,
}

impl Periods {
    pub fn new<F: crate::numeric::scalar::Scalar>(compiled: &CompiledNetwork<F>) -> Self {
        let masks = |holds: &dyn Fn(u32) -> bool| -> Vec<Mask> {
            let mask = |periods: &[u32]| {
                let lanes = periods.iter().enumerate();
                lanes.fold(0, |mask, (lane, &period)| mask | Mask::from(holds(period)) << lane)
            };
            compiled.refractory.chunks(LANES).map(mask).collect()
        };
        let members = |&period: &u32| (period as usize, masks(&|p| p == period));
        Self {
            any: masks(&|period| period > 0),
            members: compiled.periods.iter().map(members).collect(),
            look_back: compiled.longest_period(),
        }
    }
}

/// Who is blocked now, and the spikes that will end it.
#[derive(Debug, Clone, Default)]
pub(super) struct Refractory {
    blocked: Vec<Mask>,
    /// Spikes of the last steps, `[step mod look-back][block]`; none before the first.
    recent: Vec<Mask>,
    /// Where in `recent` the step at hand, the one before, and the ones that each period looks back to begin.
    now: usize,
    before: usize,
    over: Vec<usize>,
}

impl Refractory {
    pub fn reset(&mut self, periods: &Periods) -> Result<()> {
        let blocks = periods.any.len();
        for (buffer, len) in
            [(&mut self.blocked, blocks), (&mut self.recent, product(&[periods.look_back, blocks]))]
        {
            buffer.clear();
            resize(buffer, len, 0, "the state of a trial")?;
        }
        self.now = self.recent.len() - blocks;
        self.over = vec![0; periods.members.len()];
        Ok(())
    }

    /// Goes to the next step.
    #[inline(always)]
    pub fn advance(&mut self, periods: &Periods) {
        let blocks = periods.any.len();
        self.before = self.now;
        self.now = if self.now + blocks == self.recent.len() { 0 } else { self.now + blocks };
        for (over, (period, _)) in self.over.iter_mut().zip(&periods.members) {
            let back = period * blocks;
            *over =
                if self.before >= back { self.before - back } else { self.before + self.recent.len() - back };
        }
    }

    /// The masks of the step at hand, block by block.
    #[inline(always)]
    pub fn masks<'a>(&'a mut self, periods: &'a Periods) -> Masks<'a> {
        let Self { blocked, recent, now, before, over } = self;
        Masks { periods, blocked, recent, now: *now, before: *before, over }
    }
}

/// The masks of a step.
pub(super) struct Masks<'a> {
    periods: &'a Periods,
    blocked: &'a mut [Mask],
    recent: &'a mut [Mask],
    now: usize,
    before: usize,
    over: &'a [usize],
}

impl Masks<'_> {
    /// The cells of a block that may not spike: those that spiked are blocked, those whose period is over are free.
    #[inline(always)]
    pub fn blocked(&mut self, block: usize) -> Mask {
        let mut blocked = self.blocked[block] | self.recent[self.before + block] & self.periods.any[block];
        for (over, (_, members)) in self.over.iter().zip(&self.periods.members) {
            blocked &= !(self.recent[over + block] & members[block]);
        }
        self.blocked[block] = blocked;
        blocked
    }

    /// Takes down the spikes of a block.
    #[inline(always)]
    pub fn spiked(&mut self, block: usize, spikes: Mask) {
        self.recent[self.now + block] = spikes;
    }
}

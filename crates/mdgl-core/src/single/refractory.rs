//! Refractory periods of one trial's cells: one mask per four blocks of cells.

use crate::error::Result;
use crate::numeric::lanes::{LANES, Mask};
use crate::numeric::memory::{product, resize};
use crate::numeric::scalar::Scalar;
use crate::simulate::compiled::CompiledNetwork;
use crate::single::events::{FourMasks, word};

/// The cells of each refractory period, one mask per four blocks of cells.
#[derive(Debug)]
pub(super) struct Periods {
    /// Cells that have one.
    any: Vec<u64>,
    /// The distinct periods above 0 in steps, and their cells.
    members: Vec<(usize, Vec<u64>)>,
    /// Steps of spikes that the longest looks back.
    look_back: usize,
}

impl Periods {
    pub fn new<F: Scalar>(network: &CompiledNetwork<F>) -> Self {
        let masks = |holds: &dyn Fn(u32) -> bool| -> Vec<u64> {
            let mask = |periods: &[u32]| {
                let lanes = periods.iter().enumerate();
                lanes.fold(0, |mask, (lane, &period)| mask | u64::from(holds(period)) << lane)
            };
            network.refractory.chunks(4 * LANES).map(mask).collect()
        };
        let members = |&period: &u32| (period as usize, masks(&|p| p == period));
        Self {
            any: masks(&|period| period > 0),
            members: network.periods.iter().map(members).collect(),
            look_back: network.longest_period(),
        }
    }
}

/// The cells blocked now, and the recent spikes whose periods will end.
#[derive(Debug, Clone, Default)]
pub(super) struct Refractory {
    blocked: Vec<FourMasks>,
    /// Spikes of the last steps, `[step mod look-back][four blocks]`; none before the first.
    recent: Vec<u64>,
    /// Start of the last step in `recent`.
    last: usize,
}

impl Refractory {
    pub fn reset(&mut self, periods: &Periods) -> Result<()> {
        let words = periods.any.len();
        self.blocked.clear();
        resize(&mut self.blocked, words, FourMasks::default(), "the state of a trial")?;
        self.recent.clear();
        resize(&mut self.recent, product(&[periods.look_back, words]), 0, "the state of a trial")?;
        self.last = 0;
        Ok(())
    }

    /// Goes to the next step: the cells that spiked in the last one are blocked, those whose period is over are free.
    /// After the trial's end all are blocked.
    #[inline(always)]
    pub fn advance(&mut self, periods: &Periods, spiking: &[u64], is_over: bool) {
        let words = periods.any.len();
        self.last = if self.last + words == self.recent.len() { 0 } else { self.last + words };
        let now = &mut self.recent[self.last..][..words];
        let lists = self.blocked.iter_mut().zip(now).zip(spiking).zip(&periods.any);
        for (((blocked, recent), spiking), any) in lists {
            *recent = *spiking;
            set_word(blocked, word(*blocked) | *recent & any);
        }
        for (period, members) in &periods.members {
            let back = period * words;
            let over =
                if self.last >= back { self.last - back } else { self.last + self.recent.len() - back };
            let over = &self.recent[over..][..words];
            for ((blocked, over), members) in self.blocked.iter_mut().zip(over).zip(members) {
                set_word(blocked, word(*blocked) & !(over & members));
            }
        }
        if is_over {
            self.blocked.fill([Mask::MAX; 4]);
        }
    }

    /// The cells that may not spike.
    #[inline(always)]
    pub fn blocked(&self) -> &[FourMasks] {
        &self.blocked
    }
}

#[inline(always)]
fn set_word(masks: &mut FourMasks, word: u64) {
    *masks = [word as Mask, (word >> 16) as Mask, (word >> 32) as Mask, (word >> 48) as Mask];
}

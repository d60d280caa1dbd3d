//! Refractory periods of one trial's cells, one bit per cell.

use crate::error::Result;
use crate::numeric::memory::{product, resize};
use crate::numeric::scalar::Scalar;
use crate::simulate::compiled::CompiledNetwork;
use crate::single::events::CELLS;

/// The cells of each refractory period.
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
            network.refractory.chunks(CELLS).map(mask).collect()
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
    blocked: Vec<u64>,
    /// Spikes of the last steps, `[step mod look-back][word]`; none before the first.
    recent: Vec<u64>,
    /// Start of the last step in `recent`.
    last: usize,
}

impl Refractory {
    pub fn reset(&mut self, periods: &Periods) -> Result<()> {
        let (words, what) = (periods.any.len(), "the state of a trial");
        self.blocked.clear();
        resize(&mut self.blocked, words, 0, what)?;
        self.recent.clear();
        resize(&mut self.recent, product(&[periods.look_back, words]), 0, what)?;
        self.last = 0;
        Ok(())
    }

    /// Goes to the next step: the cells that spiked in the last one are blocked, those whose period is over are free.
    /// After the trial's end all are blocked.
    #[inline(always)]
    pub fn advance(&mut self, periods: &Periods, spiking: &[u64], is_over: bool) {
        let Self { blocked, recent, last } = self;
        let words = periods.any.len();
        *last = if *last + words == recent.len() { 0 } else { *last + words };
        let (blocked, spiking) = (&mut blocked[..words], &spiking[..words]);
        recent[*last..][..words].copy_from_slice(spiking);
        for word in 0..words {
            blocked[word] |= spiking[word] & periods.any[word];
        }
        for (period, members) in &periods.members {
            let back = period * words;
            let over = if *last >= back { *last - back } else { *last + recent.len() - back };
            let (over, members) = (&recent[over..][..words], &members[..words]);
            for word in 0..words {
                blocked[word] &= !(over[word] & members[word]);
            }
        }
        if is_over {
            blocked.fill(u64::MAX);
        }
    }

    /// The cells that may not spike.
    #[inline(always)]
    pub fn blocked(&self) -> &[u64] {
        &self.blocked
    }
}

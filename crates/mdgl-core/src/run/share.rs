//! The share of one process in a batch that several compute together.

use std::ops::Range;

use crate::error::{Result, invalid};
use crate::numeric::lanes::LANES;

/// Most ranks: as many as a batch may have trials.
const MOST_RANKS: usize = 1 << 20;

/// The share of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    rank: usize,
    ranks: usize,
}

impl Share {
    /// The share of a rank, from 0 on, among so many.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for no rank, more than 1048576, or a rank that is none of them.
    pub fn new(rank: usize, ranks: usize) -> Result<Self> {
        if ranks == 0 || ranks > MOST_RANKS {
            return Err(invalid("collective.size", ranks, format!("1 to {MOST_RANKS}")));
        }
        if rank >= ranks {
            return Err(invalid("collective.rank", rank, format!("0 to {}", ranks - 1)));
        }
        Ok(Self { rank, ranks })
    }

    /// The rank of this process.
    pub fn rank(self) -> usize {
        self.rank
    }

    /// Number of ranks.
    pub fn ranks(self) -> usize {
        self.ranks
    }

    /// The share of another rank.
    pub(super) fn of(self, rank: usize) -> Self {
        Self { rank, ..self }
    }

    /// Its range of so many trials: those of its blocks of 16.
    pub fn trials(self, trials: usize) -> Range<usize> {
        let blocks = self.blocks(trials.div_ceil(LANES));
        (blocks.start * LANES).min(trials)..(blocks.end * LANES).min(trials)
    }

    /// Its range of so many blocks; empty where there are more ranks than blocks.
    pub(super) fn blocks(self, blocks: usize) -> Range<usize> {
        let first = |rank: usize| (blocks as u64 * rank as u64 / self.ranks as u64) as usize;
        first(self.rank)..first(self.rank + 1)
    }
}

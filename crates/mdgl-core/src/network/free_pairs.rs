//! The pairs of a projection's units that could have a synapse and have none, and a uniform choice among them.

use std::collections::HashSet;

use super::projections::Synapses;
use crate::error::Result;
use crate::numeric::memory::{ensure_memory, product};
use crate::numeric::random::CounterRng;

/// All pairs but those of some synapses, of a neuron with itself, of free senders, and those that lesions keep silent.
pub(crate) struct FreePairs<'a> {
    synapses: &'a Synapses,
    kept: &'a [u32],
    /// The senders of no free pair, ascending, by the receiver's type.
    barred: Vec<Vec<u32>>,
    /// The number of free pairs of all receivers up to each.
    end: Vec<u64>,
}

impl Synapses {
    /// The free pairs beside some of the synapses, which are given ascending.
    pub(crate) fn free_pairs<'a>(&'a self, kept: &'a [u32]) -> FreePairs<'a> {
        let barred = self.barred_senders();
        let mut free = FreePairs { synapses: self, kept, barred, end: Vec::with_capacity(self.sizes.1) };
        let (mut taken, mut end) = (Vec::new(), 0);
        let mut rest = kept;
        for post in 0..self.sizes.1 as u32 {
            rest = free.taken(post, rest, &mut taken);
            end += (self.sizes.0 - taken.len()) as u64;
            free.end.push(end);
        }
        free
    }

    /// Whether lists are pairs that the projection could join, by post, then pre, each once.
    pub(crate) fn could_be(&self, pre: &[u32], post: &[u32]) -> bool {
        let (senders, receivers) = self.sizes;
        let fits = |(&pre, &post): (&u32, &u32)| {
            (pre as usize) < senders
                && (post as usize) < receivers
                && !(self.excludes_autapses && pre == post)
        };
        pre.len() == post.len()
            && pre.iter().zip(post).all(fits)
            && post.iter().zip(pre).is_sorted_by(|one, next| one < next)
    }
}

impl FreePairs<'_> {
    /// Writes the senders without a free pair to a receiver, ascending; `kept` begins with the receiver's synapses, and what is left of it
    /// is returned.
    fn taken<'k>(&self, post: u32, kept: &'k [u32], taken: &mut Vec<u32>) -> &'k [u32] {
        let Self { synapses, barred, .. } = self;
        let own = kept.iter().take_while(|&&s| synapses.post()[s as usize] == post).count();
        let (own, rest) = kept.split_at(own);
        taken.clear();
        taken.extend(own.iter().map(|&s| synapses.pre()[s as usize]));
        let barred = &barred[synapses.receiver_type(post)];
        let single = synapses.lesioned_senders(post);
        if synapses.excludes_autapses || !barred.is_empty() || !single.is_empty() {
            taken.extend(barred);
            taken.extend(single.iter().map(|&(_, pre)| pre));
            taken.extend(synapses.excludes_autapses.then_some(post));
            taken.sort_unstable();
            taken.dedup();
        }
        rest
    }

    /// So many different pairs (post, pre), or all if there are fewer, ascending; every choice is equally likely.
    ///
    /// # Errors
    /// [`crate::Error::Memory`].
    pub fn choose(&self, count: usize, rng: &mut CounterRng) -> Result<Vec<(u32, u32)>> {
        let all = self.end.last().copied().unwrap_or(0);
        let count = (count as u64).min(all);
        ensure_memory(product(&[count as usize, 4 * size_of::<u64>()]), "the synapses of a projection")?;
        let mut places = self::places(count, all, rng).into_iter().peekable();
        let mut pairs = Vec::with_capacity(count as usize);
        let (mut taken, mut first) = (Vec::new(), 0);
        let mut rest = self.kept;
        for (post, &end) in (0..).zip(&self.end) {
            rest = self.taken(post, rest, &mut taken);
            let mut before = 0;
            while let Some(place) = places.next_if(|&place| place < end) {
                let place = (place - first) as u32;
                while taken.get(before).is_some_and(|&pre| pre <= place + before as u32) {
                    before += 1;
                }
                pairs.push((post, place + before as u32));
            }
            first = end;
        }
        Ok(pairs)
    }
}

/// So many different numbers below another, ascending (Floyd's method).
fn places(count: u64, all: u64, rng: &mut CounterRng) -> Vec<u64> {
    let mut chosen = HashSet::with_capacity(count as usize);
    for most in all - count..all {
        let place = rng.below_wide(most + 1);
        if !chosen.insert(place) {
            chosen.insert(most);
        }
    }
    let mut chosen: Vec<u64> = chosen.into_iter().collect();
    chosen.sort_unstable();
    chosen
}

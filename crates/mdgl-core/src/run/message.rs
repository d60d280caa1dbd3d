//! Messages between processes that compute one batch together, their checks, and how those of neighbours become one.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::share::Share;
use crate::error::{Error, Result, invalid};
use crate::learn::batch_sums::BatchSums;
use crate::learn::block_gradient::{Subtree, subtrees_of};
use crate::learn::plan::LearningPlan;
use crate::network::Network;
use crate::numeric::lanes::LANES;
use crate::run::real::Real;

/// Version of the layout; raised when it changes.
const VERSION: u32 = 5;
const CHECKSUM_BYTES: usize = 8;

/// Fingerprints that must be equal on every rank, in the order of [`Header::common`].
const COMMON: [&str; 6] = ["phase", "weights", "rule and optimiser", "losses", "batch", "engine"];

/// The phase of the exchange in which a message is sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum MessagePhase {
    Evaluation = 0,
    /// Sums of the forward pass; the backward pass waits for those of all ranks.
    Forward = 1,
    /// Sums, after [`Self::Forward`].
    Backward = 2,
    /// Sums of both passes in one message.
    AtOnce = 3,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    version: u32,
    ranks: usize,
    /// Fingerprints.
    common: [u64; COMMON.len()],
}

impl Header {
    /// `common` without the phase.
    pub fn new(share: Share, phase: MessagePhase, [weights, rule, losses, batch, engine]: [u64; 5]) -> Self {
        let common = [phase as u64, weights, rule, losses, batch, engine];
        Self { version: VERSION, ranks: share.ranks(), common }
    }

    /// The same in another phase.
    pub fn at(mut self, phase: MessagePhase) -> Self {
        self.common[0] = phase as u64;
        self
    }

    /// Refuses the header of another rank that differs in anything shared.
    fn agree(&self, theirs: &Self, path: &str) -> Result<()> {
        if theirs.ranks != self.ranks {
            let value = format!("for {} ranks", theirs.ranks);
            return Err(invalid(path, value, format!("messages of {} ranks", self.ranks)));
        }
        let pairs = self.common.iter().zip(&theirs.common);
        match COMMON.iter().zip(pairs).find(|(_, (own, theirs))| own != theirs) {
            None => Ok(()),
            Some((what, _)) => {
                let allowed = format!("the same {what} on every rank");
                Err(invalid(format!("{path}.{what}"), "not this rank's", allowed))
            }
        }
    }
}

/// The part of a batch of one rank, or of several neighbours.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "F: Real")]
pub(super) struct Message<F> {
    header: Header,
    ranks: Range<usize>,
    /// One per own block; of several ranks from the first one on their sum, which is added in the order of blocks. None where the phase
    /// sends none.
    pub block_sums: Vec<BatchSums>,
    /// The own blocks' subtrees; likewise none.
    pub subtrees: Vec<Subtree<F>>,
}

impl<F: Real> Message<F> {
    /// A message as bytes, with a checksum at the end.
    pub fn encode(
        header: Header,
        share: Share,
        block_sums: Vec<BatchSums>,
        subtrees: Vec<Subtree<F>>,
    ) -> Result<Vec<u8>> {
        Self { header, ranks: share.rank()..share.rank() + 1, block_sums, subtrees }.to_bytes()
    }

    fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = postcard::to_allocvec(self)
            .map_err(|_| Error::Memory { what: "a message to other ranks".into(), bytes: 0 })?;
        let checksum = Digest::of_bytes(&bytes);
        bytes.extend(checksum.to_le_bytes());
        Ok(bytes)
    }

    fn decode(bytes: &[u8], path: &str) -> Result<Self> {
        let damaged = || invalid(path, format!("{} damaged bytes", bytes.len()), "a message as it was sent");
        let (body, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or_else(damaged)?;
        if Digest::of_bytes(body) != u64::from_le_bytes(*checksum) {
            return Err(damaged());
        }
        let (version, _) = postcard::take_from_bytes::<u32>(body).map_err(|_| damaged())?;
        if version != VERSION {
            let value = format!("of version {version}");
            return Err(invalid(path, value, format!("version {VERSION}: the same mdgl on every rank")));
        }
        match postcard::take_from_bytes(body) {
            Ok((message, [])) => Ok(message),
            _ => Err(damaged()),
        }
    }

    /// The messages of all ranks, of each or of groups of neighbours, checked against this rank's.
    pub fn read_all(messages: &[impl AsRef<[u8]>], header: &Header) -> Result<Vec<Self>> {
        let count = || {
            let allowed = format!("{}, one per rank", header.ranks);
            invalid("messages", messages.len(), allowed)
        };
        let mut read: Vec<Self> = Vec::with_capacity(messages.len());
        for bytes in messages {
            let next = read.last().map_or(0, |before| before.ranks.end);
            if next == header.ranks {
                return Err(count());
            }
            let path = path_of(next);
            read.push(Self::decode(bytes.as_ref(), &path)?.checked(header, &path)?.beginning_at(next)?);
        }
        if read.last().map_or(0, |last| last.ranks.end) == header.ranks { Ok(read) } else { Err(count()) }
    }

    /// Itself, if it is of a rank that computes the same as this one.
    fn checked(self, header: &Header, path: &str) -> Result<Self> {
        header.agree(&self.header, path)?;
        match self.ranks.is_empty() || self.ranks.end > header.ranks {
            true => Err(self.out_of_order(path)),
            false => Ok(self),
        }
    }

    fn beginning_at(self, rank: usize) -> Result<Self> {
        if self.ranks.start == rank { Ok(self) } else { Err(self.out_of_order(&path_of(rank))) }
    }

    fn out_of_order(&self, path: &str) -> Error {
        let Range { start, end } = self.ranks;
        let value = if self.ranks.len() == 1 {
            format!("of rank {start}")
        } else {
            format!("of ranks {start} to {end}")
        };
        invalid(path, value, "messages in the order of ranks")
    }
}

fn path_of(rank: usize) -> String {
    format!("messages[{rank}]")
}

/// The expected shape of the parts of a batch.
pub(super) struct Expected<'a, F: Real> {
    pub share: Share,
    /// Blocks of the whole batch.
    pub blocks: usize,
    /// Number of losses.
    pub losses: usize,
    pub network: &'a Network,
    /// Of training.
    pub plan: Option<&'a LearningPlan<F>>,
}

impl<F: Real> Expected<'_, F> {
    /// The message of two neighbouring groups of ranks. `has`: whether the phase sends sums of blocks, and subtrees.
    pub fn merge(&self, header: &Header, left: &[u8], right: &[u8], has: [bool; 2]) -> Result<Vec<u8>> {
        let left = Message::decode(left, "messages.left")?;
        let Range { start, end: middle } = left.ranks;
        let (left, path) = (left.checked(header, &path_of(start))?, path_of(middle));
        let right = Message::decode(right, &path)?.checked(header, &path)?.beginning_at(middle)?;
        let ranks = start..right.ranks.end;
        let mut both = vec![left, right];
        let mut block_sums = if has[0] { self.block_sums(&mut both)? } else { Vec::new() };
        if start == 0 && !block_sums.is_empty() {
            block_sums = vec![BatchSums::total(&block_sums)];
        }
        let subtrees = match self.plan.filter(|_| has[1]) {
            Some(plan) => Subtree::combine(self.subtrees(both, plan)?, self.blocks),
            None => Vec::new(),
        };
        Message { header: *header, ranks, block_sums, subtrees }.to_bytes()
    }

    /// The blocks of some ranks.
    fn blocks_of(&self, ranks: &Range<usize>) -> Range<usize> {
        let of = |rank: usize| self.share.of(rank).blocks(self.blocks);
        of(ranks.start).start..of(ranks.end - 1).end
    }

    /// The sums of all blocks of the messages, in order.
    pub fn block_sums(&self, messages: &mut [Message<F>]) -> Result<Vec<BatchSums>> {
        let mut all = Vec::with_capacity(self.blocks);
        for message in messages {
            let own = self.blocks_of(&message.ranks).len();
            let is_total = message.ranks.start == 0 && message.ranks.len() > 1;
            let count = if is_total { own.min(1) } else { own };
            let fits = message.block_sums.len() == count && message.block_sums.iter().all(|o| self.fits(o));
            if !fits {
                return Err(misfit(message.ranks.start, "blockSums"));
            }
            all.append(&mut message.block_sums);
        }
        Ok(all)
    }

    fn fits(&self, batch_sums: &BatchSums) -> bool {
        let (neurons, most) = (self.network.size(), batch_sums.steps);
        let follows_psi = self.plan.is_some_and(LearningPlan::follows_psi);
        most <= ((LANES as u64) << 28).saturating_mul(self.blocks as u64)
            && batch_sums.counts.len() == neurons
            && batch_sums.counts.iter().all(|&count| count <= most)
            && (batch_sums.psi.len() == neurons || batch_sums.psi.is_empty() && !follows_psi)
            && batch_sums.terms.len() == self.losses
            && batch_sums.terms.iter().all(|term| term.correct <= term.answers && term.answers <= most)
            && batch_sums.custom_accuracies.is_empty()
    }

    /// The subtrees of the messages, in order.
    pub fn subtrees(&self, messages: Vec<Message<F>>, plan: &LearningPlan<F>) -> Result<Vec<Subtree<F>>> {
        let mut all: Vec<Subtree<F>> = Vec::new();
        for message in messages {
            let own = subtrees_of(self.blocks_of(&message.ranks), self.blocks);
            let in_place = message.subtrees.iter().map(|subtree| &subtree.blocks).eq(&own);
            let model = all.first().or(message.subtrees.first());
            let fits = |subtree: &Subtree<F>| model.is_some_and(|model| self.is_like(subtree, model, plan));
            if !in_place || !message.subtrees.iter().all(fits) {
                return Err(misfit(message.ranks.start, "sums"));
            }
            all.extend(message.subtrees);
        }
        Ok(all)
    }

    fn is_like(
        &self,
        Subtree { block_gradient, .. }: &Subtree<F>,
        model: &Subtree<F>,
        plan: &LearningPlan<F>,
    ) -> bool {
        let (slots, neurons) = (plan.synapses.slots.len(), self.network.size());
        let known = |(slot, from): (u32, u32)| (slot as usize) < slots && (from as usize) < neurons;
        block_gradient.sums.len() == slots
            && block_gradient.bias.len() == self.network.output_units()
            && [0, slots].contains(&block_gradient.plain.len())
            && block_gradient.plain.len() == model.block_gradient.plain.len()
            && block_gradient.edges.len() == model.block_gradient.edges.len()
            && block_gradient.edge_sums.len() == model.block_gradient.edge_sums.len()
            && [0, block_gradient.edges.len()].contains(&block_gradient.edge_sums.len())
            && block_gradient.edges.iter().all(|edge| known((edge.slot, edge.from)))
    }
}

fn misfit(rank: usize, what: &str) -> Error {
    let allowed = "those of the ranks' own blocks of the batch";
    invalid(format!("{}.{what}", path_of(rank)), "of another size", allowed)
}

//! What processes that compute one batch together tell each other, and the checks of what arrives.

use serde::{Deserialize, Serialize};

use super::Outcome;
use super::digest::Digest;
use super::share::Share;
use crate::error::{Error, Result, invalid};
use crate::learn::partial::{Piece, subtrees};
use crate::learn::plan::Plan;
use crate::network::Network;
use crate::numeric::lanes::LANES;
use crate::run::real::Real;

/// Of the layout; raised when it changes.
const VERSION: u32 = 1;
const CHECKSUM_BYTES: usize = 8;

/// What must be the same on every rank, in the order of [`Header::common`].
const COMMON: [&str; 6] = ["stage", "weights", "rule and optimiser", "losses", "batch", "engine"];

/// At what point of the work a message is sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stage {
    Evaluation = 0,
    /// Outcomes; the way back waits for those of all.
    Forward = 1,
    /// Sums, after [`Self::Forward`].
    Backward = 2,
    /// Both together.
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
    /// `common` without the stage.
    pub fn new(share: Share, stage: Stage, [weights, rule, losses, batch, engine]: [u64; 5]) -> Self {
        let common = [stage as u64, weights, rule, losses, batch, engine];
        Self { version: VERSION, ranks: share.ranks(), common }
    }

    /// The same at another stage.
    pub fn at(mut self, stage: Stage) -> Self {
        self.common[0] = stage as u64;
        self
    }

    /// Refuses the header of another rank that does not mean the same.
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

/// One rank's part of a batch.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Message<F> {
    header: Header,
    rank: usize,
    /// One an own block; none where the stage sends none.
    pub outcomes: Vec<Outcome>,
    /// The own blocks' subtrees; likewise.
    pub pieces: Vec<Piece<F>>,
}

impl<F: Real> Message<F> {
    /// A message as bytes, with a checksum at the end.
    pub fn encode(
        header: Header,
        share: Share,
        outcomes: Vec<Outcome>,
        pieces: Vec<Piece<F>>,
    ) -> Result<Vec<u8>> {
        let message = Self { header, rank: share.rank(), outcomes, pieces };
        let mut bytes = postcard::to_allocvec(&message)
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

    /// The messages of all ranks, which must mean the same as this one's.
    pub fn read_all(messages: &[Vec<u8>], header: &Header) -> Result<Vec<Self>> {
        if messages.len() != header.ranks {
            let allowed = format!("{}, one a rank", header.ranks);
            return Err(invalid("messages", messages.len(), allowed));
        }
        let read = |(rank, bytes): (usize, &Vec<u8>)| {
            let path = path_of(rank);
            let message = Self::decode(bytes, &path)?;
            header.agree(&message.header, &path)?;
            if message.rank != rank {
                return Err(invalid(
                    path,
                    format!("of rank {}", message.rank),
                    "messages in the order of ranks",
                ));
            }
            Ok(message)
        };
        messages.iter().enumerate().map(read).collect()
    }
}

fn path_of(rank: usize) -> String {
    format!("messages[{rank}]")
}

/// What the parts of a batch must look like.
pub(super) struct Expected<'a, F: Real> {
    pub share: Share,
    /// Of the whole batch.
    pub blocks: usize,
    pub steps: usize,
    /// Number of losses.
    pub losses: usize,
    pub network: &'a Network,
    /// Of training.
    pub plan: Option<&'a Plan<F>>,
}

impl<F: Real> Expected<'_, F> {
    /// The outcomes of all blocks, in order.
    pub fn outcomes(&self, messages: &mut [Message<F>]) -> Result<Vec<Outcome>> {
        let mut all = Vec::with_capacity(self.blocks);
        for (rank, message) in messages.iter_mut().enumerate() {
            let own = self.share.of(rank).blocks(self.blocks).len();
            let fits = message.outcomes.len() == own && message.outcomes.iter().all(|o| self.fits(o));
            if !fits {
                return Err(misfit(rank, "outcomes"));
            }
            all.append(&mut message.outcomes);
        }
        Ok(all)
    }

    fn fits(&self, outcome: &Outcome) -> bool {
        let (neurons, most) = (self.network.size(), (LANES * self.steps) as u64);
        let follows_psi = self.plan.is_some_and(Plan::follows_psi);
        outcome.counts.len() == neurons
            && outcome.counts.iter().all(|&count| count <= most)
            && (outcome.psi.len() == neurons || outcome.psi.is_empty() && !follows_psi)
            && outcome.judged <= most * self.losses as u64
            && outcome.correct <= outcome.judged
    }

    /// The sums of all blocks, in order.
    pub fn pieces(&self, messages: Vec<Message<F>>, plan: &Plan<F>) -> Result<Vec<Piece<F>>> {
        let mut all: Vec<Piece<F>> = Vec::new();
        for (rank, message) in messages.into_iter().enumerate() {
            let own = subtrees(self.share.of(rank).blocks(self.blocks), self.blocks);
            let in_place = message.pieces.iter().map(|piece| &piece.blocks).eq(&own);
            let model = all.first().or(message.pieces.first());
            let fits = |piece: &Piece<F>| model.is_some_and(|model| self.is_like(piece, model, plan));
            if !in_place || !message.pieces.iter().all(fits) {
                return Err(misfit(rank, "sums"));
            }
            all.extend(message.pieces);
        }
        Ok(all)
    }

    fn is_like(&self, Piece { partial, .. }: &Piece<F>, model: &Piece<F>, plan: &Plan<F>) -> bool {
        let (slots, neurons) = (plan.slots.len(), self.network.size());
        let known = |(slot, from): (u32, u32)| (slot as usize) < slots && (from as usize) < neurons;
        partial.sums.len() == slots
            && partial.bias.len() == self.network.output_units()
            && [0, slots].contains(&partial.plain.len())
            && partial.plain.len() == model.partial.plain.len()
            && partial.edges.len() == model.partial.edges.len()
            && partial.edge_sums.len() == model.partial.edge_sums.len()
            && [0, partial.edges.len()].contains(&partial.edge_sums.len())
            && partial.edges.iter().all(|edge| known((edge.slot, edge.from)))
    }
}

fn misfit(rank: usize, what: &str) -> Error {
    let allowed = "those of the rank's own blocks of the batch";
    invalid(format!("{}.{what}", path_of(rank)), "of another size", allowed)
}

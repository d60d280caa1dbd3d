//! The modulatory multidigraph: channels between cell types, expanded to gains between cells.
//!
//! A cell p receives Γ_p = Σ_j gain(p, j) (1 − α_j) X_j, where j secretes X_j. The gain of a
//! synaptic channel acts along each living synapse p→j, or along those stronger than a share of the mean between the two
//! types (`above`); a nonlocal channel joins p to every cell
//! of the secreting type, through one sum per type; a diffusive one through the type's field on the sheet.
//!
//! What arrives at p along a synapse of delay d is multiplied by the eligibility d steps earlier. A nonlocal channel
//! whose gain is w̄ acts with each delay by the mean of the synapses that have it; one of a fixed gain, and one that
//! diffuses, after one step.

use crate::description::rule::{Channels, Hops, Rule};
use crate::description::{Gain, Reach, TimeCourse, WeightGain};
use crate::error::Result;
use crate::learn::diffusion::Diffusive;
use crate::model::Model;
use crate::network::channels::{Listed, Table};
use crate::network::{Network, SynapseKind};
use crate::numeric::csr::Csr;
use crate::numeric::lanes::{self, Block, Lanes};
use crate::numeric::scalar::Scalar;

/// Current gains.
#[derive(Debug)]
pub(crate) struct Modulation<F: Scalar> {
    /// Receiver p → (index of the secreting j, gain · (1 − α_j)).
    pub synaptic: Csr<F>,
    pub nonlocal: Option<Nonlocal<F>>,
    pub diffusive: Option<Diffusive<F>>,
    /// Cells that receive anything.
    pub receivers: Vec<u32>,
    /// The first receivers, in groups of four.
    fours: Vec<Four>,
    /// Their (secreting cells, gains), four after four.
    four_gains: Vec<FourGains<F>>,
    /// One more than the highest place of a secreting cell there.
    places: usize,
}

/// One secreting cell and its gain for each of four receivers.
type FourGains<F> = ([u32; 4], [F; 4]);

/// Four receivers whose sums run side by side.
#[derive(Debug)]
struct Four {
    receivers: [u32; 4],
    /// End of their gains.
    end: u32,
    /// Whether all four receive from the same cells in the same order.
    is_shared: bool,
}

/// Where past secretions of cell j are stored: rows of cells, the newest first.
fn place(j: usize, delay: usize, network: &Network) -> usize {
    (delay - 1) * network.size() + j
}

/// Channels that reach every cell of the receiving type.
#[derive(Debug)]
pub(crate) struct Nonlocal<F: Scalar> {
    /// Secreting cells: (place, sum, 1 − α).
    pub emitters: Vec<(u32, u32, F)>,
    /// Gain `[receiving type][sum]`.
    pub gains: Vec<F>,
    pub type_of: Vec<u32>,
    /// One per delay and secreting type.
    pub sums: usize,
}

/// A rule's channels by type; `None` if it has none.
pub(crate) fn channel_table(network: &Network, rule: &Rule) -> Result<Option<Table>> {
    if rule.hops == Hops::Count(0) {
        return Ok(None);
    }
    let table = match &rule.channels {
        Channels::Preset(_) => (*network.channels).clone(),
        Channels::Uniform(channel) => Table::uniform("rule.channels", *channel, network.dt())?,
        Channels::List(list) => Table::listed("rule.channels", network.type_names(), list, network.dt())?,
    };
    Ok((!table.is_empty()).then_some(table))
}

impl<F: Scalar> Modulation<F> {
    /// Expands the channels of a kernel with the current weights; only cells that `secretes` holds for emit.
    pub fn new(model: &Model<F>, table: &Table, kernel: TimeCourse, secretes: &[bool]) -> Self {
        let network = model.network();
        let blocks = BlockMeans::new(model);
        let synaptic = synaptic_gains(model, table, kernel, &blocks, secretes);
        let nonlocal = nonlocal_gains(network, table, kernel, &blocks, secretes);
        let gain = |to: usize, from: usize| diffusive_gain(table, &blocks, (to, from), kernel);
        let diffusive = Diffusive::new(network, table, kernel, gain, secretes);
        let mut receives_field = vec![false; network.size()];
        let by_field = diffusive.iter().flat_map(Diffusive::receivers);
        by_field.for_each(|p| receives_field[p as usize] = true);
        let receives = |p: usize| {
            let by_type = nonlocal.as_ref().is_some_and(|n| n.reaches(p));
            !synaptic.of(p).is_empty() || by_type || receives_field[p]
        };
        let receivers = (0..network.size()).filter(|&p| receives(p)).map(|p| p as u32);
        let mut receivers: Vec<u32> = receivers.collect();
        // Neighbours of equal length let the processor predict the loops.
        receivers.sort_by_key(|&p| synaptic.of(p as usize).len());
        let (fours, four_gains) = by_fours(&synaptic, &receivers);
        let places = four_gains.iter().flat_map(|(from, _)| from).max().map_or(0, |&last| last as usize + 1);
        Self { synaptic, nonlocal, diffusive, receivers, fours, four_gains, places }
    }

    /// Γ of every receiver from what the cells secrete, and secreted in the steps before as far as delays reach: a row of
    /// cells each, the newest first. `totals` has [`Self::totals`] elements.
    #[inline(always)]
    pub fn receive<L: Lanes<Scalar = F>>(
        &self,
        secreted: &[Block<F>],
        totals: &mut [Block<F>],
        gamma: &mut [Block<F>],
    ) {
        L::call(Receive { modulation: self, secreted, totals, gamma });
    }

    #[inline(always)]
    fn sum<L: Lanes<Scalar = F>>(
        &self,
        secreted: &[Block<F>],
        totals: &mut [Block<F>],
        gamma: &mut [Block<F>],
    ) {
        if let Some(nonlocal) = &self.nonlocal {
            nonlocal.sum::<L>(secreted, totals);
        }
        let mut first = 0;
        assert!(self.places <= secreted.len(), "a secreting cell beyond the buffer");
        for four in &self.fours {
            // A sum is a chain of additions; a processor runs several in parallel.
            let mut sums = [L::splat(F::ZERO); 4];
            let gains = &self.four_gains[first..four.end as usize];
            if four.is_shared {
                for (from, gains) in gains {
                    // SAFETY: no place is beyond `places`, and there are as many blocks.
                    let secreted = L::load(unsafe { secreted.get_unchecked(from[0] as usize) });
                    for i in 0..4 {
                        sums[i] = secreted.mul_add(L::splat(gains[i]), sums[i]);
                    }
                }
            } else {
                for (from, gains) in gains {
                    for i in 0..4 {
                        // SAFETY: as above.
                        let secreted = L::load(unsafe { secreted.get_unchecked(from[i] as usize) });
                        sums[i] = secreted.mul_add(L::splat(gains[i]), sums[i]);
                    }
                }
            }
            first = four.end as usize;
            for (&p, sum) in four.receivers.iter().zip(sums) {
                self.add_nonlocal(p as usize, sum, totals).store(&mut gamma[p as usize]);
            }
        }
        for &p in &self.receivers[4 * self.fours.len()..] {
            let mut sum = L::splat(F::ZERO);
            for &(j, gain) in self.synaptic.of(p as usize) {
                sum = L::load(&secreted[j as usize]).mul_add(L::splat(gain), sum);
            }
            self.add_nonlocal(p as usize, sum, totals).store(&mut gamma[p as usize]);
        }
    }

    #[inline(always)]
    fn add_nonlocal<L: Lanes<Scalar = F>>(&self, p: usize, mut sum: L, totals: &[Block<F>]) -> L {
        if let Some(nonlocal) = &self.nonlocal {
            for (total, &gain) in totals.iter().zip(nonlocal.gains_of(p)) {
                sum = L::load(total).mul_add(L::splat(gain), sum);
            }
        }
        sum
    }

    /// Every (place of a secreting cell, gain) of a receiver, nonlocal channels written out.
    pub fn emitters(&self, p: usize) -> Vec<(u32, F)> {
        let mut pairs = self.synaptic.of(p).to_vec();
        if let Some(nonlocal) = &self.nonlocal {
            let gains = nonlocal.gains_of(p);
            let all = nonlocal.emitters.iter().map(|&(j, sum, scale)| (j, gains[sum as usize] * scale));
            pairs.extend(all.filter(|&(_, gain)| gain != F::ZERO));
        }
        pairs
    }

    /// Bytes that the sums along synapses read in a step: four receivers of the same cells share a load.
    pub fn bytes_of_gains(&self) -> u64 {
        let (block, gain) = (size_of::<Block<F>>() as u64, size_of::<F>() as u64 + 4);
        let (mut bytes, mut first) = (0, 0);
        for four in &self.fours {
            let loads = if four.is_shared { 1 } else { 4 };
            bytes += u64::from(four.end - first) * (loads * block + 4 * gain);
            first = four.end;
        }
        let others = self.receivers[4 * self.fours.len()..].iter();
        bytes + others.map(|&p| self.synaptic.of(p as usize).len() as u64 * (block + gain)).sum::<u64>()
    }

    /// Number of sums that [`Self::receive`] needs.
    pub fn totals(&self) -> usize {
        self.nonlocal.as_ref().map_or(0, |n| n.sums)
    }
}

/// [`Modulation::receive`] as a function of its own.
struct Receive<'a, F: Scalar> {
    modulation: &'a Modulation<F>,
    secreted: &'a [Block<F>],
    totals: &'a mut [Block<F>],
    gamma: &'a mut [Block<F>],
}

impl<F: Scalar> lanes::SimdKernel<F> for Receive<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(self) {
        self.modulation.sum::<L>(self.secreted, self.totals, self.gamma);
    }
}

/// Receivers in groups of four, the lists of gains padded with zeros: where most cells secrete to all four, so that the lists
/// become one, else the shorter ones to the longest.
fn by_fours<F: Scalar>(synaptic: &Csr<F>, receivers: &[u32]) -> (Vec<Four>, Vec<FourGains<F>>) {
    let (mut fours, mut gains) = (Vec::new(), Vec::new());
    for four in receivers.chunks_exact(4) {
        let receivers = [four[0], four[1], four[2], four[3]];
        let lists = receivers.map(|p| synaptic.of(p as usize));
        let longest = lists.iter().map(|list| list.len()).max().unwrap_or(0);
        let shared = joined(lists, longest);
        let is_shared = shared.is_some();
        match shared {
            Some(joined) => gains.extend(joined),
            None => gains.extend((0..longest).map(|place| {
                let items = lists.map(|list| list.get(place).copied().unwrap_or((0, F::ZERO)));
                (items.map(|(from, _)| from), items.map(|(_, gain)| gain))
            })),
        }
        fours.push(Four { receivers, end: gains.len() as u32, is_shared });
    }
    (fours, gains)
}

/// Lists in ascending order as one; `None` where it would be much longer than the longest, or one is not in order.
fn joined<F: Scalar>(lists: [&[(u32, F)]; 4], longest: usize) -> Option<Vec<FourGains<F>>> {
    if !lists.iter().all(|list| list.is_sorted_by(|a, b| a.0 < b.0)) {
        return None;
    }
    let mut places = vec![];
    lists.iter().for_each(|list| places.extend(list.iter().map(|&(from, _)| from)));
    places.sort_unstable();
    places.dedup();
    if 2 * places.len() > 3 * longest {
        return None;
    }
    let gain = |list: &[(u32, F)], from: u32| {
        list.binary_search_by_key(&from, |&(own, _)| own).map_or(F::ZERO, |place| list[place].1)
    };
    Some(places.into_iter().map(|from| ([from; 4], lists.map(|list| gain(list, from)))).collect())
}

impl<F: Scalar> Nonlocal<F> {
    fn gains_of(&self, p: usize) -> &[F] {
        &self.gains[self.type_of[p] as usize * self.sums..][..self.sums]
    }

    fn reaches(&self, p: usize) -> bool {
        let gains = self.gains_of(p);
        self.emitters.iter().any(|&(_, sum, _)| gains[sum as usize] != F::ZERO)
    }

    #[inline(always)]
    fn sum<L: Lanes<Scalar = F>>(&self, secreted: &[Block<F>], totals: &mut [Block<F>]) {
        totals.fill(Block::ZERO);
        for &(j, sum, scale) in &self.emitters {
            let total = &mut totals[sum as usize];
            L::load(&secreted[j as usize]).mul_add(L::splat(scale), L::load(total)).store(total);
        }
    }
}

/// Sum and number of the living synapses from type to type, and the types' sizes.
struct BlockMeans {
    types: usize,
    sums: Vec<f64>,
    /// Sums of |W|.
    absolute_sums: Vec<f64>,
    /// The sums again, by delay.
    delayed: Vec<Vec<f64>>,
    counts: Vec<usize>,
    sizes: Vec<usize>,
}

impl BlockMeans {
    fn new<F: Scalar>(model: &Model<F>) -> Self {
        let network = model.network();
        let types = network.type_names().len();
        let (mut sums, mut counts) = (vec![0.0; types * types], vec![0; types * types]);
        let mut absolute_sums = sums.clone();
        let mut delayed = vec![vec![0.0; types * types]; network.delays().len()];
        for_each_living(model, |p, j, rank, weight| {
            let block = network.type_of[p] * types + network.type_of[j];
            sums[block] += weight;
            absolute_sums[block] += weight.abs();
            delayed[rank][block] += weight;
            counts[block] += 1;
        });
        let mut sizes = vec![0; types];
        network.type_of.iter().for_each(|&t| sizes[t] += 1);
        Self { types, sums, absolute_sums, delayed, counts, sizes }
    }

    /// w̄ over existing synapses; 0 where there are none.
    fn existing(&self, from: usize, to: usize) -> f64 {
        let block = from * self.types + to;
        self.sums[block] / self.counts[block].max(1) as f64
    }

    /// Whether a synapse's weight is above a share of the mean |W| of its block.
    fn is_above(&self, share: f64, weight: f64, (from, to): (usize, usize)) -> bool {
        let block = from * self.types + to;
        weight.abs() > share * (self.absolute_sums[block] / self.counts[block].max(1) as f64)
    }

    /// w̄ per block over the synapses above a share.
    fn means_above<F: Scalar>(&self, model: &Model<F>, share: f64) -> Vec<f64> {
        let type_of = &model.network().type_of;
        let (mut sums, mut counts) = (vec![0.0; self.sums.len()], vec![0usize; self.sums.len()]);
        for_each_living(model, |p, j, _, weight| {
            if self.is_above(share, weight, (type_of[p], type_of[j])) {
                let block = type_of[p] * self.types + type_of[j];
                sums[block] += weight;
                counts[block] += 1;
            }
        });
        sums.iter().zip(counts).map(|(sum, count)| sum / count.max(1) as f64).collect()
    }

    /// w̄ over the whole block, absent synapses and the diagonal counted as 0.
    fn whole(&self, from: usize, to: usize) -> f64 {
        self.share(&self.sums, from, to)
    }

    /// Its contribution from synapses of one delay.
    fn whole_of(&self, rank: usize, from: usize, to: usize) -> f64 {
        self.share(&self.delayed[rank], from, to)
    }

    fn share(&self, sums: &[f64], from: usize, to: usize) -> f64 {
        let pairs = self.sizes[from] * self.sizes[to];
        sums[from * self.types + to] / pairs.max(1) as f64
    }
}

/// Calls with (p, j, rank of the delay, W) for every recurrent synapse p→j with W ≠ 0.
fn for_each_living<F: Scalar>(model: &Model<F>, mut visit: impl FnMut(usize, usize, usize, f64)) {
    let delays = model.network().delays();
    for (index, synapses) in model.network().projections.iter().enumerate() {
        if synapses.kind != SynapseKind::Recurrent {
            continue;
        }
        for synapse in 0..synapses.len() {
            let rank = delays.partition_point(|&delay| delay < synapses.delays.of(synapse));
            let weight = model.weight(index, synapse);
            if weight != F::ZERO {
                visit(synapses.pre_unit(synapse), synapses.post_unit(synapse), rank, weight.to_f64());
            }
        }
    }
}

fn synaptic_gains<F: Scalar>(
    model: &Model<F>,
    table: &Table,
    kernel: TimeCourse,
    means: &BlockMeans,
    secretes: &[bool],
) -> Csr<F> {
    let network = model.network();
    let mut above: Vec<(f64, Vec<f64>)> = Vec::new();
    for channel in
        table.channels().into_iter().filter(|own| (own.reach, own.kernel) == (Reach::Synaptic, kernel))
    {
        if channel.above > 0.0 && above.iter().all(|&(share, _)| share != channel.above) {
            above.push((channel.above, means.means_above(model, channel.above)));
        }
    }
    let mean = |share: f64, to: usize, from: usize| match above.iter().find(|(own, _)| *own == share) {
        Some((_, means_above)) => means_above[to * means.types + from],
        None => means.existing(to, from),
    };
    network.synapses(SynapseKind::Recurrent).retarget(|p, j, synapse| {
        let delay = network.projections[synapse.projection as usize].delays.of(synapse.index as usize);
        let weight = model.weight(synapse.projection as usize, synapse.index as usize);
        if !secretes[j] || weight == F::ZERO {
            return None;
        }
        let (to, from) = (network.type_of[p], network.type_of[j]);
        let channels = table.of(to, from, (Reach::Synaptic, kernel));
        let followed = channels.filter(|own| {
            own.shape.above == 0.0 || means.is_above(own.shape.above, weight.to_f64(), (to, from))
        });
        let gains = followed.map(|Listed { shape, factor }| match shape.gain {
            Gain::Weights(WeightGain::MeanWeight) => mean(shape.above, to, from) * factor,
            Gain::Weights(WeightGain::Weight) => weight.to_f64() * factor,
            Gain::Fixed(gain) => gain * factor,
        });
        let gain = gains.sum::<f64>() * (1.0 - network.neurons[j].alpha);
        (gain != 0.0).then(|| (place(j, delay, network), F::from_f64(gain)))
    })
}

/// The gain of channels that diffuse: w̄ is that of the whole block.
fn diffusive_gain(table: &Table, means: &BlockMeans, (to, from): (usize, usize), kernel: TimeCourse) -> f64 {
    let channels = table.of(to, from, (Reach::Diffusive, kernel));
    let gains = channels.map(|Listed { shape, factor }| match shape.gain {
        Gain::Weights(_) => means.whole(to, from) * factor,
        Gain::Fixed(gain) => gain * factor,
    });
    gains.sum()
}

fn nonlocal_gains<F: Scalar>(
    network: &Network,
    table: &Table,
    kernel: TimeCourse,
    means: &BlockMeans,
    secretes: &[bool],
) -> Option<Nonlocal<F>> {
    if !table.has(Reach::Nonlocal, kernel) {
        return None;
    }
    let (types, delays) = (network.type_names().len(), network.delays());
    let by_delay = |to: usize, from: usize, rank: usize| {
        let channels = table.of(to, from, (Reach::Nonlocal, kernel));
        let gains = channels.map(|Listed { shape, factor }| match shape.gain {
            Gain::Weights(_) => means.whole_of(rank, to, from) * factor,
            Gain::Fixed(gain) if rank == 0 => gain * factor,
            Gain::Fixed(_) => 0.0,
        });
        F::from_f64(gains.sum())
    };
    let sums = || (0..delays.len()).flat_map(|rank| (0..types).map(move |from| (from, rank)));
    let emitter = |j: usize, rank: usize| {
        let scale = F::from_f64(1.0 - network.neurons[j].alpha);
        (place(j, delays[rank], network) as u32, (rank * types + network.type_of[j]) as u32, scale)
    };
    let secreting = || (0..network.size()).filter(|&j| secretes[j]);
    Some(Nonlocal {
        emitters: (0..delays.len()).flat_map(|rank| secreting().map(move |j| emitter(j, rank))).collect(),
        gains: (0..types).flat_map(|to| sums().map(move |(from, rank)| by_delay(to, from, rank))).collect(),
        type_of: network.type_of.iter().map(|&t| t as u32).collect(),
        sums: types * delays.len(),
    })
}

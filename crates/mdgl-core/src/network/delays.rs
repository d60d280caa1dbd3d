//! Delays of a projection's synapses in steps: one of all, one of each, or drawn per pair from the network's seed.

use std::sync::Arc;

use crate::description::delay::MOST_DELAY;
use crate::description::{Delay, DelayDistribution};
use crate::error::{Result, invalid};
use crate::numeric::memory::{ensure_memory, product};
use crate::numeric::random::{CounterRng, DrawStream};
use crate::numeric::steps::steps_in;

/// Most draws of one delay, of which a distribution must give one of at least half a step.
const MOST_DRAWS: usize = 10_000;

/// Steps from a spike to its effect, 1 or more, of a projection's synapses.
#[derive(Debug, Clone)]
pub(crate) enum SynapseDelays {
    /// The same of all.
    One(usize),
    /// One per synapse.
    Each(Arc<Vec<u32>>),
}

impl SynapseDelays {
    /// That of a synapse.
    #[inline(always)]
    pub fn of(&self, synapse: usize) -> usize {
        match self {
            Self::One(steps) => *steps,
            Self::Each(steps) => steps[synapse] as usize,
        }
    }

    /// Every number of steps that occurs, ascending.
    pub fn distinct(&self) -> Vec<usize> {
        let Self::Each(steps) = self else { return vec![self.of(0)] };
        let mut occurs = vec![false; MOST_DELAY + 1];
        steps.iter().for_each(|&steps| occurs[steps as usize] = true);
        (0..occurs.len()).filter(|&steps| occurs[steps]).collect()
    }

    fn each(steps: Vec<u32>) -> Self {
        match steps.first() {
            None => Self::One(1),
            Some(&first) if steps.iter().all(|&own| own == first) => Self::One(first as usize),
            Some(_) => Self::Each(Arc::new(steps)),
        }
    }
}

/// The projection whose delays are made.
pub(super) struct DelayedProjection<'a> {
    /// The option's path.
    pub path: String,
    pub dt: f64,
    pub seed: u64,
    /// Its place in the description.
    pub index: usize,
    pub pre: &'a [u32],
    pub post: &'a [u32],
    /// Of a listed projection whose list was not in order: the place in the list of each synapse.
    pub order: Option<&'a [u32]>,
}

impl DelayedProjection<'_> {
    /// The delays of its synapses, of a complete description.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a distribution that gives no delay of a step; [`crate::Error::Memory`].
    pub fn make(&self, given: Option<&Delay>) -> Result<SynapseDelays> {
        match given {
            None => Ok(SynapseDelays::One(1)),
            Some(Delay::One(delay)) => Ok(SynapseDelays::One(self.steps(*delay) as usize)),
            Some(Delay::Each(list)) => self.listed(list.numbers(|| self.path.clone())?),
            Some(Delay::Drawn(distribution)) => self.drawn(*distribution),
        }
    }

    fn steps(&self, delay: f64) -> u32 {
        steps_in(delay, self.dt) as u32
    }

    fn listed(&self, list: &[f64]) -> Result<SynapseDelays> {
        self.ensure_memory()?;
        Ok(SynapseDelays::each(match self.order {
            None => list.iter().map(|&delay| self.steps(delay)).collect(),
            Some(order) => order.iter().map(|&place| self.steps(list[place as usize])).collect(),
        }))
    }

    fn drawn(&self, distribution: DelayDistribution) -> Result<SynapseDelays> {
        match distribution {
            DelayDistribution::Uniform { low, high } => {
                let (first, last) = (self.steps(low), self.steps(high));
                self.draw(|rng| Ok(first + rng.below(last - first + 1)))
            }
            DelayDistribution::Normal { mean, standard_deviation } => self.draw(|rng| {
                let drawn =
                    (0..MOST_DRAWS).map(|_| steps_in(mean + standard_deviation * rng.normal(), self.dt));
                let fits = |steps: &f64| (1.0..=MOST_DELAY as f64).contains(steps);
                let found = drawn.into_iter().find(fits).map(|steps| steps as u32);
                let path = format!("{}.standardDeviation", self.path);
                let allowed = format!("one with which delays have 1 to {MOST_DELAY} steps of {} ms", self.dt);
                found.ok_or_else(|| invalid(path, standard_deviation, allowed))
            }),
        }
    }

    /// A draw depends on the pair, not on the other synapses; further synapses of the pair take the next draws.
    fn draw(&self, mut draw: impl FnMut(&mut CounterRng) -> Result<u32>) -> Result<SynapseDelays> {
        self.ensure_memory()?;
        let stream = DrawStream::Delays as u32 | (self.index as u32) << 16;
        let mut steps = Vec::with_capacity(self.pre.len());
        let (mut pair, mut rng) = (None, CounterRng::new(self.seed, stream, 0, 0));
        for (&q, &p) in self.pre.iter().zip(self.post) {
            if pair != Some((q, p)) {
                (pair, rng) = (Some((q, p)), CounterRng::new(self.seed, stream, q, p));
            }
            steps.push(draw(&mut rng)?);
        }
        Ok(SynapseDelays::each(steps))
    }

    fn ensure_memory(&self) -> Result<()> {
        ensure_memory(product(&[2, self.pre.len(), size_of::<u32>()]), "the delays of a projection")
    }
}

//! Delays of a projection's synapses in steps: one of all, one of each, or drawn per pair from the network's seed.

use std::sync::Arc;

use super::positive;
use super::synapse::SynapseKind;
use crate::description::{Delay, DelayDistribution};
use crate::error::{Result, invalid};
use crate::numeric::memory::{ensure_memory, product};
use crate::numeric::random::{CounterRng, DrawStream};
use crate::numeric::steps::steps_in;

/// Longest delay, in steps.
const MOST_DELAY: f64 = 10_000.0;

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
        let mut occurs = vec![false; MOST_DELAY as usize + 1];
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

/// The projection whose delays are read.
pub(super) struct DelayedProjection<'a> {
    /// The option's path.
    pub path: String,
    pub kind: SynapseKind,
    pub dt: f64,
    pub seed: u64,
    /// Its place in the description.
    pub index: usize,
    pub pre: &'a [u32],
    pub post: &'a [u32],
    /// Of a listed projection whose list was not in order: the place in the list of each synapse.
    pub order: Option<&'a [u32]>,
    pub is_listed: bool,
}

impl DelayedProjection<'_> {
    /// # Errors
    /// [`crate::Error::Invalid`] for a delay that the projection cannot have; [`crate::Error::Memory`].
    pub fn read(&self, given: Option<&Delay>) -> Result<SynapseDelays> {
        match given {
            None => Ok(SynapseDelays::One(1)),
            Some(Delay::One(delay)) => self.steps(|| self.path.clone(), *delay).map(SynapseDelays::One),
            Some(Delay::Each(list)) => self.listed(list.numbers(|| self.path.clone())?),
            Some(Delay::Drawn(distribution)) => self.drawn(*distribution),
        }
    }

    /// A delay in steps; synapses to readouts have none of more than one.
    fn steps(&self, path: impl Fn() -> String, delay: f64) -> Result<usize> {
        let (steps, dt) = (steps_in(delay, self.dt), self.dt);
        match self.kind {
            SynapseKind::Readout if steps == 1.0 => Ok(1),
            SynapseKind::Readout => {
                let allowed = format!("{dt} ms (one step): projections to readouts have no longer ones");
                Err(invalid(path(), delay, allowed))
            }
            _ if (1.0..=MOST_DELAY).contains(&steps) => Ok(steps as usize),
            _ => Err(invalid(path(), delay, format!("1 to {MOST_DELAY} steps of {dt} ms"))),
        }
    }

    fn listed(&self, list: &[f64]) -> Result<SynapseDelays> {
        if !self.is_listed {
            let allowed = "one delay, or a distribution: only synapses of connections have a list of them";
            return Err(invalid(&self.path, format!("{} values", list.len()), allowed));
        }
        if list.len() != self.pre.len() {
            let allowed = format!("{}, one per synapse of connections", self.pre.len());
            return Err(invalid(&self.path, format!("{} values", list.len()), allowed));
        }
        self.ensure_memory()?;
        let steps =
            list.iter().enumerate().map(|(i, &delay)| self.steps(|| format!("{}[{i}]", self.path), delay));
        let steps = steps.map(|steps| steps.map(|steps| steps as u32)).collect::<Result<Vec<_>>>()?;
        Ok(SynapseDelays::each(match self.order {
            None => steps,
            Some(order) => order.iter().map(|&place| steps[place as usize]).collect(),
        }))
    }

    fn drawn(&self, distribution: DelayDistribution) -> Result<SynapseDelays> {
        let path = |field: &str| format!("{}.{field}", self.path);
        let steps = |field: &str, delay: f64| self.steps(|| path(field), delay);
        if self.kind == SynapseKind::Readout {
            let allowed = format!("{} ms (one step): projections to readouts have no longer ones", self.dt);
            return Err(invalid(&self.path, "a distribution", allowed));
        }
        match distribution {
            DelayDistribution::Uniform { low, high } => {
                let (first, last) = (steps("low", low)?, steps("high", high)?);
                if first > last {
                    return Err(invalid(path("high"), high, format!("at least low, {low}")));
                }
                self.draw(|rng| Ok((first + rng.below((last - first + 1) as u32) as usize) as u32))
            }
            DelayDistribution::Normal { mean, standard_deviation } => {
                steps("mean", mean)?;
                positive(path("standardDeviation"), standard_deviation)?;
                self.draw(|rng| {
                    let drawn =
                        (0..MOST_DRAWS).map(|_| steps_in(mean + standard_deviation * rng.normal(), self.dt));
                    let fits = |steps: &f64| (1.0..=MOST_DELAY).contains(steps);
                    let found = drawn.into_iter().find(fits).map(|steps| steps as u32);
                    let allowed =
                        format!("one with which delays have 1 to {MOST_DELAY} steps of {} ms", self.dt);
                    found.ok_or_else(|| invalid(path("standardDeviation"), standard_deviation, allowed))
                })
            }
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

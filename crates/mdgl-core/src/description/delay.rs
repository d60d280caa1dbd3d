//! Reading and checking of delays: one of a projection, one per synapse, or a distribution.

use crate::description::given::Given;
use crate::description::list::List;
use crate::description::{Delay, DelayDistribution};
use crate::error::{Result, invalid};
use crate::numeric::ranges::positive;
use crate::numeric::steps::{in_ms, lasting, steps_in};

/// Longest delay, in steps.
pub(crate) const MOST_DELAY: usize = 10_000;

/// Whose delays are checked.
pub(super) struct DelayedEnds {
    pub dt: f64,
    pub to_readout: bool,
    /// Number of listed synapses; `None` where they are drawn.
    pub listed: Option<usize>,
}

impl Delay {
    pub(super) fn read(given: &Given<'_>) -> Result<Self> {
        if given.is_list() {
            return Ok(Self::Each(given.floats()?));
        }
        match given.is_object() {
            true => DelayDistribution::read(given).map(Self::Drawn),
            false => Ok(Self::One(given.number())),
        }
    }

    /// Every duration as whole steps.
    pub(super) fn complete(self, path: &str, ends: &DelayedEnds) -> Result<Self> {
        match self {
            Self::One(delay) => ends.rounded(path, delay).map(Self::One),
            Self::Each(list) => ends.complete_list(path, list).map(Self::Each),
            Self::Drawn(own) => own.complete(path, ends).map(Self::Drawn),
        }
    }
}

impl DelayDistribution {
    fn read(given: &Given<'_>) -> Result<Self> {
        let uniform = given.part("scheme").word(&[("uniform", true), ("normal", false)])?;
        if uniform {
            let [_, low, high] = given.parts(["scheme", "low", "high"])?;
            return Ok(Self::Uniform { low: low.number(), high: high.number() });
        }
        let [_, mean, standard_deviation] = given.parts(["scheme", "mean", "standardDeviation"])?;
        Ok(Self::Normal { mean: mean.number(), standard_deviation: standard_deviation.number() })
    }

    fn complete(self, path: &str, ends: &DelayedEnds) -> Result<Self> {
        let at = |field: &str| format!("{path}.{field}");
        if ends.to_readout {
            return Err(invalid(path, "a distribution", ends.one_step()));
        }
        match self {
            Self::Uniform { low, high } => {
                let (low, high) = (ends.rounded(&at("low"), low)?, ends.rounded(&at("high"), high)?);
                match low <= high {
                    true => Ok(Self::Uniform { low, high }),
                    false => Err(invalid(at("high"), high, format!("at least low, {low}"))),
                }
            }
            Self::Normal { mean, standard_deviation } => {
                ends.rounded(&at("mean"), mean)?;
                positive(at("standardDeviation"), standard_deviation)?;
                Ok(self)
            }
        }
    }
}

impl DelayedEnds {
    fn one_step(&self) -> String {
        format!("one step ({} ms): projections to readouts have no longer delays", self.dt)
    }

    /// A delay as whole steps.
    fn rounded(&self, path: &str, delay: f64) -> Result<f64> {
        lasting(path, delay, self.dt)?;
        match steps_in(delay, self.dt) {
            steps if self.to_readout && steps > 1.0 => Err(invalid(path, delay, self.one_step())),
            steps if steps > MOST_DELAY as f64 => {
                Err(invalid(path, delay, format!("at most {MOST_DELAY} steps of {} ms", self.dt)))
            }
            steps => Ok(in_ms(steps, self.dt)),
        }
    }

    fn complete_list(&self, path: &str, list: List<f64>) -> Result<List<f64>> {
        let given = list.numbers(|| path.to_owned())?;
        let value = || format!("an array of {}", given.len());
        match self.listed {
            None => {
                let allowed =
                    "one delay, or a distribution: only synapses of connections have a list of them";
                return Err(invalid(path, value(), allowed));
            }
            Some(synapses) if synapses != given.len() => {
                return Err(invalid(
                    path,
                    value(),
                    format!("{synapses} delays, one per synapse of connections"),
                ));
            }
            Some(_) => {}
        }
        let rounded =
            given.iter().enumerate().map(|(i, &delay)| self.rounded(&format!("{path}[{i}]"), delay));
        let rounded = rounded.collect::<Result<Vec<_>>>()?;
        let same = rounded.iter().zip(given.iter()).all(|(x, y)| x.to_bits() == y.to_bits());
        Ok(if same { list } else { rounded.into() })
    }
}

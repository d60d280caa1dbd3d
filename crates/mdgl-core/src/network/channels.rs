//! Modulatory channels between cell types, names resolved and checked.

use std::collections::HashMap;

use crate::description::legal::check_channel;
use crate::description::rule::UniformChannel;
use crate::description::{Channel, Exponentials, Gain, Reach, TimeCourse, WeightGain};
use crate::error::{Result, invalid, unknown};
use crate::numeric::ranges::{at_least_0, finite};
use crate::numeric::steps::{lasting, lasting_or_zero};

type ByPair = HashMap<(usize, usize), Vec<Listed>>;

/// A channel of a list: its shape, and what its gain is multiplied by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listed {
    pub shape: UniformChannel,
    pub factor: f64,
}

/// The channels between types.
#[derive(Debug, Clone)]
pub(crate) enum Table {
    /// The same channel between every ordered pair of types.
    Uniform(UniformChannel),
    /// By (receiving type, secreting type).
    Listed(ByPair),
}

impl Table {
    /// The paper's: mean weights along existing synapses, instantaneous.
    pub const DEFAULT: Self = Self::Uniform(UniformChannel {
        gain: Gain::Weights(WeightGain::MeanWeight),
        reach: Reach::Synaptic,
        kernel: TimeCourse::None,
        above: 0.0,
    });

    pub fn uniform(path: &str, channel: UniformChannel, dt: f64) -> Result<Self> {
        validate_shape(path, channel, dt)?;
        Ok(Self::Uniform(channel))
    }

    /// # Errors
    /// [`crate::Error::Invalid`] for unknown types, gains that do not fit, time constants of less than half a step, or two
    /// channels that coincide.
    pub fn listed(path: &str, types: &[String], channels: &[Channel], dt: f64) -> Result<Self> {
        let index: HashMap<&str, usize> = types.iter().map(String::as_str).zip(0..).collect();
        let find = |path: String, name: &str| {
            let found = index.get(name).copied();
            found.ok_or_else(|| unknown(&path, name, types.iter().map(String::as_str)))
        };
        let mut table = ByPair::new();
        for (i, channel) in channels.iter().enumerate() {
            let path = format!("{path}[{i}]");
            let from = find(format!("{path}.from"), &channel.from)?;
            let to = find(format!("{path}.to"), &channel.to)?;
            let &Channel { gain, reach, kernel, factor, above, .. } = channel;
            let shape = UniformChannel { gain, reach, kernel, above };
            validate_shape(&path, shape, dt)?;
            finite(format_args!("{path}.factor"), channel.factor)?;
            let pair = table.entry((to, from)).or_default();
            if pair.iter().any(|own| (own.shape.reach, own.shape.kernel) == (reach, kernel)) {
                return Err(invalid(
                    path,
                    "the same types, reach and kernel as an earlier channel",
                    "one channel for each combination of from, to, reach and kernel",
                ));
            }
            pair.push(Listed { shape, factor });
        }
        Ok(Self::Listed(table))
    }

    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Listed(table) if table.is_empty())
    }

    pub fn has_kernel(&self, kernel: TimeCourse) -> bool {
        self.any(|_, k| k == kernel)
    }

    pub fn has(&self, reach: Reach, kernel: TimeCourse) -> bool {
        self.any(|r, k| (r, k) == (reach, kernel))
    }

    /// The distinct kernels, in an order that depends on the channels alone.
    pub fn kernels(&self) -> Vec<TimeCourse> {
        distinct(self.kinds().into_iter().map(|(_, kernel)| kernel))
    }

    /// The distinct pairs of reach and kernel, in an order that depends on the channels alone.
    pub fn kinds(&self) -> Vec<(Reach, TimeCourse)> {
        distinct(self.channels().into_iter().map(|own| (own.reach, own.kernel)))
    }

    /// The shapes of all channels, in an order that depends on the channels alone.
    pub fn channels(&self) -> Vec<UniformChannel> {
        match self {
            Self::Uniform(channel) => vec![*channel],
            Self::Listed(table) => {
                let mut pairs: Vec<_> = table.iter().collect();
                pairs.sort_unstable_by_key(|&(pair, _)| *pair);
                let channels = pairs.into_iter().flat_map(|(_, channels)| channels);
                channels.map(|own| own.shape).collect()
            }
        }
    }

    /// Whether cells of a type secrete through a kernel.
    pub fn secretes(&self, secreting: usize, kernel: TimeCourse) -> bool {
        match self {
            Self::Uniform(channel) => channel.kernel == kernel,
            Self::Listed(table) => table.iter().any(|(&(_, from), list)| {
                from == secreting && list.iter().any(|own| own.shape.kernel == kernel)
            }),
        }
    }

    fn any(&self, holds: impl Fn(Reach, TimeCourse) -> bool) -> bool {
        match self {
            Self::Uniform(channel) => holds(channel.reach, channel.kernel),
            Self::Listed(table) => {
                table.values().flatten().any(|own| holds(own.shape.reach, own.shape.kernel))
            }
        }
    }

    /// The channels from a secreting to a receiving type, of one reach and one kernel.
    pub fn of(
        &self,
        receiving: usize,
        secreting: usize,
        of: (Reach, TimeCourse),
    ) -> impl Iterator<Item = Listed> {
        let (uniform, listed) = match self {
            Self::Uniform(shape) => (Some(Listed { shape: *shape, factor: 1.0 }), None),
            Self::Listed(table) => (None, table.get(&(receiving, secreting))),
        };
        let all = uniform.into_iter().chain(listed.into_iter().flatten().copied());
        all.filter(move |own| (own.shape.reach, own.shape.kernel) == of)
    }
}

/// Distinct values, in the order given.
fn distinct<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut distinct = Vec::new();
    for one in all {
        if !distinct.contains(&one) {
            distinct.push(one);
        }
    }
    distinct
}

fn validate_shape(path: &str, channel: UniformChannel, dt: f64) -> Result<()> {
    channel.gain.validate(path)?;
    at_least_0(format_args!("{path}.above"), channel.above)?;
    check_channel(path, channel)?;
    validate_kernel(path, channel.kernel, dt)
}

fn validate_kernel(path: &str, kernel: TimeCourse, dt: f64) -> Result<()> {
    let exponentials = match kernel {
        TimeCourse::Exponentials(exponentials) => Some(exponentials),
        TimeCourse::None | TimeCourse::Exact | TimeCourse::Membrane(_) => None,
    };
    if let Some(Exponentials { tau_decay, .. }) = exponentials {
        lasting(format!("{path}.kernel.tauDecay"), tau_decay, dt)?;
    }
    kernel.validate(path)?;
    exponentials.map_or(Ok(()), |own| lasting_or_zero(format!("{path}.kernel.tauRise"), own.tau_rise, dt))
}

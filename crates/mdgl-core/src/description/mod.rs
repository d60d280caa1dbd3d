//! The network description: plain data, schema `mdgl-network/1`.
//!
//! Times are in ms (`numeric/steps.rs` has the rule by which they become steps), voltages are dimensionless as in the paper. Defaults are those of Fig. 3C.

mod channel;
mod current;
pub(crate) mod delay;
pub mod draft;
pub mod given;
pub mod legal;
mod lesion;
pub(crate) mod list;
mod network;
mod population;
mod projection;
pub mod published;
pub mod recording;
pub mod rule;

use std::collections::BTreeMap;

pub use channel::{Channel, Exponentials, Gain, Membrane, PsiMean, Reach, TimeCourse, WeightGain};
pub use lesion::Lesion;
use serde::Serialize;

use crate::description::list::{AnyList, Array, Beside, List};
use crate::error::Result;

/// The schema that this engine reads and writes.
pub const SCHEMA: &str = "mdgl-network/1";
/// Most neurons or units of a network, so that every index fits and products do not overflow.
pub(crate) const MOST_UNITS: usize = 1 << 24;

/// A whole network without its weights.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkDescription {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// Step in ms.
    pub dt: f64,
    /// Seed of connectivity and initial weights; default 1.
    pub seed: u64,
    /// Whose equations the network follows.
    #[serde(skip_serializing_if = "Conventions::are_usual")]
    pub conventions: Conventions,
    /// Scale of a cell's input; with [`Conventions::Bellec2020`] only. `None`: 1 − α.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_gain: Option<InputGain>,
    /// Positions of its cells, for diffusion; `None`: the defaults of [`Sheet`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sheet: Option<Sheet>,
    /// Shape of the pseudo-derivative as a function of the distance to threshold.
    #[serde(skip_serializing_if = "PseudoDerivative::is_usual")]
    pub pseudo_derivative: PseudoDerivative,
    /// Input populations.
    pub inputs: Vec<InputPopulation>,
    /// Recurrent populations.
    pub populations: Vec<Population>,
    /// Readouts.
    pub readouts: Vec<Readout>,
    /// Cell types, a partition of the recurrent neurons; `None`: one type per population.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub types: Option<Vec<CellType>>,
    /// Projections.
    pub projections: Vec<Projection>,
    /// Modulatory channels; `None`: one mean-weight channel for every ordered pair of types.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<Channel>>,
    /// Synapses that stay silent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lesions: Vec<Lesion>,
}

impl NetworkDescription {
    /// Puts arrays in place of the lists that stand beside the JSON; `array` gives the k-th.
    ///
    /// # Errors
    /// The error of `array`; [`crate::Error::Invalid`] for an array of another type of number.
    pub fn join(mut self, mut array: impl FnMut(usize) -> Result<Array>) -> Result<Self> {
        self.lists().try_for_each(|list| list.join(&mut array))?;
        Ok(self)
    }

    /// The description for JSON, and beside it the arrays of its lists of at least so many numbers.
    pub fn split(&self, least: usize) -> (Self, Vec<Array>) {
        self.split_beside(least, &[])
    }

    /// The same where some arrays stand beside it already; lists that share their memory have their indices, the arrays of the
    /// others follow.
    pub fn split_beside(&self, least: usize, given: &[Array]) -> (Self, Vec<Array>) {
        let (mut skeleton, mut beside) = (self.clone(), Beside::new(given));
        skeleton.lists().for_each(|list| list.split(least, &mut beside));
        (skeleton, beside.further)
    }

    /// Every list of numbers that can stand beside the JSON.
    fn lists(&mut self) -> impl Iterator<Item = &mut dyn AnyList> {
        let parameters = self.populations.iter_mut().flat_map(Population::parameters_mut);
        let parameters = parameters.filter_map(|(_, parameter)| match parameter {
            Some(Parameter::Each(list)) => Some(list as &mut dyn AnyList),
            _ => None,
        });
        let members = self.types.iter_mut().flatten().flat_map(|cell_type| &mut cell_type.members);
        let units = members.filter_map(|part| part.units.as_mut().map(|list| list as &mut dyn AnyList));
        let synapses = self.projections.iter_mut().flat_map(|Projection { connections, delay, .. }| {
            let connections = connections.iter_mut().flat_map(
                |Connections { pre, post, values }| -> [&mut dyn AnyList; 3] { [pre, post, values] },
            );
            let delays = delay.iter_mut().filter_map(|delay| match delay {
                Delay::Each(list) => Some(list as &mut dyn AnyList),
                _ => None,
            });
            connections.chain(delays)
        });
        let lesions = self.lesions.iter_mut().flat_map(Lesion::lists);
        parameters.chain(units).chain(synapses).chain(lesions)
    }
}

/// Whose equations a network follows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Conventions {
    /// Liu et al. 2021.
    #[default]
    Mdgl2021,
    /// e-prop as published by Bellec et al. 2020 (NEST's `*_bsshslm_2020` models). Cell p with g = 1 − α or 1:
    ///
    /// ```text
    /// v_t = α v_t−1 + g I_t − thr z_t−1,  b_t = ρ b_t−1 + z_t−1,  z_t = 1 if v_t ≥ thr + β b_t
    /// ```
    ///
    /// A refractory period of n steps blocks n − 1; no readout has a bias. Backwards, with S = L + R,
    ///
    /// ```text
    /// D_t = S_t + λa_t+1,  λv_t = α λv_t+1 + ψ_t D_t,  λa_t = ρ λa_t+1 − β ψ_t D_t,  ∂E/∂W = g Σ_t λv_t pre_t
    /// ```
    ///
    /// and R = c (n/T − f0)/T, n the cell's spikes in a trial of T steps, divided by the number of trials and, with
    /// cross-entropy, by its window. For the estimator backward and no hops.
    Bellec2020,
}

impl Conventions {
    fn are_usual(&self) -> bool {
        *self == Self::Mdgl2021
    }
}

/// Scale of a cell's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum InputGain {
    /// 1 − α.
    OneMinusAlpha,
    /// 1.
    One,
}

/// ψ = (γ/thr) h(x), x = |v − A|/thr, what stands for ∂z/∂v in every gradient; 0 while refractory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PseudoDerivative {
    /// h.
    pub shape: Shape,
    /// k; `None`: the shape's own. None for the triangle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steepness: Option<f64>,
}

impl PseudoDerivative {
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// Shape of ψ as a function of x, the distance to threshold in thresholds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// max(0, 1 − x) (Bellec et al. 2018, Liu et al. 2021).
    #[default]
    Triangular,
    /// exp(−k x) (Shrestha & Orchard 2018); k = 2, ours.
    Exponential,
    /// 1/(1 + k x)² (SuperSpike: Zenke & Ganguli 2018); k = 10.
    FastSigmoid,
    /// 1/(1 + (π k x/2)²) (Fang et al. 2021); k = 2.
    Arctangent,
}

impl Shape {
    /// Default k; `None` for the triangle, which has none.
    pub(crate) fn usual_steepness(self) -> Option<f64> {
        match self {
            Self::Triangular => None,
            Self::Exponential | Self::Arctangent => Some(2.0),
            Self::FastSigmoid => Some(10.0),
        }
    }
}

/// A grid of sites with periodic boundaries, on which cells are placed row by row, and how fast what they secrete
/// spreads over it (Barretto-Bittar et al., arXiv 2603.08949, 2026). With fewer sites than cells, some sites have
/// several.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sheet {
    /// Sites in a row; `None`: as many as give a square that holds every cell (or what the height leaves).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// Rows; `None`: as many as hold every cell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<usize>,
    /// Placement of cells.
    pub positions: Positions,
    /// k, the sum of K, a box of three by three sites: G ← K ∗ G per step.
    pub spread: f64,
}

impl Default for Sheet {
    fn default() -> Self {
        // The spread as published.
        Self { width: None, height: None, positions: Positions::Random, spread: 0.75 }
    }
}

/// Placement of cells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Positions {
    /// Drawn from the network's seed.
    #[default]
    Random,
    /// The cells of one type after those of another, in the order of the types.
    Sorted,
    /// Drawn from the network's seed anew at every step: the control in which errors spread, but not to neighbours.
    Shuffled,
}

/// A population of input units.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InputPopulation {
    /// Unique name.
    pub name: String,
    /// Number of units.
    pub size: usize,
    /// Sign of the outgoing weights.
    pub sign: Sign,
}

/// Neuron model of a population.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NeuronModel {
    /// Leaky integrate-and-fire.
    Lif,
    /// LIF with an adaptive threshold.
    Alif,
    /// A leaky unit without spikes: v_t = α v_t−1 + (1−α) I_t, z_t = max(0, v_t).
    Rate,
    /// LIF whose input is a synaptic current that decays: c_t = α_s c_t−1 + I_t, v_t = α v_t−1 + (1−α) c_t − thr z_t−1.
    CubaLif,
    /// The same with an adaptive threshold.
    CubaAlif,
}

impl NeuronModel {
    /// Its name, as in a description.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lif => "lif",
            Self::Alif => "alif",
            Self::Rate => "rate",
            Self::CubaLif => "cuba-lif",
            Self::CubaAlif => "cuba-alif",
        }
    }
}

/// A population of recurrent neurons.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Population {
    /// Unique name.
    pub name: String,
    /// Number of neurons.
    pub size: usize,
    /// Neuron model.
    pub model: NeuronModel,
    /// Sign of the outgoing weights (Dale's law).
    pub sign: Sign,
    /// τ_m in ms: at least half a step, or 0, with which α is 0; `None`: 20, of a rate unit 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub membrane_time_constant: Option<Parameter>,
    /// Threshold, dimensionless; `None`: 0.01. Not of a rate unit, as the next two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Parameter>,
    /// Refractory period in ms, rounded to whole steps: 0 or at least one; `None`: 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refractory_period: Option<Parameter>,
    /// γ, the dampening of the pseudo-derivative; `None`: 0.3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dampening: Option<Parameter>,
    /// τ_s in ms, of the synaptic current, α_s = exp(−dt/τ_s): at least half a step, or 0, with which α_s is 0; `None`: 5, ours.
    /// Only of models `'cuba-lif'` and `'cuba-alif'`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synaptic_time_constant: Option<Parameter>,
    /// τ_a in ms: at least half a step, or 0, with which ρ is 0; adaptive models only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adaptation_time_constant: Option<Parameter>,
    /// β, dimensionless; adaptive models only; 0 makes the neuron LIF.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adaptation_strength: Option<Parameter>,
    /// A current that fluctuates, another one in each neuron and trial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<NoiseCurrent>,
    /// Currents that flow for some time of every trial; several at a time add up.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub currents: Vec<StepCurrent>,
}

/// An Ornstein–Uhlenbeck current, added to I_t: with a = exp(−dt/τ) and independent standard normal ξ
///
/// ```text
/// n_0 = μ + σ ξ_0 ,  n_t = μ + a (n_t−1 − μ) + σ √(1 − a²) ξ_t
/// ```
///
/// which has mean μ, standard deviation σ and autocorrelation a^k at every step. It drives the membrane; a current-based neuron
/// does not filter it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NoiseCurrent {
    /// μ.
    #[serde(skip_serializing_if = "is_zero")]
    pub mean: f64,
    /// σ, at least 0.
    pub standard_deviation: f64,
    /// τ in ms: at least half a step, or 0, with which every step is independent.
    pub time_constant: f64,
}

/// A current that is added to I_t from one time of a trial to another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StepCurrent {
    /// Its start in ms, rounded to whole steps.
    pub from: f64,
    /// Its end in ms, rounded to whole steps: the first step without it.
    pub to: f64,
    /// Its size, that of a weight which one event per step brings.
    pub amplitude: f64,
}

impl Population {
    /// The parameters of neurons, by their names in a description; which of them a model has is the model's.
    pub(crate) fn parameters_mut(&mut self) -> [(&'static str, &mut Option<Parameter>); 7] {
        let Self {
            name: _,
            size: _,
            model: _,
            sign: _,
            membrane_time_constant,
            threshold,
            refractory_period,
            dampening,
            synaptic_time_constant,
            adaptation_time_constant,
            adaptation_strength,
            noise: _,
            currents: _,
        } = self;
        [
            ("membraneTimeConstant", membrane_time_constant),
            ("threshold", threshold),
            ("refractoryPeriod", refractory_period),
            ("dampening", dampening),
            ("synapticTimeConstant", synaptic_time_constant),
            ("adaptationTimeConstant", adaptation_time_constant),
            ("adaptationStrength", adaptation_strength),
        ]
    }
}

/// A leaky readout: y_t = κ-filtered Σ W_out z + bias.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Readout {
    /// Unique name.
    pub name: String,
    /// Number of units.
    pub size: usize,
    /// τ_out in ms: at least half a step, or 0, with which κ is 0.
    pub time_constant: f64,
    /// Whether the units have a plastic bias (starting at 0). `None`: they have, but with
    /// [`Conventions::Bellec2020`], which has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bias: Option<bool>,
}

/// One value for all neurons, or one for each.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Parameter {
    /// The same value for all.
    One(f64),
    /// One value per neuron.
    Each(List<f64>),
}

/// Sign of a population's outgoing weights.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Sign {
    /// One named sign for all units.
    Named(NamedSign),
    /// 1, −1 or 0 (free) per unit. Before the counts, which serde would also read from a list of two.
    Each(Vec<i8>),
    /// So many units of each sign; inhibitory units first unless shuffled.
    Counts(SignCounts),
}

impl Default for Sign {
    fn default() -> Self {
        Self::Named(NamedSign::Free)
    }
}

/// A sign by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NamedSign {
    /// Weights of either sign.
    Free,
    /// Weights ≥ 0.
    Excitatory,
    /// Weights ≤ 0.
    Inhibitory,
}

/// Numbers of excitatory and inhibitory units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SignCounts {
    /// Number of excitatory units.
    pub excitatory: usize,
    /// Number of inhibitory units.
    pub inhibitory: usize,
    /// Whether the order is drawn from the seed.
    pub shuffled: bool,
}

/// A named set of neurons.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CellType {
    /// Unique name among types.
    pub name: String,
    /// Its neurons; may be none.
    pub members: Vec<Members>,
}

/// Neurons of one population.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Members {
    /// The population.
    pub population: String,
    /// Indices in it; `None`: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<List<u32>>,
}

/// Synapses from one population to another.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Projection {
    /// Unique name; `None`: `from->to`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Presynaptic population.
    pub from: String,
    /// Postsynaptic population or readout.
    pub to: String,
    /// Draw this fraction of all pairs (with replacement below 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub density: Option<f64>,
    /// Or take each pair independently with this probability.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<Probability>,
    /// By how much the probability falls off with the distance on the sheet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance: Option<Distance>,
    /// Or give every receiver this many different senders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed_in_degree: Option<usize>,
    /// Or give every sender this many different receivers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed_out_degree: Option<usize>,
    /// Or use this list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<Connections>,
    /// Whether neurons of a population may project to themselves.
    #[serde(skip_serializing_if = "is_false")]
    pub autapses: bool,
    /// Whether a pair may have several synapses. Draws by density or degree are then with replacement, and keep what they draw.
    #[serde(skip_serializing_if = "is_false")]
    pub multapses: bool,
    /// Initial weights of a drawn projection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initialise: Option<Initialise>,
    /// Delay of its synapses; `None`: one step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<Delay>,
    /// Whether training changes it.
    pub plastic: bool,
}

impl Projection {
    /// The name, given or default.
    pub fn key(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("{}->{}", self.from, self.to))
    }
}

/// An explicit list of synapses.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Connections {
    /// Presynaptic indices.
    pub pre: List<u32>,
    /// Postsynaptic indices.
    pub post: List<u32>,
    /// Weights.
    pub values: List<f64>,
}

/// Delays of a projection's synapses in ms, each rounded to whole steps, at least one. A spike of step t reaches a neuron d steps
/// later; an input event d − 1 steps later, so that with one step it acts in its own.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Delay {
    /// The same of all.
    One(f64),
    /// One per synapse, in the order of `connections`.
    Each(List<f64>),
    /// Drawn from the network's seed, one per pair of units.
    Drawn(DelayDistribution),
}

/// Distribution of delays, of whole steps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "scheme", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum DelayDistribution {
    /// Every number of steps from the first to the last with the same probability.
    Uniform {
        /// The shortest, in ms.
        low: f64,
        /// The longest, in ms.
        high: f64,
    },
    /// Normal delays, rounded to whole steps; those of less than half a step are drawn again.
    Normal {
        /// Mean, in ms.
        mean: f64,
        /// Standard deviation, in ms.
        standard_deviation: f64,
    },
}

/// The probability of a synapse.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Probability {
    /// Of every pair.
    All(f64),
    /// By the type of the sender and that of the receiver; of other pairs 0.
    ByType(BTreeMap<String, BTreeMap<String, f64>>),
}

/// A factor of a probability that depends on the distance d of two cells on the sheet, in sites.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Distance {
    /// Its shape.
    pub profile: DistanceProfile,
    /// Its width in sites.
    pub width: f64,
    /// Where a logistic profile is one half, in sites.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub midpoint: Option<f64>,
}

/// The shape of a [`Distance`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DistanceProfile {
    /// exp(−d²/(2 width²)).
    Gaussian,
    /// exp(−d/width).
    Exponential,
    /// 1/(1 + exp((d − midpoint)/width)).
    Logistic,
    /// 1/(1 + exp(d²/width²)).
    LogisticSquared,
}

impl DistanceProfile {
    /// Its name in a description.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gaussian => "gaussian",
            Self::Exponential => "exponential",
            Self::Logistic => "logistic",
            Self::LogisticSquared => "logistic-squared",
        }
    }
}

/// Distribution of initial weights. Where the sender's sign is fixed, a value's size is taken and has that sign.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "scheme", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Initialise {
    /// The authors' balanced matrix of spectral radius 1.
    Balanced,
    /// Normal values.
    Normal {
        /// Mean.
        #[serde(skip_serializing_if = "is_zero")]
        mean: f64,
        /// Standard deviation.
        standard_deviation: f64,
        /// What they are divided by.
        #[serde(skip_serializing_if = "Scaling::is_none")]
        scaling: Scaling,
    },
    /// Log-normal values.
    Lognormal {
        /// Mean of the values themselves.
        mean: f64,
        /// Standard deviation of the values themselves.
        standard_deviation: f64,
        /// What they are divided by.
        #[serde(skip_serializing_if = "Scaling::is_none")]
        scaling: Scaling,
    },
    /// Values of equal probability.
    Uniform {
        /// The smallest.
        low: f64,
        /// The largest.
        high: f64,
        /// What they are divided by.
        #[serde(skip_serializing_if = "Scaling::is_none")]
        scaling: Scaling,
    },
    /// One value.
    Constant {
        /// It.
        value: f64,
        /// What it is divided by.
        #[serde(skip_serializing_if = "Scaling::is_none")]
        scaling: Scaling,
    },
    /// Another distribution for each pair of types, the sender's first.
    ByType {
        /// The distributions; none of them by type or balanced.
        pairs: BTreeMap<String, BTreeMap<String, Initialise>>,
    },
}

impl Initialise {
    /// Its name in a description.
    pub fn scheme(&self) -> &'static str {
        match self {
            Self::Balanced => "balanced",
            Self::Normal { .. } => "normal",
            Self::Lognormal { .. } => "lognormal",
            Self::Uniform { .. } => "uniform",
            Self::Constant { .. } => "constant",
            Self::ByType { .. } => "by-type",
        }
    }
}

/// What a drawn weight is divided by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scaling {
    /// Nothing.
    #[default]
    None,
    /// The square root of the number of synapses that its receiver has in the projection.
    InDegree,
}

impl Scaling {
    fn is_none(&self) -> bool {
        *self == Self::None
    }
}

fn is_false(value: &bool) -> bool {
    !value
}
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

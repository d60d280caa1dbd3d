//! Modulatory channels of a description: strength, reach, time course.

use serde::Serialize;

use crate::description::given::{Given, deserialise_by_reading};
use crate::error::{Result, invalid};
use crate::numeric::ranges::{at_least_0, finite, named, positive};

/// A modulatory channel: type `from` secretes, type `to` receives.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Channel {
    /// Name for messages and analysis.
    pub name: String,
    /// The secreting type (postsynaptic j).
    pub from: String,
    /// The receiving type (presynaptic p).
    pub to: String,
    /// Its strength. Default: mean weight.
    pub gain: Gain,
    /// Whom it reaches. Default: along the synapses.
    pub reach: Reach,
    /// Its time course. Default: none.
    pub kernel: TimeCourse,
    /// What its gain is multiplied by: 1, unless an experiment perturbs the channel.
    #[serde(skip_serializing_if = "is_one")]
    pub factor: f64,
    /// x of reach `'synaptic'`: the channel follows the synapses with |W| > x · mean |W| of those between the two types, and w̄ is
    /// the mean of these. 0: all that are not 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub above: f64,
}

fn is_one(factor: &f64) -> bool {
    *factor == 1.0
}

/// Whether [`Channel::above`] has its default, which is not written.
pub(super) fn is_zero(above: &f64) -> bool {
    *above == 0.0
}

/// Strength of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Gain {
    /// From the current synaptic weights.
    Weights(WeightGain),
    /// Fixed.
    Fixed(f64),
}

/// Gains that follow the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WeightGain {
    /// The mean weight of the synapses from the receiving to the secreting type.
    MeanWeight,
    /// The synapse's own weight (cell-specific).
    Weight,
}

/// Reach of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// Along existing synapses only.
    Synaptic,
    /// From every cell of the secreting type.
    Nonlocal,
    /// Over the network's [`Sheet`](super::Sheet): a cell receives the field at its site,
    ///
    /// ```text
    /// Γ_p,t = Σ gain G_t[site of p],   G_t = K ∗ G_t+1 + Σ_{j at the site} (1−α_j) (what j secretes at t)
    /// ```
    ///
    /// G runs backwards in time as the secretion does: a cell's eligibility is multiplied by what is secreted d sites away
    /// d steps later at the earliest. One field per secreting type.
    Diffusive,
}

/// A channel's time course: which past of the secreting cell's L ψ it carries.
///
/// In JSON `'none'`, `'exact'`, `'membrane'`, `{"membrane": {…}}` or `{"tauRise": …, "tauDecay": …}`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(into = "TimeCourseForm")]
pub enum TimeCourse {
    /// Instantaneous, as published.
    None,
    /// The secreting cell's own adjoint state λv (BPTT's recursion).
    Exact,
    /// The same recursion with a constant m in place of ψ in its feedback, known before the batch.
    Membrane(Membrane),
    /// Two exponentials of given time constants.
    Exponentials(Exponentials),
}

impl TimeCourse {
    /// As it is written in a description.
    pub(crate) fn name(self) -> String {
        match self {
            Self::None => "'none'".into(),
            Self::Exact => "'exact'".into(),
            Self::Membrane(_) => "'membrane'".into(),
            Self::Exponentials(Exponentials { tau_rise, tau_decay }) => {
                format!("{{tauRise: {tau_rise}, tauDecay: {tau_decay}}}")
            }
        }
    }

    /// Whether the secreting cell's L ψ passes through a fixed filter of two states.
    pub(crate) fn is_filter(self) -> bool {
        matches!(self, Self::Membrane(_) | Self::Exponentials(_))
    }
}

/// The secreting cell's membrane and adaptation, linearised about a constant m in place of ψ:
///
/// ```text
/// s_t = (α − thr m) s_t+1 + (1−ρ) m r_t+1 + ψ_t L_t
/// r_t = (ρ − (1−ρ) β m) r_t+1 + thr β m s_t+1 − β ψ_t L_t
/// ```
///
/// s takes the place of ψ L. m is one number for all cells of the same type and constants.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Membrane {
    /// Source of m.
    pub mean: PsiMean,
    /// m before the first batch, in units of γ/thr, the largest ψ: 0 to 1. Default 0.1.
    pub initial: f64,
}

impl Default for Membrane {
    /// Cells of Fig. 3C and of delayed match to sample have means of 0.05 to 0.15 before training; ours.
    fn default() -> Self {
        Self { mean: PsiMean::Running, initial: 0.1 }
    }
}

/// Source of the constant m of [`Membrane`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PsiMean {
    /// m ← 0.9 m + 0.1 · (mean ψ of a batch), after each batch that trained the model: causal.
    #[default]
    Running,
    /// Mean ψ of the batch itself: acausal to that extent.
    Batch,
}

/// h(k) ∝ (a^(k+1) − b^(k+1))/(a − b), a = exp(−dt/tauDecay), b = exp(−dt/tauRise) (0 for tauRise 0), scaled to a largest
/// value of 1: a^k for tauRise 0, ∝ (k+1) a^k for equal time constants.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Exponentials {
    /// In ms: 0, or from half a step to `tau_decay`.
    pub tau_rise: f64,
    /// In ms, at least half a step.
    pub tau_decay: f64,
}

/// A kernel as it is written.
#[derive(Serialize)]
#[serde(untagged)]
enum TimeCourseForm {
    Named(TimeCourseName),
    Membrane(MembraneForm),
    Exponentials(Exponentials),
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum TimeCourseName {
    None,
    Exact,
    Membrane,
}

#[derive(Serialize)]
struct MembraneForm {
    membrane: Membrane,
}

impl From<TimeCourse> for TimeCourseForm {
    /// The default is written by name.
    fn from(kernel: TimeCourse) -> Self {
        match kernel {
            TimeCourse::None => Self::Named(TimeCourseName::None),
            TimeCourse::Exact => Self::Named(TimeCourseName::Exact),
            TimeCourse::Membrane(membrane) if membrane == Membrane::default() => {
                Self::Named(TimeCourseName::Membrane)
            }
            TimeCourse::Membrane(membrane) => Self::Membrane(MembraneForm { membrane }),
            TimeCourse::Exponentials(exponentials) => Self::Exponentials(exponentials),
        }
    }
}

deserialise_by_reading!(Channel, "channel");
deserialise_by_reading!(TimeCourse, "kernel");

impl Channel {
    /// Reads one. Without a name it is `from->to`.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for another shape.
    pub fn read(given: &Given<'_>) -> Result<Self> {
        let [name, from, to, gain, reach, kernel, factor, above] =
            given.parts(["name", "from", "to", "gain", "reach", "kernel", "factor", "above"])?;
        let (from, to) = (from.text(), to.text());
        Ok(Self {
            name: name.or(format!("{from}->{to}"), |name| Ok(name.text()))?,
            gain: Gain::read(&gain)?,
            reach: Reach::read(reach)?,
            kernel: TimeCourse::read(&kernel)?,
            factor: factor.number_or(1.0),
            above: above.number_or(0.0),
            from,
            to,
        })
    }

    /// Reads one of a network.
    pub(super) fn read_named(given: &Given<'_>) -> Result<Self> {
        given.entries()?;
        let list = given.at("channels");
        let usual = format!("{}->{}", list.part("from").text(), list.part("to").text());
        let name = list.part("name").or(usual, |given| given.name())?;
        Self::read(&given.at(format!("channels.{name}")))
    }

    /// Refuses values out of range; `path` is the channel's.
    pub(crate) fn validate(&self, path: &str) -> Result<()> {
        for (key, text) in [("name", &self.name), ("from", &self.from), ("to", &self.to)] {
            named(format_args!("{path}.{key}"), text)?;
        }
        finite(format_args!("{path}.factor"), self.factor)?;
        at_least_0(format_args!("{path}.above"), self.above)?;
        self.gain.validate(path)?;
        self.kernel.validate(path)
    }
}

impl Gain {
    pub(crate) fn read(given: &Given<'_>) -> Result<Self> {
        let weights = [("mean-weight", WeightGain::MeanWeight), ("weight", WeightGain::Weight)];
        match given.known(&weights) {
            None if given.is_missing() => Ok(Self::Weights(WeightGain::MeanWeight)),
            Some(weights) => Ok(Self::Weights(weights)),
            None if given.is_number() => Ok(Self::Fixed(given.number())),
            None => Err(given.refused("'mean-weight', 'weight' or a number")),
        }
    }

    /// Refuses a value out of range; `path` is the channel's.
    pub(crate) fn validate(self, path: &str) -> Result<()> {
        match self {
            Self::Fixed(x) => finite(format_args!("{path}.gain"), x),
            Self::Weights(_) => Ok(()),
        }
    }
}

impl Reach {
    pub(crate) fn read(given: Given<'_>) -> Result<Self> {
        let reaches =
            [("synaptic", Self::Synaptic), ("nonlocal", Self::Nonlocal), ("diffusive", Self::Diffusive)];
        given.or(Self::Synaptic, |given| given.word(&reaches))
    }
}

impl TimeCourse {
    pub(crate) fn read(given: &Given<'_>) -> Result<Self> {
        if given.is_missing() {
            return Ok(Self::None);
        }
        let names =
            [("none", Self::None), ("exact", Self::Exact), ("membrane", Self::Membrane(Membrane::default()))];
        if !given.is_object() {
            let allowed = "'none', 'exact' or 'membrane', {membrane: {…}} or {tauRise, tauDecay}";
            return given.known(&names).ok_or_else(|| given.refused(allowed));
        }
        if given.part("membrane").is_missing() {
            let [tau_rise, tau_decay] = given.parts(["tauRise", "tauDecay"])?;
            let (tau_rise, tau_decay) = (tau_rise.number(), tau_decay.number());
            return Ok(Self::Exponentials(Exponentials { tau_rise, tau_decay }));
        }
        let [membrane] = given.parts(["membrane"])?;
        let [mean, initial] = membrane.parts(["mean", "initial"])?;
        let usual = Membrane::default();
        let means = [("running", PsiMean::Running), ("batch", PsiMean::Batch)];
        Ok(Self::Membrane(Membrane {
            mean: mean.or(usual.mean, |given| given.word(&means))?,
            initial: initial.number_or(usual.initial),
        }))
    }

    /// Refuses values that are out of range whatever the step; `path` is the channel's.
    pub(crate) fn validate(self, path: &str) -> Result<()> {
        match self {
            Self::Membrane(Membrane { initial, .. }) if !(0.0..=1.0).contains(&initial) => {
                Err(invalid(format!("{path}.kernel.membrane.initial"), initial, "a number from 0 to 1"))
            }
            Self::Exponentials(Exponentials { tau_rise, tau_decay }) => {
                positive(format_args!("{path}.kernel.tauDecay"), tau_decay)?;
                let path = format!("{path}.kernel.tauRise");
                at_least_0(&path, tau_rise)?;
                match tau_rise <= tau_decay {
                    true => Ok(()),
                    false => Err(invalid(path, tau_rise, format!("0 to tauDecay ({tau_decay})"))),
                }
            }
            Self::None | Self::Exact | Self::Membrane(_) => Ok(()),
        }
    }
}

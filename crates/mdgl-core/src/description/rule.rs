//! A learning rule as one plain value; the published rules are constants of it.

use serde::Serialize;

use crate::description::channel::is_zero;
use crate::description::given::{Given, deserialise_by_reading};
use crate::description::{Channel, Gain, Reach, TimeCourse};
use crate::error::{Result, invalid};
use crate::numeric::ranges::{SAFE, at_least_0, fraction, positive};

/// A learning rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Form of the computation of the gradient.
    pub estimator: Estimator,
    /// The weights through which errors reach the cells.
    pub feedback: Feedback,
    /// Whether a cell learns by its own learning signal or by the field at its site.
    #[serde(skip_serializing_if = "LearningSignal::is_own")]
    pub learning_signal: LearningSignal,
    /// The modulatory channels that the rule uses.
    pub channels: Channels,
    /// Number of synapses along which a cell's influence is followed.
    pub hops: Hops,
    /// The derivative on the recurrent path.
    pub recurrent_derivative: RecurrentDerivative,
    /// How the readout's filter enters the modulatory term.
    pub readout_filter: ReadoutFilter,
    /// The eligibility trace.
    pub trace: Trace,
}

/// Form of the computation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Estimator {
    /// A recursion from the last step to the first: fast.
    Backward,
    /// Eligibility traces from the first step to the last: memory flat in time.
    Online,
    /// Real-time recurrent learning, exact: memory of neurons × synapses.
    Rtrl,
    /// SnAp-1: a weight's influence on its own target neuron; e-prop on these networks.
    Snap1,
    /// Unbiased online recurrent optimisation: a random rank-one influence.
    Uoro,
    /// KF-RTRL: a random Kronecker-factored influence.
    KfRtrl,
}

impl Estimator {
    /// Its name, as in files and options.
    pub fn name(self) -> &'static str {
        self.quoted().trim_matches('\'')
    }

    /// Its name, as messages write it.
    pub(crate) fn quoted(self) -> &'static str {
        match self {
            Self::Backward => "'backward'",
            Self::Online => "'online'",
            Self::Rtrl => "'rtrl'",
            Self::Snap1 => "'snap1'",
            Self::Uoro => "'uoro'",
            Self::KfRtrl => "'kf-rtrl'",
        }
    }
}

/// Learning signal of a cell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LearningSignal {
    /// L of its own feedback weights.
    #[default]
    Own,
    /// The field at its site on the network's sheet (Barretto-Bittar et al., arXiv 2603.08949, 2026):
    ///
    /// ```text
    /// G_t = K ∗ G_t−1 + Σ_{p at the site} Σ_k B[p→k] δ_k,t ,   gradient Σ_t G_t[site of p] ē_qp,t
    /// ```
    Diffusive,
}

impl LearningSignal {
    fn is_own(&self) -> bool {
        *self == Self::Own
    }
}

/// Feedback weights B: L_p,t = (1−κ) Σ_k B[p→k] g_k,t.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Feedback {
    /// By name.
    Preset(FeedbackPreset),
    /// Random and fixed.
    Fixed {
        /// How they are drawn.
        random: RandomFeedback,
    },
    /// Random at first; then changed as the readout weights are, and both decay.
    Adaptive {
        /// How they start and decay.
        adaptive: AdaptiveFeedback,
    },
    /// Given and fixed.
    Given {
        /// `[neuron][unit]`: the neurons of all populations end to end, the units of all readouts end to end. 0: none.
        weights: Vec<Vec<f64>>,
    },
}

/// Feedback weights by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FeedbackPreset {
    /// The current readout weights.
    Symmetric,
}

/// Random feedback weights: a pair of cell and readout unit has one with probability `density`, normal with mean 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RandomFeedback {
    /// Seed of the draw.
    pub seed: u64,
    /// Fraction of the pairs that have a weight.
    pub density: f64,
    /// Standard deviation of a weight.
    pub standard_deviation: f64,
}

/// Feedback weights that start as the readout's plus random ones, B = W + D, and receive the readout's own changes. Each
/// step of the optimiser then subtracts learning rate · weight decay of both: D vanishes, so B converges to W.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AdaptiveFeedback {
    /// Seed of the draw of D.
    pub seed: u64,
    /// Fraction of the pairs that have a D.
    pub density: f64,
    /// Standard deviation of D.
    pub standard_deviation: f64,
    /// Fraction of readout and feedback weights that a step subtracts, per learning rate.
    pub weight_decay: f64,
}

impl AdaptiveFeedback {
    /// Initial D.
    pub(crate) fn difference(&self) -> RandomFeedback {
        let Self { seed, density, standard_deviation, .. } = *self;
        RandomFeedback { seed, density, standard_deviation }
    }
}

impl Default for AdaptiveFeedback {
    fn default() -> Self {
        let RandomFeedback { seed, density, standard_deviation } = RandomFeedback::default();
        Self { seed, density, standard_deviation, weight_decay: 0.01 }
    }
}

impl Default for RandomFeedback {
    fn default() -> Self {
        Self { seed: 1, density: 1.0, standard_deviation: 1.0 }
    }
}

/// Which channels a rule uses.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Channels {
    /// The network's own channels.
    Preset(ChannelPreset),
    /// The same channel between every ordered pair of types.
    Uniform(UniformChannel),
    /// An explicit list.
    List(Vec<Channel>),
}

/// A preset by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelPreset {
    /// The channels of the network description.
    Network,
}

/// A channel without its types.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct UniformChannel {
    /// Its strength.
    pub gain: Gain,
    /// Whom it reaches.
    pub reach: Reach,
    /// Its time course.
    pub kernel: TimeCourse,
    /// As [`Channel::above`].
    #[serde(skip_serializing_if = "is_zero")]
    pub above: f64,
}

/// Number of synapses followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Hops {
    /// 0 (e-prop), 1 (MDGL), or more.
    Count(u32),
    /// All of them.
    All(AllHops),
}

/// The word `all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AllHops {
    /// Backpropagation through time.
    All,
}

/// Derivative on the recurrent path.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum RecurrentDerivative {
    /// By name.
    Preset(DerivativePreset),
    /// A constant in place of ψ where a cell passes on what it receives.
    Constant {
        /// μ, above 0.
        mu: f64,
    },
}

/// A derivative by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DerivativePreset {
    /// The pseudo-derivative ψ.
    Psi,
}

/// The readout's filter in the modulatory term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadoutFilter {
    /// Applied to the product, as the gradient has it.
    Exact,
    /// Applied to both factors separately (On-MDGL).
    Separate,
}

/// The eligibility trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Trace {
    /// With reset and adaptation, as in Liu et al. 2021; in a network of other conventions, theirs.
    Mdgl2021,
    /// With the membrane's leak alone, as in RFLO (Murray 2019): εv_t = α εv_t−1 + (1−α) z_q,t−1, e_t = ψ_t εv_t.
    Rflo,
}

/// Most hops that a rule counts; each costs as much as a backward pass.
pub const MOST_HOPS: u32 = 64;

deserialise_by_reading!(Rule, "rule");
deserialise_by_reading!(Channels, "rule.channels");

impl Rule {
    /// Reads one.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for another shape.
    pub fn read(given: &Given<'_>) -> Result<Self> {
        let [estimator, feedback, signal, channels, hops, derivative, filter, trace] = given.parts([
            "estimator",
            "feedback",
            "learningSignal",
            "channels",
            "hops",
            "recurrentDerivative",
            "readoutFilter",
            "trace",
        ])?;
        let signals = [("own", LearningSignal::Own), ("diffusive", LearningSignal::Diffusive)];
        let filters = [("exact", ReadoutFilter::Exact), ("separate", ReadoutFilter::Separate)];
        Ok(Self {
            estimator: Estimator::read(&estimator)?,
            feedback: Feedback::read(&feedback)?,
            learning_signal: signal.or(LearningSignal::Own, |given| given.word(&signals))?,
            channels: Channels::read(&channels)?,
            hops: Hops::read(&hops)?,
            recurrent_derivative: RecurrentDerivative::read(&derivative)?,
            readout_filter: filter.word(&filters)?,
            trace: trace.word(&[("mdgl2021", Trace::Mdgl2021), ("rflo", Trace::Rflo)])?,
        })
    }

    /// Refuses values out of range.
    pub(crate) fn validate_ranges(&self) -> Result<()> {
        if let Some(mu) = self.mu() {
            positive("rule.recurrentDerivative.mu", mu)?;
        }
        if let Hops::Count(n) = self.hops
            && n > MOST_HOPS
        {
            return Err(invalid("rule.hops", n, hop_counts()));
        }
        self.channels.validate("rule.channels")?;
        self.feedback.validate("rule.feedback")
    }
}

impl Estimator {
    fn read(given: &Given<'_>) -> Result<Self> {
        let all = [Self::Backward, Self::Online, Self::Rtrl, Self::Snap1, Self::Uoro, Self::KfRtrl];
        given.word(&all.map(|one| (one.name(), one)))
    }
}

impl Hops {
    fn read(given: &Given<'_>) -> Result<Self> {
        match given.known(&[("all", Self::All(AllHops::All))]) {
            Some(all) => Ok(all),
            None => {
                given.whole(0, MOST_HOPS.into()).map(Self::Count).map_err(|_| given.refused(hop_counts()))
            }
        }
    }
}

fn hop_counts() -> String {
    format!("a whole number from 0 to {MOST_HOPS}, or 'all'")
}

impl RecurrentDerivative {
    fn read(given: &Given<'_>) -> Result<Self> {
        match given.known(&[("psi", Self::Preset(DerivativePreset::Psi))]) {
            Some(preset) => Ok(preset),
            None if !given.is_object() => Err(given.refused("'psi' or {mu: …}")),
            None => given.parts(["mu"]).map(|[mu]| Self::Constant { mu: mu.number() }),
        }
    }
}

impl Feedback {
    fn read(given: &Given<'_>) -> Result<Self> {
        if !given.is_object() {
            let allowed = "'symmetric', {random: {…}}, {adaptive: {…}} or {weights: [[…], …]}";
            let symmetric = given.known(&[("symmetric", FeedbackPreset::Symmetric)]);
            return symmetric.map(Self::Preset).ok_or_else(|| given.refused(allowed));
        }
        if !given.part("weights").is_missing() {
            let [weights] = given.parts(["weights"])?;
            let rows = weights.items()?;
            let row =
                |given: &Given<'_>| given.floats()?.numbers(|| given.path().into()).map(|row| row.to_vec());
            return Ok(Self::Given { weights: rows.iter().map(row).collect::<Result<_>>()? });
        }
        if !given.part("adaptive").is_missing() {
            let [adaptive] = given.parts(["adaptive"])?;
            adaptive.only(&["seed", "density", "standardDeviation", "weightDecay"])?;
            let RandomFeedback { seed, density, standard_deviation } = RandomFeedback::of(&adaptive)?;
            let weight_decay =
                adaptive.part("weightDecay").number_or(AdaptiveFeedback::default().weight_decay);
            return Ok(Self::Adaptive {
                adaptive: AdaptiveFeedback { seed, density, standard_deviation, weight_decay },
            });
        }
        let [random] = given.parts(["random"])?;
        random.only(&["seed", "density", "standardDeviation"])?;
        Ok(Self::Fixed { random: RandomFeedback::of(&random)? })
    }

    fn validate(&self, path: &str) -> Result<()> {
        match self {
            Self::Preset(_) => Ok(()),
            Self::Fixed { random } => random.validate(&format!("{path}.random")),
            Self::Adaptive { adaptive } => {
                let path = format!("{path}.adaptive");
                adaptive.difference().validate(&path)?;
                at_least_0(format_args!("{path}.weightDecay"), adaptive.weight_decay)
            }
            Self::Given { weights } => {
                let columns = weights.first().map_or(0, Vec::len);
                for (p, row) in weights.iter().enumerate() {
                    if row.len() != columns {
                        let allowed = format!("{columns} weights, as the first row has");
                        return Err(invalid(
                            format!("{path}.weights[{p}]"),
                            format!("{} weights", row.len()),
                            allowed,
                        ));
                    }
                    if let Some(k) = row.iter().position(|weight| !weight.is_finite()) {
                        let path = format!("{path}.weights[{p}][{k}]");
                        return Err(invalid(path, row[k], "a finite number"));
                    }
                }
                Ok(())
            }
        }
    }
}

impl RandomFeedback {
    fn of(given: &Given<'_>) -> Result<Self> {
        let usual = Self::default();
        Ok(Self {
            seed: given.part("seed").or(usual.seed, |given| given.whole(0, SAFE))?,
            density: given.part("density").number_or(usual.density),
            standard_deviation: given.part("standardDeviation").number_or(usual.standard_deviation),
        })
    }

    fn validate(&self, path: &str) -> Result<()> {
        fraction(format_args!("{path}.density"), self.density)?;
        positive(format_args!("{path}.standardDeviation"), self.standard_deviation)
    }
}

impl Channels {
    fn read(given: &Given<'_>) -> Result<Self> {
        if let Some(preset) = given.known(&[("network", ChannelPreset::Network)]) {
            return Ok(Self::Preset(preset));
        }
        if given.is_list() {
            return given.items()?.iter().map(Channel::read).collect::<Result<_>>().map(Self::List);
        }
        match given.is_object() {
            true => UniformChannel::read(given).map(Self::Uniform),
            false => {
                Err(given
                    .refused("'network', a list of channels ([] for none) or {gain, reach, kernel, above}"))
            }
        }
    }

    fn validate(&self, path: &str) -> Result<()> {
        match self {
            Self::Preset(_) => Ok(()),
            Self::Uniform(channel) => channel.validate(path),
            Self::List(list) => {
                let mut list = list.iter().enumerate();
                list.try_for_each(|(i, channel)| channel.validate(&format!("{path}[{i}]")))
            }
        }
    }
}

impl UniformChannel {
    /// Reads one.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for another shape.
    pub fn read(given: &Given<'_>) -> Result<Self> {
        let [gain, reach, kernel, above] = given.parts(["gain", "reach", "kernel", "above"])?;
        let (gain, reach) = (Gain::read(&gain)?, Reach::read(reach)?);
        Ok(Self { gain, reach, kernel: TimeCourse::read(&kernel)?, above: above.number_or(0.0) })
    }

    /// Refuses values out of range; `path` is where it stands.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] with the value's path.
    pub fn validate(&self, path: &str) -> Result<()> {
        self.gain.validate(path)?;
        at_least_0(format_args!("{path}.above"), self.above)?;
        self.kernel.validate(path)
    }
}

impl Rule {
    /// μ, if a constant stands in place of ψ on the recurrent path.
    pub(crate) fn mu(&self) -> Option<f64> {
        match self.recurrent_derivative {
            RecurrentDerivative::Preset(DerivativePreset::Psi) => None,
            RecurrentDerivative::Constant { mu } => Some(mu),
        }
    }

    /// Whether it is the whole gradient, along the true weights and through ψ.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.hops, Hops::All(_)) && self.mu().is_none()
    }
}

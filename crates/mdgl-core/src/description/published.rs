//! The published rules: values and names, shared by files, the command line and JavaScript.

use crate::description::rule::{
    AdaptiveFeedback, AllHops, ChannelPreset, Channels, DerivativePreset, Estimator, Feedback,
    FeedbackPreset, Hops, LearningSignal, RandomFeedback, ReadoutFilter, RecurrentDerivative, Rule, Trace,
    UniformChannel,
};
use crate::description::{Gain, Membrane, Reach, TimeCourse, WeightGain};
use crate::error::{Result, invalid};

/// μ as published with ModProp.
const PUBLISHED_MU: f64 = 0.25;

/// x of `mdgl-above`; ours.
const STRONG: f64 = 0.3;

/// A rule's name and its constructor.
type Published = (&'static str, fn() -> Rule);

/// All, in the order of the documents.
const PUBLISHED: &[Published] = &[
    ("bptt", Rule::bptt),
    ("eprop", Rule::eprop),
    ("mdgl", Rule::mdgl),
    ("mdgl-cell", Rule::mdgl_cell),
    ("nl-mdgl", Rule::nl_mdgl),
    ("on-mdgl", Rule::on_mdgl),
    ("mdgl-membrane", Rule::mdgl_membrane),
    ("mdgl-above", Rule::mdgl_above),
    ("mdgl-membrane-2", || Rule::mdgl_membrane_hops(2)),
    ("mdgl-membrane-3", || Rule::mdgl_membrane_hops(3)),
    ("mdgl-exact", || Rule::with_hops(1)),
    ("hops-2", || Rule::with_hops(2)),
    ("hops-3", || Rule::with_hops(3)),
    ("modprop", Rule::modprop),
    ("eprop-random", Rule::eprop_random),
    ("eprop-adaptive", Rule::eprop_adaptive),
    ("eprop-diffusive", Rule::eprop_diffusive),
    ("eprop-online", || Rule::eprop().online()),
    ("eprop-diffusive-online", || Rule::eprop_diffusive().online()),
    ("mdgl-online", || Rule::mdgl().online()),
    ("mdgl-membrane-online", || Rule::mdgl_membrane().online()),
    ("on-mdgl-online", || Rule::on_mdgl().online()),
    ("rflo", Rule::rflo),
    ("rtrl", Rule::rtrl),
    ("snap1", Rule::snap1),
    ("uoro", Rule::uoro),
    ("kf-rtrl", Rule::kf_rtrl),
];

/// The names of the published rules.
pub const RULE_NAMES: [&str; PUBLISHED.len()] = {
    let mut names = [""; PUBLISHED.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = PUBLISHED[i].0;
        i += 1;
    }
    names
};

impl Rule {
    /// e-prop: no modulation.
    pub fn eprop() -> Self {
        Self {
            estimator: Estimator::Backward,
            feedback: Feedback::Preset(FeedbackPreset::Symmetric),
            learning_signal: LearningSignal::Own,
            channels: Channels::List(Vec::new()),
            hops: Hops::Count(0),
            recurrent_derivative: RecurrentDerivative::Preset(DerivativePreset::Psi),
            readout_filter: ReadoutFilter::Exact,
            trace: Trace::Mdgl2021,
        }
    }

    /// MDGL with the network's channels.
    pub fn mdgl() -> Self {
        Self { channels: Channels::Preset(ChannelPreset::Network), hops: Hops::Count(1), ..Self::eprop() }
    }

    /// MDGL with the true weights.
    pub fn mdgl_cell() -> Self {
        Self { channels: uniform(WeightGain::Weight, Reach::Synaptic, TimeCourse::None), ..Self::mdgl() }
    }

    /// Nonlocal MDGL.
    pub fn nl_mdgl() -> Self {
        Self { channels: uniform(WeightGain::MeanWeight, Reach::Nonlocal, TimeCourse::None), ..Self::mdgl() }
    }

    /// On-MDGL.
    pub fn on_mdgl() -> Self {
        Self { readout_filter: ReadoutFilter::Separate, ..Self::mdgl() }
    }

    /// MDGL with the secreting cells' memory, its constants fixed before each batch: causal.
    pub fn mdgl_membrane() -> Self {
        let kernel = TimeCourse::Membrane(Membrane::default());
        Self { channels: uniform(WeightGain::MeanWeight, Reach::Synaptic, kernel), ..Self::mdgl() }
    }

    /// The same along strong synapses alone: those with more than three tenths of the mean |W| between their types.
    pub fn mdgl_above() -> Self {
        let kernel = TimeCourse::Membrane(Membrane::default());
        let gain = Gain::Weights(WeightGain::MeanWeight);
        let channel = UniformChannel { gain, reach: Reach::Synaptic, kernel, above: STRONG };
        Self { channels: Channels::Uniform(channel), ..Self::mdgl() }
    }

    /// A number of hops along mean weights, each through the receiving cell's memory about a mean ψ of earlier batches: causal.
    pub fn mdgl_membrane_hops(hops: u32) -> Self {
        Self { hops: Hops::Count(hops), ..Self::mdgl_membrane() }
    }

    /// Backpropagation through time.
    pub fn bptt() -> Self {
        Self {
            channels: uniform(WeightGain::Weight, Reach::Synaptic, TimeCourse::Exact),
            hops: Hops::All(AllHops::All),
            ..Self::eprop()
        }
    }

    /// A number of hops along mean weights, with the secreting cells' memory; one is MDGL with kernel `'exact'`.
    pub fn with_hops(hops: u32) -> Self {
        let channels = uniform(WeightGain::MeanWeight, Reach::Synaptic, TimeCourse::Exact);
        Self { channels, hops: Hops::Count(hops), ..Self::eprop() }
    }

    /// ModProp (Liu et al. 2022): all hops along mean weights, a constant in place of ψ on the recurrent path, the leak's trace.
    pub fn modprop() -> Self {
        Self {
            hops: Hops::All(AllHops::All),
            recurrent_derivative: RecurrentDerivative::Constant { mu: PUBLISHED_MU },
            trace: Trace::Rflo,
            ..Self::with_hops(1)
        }
    }

    /// e-prop with random feedback.
    pub fn eprop_random() -> Self {
        Self { feedback: Feedback::Fixed { random: RandomFeedback::default() }, ..Self::eprop() }
    }

    /// e-prop with adaptive feedback.
    pub fn eprop_adaptive() -> Self {
        Self { feedback: Feedback::Adaptive { adaptive: AdaptiveFeedback::default() }, ..Self::eprop() }
    }

    /// e-prop whose learning signals diffuse over the sheet of cells.
    pub fn eprop_diffusive() -> Self {
        Self { learning_signal: LearningSignal::Diffusive, ..Self::eprop() }
    }

    /// Random feedback local online learning (Murray 2019): the leak's trace alone, random feedback.
    pub fn rflo() -> Self {
        Self { trace: Trace::Rflo, ..Self::eprop_random().online() }
    }

    /// The same rule in its forward (trace) form.
    pub fn online(self) -> Self {
        Self { estimator: Estimator::Online, ..self }
    }

    /// BPTT's gradient, or an estimate of it, with another estimator.
    fn whole_gradient(estimator: Estimator) -> Self {
        Self { estimator, ..Self::bptt() }
    }

    /// Real-time recurrent learning (Williams and Zipser 1989).
    pub fn rtrl() -> Self {
        Self::whole_gradient(Estimator::Rtrl)
    }

    /// SnAp-1 (Menick et al. 2020).
    pub fn snap1() -> Self {
        Self::whole_gradient(Estimator::Snap1)
    }

    /// Unbiased online recurrent optimisation (Tallec and Ollivier 2017).
    pub fn uoro() -> Self {
        Self::whole_gradient(Estimator::Uoro)
    }

    /// Kronecker-factored real-time recurrent learning (Mujika et al. 2018).
    pub fn kf_rtrl() -> Self {
        Self::whole_gradient(Estimator::KfRtrl)
    }

    /// A published rule by name, one of [`RULE_NAMES`].
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for another name.
    pub fn named(name: &str) -> Result<Self> {
        let found = PUBLISHED.iter().find(|(known, _)| *known == name);
        found.map(|(_, rule)| rule()).ok_or_else(|| invalid("rule", name, RULE_NAMES.join(", ")))
    }
}

fn uniform(gain: WeightGain, reach: Reach, kernel: TimeCourse) -> Channels {
    Channels::Uniform(UniformChannel { gain: Gain::Weights(gain), reach, kernel, above: 0.0 })
}
